/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>

#include "core/sel-base-selector-private.h"
#include "core/sel-fd-state-private.h"
#include "loop/sel-source-private.h"
#include "sel-enum-types.h"

/**
 * SECTION:sel-source
 * @Title: Main loop
 * @Short_description: Selectors in a GMainContext
 *
 * A source wakes a #GMainContext when something that is registered with a selector is ready. With epoll and
 * kqueue the context polls a single descriptor, however many are registered; with the
 * others it polls each. What a program sees is the same.
 *
 * sel_base_selector_attach() is all that most programs need: it calls one function for whatever is ready, or
 * the function that sel_base_selector_register_callback() was given for a descriptor. Where there is no selector
 * yet, sel_main_context_get_selector() has one for each context. A source keeps its selector alive, and is destroyed when the
 * selector is closed.
 *
 * # Hang-ups # {#hang-ups}
 *
 * A descriptor whose other end is gone is ready for ever. If its callback does not unregister it, #GMainContext would
 * call it in every turn, and the program would take all the time of a processor; #SelBaseSelector:hangup-policy
 * says what to do instead. A registered descriptor that was closed is not called for any more. To find out, it
 * takes a call of `poll()` now and then: for each eighth call of a callback, or, with epoll and kqueue, which tell of
 * hang-ups, two for each 128 in the end.
 *
 * # Loops in callbacks # {#nested-loops}
 *
 * A callback may run a main loop of its own, for example for a modal dialog. Other callbacks are called meanwhile, but
 * none that runs already, as with one g_unix_fd_add() for each descriptor: what is ready for those waits until
 * they return. Set #SelBaseSelector:can-recurse if they are to be called all the same.
 *
 * # Errors # {#source-errors}
 *
 * If the system has no memory or no descriptors left when the selector asks what is ready, the source warns, polls nothing,
 * and tries again ten times a second. Nothing is lost: what is ready then, and is still ready, is told later. If the selector
 * does not work for another reason, for example because somebody closed its own descriptor, the source warns and
 * is destroyed.
 *
 * # Threads # {#source-threads}
 *
 * Callbacks are called by the thread that runs the context. Another thread may register, change and unregister
 * meanwhile; a callback that is about to be called when its descriptor is unregistered may still be called, but
 * not after its #GDestroyNotify was.
 */

typedef struct
{
  GSource source;
  SelObserver observer;
  SelBaseSelector *selector;

  /* What the context polls: the selector's own descriptor ... */
  int poll_fd;
  gpointer poll_tag;

  /* ... or, where it has none, what is registered. */
  GHashTable *tags;

  gboolean awaits;           /* it is of an asynchronous wait, which sel_base_selector_wakeup() ends */
  gint64 rest_end;           /* when descriptors that rest are to be tried again, or -1 */
  gint64 retry_time;         /* until when nothing is polled, as the system had no room; 0 if that never was so */
  guint n_dispatches;

  int is_dirty;              /* atomic: something was changed since the context was told what to poll */
  gboolean is_ready;         /* something was ready then that cannot be polled */

  /* Protected by the lock of the selector. */
  gboolean mirrored;
  GArray *changed_fds;
  gboolean changed_all;
} SelSource;

/* With more changes than these in one turn, whatever is registered is looked at. */
#define MAX_CHANGED_FDS 4096

/* How long a source rests after an error that may pass, in microseconds, and after how many of these without an error
 * the next one is news. */
#define RETRY_INTERVAL (100 * 1000)
#define RETRIES_BEFORE_NEWS 10

static SelSource *
sel_source_from_observer (SelObserver *observer)
{
  return (SelSource *) (void *) ((char *) observer - G_STRUCT_OFFSET (SelSource, observer));
}

/* Called by any thread, with the selector locked. */
static void
sel_source_changed (SelObserver *observer,
                    int          fd)
{
  SelSource *self = sel_source_from_observer (observer);
  GMainContext *context;

  g_atomic_int_set (&self->is_dirty, TRUE);

  /* The kernel knows without the context, unless there is nothing that it could wait for. */
  if (fd >= 0 && !self->mirrored && !sel_base_selector_has_always_ready (self->selector))
    return;

  /* The context may not be run for long. */
  if (fd < 0 || self->changed_fds->len == MAX_CHANGED_FDS)
    self->changed_all = TRUE;
  else if (self->mirrored && !self->changed_all)
    g_array_append_val (self->changed_fds, fd);

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

/* Lets the thread that runs the context do it, if there is one. */
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
  .changed = sel_source_changed,
  .ref = sel_source_ref,
  .invoke = sel_source_invoke,
  .closed = sel_source_closed,
};

