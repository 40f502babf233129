/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-wait-private.h"
#include "loop/sel-source-data-private.h"
#include "loop/sel-source-dispatch-private.h"
#include "sel-error-private.h"

/* Whom does a source call? The dispatch () of the three kinds of sources. */

/* The time between two attempts after an error that may pass, in microseconds, and the number of intervals without an
 * error after which the next error is reported again. */
#define RETRY_INTERVAL (100 * 1000)
#define RETRIES_BEFORE_NEWS 10

/* Does the work that other threads have left to the source. Returns: FALSE if the source is to be removed */
static gboolean
sel_source_do_work (SelSource *self)
{
  SelCore *core = sel_core (self->selector);
  g_autoptr(GPtrArray) garbage = NULL;

  sel_state_lock (core);
  garbage = sel_watcher_steal_garbage (&self->watcher);
  sel_state_unlock (core);

  if (!sel_watcher_has (&self->watcher, SEL_WATCHER_CLOSED))
    return TRUE;

  sel_source_leave (&self->source, FALSE);

  return FALSE;
}

/* The beginning of each dispatch (). Returns: FALSE if the source is to be removed */
static inline gboolean
sel_source_begin_dispatch (SelSource *self)
{
  SEL_POINT ("dispatch");

  /* GLib does not call check () if prepare () has returned TRUE. */
  if (G_UNLIKELY (sel_watcher_is_prepared (&self->watcher)))
    sel_source_collect (self);
  self->has_kept = FALSE;
  self->n_end_checks = 0;

  return G_LIKELY (!sel_watcher_has (&self->watcher, SEL_WATCHER_GARBAGE | SEL_WATCHER_CLOSED)) ||
         sel_source_do_work (self);
}

static void
sel_source_retry_later (SelSource    *self,
                        const GError *error)
{
  gint64 now = g_get_monotonic_time ();

  if (now >= self->retry_time + RETRIES_BEFORE_NEWS * RETRY_INTERVAL)
    g_warning ("A selector in a main loop cannot tell what is ready, and tries again: %s", error->message);

  self->retry_time = now + RETRY_INTERVAL;
  self->next_resume = self->retry_time;
}

/* In mirrored mode, the next wait of this thread takes the findings of the context. Fails if the selector's own
 * descriptor is closed. */
static gboolean
sel_source_hand_over (SelSource  *self,
                      GError    **error)
{
  SelCore *core = sel_core (self->selector);

  if (!sel_watcher_is_mirrored (&self->watcher))
    return TRUE;

  sel_found_hand_over (&self->mirror.found, core, NULL);
  if (sel_mirror_report_closed (&self->mirror, core, error))
    return TRUE;

  sel_found_take_back (&self->mirror.found, core);

  return FALSE;
}

static void
sel_source_take_back (SelSource *self)
{
  if (sel_watcher_is_mirrored (&self->watcher))
    sel_found_take_back (&self->mirror.found, sel_core (self->selector));
}

/* The selector was asked, and nothing is ready, or it has failed with @error. Returns: FALSE if the source is to be
 * removed */
static gboolean
sel_source_handle_nothing (SelSource *self,
                           gssize     n,
                           GError    *local_error)
{
  SelCore *core = sel_core (self->selector);
  g_autoptr(GError) error = local_error;

  if (n == 0)
    return TRUE;
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return FALSE;

  /* There is nothing to poll before sel_base_selector_reinit(). */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED))
    {
      sel_state_lock (core);
      sel_mirror_poll_nothing (&self->mirror, &self->watcher);
      sel_state_unlock (core);
      sel_found_drop_all (&self->mirror.found);
      return TRUE;
    }

  /* Another thread waits, and its wait reports the descriptors that are ready. */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
    {
      sel_wait_block_source (core);
      return TRUE;
    }

  if (sel_error_may_pass (error))
    {
      sel_source_retry_later (self, error);
      return TRUE;
    }

  g_warning ("A selector does not work any more, and is taken out of the main loop: %s", error->message);

  return FALSE;
}

