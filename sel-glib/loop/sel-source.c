/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"
#include "loop/sel-mirror-private.h"
#include "loop/sel-source-private.h"

/* A source that puts a selector into a context. Its watcher and its mirror are kept in step in prepare (); everything
 * that calls foreign code happens in dispatch (). */

typedef struct
{
  GSource source;
  SelWatcher watcher;
  SelBaseSelector *selector;
  SelMirror mirror;
  GPollFD bell;              /* of the watcher; -1 if it could not be opened */

  gboolean awaits;           /* it belongs to an asynchronous wait, which sel_base_selector_wakeup() ends */
  gboolean is_ready;         /* something is ready that cannot be polled */
  gint64 next_resume;        /* when a pause ends, or -1; monotonic time, as the next one */
  gint64 retry_time;         /* until then nothing is polled, as the system had no room; 0 if that never happened */
  SelBatch *batch;           /* NULL if the source calls no callbacks of descriptors */
} SelSource;

/* The time between two attempts after an error that may pass, in microseconds, and the number of intervals without an
 * error after which the next error is reported again. */
#define RETRY_INTERVAL (100 * 1000)
#define RETRIES_BEFORE_NEWS 10

/* If the bell could not be opened, the source looks at its watcher at this interval, in milliseconds. */
#define BELL_INTERVAL 100

static SelSource *
sel_source_from_watcher (SelWatcher *watcher)
{
  return (SelSource *) (void *) ((char *) watcher - G_STRUCT_OFFSET (SelSource, watcher));
}

static gboolean
sel_source_has_flag (SelSource       *self,
                     SelWatcherFlags  flags)
{
  return ((guint) g_atomic_int_get (&self->watcher.flags) & flags) != 0;
}

/* Opens the bell, if that is possible, and makes the context poll it. With the lock. */
static void
sel_source_open_bell (SelSource *self)
{
  sel_registry_open_bell (sel_core (self->selector), self->watcher.bell);
  self->bell.fd = self->watcher.bell->read_fd;
  self->bell.events = G_IO_IN;
  if (self->bell.fd >= 0 && !g_source_is_destroyed (&self->source))
    g_source_add_poll (&self->source, &self->bell);
}

/* In a child process, or if the bell could not be opened. With the lock. */
static void
sel_source_renew_bell (SelSource *self)
{
  if (self->bell.fd >= 0 && !g_source_is_destroyed (&self->source))
    g_source_remove_poll (&self->source, &self->bell);
  sel_wakeup_close (self->watcher.bell);
  self->watcher.is_inherited = FALSE;
  sel_source_open_bell (self);
}

/* The source does not use the selector any more. If it is destroyed, GLib has stopped polling for it. */
static void
sel_source_leave (SelSource *self,
                  gboolean   is_destroyed)
{
  SelCore *core = sel_core (self->selector);

  SEL_POINT ("source-leave");
  sel_state_lock (core);
  if (!is_destroyed)
    sel_mirror_poll_nothing (&self->mirror, &self->watcher);
  else if (self->batch != NULL)
    sel_dispatch_remove_batch (core, self->batch);
  sel_notify_remove_watcher (core, &self->watcher);
  sel_lifecycle_release_if_unused (core);
  sel_state_unlock (core);
}

/* The selector was closed in the thread of the source. */
static void
sel_source_close (SelWatcher *watcher)
{
  SelSource *self = sel_source_from_watcher (watcher);

  g_source_ref (&self->source);
  sel_source_leave (self, FALSE);
  if (!self->awaits)
    g_source_destroy (&self->source);
  g_source_unref (&self->source);
}

static gboolean
sel_source_is_destroyed (SelWatcher *watcher)
{
  return g_source_is_destroyed (&sel_source_from_watcher (watcher)->source);
}

