/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <math.h>

#include "core/sel-wait-private.h"
#include "loop/sel-source-dispatch-private.h"
#include "loop/sel-source-private.h"
#include "sel-async.h"
#include "sel-error-private.h"
#include "sel-list-private.h"

/**
 * SECTION:sel-async
 * @Title: Asynchronous select
 * @Short_description: Waiting without blocking
 *
 * sel_base_selector_select_async() waits as sel_base_selector_select() does, but in a main loop and without a thread. A
 * language with promises or coroutines can await it. A hang-up that the program ignores does not keep the main loop
 * busy.
 */

/* A pending sel_base_selector_select_async(). Its source owns it. */
typedef struct
{
  GTask *task;
  GSource *source;
  gint64 deadline; /* monotonic time in microseconds, or G_MAXINT64 if there is none */
  gulong cancelled_id;
} SelAsyncWait;

/* Ends the wait. Returns: (transfer full): the task, to which the caller gives the result */
static GTask *
sel_async_wait_end (SelAsyncWait *wait)
{
  GTask *task = g_steal_pointer (&wait->task);

  SEL_POINT ("async-end");
  g_clear_signal_handler (&wait->cancelled_id, g_task_get_cancellable (task));
  sel_wait_end_async (sel_core (g_task_get_source_object (task)));

  return task;
}

static void
sel_async_fail_closed (GTask *task)
{
  GError *error = NULL;

  sel_error_set_closed (&error);
  g_task_return_error (task, error);
}

/* The source is destroyed. The wait has ended before, unless the program has destroyed the source. */
static void
sel_async_wait_free (gpointer data)
{
  SelAsyncWait *wait = data;

  if (wait->task != NULL)
    {
      g_autoptr(GTask) task = sel_async_wait_end (wait);

      sel_async_fail_closed (task);
    }

  g_source_unref (wait->source);
  g_free (wait);
}

/* Returns: the descriptors that are ready, without those whose end the program ignores, or NULL and an error */
static GPtrArray *
sel_async_wait_poll (SelAsyncWait  *wait,
                     gboolean      *woken,
                     GError       **error)
{
  SelCore *core = sel_core (g_task_get_source_object (wait->task));
  g_autofree SelReadyEvent *events = NULL;
  gssize n = sel_wait_poll_events (core, &events, woken, error);

  if (n < 0)
    return NULL;

  return sel_wait_list_events (core, events, sel_source_dispatch_check (wait->source, events, n));
}

/* Called when a descriptor may be ready, when the time may be over, and when the wait may be cancelled. */
static gboolean
sel_async_wait_look (gpointer user_data)
{
  SelAsyncWait *wait = user_data;
  GCancellable *cancellable = g_task_get_cancellable (wait->task);
  gboolean expired = g_get_monotonic_time () >= wait->deadline;
  g_autoptr(GPtrArray) events = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GTask) task = NULL;
  gboolean woken = FALSE;
  gboolean goes_on;

  if (!g_cancellable_set_error_if_cancelled (cancellable, &error))
    events = sel_async_wait_poll (wait, &woken, &error);

  /* A main loop in another thread is asking the selector now. */
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
    return G_SOURCE_CONTINUE;

  if (events != NULL && events->len == 0 && !woken && !expired)
    return G_SOURCE_CONTINUE;

  task = sel_async_wait_end (wait);
  goes_on = sel_source_end_wait (wait->source);
  if (error != NULL)
    g_task_return_error (task, g_steal_pointer (&error));
  else
    g_task_return_pointer (task, g_steal_pointer (&events), (GDestroyNotify) g_ptr_array_unref);

  return goes_on;
}

/* The end of a wait that begins now, as monotonic time in microseconds. It is rounded up, so that a wait is never too
 * short. */
