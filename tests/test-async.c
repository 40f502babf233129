/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib-unix.h>
#include <math.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "backends.h"

/* select_async (): exactly one completion, whatever events come together. */

typedef struct
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GCancellable    *cancellable;
  int              pair[2];
  guint            n_done;
  guint            n_done_before; /* another source was dispatched */
  GPtrArray       *ready;
  GError          *error;
  GThread         *canceller;
  GThread         *thread;   /* the thread of the callback */
  guint            source_id; /* the source that has called it */
  gboolean         inside;   /* in a function that must not call the callback */
  void           (*act) (gpointer wait);
} Wait;

static void
wait_open (Wait           *wait,
           BackendFixture *fixture)
{
  fixture_renew_selector (fixture);
  *wait = (Wait) { .fixture = fixture, .selector = fixture->selector };
  wait->context = g_main_context_new ();
  wait->cancellable = g_cancellable_new ();
  open_pipe (wait->pair);
  g_main_context_push_thread_default (wait->context);
}

static void
wait_reset (Wait *wait)
{
  g_clear_pointer (&wait->canceller, g_thread_join);
  g_clear_pointer (&wait->ready, g_ptr_array_unref);
  g_clear_error (&wait->error);
  wait->n_done = 0;
  g_clear_object (&wait->cancellable);
  wait->cancellable = g_cancellable_new ();
}

static void
wait_close (Wait *wait)
{
  wait_reset (wait);
  g_clear_object (&wait->cancellable);
  if (wait->fixture->selector != NULL && sel_base_selector_get_map (wait->fixture->selector) != NULL
      && sel_selector_mapping_contains (sel_base_selector_get_map (wait->fixture->selector), wait->pair[0]))
    unwatch (wait->fixture->selector, wait->pair[0]);
  close_pair (wait->pair);
  g_main_context_pop_thread_default (wait->context);
  g_main_context_unref (wait->context);
}

static void
on_done (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Wait *wait = user_data;

  g_assert_false (wait->inside);
  g_assert_true (source == G_OBJECT (wait->selector));
  g_assert_cmpuint (wait->n_done, ==, 0);
  wait->n_done++;
  wait->thread = g_thread_self ();
  wait->source_id = g_source_get_id (g_main_current_source ());
  wait->ready = sel_base_selector_select_finish (wait->selector, result, &wait->error);
  g_assert_true ((wait->ready == NULL) == (wait->error != NULL));

  if (wait->act != NULL)
    wait->act (wait);
}

static void
wait_begin (Wait    *wait,
            gdouble  timeout)
{
  wait->inside = TRUE;
  sel_base_selector_select_async (wait->selector, timeout, G_PRIORITY_DEFAULT, wait->cancellable, on_done, wait);
  wait->inside = FALSE;
}

static void
wait_settle (Wait *wait)
{
  for (guint quiet = 0, n = 0; quiet < 3; n++)
    {
      if (!g_main_context_iteration (wait->context, FALSE))
        quiet++;
      g_assert_cmpuint (n, <, 100);
    }
}

static void
wait_until_done (Wait *wait)
{
  while (wait->n_done == 0)
    g_main_context_iteration (wait->context, TRUE);
  wait_settle (wait);
  g_assert_cmpuint (wait->n_done, ==, 1);
}

static void
assert_done_ready (Wait *wait)
{
  SelSelectorEvent *event;

  g_assert_no_error (wait->error);
  g_assert_cmpuint (wait->ready->len, ==, 1);
  event = g_ptr_array_index (wait->ready, 0);
  g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (event)), ==, wait->pair[0]);
  g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_READ);
}

static void
assert_done_empty (Wait *wait)
{
  g_assert_no_error (wait->error);
  g_assert_cmpuint (wait->ready->len, ==, 0);
}

