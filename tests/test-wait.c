/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "core/sel-wait-private.h"
#include "room-fixture.h"

typedef struct
{
  gdouble        timeout;
  SelWaitFlags   flags;
  gsize          n_events;     /* the size of the array; 0: the list of the selector */
  GCancellable  *cancellable;
} Parameters;

/* Waits with an array of the caller, or into the list of the selector. Returns the result as "a:1 b:3". */
static char *
wait_for_text (Room              *room,
               const Parameters  *parameters,
               GError           **error)
{
  SelReadyEvent events[8];
  const SelReadyEvent *found = events;
  GString *text;
  gssize n;

  n = sel_wait_run (room->core, parameters->timeout, parameters->n_events > 0 ? events : NULL, parameters->n_events,
                    parameters->flags, parameters->cancellable, error);
  if (n < 0)
    {
      assert_unlocked (room->core);
      g_assert_false (sel_ready_list_is_open (room->core));
      return NULL;
    }

  if (parameters->n_events == 0)
    {
      assert_locked (room->core);
      found = room->core->wait.list.events;
    }

  text = g_string_new (NULL);
  for (gssize i = 0; i < n; i++)
    {
      const char *name = found[i].fd == room->a[0] ? "a" : found[i].fd == room->b[0] ? "b" : "c";

      g_string_append_printf (text, "%s%s:%u", i > 0 ? " " : "", name, found[i].events);
    }
  if (parameters->n_events == 0)
    sel_wait_end (room->core);
  assert_unlocked (room->core);
  g_assert_false (sel_ready_list_is_open (room->core));
  g_assert_false (sel_state_has (room->core, SEL_STATE_IN_WAIT));

  return g_string_free (text, FALSE);
}

#define assert_wait(room, expected, ...)                                                        \
  G_STMT_START                                                                                  \
    {                                                                                           \
      const Parameters parameters_ = { __VA_ARGS__ };                                           \
      g_autoptr(GError) error_ = NULL;                                                          \
      g_autofree char *text_ = wait_for_text (room, &parameters_, &error_);                     \
      g_assert_no_error (error_);                                                               \
      g_assert_cmpstr (text_, ==, expected);                                                    \
    }                                                                                           \
  G_STMT_END

#define assert_wait_fails(room, domain, code, ...)                                              \
  G_STMT_START                                                                                  \
    {                                                                                           \
      const Parameters parameters_ = { __VA_ARGS__ };                                           \
      g_autoptr(GError) error_ = NULL;                                                          \
      g_autofree char *text_ = wait_for_text (room, &parameters_, &error_);                     \
      g_assert_error (error_, domain, code);                                                    \
      g_assert_null (text_);                                                                    \
    }                                                                                           \
  G_STMT_END

/* Compares the time of a wait in the kernel. */
static void
assert_timeout (Room    *room,
                guint    i,
                gdouble  expected)
{
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), <=, expected);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), >=, expected);
}

/* --- Timeouts --- */

static void
test_timeouts (Room          *room,
               gconstpointer  data)
{
  static const struct
  {
    gdouble timeout;
    gdouble expected;
  } cases[] = {
    { 0, 0 },
    { -0.0, 0 },
    { -1, 0 },
    { -INFINITY, 0 },
    { -DBL_MIN, 0 },
    { DBL_MIN, DBL_MIN },
    { 3600, 3600 },
    { 1e300, 1e300 },
    { SEL_WAIT_FOREVER, INFINITY },
  };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_test_message ("%g", cases[i].timeout);
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", cases[i].timeout);
      g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
      assert_timeout (room, 0, cases[i].expected);
      fake_selector_clear_log (room->fake);

      /* Nothing is ready: a wait without time asks once. */
      if (cases[i].timeout <= 0)
        {
          assert_wait (room, "", cases[i].timeout);
          g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
          fake_selector_clear_log (room->fake);
        }
    }
}