static gint64
sel_deadline_from_timeout (gdouble timeout)
{
  gdouble usec = ceil (MAX (timeout, 0) * G_USEC_PER_SEC);

  /* No clock reaches this time. */
  if (usec >= (gdouble) (G_MAXINT64 / 2))
    return G_MAXINT64;

  return g_get_monotonic_time () + (gint64) usec;
}

/* May be called in any thread, and after the wait has ended. A GCancellableSource as a child source would leak if the
 * wait ended while another thread is cancelling. */
static void
sel_async_wait_cancelled (GCancellable *cancellable,
                          gpointer      user_data)
{
  sel_wakeup_signal (user_data);
}

static void
sel_async_wait_unref_bell (gpointer  data,
                           GClosure *closure)
{
  g_atomic_rc_box_release (data);
}

static void
sel_async_wait_connect (SelAsyncWait *wait,
                        GCancellable *cancellable)
{
  wait->cancelled_id = g_signal_connect_data (cancellable, "cancelled", G_CALLBACK (sel_async_wait_cancelled),
                                              sel_source_ref_bell (wait->source), sel_async_wait_unref_bell, 0);
  if (g_cancellable_is_cancelled (cancellable))
    g_source_set_ready_time (wait->source, 0);
}

/* Returns: FALSE if the selector was closed meanwhile */
static gboolean
sel_async_wait_start (SelAsyncWait *wait,
                      gboolean      is_owner)
{
  SelBaseSelector *selector = g_task_get_source_object (wait->task);
  GMainContext *context = g_task_get_context (wait->task);
  int priority = g_task_get_priority (wait->task);
  GCancellable *cancellable = g_task_get_cancellable (wait->task);
  GSource *idle = is_owner ? sel_source_reuse_wait (selector, context, priority) : NULL;

  wait->source = idle != NULL ? idle : sel_source_new_wait (selector, context);
  if (g_source_is_destroyed (wait->source))
    return FALSE;

  g_source_set_callback (wait->source, sel_async_wait_look, wait, sel_async_wait_free);
  if (wait->deadline < G_MAXINT64)
    g_source_set_ready_time (wait->source, wait->deadline);
  if (cancellable != NULL)
    sel_async_wait_connect (wait, cancellable);

  SEL_POINT ("async-created");
  if (idle == NULL)
    {
      g_source_set_priority (wait->source, priority);
      g_source_attach (wait->source, context);
    }

  return TRUE;
}

static void
sel_async_wait_begin (GTask   *task,
                      gdouble  timeout)
{
  GMainContext *context = g_task_get_context (task);
  SelAsyncWait *wait = g_new0 (SelAsyncWait, 1);
  gboolean is_owner;

  SEL_POINT ("async-claimed");
  wait->task = g_object_ref (task);
  wait->deadline = sel_deadline_from_timeout (timeout);

  /* While this thread owns the context, no other thread can be about to destroy a source that is used again. */
  is_owner = g_main_context_acquire (context);
  if (!sel_async_wait_start (wait, is_owner))
    sel_async_wait_free (wait);
  if (is_owner)
    g_main_context_release (context);
}

/**
 * sel_base_selector_select_async:
 * @self: a selector
 * @timeout: the longest time to wait, in seconds; 0 or less does not wait, %SEL_WAIT_FOREVER waits without a limit
 * @io_priority: the priority of the wait in the main loop, for example %G_PRIORITY_DEFAULT
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @callback: (scope async) (closure user_data): the function to call when the wait is over
 * @user_data: the data to pass to @callback
 *
 * Waits until a registered descriptor is ready, or until the timeout is over. The wait runs in the main context that is
 * the thread-default context of the calling thread. Call sel_base_selector_select_finish() to get the result.
 *
 * This differs from sel_base_selector_select() in one point: as for callbacks, #SelBaseSelector:hangup-policy applies.
 * A program that ignores a hang-up that it was told several times in a row, and waits again, is told again after 1 ms,
 * and later after up to 100 ms. All other descriptors are reported at once meanwhile.
 *
 * @callback is called exactly once, in that context, and never before this function has returned. This also holds for
 * errors. The context and @self are kept alive until then.
 *
 * Only one wait can be in progress. Until @callback is called, other functions that wait fail with
 * %SEL_SELECTOR_ERROR_BUSY, but sources of a main loop still work. If a descriptor is ready both for a source and for
 * this function, the one that asks the selector first gets it.
 *
 * With mechanisms where the main loop polls each descriptor, for example select and poll, the first call adds all
 * descriptors to the context. A wait that begins in @callback, or later but before the next turn of the context, uses
 * them again. Otherwise they are removed, and the next call adds them again; the cost of that grows faster than the
 * number of descriptors, because the context sorts them. Use sel_base_selector_attach() if there are many, and the
 * program does not wait all the time.
 *
 * Since: 1.0
 */
