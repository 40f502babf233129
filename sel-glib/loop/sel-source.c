/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"
#include "loop/sel-mirror-private.h"
#include "loop/sel-source-private.h"

/**
 * SECTION:sel-source
 * @Title: Main loop
 * @Short_description: Selectors in a GMainContext
 *
 * A source wakes a #GMainContext when a registered descriptor of a selector is ready. With epoll and
 * kqueue the context polls a single descriptor, however many are registered; with the
 * other mechanisms it polls each descriptor. A program sees no difference.
 *
 * Most programs need only sel_base_selector_attach(). It calls one function for each ready descriptor, or
 * the function that sel_base_selector_register_callback() was given for the descriptor. A program without a selector of its
 * own can use sel_main_context_get_selector(), which has one selector for each context. A source keeps its selector
 * alive, and is destroyed when the selector is closed.
 *
 * The description of #SelBaseSelector has sections on [hang-ups][hang-ups] and on
 * [loops in callbacks][nested-loops].
 *
 * # Errors # {#source-errors}
 *
 * If the system has no memory or no descriptors left when the source asks the selector, the source logs a warning, polls
 * nothing, and tries again ten times a second. Nothing is lost: descriptors that are still ready then are reported
 * later. If the selector does not work for another reason, for example because the program has closed the selector's own
 * descriptor, the source logs a warning and is destroyed.
 *
 * # Threads # {#source-threads}
 *
 * The thread that runs the context calls the callbacks. Another thread may register, modify and unregister descriptors
 * meanwhile. If it unregisters a descriptor whose callback is about to be called, the callback may still be called, but
 * never after its #GDestroyNotify.
 */

typedef struct
{
  GSource source;
  SelObserver observer;
  SelBaseSelector *selector;
  SelMirror mirror;

  gboolean awaits;           /* it belongs to an asynchronous wait, which sel_base_selector_wakeup() ends */
  gboolean is_ready;         /* something is ready that cannot be polled */
  gint64 next_resume;        /* when a pause ends, or -1; monotonic time, as the next one */
  gint64 retry_time;         /* until then nothing is polled, because the system had no room; 0 if that never happened */
  guint n_dispatches;
  int needs_sync;            /* atomic: something was changed since the context was told what to poll */
} SelSource;

/* The time between two attempts after an error that may pass, in microseconds, and the number of intervals without an error
 * after which the next error is reported again. */
#define RETRY_INTERVAL (100 * 1000)
#define RETRIES_BEFORE_NEWS 10

static SelSource *
sel_source_from_observer (SelObserver *observer)
{
  return (SelSource *) (void *) ((char *) observer - G_STRUCT_OFFSET (SelSource, observer));
}

/* Called by any thread, with the selector locked. */
static void
sel_source_poll_set_changed (SelObserver *observer,
                             int          fd)
{
  SelSource *self = sel_source_from_observer (observer);
  GMainContext *context;

  g_atomic_int_set (&self->needs_sync, TRUE);
  if (!sel_mirror_changed (&self->mirror, sel_core (self->selector), fd))
    return;

  context = g_source_is_destroyed (&self->source) ? NULL : g_source_get_context (&self->source);
  if (context != NULL && !g_main_context_is_owner (context))
    g_main_context_wakeup (context);
}

static gboolean
sel_source_end_idle (gpointer user_data)
{
  return G_SOURCE_REMOVE;
}

static void
sel_source_ref (SelObserver *observer)
{
  g_source_ref (&sel_source_from_observer (observer)->source);
}

/* Calls @func in the thread that runs the context, if there is one. */
static void
sel_source_invoke (SelObserver    *observer,
                   GDestroyNotify  func,
                   gpointer        data)
{
  g_autoptr(GSource) source = &sel_source_from_observer (observer)->source;
  GMainContext *context = g_source_is_destroyed (source) ? NULL : g_source_get_context (source);

  if (context == NULL || g_main_context_is_owner (context))
    {
      func (data);
    }
  else if (g_main_context_acquire (context))
    {
      func (data);
      g_main_context_release (context);
    }
  else
    {
      g_autoptr(GSource) idle = g_idle_source_new ();

      g_source_set_priority (idle, G_PRIORITY_DEFAULT);
      g_source_set_callback (idle, sel_source_end_idle, data, func);
      g_source_attach (idle, context);
    }
}

static void
sel_source_closed (SelObserver *observer)
{
  GSource *source = (GSource *) sel_source_from_observer (observer);

  g_source_destroy (source);
  g_source_unref (source);
}

static const SelObserverFuncs sel_source_observer_funcs = {
  .poll_set_changed = sel_source_poll_set_changed,
  .ref = sel_source_ref,
  .invoke = sel_source_invoke,
  .closed = sel_source_closed,
};

