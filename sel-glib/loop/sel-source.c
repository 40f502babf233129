/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-wait-private.h"
#include "loop/sel-source-data-private.h"
#include "loop/sel-source-dispatch-private.h"

/* Which descriptors does the context poll for a selector? The prepare () and check () of all sources, and their life
 * cycle. */

/* If the bell could not be opened, the source looks at its watcher at this interval, in milliseconds. */
#define BELL_INTERVAL 100

static SelSource *
sel_source_from_watcher (SelWatcher *watcher)
{
  return (SelSource *) (void *) ((char *) watcher - G_STRUCT_OFFSET (SelSource, watcher));
}

/* Opens the bell, if that is possible, and makes the context poll it. With the lock. */
static void
sel_source_open_bell (SelSource *self)
{
  SelWakeup *bell = sel_watcher_get_bell (&self->watcher);

  sel_registry_open_bell (sel_core (self->selector), bell);
  self->bell.fd = bell->read_fd;
  self->bell.events = G_IO_IN;
  if (self->bell.fd >= 0)
    sel_mirror_add_poll (&self->mirror, &self->bell);
}

/* In a child process, or if the bell could not be opened. With the lock. */
static void
sel_source_renew_bell (SelSource *self)
{
  if (self->bell.fd >= 0 && !g_source_is_destroyed (&self->source))
    g_source_remove_poll (&self->source, &self->bell);
  sel_watcher_close_bell (&self->watcher);
  sel_source_open_bell (self);
}

void
sel_source_leave (GSource  *source,
                  gboolean  is_destroyed)
{
  SelSource *self = (SelSource *) source;
  SelCore *core = sel_core (self->selector);

  if (self->has_left)
    return;

  SEL_POINT ("source-leave");
  self->has_left = TRUE;

  /* The last poll() of the context may have found something. */
  if (is_destroyed && sel_watcher_is_prepared (&self->watcher))
    sel_source_collect (self);
  sel_state_lock (core);
  if (!is_destroyed)
    sel_mirror_poll_nothing (&self->mirror, &self->watcher);
  sel_notify_remove_watcher (core, &self->watcher);
  if (is_destroyed && sel_state_is_usable (core))
    sel_found_leave (&self->mirror.found, core);

  /* Otherwise the other sources end the pauses, or the next asynchronous wait does. */
  if (!self->awaits && !sel_notify_has_watchers (core) && sel_state_is_usable (core))
    sel_pause_resume_now (core);
  sel_lifecycle_release_if_unused (core);
  sel_state_unlock (core);
}

static void
sel_source_ref (SelWatcher *watcher)
{
  g_source_ref (&sel_source_from_watcher (watcher)->source);
}

/* TRUE if the context of the source is being freed. It destroys its sources then, and would leak one that was destroyed
 * before. */
static gboolean
sel_source_is_dying (GSource *source)
{
  return source->source_id != 0 && source->context == NULL;
}

/* The selector was closed in the thread of the source. Drops a reference. GLib frees a callback in the middle of
 * g_source_destroy(), which uses the context after that. The data may have the last reference to the context, so it is
 * freed before. */
static void
sel_source_close (SelWatcher *watcher)
{
  SelSource *self = sel_source_from_watcher (watcher);

  sel_source_leave (&self->source, FALSE);
  if (!self->awaits || self->is_idle)
    {
      g_source_set_callback_indirect (&self->source, NULL, NULL);
      if (!sel_source_is_dying (&self->source))
        g_source_destroy (&self->source);
    }
  g_source_unref (&self->source);
}

static gboolean
sel_source_is_destroyed (SelWatcher *watcher)
{
  SelSource *self = sel_source_from_watcher (watcher);

  return self->is_idle || g_source_is_destroyed (&self->source);
}

/* Makes the context poll the descriptors that the selector needs, and nothing else. */
static void
sel_source_sync_locked (SelSource *self)
{
  SelCore *core = sel_core (self->selector);

  self->is_ready = FALSE;
  self->has_kept = FALSE;
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
                       (self->awaits && (sel_watcher_was_rung (&self->watcher) ||
                                         sel_state_has (core, SEL_STATE_WOKEN) || !sel_state_is_usable (core)));
      self->has_kept = sel_found_has_kept (&self->mirror.found, core);
      self->next_resume = sel_pause_get_next (core);
      self->n_alarms = sel_registry_get_n_alarms (core);
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
  return sel_watcher_has (&self->watcher, SEL_WATCHER_SYNC) || !sel_watcher_is_own (&self->watcher) ||
         self->is_ready || self->has_kept || self->awaits || self->next_resume >= 0 || self->bell.fd < 0 ||
         sel_state_is_new_process (sel_core (self->selector));
}

