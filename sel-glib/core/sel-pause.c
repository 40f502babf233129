/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "core/sel-pause-private.h"
#include "sel-error-private.h"

/* A pause that ends by itself. It is out of date if the registration has another generation or is not paused. */
typedef struct
{
  int fd;
  guint32 generation;
  gconstpointer function;    /* stands for a callback that runs: the pause ends when it has returned; or NULL */
} SelPause;

void
sel_pause_clear (SelCore *core)
{
  g_clear_pointer (&core->pauses.list, g_array_unref);
}

/* The slot of a pause, or NULL if the pause is out of date. */
static SelKeySlot *
sel_pause_get_slot (SelCore        *core,
                    const SelPause *pause)
{
  SelKeySlot *slot = sel_registry_lookup (core, pause->fd);

  return slot != NULL && slot->generation == pause->generation && sel_key_slot_is_paused (slot) ? slot : NULL;
}

static guint
sel_pause_get_n (SelCore *core)
{
  return core->pauses.list != NULL ? core->pauses.list->len : 0;
}

static void
sel_pause_update_state (SelCore *core)
{
  if (sel_pause_get_n (core) == 0)
    sel_state_unset (core, SEL_STATE_PAUSED);
}

static void
sel_pause_remove (SelCore *core,
                  guint    i)
{
  g_array_remove_index_fast (core->pauses.list, i);
  sel_pause_update_state (core);
}

/* All pauses that are in the list at the same time end together. */
static void
sel_pause_add (SelCore       *core,
               int            fd,
               SelKeySlot    *slot,
               gconstpointer  function)
{
  SelPause pause = { fd, slot->generation, function };

  if (core->pauses.list == NULL)
    core->pauses.list = g_array_new (FALSE, FALSE, sizeof (SelPause));
  g_array_append_val (core->pauses.list, pause);
  sel_key_slot_set_paused (slot, TRUE);
  if (core->pauses.list->len == 1)
    core->pauses.until = g_get_monotonic_time () + SEL_PAUSE_INTERVAL;
  sel_state_set (core, SEL_STATE_PAUSED);
}

static void
sel_pause_remove_fd (SelCore *core,
                     int      fd)
{
  for (guint i = sel_pause_get_n (core); i-- > 0;)
    {
      if (g_array_index (core->pauses.list, SelPause, i).fd == fd)
        sel_pause_remove (core, i);
    }
}

static void
sel_pause_begin_full (SelCore             *core,
                      const SelReadyEvent *event,
                      SelPauseKind         kind,
                      gconstpointer        function)
{
  SelKeySlot *slot = sel_registry_find_event (core, event);

  if (slot == NULL || sel_state_has (core, SEL_STATE_FORKED))
    return;

  /* PAUSED keeps waits off the fast path: a wait that begins after this resumes the descriptor, and one that has begun
   * before it is seen here. */
  sel_state_set (core, SEL_STATE_PAUSED);
  if (sel_state_has (core, SEL_STATE_WAITING))
    {
      sel_pause_update_state (core);
      return;
    }

  if (sel_key_slot_is_paused (slot))
    sel_pause_remove_fd (core, event->fd);

  sel_registry_disarm (core, event->fd, slot);
  sel_key_slot_set_paused (slot, TRUE);
  sel_registry_mark_changed (core, event->fd, slot);
  if (kind != SEL_PAUSE_UNTIL_MODIFIED)
    sel_pause_add (core, event->fd, slot, function);
  sel_pause_update_state (core);
  sel_notify_changed (core, event->fd);
}

void
sel_pause_begin (SelCore             *core,
                 const SelReadyEvent *event,
                 SelPauseKind         kind)
{
  sel_pause_begin_full (core, event, kind, NULL);
}

void
sel_pause_defer (SelCore             *core,
                 const SelReadyEvent *event,
                 gconstpointer        function)
{
  sel_pause_begin_full (core, event, SEL_PAUSE_FOR_A_WHILE, function);
}

/* Tells the kernel about a slot that it does not know. If that fails for a reason that may pass, tries again after a
 * pause. */
