/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long to wait, and why has the wait ended? See sel-wait-private.h. */

#include "config.h"

#include <errno.h>
#include <math.h>
#include <sys/resource.h>

#include "core/sel-wait-private.h"
#include "sel-error-private.h"
#include "sel-selector-key-private.h"

void
sel_wait_init (SelCore *core)
{
  core->wait.list_room = 64;
}

void
sel_wait_clear (SelCore *core)
{
  sel_found_drop_left (core);
  g_free (core->wait.buffer);
}

void
sel_wait_forked (SelCore *core)
{
  core->wait.list.events = NULL;
  core->wait.locked = FALSE;
  core->wait.found = NULL;
  sel_found_drop_left (core);
  sel_state_unset (core, SEL_STATE_FOUND);
  sel_registry_clear_changed (core);
}

gdouble
sel_wait_get_time (void)
{
  return (gdouble) g_get_monotonic_time () / G_USEC_PER_SEC;
}

/* --- Beginning --- */

gboolean
sel_wait_check_timeout (SelCore  *core,
                        gdouble   timeout,
                        GError  **error)
{
  if (!isnan (timeout))
    return TRUE;

  if (sel_lifecycle_ensure_open_locking (core, error))
    g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT,
                         "The timeout is not a number");

  return FALSE;
}

/* During an asynchronous wait a main loop may poll, but no thread may wait. */
gboolean
sel_wait_claim (SelCore        *core,
                SelStateFlags   claimed,
                GError        **error)
{
  SelStateFlags busy = SEL_STATE_IN_WAIT;
  gboolean success;

  if (claimed == SEL_STATE_WAITING)
    busy |= SEL_STATE_ASYNC_PENDING;
  else if (claimed == SEL_STATE_ASYNC_PENDING)
    busy = SEL_STATE_ASYNC_PENDING | SEL_STATE_WAITING;

  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_lifecycle_ensure_open (core, error) && sel_state_claim (core, claimed, busy, error);
  sel_state_unlock (core);

  return success;
}

/* Returns @timeout, or the seconds until @time if these are less. MIN() and MAX() would read the clock more than once,
 * and the last value could be negative. */
static gdouble
sel_wait_limit_timeout (gdouble timeout,
                        gint64  time)
{
  gdouble left = (gdouble) (time - g_get_monotonic_time ()) / G_USEC_PER_SEC;

  return left > 0 ? MIN (timeout, left) : 0;
}

/* A select (0) in a callback belongs to the turn of the main loop: no pause ends in it, and it is not told what is
 * paused. The turn would not count such a report. Every other thread that waits gets everything. */
static gboolean
sel_wait_is_in_turn (SelCore *core,
                     gdouble  timeout)
{
  return timeout <= 0 && (core->wait.flags & (SEL_WAIT_DISPATCH | SEL_WAIT_ASYNC)) == 0 &&
         ((core->wait.flags & SEL_WAIT_IN_CALLBACK) != 0 || sel_found_is_handed_over (core));
}

static void
sel_wait_report_paused (SelCore      *core,
                        int           fd,
                        SelKeySlot   *slot,
                        SelEventMask  ended)
{
  sel_ready_list_add (core, fd, slot, ended, SEL_UNKNOWN_END);
}

/* The ready descriptors that the kernel does not report. */
static void
sel_wait_report_without_kernel (SelCore *core)
{
  if (sel_state_has (core, SEL_STATE_ALWAYS_READY))
    sel_ready_list_report_always_ready (core);
  if (core->wait.tells_paused)
    {
      sel_ready_list_index (core);
      sel_pause_foreach_ended (core, core->wait.turn, sel_wait_report_paused);
    }
}

/* In every other wait they come first, so that a small array has room for those that the kernel reports, too. The
 * waits of main loops and those of their callbacks may alternate, so that they are counted separately. For a callback
 * that takes what its turn has found, the turn has chosen already. */