/* Makes the context poll the descriptors that the selector needs, and nothing else. */
static void
sel_source_sync_locked (SelSource *self)
{
  SelCore *core = sel_core (self->selector);

  self->is_ready = FALSE;
  self->next_resume = -1;
  if (sel_state_has (core, SEL_STATE_CLOSED))
    return;

  if (sel_state_has (core, SEL_STATE_SOURCE_BLOCKED))
    {
      sel_mirror_poll_nothing (&self->mirror, &self->watcher);
    }
  else if (g_get_monotonic_time () < self->retry_time)
    {
      sel_mirror_poll_nothing (&self->mirror, &self->watcher);
      self->next_resume = self->retry_time;
    }
  else
    {
      sel_mirror_sync (&self->mirror, core, &self->watcher);
      self->is_ready = (sel_state_has (core, SEL_STATE_ALWAYS_READY) && !sel_state_has (core, SEL_STATE_FORKED)) ||
                       (self->awaits && sel_state_has (core, SEL_STATE_WOKEN));
      self->next_resume = self->awaits ? -1 : sel_pause_get_next (core);
    }
}

static void
sel_source_sync (SelSource *self)
{
  SelCore *core = sel_core (self->selector);

  sel_state_lock (core);
  SEL_POINT ("locked-sync");
  if (!sel_watcher_begin_sync (&self->watcher, self->bell.revents != 0))
    sel_source_renew_bell (self);
  sel_source_sync_locked (self);
  sel_state_unlock (core);
}

/* TRUE if the context may have to poll something else than before. Some things change without a notification. */
static gboolean
sel_source_needs_sync (SelSource *self)
{
  return sel_source_has_flag (self, SEL_WATCHER_SYNC) || !sel_watcher_is_own (&self->watcher) ||
         self->is_ready || self->awaits || self->next_resume >= 0 || self->bell.fd < 0 ||
         sel_state_is_new_process (sel_core (self->selector));
}

/* TRUE if the source has work to do in dispatch (), which must not be done before: GLib does not allow a loop in
 * prepare (). */
static gboolean
sel_source_has_work (SelSource *self)
{
  return self->is_ready || sel_source_has_flag (self, SEL_WATCHER_GARBAGE | SEL_WATCHER_CLOSED);
}

static gboolean
sel_source_prepare (GSource *source,
                    int     *timeout)
{
  SelSource *self = (SelSource *) source;
  gint64 next = self->next_resume;

  SEL_POINT ("prepare");
  if (sel_source_needs_sync (self))
    {
      sel_source_sync (self);
      next = self->next_resume;
    }

  /* From now on, a change by this thread rings the bell, too, as the context is about to poll. */
  SEL_POINT ("prepare-synced");
  self->watcher.is_prepared = TRUE;
  SEL_POINT ("prepared");

  *timeout = -1;
  if (next >= 0)
    {
      /* The ready time of the source belongs to the program. */
      gint64 left = MAX (next - g_source_get_time (source), 0);

      *timeout = (int) MIN ((left + 999) / 1000, G_MAXINT);
    }
  if (G_UNLIKELY (self->bell.fd < 0))
    *timeout = *timeout < 0 ? BELL_INTERVAL : MIN (*timeout, BELL_INTERVAL);

  return *timeout == 0 || sel_source_has_work (self);
}

static gboolean
sel_source_check (GSource *source)
{
  SelSource *self = (SelSource *) source;

  self->watcher.is_prepared = FALSE;

  if (G_LIKELY (!self->awaits && self->next_resume < 0))
    return sel_source_has_work (self);

  return sel_source_has_work (self) ||
         (self->next_resume >= 0 && self->next_resume <= g_source_get_time (source)) ||
         (self->awaits && (self->bell.fd < 0 || self->bell.revents != 0));
}

