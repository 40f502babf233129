/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "wait-fixture.h"

/* --- Wake-ups --- */

static void
wake (FakeSelector *fake,
      gpointer      user_data)
{
  sel_wait_wake (sel_core (fake));
}

static void
test_wake_before (Room          *room,
                  gconstpointer  data)
{
  sel_wait_wake (room->core);
  assert_state (room->core, SEL_STATE_WOKEN);
  assert_wait (room, "", SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN);
  assert_timeout (room, 0, 0);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);

  sel_wait_wake (room->core);
  assert_wait (room, "", 3600);
  assert_state (room->core, SEL_STATE_OPEN);

  /* The ready events are returned as well. */
  room_watch (room, room->a[0], SEL_EVENT_READ);
  sel_wait_wake (room->core);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN);
}

static void
test_wake_during (Room          *room,
                  gconstpointer  data)
{
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push_call (room->fake, wake, NULL);
  assert_wait (room, "", SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 2);

  /* The descriptor is still readable: the next wait drains it, and goes on. */
  g_assert_true (wake_is_pending (room));
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  g_assert_false (wake_is_pending (room));
}

/* In a child process the descriptor is the parent's. */
static void
test_wake_in_child (Room          *room,
                    gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  assert_wait (room, "", 0);
  sel_fork_begin_child ();
  sel_wait_wake (room->core);
  g_assert_true (sel_state_has (room->core, SEL_STATE_WOKEN));
  g_assert_false (wake_is_pending (room));

  sel_state_notice_fork (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_FORKED | SEL_STATE_WOKEN);
  sel_wait_wake (room->core);
  g_assert_false (wake_is_pending (room));

  g_assert_true (sel_lifecycle_reinit (room->core, &error));
  g_assert_no_error (error);
  sel_wait_wake (room->core);
  g_assert_true (wake_is_pending (room));
}

/* A wake-up is not for the callbacks of a main loop, but for an asynchronous wait. */
static void
test_wake_dispatch (Room          *room,
                    gconstpointer  data)
{
  Watcher watcher = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  watcher_add (&watcher, room);
  sel_wait_wake (room->core);
  assert_wait (room, "", 0, SEL_WAIT_DISPATCH, 8);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WOKEN);
  watcher_assert_log (&watcher, "");

  sel_state_set (room->core, SEL_STATE_ASYNC_PENDING);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", 0, SEL_WAIT_DISPATCH, 8);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WOKEN | SEL_STATE_ASYNC_PENDING);
  watcher_assert_log (&watcher, "changed(-1)");
  sel_state_unset (room->core, SEL_STATE_ASYNC_PENDING);
  watcher_remove (&watcher);
}

static GPtrArray *
poll_list (SelCore   *core,
           gboolean  *woken,
           GError   **error)
{
  g_autofree SelReadyEvent *events = NULL;
  gssize n = sel_wait_poll_events (core, &events, woken, error);

  return n >= 0 ? sel_wait_list_events (core, events, n) : NULL;
}

static void
test_wake_async (Room          *room,
                 gconstpointer  data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(GPtrArray) list = NULL;
      g_autoptr(GError) error = NULL;
      gboolean woken = 2;

      if (i != 1)
        sel_wait_wake (room->core);
      list = poll_list (room->core, &woken, &error);
      g_assert_no_error (error);
      assert_unlocked (room->core);
      assert_state (room->core, SEL_STATE_OPEN);
      g_assert_cmpuint (list->len, ==, 0);
      g_assert_cmpint (woken, ==, i != 1);
    }
}

static void
test_poll_list (Room          *room,
                gconstpointer  data)
{
  g_autoptr(GPtrArray) list = NULL;
  g_autoptr(GError) error = NULL;
  gboolean woken = TRUE;
  SelSelectorKey *key;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], ALL_EVENTS);
  fake_selector_push (room->fake, room->b[0], SEL_EVENT_WRITE, room->a[0], SEL_EVENT_READ, FAKE_END);
  list = poll_list (room->core, &woken, &error);
  g_assert_no_error (error);
  g_assert_false (woken);
  g_assert_cmpuint (list->len, ==, 2);
  key = sel_selector_event_get_key (g_ptr_array_index (list, 0));
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, room->b[0]);
  g_assert_cmpuint (sel_selector_event_get_events (g_ptr_array_index (list, 0)), ==, SEL_EVENT_WRITE);
  g_clear_pointer (&list, g_ptr_array_unref);

  fake_selector_push_error (room->fake, SEL_OS_ERROR, ENOMEM);
  list = poll_list (room->core, &woken, &error);
  g_assert_null (list);
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_state (room->core, SEL_STATE_OPEN);
  assert_unlocked (room->core);
}