static void
sel_wait_begin_turn (SelCore *core)
{
  gboolean is_dispatch = (core->wait.flags & SEL_WAIT_DISPATCH) != 0;
  guint n_waits = ++core->wait.turns[is_dispatch];

  core->wait.turn = n_waits / 2;
  if (n_waits % 2 == 0)
    sel_wait_report_without_kernel (core);
}

/* The slow path of the beginning of a wait in the kernel. Returns the timeout for the kernel: 0 if a descriptor is
 * always ready or sel_base_selector_wakeup() was called; at most the time until a pause ends; SEL_WAIT_WITHOUT_KERNEL
 * if a main loop has asked the kernel already, or the list is full. */
gdouble
sel_wait_prepare (SelCore  *core,
                  gdouble   timeout,
                  gboolean  is_first)
{
  gboolean asks_kernel = TRUE;
  gboolean in_turn, is_asked, tells_paused, has_others;
  gint64 next;

  sel_state_lock (core);

  in_turn = sel_wait_is_in_turn (core, timeout);
  is_asked = in_turn && sel_found_is_asked (core);
  if (!in_turn)
    sel_pause_resume_due (core);
  tells_paused = is_first ? sel_state_has (core, SEL_STATE_WAITING) && !in_turn : core->wait.tells_paused;
  core->wait.tells_paused = tells_paused && sel_pause_resume_changed (core);
  if (is_first)
    {
      sel_registry_clear_changed (core);
      core->wait.wakeup_reported = FALSE;
    }

  has_others = sel_registry_check_always_ready (core) || core->wait.tells_paused;
  if (is_first && has_others && !is_asked)
    sel_wait_begin_turn (core);

  sel_found_take_left (core);
  if (is_first && sel_state_has (core, SEL_STATE_FOUND))
    asks_kernel = !sel_found_take (core);

  /* The turn leaves out what its callback was told, and ignores. */
  if (is_asked)
    core->wait.list.n_ignored_left = 0;

  core->wait.n_alarms = sel_registry_get_n_alarms (core);

  /* A report for which there is no room would have had its turn in the kernel. */
  if (!sel_ready_list_is_growable (core) && core->wait.list.n_events == core->wait.list.size)
    asks_kernel = FALSE;

  next = sel_pause_get_next (core);
  if (has_others || sel_state_has (core, SEL_STATE_WOKEN) || core->wait.list.n_events > 0)
    timeout = 0;
  else if (next >= 0)
    timeout = sel_wait_limit_timeout (timeout, next);
  sel_state_unlock (core);

  return asks_kernel ? timeout : SEL_WAIT_WITHOUT_KERNEL;
}

/* --- After the kernel has returned --- */

/* Explains a refusal of the kernel that is due to the limits of the process. */
static void
sel_wait_explain_limit (SelCore  *core,
                        GError  **error)
{
  guint n_keys = sel_registry_get_n_keys (core);
  struct rlimit limit;

  if (!sel_error_is_os (*error, EINVAL) || getrlimit (RLIMIT_NOFILE, &limit) < 0 ||
      (n_keys < limit.rlim_cur && limit.rlim_cur > 1))
    return;

  g_prefix_error (error, "%u descriptors are registered, but RLIMIT_NOFILE is only %lu: ",
                  n_keys, (gulong) limit.rlim_cur);
}

/* Returns: FALSE if the wait fails. Signals, and errors after closing, are no failures: the caller handles them */
gboolean
sel_wait_handle_failure (SelCore   *core,
                         gboolean   success,
                         GError    *local_error,
                         gboolean  *interrupted,
                         GError   **error)
{
  if (sel_registry_complete_error (core, "wait", success, &local_error))
    return TRUE;

  *interrupted = sel_error_is_os (local_error, EINTR);
  if (*interrupted || sel_state_has (core, SEL_STATE_CLOSED))
    {
      g_error_free (local_error);
      return TRUE;
    }

  sel_wait_explain_limit (core, &local_error);
  g_propagate_error (error, local_error);

  return FALSE;
}