/* Does the work that other threads have left to the source. Returns: FALSE if the source is to be removed */
static gboolean
sel_source_do_work (SelSource *self)
{
  SelCore *core = sel_core (self->selector);
  g_autoptr(GPtrArray) garbage = NULL;

  sel_state_lock (core);
  garbage = sel_watcher_steal_garbage (&self->watcher);
  sel_state_unlock (core);

  if (!sel_source_has_flag (self, SEL_WATCHER_CLOSED))
    return TRUE;

  sel_source_leave (self, FALSE);

  return FALSE;
}

/* The beginning of each dispatch (). Returns: FALSE if the source is to be removed */
static inline gboolean
sel_source_begin_dispatch (SelSource *self)
{
  SEL_POINT ("dispatch");
  self->watcher.is_prepared = FALSE;

  return G_LIKELY (!sel_source_has_flag (self, SEL_WATCHER_GARBAGE | SEL_WATCHER_CLOSED)) || sel_source_do_work (self);
}

static gboolean
sel_source_report_closed (SelSource  *self,
                          GError    **error)
{
  SelCore *core = sel_core (self->selector);
  gboolean success;

  sel_state_lock (core);
  success = sel_mirror_report_closed (&self->mirror, core, error);
  sel_state_unlock (core);

  return success;
}

/* TRUE if the error says that the system had no room for something, which may change soon. */
static gboolean
sel_source_error_may_pass (const GError *error)
{
  static const int errnums[] = { EAGAIN, ENOMEM, ENOBUFS, EMFILE, ENFILE, ENOSPC };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      if (g_error_matches (error, SEL_OS_ERROR, errnums[i]))
        return TRUE;
    }

  return FALSE;
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

/* The selector was asked, and nothing is ready, or it has failed with @error. Returns: FALSE if the source is to be
 * removed */
static gboolean
sel_source_handle_nothing (SelSource *self,
                           gssize     n,
                           GError    *local_error)
{
  SelCore *core = sel_core (self->selector);
  g_autoptr(GError) error = local_error;

  if (n == 0 && sel_source_report_closed (self, &error))
    return TRUE;
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return FALSE;

  /* There is nothing to poll before sel_base_selector_reinit(). */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED))
    {
      sel_state_lock (core);
      sel_mirror_poll_nothing (&self->mirror, &self->watcher);
      sel_state_unlock (core);
      return TRUE;
    }

  /* Another thread waits, and its wait reports the descriptors that are ready. */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
    {
      sel_wait_block_source (core);
      return TRUE;
    }

  if (sel_source_error_may_pass (error))
    {
      sel_source_retry_later (self, error);
      return TRUE;
    }

  g_warning ("A selector does not work any more, and is taken out of the main loop: %s", error->message);

  return FALSE;
}

/* Calls the callback of a descriptor, or @func if it has none. Returns: FALSE if @func wants the source to be
 * removed */