/* Makes the context poll what the selector needs to have polled, and nothing else. */
static void
sel_source_sync (SelSource *self)
{
  SelCore *core = sel_core (self->selector);

  g_atomic_int_set (&self->needs_sync, FALSE);

  sel_state_lock (core);
  if (sel_state_has (core, SEL_STATE_CLOSED))
    {
      /* The thread that closes the selector destroys the source; nothing can be added to it any more. */
    }
  else if (g_source_get_time (&self->source) < self->retry_time)
    {
      sel_mirror_poll_nothing (&self->mirror);
      self->is_ready = FALSE;
      self->next_resume = self->retry_time;
    }
  else
    {
      sel_mirror_sync (&self->mirror, core);
      self->is_ready = (sel_state_has (core, SEL_STATE_ALWAYS_READY) && !sel_state_has (core, SEL_STATE_FORKED)) ||
                       (self->awaits && sel_state_has (core, SEL_STATE_WOKEN));
      self->next_resume = self->awaits ? -1 : sel_pause_get_next (core);
    }
  sel_state_unlock (core);
}

/* TRUE if the context may have to poll something else than before. Some things change without a notification. */
static gboolean
sel_source_needs_sync (SelSource *self)
{
  return g_atomic_int_get (&self->needs_sync) || self->is_ready || self->awaits || self->next_resume >= 0 ||
         sel_state_is_new_process (sel_core (self->selector));
}

static gboolean
sel_source_prepare (GSource *source,
                    int     *timeout)
{
  SelSource *self = (SelSource *) source;
  gint64 left;

  *timeout = -1;

  if (sel_source_needs_sync (self))
    sel_source_sync (self);

  if (self->next_resume < 0)
    return self->is_ready;

  /* The ready time of the source belongs to the program. */
  left = MAX (self->next_resume - g_source_get_time (source), 0);
  *timeout = (int) MIN ((left + 999) / 1000, G_MAXINT);

  return self->is_ready || left == 0;
}

static gboolean
sel_source_check (GSource *source)
{
  SelSource *self = (SelSource *) source;

  return self->next_resume >= 0 && self->next_resume <= g_source_get_time (source);
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
  g_atomic_int_set (&self->needs_sync, TRUE);
}

/* Asks the selector, without waiting. Returns how many descriptors are ready, or -1 if the source is to be removed. */
static gssize
sel_source_select (SelSource     *self,
                   SelReadyEvent *events)
{
  SelCore *core = sel_core (self->selector);
  g_autoptr(GError) error = NULL;
  gssize n = sel_dispatch_begin (core, events, SEL_MAX_DISPATCH, &error);

  if (n == 0 && !sel_source_report_closed (self, &error))
    n = -1;
  if (n >= 0 || g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return n;

  /* There is nothing to poll before sel_base_selector_reinit(). */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED))
    {
      sel_state_lock (core);
      sel_mirror_invalidate (&self->mirror);
      sel_state_unlock (core);
      g_atomic_int_set (&self->needs_sync, TRUE);
      return 0;
    }

  /* Another thread waits, and its wait reports what is ready. */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
    return 0;

  if (sel_source_error_may_pass (error))
    {
      sel_source_retry_later (self, error);
      return 0;
    }

  g_warning ("A selector does not work any more, and is taken out of the main loop: %s", error->message);

  return -1;
}

/* If a callback, or a destroy notify, runs a main loop, that loop dispatches what is ready, and the rest of this batch is out of
 * date. */
static gboolean
sel_source_is_over (SelSource *self,
                    guint      n_dispatches)
{
  return n_dispatches != self->n_dispatches || g_source_is_destroyed (&self->source);
}

/* Calls the callback of a descriptor, or @func if it has none. Returns: FALSE if @func wants the source to be removed */
static gboolean
sel_source_call (SelSource           *self,
                 const SelBatch      *batch,
                 const SelReadyEvent *event,
                 SelSelectorFunc      func,
                 gpointer             user_data)
{
  SelCore *core = sel_core (self->selector);
  SelCallback *callback = batch->callback;
  SelSelectorFunc own_func;

  if (callback == NULL)
    return func (self->selector, batch->key, event->events, user_data);

  own_func = (SelSelectorFunc) callback->func;
  if (!own_func (self->selector, batch->key, event->events, callback->user_data))
    sel_dispatch_remove_callback (core, event->fd, callback);

  return TRUE;
}

static void
sel_source_pause_without_callback (SelSource           *self,
                                   const SelReadyEvent *event)
{
  SelCore *core = sel_core (self->selector);

  g_warning ("Descriptor %d is ready, but neither it nor its source has a callback; it is not "
             "waited for until it is modified", event->fd);
  sel_state_lock (core);
  sel_pause_begin (core, event, SEL_PAUSE_UNTIL_MODIFIED);
  sel_state_unlock (core);
}

