/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-base-selector-private.h"

/* The accessors of the properties. sel-base-selector.c documents the properties. */

/**
 * sel_base_selector_get_interruptible:
 * @self: a selector
 *
 * Gets #SelBaseSelector:interruptible.
 *
 * Returns: %TRUE if a signal ends a wait early
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
 * @interruptible: %TRUE if a signal should end a wait early
 *
 * Sets #SelBaseSelector:interruptible. The new value applies from the next signal on, also to a wait that is in
 * progress.
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
 * Returns: %TRUE if files that are always ready can be registered
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
 * @emulate_always_ready: %TRUE if it should be possible to register files that are always ready
 *
 * Sets #SelBaseSelector:emulate-always-ready. This does not affect registered descriptors, until they are modified or
 * refreshed, or sel_base_selector_reinit() is called.
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
 * Returns: %TRUE if a main loop polls each registered descriptor in any case
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
 * @force_mirrored: %TRUE if a main loop should poll each registered descriptor in any case
 *
 * Sets #SelBaseSelector:force-mirrored. This also applies to a main loop that is already running.
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
 * Returns: %TRUE if a callback is called again while it runs a main loop of its own
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
 * @can_recurse: %TRUE if a callback should be called again while it runs a main loop of its own
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
 * Returns: the number of descriptors for which callbacks are called in one turn of a main loop
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
 * @max_dispatch: the number of descriptors for which callbacks are called in one turn of a main loop, from 1 to 1024;
 *   other values are clamped to this range
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
 * Returns: how a main loop treats a hung-up descriptor whose callback ignores the hang-up
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
 * @hangup_policy: how a main loop should treat a hung-up descriptor whose callback ignores the hang-up
 *
 * Sets #SelBaseSelector:hangup-policy. This resumes the descriptors that are paused.
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
