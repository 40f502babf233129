/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which descriptors are not polled for a while, and until when? See sel-pause-private.h. */

#include "config.h"

#include <errno.h>

#include "core/sel-pause-private.h"
#include "sel-error-private.h"

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

/* The list has become shorter. */
static void
sel_pause_update_state (SelCore *core)
{
  guint n = sel_pause_get_n (core);

  core->pauses.until = G_MAXINT64;
  for (guint i = 0; i < n; i++)
    core->pauses.until = MIN (core->pauses.until, g_array_index (core->pauses.list, SelPause, i).until);
  if (n == 0)
    sel_state_unset (core, SEL_STATE_PAUSED);
}

static void
sel_pause_add (SelCore        *core,
               const SelPause *pause)
{
  if (core->pauses.list == NULL)
    core->pauses.list = g_array_new (FALSE, FALSE, sizeof (SelPause));
  core->pauses.until = sel_pause_get_n (core) > 0 ? MIN (core->pauses.until, pause->until) : pause->until;
  g_array_append_vals (core->pauses.list, pause, 1);
  sel_state_set (core, SEL_STATE_PAUSED);
}

static void
sel_pause_remove (SelCore *core,
                  guint    i)
{
  g_array_remove_index_fast (core->pauses.list, i);
  sel_pause_update_state (core);
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

/* Drops the pauses that are out of date, whenever the list has got twice as long: those that only a change ends would
 * stay for ever, if the program removes their descriptors. */
static void
sel_pause_tidy_up (SelCore *core)
{
  guint n = sel_pause_get_n (core);

  if (n < SEL_PAUSE_MIN_TIDY_UP || (n & (n - 1)) != 0)
    return;

  for (guint i = n; i-- > 0;)
    {
      if (sel_pause_get_slot (core, &g_array_index (core->pauses.list, SelPause, i)) == NULL)
        g_array_remove_index_fast (core->pauses.list, i);
    }
}

/* @pause replaces the pause of the same registration that has the same value of @ended. */
static void
sel_pause_replace (SelCore  *core,
                   SelPause *pause)
{
  for (guint i = sel_pause_get_n (core); i-- > 0;)
    {
      const SelPause *old = &g_array_index (core->pauses.list, SelPause, i);

      if (old->fd != pause->fd || old->generation != pause->generation || old->ended != pause->ended)
        continue;

      pause->events |= old->events;
      g_array_remove_index_fast (core->pauses.list, i);
    }
}

/* Returns: (nullable): the slot to pause */
static SelKeySlot *
sel_pause_get_event_slot (SelCore             *core,
                          const SelReadyEvent *event)
{
  SelKeySlot *slot = sel_registry_find_event (core, event);

  if (slot == NULL || sel_state_has (core, SEL_STATE_FORKED))
    return NULL;

  /* PAUSED keeps waits off the fast path: a wait that begins after this resumes the descriptor, and one that has begun
   * before it is seen here. */
  sel_state_set (core, SEL_STATE_PAUSED);
  if (!sel_state_has (core, SEL_STATE_WAITING))
    return slot;

  sel_pause_update_state (core);

  return NULL;
}

/* Pauses @events of a slot, beside those that are paused already. @pause is NULL if only a change resumes it. */
static void
sel_pause_slot (SelCore      *core,
                int           fd,
                SelKeySlot   *slot,
                SelEventMask  events,
                SelPause     *pause)
{
  SelEventMask old_active = slot->active;

  if (sel_key_slot_is_paused (slot) && pause != NULL)
    sel_pause_replace (core, pause);
  else if (sel_key_slot_is_paused (slot))
    sel_pause_remove_fd (core, fd);

  sel_key_slot_pause (slot, events);
  if (!sel_registry_arm_only (core, fd, slot, slot->active))
    sel_key_slot_pause (slot, SEL_ALL_EVENTS);
  sel_registry_mark_changed (core, fd, slot);
  if (pause != NULL)
    {
      pause->events |= old_active & ~slot->active;
      sel_pause_tidy_up (core);
      sel_pause_add (core, pause);
    }
  else
    {
      sel_pause_update_state (core);
    }
  sel_notify_changed (core, fd);
}

void
sel_pause_defer (SelCore             *core,
                 const SelReadyEvent *event,
                 gconstpointer        function)
{
  SelKeySlot *slot = sel_pause_get_event_slot (core, event);
  SelPause pause = { .fd = event->fd, .generation = event->generation, .function = function };

  if (slot == NULL)
    return;

  pause.until = g_get_monotonic_time () + SEL_PAUSE_INTERVAL;
  sel_pause_slot (core, event->fd, slot, SEL_ALL_EVENTS, &pause);
}

void
sel_pause_begin (SelCore             *core,
                 const SelReadyEvent *event,
                 SelPauseKind         kind)
{
  SelKeySlot *slot;

  if (kind == SEL_PAUSE_FOR_A_WHILE)
    {
      sel_pause_defer (core, event, NULL);
      return;
    }

  slot = sel_pause_get_event_slot (core, event);
  if (slot != NULL)
    sel_pause_slot (core, event->fd, slot, SEL_ALL_EVENTS, NULL);
}

/* The end of a pause of at least @length that begins now. Ends fall together, so that a main loop turns once for
 * many. */
static gint64
sel_pause_get_end (SelCore *core,
                   gint64   length)
{
  gint64 grid;

  length = MAX (length, SEL_PAUSE_SHARE * (gint64) sel_pause_get_n (core));
  grid = MAX (length / SEL_PAUSE_GRID, 1);

  return ((g_get_monotonic_time () + length) / grid + 1) * grid;
}

void
sel_pause_begin_ended (SelCore             *core,
                       const SelReadyEvent *event,
                       SelEventMask         ended)
{
  SelKeySlot *slot = sel_pause_get_event_slot (core, event);
  SelPause pause = { .fd = event->fd, .generation = event->generation, .ended = TRUE };
  gint64 length = SEL_PAUSE_INTERVAL;

  if (slot == NULL)
    return;

  pause.once = sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY) == SEL_HANGUP_POLICY_ONCE;
  if (!pause.once)
    length = sel_hangup_count_take_pause (&slot->hangup);
  pause.until = sel_pause_get_end (core, length);
  sel_pause_slot (core, event->fd, slot, ended, &pause);

  /* A change ends the pause, if the kernel can tell it. Of one direction it cannot, but then nothing comes back. Linux
   * does not tell the writer of a FIFO that there is another reader. */
  if (pause.events == slot->registered && length > SEL_HANGUP_MIN_PAUSE &&
      sel_registry_arm_alarm (core, event->fd, slot) && pause.once && (pause.events & SEL_EVENT_WRITE) == 0)
    {
      g_array_index (core->pauses.list, SelPause, core->pauses.list->len - 1).until = G_MAXINT64;
      sel_pause_update_state (core);
    }
}