static void
test_ready (BackendFixture *fixture)
{
  for (guint ready_before = 0; ready_before < 2; ready_before++)
    {
      Wait wait;

      wait_open (&wait, fixture);
      watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
      if (ready_before)
        put_byte (wait.pair[1]);
      wait_begin (&wait, SEL_WAIT_FOREVER);
      if (!ready_before)
        {
          wait_settle (&wait);
          g_assert_cmpuint (wait.n_done, ==, 0);
          put_byte (wait.pair[1]);
        }
      wait_until_done (&wait);
      assert_done_ready (&wait);
      g_assert_true (wait.thread == g_thread_self ());

      /* No event was consumed, and no wait is pending any more. */
      assert_ready (wait.selector, 0, wait.pair[0], SEL_EVENT_READ, -1);
      wait_close (&wait);
    }
}

/* Descriptors that are registered, or become ready, during the wait. */
static void
test_register_during (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  put_byte (wait.pair[1]);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  wait_settle (&wait);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  wait_until_done (&wait);
  assert_done_ready (&wait);
  wait_close (&wait);
}

/* A registered descriptor that is closed is not reported, and does not keep the loop busy. */
static void
test_closed_descriptor (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  wait_settle (&wait);
  close_pair (wait.pair);
  wait_settle (&wait);
  g_assert_cmpuint (wait.n_done, ==, 0);

  unwatch (wait.selector, wait.pair[0]);
  open_pipe (wait.pair);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  put_byte (wait.pair[1]);
  wait_until_done (&wait);
  assert_done_ready (&wait);
  wait_close (&wait);
}

static void
test_timeout (BackendFixture *fixture)
{
  static const gdouble timeouts[] = { 0, -1, -0.0, -INFINITY, 1e-9, 0.001, 0.0123 };
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  for (gsize i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      gint64 start = g_get_monotonic_time ();

      wait_begin (&wait, timeouts[i]);
      wait_until_done (&wait);
      assert_done_empty (&wait);
      g_assert_cmpint (g_get_monotonic_time () - start, >=, (gint64) (MAX (timeouts[i], 0) * 1e6));
      wait_reset (&wait);

      put_byte (wait.pair[1]);
      wait_begin (&wait, timeouts[i]);
      wait_until_done (&wait);
      assert_done_ready (&wait);
      drain (wait.pair[0]);
      wait_reset (&wait);
    }

  /* A timeout beyond the range of the clock. */
  put_byte (wait.pair[1]);
  wait_begin (&wait, 1e300);
  wait_until_done (&wait);
  assert_done_ready (&wait);

  wait_close (&wait);
}