/* The function of a source that has none. @user_data is the batch. */
static gboolean
sel_source_pause_without_callback (SelBaseSelector *selector,
                                   SelSelectorKey  *key,
                                   SelEventMask     events,
                                   gpointer         user_data)
{
  const SelReadyEvent *event = sel_batch_get_current_event (user_data);
  SelCore *core = sel_core (selector);

  g_warning ("Descriptor %d is ready, but neither it nor its source has a callback; it is not "
             "waited for until it is modified", event->fd);
  sel_state_lock (core);
  sel_pause_begin (core, event, SEL_PAUSE_UNTIL_MODIFIED);
  sel_state_unlock (core);

  return G_SOURCE_CONTINUE;
}

/* TRUE if the turn has time for another probe of an end. */
static gboolean
sel_source_can_check_end (SelSource *self)
{
  return self->n_end_checks++ < sel_hangup_get_max_probes (sel_core (self->selector));
}

/* Makes the checks that are due before a call. A context that polls each descriptor cannot mistake a file for another
 * one; the check of that is left out, as it would take the next news of a file that tells them once. Without time for a
 * probe the callback is called, and the probe is due again before the next call. With the policy ONCE there must not be
 * another call: the event is left for a later turn, if the kernel says that it is an end.
 * Returns: the events to call the callback for, or 0 */
static SelEventMask
sel_source_check_event (SelSource           *self,
                        const SelReadyEvent *event,
                        SelHangupChecks      checks,
                        gboolean             calls_select)
{
  SelCore *core = sel_core (self->selector);
  gboolean is_once = sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY) == SEL_HANGUP_POLICY_ONCE;

  if (sel_watcher_is_mirrored (&self->watcher))
    checks &= ~(SelHangupChecks) SEL_HANGUP_CHECK_STALE;
  if ((checks & SEL_HANGUP_CHECK_ENDED) != 0 && !(is_once && (event->ends & SEL_READ_END) == 0) &&
      !sel_source_can_check_end (self))
    {
      if (is_once)
        return 0;
      checks &= ~(SelHangupChecks) SEL_HANGUP_CHECK_ENDED;
    }

  return checks != 0 ? sel_hangup_check (core, event, checks, calls_select) : event->events;
}

/* The same for an entry of a batch. Returns: FALSE if there is nothing to call the callback for */
static G_NO_INLINE gboolean
sel_source_check_entry (SelSource           *self,
                        SelBatch            *batch,
                        const SelBatchEntry *entry)
{
  SelEventMask left = sel_source_check_event (self, sel_batch_get_event (batch, entry),
                                              sel_batch_entry_get_checks (entry), FALSE);

  sel_batch_set_events (batch, entry, left);

  return left != 0;
}

/* Calls the callbacks of a batch. If a callback, or a destroy notify, runs a main loop, that loop dispatches the ready
 * descriptors, and the remaining part of the batch is out of date: @n_passed tells where it begins.
 * Returns: FALSE if the source is to be removed */
static inline gboolean
sel_source_dispatch_batch (SelSource       *self,
                           SelBatch        *batch,
                           SelSelectorFunc  func,
                           gpointer         user_data,
                           const guint     *may_be_destroyed,
                           gssize          *n_passed)
{
  gboolean goes_on = !g_source_is_destroyed (&self->source);
  SelCore *core = sel_core (self->selector);
  const SelBatchEntry *entry;

  if (func == NULL)
    {
      func = sel_source_pause_without_callback;
      user_data = batch;
    }

  while (goes_on && sel_dispatch_next (core, batch, &entry) &&
         !(sel_source_function_is_dropped (may_be_destroyed) && g_source_is_destroyed (&self->source)))
    {
      SEL_POINT ("dispatch-entered");
      if (!sel_batch_entry_has_checks (entry) || sel_source_check_entry (self, batch, entry))
        goes_on = sel_dispatch_call (core, self->selector, entry, func, user_data);
    }

  *n_passed = sel_batch_get_n_passed (batch);
  sel_dispatch_end (core, batch);

  return goes_on;
}