/* Tells the kernel about a slot. If that fails for a reason that may pass, tries again after a pause. */
static void
sel_pause_arm_slot (SelCore    *core,
                    int         fd,
                    SelKeySlot *slot,
                    gboolean    is_new)
{
  g_autoptr(GError) error = NULL;

  if (!sel_registry_arm_slot (core, fd, slot, is_new, &error) &&
      !sel_error_is_os (error, EBADF) && !sel_error_is_os (error, EPERM))
    {
      SelPause pause = { .fd = fd, .generation = slot->generation, .events = slot->active & SEL_ALL_EVENTS };

      pause.until = g_get_monotonic_time () + SEL_PAUSE_INTERVAL;
      sel_key_slot_pause (slot, SEL_ALL_EVENTS);
      sel_pause_add (core, &pause);
    }
}

/* The other pause of a registration, which got a new generation, goes on. */
static void
sel_pause_renew (SelCore *core,
                 int      fd,
                 guint32  old_generation,
                 guint32  generation)
{
  for (guint i = 0; i < sel_pause_get_n (core); i++)
    {
      SelPause *pause = &g_array_index (core->pauses.list, SelPause, i);

      if (pause->fd == fd && pause->generation == old_generation)
        pause->generation = generation;
    }
}

static void
sel_pause_resume_slot (SelCore      *core,
                       int           fd,
                       SelKeySlot   *slot,
                       SelEventMask  events)
{
  guint32 old_generation = slot->generation;
  gboolean has_other;

  sel_registry_mark_changed (core, fd, slot);
  sel_key_slot_resume (slot, events);
  has_other = sel_key_slot_is_paused (slot);
  sel_pause_arm_slot (core, fd, slot, TRUE);
  if (has_other)
    sel_pause_renew (core, fd, old_generation, slot->generation);
  sel_notify_changed (core, fd);
}