void
sel_base_selector_select_async (SelBaseSelector     *self,
                                gdouble              timeout,
                                int                  io_priority,
                                GCancellable        *cancellable,
                                GAsyncReadyCallback  callback,
                                gpointer             user_data)
{
  g_autoptr(GTask) task = NULL;
  g_autoptr(GError) error = NULL;

  g_return_if_fail (SEL_IS_BASE_SELECTOR (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, sel_base_selector_select_async);
  g_task_set_priority (task, io_priority);

  if (g_cancellable_set_error_if_cancelled (cancellable, &error) ||
      !sel_wait_begin_async (sel_core (self), timeout, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    sel_async_wait_begin (task, timeout);
}

/**
 * sel_base_selector_select_finish:
 * @self: a selector
 * @result: the result that was given to the callback of sel_base_selector_select_async()
 * @error: return location for an error, or %NULL
 *
 * Gets the result of sel_base_selector_select_async().
 *
 * Fails like sel_base_selector_select(), for example with %SEL_SELECTOR_ERROR_CLOSED if @self was closed during the
 * wait, with %G_IO_ERROR_CANCELLED if the wait was cancelled, and with %SEL_SELECTOR_ERROR_BUSY if another wait was
 * already in progress. Nothing is lost by a failure: the next wait reports the descriptors that were ready.
 *
 * Fails with %G_IO_ERROR_INVALID_ARGUMENT if @result belongs to another selector or function, or was used already.
 *
 * Returns: (transfer container) (element-type SelSelectorEvent): the descriptors that are ready, or %NULL on error;
 *   free with g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_base_selector_select_finish (SelBaseSelector  *self,
                                 GAsyncResult     *result,
                                 GError          **error)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), NULL);
  g_return_val_if_fail (G_IS_ASYNC_RESULT (result), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!g_task_is_valid (result, self) || !g_async_result_is_tagged (result, sel_base_selector_select_async))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           "The result is not one of select_async () of this selector, or was used already");
      return NULL;
    }

  /* A result can be used once. */
  g_task_set_source_tag (G_TASK (result), sel_base_selector_select_finish);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * sel_base_selector_select_finish_list: (rename-to sel_base_selector_select_finish)
 * @self: a selector
 * @result: the result that was given to the callback of sel_base_selector_select_async()
 * @error: return location for an error, or %NULL
 *
 * The form of sel_base_selector_select_finish() for other languages, with the same arguments and errors.
 * In them it has the name `select_finish`. C programs do not need it, because an array is faster.
 *
 * Returns: (transfer full) (element-type SelSelectorEvent): the descriptors that are ready; %NULL if there are none,
 *   and on error. Free with `g_list_free_full (list, (GDestroyNotify) sel_selector_event_unref)`
 *
 * Since: 1.0
 */
GList *
sel_base_selector_select_finish_list (SelBaseSelector  *self,
                                      GAsyncResult     *result,
                                      GError          **error)
{
  return sel_list_from_array (sel_base_selector_select_finish (self, result, error));
}