static void
test_timeout_nan (Room          *room,
                  gconstpointer  data)
{
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT, NAN);
  fake_selector_assert_log (room->fake, "open");
  assert_state (room->core, SEL_STATE_OPEN);

  /* A selector that cannot be used comes first. */
  sel_state_set (room->core, SEL_STATE_FORKED);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED, NAN);
  sel_base_selector_close (room->selector);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED, NAN);
}

/* Lets at least 2 milliseconds of the monotonic clock pass. */
static void
let_time_pass (FakeSelector *fake,
               gpointer      user_data)
{
  gint64 end = g_get_monotonic_time () + 2000;

  while (g_get_monotonic_time () < end)
    ;
}

static void
test_time_left (Room          *room,
                gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, let_time_pass, NULL);
  fake_selector_push_call (room->fake, let_time_pass, NULL);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", 3600);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 3);
  assert_timeout (room, 0, 3600);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 1), <=, 3600 - 0.002 + 1e-6);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 2), <=, 3600 - 0.004 + 1e-6);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 2), >, 0);
}

/* The time ends during the first wait: there is no other one. */
static void
test_time_over (Room          *room,
                gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, let_time_pass, NULL);
  assert_wait (room, "", 0.001);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
}

static void
test_forever_goes_on (Room          *room,
                      gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_true (isinf (fake_selector_get_timeout (room->fake, i)));
}

/* --- Signals --- */

static void
test_eintr (Room          *room,
            gconstpointer  data)
{
  static const gdouble timeouts[] = { 0, 3600, SEL_WAIT_FOREVER };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", timeouts[i]);
      g_assert_cmpuint (fake_selector_get_n_steps (room->fake), ==, 0);

      /* A signal ends it: for languages, or because of the property. */
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EINTR);
      assert_wait (room, "", timeouts[i], SEL_WAIT_INTERRUPTIBLE);
      sel_base_selector_set_interruptible (room->selector, TRUE);
      fake_selector_push_error (room->fake, SEL_OS_ERROR, EINTR);
      assert_wait (room, "", timeouts[i]);
      sel_base_selector_set_interruptible (room->selector, FALSE);
      g_assert_cmpuint (fake_selector_get_n_steps (room->fake), ==, 0);
    }

  /* Other early returns do not end an interruptible wait. */
  fake_selector_push (room->fake, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER, SEL_WAIT_INTERRUPTIBLE);
}

/* --- Wake-ups --- */

static gboolean
wake_is_pending (Room *room)
{
  GPollFD poll_fd = { .fd = sel_notify_get_fd (room->core), .events = G_IO_IN };

  return g_poll (&poll_fd, 1, 0) > 0;
}

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

  /* With what is ready. */
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
  assert_wait (room, "", 0);
  sel_state_count_fork ();
  sel_wait_wake (room->core);
  g_assert_true (sel_state_has (room->core, SEL_STATE_WOKEN));
  g_assert_false (wake_is_pending (room));

  sel_state_notice_fork (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_FORKED | SEL_STATE_WOKEN);
  sel_wait_wake (room->core);
  g_assert_false (wake_is_pending (room));

  sel_state_unset (room->core, SEL_STATE_FORKED);
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
      list = sel_wait_poll_list (room->core, &woken, &error);
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
  list = sel_wait_poll_list (room->core, &woken, &error);
  g_assert_no_error (error);
  g_assert_false (woken);
  g_assert_cmpuint (list->len, ==, 2);
  key = sel_selector_event_get_key (g_ptr_array_index (list, 0));
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, room->b[0]);
  g_assert_cmpuint (sel_selector_event_get_events (g_ptr_array_index (list, 0)), ==, SEL_EVENT_WRITE);
  g_clear_pointer (&list, g_ptr_array_unref);

  fake_selector_push_error (room->fake, SEL_OS_ERROR, ENOMEM);
  list = sel_wait_poll_list (room->core, &woken, &error);
  g_assert_null (list);
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_state (room->core, SEL_STATE_OPEN);
  assert_unlocked (room->core);
}

/* --- Room --- */