/* TRUE if the pause follows a hang-up, and the directions are still at their end. */
static gboolean
sel_pause_has_ended (const SelPause *pause)
{
  SelEventMask ended;

  return pause->ended &&
         sel_fd_probe (pause->fd, pause->events, SEL_UNKNOWN_END, &ended) == SEL_FD_READY && ended == pause->events;
}

/* The time of a pause is over. Returns: TRUE if it goes on, as the callback was told of this hang-up already */
static gboolean
sel_pause_prolong (SelCore  *core,
                   SelPause *pause)
{
  if (!pause->once || !sel_pause_has_ended (pause))
    return FALSE;

  pause->until = sel_pause_get_end (core, SEL_PAUSE_INTERVAL);

  return TRUE;
}

/* A callback that has ignored a hang-up is called once, and is paused again if it still does. That no end was found in
 * the other direction meanwhile says nothing about this one. */
static void
sel_pause_end (SelCore        *core,
               const SelPause *pause,
               SelKeySlot     *slot)
{
  slot->calm = FALSE;
  if (pause->once)
    sel_hangup_count_reset (&slot->hangup);
  else if (pause->ended)
    sel_hangup_count_resume (&slot->hangup);
  sel_pause_resume_slot (core, pause->fd, slot, pause->events);
}

/* With the policy ONCE: another hang-up has followed the one that the callback was told of. It is told, after a pause
 * that becomes longer each time: neither a busy peer nor a kernel that reports more echoes than expected can make the
 * loop spin. The loops that poll do not know this time yet, so that their bells are rung. */
static void
sel_pause_tell_again (SelCore    *core,
                      int         fd,
                      SelKeySlot *slot)
{
  for (guint i = 0; i < sel_pause_get_n (core); i++)
    {
      SelPause *pause = &g_array_index (core->pauses.list, SelPause, i);

      if (pause->fd != fd || !pause->once || sel_pause_get_slot (core, pause) == NULL)
        continue;

      pause->once = FALSE;
      pause->until = sel_pause_get_end (core, sel_hangup_count_take_pause (&slot->hangup));
      core->pauses.until = MIN (core->pauses.until, pause->until);
      sel_notify_watchers (core, -1);
    }
}

void
sel_pause_ring (SelCore      *core,
                int           fd,
                SelKeySlot   *slot,
                SelEventMask  events,
                SelEnds       ends)
{
  gboolean is_echo = sel_registry_take_echo (core, fd, slot, events);
  SelEventMask ended;

  events &= slot->registered;
  if (sel_fd_probe (fd, events, ends, &ended) == SEL_FD_READY && ended == events)
    {
      if (!is_echo && events != 0)
        sel_pause_tell_again (core, fd, slot);
      return;
    }

  sel_hangup_count_restart (&slot->hangup);
  sel_pause_remove_fd (core, fd);
  sel_pause_resume_slot (core, fd, slot, SEL_ALL_EVENTS);
}

/* TRUE if the pause goes on. May change its end. */
typedef gboolean (*SelPauseCheck) (SelCore    *core,
                                   SelPause   *pause,
                                   SelKeySlot *slot,
                                   gpointer    data);

/* Ends the pauses for which @check returns FALSE, or all if it is NULL, and drops those that are out of date.
 * Returns: how many go on */
static guint
sel_pause_end_unless (SelCore       *core,
                      SelPauseCheck  check,
                      gpointer       data)
{
  guint n = sel_pause_get_n (core);
  guint n_left = 0;

  /* Those that the kernel refuses are added at the end. */
  for (guint i = 0; i < n; i++)
    {
      SelPause pause = g_array_index (core->pauses.list, SelPause, i);
      SelKeySlot *slot = sel_pause_get_slot (core, &pause);

      if (slot == NULL)
        continue;

      if (check != NULL && check (core, &pause, slot, data))
        g_array_index (core->pauses.list, SelPause, n_left++) = pause;
      else
        sel_pause_end (core, &pause, slot);
    }
  if (n > 0)
    g_array_remove_range (core->pauses.list, n_left, n - n_left);
  sel_pause_update_state (core);

  return n_left;
}