static gboolean
sel_source_remove_tag (gpointer key,
                       gpointer value,
                       gpointer user_data)
{
  SelSource *self = user_data;

  g_source_remove_unix_fd (&self->source, value);

  return TRUE;
}

/* Makes the context poll @fd for what the selector waits for. With the selector locked. */
static void
sel_source_mirror (SelSource *self,
                   int        fd)
{
  SelEventMask armed = sel_base_selector_get_armed (self->selector, fd);
  GIOCondition condition = sel_event_mask_to_poll (armed, G_IO_IN, G_IO_OUT);
  gpointer tag = g_hash_table_lookup (self->tags, GINT_TO_POINTER (fd));

  if (condition == 0)
    {
      if (tag != NULL)
        g_source_remove_unix_fd (&self->source, tag);
      g_hash_table_remove (self->tags, GINT_TO_POINTER (fd));
    }
  else if (tag != NULL)
    {
      g_source_modify_unix_fd (&self->source, tag, condition);
    }
  else
    {
      tag = g_source_add_unix_fd (&self->source, fd, condition);
      g_hash_table_insert (self->tags, GINT_TO_POINTER (fd), tag);
    }
}

static void
sel_source_append_fd (gpointer data,
                      gpointer user_data)
{
  int fd = GPOINTER_TO_INT (data);

  g_array_append_val (user_data, fd);
}

/* The descriptors that may have to be polled in another way than before. With the selector locked. */
static GArray *
sel_source_steal_changed_fds (SelSource *self)
{
  GArray *fds = self->changed_fds;

  if (self->changed_all)
    {
      GHashTableIter iter;
      gpointer fd;

      g_array_set_size (fds, 0);
      g_hash_table_iter_init (&iter, self->tags);
      while (g_hash_table_iter_next (&iter, &fd, NULL))
        sel_source_append_fd (fd, fds);
      sel_base_selector_foreach_armed (self->selector, sel_source_append_fd, fds);
      self->changed_all = FALSE;
    }

  if (fds->len == 0)
    return NULL;

  self->changed_fds = g_array_new (FALSE, FALSE, sizeof (int));

  return fds;
}

/* Until it is to try again. With the selector locked. */
static void
sel_source_poll_nothing (SelSource *self)
{
  if (self->poll_tag != NULL)
    g_source_remove_unix_fd (&self->source, self->poll_tag);
  self->poll_tag = NULL;
  self->poll_fd = -1;
  g_hash_table_foreach_remove (self->tags, sel_source_remove_tag, self);
  self->changed_all = TRUE;
  self->is_ready = FALSE;
  self->rest_end = self->retry_time;
}

/* Polls what the selector needs to have polled, and nothing else. In a child process that is nothing. */
static void
sel_source_synchronize (SelSource *self)
{
  g_autoptr(GArray) fds = NULL;
  gint64 rest_end;
  int poll_fd;

  g_atomic_int_set (&self->is_dirty, FALSE);

  /* Another thread may close the selector, and then destroys the source; nothing can be added to it any more. */
  sel_base_selector_hold_updates (self->selector);
  if (sel_base_selector_is_closed (self->selector))
    {
      sel_base_selector_let_updates (self->selector);
      return;
    }

  if (g_source_get_time (&self->source) < self->retry_time)
    {
      sel_source_poll_nothing (self);
      sel_base_selector_let_updates (self->selector);
      return;
    }

  poll_fd = sel_base_selector_get_poll_fd (self->selector);
  self->mirrored = poll_fd < 0;
  if (self->mirrored)
    fds = sel_source_steal_changed_fds (self);
  self->is_ready = sel_base_selector_has_always_ready (self->selector) ||
                   (self->awaits && sel_base_selector_is_wakeup_requested (self->selector));
  rest_end = sel_base_selector_get_rest_end (self->selector);

  if (poll_fd != self->poll_fd)
    {
      if (self->poll_tag != NULL)
        g_source_remove_unix_fd (&self->source, self->poll_tag);
      self->poll_tag = poll_fd >= 0 ? g_source_add_unix_fd (&self->source, poll_fd, G_IO_IN) : NULL;
      self->poll_fd = poll_fd;
      if (poll_fd >= 0)
        g_hash_table_foreach_remove (self->tags, sel_source_remove_tag, self);
    }

  self->rest_end = self->awaits ? -1 : rest_end;

  for (guint i = 0; fds != NULL && i < fds->len; i++)
    sel_source_mirror (self, g_array_index (fds, int, i));
  sel_base_selector_let_updates (self->selector);
}