static void
report_both_by_hand (FakeSelector *fake,
                     gpointer      user_data)
{
  Room *room = user_data;

  sel_wait_begin_reports (room->core);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ);
}

static void
note_room (FakeSelector *fake,
           gpointer      user_data)
{
  *(gsize *) user_data = sel_core (fake)->wait.list.room;
}

/* The list of the selector had no room for all that may be ready. */
static void
test_needs_room (Room          *room,
                 gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room->core->wait.list_room = 2;
  fake_selector_push_call (room->fake, report_both_by_hand, room);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1 b:1", SEL_WAIT_FOREVER);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 2);
  assert_timeout (room, 1, 0);
  g_assert_cmpuint (room->core->wait.list_room, ==, 4);
  g_assert_cmpuint (room->core->wait.list.room, ==, 3);
  g_assert_false (room->core->wait.locked);

  /* Now there is room. */
  fake_selector_clear_log (room->fake);
  fake_selector_push_call (room->fake, report_both_by_hand, room);
  assert_wait (room, "a:1 b:1", SEL_WAIT_FOREVER);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
}

/* The room at least doubles, and is at least enough for all registrations. */
static void
test_needs_room_for_all (Room          *room,
                         gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_watch (room, room->c[0], SEL_EVENT_READ);
  room->core->wait.list_room = 1;
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  fake_selector_push (room->fake, room->c[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1 c:1", 0);
  g_assert_cmpuint (room->core->wait.list_room, ==, 4);
  g_assert_cmpuint (room->core->wait.list.room, ==, 4);
  g_assert_cmpuint (room->core->wait.list.size, >=, 4);
}

/* What was changed meanwhile is not kept until the second wait in the kernel. */
static void
report_and_remove (FakeSelector *fake,
                   gpointer      user_data)
{
  Room *room = user_data;

  sel_base_selector_report (room->selector, room->a[0], SEL_EVENT_READ);
  sel_base_selector_report (room->selector, room->b[0], SEL_EVENT_READ);
  unwatch (room->selector, room->a[0]);
}

static void
test_needs_room_drops_stale (Room          *room,
                             gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room->core->wait.list_room = 2;
  fake_selector_push_call (room->fake, report_and_remove, room);
  fake_selector_push (room->fake, room->b[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "b:1", SEL_WAIT_FOREVER);
}

/* The array of the caller stays as it is. The room is never more than can be ready. */
static void
test_own_room (Room          *room,
               gconstpointer  data)
{
  gsize size = 0;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, note_room, &size);
  assert_wait (room, "", 0, 0, 1);
  g_assert_cmpuint (size, ==, 1);
  fake_selector_push_call (room->fake, note_room, &size);
  assert_wait (room, "", 0, 0, 8);
  g_assert_cmpuint (size, ==, 3);
  fake_selector_push_call (room->fake, note_room, &size);
  assert_wait (room, "", 0);
  g_assert_cmpuint (size, ==, 3);

  fake_selector_clear_log (room->fake);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER, 0, 1);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
}

static void
report_stale (FakeSelector *fake,
              gpointer      user_data)
{
  Room *room = user_data;
  SelKeySlot *slot = room_get_slot (room, room->a[0]);

  sel_wait_begin_reports (room->core);
  room->core->wait.list.n_reports = room->core->wait.list.room;
  sel_ready_list_report_tagged (room->core, room->a[0], slot->generation - 1, SEL_EVENT_READ, FALSE);
}

static void
report_stale_after_event (FakeSelector *fake,
                          gpointer      user_data)
{
  Room *room = user_data;

  report_stale (fake, room);
  sel_ready_list_report_tagged (room->core, room->a[0], room_get_slot (room, room->a[0])->generation,
                                SEL_EVENT_READ, FALSE);
}

/* A report that leads to no event has taken the place of one that would have. */
static void
test_needs_retry (Room          *room,
                  gconstpointer  data)
{
  static const gsize sizes[] = { 1, 8, 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      fake_selector_push_call (room->fake, report_stale, room);
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", SEL_WAIT_FOREVER, 0, sizes[i]);
      g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 2);
      assert_timeout (room, 1, 0);
      g_assert_false (room->core->wait.list.needs_retry);
      fake_selector_clear_log (room->fake);

      /* A full array of the caller needs nothing more. */
      fake_selector_push_call (room->fake, report_stale_after_event, room);
      assert_wait (room, "a:1", 3600, 0, sizes[i]);
      g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, sizes[i] == 1 ? 1 : 2);
      fake_selector_clear_log (room->fake);
    }
}