/* --- Failures --- */

static void
test_fails (Room          *room,
            gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (gsize n_events = 0; n_events < 2; n_events++)
    {
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
      assert_wait_fails (room, SEL_OS_ERROR, EPROTO, SEL_WAIT_FOREVER, 0, n_events);
      assert_state (room->core, SEL_STATE_OPEN);
      fake_selector_push (room->fake, FAKE_END);
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
      assert_wait_fails (room, SEL_OS_ERROR, EPROTO, SEL_WAIT_FOREVER, 0, n_events);
      assert_state (room->core, SEL_STATE_OPEN);
    }

  /* An error of another kind with the number of EINTR. */
  fake_selector_push_error (room->fake, SEL_SELECTOR_ERROR, EINTR);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, EINTR, SEL_WAIT_FOREVER);
}

static void
assert_error_of_wait (Room       *room,
                      int         code,
                      const char *text,
                      gboolean    expected)
{
  g_autoptr(GError) error = NULL;

  fake_selector_push_error (room->fake, SEL_OS_ERROR, code);
  g_assert_cmpint (sel_wait_run (room->core, 0, NULL, NULL, 0, 0, NULL, &error), ==, -1);
  g_assert_error (error, SEL_OS_ERROR, code);
  g_assert_cmpint (g_str_has_prefix (error->message, text), ==, expected);
}

/* The kernel says EINVAL if more descriptors are waited for than a process may have. */
static void
test_limit (Room          *room,
            gconstpointer  data)
{
  const char *text = "2 descriptors are registered, but RLIMIT_NOFILE is only 2: Scripted failure";
  struct rlimit saved, limit;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  limit = saved;
  limit.rlim_cur = 2;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  assert_error_of_wait (room, EINVAL, text, TRUE);
  assert_error_of_wait (room, EBADF, text, FALSE);
  limit.rlim_cur = 3;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  assert_error_of_wait (room, EINVAL, "Scripted failure", TRUE);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));
}

static gboolean
wait_without_error (HookSelector  *self,
                    gdouble        timeout,
                    GError       **error)
{
  return FALSE;
}

static gboolean
wait_with_error (HookSelector  *self,
                 gdouble        timeout,
                 GError       **error)
{
  g_set_error_literal (error, SEL_OS_ERROR, EINTR, "An error in spite of success");

  return TRUE;
}

/* A class that does not follow the rules of errors. */
static void
test_wrong_class (void)
{
  HookSelector *hook = hook_selector_new ();
  SelBaseSelector *selector = SEL_BASE_SELECTOR (hook);
  g_autoptr(GError) error = NULL;
  SelReadyEvent event;

  hook->wait = wait_without_error;
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &event, 1, NULL, &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);

  hook->wait = wait_with_error;
  hook->n_waits = 0;
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &event, 1, NULL, &error), ==, 0);
  g_assert_no_error (error);
  g_assert_cmpuint (hook->n_waits, ==, 1);
  assert_unlocked (sel_core (hook));
  g_assert_finalize_object (G_OBJECT (hook));
}

/* --- Closing --- */

static void
close_in_wait (FakeSelector *fake,
               gpointer      user_data)
{
  sel_base_selector_close (SEL_BASE_SELECTOR (fake));
  g_assert_null (strstr (fake_selector_get_log (fake), "release"));
}

static void
test_close (Room          *room,
            gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, close_in_wait, NULL);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED, SEL_WAIT_FOREVER);
  fake_selector_assert_log (room->fake, "wait release(0)");
  assert_state (room->core, SEL_STATE_CLOSED);
}