/* Whether the context may have to poll something else than before. Some things end without being told. */
static gboolean
sel_source_is_outdated (SelSource *self)
{
  return g_atomic_int_get (&self->is_dirty) || self->is_ready || self->awaits || self->rest_end >= 0 ||
         sel_base_selector_is_after_fork (self->selector);
}

static gboolean
sel_source_prepare (GSource *source,
                    int     *timeout)
{
  SelSource *self = (SelSource *) source;
  gint64 left;

  *timeout = -1;

  if (sel_source_is_outdated (self))
    sel_source_synchronize (self);

  if (self->rest_end < 0)
    return self->is_ready;

  /* Not by g_source_set_ready_time(), which is left to who has the source. */
  left = MAX (self->rest_end - g_source_get_time (source), 0);
  *timeout = (int) MIN ((left + 999) / 1000, G_MAXINT);

  return self->is_ready || left == 0;
}

static gboolean
sel_source_check (GSource *source)
{
  SelSource *self = (SelSource *) source;

  return self->rest_end >= 0 && self->rest_end <= g_source_get_time (source);
}

/* The context found descriptors closed of which the selector does not know, as its kernel forgets them
 * silently. Since then the number may have been registered for another file. Fails if one is the selector's own. */
static gboolean
sel_source_report_closed (SelSource  *self,
                          GError    **error)
{
  gboolean success = TRUE;
  GHashTableIter iter;
  gpointer fd, tag;

  sel_base_selector_hold_updates (self->selector);
  g_hash_table_iter_init (&iter, self->tags);
  while (success && g_hash_table_iter_next (&iter, &fd, &tag))
    {
      if ((g_source_query_unix_fd (&self->source, tag) & G_IO_NVAL) != 0 &&
          fcntl (GPOINTER_TO_INT (fd), F_GETFD) < 0)
        success = sel_base_selector_report_closed (self->selector, GPOINTER_TO_INT (fd), error);
    }
  sel_base_selector_let_updates (self->selector);

  return success;
}

/* Whether the error says that the system had no room for something, as it may have soon. */
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
  g_atomic_int_set (&self->is_dirty, TRUE);
}

/*
 * Asks the selector, without waiting. Returns how many are ready, or -1 if the source has nothing
 * to do any more.
 */
static gssize
sel_source_select (SelSource     *self,
                   SelReadyEvent *events)
{
  g_autoptr(GError) error = NULL;
  gssize n = sel_base_selector_peek_ready (self->selector, events, SEL_MAX_DISPATCH, &error);

  if (n == 0 && !sel_source_report_closed (self, &error))
    n = -1;
  if (n >= 0 || g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return n;

  /* Until sel_base_selector_reinit() there is nothing to poll. */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED))
    {
      sel_base_selector_hold_updates (self->selector);
      self->changed_all = TRUE;
      sel_base_selector_let_updates (self->selector);
      g_atomic_int_set (&self->is_dirty, TRUE);
      return 0;
    }

  /* Another thread waits, and gets what is ready. */
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

/* After its callback was called: a descriptor that nobody takes care of must not keep the loop busy. */
static void
sel_source_examine (SelSource           *self,
                    const SelReadyEvent *event,
                    SelEventMask         events)
{
  SelHangupPolicy policy;

  switch (sel_fd_get_state (event->fd, events))
    {
    case SEL_FD_IN_USE:
    case SEL_FD_NOT_READY:
      break;

    case SEL_FD_CLOSED:
      sel_base_selector_mute (self->selector, event, FALSE);
      break;

    case SEL_FD_HUNG_UP:
      policy = sel_base_selector_get_hangup_policy (self->selector);
      if (policy != SEL_HANGUP_POLICY_REPORT)
        sel_base_selector_mute (self->selector, event, policy == SEL_HANGUP_POLICY_THROTTLE);
      break;
    }
}

/* The kernel may speak of a file that had the number before: it was closed while registered, a duplicate of it lives on,
 * and the number stands for another file. Then the kernel is told of that one instead. */