/* Handles the changes that other threads have made during the wait in the kernel. */
gboolean
sel_wait_check_ended (SelCore       *core,
                      GCancellable  *cancellable,
                      GError       **error)
{
  if (sel_state_has (core, SEL_STATE_CLOSED))
    return sel_error_set_closed (error);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;

  if (sel_state_has (core, SEL_STATE_CHANGED))
    sel_ready_list_drop_stale (core);

  return TRUE;
}

/* Returns: TRUE if the kernel has to be asked again, because it may have more descriptors for the list */
gboolean
sel_wait_needs_more (SelCore *core)
{
  const SelReadyList *list = &core->wait.list;

  /* Ask for more from now on. */
  if (sel_ready_list_is_growable (core) && list->room == core->wait.list_room)
    {
      core->wait.list_room = MAX (2 * core->wait.list_room, (gsize) sel_registry_get_n_keys (core) + 1);
      return TRUE;
    }

  return list->needs_retry && (sel_ready_list_is_growable (core) || list->n_events < list->size);
}

/* A wake-up is for the thread or the asynchronous wait that waits now or next, not for the callbacks of a main loop. */
static void
sel_wait_take_wakeup (SelCore *core)
{
  if ((core->wait.flags & SEL_WAIT_DISPATCH) == 0)
    {
      sel_state_unset (core, SEL_STATE_WOKEN);
      core->wait.woken = TRUE;
    }
  else if (sel_state_has (core, SEL_STATE_ASYNC_PENDING))
    {
      sel_notify_watchers (core, -1);
    }
}

/* Adds the descriptors that the kernel does not report. @asked: the kernel was asked. Returns: TRUE if this ends the
 * wait */
gboolean
sel_wait_complete (SelCore  *core,
                   gboolean  asked)
{
  if (asked && core->wait.list.n_reports < core->wait.list.room)
    sel_registry_end_echoes (core, core->wait.n_alarms);

  sel_wait_report_without_kernel (core);
  if (sel_state_has (core, SEL_STATE_FOUND))
    sel_found_tell (core);
  if (!sel_state_has (core, SEL_STATE_WOKEN))
    return FALSE;

  sel_wait_take_wakeup (core);

  return TRUE;
}

gboolean
sel_wait_is_interruptible (SelCore *core)
{
  return (core->wait.flags & SEL_WAIT_INTERRUPTIBLE) != 0 || sel_core_get_setting (core, SEL_SETTING_INTERRUPTIBLE);
}

/* Continues the wait until there is a reason to return. The lock is held before and after the call. */
gboolean
sel_wait_continue (SelCore        *core,
                   SelWaitResult   result,
                   gdouble         timeout,
                   gdouble         deadline,
                   GCancellable   *cancellable,
                   GError        **error)
{
  while (result != SEL_WAIT_FAILED && result != SEL_WAIT_DONE)
    {
      gdouble limit = 0;

      if (result == SEL_WAIT_TOO_SHORT)
        {
          if (deadline > 0)
            {
              gdouble left = deadline - sel_wait_get_time ();

              timeout = MIN (timeout, left);
            }
          if (timeout <= 0 && deadline > 0)
            return TRUE;
          limit = timeout;
        }

      sel_state_unlock (core);
      result = sel_wait_once (core, limit, timeout <= 0, FALSE, sel_ready_list_is_growable (core),
                              cancellable, error);
    }

  return result == SEL_WAIT_DONE;
}

/* A wait that @cancellable can end. Must be called without the lock, and returns with the lock held. */
gboolean
sel_wait_run_cancellable (SelCore       *core,
                          gdouble        timeout,
                          gdouble        deadline,
                          GCancellable  *cancellable,
                          GError       **error)
{
  SelWaitResult result;
  gboolean success;
  gulong id = 0;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    {
      sel_state_lock (core);
      return FALSE;
    }

  if (timeout > 0)
    id = sel_notify_connect_cancellable (core, cancellable);

  result = sel_wait_once (core, timeout, timeout <= 0, TRUE, sel_ready_list_is_growable (core), cancellable, error);
  success = sel_wait_continue (core, result, timeout, deadline, cancellable, error);

  /* A handler that is running goes on with a reference of its own. Waiting for its end would need to give up the
   * lock, and the events would be out of date. */
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);

  return success;
}