gboolean
sel_source_dispatch_events (GSource     *source,
                            GSourceFunc  callback,
                            gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelBatch *batch = self->batch;
  const guint *may_be_destroyed = sel_source_function_begin (g_steal_pointer (&self->function));
  SelSelectorFunc func = (SelSelectorFunc) (void (*) (void)) callback;
  SelReadyEvent *events;
  gsize n_events;
  GError *error = NULL;
  gboolean is_mirrored = sel_watcher_is_mirrored (&self->watcher);
  gssize n, n_passed;
  guint n_dispatches = 0;
  gboolean goes_on;

  if (!sel_source_begin_dispatch (self))
    return G_SOURCE_REMOVE;

  if (G_UNLIKELY (is_mirrored) && !sel_source_hand_over (self, &error))
    return sel_source_handle_nothing (self, -1, error);
  n_events = sel_dispatch_get_room (sel_core (self->selector));
  events = g_newa (SelReadyEvent, n_events);
  n = sel_dispatch_begin (sel_core (self->selector), &batch, self, events, n_events, &error);
  SEL_POINT ("dispatch-selected");
  if (G_UNLIKELY (is_mirrored))
    sel_source_take_back (self);
  if (G_UNLIKELY (n <= 0))
    return sel_source_handle_nothing (self, n, error);

  if (G_UNLIKELY (is_mirrored))
    {
      n_dispatches = ++self->n_dispatches;
      sel_mirror_note_taken (&self->mirror, events, n, n_dispatches);
    }
  goes_on = sel_source_dispatch_batch (self, batch, func, user_data, may_be_destroyed, &n_passed);
  if (G_UNLIKELY (is_mirrored))
    {
      sel_mirror_keep (&self->mirror, events, n_passed, n, n_dispatches);
      self->has_kept = sel_found_tells_once (&self->mirror.found);
    }

  return goes_on;
}

/* TRUE if the time of g_source_set_ready_time() has come. */
static gboolean
sel_source_is_due (GSource *source)
{
  gint64 ready_time = g_source_get_ready_time (source);

  return ready_time >= 0 && ready_time <= g_source_get_time (source);
}

/* Counts a call for each event, and makes the checks. Returns: how many events are left */
static gssize
sel_source_check_events (SelSource     *self,
                         SelReadyEvent *events,
                         gssize         n,
                         gboolean       calls_select)
{
  SelCore *core = sel_core (self->selector);
  gssize n_left = 0;

  for (gssize i = 0; i < n; i++)
    {
      SelHangupChecks checks = sel_hangup_count_event (core, &events[i], calls_select);

      events[i].events = sel_source_check_event (self, &events[i], checks, calls_select);
      if (events[i].events != 0)
        events[n_left++] = events[i];
    }

  return n_left;
}

/* Calls a GSourceFunc. The next wait of this thread, in the function, takes the findings. */
static gboolean
sel_source_call_function (SelSource   *self,
                          GSourceFunc  callback,
                          gpointer     user_data)
{
  SelCore *core = sel_core (self->selector);
  gboolean can_recurse = !self->awaits && sel_core_get_setting (core, SEL_SETTING_CAN_RECURSE);
  gboolean goes_on = sel_source_run_call (&self->run, &self->source, can_recurse, callback, user_data);

  sel_mirror_release (&self->mirror, core, &self->watcher);

  return goes_on;
}

/* A callback that has not asked was told, unless a callback that runs its main loop still asks. */
static void
sel_source_tell_all (SelSource           *self,
                     SelFound            *asked,
                     const SelReadyEvent *events,
                     gssize               n)
{
  SelCore *core = sel_core (self->selector);

  sel_state_lock (core);
  if (!sel_found_is_asked (core))
    {
      sel_hangup_tell (core, events, (gsize) n);
      sel_found_drop_all (asked);
    }
  sel_state_unlock (core);
}

/* Calls the callback of a plain source, which asks the selector again: the first select () gets the findings.
 * @is_complete is TRUE if nothing else is ready. */