/* TRUE if the source has work to do in dispatch (), which must not be done before: GLib does not allow a loop in
 * prepare (). */
static gboolean
sel_source_has_work (SelSource *self)
{
  return self->is_ready || self->has_kept || sel_watcher_has (&self->watcher, SEL_WATCHER_GARBAGE | SEL_WATCHER_CLOSED);
}

/* A main loop runs inside of the callback: what is for the callback must not end the poll of that loop again and
 * again. */
static gboolean
sel_source_hold (SelSource *self)
{
  sel_state_lock (sel_core (self->selector));
  if (!sel_watcher_begin_sync (&self->watcher, self->bell.revents != 0))
    sel_source_renew_bell (self);
  if (!sel_watcher_is_mirrored (&self->watcher))
    sel_mirror_poll_nothing (&self->mirror, &self->watcher);
  sel_watcher_request_sync (&self->watcher);
  sel_state_unlock (sel_core (self->selector));
  sel_watcher_set_prepared (&self->watcher, TRUE);

  return FALSE;
}

/* No wait has begun since the last one was over. Returns: FALSE if the source is destroyed; otherwise there is foreign
 * code to be called, which dispatch () has to do */
static gboolean
sel_source_prepare_idle (SelSource *self)
{
  gboolean has_work;

  sel_state_lock (sel_core (self->selector));
  has_work = sel_watcher_keeps_selector (&self->watcher) || sel_watcher_has (&self->watcher, SEL_WATCHER_GARBAGE);
  sel_state_unlock (sel_core (self->selector));
  if (!has_work)
    g_source_destroy (&self->source);

  return has_work;
}