static void
sel_pause_arm_slot (SelCore    *core,
                    int         fd,
                    SelKeySlot *slot,
                    gboolean    is_new)
{
  g_autoptr(GError) error = NULL;

  if (!sel_registry_arm_slot (core, fd, slot, is_new, &error) &&
      !sel_error_is_os (error, EBADF) && !sel_error_is_os (error, EPERM))
    sel_pause_add (core, fd, slot, NULL);
}

/* If the descriptor is ready again, nobody has taken care of it: its next call is checked. */
static void
sel_pause_resume_slot (SelCore    *core,
                       int         fd,
                       SelKeySlot *slot)
{
  sel_hangup_count_check_soon (&slot->hangup);
  sel_registry_mark_changed (core, fd, slot);
  sel_pause_arm_slot (core, fd, slot, TRUE);
  sel_notify_changed (core, fd);
}

void
sel_pause_resume_due (SelCore  *core,
                      gboolean  at_once)
{
  g_autoptr(GArray) list = NULL;

  if (!sel_state_has (core, SEL_STATE_PAUSED) || (!at_once && g_get_monotonic_time () < core->pauses.until))
    return;

  /* Those that the kernel refuses are added to a new list. */
  list = g_steal_pointer (&core->pauses.list);
  sel_state_unset (core, SEL_STATE_PAUSED);

  for (guint i = 0; i < list->len; i++)
    {
      const SelPause *pause = &g_array_index (list, SelPause, i);
      SelKeySlot *slot = sel_pause_get_slot (core, pause);

      if (slot != NULL)
        sel_pause_resume_slot (core, pause->fd, slot);
    }
}

void
sel_pause_resume_all (SelCore *core)
{
  sel_state_lock (core);
  if (sel_state_is_usable (core))
    sel_pause_resume_due (core, TRUE);
  sel_state_unlock (core);
}

void
sel_pause_resume_deferred (SelCore       *core,
                           gconstpointer  function)
{
  for (guint i = sel_pause_get_n (core); i-- > 0;)
    {
      SelPause pause = g_array_index (core->pauses.list, SelPause, i);
      SelKeySlot *slot = sel_pause_get_slot (core, &pause);

      if (slot != NULL && pause.function != function)
        continue;

      sel_pause_remove (core, i);
      if (slot != NULL)
        sel_pause_resume_slot (core, pause.fd, slot);
    }
}

void
sel_pause_rearm (SelCore             *core,
                 const SelReadyEvent *event)
{
  SelKeySlot *slot = sel_registry_find_event (core, event);

  if (slot == NULL || sel_key_slot_is_paused (slot) || sel_state_has (core, SEL_STATE_FORKED))
    return;

  sel_registry_disarm (core, event->fd, slot);
  sel_pause_resume_slot (core, event->fd, slot);

  /* The kernel has refused for now. A thread that waits must not wait longer than the pause that has begun. */
  if (sel_key_slot_is_paused (slot) && sel_state_has (core, SEL_STATE_WAITING))
    sel_notify_wake (core);
}

gint64
sel_pause_get_next (SelCore *core)
{
  if (!sel_state_has (core, SEL_STATE_PAUSED) || sel_state_has (core, SEL_STATE_FORKED))
    return -1;

  return core->pauses.until;
}

static void
sel_pause_forget_slot (int         fd,
                       SelKeySlot *slot,
                       gpointer    user_data)
{
  sel_key_slot_set_paused (slot, FALSE);
}

void
sel_pause_forget_all (SelCore *core)
{
  sel_registry_foreach (core, sel_pause_forget_slot, NULL);
  sel_pause_clear (core);
  sel_state_unset (core, SEL_STATE_PAUSED);
}

static void
sel_pause_arm_if_active (int         fd,
                         SelKeySlot *slot,
                         gpointer    user_data)
{
  if (!sel_key_slot_is_paused (slot))
    sel_pause_arm_slot (user_data, fd, slot, FALSE);
}

gboolean
sel_pause_arm_all (SelCore  *core,
                   GError  **error)
{
  if (!sel_registry_arm_wakeup (core, error))
    return FALSE;

  sel_registry_foreach (core, sel_pause_arm_if_active, core);

  return TRUE;
}