static void
test_not_a_number (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  wait_begin (&wait, NAN);
  wait_until_done (&wait);
  assert_failed (&wait.error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  assert_quiet (wait.selector, 0);
  wait_close (&wait);
}

static gpointer
cancel_in_thread (gpointer user_data)
{
  g_cancellable_cancel (user_data);

  return NULL;
}

static void
test_cancel (BackendFixture *fixture)
{
  enum { BEFORE, RIGHT_AFTER, DURING, FROM_THREAD, N_WHEN };

  for (int when = 0; when < N_WHEN; when++)
    {
      Wait wait;

      wait_open (&wait, fixture);
      watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
      if (when == BEFORE)
        {
          put_byte (wait.pair[1]);
          g_cancellable_cancel (wait.cancellable);
        }
      wait_begin (&wait, SEL_WAIT_FOREVER);
      if (when == RIGHT_AFTER)
        g_cancellable_cancel (wait.cancellable);
      wait_settle (&wait);
      if (when == DURING)
        {
          g_assert_cmpuint (wait.n_done, ==, 0);
          wait.inside = TRUE;
          g_cancellable_cancel (wait.cancellable);
          wait.inside = FALSE;
        }
      if (when == FROM_THREAD)
        wait.canceller = g_thread_new ("cancel", cancel_in_thread, wait.cancellable);
      wait_until_done (&wait);
      assert_failed (&wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

      /* No event is lost, and the next wait works. */
      put_byte (wait.pair[1]);
      wait_reset (&wait);
      wait_begin (&wait, SEL_WAIT_FOREVER);
      wait_until_done (&wait);
      assert_done_ready (&wait);
      wait_close (&wait);
    }
}

static gboolean
remove_source (int          fd,
               GIOCondition condition,
               gpointer     user_data)
{
  return G_SOURCE_REMOVE;
}

/* GLib does not ask a source if one of a higher priority is ready. */
static void
cancel_beside_higher_priority (Wait *wait)
{
  g_autoptr(GSource) source = NULL;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  source = g_unix_fd_source_new (fds[0], G_IO_IN);
  g_source_set_callback (source, (GSourceFunc) (void (*) (void)) remove_source, NULL, NULL);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_attach (source, wait->context);
  wait_begin (wait, SEL_WAIT_FOREVER);
  g_cancellable_cancel (wait->cancellable);
  g_assert_true (g_main_context_iteration (wait->context, FALSE));
  g_assert_cmpuint (wait->n_done, ==, 0);
  g_assert_true (g_source_is_destroyed (source));
  close_pair (fds);
}

static gpointer
register_in_thread (gpointer user_data)
{
  Wait *wait = user_data;

  watch (wait->selector, wait->pair[0], SEL_EVENT_READ);

  return NULL;
}

static Wait *polling_wait;

static int
poll_while_registered (GPollFD *fds,
                       guint    n_fds,
                       int      timeout)
{
  g_thread_join (g_thread_new ("register", register_in_thread, polling_wait));

  return g_poll (fds, n_fds, timeout);
}

/* The thread rings the bell where the context polls each descriptor, and the wait has looked for that reason. */
static void
cancel_after_change (Wait *wait)
{
  GPollFunc poll_func = g_main_context_get_poll_func (wait->context);

  wait_begin (wait, SEL_WAIT_FOREVER);
  wait_settle (wait);
  polling_wait = wait;
  g_main_context_set_poll_func (wait->context, poll_while_registered);
  g_main_context_iteration (wait->context, FALSE);
  g_main_context_set_poll_func (wait->context, poll_func);
  g_cancellable_cancel (wait->cancellable);
}

static void
cancel_without_bell (Wait *wait)
{
  struct rlimit saved;

  watch (wait->selector, wait->pair[0], SEL_EVENT_READ);
  forbid_open (&saved);
  wait_begin (wait, SEL_WAIT_FOREVER);
  allow_open (&saved);
  g_cancellable_cancel (wait->cancellable);
}

/* The bell that the canceller rings does nothing else than to wake the context. */
static void
test_cancel_is_heard (BackendFixture *fixture)
{
  static void (*const funcs[]) (Wait *wait) = {
    cancel_beside_higher_priority, cancel_after_change, cancel_without_bell,
  };

  for (gsize i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      Wait wait;

      g_test_message ("case %" G_GSIZE_FORMAT, i);
      wait_open (&wait, fixture);
      funcs[i] (&wait);
      wait_settle (&wait);
      g_assert_cmpuint (wait.n_done, ==, 1);
      assert_failed (&wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      wait_close (&wait);
    }
}

static gpointer
close_in_thread (gpointer user_data)
{
  sel_base_selector_close (user_data);

  return NULL;
}

static void
test_close (BackendFixture *fixture)
{
  for (guint from_thread = 0; from_thread < 2; from_thread++)
    for (guint settled = 0; settled < 2; settled++)
      {
        Wait wait;

        wait_open (&wait, fixture);
        watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
        wait_begin (&wait, SEL_WAIT_FOREVER);
        if (settled)
          wait_settle (&wait);

        /* close () itself must not call the callback. */
        wait.inside = TRUE;
        if (from_thread)
          g_thread_join (g_thread_new ("close", close_in_thread, wait.selector));
        else
          sel_base_selector_close (wait.selector);
        wait.inside = FALSE;

        wait_until_done (&wait);
        assert_failed (&wait.error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
        g_assert_true (wait.thread == g_thread_self ());

        wait_reset (&wait);
        wait_begin (&wait, 0);
        wait_until_done (&wait);
        assert_failed (&wait.error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
        wait_close (&wait);
      }
}

static gboolean
note_dispatch (gpointer user_data)
{
  Wait *wait = user_data;

  wait->n_done_before = wait->n_done;

  return G_SOURCE_REMOVE;
}

/* After close (), the wait completes with its own priority: before a source of lower priority, and after one of higher
 * priority. */
static void
test_close_priority (BackendFixture *fixture)
{
  static const int priorities[] = { G_PRIORITY_HIGH, G_PRIORITY_DEFAULT, G_PRIORITY_DEFAULT_IDLE, G_PRIORITY_LOW };

  for (gsize i = 0; i < G_N_ELEMENTS (priorities); i++)
    for (int offset = -1; offset <= 1; offset += 2)
      {
        GSource *other = g_idle_source_new ();
        Wait wait;

        wait_open (&wait, fixture);
        sel_base_selector_select_async (wait.selector, SEL_WAIT_FOREVER, priorities[i], NULL, on_done, &wait);
        wait_settle (&wait);
        sel_base_selector_close (wait.selector);

        g_source_set_priority (other, priorities[i] + offset);
        g_source_set_callback (other, note_dispatch, &wait, NULL);
        g_source_attach (other, wait.context);
        wait_until_done (&wait);
        g_assert_cmpuint (wait.n_done_before, ==, offset > 0 ? 1 : 0);
        assert_failed (&wait.error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);

        g_source_unref (other);
        wait_close (&wait);
      }
}

static void
keep_result (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
assert_refused (SelBaseSelector *selector,
                gpointer         result)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (sel_base_selector_select_finish (selector, result, &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_null (sel_base_selector_select_finish_list (selector, result, &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_null (sel_base_selector_select_finish (selector, result, NULL));
}

/* Results of another selector, of another function, of no object, and results that were used are errors. */
static void
test_wrong_result (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) other = fixture->backend->new_selector (NULL);
  g_autoptr (GTask) of_nothing = g_task_new (NULL, NULL, NULL, NULL);
  g_autoptr (GTask) of_function = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;
  Wait wait;

  wait_open (&wait, fixture);
  of_function = g_task_new (wait.selector, NULL, NULL, NULL);
  sel_base_selector_select_async (wait.selector, 0, G_PRIORITY_DEFAULT, NULL, keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (wait.context, TRUE);

  assert_refused (other, result);
  assert_refused (wait.selector, of_function);
  assert_refused (wait.selector, of_nothing);

  ready = sel_base_selector_select_finish (wait.selector, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 0);
  assert_refused (wait.selector, result);

  wait_close (&wait);
}

static void
on_busy (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  sel_base_selector_select_finish (SEL_BASE_SELECTOR (source), result, user_data);
}

static void
test_busy (BackendFixture *fixture)
{
  g_autoptr (GPtrArray) ready G_GNUC_UNUSED = NULL;
  g_autoptr (GError) error = NULL;
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  wait_begin (&wait, SEL_WAIT_FOREVER);

  sel_base_selector_select_async (wait.selector, 0, G_PRIORITY_DEFAULT, NULL, on_busy, &error);
  while (error == NULL)
    g_main_context_iteration (wait.context, TRUE);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_null (sel_base_selector_select (wait.selector, 0, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  /* The first wait goes on. */
  wait_settle (&wait);
  g_assert_cmpuint (wait.n_done, ==, 0);
  put_byte (wait.pair[1]);
  wait_until_done (&wait);
  assert_done_ready (&wait);
  wait_close (&wait);
}

static void
test_wakeup (BackendFixture *fixture)
{
  for (guint before = 0; before < 2; before++)
    {
      Wait wait;

      wait_open (&wait, fixture);
      watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
      if (before)
        sel_base_selector_wakeup (wait.selector);
      wait_begin (&wait, SEL_WAIT_FOREVER);
      if (!before)
        {
          wait_settle (&wait);
          sel_base_selector_wakeup (wait.selector);
        }
      wait_until_done (&wait);
      assert_done_empty (&wait);

      /* A wake-up ends one wait only. */
      wait_reset (&wait);
      wait_begin (&wait, 0.001);
      wait_until_done (&wait);
      assert_done_empty (&wait);
      wait_close (&wait);
    }
}

/* Races: every two of the events that can end a wait, at the same moment. */

static void
end_by_ready (Wait *wait)
{
  put_byte (wait->pair[1]);
}

static void
end_by_cancel (Wait *wait)
{
  g_cancellable_cancel (wait->cancellable);
}

static void
end_by_close (Wait *wait)
{
  sel_base_selector_close (wait->selector);
}

static void
end_by_wakeup (Wait *wait)
{
  sel_base_selector_wakeup (wait->selector);
}

static void
end_by_time (Wait *wait)
{
  gint64 end = g_get_monotonic_time () + 1000;

  while (g_get_monotonic_time () < end)
    ;
}

static void
end_by_thread (Wait *wait)
{
  if (wait->canceller == NULL)
    wait->canceller = g_thread_new ("cancel", cancel_in_thread, wait->cancellable);
}

static void
test_races (BackendFixture *fixture)
{
  static void (*const ends[]) (Wait *) = {
    end_by_ready, end_by_cancel, end_by_close, end_by_wakeup, end_by_time, end_by_thread,
  };

  for (gsize i = 0; i < G_N_ELEMENTS (ends); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (ends); j++)
      {
        gboolean was_done;
        Wait wait;

        wait_open (&wait, fixture);
        watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
        wait_begin (&wait, ends[i] == end_by_time || ends[j] == end_by_time ? 0.0005 : SEL_WAIT_FOREVER);
        g_main_context_iteration (wait.context, FALSE);
        was_done = wait.n_done > 0; /* on a slow machine the timeout came first */

        wait.inside = TRUE;
        ends[i] (&wait);
        ends[j] (&wait);
        wait.inside = FALSE;

        wait_until_done (&wait);
        if (!was_done && (ends[i] == end_by_cancel || ends[j] == end_by_cancel))
          g_assert_true (g_error_matches (wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
        else if (ends[i] == end_by_ready && ends[j] == end_by_ready)
          assert_done_ready (&wait);

        /* The descriptor is still ready. */
        if (!sel_base_selector_is_closed (wait.selector) && (ends[i] == end_by_ready || ends[j] == end_by_ready))
          assert_ready (wait.selector, 0, wait.pair[0], SEL_EVENT_READ, -1);
        wait_close (&wait);
      }
}

/* The callback of a wait starts the next one. */
static void
begin_again (gpointer data)
{
  Wait *wait = data;

  wait->act = NULL;
  assert_done_ready (wait);
  drain (wait->pair[0]);
  wait_reset (wait);
  wait_begin (wait, 0.001);
}

static void
test_again_in_callback (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  wait.act = begin_again;
  put_byte (wait.pair[1]);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  while (wait.act != NULL)
    g_main_context_iteration (wait.context, TRUE);
  wait_until_done (&wait);
  assert_done_empty (&wait);
  wait_close (&wait);
}

static void
drop_selector (gpointer data)
{
  Wait *wait = data;

  g_clear_object (&wait->fixture->selector);
}

/* A pending wait holds a reference to the selector, and drops it at its end. */
static void
test_drop (BackendFixture *fixture)
{
  for (guint in_callback = 0; in_callback < 2; in_callback++)
    {
      gpointer weak;
      Wait wait;

      wait_open (&wait, fixture);
      weak = wait.selector;
      g_object_add_weak_pointer (weak, &weak);
      watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
      wait_begin (&wait, SEL_WAIT_FOREVER);
      if (in_callback)
        wait.act = drop_selector;
      else
        drop_selector (&wait);
      g_assert_nonnull (weak);

      put_byte (wait.pair[1]);
      wait_until_done (&wait);
      assert_done_ready (&wait);
      wait_reset (&wait);
      g_assert_null (weak);
      wait_close (&wait);
    }
}

static gpointer
wait_in_thread (gpointer user_data)
{
  Wait *wait = user_data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  wait_begin (wait, SEL_WAIT_FOREVER);
  while (wait->n_done == 0)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_thread_default (BackendFixture *fixture)
{
  GThread *thread;
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  thread = g_thread_new ("loop", wait_in_thread, &wait);
  put_byte (wait.pair[1]);
  g_thread_join (thread);
  g_assert_true (wait.thread == thread);
  assert_done_ready (&wait);
  wait_close (&wait);
}

/* A source with a higher priority is attached as well. It dispatches the ready descriptor, ... */

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  ++*(guint *) user_data;
  drain (sel_selector_key_get_fd (key));

  return G_SOURCE_CONTINUE;
}

static void
test_beside_source (BackendFixture *fixture)
{
  guint n_calls = 0;
  GSource *source;
  Wait wait;
  guint id;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  id = sel_base_selector_attach (wait.selector, wait.context, G_PRIORITY_HIGH, on_ready, &n_calls, NULL);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  put_byte (wait.pair[1]);
  wait_settle (&wait);
  g_assert_cmpuint (n_calls, ==, 1);
  g_assert_cmpuint (wait.n_done, ==, 0);

  /* ... but a wake-up ends the asynchronous wait. */
  sel_base_selector_wakeup (wait.selector);
  wait_until_done (&wait);
  assert_done_empty (&wait);
  g_assert_cmpuint (n_calls, ==, 1);

  source = g_main_context_find_source_by_id (wait.context, id);
  g_source_destroy (source);
  wait_close (&wait);
}

static void
run_inner_loop (gpointer user_data)
{
  wait_settle (user_data);
}

/* A wait that has ended does not poll again, although the descriptor that ended it is still ready. */
static void
test_inner_loop (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  wait.act = run_inner_loop;
  sel_base_selector_set_can_recurse (wait.selector, TRUE);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  wait_settle (&wait);
  put_byte (wait.pair[1]);
  wait_until_done (&wait);
  g_assert_no_error (wait.error);
  g_assert_cmpuint (wait.ready->len, ==, 1);
  wait_close (&wait);
}

/* Begins a wait that ends in the first turn. */
static guint
wait_once (Wait *wait,
           int   priority)
{
  wait_reset (wait);
  sel_base_selector_select_async (wait->selector, SEL_WAIT_FOREVER, priority, wait->cancellable, on_done, wait);
  while (wait->n_done == 0)
    g_main_context_iteration (wait->context, TRUE);
  assert_done_ready (wait);

  return wait->source_id;
}

/* A wait that begins before the next turn uses the source of the last one, so that the descriptors stay in the
 * context. */
static void
test_reuse (BackendFixture *fixture)
{
  guint first, other;
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  put_byte (wait.pair[1]);
  first = wait_once (&wait, G_PRIORITY_DEFAULT);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (wait_once (&wait, G_PRIORITY_DEFAULT), ==, first);
  other = wait_once (&wait, G_PRIORITY_HIGH);
  g_assert_cmpuint (other, !=, first);
  g_assert_null (g_main_context_find_source_by_id (wait.context, first));

  wait_reset (&wait);
  g_assert_false (g_main_context_iteration (wait.context, FALSE));
  g_assert_null (g_main_context_find_source_by_id (wait.context, other));
  g_assert_cmpuint (wait_once (&wait, G_PRIORITY_HIGH), !=, other);
  wait_close (&wait);
}

/* Another descriptor is registered between two waits, and the first one is removed. */
static void
test_reuse_changes (BackendFixture *fixture)
{
  int other[2];
  Wait wait;

  wait_open (&wait, fixture);
  open_pipe (other);
  watch (wait.selector, other[0], SEL_EVENT_READ);
  put_byte (other[1]);
  wait_begin (&wait, SEL_WAIT_FOREVER);
  while (wait.n_done == 0)
    g_main_context_iteration (wait.context, TRUE);

  unwatch (wait.selector, other[0]);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  put_byte (wait.pair[1]);
  wait_once (&wait, G_PRIORITY_DEFAULT);
  wait_close (&wait);
  close_pair (other);
}

static void
begin_and_run (gpointer data)
{
  Wait *wait = data;

  wait->act = NULL;
  wait_reset (wait);
  wait_begin (wait, SEL_WAIT_FOREVER);
  wait_until_done (wait);
}

/* The callback of a wait starts the next one, and runs a loop until it is over. */
static void
test_again_in_inner_loop (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  put_byte (wait.pair[1]);
  wait.act = begin_and_run;
  wait_begin (&wait, SEL_WAIT_FOREVER);
  wait_until_done (&wait);
  g_assert_null (wait.act);
  assert_done_ready (&wait);
  wait_close (&wait);
}

static void
set_true (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static gpointer
unref_in_thread (gpointer object)
{
  g_object_unref (object);

  return NULL;
}

/* The last reference is dropped before the next turn, and there may be none. The notify of the object's data shows when
 * it is freed. */
static void
test_drop_after (BackendFixture *fixture)
{
  for (guint in_thread = 0; in_thread < 2; in_thread++)
    {
      gboolean is_freed = FALSE;
      guint id;
      Wait wait;

      wait_open (&wait, fixture);
      watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
      put_byte (wait.pair[1]);
      id = wait_once (&wait, G_PRIORITY_DEFAULT);
      wait_reset (&wait);

      g_object_set_data_full (G_OBJECT (fixture->selector), "test", &is_freed, set_true);
      if (in_thread)
        g_thread_join (g_thread_new ("unref", unref_in_thread, g_steal_pointer (&fixture->selector)));
      else
        g_clear_object (&fixture->selector);
      g_assert_cmpint (is_freed, ==, !in_thread);

      wait_settle (&wait);
      g_assert_true (is_freed);
      g_assert_null (g_main_context_find_source_by_id (wait.context, id));
      wait_close (&wait);
    }
}

/* The context ends first. */
static void
test_drop_context (BackendFixture *fixture)
{
  Wait wait;

  wait_open (&wait, fixture);
  watch (wait.selector, wait.pair[0], SEL_EVENT_READ);
  put_byte (wait.pair[1]);
  wait_once (&wait, G_PRIORITY_DEFAULT);
  g_main_context_pop_thread_default (wait.context);
  g_main_context_unref (wait.context);
  wait.context = g_main_context_new ();
  g_main_context_push_thread_default (wait.context);
  wait_once (&wait, G_PRIORITY_DEFAULT);
  wait_close (&wait);
}

static SelBaseSelector *signalled_selector;

static void
on_signal (int number)
{
  sel_base_selector_wakeup (signalled_selector);
}

static void
test_wakeup_from_signal (BackendFixture *fixture)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct sigaction before;
  Wait wait;

  wait_open (&wait, fixture);
  signalled_selector = wait.selector;
  g_assert_no_errno (sigaction (SIGUSR1, &action, &before));
  wait_begin (&wait, SEL_WAIT_FOREVER);
  wait_settle (&wait);
  g_assert_no_errno (kill (getpid (), SIGUSR1));
  wait_until_done (&wait);
  assert_done_empty (&wait);
  g_assert_no_errno (sigaction (SIGUSR1, &before, NULL));
  wait_close (&wait);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();

  backend_add_both_modes ("async/ready", test_ready);
  backend_add_both_modes ("async/register-during", test_register_during);
  backend_add_both_modes ("async/closed-descriptor", test_closed_descriptor);
  backend_add_both_modes ("async/timeout", test_timeout);
  backend_add_both_modes ("async/not-a-number", test_not_a_number);
  backend_add_both_modes ("async/cancel", test_cancel);
  backend_add_both_modes ("async/cancel-is-heard", test_cancel_is_heard);
  backend_add_both_modes ("async/close", test_close);
  backend_add_both_modes ("async/close-priority", test_close_priority);
  backend_add_both_modes ("async/wrong-result", test_wrong_result);
  backend_add_both_modes ("async/busy", test_busy);
  backend_add_both_modes ("async/wakeup", test_wakeup);
  backend_add_both_modes ("async/wakeup-from-signal", test_wakeup_from_signal);
  backend_add_both_modes ("async/races", test_races);
  backend_add_both_modes ("async/again-in-callback", test_again_in_callback);
  backend_add_both_modes ("async/inner-loop", test_inner_loop);
  backend_add_both_modes ("async/drop", test_drop);
  backend_add_both_modes ("async/reuse", test_reuse);
  backend_add_both_modes ("async/reuse-changes", test_reuse_changes);
  backend_add_both_modes ("async/again-in-inner-loop", test_again_in_inner_loop);
  backend_add_both_modes ("async/drop-after", test_drop_after);
  backend_add_both_modes ("async/drop-context", test_drop_context);
  backend_add_both_modes ("async/thread-default", test_thread_default);
  backend_add_both_modes ("async/beside-source", test_beside_source);

  return g_test_run ();
}