typedef struct
{
  gint64 now;
  guint n_left;              /* the number of pauses that may still end in this turn */
} SelPauseDue;

static gboolean
sel_pause_check_due (SelCore    *core,
                     SelPause   *pause,
                     SelKeySlot *slot,
                     gpointer    data)
{
  SelPauseDue *due = data;

  if (pause->until > due->now || due->n_left == 0)
    return TRUE;

  due->n_left--;

  return sel_pause_prolong (core, pause);
}

void
sel_pause_resume_due (SelCore *core)
{
  SelPauseDue due = { .now = g_get_monotonic_time () };

  if (!sel_state_has (core, SEL_STATE_PAUSED) || due.now < core->pauses.until)
    return;

  due.n_left = MAX (sel_core_get_setting (core, SEL_SETTING_MAX_DISPATCH) / SEL_PAUSE_RESUMED_SHARE, 1);
  sel_pause_end_unless (core, sel_pause_check_due, &due);
}

void
sel_pause_resume_now (SelCore *core)
{
  if (sel_state_has (core, SEL_STATE_PAUSED))
    sel_pause_end_unless (core, NULL, NULL);
}

void
sel_pause_resume_all (SelCore *core)
{
  sel_state_lock (core);
  if (sel_state_is_usable (core))
    sel_pause_resume_now (core);
  sel_state_unlock (core);
}

static gboolean
sel_pause_check_ended (SelCore    *core,
                       SelPause   *pause,
                       SelKeySlot *slot,
                       gpointer    data)
{
  return sel_pause_has_ended (pause);
}

gboolean
sel_pause_resume_changed (SelCore *core)
{
  return sel_state_has (core, SEL_STATE_PAUSED) && sel_pause_end_unless (core, sel_pause_check_ended, NULL) > 0;
}

void
sel_pause_foreach_ended (SelCore      *core,
                         guint         turn,
                         SelPauseFunc  func)
{
  guint n = sel_pause_get_n (core);

  for (guint i = 0; i < n; i++)
    {
      const SelPause *pause = &g_array_index (core->pauses.list, SelPause, (turn % n + i) % n);
      SelKeySlot *slot = sel_pause_get_slot (core, pause);

      if (slot != NULL && pause->ended)
        func (core, pause->fd, slot, pause->events);
    }
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
        sel_pause_resume_slot (core, pause.fd, slot, pause.events);
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
  sel_pause_resume_slot (core, event->fd, slot, SEL_ALL_EVENTS);

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
  sel_key_slot_resume (slot, SEL_ALL_EVENTS);
  sel_hangup_count_reset (&slot->hangup);
}

void
sel_pause_forget_all (SelCore *core)
{
  sel_registry_foreach (core, sel_pause_forget_slot, NULL);
  sel_pause_clear (core);
  sel_state_unset (core, SEL_STATE_PAUSED);
}

/* The kernel does not tell changes of @fd any more: looks after some time. */
static void
sel_pause_limit (SelCore *core,
                 int      fd)
{
  gint64 until = g_get_monotonic_time () + SEL_PAUSE_INTERVAL;

  for (guint i = 0; i < sel_pause_get_n (core); i++)
    {
      SelPause *pause = &g_array_index (core->pauses.list, SelPause, i);

      if (pause->fd == fd)
        pause->until = MIN (pause->until, until);
    }
  sel_pause_update_state (core);
}

static void
sel_pause_arm_if_active (int         fd,
                         SelKeySlot *slot,
                         gpointer    user_data)
{
  if (slot->active != 0)
    sel_pause_arm_slot (user_data, fd, slot, FALSE);
  else if (slot->alarm && !sel_registry_arm_alarm (user_data, fd, slot))
    sel_pause_limit (user_data, fd);
}

void
sel_pause_arm_again (SelCore *core,
                     int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  if (slot != NULL && slot->active != 0)
    sel_pause_arm_slot (core, fd, slot, FALSE);
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
