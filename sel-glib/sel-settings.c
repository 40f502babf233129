/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-base-selector-private.h"

/* The accessors of the properties. What they mean stands in sel-base-selector.c. */

/**
 * sel_base_selector_get_interruptible:
 * @self: a selector
 *
 * Gets #SelBaseSelector:interruptible.
 *
 * Returns: whether a signal ends a wait early
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_get_interruptible (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), FALSE);

  return (gboolean) sel_core_get_setting (sel_core (self), SEL_SETTING_INTERRUPTIBLE);
}

/**
 * sel_base_selector_set_interruptible:
 * @self: a selector
 * @interruptible: whether a signal ends a wait early
 *
 * Sets #SelBaseSelector:interruptible. A wait that goes on is not affected.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_interruptible (SelBaseSelector *self,
                                     gboolean         interruptible)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_INTERRUPTIBLE, interruptible ? TRUE : FALSE);
}

/**
 * sel_base_selector_get_emulate_always_ready:
 * @self: a selector
 *
 * Gets #SelBaseSelector:emulate-always-ready.
 *
 * Returns: whether files that are always ready can be registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_get_emulate_always_ready (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), FALSE);

  return (gboolean) sel_core_get_setting (sel_core (self), SEL_SETTING_EMULATE_ALWAYS_READY);
}

/**
 * sel_base_selector_set_emulate_always_ready:
 * @self: a selector
 * @emulate_always_ready: whether files that are always ready can be registered
 *
 * Sets #SelBaseSelector:emulate-always-ready. What is registered already is not affected.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_emulate_always_ready (SelBaseSelector *self,
                                            gboolean         emulate_always_ready)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_EMULATE_ALWAYS_READY, emulate_always_ready ? TRUE : FALSE);
}

/**
 * sel_base_selector_get_force_mirrored:
 * @self: a selector
 *
 * Gets #SelBaseSelector:force-mirrored.
 *
 * Returns: whether a main loop polls each registered descriptor
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_get_force_mirrored (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), FALSE);

  return (gboolean) sel_core_get_setting (sel_core (self), SEL_SETTING_FORCE_MIRRORED);
}

/**
 * sel_base_selector_set_force_mirrored:
 * @self: a selector
 * @force_mirrored: whether a main loop polls each registered descriptor
 *
 * Sets #SelBaseSelector:force-mirrored, also for a main loop that runs.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_force_mirrored (SelBaseSelector *self,
                                      gboolean         force_mirrored)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_FORCE_MIRRORED, force_mirrored ? TRUE : FALSE);
}

/**
 * sel_base_selector_get_can_recurse:
 * @self: a selector
 *
 * Gets #SelBaseSelector:can-recurse.
 *
 * Returns: whether a callback is called again while it runs a main loop of its own
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_get_can_recurse (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), FALSE);

  return (gboolean) sel_core_get_setting (sel_core (self), SEL_SETTING_CAN_RECURSE);
}

/**
 * sel_base_selector_set_can_recurse:
 * @self: a selector
 * @can_recurse: whether a callback is called again while it runs a main loop of its own
 *
 * Sets #SelBaseSelector:can-recurse.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_can_recurse (SelBaseSelector *self,
                                   gboolean         can_recurse)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_CAN_RECURSE, can_recurse ? TRUE : FALSE);
}

/**
 * sel_base_selector_get_max_dispatch:
 * @self: a selector
 *
 * Gets #SelBaseSelector:max-dispatch.
 *
 * Returns: for how many descriptors callbacks are called in one turn of a main loop
 *
 * Since: 1.0
 */
guint
sel_base_selector_get_max_dispatch (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), 0);

  return sel_core_get_setting (sel_core (self), SEL_SETTING_MAX_DISPATCH);
}

/**
 * sel_base_selector_set_max_dispatch:
 * @self: a selector
 * @max_dispatch: for how many descriptors callbacks are called in one turn of a main loop, from 1 to 256; more or less is brought into that range
 *
 * Sets #SelBaseSelector:max-dispatch.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_max_dispatch (SelBaseSelector *self,
                                    guint            max_dispatch)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_MAX_DISPATCH, CLAMP (max_dispatch, 1, SEL_MAX_DISPATCH));
}

/**
 * sel_base_selector_get_hangup_policy:
 * @self: a selector
 *
 * Gets #SelBaseSelector:hangup-policy.
 *
 * Returns: what a main loop does with a hung-up descriptor that nobody takes care of
 *
 * Since: 1.0
 */
SelHangupPolicy
sel_base_selector_get_hangup_policy (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), SEL_HANGUP_POLICY_THROTTLE);

  return (SelHangupPolicy) sel_core_get_setting (sel_core (self), SEL_SETTING_HANGUP_POLICY);
}

/**
 * sel_base_selector_set_hangup_policy:
 * @self: a selector
 * @hangup_policy: what a main loop does with a hung-up descriptor that nobody takes care of
 *
 * Sets #SelBaseSelector:hangup-policy. What is muted already remains so.
 *
 * Since: 1.0
 */
void
sel_base_selector_set_hangup_policy (SelBaseSelector *self,
                                     SelHangupPolicy  hangup_policy)
{
  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));

  sel_base_selector_set_setting (self, SEL_SETTING_HANGUP_POLICY, (guint) hangup_policy);
}