static void
test_max_dispatch (Room          *room,
                   gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  sel_base_selector_set_max_dispatch (room->selector, 1);
  for (guint i = 0; i < 2; i++)
    fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", 0, SEL_WAIT_DISPATCH, 8);
  assert_wait (room, "a:1 b:1", 0, 0, 8);
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
  g_assert_cmpint (sel_wait_run (room->core, 0, NULL, 0, 0, NULL, &error), ==, -1);
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

/* --- Claiming --- */

static void
test_claim (Room          *room,
            gconstpointer  data)
{
  static const struct
  {
    SelStateFlags claimed;
    SelStateFlags present;
    gboolean      success;
  } cases[] = {
    { SEL_STATE_WAITING, SEL_STATE_WAITING, FALSE },
    { SEL_STATE_WAITING, SEL_STATE_POLLING, FALSE },
    { SEL_STATE_WAITING, SEL_STATE_ASYNC_PENDING, FALSE },
    { SEL_STATE_WAITING, SEL_STATE_WOKEN, TRUE },
    { SEL_STATE_POLLING, SEL_STATE_WAITING, FALSE },
    { SEL_STATE_POLLING, SEL_STATE_POLLING, FALSE },
    { SEL_STATE_POLLING, SEL_STATE_ASYNC_PENDING, TRUE },
    { SEL_STATE_ASYNC_PENDING, SEL_STATE_WAITING, FALSE },
    { SEL_STATE_ASYNC_PENDING, SEL_STATE_POLLING, TRUE },
    { SEL_STATE_ASYNC_PENDING, SEL_STATE_ASYNC_PENDING, FALSE },
    { SEL_STATE_ASYNC_PENDING, 0, TRUE },
  };

  g_assert_true (sel_lifecycle_ensure_open_locking (room->core, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError) error = NULL;

      g_test_message ("%#x during %#x", cases[i].claimed, cases[i].present);
      room->core->state.word = SEL_STATE_OPEN | cases[i].present;
      g_assert_cmpint (sel_wait_claim (room->core, cases[i].claimed, &error), ==, cases[i].success);
      assert_unlocked (room->core);
      if (cases[i].success)
        g_assert_no_error (error);
      else
        g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
      assert_state (room->core, SEL_STATE_OPEN | cases[i].present | (cases[i].success ? cases[i].claimed : 0));
    }
  room->core->state.word = SEL_STATE_OPEN;
}

/* Claiming is what opens a selector. */
static void
test_claim_opens (Room          *room,
                  gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  fake_selector_fail (room->fake, FAKE_OPEN, SEL_OS_ERROR, EPROTO);
  g_assert_false (sel_wait_claim (room->core, SEL_STATE_WAITING, &error));
  assert_failed (&error, SEL_OS_ERROR, EPROTO);
  assert_unlocked (room->core);
  assert_state (room->core, 0);

  g_assert_true (sel_lifecycle_reinit (room->core, NULL));
  sel_state_set (room->core, SEL_STATE_FORKED);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED, 0);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

/* A main loop asks while it waits asynchronously; a thread may not wait then. */
static void
test_busy_flags (Room          *room,
                 gconstpointer  data)
{
  assert_wait (room, "", 0);
  sel_state_set (room->core, SEL_STATE_ASYNC_PENDING);
  assert_wait_fails (room, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY, 0);
  assert_wait (room, "", 0, SEL_WAIT_DISPATCH, 8);
  assert_wait (room, "", 0, SEL_WAIT_ASYNC);
  sel_state_unset (room->core, SEL_STATE_ASYNC_PENDING);
}

static void
claim_in_wait (FakeSelector *fake,
               gpointer      user_data)
{
  SelStateFlags expected = GPOINTER_TO_UINT (user_data);

  assert_state (sel_core (fake), SEL_STATE_OPEN | expected);
  g_assert_true (sel_ready_list_is_open (sel_core (fake)));
}

static void
test_claimed (Room          *room,
              gconstpointer  data)
{
  static const struct
  {
    SelWaitFlags  flags;
    SelStateFlags claimed;
  } cases[] = {
    { 0, SEL_STATE_WAITING },
    { SEL_WAIT_INTERRUPTIBLE, SEL_STATE_WAITING },
    { SEL_WAIT_DISPATCH, SEL_STATE_POLLING },
    { SEL_WAIT_ASYNC, SEL_STATE_POLLING },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      fake_selector_push_call (room->fake, claim_in_wait, GUINT_TO_POINTER (cases[i].claimed));
      assert_wait (room, "", 0, cases[i].flags, 8);
    }
}

static void
test_async (Room          *room,
            gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (sel_wait_begin_async (room->core, NAN, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  assert_state (room->core, SEL_STATE_OPEN);

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_pause (room, room->a[0], TRUE);
  g_assert_true (sel_wait_begin_async (room->core, 0, &error));
  g_assert_no_error (error);
  assert_unlocked (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_ASYNC_PENDING);
  g_assert_false (room_is_paused (room, room->a[0]));

  g_assert_false (sel_wait_begin_async (room->core, 0, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  sel_wait_end_async (room->core);
  assert_state (room->core, SEL_STATE_OPEN);
}

static void
test_block_source (Room          *room,
                   gconstpointer  data)
{
  Watcher watcher = { 0 };

  g_assert_false (sel_wait_block_source (room->core));
  assert_wait (room, "", 0);
  watcher_add (&watcher, room);
  g_assert_false (sel_wait_block_source (room->core));
  sel_state_set (room->core, SEL_STATE_POLLING);
  g_assert_false (sel_wait_block_source (room->core));
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_POLLING);
  sel_state_unset (room->core, SEL_STATE_POLLING);

  sel_state_set (room->core, SEL_STATE_WAITING);
  g_assert_true (sel_wait_block_source (room->core));
  assert_unlocked (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WAITING | SEL_STATE_SOURCE_BLOCKED);
  watcher_assert_log (&watcher, "");
  sel_state_lock (room->core);
  sel_wait_end (room->core);
  assert_state (room->core, SEL_STATE_OPEN);
  watcher_assert_log (&watcher, "changed(-1)");
  watcher_remove (&watcher);
}

/* --- Changes and pauses --- */

static void
report_and_modify (FakeSelector *fake,
                   gpointer      user_data)
{
  Room *room = user_data;

  sel_base_selector_report (room->selector, room->a[0], SEL_EVENT_READ);
  sel_base_selector_report (room->selector, room->b[0], SEL_EVENT_READ);
  rewatch (room->selector, room->a[0], SEL_EVENT_WRITE);
  g_assert_true (sel_state_has (room->core, SEL_STATE_CHANGED));
}

static void
test_changed (Room          *room,
              gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, report_and_modify, room);
  assert_wait (room, "b:1", SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN);
  g_assert_false (room_get_slot (room, room->a[0])->changed_in_wait);
}

/* A wait that fails has seen no changes. */
static void
modify_only (FakeSelector *fake,
             gpointer      user_data)
{
  Room *room = user_data;

  rewatch (room->selector, room->a[0], SEL_EVENT_WRITE);
}

static void
test_changed_and_fails (Room          *room,
                        gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, modify_only, room);
  fake_selector_push_error (room->fake, SEL_OS_ERROR, ENOMEM);
  assert_wait_fails (room, SEL_OS_ERROR, ENOMEM, SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN);
  g_assert_false (room_get_slot (room, room->a[0])->changed_in_wait);
}

static void
test_end_forgets_changes (Room          *room,
                          gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  sel_state_set (room->core, SEL_STATE_WAITING);
  rewatch (room->selector, room->a[0], SEL_EVENT_WRITE);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WAITING | SEL_STATE_CHANGED);
  sel_state_lock (room->core);
  sel_wait_end (room->core);
  assert_unlocked (room->core);
  assert_state (room->core, SEL_STATE_OPEN);
  g_assert_false (room_get_slot (room, room->a[0])->changed_in_wait);
}

/* A wait of a thread resumes what is paused with a time. */
static void
test_resumes (Room          *room,
              gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->a[0], TRUE);
  room_pause (room, room->b[0], FALSE);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "", 0, SEL_WAIT_DISPATCH, 8);
  g_assert_true (room_is_paused (room, room->a[0]));

  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  g_assert_false (room_is_paused (room, room->a[0]));
  g_assert_true (room_is_paused (room, room->b[0]));
  assert_state (room->core, SEL_STATE_OPEN);
}