static gboolean
sel_source_call_plain (SelSource           *self,
                       GSourceFunc          callback,
                       gpointer             user_data,
                       const SelReadyEvent *events,
                       gssize               n,
                       gboolean             is_complete)
{
  SelCore *core = sel_core (self->selector);
  SelFound *asked = self->asked != NULL ? g_steal_pointer (&self->asked) : sel_found_new ();
  gboolean goes_on;

  sel_mirror_lend (&self->mirror, asked, events, n);
  sel_found_set_now (asked, core);
  sel_found_set_complete (asked, is_complete);
  sel_found_hand_over (asked, core, sel_hangup_tell);
  goes_on = sel_source_call_function (self, callback, user_data);
  if (sel_found_take_back (asked, core))
    sel_source_tell_all (self, asked, events, n);

  if (sel_watcher_is_mirrored (&self->watcher))
    sel_found_put_back (&self->mirror.found, asked);
  else
    sel_found_drop_all (asked);
  self->has_kept = sel_found_tells_once (&self->mirror.found);
  sel_found_free (self->asked);
  self->asked = asked;

  return goes_on;
}

/* The descriptors that the callback has no room for would lose their turn in the kernel. */
static gsize
sel_source_get_plain_room (SelSource *self)
{
  gsize room = sel_dispatch_get_room (sel_core (self->selector));

  if (sel_watcher_is_mirrored (&self->watcher) || self->asked == NULL)
    return room;

  return MIN (room, sel_found_get_room (self->asked));
}

gboolean
sel_source_dispatch (GSource     *source,
                     GSourceFunc  callback,
                     gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelReadyEvent *events;
  gsize n_events;
  GError *error = NULL;
  gssize n, n_left;

  if (G_UNLIKELY (self->run.is_running))
    return sel_source_run_hold_ready_time (&self->run, source);
  if (!sel_source_begin_dispatch (self))
    return G_SOURCE_REMOVE;

  if (!sel_source_hand_over (self, &error))
    return sel_source_handle_nothing (self, -1, error);
  n_events = sel_source_get_plain_room (self);
  events = g_newa (SelReadyEvent, n_events);
  n = sel_dispatch_poll (sel_core (self->selector), events, n_events, &error);
  sel_source_take_back (self);
  if (n <= 0 && !sel_source_handle_nothing (self, n, error))
    return G_SOURCE_REMOVE;

  n_left = sel_source_check_events (self, events, n, TRUE);
  if (n_left == 0 && !sel_source_is_due (source))
    return G_SOURCE_CONTINUE;

  return callback != NULL && sel_source_call_plain (self, callback, user_data, events, n_left,
                                                     n < (gssize) n_events)
         ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

gssize
sel_source_dispatch_check (GSource       *source,
                           SelReadyEvent *events,
                           gssize         n_events)
{
  return sel_source_check_events ((SelSource *) source, events, n_events, FALSE);
}

gboolean
sel_source_dispatch_wait (GSource     *source,
                          GSourceFunc  callback,
                          gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  g_autoptr(SelBaseSelector) selector = NULL;
  gboolean is_mirrored, goes_on;

  if (G_UNLIKELY (self->run.is_running))
    return sel_source_run_hold_ready_time (&self->run, source);
  if (G_UNLIKELY (self->is_idle))
    {
      /* The work may begin another wait. */
      sel_source_begin_dispatch (self);
      return self->is_idle ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
    }
  sel_source_begin_dispatch (self);

  /* The callback has to look again if the bell is rung from now on: GLib may pass over check () in the next turn. */
  sel_watcher_forget_rings (&self->watcher);

  /* If the wait ends in the callback, the source does not keep the selector alive any more. */
  selector = g_object_ref (self->selector);

  /* The callback gets the same error when it asks the selector. */
  sel_mirror_report_closed (&self->mirror, sel_core (self->selector), NULL);

  /* The mode may change in the callback. */
  is_mirrored = sel_watcher_is_mirrored (&self->watcher);
  if (is_mirrored)
    sel_found_hand_over (&self->mirror.found, sel_core (self->selector), NULL);
  goes_on = sel_source_call_function (self, callback, user_data);
  if (is_mirrored)
    sel_found_take_back (&self->mirror.found, sel_core (self->selector));

  return goes_on;
}