static gboolean
sel_source_prepare (GSource *source,
                    int     *timeout)
{
  SelSource *self = (SelSource *) source;
  gint64 next = self->next_resume;

  SEL_POINT ("prepare");
  *timeout = -1;
  if (G_UNLIKELY (self->run.is_running))
    return sel_source_hold (self);
  if (G_UNLIKELY (self->is_idle))
    return sel_source_prepare_idle (self);

  /* A source of a higher priority was ready, so that GLib has not called check () after the last poll(). */
  if (G_UNLIKELY (sel_watcher_is_prepared (&self->watcher)))
    self->has_kept = sel_source_collect (self);

  if (sel_source_needs_sync (self))
    {
      sel_source_sync (self);
      next = self->next_resume;
    }

  /* From now on, a change by this thread rings the bell, too, as the context is about to poll. */
  SEL_POINT ("prepare-synced");
  sel_watcher_set_prepared (&self->watcher, TRUE);
  sel_found_set_now (&self->mirror.found, sel_core (self->selector));
  SEL_POINT ("prepared");

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

/* If the poll() of the context has found nothing in the kernel's object, there is no echo of an alarm in it. */
static void
sel_source_end_echoes (SelSource *self)
{
  SelCore *core = sel_core (self->selector);

  if (self->mirror.poll_fd < 0 || g_source_query_unix_fd (&self->source, self->mirror.poll_tag) != 0)
    return;

  sel_state_lock (core);
  sel_registry_end_echoes (core, self->n_alarms);
  sel_state_unlock (core);
}

static gboolean
sel_source_check (GSource *source)
{
  SelSource *self = (SelSource *) source;

  if (sel_source_collect (self))
    {
      if (G_LIKELY (!self->run.is_running))
        return TRUE;
      sel_mirror_hold (&self->mirror);
    }
  else if (G_UNLIKELY (sel_state_has (sel_core (self->selector), SEL_STATE_PAUSED)))
    {
      sel_source_end_echoes (self);
    }
  if (G_UNLIKELY (self->run.is_running))
    return FALSE;

  if (G_LIKELY (!self->awaits && self->next_resume < 0))
    return sel_source_has_work (self);

  return sel_source_has_work (self) ||
         (self->next_resume >= 0 && self->next_resume <= g_source_get_time (source)) ||
         (self->awaits && (self->bell.fd < 0 || self->bell.revents != 0));
}

/* A source with a batch keeps the selector, also if it has left it. A callback that closes the selector uses the batch
 * until it returns. */
static void
sel_source_dispose (GSource *source)
{
  SelSource *self = (SelSource *) source;

  if (self->batch != NULL)
    {
      sel_state_lock (sel_core (self->selector));
      sel_dispatch_remove_batch (sel_core (self->selector), self->batch);
      sel_state_unlock (sel_core (self->selector));
    }
  sel_source_leave (source, TRUE);
}

static void
sel_source_finalize (GSource *source)
{
  SelSource *self = (SelSource *) source;

  sel_mirror_clear (&self->mirror);
  sel_found_free (self->asked);
  sel_watcher_clear (&self->watcher);
  sel_batch_free (self->batch);
  if (sel_watcher_keeps_selector (&self->watcher))
    g_object_unref (self->selector);
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
                     SelBatch        *batch)
{
  GSource *source = g_source_new (funcs, sizeof (SelSource));
  SelSource *self = (SelSource *) source;

  g_source_set_static_name (source, "sel-glib selector");
  g_source_set_can_recurse (source, TRUE);
  g_source_set_dispose_function (source, sel_source_dispose);
  self->selector = g_object_ref (selector);
  sel_watcher_init (&self->watcher, sel_source_close, sel_source_ref, sel_source_is_destroyed);
  sel_watcher_set_keeps_selector (&self->watcher, TRUE);
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

  /* No other thread can destroy the source before it is attached. An error of opening is for dispatch (). */
  if (sel_lifecycle_ensure_open_locking (sel_core (selector), NULL))
    sel_source_sync (self);

  return source;
}

GSource *
sel_source_new_plain (SelBaseSelector *selector)
{
  return sel_source_new_full (selector, &sel_source_funcs, NULL);
}

GSource *
sel_source_new_dispatch (SelBaseSelector *selector)
{
  return sel_source_new_full (selector, &sel_dispatch_source_funcs, sel_batch_new ());
}

GSource *
sel_source_new_wait (SelBaseSelector *selector,
                     GMainContext    *context)
{
  GSource *source = sel_source_new_full (selector, &sel_wait_source_funcs, NULL);
  SelSource *self = (SelSource *) source;

  self->awaits = TRUE;
  sel_watcher_forget_rings (&self->watcher); /* nobody knows the bell yet */
  self->context = context;

  return source;
}

/* --- Sources of asynchronous waits --- */

gboolean
sel_source_end_wait (GSource *source)
{
  SelSource *self = (SelSource *) source;
  SelCore *core = sel_core (self->selector);

  if (self->has_left || g_source_is_destroyed (source))
    return G_SOURCE_REMOVE;

  sel_source_run_end (&self->run);
  g_source_set_ready_time (source, -1);
  sel_state_lock (core);
  if (!sel_state_has (core, SEL_STATE_CLOSED))
    {
      self->is_idle = TRUE;
      sel_watcher_set_keeps_selector (&self->watcher, FALSE);
    }
  sel_state_unlock (core);
  if (!self->is_idle)
    return G_SOURCE_REMOVE;

  g_object_unref (self->selector);

  return G_SOURCE_CONTINUE;
}

typedef struct
{
  GMainContext *context;
  int priority;
} SelSourcePlace;

static gboolean
sel_source_is_reusable (SelWatcher *watcher,
                        gpointer    data)
{
  SelSource *self = sel_source_from_watcher (watcher);
  const SelSourcePlace *place = data;

  return self->is_idle && self->context == place->context && !sel_watcher_is_inherited (watcher) &&
         !g_source_is_destroyed (&self->source) && g_source_get_priority (&self->source) == place->priority;
}

GSource *
sel_source_reuse_wait (SelBaseSelector *selector,
                       GMainContext    *context,
                       int              priority)
{
  SelSourcePlace place = { .context = context, .priority = priority };
  SelCore *core = sel_core (selector);
  SelWatcher *watcher = NULL;
  SelSource *self = NULL;

  sel_state_lock (core);
  if (!sel_state_has (core, SEL_STATE_CLOSED))
    watcher = sel_notify_find_watcher (core, sel_source_is_reusable, &place);
  if (watcher != NULL)
    {
      self = sel_source_from_watcher (watcher);
      self->is_idle = FALSE;
      sel_watcher_set_keeps_selector (watcher, TRUE);
      g_object_ref (selector);
      g_source_ref (&self->source);
    }
  sel_state_unlock (core);

  return self != NULL ? &self->source : NULL;
}

SelWakeup *
sel_source_ref_bell (GSource *source)
{
  return g_atomic_rc_box_acquire (sel_watcher_get_bell (&((SelSource *) source)->watcher));
}