/* Ends a wait that has failed. If the selector was closed meanwhile, the waiting thread may be the last one to
 * leave. */
void
sel_wait_abort (SelCore *core)
{
  SEL_POINT ("locked-wait-abort");
  sel_ready_list_set_events (core, NULL);
  sel_state_unset (core, SEL_STATE_IN_WAIT);
  sel_wait_end_slow (core);
  sel_lifecycle_release_if_unused (core);
  sel_state_unlock (core);
}

/* A source that has found the selector BUSY may ask again. */
void
sel_wait_end_slow (SelCore *core)
{
  sel_registry_clear_changed (core);
  if (sel_state_has (core, SEL_STATE_SOURCE_BLOCKED))
    {
      sel_state_unset (core, SEL_STATE_SOURCE_BLOCKED);
      sel_notify_watchers (core, -1);
    }
}

void
sel_wait_block_source (SelCore *core)
{
  sel_state_lock (core);
  if (sel_state_has (core, SEL_STATE_WAITING))
    {
      sel_state_set (core, SEL_STATE_SOURCE_BLOCKED);
      sel_notify_watchers (core, -1);
    }
  sel_state_unlock (core);
}

/* --- Asynchronous waits, and lists --- */

gboolean
sel_wait_begin_async (SelCore  *core,
                      gdouble   timeout,
                      GError  **error)
{
  return sel_wait_check_timeout (core, timeout, error) && sel_wait_claim (core, SEL_STATE_ASYNC_PENDING, error);
}

void
sel_wait_end_async (SelCore *core)
{
  sel_state_unset (core, SEL_STATE_ASYNC_PENDING);
}

GPtrArray *
sel_wait_make_list (SelCore *core)
{
  const SelReadyEvent *ready = core->wait.list.events;
  guint n = (guint) core->wait.list.n_events;
  GPtrArray *events = g_ptr_array_new_full (n, (GDestroyNotify) sel_selector_event_unref);

  g_ptr_array_set_size (events, (int) n);
  for (guint i = 0; i < n; i++)
    {
      SelKeySlot *slot = sel_registry_lookup (core, ready[i].fd);
      SelSelectorKey *key = sel_key_slot_get_key (slot, ready[i].fd);

      g_ptr_array_index (events, i) = sel_selector_key_ref_event (key, ready[i].events);
    }
  sel_wait_end (core);

  return events;
}

gssize
sel_wait_poll_events (SelCore        *core,
                      SelReadyEvent **events,
                      gboolean       *woken,
                      GError        **error)
{
  gssize n = sel_wait_run (core, 0, NULL, NULL, 0, SEL_WAIT_ASYNC, NULL, error);

  if (n < 0)
    return -1;

  *woken = core->wait.woken;
  *events = g_memdup2 (core->wait.list.events, (gsize) n * sizeof (SelReadyEvent));
  sel_wait_end (core);

  return n;
}

GPtrArray *
sel_wait_list_events (SelCore             *core,
                      const SelReadyEvent *events,
                      gssize               n_events)
{
  GPtrArray *list = g_ptr_array_new_full ((guint) n_events, (GDestroyNotify) sel_selector_event_unref);

  sel_state_lock (core);
  for (gssize i = 0; i < n_events; i++)
    {
      SelKeySlot *slot = sel_registry_find_event (core, &events[i]);

      if (slot != NULL)
        g_ptr_array_add (list, sel_selector_key_ref_event (sel_key_slot_get_key (slot, events[i].fd),
                                                           events[i].events));
    }
  sel_state_unlock (core);

  return list;
}

void
sel_wait_wake (SelCore *core)
{
  sel_state_set (core, SEL_STATE_WOKEN);
  SEL_POINT ("wakeup-set");

  sel_notify_wake (core);
}