static gboolean
sel_source_is_stale (SelSource           *self,
                     const SelReadyEvent *event)
{
  if (sel_fd_get_state (event->fd, event->events) != SEL_FD_NOT_READY)
    return FALSE;

  sel_base_selector_mute (self->selector, event, TRUE);
  sel_base_selector_end_rest (self->selector);

  return TRUE;
}

/* If a callback, or the end of what one needed, runs a main loop of its own, that delivers what is ready, and the rest is
 * out of date. */
static gboolean
sel_source_is_over (SelSource *self,
                    guint      n_dispatches)
{
  return n_dispatches != self->n_dispatches || g_source_is_destroyed (&self->source);
}

/* Calls what is to be called for one ready descriptor. Returns whether the source goes on. */
static gboolean
sel_source_deliver (SelSource       *self,
                    SelReadyEvent   *event,
                    SelSelectorFunc  func,
                    gpointer         user_data,
                    guint            n_dispatches,
                    SelDelivery     *delivery)
{
  gboolean goes_on = TRUE;

  /* What an earlier callback has changed or unregistered is not called any more. */
  if (!sel_base_selector_next_delivery (self->selector, event, self, delivery) ||
      sel_source_is_over (self, n_dispatches))
    return TRUE;

  if (G_UNLIKELY (delivery->doubtful) && sel_source_is_stale (self, event))
    return TRUE;

  if (delivery->callback != NULL)
    {
      SelSelectorFunc own_func = (SelSelectorFunc) sel_callback_get_func (delivery->callback);

      if (!own_func (self->selector, delivery->key, event->events, sel_callback_get_user_data (delivery->callback)))
        sel_base_selector_remove_callback (self->selector, event->fd, delivery->callback);
    }
  else if (func != NULL)
    {
      goes_on = func (self->selector, delivery->key, event->events, user_data);
    }
  else
    {
      g_warning ("Descriptor %d is ready, but neither it nor its source has a callback; it is not "
                 "waited for until it is modified", event->fd);
      sel_base_selector_mute (self->selector, event, FALSE);
    }

  if (G_UNLIKELY (delivery->suspect))
    sel_source_examine (self, event, delivery->asked);

  return goes_on;
}

/* For a SelSelectorFunc, which is called for each that is ready. */
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
  SelDelivery delivery = { 0 };
  gboolean goes_on = n >= 0;

  for (gssize i = 0; i < n && goes_on && !sel_source_is_over (self, n_dispatches); i++)
    goes_on = sel_source_deliver (self, &events[i], func, user_data, n_dispatches, &delivery);

  sel_base_selector_end_deliveries (self->selector, &delivery);

  return goes_on;
}

/* Whether the time has come that was set with g_source_set_ready_time(). */
static gboolean
sel_source_is_due (GSource *source)
{
  gint64 ready_time = g_source_get_ready_time (source);

  return ready_time >= 0 && ready_time <= g_source_get_time (source);
}

/* For a GSourceFunc, which asks the selector itself what is ready. */
static gboolean
sel_source_dispatch (GSource     *source,
                     GSourceFunc  callback,
                     gpointer     user_data)
{
  SelSource *self = (SelSource *) source;
  SelReadyEvent events[SEL_MAX_DISPATCH];
  SelEventMask suspects[SEL_MAX_DISPATCH];
  gssize n = sel_source_select (self, events);
  gssize n_live = 0;

  if (n < 0)
    return G_SOURCE_REMOVE;

  for (gssize i = 0; i < n; i++)
    {
      gboolean doubtful;

      suspects[n_live] = sel_base_selector_get_suspect (self->selector, &events[i], &doubtful);
      if (!doubtful || !sel_source_is_stale (self, &events[i]))
        events[n_live++] = events[i];
    }

  if (n_live == 0 && !sel_source_is_due (source))
    return G_SOURCE_CONTINUE;

  if (callback == NULL || !callback (user_data) || g_source_is_destroyed (source))
    return G_SOURCE_REMOVE;

  for (gssize i = 0; i < n_live; i++)
    {
      if (suspects[i] != 0)
        sel_source_examine (self, &events[i], suspects[i]);
    }

  return G_SOURCE_CONTINUE;
}

/* For an asynchronous wait, which is called also when nothing is ready. */
static gboolean
sel_source_dispatch_wait (GSource     *source,
                          GSourceFunc  callback,
                          gpointer     user_data)
{
  SelSource *self = (SelSource *) source;

  /* Whether it succeeds, the callback finds out when it asks the selector. */
  sel_source_report_closed (self, NULL);

  return callback (user_data);
}