/* A main loop resumes only what is due. */
static void
test_resumes_due (Room          *room,
                  gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_pause (room, room->a[0], TRUE);
  room->core->pauses.until = g_get_monotonic_time ();
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", 0, SEL_WAIT_DISPATCH, 8);
  assert_state (room->core, SEL_STATE_OPEN);
}

/* The kernel refuses to take the descriptor back: the wait tries it again when the pause is over. */
static void
test_pause_limits_time (Room          *room,
                        gconstpointer  data)
{
  static const gdouble timeouts[] = { SEL_WAIT_FOREVER, 3600, 0.001 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      room_pause (room, room->a[0], TRUE);
      fake_selector_fail (room->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);
      fake_selector_push (room->fake, room->b[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "b:1", timeouts[i]);
      g_assert_true (room_is_paused (room, room->a[0]));
      g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
      g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 0), <=, MIN (timeouts[i], 0.1));
      fake_selector_clear_log (room->fake);
      rewatch (room->selector, room->a[0], SEL_EVENT_WRITE);
      rewatch (room->selector, room->a[0], SEL_EVENT_READ);
    }
}

static void
end_pause (FakeSelector *fake,
           gpointer      user_data)
{
  Room *room = user_data;

  g_assert_true (room_is_paused (room, room->a[0]));
  room->core->pauses.until = 0;
}