static gboolean
close_and_fail (HookSelector  *self,
                gdouble        timeout,
                GError       **error)
{
  sel_base_selector_close (SEL_BASE_SELECTOR (self));
  g_set_error_literal (error, SEL_OS_ERROR, EBADF, "A failure because of close ()");

  return FALSE;
}

/* That it is closed matters more than that the kernel's wait has failed. */
static void
test_close_and_fail (void)
{
  HookSelector *hook = hook_selector_new ();
  g_autoptr(GError) error = NULL;
  SelReadyEvent event;

  hook->wait = close_and_fail;
  g_assert_cmpint (sel_base_selector_select_ready (SEL_BASE_SELECTOR (hook), 0, &event, 1, NULL, &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  g_assert_cmpuint (hook->n_releases, ==, 1);
  g_assert_finalize_object (G_OBJECT (hook));
}

/* --- Cancellation --- */

static gboolean
is_connected (GCancellable *cancellable)
{
  return g_signal_has_handler_pending (cancellable, g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0, TRUE);
}

static void
test_cancelled_before (Room          *room,
                       gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  room_watch (room, room->a[0], SEL_EVENT_READ);
  g_cancellable_cancel (cancellable);
  assert_wait_fails (room, G_IO_ERROR, G_IO_ERROR_CANCELLED, SEL_WAIT_FOREVER, 0, 0, cancellable);
  assert_wait_fails (room, G_IO_ERROR, G_IO_ERROR_CANCELLED, 0, 0, 1, cancellable);
  assert_no_calls (room);
  assert_state (room->core, SEL_STATE_OPEN);
}

static void
cancel (FakeSelector *fake,
        gpointer      user_data)
{
  g_assert_true (is_connected (user_data));
  g_cancellable_cancel (user_data);
}

static void
test_cancelled_during (Room          *room,
                       gconstpointer  data)
{
  for (gsize n_events = 0; n_events < 2; n_events++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();

      fake_selector_push (room->fake, FAKE_END);
      fake_selector_push_call (room->fake, cancel, cancellable);
      assert_wait_fails (room, G_IO_ERROR, G_IO_ERROR_CANCELLED, SEL_WAIT_FOREVER, 0, n_events, cancellable);
      assert_state (room->core, SEL_STATE_OPEN);
      g_assert_true (wake_is_pending (room));
      g_assert_false (is_connected (cancellable));
    }
}

static void
assert_not_connected (FakeSelector *fake,
                      gpointer      user_data)
{
  g_assert_false (is_connected (user_data));
}

/* A wait without time cannot be woken, so that it need not hear of it. */
static void
test_cancellable_of_poll (Room          *room,
                          gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, assert_not_connected, cancellable);
  assert_wait (room, "", 0, 0, 0, cancellable);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);

  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", 3600, 0, 0, cancellable);
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER, 0, 1, cancellable);
  g_assert_false (is_connected (cancellable));
}

/* The time ends although the wait can be cancelled. */
static void
test_cancellable_time_over (Room          *room,
                            gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  fake_selector_push_call (room->fake, let_time_pass, NULL);
  assert_wait (room, "", 0.001, 0, 0, cancellable);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/wait/wake/before", test_wake_before);
  room_add ("/wait/wake/during", test_wake_during);
  room_add ("/wait/wake/in-child", test_wake_in_child);
  room_add ("/wait/wake/dispatch", test_wake_dispatch);
  room_add ("/wait/wake/async", test_wake_async);
  room_add ("/wait/poll-list", test_poll_list);
  room_add ("/wait/fails/ok", test_fails);
  room_add ("/wait/fails/limit", test_limit);
  g_test_add_func ("/wait/fails/wrong-class", test_wrong_class);
  room_add ("/wait/close/ok", test_close);
  g_test_add_func ("/wait/close/and-fail", test_close_and_fail);
  room_add ("/wait/cancel/before", test_cancelled_before);
  room_add ("/wait/cancel/during", test_cancelled_during);
  room_add ("/wait/cancel/poll", test_cancellable_of_poll);
  room_add ("/wait/cancel/time-over", test_cancellable_time_over);

  return g_test_run ();
}