static inline gboolean
sel_source_call (SelSource           *self,
                 const SelBatchEntry *entry,
                 SelSelectorFunc      func,
                 gpointer             user_data)
{
  gboolean goes_on;

  if (entry->callback != NULL)
    {
      func = (SelSelectorFunc) entry->callback->func;
      user_data = entry->callback->user_data;
    }

  goes_on = func (self->selector, entry->key, entry->events, user_data);
  if (G_LIKELY (goes_on) || entry->callback == NULL)
    return goes_on;

  sel_dispatch_remove_callback (sel_core (self->selector), entry->fd, entry->callback);

  return TRUE;
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

/* Calls a callback for which checks are due. Returns: FALSE if the source is to be removed */
static G_NO_INLINE gboolean
sel_source_call_checked (SelSource           *self,
                         const SelReadyEvent *event,
                         const SelBatchEntry *entry,
                         SelSelectorFunc      func,
                         gpointer             user_data)
{
  SelCore *core = sel_core (self->selector);
  SelBatchEntry unchecked = *entry;

  if (sel_hangup_check (core, event, sel_batch_entry_get_checks (entry)))
    return TRUE;

  unchecked.events = event->events;

  return sel_source_call (self, &unchecked, func, user_data);
}

/* Calls the callbacks of a batch. If a callback, or a destroy notify, runs a main loop, that loop dispatches the ready
 * descriptors, and the remaining part of the batch is out of date. Returns: FALSE if the source is to be removed */
static inline gboolean
sel_source_dispatch_batch (SelSource       *self,
                           SelBatch        *batch,
                           SelSelectorFunc  func,
                           gpointer         user_data)
{
  SelCore *core = sel_core (self->selector);
  const SelBatchEntry *entry;
  gboolean goes_on = TRUE;

  if (func == NULL)
    {
      func = sel_source_pause_without_callback;
      user_data = batch;
    }

  while (goes_on && sel_dispatch_next (core, batch, &entry) && !g_source_is_destroyed (&self->source))
    {
      SEL_POINT ("dispatch-entered");
      if (G_LIKELY (entry->events < 1u << SEL_BATCH_CHECKS_SHIFT))
        goes_on = sel_source_call (self, entry, func, user_data);
      else
        goes_on = sel_source_call_checked (self, sel_batch_get_event (batch, entry), entry, func, user_data);
    }

  sel_dispatch_end (core, batch);

  return goes_on;
}

/* The dispatch () of a source that has a SelSelectorFunc. */
static gboolean
sel_source_dispatch_events (GSource     *source,
                            GSourceFunc  callback,
                            gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelBatch *batch = self->batch;
  SelSelectorFunc func = (SelSelectorFunc) (void (*) (void)) callback;
  SelReadyEvent *events;
  gsize n_events;
  GError *error = NULL;
  gssize n;

  if (!sel_source_begin_dispatch (self))
    return G_SOURCE_REMOVE;

  n_events = sel_dispatch_get_room (sel_core (self->selector));
  events = g_newa (SelReadyEvent, n_events);
  n = sel_dispatch_begin (sel_core (self->selector), &batch, self, events, n_events, &error);
  SEL_POINT ("dispatch-selected");
  if (G_UNLIKELY (n <= 0))
    return sel_source_handle_nothing (self, n, error);

  return sel_source_dispatch_batch (self, batch, func, user_data);
}

/* TRUE if the time of g_source_set_ready_time() has come. */
static gboolean
sel_source_is_due (GSource *source)
{
  gint64 ready_time = g_source_get_ready_time (source);

  return ready_time >= 0 && ready_time <= g_source_get_time (source);
}

/* Counts a call for each event. Returns: TRUE if any is left after the checks */
static gboolean
sel_source_check_plain_events (SelSource           *self,
                               const SelReadyEvent *events,
                               gssize               n)
{
  SelCore *core = sel_core (self->selector);
  gboolean is_ready = FALSE;

  for (gssize i = 0; i < n; i++)
    {
      SelHangupChecks checks = sel_hangup_count_event (core, &events[i]);

      if (checks == 0 || !sel_hangup_check (core, &events[i], checks))
        is_ready = TRUE;
    }

  return is_ready;
}

/* The dispatch () of a source that has a GSourceFunc, which asks the selector itself. */
static gboolean
sel_source_dispatch (GSource     *source,
                     GSourceFunc  callback,
                     gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelReadyEvent *events;
  gsize n_events;
  GError *error = NULL;
  gssize n;

  if (!sel_source_begin_dispatch (self))
    return G_SOURCE_REMOVE;

  n_events = sel_dispatch_get_room (sel_core (self->selector));
  events = g_newa (SelReadyEvent, n_events);
  n = sel_dispatch_poll (sel_core (self->selector), events, n_events, &error);
  if (n <= 0 && !sel_source_handle_nothing (self, n, error))
    return G_SOURCE_REMOVE;

  if (!sel_source_check_plain_events (self, events, n) && !sel_source_is_due (source))
    return G_SOURCE_CONTINUE;

  return callback != NULL && callback (user_data) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* The dispatch () of an asynchronous wait, whose callback is also called if nothing is ready. */
static gboolean
sel_source_dispatch_wait (GSource     *source,
                          GSourceFunc  callback,
                          gpointer     user_data)
{
  SelSource *self = (SelSource *) source;

  sel_source_begin_dispatch (self);

  /* The callback gets the same error when it asks the selector. */
  sel_source_report_closed (self, NULL);

  return callback (user_data);
}

static void
sel_source_dispose (GSource *source)
{
  sel_source_leave ((SelSource *) source, TRUE);
}

static void
sel_source_finalize (GSource *source)
{
  SelSource *self = (SelSource *) source;

  sel_mirror_clear (&self->mirror);
  sel_watcher_clear (&self->watcher);
  sel_batch_free (self->batch);
  g_clear_object (&self->selector);
}

static GSourceFuncs sel_source_funcs = {
  .prepare = sel_source_prepare,
  .check = sel_source_check,
  .dispatch = sel_source_dispatch,
  .finalize = sel_source_finalize,
  .closure_callback = sel_source_closure_callback,
};

static GSourceFuncs sel_dispatch_source_funcs = {
  .prepare = sel_source_prepare,
  .check = sel_source_check,
  .dispatch = sel_source_dispatch_events,
  .finalize = sel_source_finalize,
  .closure_callback = (GSourceFunc) (void (*) (void)) sel_source_closure_selector_func,
};

static GSourceFuncs sel_wait_source_funcs = {
  .prepare = sel_source_prepare,
  .check = sel_source_check,
  .dispatch = sel_source_dispatch_wait,
  .finalize = sel_source_finalize,
};

/* Takes @batch. */
static GSource *
sel_source_new_full (SelBaseSelector *selector,
                     GSourceFuncs    *funcs,
                     SelBatch        *batch,
                     gboolean         can_recurse)
{
  GSource *source = g_source_new (funcs, sizeof (SelSource));
  SelSource *self = (SelSource *) source;

  g_source_set_static_name (source, "sel-glib selector");
  g_source_set_can_recurse (source, can_recurse);
  g_source_set_dispose_function (source, sel_source_dispose);
  self->selector = g_object_ref (selector);
  self->watcher.close = sel_source_close;
  self->watcher.is_destroyed = sel_source_is_destroyed;
  sel_mirror_init (&self->mirror, source);
  self->bell.fd = -1;
  self->next_resume = -1;
  self->batch = batch;
  if (batch != NULL)
    {
      sel_state_lock (sel_core (selector));
      sel_dispatch_add_batch (sel_core (selector), batch);
      sel_state_unlock (sel_core (selector));
    }

  if (!sel_notify_add_watcher (sel_core (selector), &self->watcher))
    {
      g_source_destroy (source);
      return source;
    }

  SEL_POINT ("source-watched");

  /* As long as the source is not attached nobody else can destroy it. An error of opening is for dispatch (). */
  if (sel_lifecycle_ensure_open_locking (sel_core (selector), NULL))
    sel_source_sync (self);

  return source;
}

GSource *
sel_source_new_plain (SelBaseSelector *selector)
{
  return sel_source_new_full (selector, &sel_source_funcs, NULL, FALSE);
}

GSource *
sel_source_new_dispatch (SelBaseSelector *selector)
{
  return sel_source_new_full (selector, &sel_dispatch_source_funcs, sel_batch_new (), TRUE);
}

GSource *
sel_source_new_wait (SelBaseSelector *selector)
{
  /* The callback may call the function of the program, which may run a main loop when the wait is over already. */
  GSource *source = sel_source_new_full (selector, &sel_wait_source_funcs, NULL, FALSE);

  ((SelSource *) source)->awaits = TRUE;

  return source;
}

SelWakeup *
sel_source_ref_bell (GSource *source)
{
  return g_atomic_rc_box_acquire (((SelSource *) source)->watcher.bell);
}