static void
test_pause_ends_in_wait (Room          *room,
                         gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_pause (room, room->a[0], TRUE);
  fake_selector_fail (room->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);
  fake_selector_push_call (room->fake, end_pause, room);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  g_assert_true (isinf (fake_selector_get_timeout (room->fake, 1)));
}

/* --- Always ready --- */

static void
test_always_ready (Room          *room,
                   gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch_always_ready (room, room->b[0], SEL_EVENT_READ);
  assert_wait (room, "b:1", SEL_WAIT_FOREVER);
  assert_timeout (room, 0, 0);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
}

/* With room for one event, what the kernel reports and what is always ready take turns. */
static void
test_always_ready_turns (Room          *room,
                         gconstpointer  data)
{
  static const char *const expected[] = { "a:1", "b:1", "a:1", "b:1" };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch_always_ready (room, room->b[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, expected[i], SEL_WAIT_FOREVER, 0, 1);
    }
}

static void
become_always_ready (FakeSelector *fake,
                     gpointer      user_data)
{
  Room *room = user_data;

  sel_base_selector_report (room->selector, room->a[0], SEL_EVENT_READ);
  fake_selector_fail (fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
}

/* A descriptor is reported once, with the registration of now. */
static void
test_becomes_always_ready (Room          *room,
                           gconstpointer  data)
{
  sel_base_selector_set_emulate_always_ready (room->selector, TRUE);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push_call (room->fake, become_always_ready, room);
  assert_wait (room, "a:3", SEL_WAIT_FOREVER);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY);
}

