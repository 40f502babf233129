/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How is the kernel's object opened, opened again and given back? See sel-lifecycle-private.h. */

#include "config.h"

#include "core/sel-lifecycle-private.h"
#include "sel-error-private.h"

void
sel_lifecycle_clear (SelCore *core)
{
  g_clear_error (&core->lifecycle.open_error);
}

void
sel_lifecycle_forked (SelCore *core)
{
  if (core->lifecycle.has_object)
    sel_state_set (core, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

/* @forked tells that a parent process has opened it. */
static void
sel_lifecycle_give_back (SelCore  *core,
                         gboolean  forked)
{
  SelBaseSelector *selector = sel_core_get_selector (core);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (selector);

  SEL_POINT ("locked-release");
  core->lifecycle.has_object = FALSE;
  if (klass->release != NULL)
    {
      gpointer outer = sel_state_enter_vfunc (core);

      klass->release (selector, forked);
      sel_state_leave_vfunc (core, outer);
    }

  sel_notify_close_wakeup (core);
  sel_registry_set_poll_fd (core, -1);
}

void
sel_lifecycle_release_if_unused (SelCore *core)
{
  if (!sel_state_has (core, SEL_STATE_OPEN) || !sel_state_has (core, SEL_STATE_CLOSED) ||
      sel_state_has (core, SEL_STATE_IN_WAIT) || sel_notify_has_watchers (core))
    return;

  sel_lifecycle_give_back (core, sel_state_has (core, SEL_STATE_FORKED));
  sel_state_unset (core, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

static gboolean
sel_lifecycle_call_open (SelCore  *core,
                         GError  **error)
{
  SelBaseSelector *selector = sel_core_get_selector (core);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (selector);
  gboolean success = TRUE;

  if (klass->open != NULL)
    {
      gpointer outer = sel_state_enter_vfunc (core);

      success = klass->open (selector, error);
      sel_state_leave_vfunc (core, outer);
    }

  return sel_registry_complete_error (core, "open", success, error);
}

/* OPEN is set last, so that no wait begins before. @error is not NULL. */
static gboolean
sel_lifecycle_try_open (SelCore  *core,
                        GError  **error)
{
  GArray *reserved = sel_registry_reserve_numbers (core);
  gboolean is_open = sel_lifecycle_call_open (core, error);
  gboolean success;

  core->lifecycle.has_object = is_open;
  SEL_POINT ("locked-object");
  success = is_open && sel_notify_open_wakeup (core, error);
  sel_registry_unreserve_numbers (reserved);
  sel_pause_forget_all (core);
  success = success && sel_pause_arm_all (core, error);
  if (!success)
    {
      if (is_open)
        sel_lifecycle_give_back (core, FALSE);
      return FALSE;
    }

  /* The new wake-up descriptor stays readable while a descriptor is always ready. */
  if (sel_state_has (core, SEL_STATE_ALWAYS_READY))
    sel_notify_wake (core);

  SEL_POINT ("locked-opened");
  sel_state_set (core, SEL_STATE_OPEN);
  sel_notify_changed (core, -1);

  return TRUE;
}

static gboolean
sel_lifecycle_open (SelCore  *core,
                    GError  **error)
{
  if (core->lifecycle.open_error == NULL && sel_lifecycle_try_open (core, &core->lifecycle.open_error))
    return TRUE;

  if (error != NULL)
    *error = g_error_copy (core->lifecycle.open_error);

  return FALSE;
}

gboolean
sel_lifecycle_ensure_open_slow (SelCore  *core,
                                GError  **error)
{
  if (sel_state_has (core, SEL_STATE_CLOSED))
    return sel_error_set_closed (error);

  if (sel_state_has (core, SEL_STATE_FORKED))
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED,
                           "The selector belongs to the parent process");
      return FALSE;
    }

  if (sel_state_has (core, SEL_STATE_OPEN))
    return TRUE;

  return sel_lifecycle_open (core, error);
}

gboolean
sel_lifecycle_ensure_open_locking (SelCore  *core,
                                   GError  **error)
{
  gboolean success;

  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_lifecycle_ensure_open (core, error);
  sel_state_unlock (core);

  return success;
}

static gboolean
sel_lifecycle_reinit_locked (SelCore  *core,
                             GError  **error)
{
  guint old_word;

  if (sel_state_has (core, SEL_STATE_CLOSED))
    return sel_error_set_closed (error);

  /* From now on no wait can begin. */
  if (!sel_state_take_open (core, &old_word))
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY, "A thread waits on the selector");
      return FALSE;
    }

  SEL_POINT ("locked-open-taken");
  if ((old_word & SEL_STATE_OPEN) != 0)
    sel_lifecycle_give_back (core, (old_word & SEL_STATE_FORKED) != 0);
  sel_state_unset (core, SEL_STATE_FORKED);
  sel_lifecycle_clear (core);
  if (sel_lifecycle_open (core, error))
    return TRUE;

  /* The numbers that the sources poll may soon stand for other files. */
  sel_notify_changed (core, -1);

  return FALSE;
}

gboolean
sel_lifecycle_reinit (SelCore  *core,
                      GError  **error)
{
  gboolean success;

  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_lifecycle_reinit_locked (core, error);
  sel_state_unlock (core);

  return success;
}