static void
sel_source_dispose (GSource *source)
{
  SelSource *self = (SelSource *) source;

  sel_base_selector_remove_observer (self->selector, &self->observer);
}

static void
sel_source_finalize (GSource *source)
{
  SelSource *self = (SelSource *) source;

  g_clear_pointer (&self->tags, g_hash_table_unref);
  g_clear_pointer (&self->changed_fds, g_array_unref);
  g_clear_object (&self->selector);
}

/* Calls a closure in place of a callback: g_source_set_closure() makes it the user data. */
static gboolean
sel_source_invoke_closure (GClosure     *closure,
                           guint         n_values,
                           const GValue *values)
{
  GValue result = G_VALUE_INIT;
  gboolean goes_on;

  g_value_init (&result, G_TYPE_BOOLEAN);
  g_closure_invoke (closure, &result, n_values, values, NULL);
  goes_on = g_value_get_boolean (&result);
  g_value_unset (&result);

  return goes_on;
}

static gboolean
sel_source_closure_callback (gpointer user_data)
{
  return sel_source_invoke_closure (user_data, 0, NULL);
}

static gboolean
sel_source_closure_selector_func (SelBaseSelector *selector,
                                  SelSelectorKey  *key,
                                  SelEventMask     events,
                                  gpointer         user_data)
{
  GValue values[3] = { G_VALUE_INIT, G_VALUE_INIT, G_VALUE_INIT };
  gboolean goes_on;

  g_value_init (&values[0], SEL_TYPE_BASE_SELECTOR);
  g_value_set_object (&values[0], selector);
  g_value_init (&values[1], SEL_TYPE_SELECTOR_KEY);
  g_value_set_object (&values[1], key);
  g_value_init (&values[2], SEL_TYPE_EVENT_MASK);
  g_value_set_flags (&values[2], events);

  goes_on = sel_source_invoke_closure (user_data, G_N_ELEMENTS (values), values);

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    g_value_unset (&values[i]);

  return goes_on;
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
  self->poll_fd = -1;
  self->rest_end = -1;
  self->tags = g_hash_table_new (NULL, NULL);
  self->changed_fds = g_array_new (FALSE, FALSE, sizeof (int));
  self->changed_all = TRUE;
  self->is_dirty = TRUE;

  if (!sel_base_selector_add_observer (selector, &self->observer))
    g_source_destroy (source);

  return source;
}

GSource *
sel_source_new_wait (SelBaseSelector *selector)
{
  /* The callback may call the caller's function, which may run a main loop when the wait is over already. */
  GSource *source = sel_source_new (selector, &sel_wait_source_funcs, FALSE);

  ((SelSource *) source)->awaits = TRUE;

  return source;
}

/**
 * sel_base_selector_create_source:
 * @self: a selector
 *
 * Makes a source that calls its callback, a #GSourceFunc, when something that is registered is ready. The
 * callback then calls sel_base_selector_select() or one of its siblings with a time-out of 0.
 *
 * The callback is also called when the time of g_source_set_ready_time() has come, so that one source can serve an
 * event loop with timers of its own; it has to set the next time, or -1.
 *
 * If @self is closed, the source is destroyed already and can do nothing.
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
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): what to call for descriptors
 *   that have no function of their own
 * @user_data: what to call it with
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Makes a source that calls, for each registered descriptor that is ready, the function that
 * sel_base_selector_register_callback() was given for it, or @func. What a callback changes or unregisters is not called
 * any more in the same turn.
 *
 * @func may be left out, and set by g_source_set_callback() or g_source_set_closure() later. A descriptor
 * that is ready, and for which there is nothing to call, gives a warning and is not waited for any more until
 * sel_base_selector_modify() or sel_base_selector_refresh().
 *
 * GLib may dispatch the source while it is dispatched already; #SelBaseSelector:can-recurse says what that is for.
 *
 * If @self is closed, the source is destroyed already and can do nothing.
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
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): what to call for descriptors
 *   that have no function of their own
 * @user_data: what to call it with
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Calls, from @context, the function that sel_base_selector_register_callback() was given for it, or @func, for
 * each registered descriptor that is ready, until @func returns %G_SOURCE_REMOVE, the source is destroyed, or
 * @self is closed. @func may be %NULL if all descriptors have a function of their own; see
 * sel_base_selector_create_dispatch_source().
 *
 * A selector may be attached more than once, also to several contexts; what is ready is then given to the one
 * that asks first.
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