/* It was closed: the wait does not end at once any more. */
static void
test_always_ready_closed (Room          *room,
                          gconstpointer  data)
{
  int fds[2];

  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint turn = 0; turn < 2; turn++)
    {
      open_pipe (fds);
      room_watch_always_ready (room, fds[0], SEL_EVENT_READ);
      close_pair (fds);
      room->core->wait.turn = turn;
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", SEL_WAIT_FOREVER);
      g_assert_true (isinf (fake_selector_get_timeout (room->fake, 0)));
      assert_state (room->core, SEL_STATE_OPEN);
      unwatch (room->selector, fds[0]);
    }
}

static void
test_forked (Room          *room,
             gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  sel_state_set (room->core, SEL_STATE_WAITING);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  room->core->wait.locked = TRUE;
  room->core->wait.list.events = room->core->wait.buffer = g_new (SelReadyEvent, 1);
  sel_wait_forked (room->core);
  g_assert_false (sel_ready_list_is_open (room->core));
  g_assert_false (room->core->wait.locked);
  g_assert_false (room_get_slot (room, room->a[0])->changed_in_wait);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WAITING);
  sel_state_unset (room->core, SEL_STATE_WAITING);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/wait/timeout/values", test_timeouts);
  room_add ("/wait/timeout/nan", test_timeout_nan);
  room_add ("/wait/timeout/left", test_time_left);
  room_add ("/wait/timeout/over", test_time_over);
  room_add ("/wait/timeout/forever", test_forever_goes_on);
  room_add ("/wait/signal", test_eintr);
  room_add ("/wait/wake/before", test_wake_before);
  room_add ("/wait/wake/during", test_wake_during);
  room_add ("/wait/wake/in-child", test_wake_in_child);
  room_add ("/wait/wake/dispatch", test_wake_dispatch);
  room_add ("/wait/wake/async", test_wake_async);
  room_add ("/wait/poll-list", test_poll_list);
  room_add ("/wait/room/needs-more", test_needs_room);
  room_add ("/wait/room/needs-all", test_needs_room_for_all);
  room_add ("/wait/room/drops-stale", test_needs_room_drops_stale);
  room_add ("/wait/room/own", test_own_room);
  room_add ("/wait/room/needs-retry", test_needs_retry);
  room_add ("/wait/room/max-dispatch", test_max_dispatch);
  room_add ("/wait/fails/ok", test_fails);
  room_add ("/wait/fails/limit", test_limit);
  g_test_add_func ("/wait/fails/wrong-class", test_wrong_class);
  room_add ("/wait/close/ok", test_close);
  g_test_add_func ("/wait/close/and-fail", test_close_and_fail);
  room_add ("/wait/cancel/before", test_cancelled_before);
  room_add ("/wait/cancel/during", test_cancelled_during);
  room_add ("/wait/cancel/poll", test_cancellable_of_poll);
  room_add ("/wait/cancel/time-over", test_cancellable_time_over);
  room_add ("/wait/claim/table", test_claim);
  room_add ("/wait/claim/opens", test_claim_opens);
  room_add ("/wait/claim/busy", test_busy_flags);
  room_add ("/wait/claim/during", test_claimed);
  room_add ("/wait/async", test_async);
  room_add ("/wait/block-source", test_block_source);
  room_add ("/wait/changed/drops-stale", test_changed);
  room_add ("/wait/changed/and-fails", test_changed_and_fails);
  room_add ("/wait/changed/ends", test_end_forgets_changes);
  room_add ("/wait/pause/resumes", test_resumes);
  room_add ("/wait/pause/resumes-due", test_resumes_due);
  room_add ("/wait/pause/limits-time", test_pause_limits_time);
  room_add ("/wait/pause/ends-in-wait", test_pause_ends_in_wait);
  room_add ("/wait/always-ready/ok", test_always_ready);
  room_add ("/wait/always-ready/turns", test_always_ready_turns);
  room_add ("/wait/always-ready/becomes", test_becomes_always_ready);
  room_add ("/wait/always-ready/closed", test_always_ready_closed);
  room_add ("/wait/forked", test_forked);

  return g_test_run ();
}