/* Dispatches one ready descriptor. Returns: FALSE if the source is to be removed */
static gboolean
sel_source_dispatch_event (SelSource           *self,
                           SelBatch            *batch,
                           const SelReadyEvent *event,
                           SelSelectorFunc      func,
                           gpointer             user_data,
                           guint                n_dispatches)
{
  SelCore *core = sel_core (self->selector);
  gboolean goes_on;

  if (!sel_dispatch_enter (core, batch, event, self) || sel_source_is_over (self, n_dispatches))
    return TRUE;

  if (G_UNLIKELY ((batch->checks & SEL_HANGUP_CHECK_STALE) != 0) && sel_hangup_check_stale (core, event))
    return TRUE;

  if (G_UNLIKELY (batch->callback == NULL && func == NULL))
    {
      sel_source_pause_without_callback (self, event);
      return TRUE;
    }

  goes_on = sel_source_call (self, batch, event, func, user_data);

  if (G_UNLIKELY (batch->checks != 0))
    sel_hangup_check (core, event, batch->registered);

  return goes_on;
}

/* The dispatch () of a source that has a SelSelectorFunc. */
static gboolean
sel_source_dispatch_events (GSource     *source,
                            GSourceFunc  callback,
                            gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelSelectorFunc func = (SelSelectorFunc) (void (*) (void)) callback;
  SelReadyEvent events[SEL_MAX_DISPATCH];
  gssize n = sel_source_select (self, events);
  guint n_dispatches = ++self->n_dispatches;
  SelBatch batch = { 0 };
  gboolean goes_on = n >= 0;

  for (gssize i = 0; i < n && goes_on && !sel_source_is_over (self, n_dispatches); i++)
    goes_on = sel_source_dispatch_event (self, &batch, &events[i], func, user_data, n_dispatches);

  sel_dispatch_end (sel_core (self->selector), &batch);

  return goes_on;
}

/* TRUE if the time of g_source_set_ready_time() has come. */
static gboolean
sel_source_is_due (GSource *source)
{
  gint64 ready_time = g_source_get_ready_time (source);

  return ready_time >= 0 && ready_time <= g_source_get_time (source);
}

typedef struct
{
  SelReadyEvent event;
  SelEventMask registered;
  SelHangupChecks checks;
} SelPlainEvent;

/* Counts a call for each event, and drops the stale ones. Returns how many are left. */
static gssize
sel_source_check_plain_events (SelSource           *self,
                               const SelReadyEvent *events,
                               gssize               n,
                               SelPlainEvent       *plain)
{
  SelCore *core = sel_core (self->selector);
  gssize n_live = 0;

  for (gssize i = 0; i < n; i++)
    {
      plain[n_live].event = events[i];
      plain[n_live].checks = sel_hangup_count_event (core, &events[i], &plain[n_live].registered);
      if ((plain[n_live].checks & SEL_HANGUP_CHECK_STALE) == 0 || !sel_hangup_check_stale (core, &events[i]))
        n_live++;
    }

  return n_live;
}

/* The dispatch () of a source that has a GSourceFunc, which asks the selector itself. */
static gboolean
sel_source_dispatch (GSource     *source,
                     GSourceFunc  callback,
                     gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelReadyEvent events[SEL_MAX_DISPATCH];
  SelPlainEvent plain[SEL_MAX_DISPATCH];
  gssize n = sel_source_select (self, events);
  gssize n_live;

  if (n < 0)
    return G_SOURCE_REMOVE;

  n_live = sel_source_check_plain_events (self, events, n, plain);
  if (n_live == 0 && !sel_source_is_due (source))
    return G_SOURCE_CONTINUE;

  if (callback == NULL || !callback (user_data) || g_source_is_destroyed (source))
    return G_SOURCE_REMOVE;

  for (gssize i = 0; i < n_live; i++)
    {
      if (plain[i].checks != 0)
        sel_hangup_check (sel_core (self->selector), &plain[i].event, plain[i].registered);
    }

  return G_SOURCE_CONTINUE;
}

/* The dispatch () of an asynchronous wait, whose callback is also called if nothing is ready. */
static gboolean
sel_source_dispatch_wait (GSource     *source,
                          GSourceFunc  callback,
                          gpointer     user_data)
{
  SelSource *self = (SelSource *) source;

  /* The callback gets the same error when it asks the selector. */
  sel_source_report_closed (self, NULL);

  return callback (user_data);
}

static void
sel_source_dispose (GSource *source)
{
  SelSource *self = (SelSource *) source;

  sel_notify_remove_observer (sel_core (self->selector), &self->observer);
}

static void
sel_source_finalize (GSource *source)
{
  SelSource *self = (SelSource *) source;

  sel_mirror_clear (&self->mirror);
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

static GSource *
sel_source_new (SelBaseSelector *selector,
                GSourceFuncs    *funcs,
                gboolean         can_recurse)
{
  GSource *source = g_source_new (funcs, sizeof (SelSource));
  SelSource *self = (SelSource *) source;

  g_source_set_static_name (source, "sel-glib selector");
  g_source_set_can_recurse (source, can_recurse);
  g_source_set_dispose_function (source, sel_source_dispose);
  self->selector = g_object_ref (selector);
  self->observer.funcs = &sel_source_observer_funcs;
  sel_mirror_init (&self->mirror, source);
  self->next_resume = -1;
  self->needs_sync = TRUE;

  if (!sel_notify_add_observer (sel_core (selector), &self->observer))
    g_source_destroy (source);

  return source;
}

GSource *
sel_source_new_wait (SelBaseSelector *selector)
{
  /* The callback may call the function of the program, which may run a main loop when the wait is over already. */
  GSource *source = sel_source_new (selector, &sel_wait_source_funcs, FALSE);

  ((SelSource *) source)->awaits = TRUE;

  return source;
}

/**
 * sel_base_selector_create_source:
 * @self: a selector
 *
 * Makes a source that calls its callback, a #GSourceFunc, when a registered descriptor is ready. The
 * callback then calls sel_base_selector_select(), or another form of it, with a timeout of 0.
 *
 * The callback is also called when the time of g_source_set_ready_time() has come, so that one source can serve an
 * event loop with timers of its own. The callback has to set the next time, or -1.
 *
 * If @self is closed, the source is already destroyed and never calls its callback.
 *
 * Returns: (transfer full): a new source; attach it with g_source_attach()
 *
 * Since: 1.0
 */
GSource *
sel_base_selector_create_source (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), NULL);

  return sel_source_new (self, &sel_source_funcs, FALSE);
}

/**
 * sel_base_selector_create_dispatch_source:
 * @self: a selector
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the function to call for descriptors
 *   that have no function of their own
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Makes a source that calls a function for each registered descriptor that is ready: the one that
 * sel_base_selector_register_callback() was given for the descriptor, or @func. If a callback modifies or unregisters a
 * descriptor, no function is called for this descriptor in the rest of the turn.
 *
 * @func may be %NULL, and may be set by g_source_set_callback() or g_source_set_closure() later. If a descriptor
 * is ready and there is no function to call for it, the source logs a warning, and the descriptor is not polled any more until
 * sel_base_selector_modify() or sel_base_selector_refresh() is called.
 *
 * GLib may dispatch the source again while it is being dispatched; see #SelBaseSelector:can-recurse.
 *
 * If @self is closed, the source is already destroyed, and @notify was called.
 *
 * Returns: (transfer full): a new source; attach it with g_source_attach()
 *
 * Since: 1.0
 */
GSource *
sel_base_selector_create_dispatch_source (SelBaseSelector *self,
                                          SelSelectorFunc  func,
                                          gpointer         user_data,
                                          GDestroyNotify   notify)
{
  GSource *source;

  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), NULL);

  source = sel_source_new (self, &sel_dispatch_source_funcs, TRUE);
  if (g_source_is_destroyed (source))
    {
      if (notify != NULL)
        notify (user_data);
    }
  else
    {
      g_source_set_callback (source, (GSourceFunc) (void (*) (void)) func, user_data, notify);
    }

  return source;
}

/**
 * sel_base_selector_attach:
 * @self: a selector
 * @context: (nullable): a main context, or %NULL for the thread's default one
 * @priority: the priority, for example %G_PRIORITY_DEFAULT
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the function to call for descriptors
 *   that have no function of their own
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Calls a function from @context for each registered descriptor that is ready: the one that
 * sel_base_selector_register_callback() was given for the descriptor, or @func. This ends when @func returns
 * %G_SOURCE_REMOVE, when the source is destroyed, or when @self is closed. @func may be %NULL if all descriptors have a
 * function of their own; see sel_base_selector_create_dispatch_source().
 *
 * A selector may be attached more than once, also to several contexts. The source that asks first gets the descriptors that
 * are ready.
 *
 * Returns: the source's number in @context, or 0 if @self is closed; then @notify was called
 *
 * Since: 1.0
 */
guint
sel_base_selector_attach (SelBaseSelector *self,
                          GMainContext    *context,
                          int              priority,
                          SelSelectorFunc  func,
                          gpointer         user_data,
                          GDestroyNotify   notify)
{
  g_autoptr(GMainContext) thread_default = NULL;
  g_autoptr(GSource) source = NULL;

  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), 0);

  source = sel_base_selector_create_dispatch_source (self, func, user_data, notify);
  if (g_source_is_destroyed (source))
    return 0;

  if (context == NULL)
    context = thread_default = g_main_context_ref_thread_default ();

  g_source_set_priority (source, priority);

  return g_source_attach (source, context);
}
