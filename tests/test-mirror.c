/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/sel-backend-private.h"
#include "core/sel-wait-private.h"
#include "loop/sel-source-data-private.h"
#include "room-fixture.h"

/* The descriptors that a context polls for a source, and the timeout. The context is not run: the test stands in for
 * poll (). */

typedef struct
{
  Room         *room;
  GMainContext *context;
  GSource      *source;
  GString      *calls;       /* the descriptors of the calls of on_ready (), "a:1 " */
  int           timeout;     /* of the last turn: -1, 0 or 1 for anything longer */
  int           timeout_ms;
} Loop;

static const char *
name_of (Room *room,
         int   fd)
{
  return fd == sel_notify_get_fd (room->core) ? "w" : fd == room->a[0] ? "a" : fd == room->b[0] ? "b" :
         fd == room->c[0] ? "c" : fd == room->c[1] ? "C" : fd == 0 ? "0" : NULL;
}

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  Loop *loop = user_data;

  g_string_append_printf (loop->calls, "%s:%u ", name_of (loop->room, sel_selector_key_get_fd (key)), events);

  return G_SOURCE_CONTINUE;
}

/* The function of a plain source. */
static gboolean
count_turns (gpointer user_data)
{
  (*(guint *) user_data)++;

  return G_SOURCE_CONTINUE;
}

static void
loop_open_with (Loop    *loop,
                Room    *room,
                GSource *source)
{
  loop->room = room;
  loop->context = g_main_context_new ();
  loop->calls = g_string_new (NULL);
  loop->source = source;
  g_source_attach (loop->source, loop->context);
  g_assert_true (g_main_context_acquire (loop->context));
}

static void
loop_open (Loop *loop,
           Room *room)
{
  loop_open_with (loop, room, sel_base_selector_create_dispatch_source (room->selector, on_ready, loop, NULL));
}

static void
loop_close (Loop *loop)
{
  g_source_destroy (loop->source);
  g_source_unref (loop->source);
  g_main_context_release (loop->context);
  g_main_context_unref (loop->context);
  g_string_free (loop->calls, TRUE);
}

static int
compare_words (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* One turn: prepares the sources, and then pretends that @ready_fd has @revents. Returns the polled descriptors, as
 * "a:1 w:1", with the conditions of poll (); a descriptor that is polled twice is there twice. */
static char *
turn (Loop         *loop,
      int           ready_fd,
      GIOCondition  revents)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  GPollFD fds[16];
  gboolean is_ready;
  int priority, n;

  is_ready = g_main_context_prepare (loop->context, &priority);
  n = g_main_context_query (loop->context, G_MAXINT, &loop->timeout_ms, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (n, <=, G_N_ELEMENTS (fds));
  loop->timeout = CLAMP (loop->timeout_ms, -1, 1);
  g_assert_cmpint (is_ready, ==, loop->timeout == 0);
  for (int i = 0; i < n; i++)
    {
      const char *name = name_of (loop->room, fds[i].fd);

      if (name != NULL)
        g_ptr_array_add (words, g_strdup_printf ("%s:%x", name, fds[i].events & (G_IO_IN | G_IO_OUT)));
      fds[i].revents = fds[i].fd == ready_fd ? revents : 0;
    }
  if (g_main_context_check (loop->context, priority, fds, n))
    g_main_context_dispatch (loop->context);
  g_ptr_array_sort (words, compare_words);
  g_ptr_array_add (words, NULL);

  return g_strjoinv (" ", (char **) words->pdata);
}

static void
assert_polled (Loop       *loop,
               const char *expected,
               int         timeout)
{
  g_autofree char *text = turn (loop, -1, 0);

  g_assert_cmpstr (text, ==, expected);
  g_assert_cmpint (loop->timeout, ==, timeout);
}

static void
assert_calls (Loop       *loop,
              const char *expected)
{
  g_assert_cmpstr (loop->calls->str, ==, expected);
  g_string_truncate (loop->calls, 0);
}

/* --- Each descriptor --- */

static void
test_each (Room          *room,
           gconstpointer  data)
{
  Loop loop;

  loop_open (&loop, room);
  assert_polled (&loop, "w:1", -1);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  assert_polled (&loop, "a:1 w:1", -1);
  assert_polled (&loop, "a:1 w:1", -1);
  room_watch (room, room->b[0], SEL_EVENT_WRITE);
  assert_polled (&loop, "a:1 b:4 w:1", -1);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  assert_polled (&loop, "a:5 b:4 w:1", -1);
  rewatch (room->selector, room->a[0], SEL_EVENT_WRITE);
  rewatch (room->selector, room->b[0], SEL_EVENT_READ);
  assert_polled (&loop, "a:4 b:1 w:1", -1);
  unwatch (room->selector, room->a[0]);
  assert_polled (&loop, "b:1 w:1", -1);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  unwatch (room->selector, room->b[0]);
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

/* A source that is made later finds everything. */
static void
test_late (Room          *room,
           gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 b:1 w:1", -1);
  loop_close (&loop);
}

/* The own descriptor is another one, and everything is polled anew. */
static void
test_reinit (Room          *room,
             gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 w:1", -1);
  g_assert_true (sel_base_selector_reinit (room->selector, NULL));
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

/* A list of changes that is too long is replaced by looking at everything. */
static void
test_many_changes (Room          *room,
                   gconstpointer  data)
{
  static const guint numbers[] = { 4095, 4096, 4097, 10000 };
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 b:1 w:1", -1);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      for (guint j = 0; j < numbers[i]; j++)
        rewatch (room->selector, room->a[0], j % 2 == 0 ? SEL_EVENT_WRITE : SEL_EVENT_READ);
      rewatch (room->selector, room->a[0], SEL_EVENT_READ);
      rewatch (room->selector, room->b[0], SEL_EVENT_WRITE);
      assert_polled (&loop, "a:1 b:4 w:1", -1);
      rewatch (room->selector, room->b[0], SEL_EVENT_READ);
      assert_polled (&loop, "a:1 b:1 w:1", -1);
      fake_selector_clear_log (room->fake);
    }
  loop_close (&loop);
}

/* --- One descriptor of the mechanism --- */

static void
use_poll_fd (Room *room)
{
  g_assert_true (sel_backend_ensure_open (room->selector, NULL));
  sel_backend_set_poll_fd (room->selector, room->c[1]);
}

static void
test_poll_fd (Room          *room,
              gconstpointer  data)
{
  Loop loop;

  use_poll_fd (room);
  loop_open (&loop, room);
  assert_polled (&loop, "C:1", -1);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  assert_polled (&loop, "C:1", -1);

  /* Polling each of them, and back. */
  sel_base_selector_set_force_mirrored (room->selector, TRUE);
  assert_polled (&loop, "a:1 w:1", -1);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  assert_polled (&loop, "a:1 b:1 w:1", -1);
  sel_base_selector_set_force_mirrored (room->selector, FALSE);
  assert_polled (&loop, "C:1", -1);
  unwatch (room->selector, room->b[0]);
  sel_base_selector_set_force_mirrored (room->selector, TRUE);
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

static void
change_poll_fd (Room *room,
                int   poll_fd)
{
  sel_state_lock (room->core);
  sel_backend_set_poll_fd (room->selector, poll_fd);
  sel_notify_changed (room->core, -1);
  sel_state_unlock (room->core);
}

static void
test_poll_fd_changes (Room          *room,
                      gconstpointer  data)
{
  Loop loop;

  use_poll_fd (room);
  loop_open (&loop, room);
  assert_polled (&loop, "C:1", -1);
  g_assert_true (sel_base_selector_reinit (room->selector, NULL));
  assert_polled (&loop, "w:1", -1);
  change_poll_fd (room, room->c[1]);
  assert_polled (&loop, "C:1", -1);

  loop_close (&loop);
}

/* If standard input was closed, the number may be 0. */
static void
test_poll_fd_zero (Room          *room,
                   gconstpointer  data)
{
  Loop loop;

  g_assert_true (sel_backend_ensure_open (room->selector, NULL));
  change_poll_fd (room, 0);
  loop_open (&loop, room);
  assert_polled (&loop, "0:1", -1);
  change_poll_fd (room, room->c[1]);
  assert_polled (&loop, "C:1", -1);
  change_poll_fd (room, 0);
  assert_polled (&loop, "0:1", -1);
  loop_close (&loop);
}

/* The context polls the mechanism's descriptor, and a[0] is registered. */
static void
loop_open_embedded (Loop *loop,
                    Room *room)
{
  use_poll_fd (room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (loop, room);
}

/* The mechanism's descriptor is the parent's. */
static void
test_forked (Room          *room,
             gconstpointer  data)
{
  Loop loop;

  loop_open_embedded (&loop, room);
  assert_polled (&loop, "C:1", -1);
  sel_fork_begin_child ();
  assert_polled (&loop, "", -1);
  assert_polled (&loop, "", -1);
  loop_close (&loop);
}

/* After the first report nothing is polled any more. */
static void
test_forked_mirrored (Room          *room,
                      gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 w:1", -1);
  sel_fork_begin_child ();
  g_free (turn (&loop, room->a[0], G_IO_IN));
  assert_polled (&loop, "", -1);
  g_assert_false (g_source_is_destroyed (loop.source));
  assert_calls (&loop, "");
  g_assert_true (sel_base_selector_reinit (room->selector, NULL));
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

/* A child process does not report the parent's descriptors that are always ready. */
static void
test_forked_always_ready (Room          *room,
                          gconstpointer  data)
{
  Loop loop;

  room_watch_always_ready (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "w:1", 0);
  assert_calls (&loop, "a:1 ");
  sel_fork_begin_child ();
  assert_polled (&loop, "w:1", -1);
  assert_calls (&loop, "");
  loop_close (&loop);
}

static void
test_always_ready (Room          *room,
                   gconstpointer  data)
{
  Loop loop;

  use_poll_fd (room);
  loop_open (&loop, room);
  assert_polled (&loop, "C:1", -1);
  room_watch_always_ready (room, room->a[0], SEL_EVENT_READ);
  assert_polled (&loop, "C:1", 0);
  assert_calls (&loop, "a:1 ");
  assert_polled (&loop, "C:1", 0);
  assert_calls (&loop, "a:1 ");
  unwatch (room->selector, room->a[0]);
  assert_polled (&loop, "C:1", -1);
  loop_close (&loop);
}

/* --- Pauses, and errors that may pass --- */

static void
test_pause (Room          *room,
            gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 b:1 w:1", -1);
  room_pause (room, room->b[0], FALSE);
  assert_polled (&loop, "a:1 w:1", -1);
  room_pause (room, room->a[0], TRUE);

  /* The end of a pause is rounded up to milliseconds: a turn before it would be of no use. */
  room_set_pause_end (room, g_get_monotonic_time () + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC);
  assert_polled (&loop, "w:1", 1);
  g_assert_cmpint (loop.timeout_ms, >, 1800 * 1000);
  g_assert_cmpint (loop.timeout_ms, <=, 3600 * 1000);
  fake_selector_clear_log (room->fake);

  room_set_pause_end (room, g_get_monotonic_time ());
  assert_polled (&loop, "w:1", 0);
  g_assert_false (room_is_paused (room, room->a[0]));
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

/* A fraction of a millisecond is a millisecond. */
static void
test_pause_rounding (Room          *room,
                     gconstpointer  data)
{
  Loop loop;
  gint64 before, end;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  room_pause (room, room->a[0], TRUE);
  before = g_get_monotonic_time ();
  end = before + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC;
  room_set_pause_end (room, end);
  assert_polled (&loop, "w:1", 1);
  g_assert_cmpint (loop.timeout_ms, <=, (end - before + 999) / 1000);
  g_assert_cmpint (loop.timeout_ms, >=, (end - g_get_monotonic_time () + 999) / 1000);
  loop_close (&loop);
}

static void
test_pause_too_long (Room          *room,
                     gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  room_pause (room, room->a[0], TRUE);
  room_set_pause_end (room, G_MAXINT64 - 1000);
  assert_polled (&loop, "w:1", 1);
  g_assert_cmpint (loop.timeout_ms, ==, G_MAXINT);
  loop_close (&loop);
}

/* Another thread waits: nothing is polled until it has returned. */
static void
test_blocked (Room          *room,
              gconstpointer  data)
{
  g_autofree char *text = NULL;
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 w:1", -1);
  sel_state_set (room->core, SEL_STATE_WAITING);
  text = turn (&loop, room->a[0], G_IO_IN);
  g_assert_true (sel_state_has (room->core, SEL_STATE_SOURCE_BLOCKED));
  assert_calls (&loop, "");
  assert_polled (&loop, "", -1);
  sel_state_lock (room->core);
  sel_wait_end (room->core);
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

/* The same while a descriptor is always ready, or paused: this does not keep the loop busy. */
static void
test_blocked_always_ready (Room          *room,
                           gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_watch_always_ready (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  room_pause (room, room->b[0], TRUE);
  room_set_pause_end (room, G_MAXINT64);
  sel_state_set (room->core, SEL_STATE_WAITING | SEL_STATE_SOURCE_BLOCKED);
  assert_polled (&loop, "", -1);
  sel_state_lock (room->core);
  sel_wait_end (room->core);
  assert_polled (&loop, "w:1", 0);
  assert_calls (&loop, "a:1 ");
  loop_close (&loop);
}

static void
expect_retry_warning (void)
{
  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "*cannot tell what is ready, and tries again: Scripted failure*");
}

/* The system has no memory: nothing is polled for a while, and there is one warning for several errors. */
static void
test_retry (Room          *room,
            gconstpointer  data)
{
  static const int errnums[] = { EAGAIN, ENOMEM, ENOBUFS, EMFILE, ENFILE, ENOSPC };

  use_poll_fd (room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      gint64 start = g_get_monotonic_time ();
      g_autofree char *text = NULL;
      Loop loop;

      loop_open (&loop, room);
      fake_selector_push_error (room->fake, SEL_OS_ERROR, errnums[i]);
      expect_retry_warning ();
      g_free (turn (&loop, room->c[1], G_IO_IN));
      g_test_assert_expected_messages ();
      g_assert_false (g_source_is_destroyed (loop.source));

      /* Unless this program was stopped for so long that it is over already. */
      text = turn (&loop, -1, 0);
      if (g_source_get_time (loop.source) < start + 100 * 1000)
        {
          g_assert_cmpstr (text, ==, "");
          g_assert_cmpint (loop.timeout, ==, 1);
          g_assert_cmpint (loop.timeout_ms, <=, 100);
        }
      loop_close (&loop);
    }
}

/* After a second without an error, there is another warning. */
static void
test_retry_again (Room          *room,
                  gconstpointer  data)
{
  Loop loop;

  loop_open_embedded (&loop, room);
  ((SelSource *) loop.source)->retry_time = g_get_monotonic_time () - G_USEC_PER_SEC;
  fake_selector_push_error (room->fake, SEL_OS_ERROR, ENOMEM);
  expect_retry_warning ();
  g_free (turn (&loop, room->c[1], G_IO_IN));
  g_test_assert_expected_messages ();
  loop_close (&loop);
}

static gpointer
close_selector (gpointer selector)
{
  sel_base_selector_close (selector);

  return NULL;
}

/* Another thread has closed the selector: the source gives the kernel's object back, with the lock, which release ()
 * checks. */
static void
test_leave (Room          *room,
            gconstpointer  data)
{
  HookSelector *hook = hook_selector_new ();
  GSource *source = sel_base_selector_create_source (SEL_BASE_SELECTOR (hook));

  g_thread_join (g_thread_new ("closer", close_selector, hook));
  g_assert_cmpuint (hook->n_releases, ==, 0);
  g_source_unref (source);
  g_assert_cmpuint (hook->n_releases, ==, 1);
  g_object_unref (hook);
}

static void
test_fails (Room          *room,
            gconstpointer  data)
{
  Loop loop;

  loop_open_embedded (&loop, room);
  fake_selector_push_error (room->fake, SEL_OS_ERROR, EBADF);
  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "*taken out of the main loop: Scripted failure*");
  g_free (turn (&loop, room->c[1], G_IO_IN));
  g_test_assert_expected_messages ();
  g_assert_true (g_source_is_destroyed (loop.source));
  loop_close (&loop);
}

/* There is nothing to call: the descriptor must not keep the loop busy. */
static void
test_no_callback (Room          *room,
                  gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open_with (&loop, room, sel_base_selector_create_dispatch_source (room->selector, NULL, NULL, NULL));
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "*neither it nor its source has a callback*");
  g_free (turn (&loop, room->a[0], G_IO_IN));
  g_test_assert_expected_messages ();
  g_assert_true (room_is_paused (room, room->a[0]));
  assert_polled (&loop, "w:1", -1);
  loop_close (&loop);
}

/* A hang-up that the function ignores is told seven times. The eighth time, the descriptor is paused instead. */
static void
test_plain_hang_up (Room          *room,
                    gconstpointer  data)
{
  guint n_turns = 0;
  Loop loop;

  sel_base_selector_set_hangup_policy (room->selector, SEL_HANGUP_POLICY_THROTTLE);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  close (room->a[1]);
  room->a[1] = -1;
  loop_open_with (&loop, room, sel_base_selector_create_source (room->selector));
  g_source_set_callback (loop.source, count_turns, &n_turns, NULL);
  for (guint i = 1; i <= 8; i++)
    {
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      g_free (turn (&loop, room->a[0], G_IO_IN | G_IO_HUP));
      g_assert_cmpuint (n_turns, ==, MIN (i, 7));
      g_assert_cmpint (room_is_paused (room, room->a[0]), ==, i == 8);
    }

  /* Nothing is ready, so that the function is not called. On a slow machine, the pause would be over. */
  room_set_pause_end (room, G_MAXINT64);
  g_free (turn (&loop, sel_notify_get_fd (room->core), G_IO_IN));
  g_assert_cmpuint (n_turns, ==, 7);
  loop_close (&loop);
}

/* --- What poll() has found --- */

/* The mechanism itself finds nothing, as for files that tell their news only once. */
static void
test_found (Room          *room,
            gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_WRITE);
  loop_open (&loop, room);
  g_free (turn (&loop, room->a[0], G_IO_IN));
  assert_calls (&loop, "a:1 ");
  g_free (turn (&loop, room->b[0], G_IO_ERR));
  assert_calls (&loop, "b:2 ");
  g_free (turn (&loop, -1, 0));
  assert_calls (&loop, "");
  loop_close (&loop);
}

/* The registration is another one than that which was polled for. */
static gboolean
rewatch_a (gpointer user_data)
{
  Room *room = user_data;

  unwatch (room->selector, room->a[0]);
  room_watch (room, room->a[0], SEL_EVENT_READ);

  return G_SOURCE_REMOVE;
}

static void
test_found_stale (Room          *room,
                  gconstpointer  data)
{
  GSource *first = g_idle_source_new ();
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  g_source_set_callback (first, rewatch_a, room, NULL);
  g_source_set_priority (first, G_PRIORITY_DEFAULT);
  g_source_set_ready_time (first, 0);
  g_source_attach (first, loop.context);
  g_source_unref (first);
  g_source_set_priority (loop.source, G_PRIORITY_DEFAULT);
  g_free (turn (&loop, room->a[0], G_IO_IN));
  g_free (turn (&loop, room->a[0], G_IO_IN));
  g_assert_cmpstr (loop.calls->str, ==, "a:1 ");
  g_string_truncate (loop.calls, 0);
  loop_close (&loop);
}

typedef struct
{
  Room         *room;
  SelReadyEvent events[4];
  gssize        n_first;
  gssize        n_second;
} Plain;

static gboolean
select_twice (gpointer user_data)
{
  Plain *plain = user_data;
  SelReadyEvent second[4];

  plain->n_first = sel_base_selector_select_ready (plain->room->selector, 0, plain->events, 4, NULL, NULL);
  plain->n_second = sel_base_selector_select_ready (plain->room->selector, 0, second, 4, NULL, NULL);

  return G_SOURCE_CONTINUE;
}

/* The first select () gets the findings, the second one asks the mechanism. */
static void
test_found_plain (Room          *room,
                  gconstpointer  data)
{
  Plain plain = { .room = room };
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open_with (&loop, room, sel_base_selector_create_source (room->selector));
  g_source_set_callback (loop.source, select_twice, &plain, NULL);
  g_free (turn (&loop, room->a[0], G_IO_IN));
  g_assert_cmpint (plain.n_first, ==, 1);
  g_assert_cmpint (plain.events[0].fd, ==, room->a[0]);
  g_assert_cmpint (plain.n_second, ==, 0);
  loop_close (&loop);
}

/* The source has looked for one descriptor only, so that the first select () asks the mechanism, too. */
static void
test_found_plain_part (Room          *room,
                       gconstpointer  data)
{
  Plain plain = { .room = room };
  Loop loop;

  use_poll_fd (room);
  sel_base_selector_set_max_dispatch (room->selector, 1);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  loop_open_with (&loop, room, sel_base_selector_create_source (room->selector));
  g_source_set_callback (loop.source, select_twice, &plain, NULL);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
  g_free (turn (&loop, room->c[1], G_IO_IN));
  g_assert_cmpint (plain.n_first, ==, 2);
  loop_close (&loop);
}

static void
test_can_recurse (Room          *room,
                  gconstpointer  data)
{
  g_autoptr(GSource) plain = sel_base_selector_create_source (room->selector);
  g_autoptr(GSource) dispatch = sel_base_selector_create_dispatch_source (room->selector, NULL, NULL, NULL);
  g_autoptr(GSource) wait = sel_source_new_wait (room->selector, NULL);

  /* GLib takes the descriptors of other sources out of the context, and back, around each call. */
  g_assert_true (g_source_get_can_recurse (plain));
  g_assert_true (g_source_get_can_recurse (dispatch));
  g_assert_true (g_source_get_can_recurse (wait));
}

static void
count_freed (gpointer user_data)
{
  g_atomic_int_inc ((int *) user_data);
}

static gpointer
unwatch_in_thread (gpointer user_data)
{
  Room *room = user_data;

  unwatch (room->selector, room->a[0]);

  return NULL;
}

/* The context frees a callback that another thread has removed, even if sources of the default priority are always
 * ready. */
static void
test_frees_callback (Room          *room,
                     gconstpointer  data)
{
  GSource *busy = g_idle_source_new ();
  guint n_turns = 0;
  int n_freed = 0;
  Loop loop;

  g_assert_true (sel_base_selector_register_callback (room->selector, room->a[0], SEL_EVENT_READ, on_ready, &n_freed,
                                                      count_freed, NULL));
  loop_open (&loop, room);
  g_source_set_priority (busy, G_PRIORITY_DEFAULT);
  g_source_set_callback (busy, count_turns, &n_turns, NULL);
  g_source_attach (busy, loop.context);
  g_thread_join (g_thread_new ("unwatch", unwatch_in_thread, room));
  g_assert_cmpint (g_atomic_int_get (&n_freed), ==, 0);
  g_free (turn (&loop, -1, 0));
  g_assert_cmpuint (n_turns, ==, 1);
  g_assert_cmpint (g_atomic_int_get (&n_freed), ==, 1);
  g_source_destroy (busy);
  g_source_unref (busy);
  loop_close (&loop);
}

/* The selector does not keep the batch of a source that is freed, also if it was closed before. */
static void
test_batch (Room          *room,
            gconstpointer  data)
{
  Loop loop;

  loop_open (&loop, room);
  g_assert_nonnull (room->core->dispatch.batches);
  loop_close (&loop);
  g_assert_null (room->core->dispatch.batches);

  loop_open (&loop, room);
  sel_base_selector_close (room->selector);
  loop_close (&loop);
  g_assert_null (room->core->dispatch.batches);
}

/* --- Closed descriptors --- */

static void
test_closed (Room          *room,
             gconstpointer  data)
{
  Loop loop;
  int fd = room->a[0];

  room_watch (room, fd, SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  assert_polled (&loop, "a:1 b:1 w:1", -1);

  /* POLLNVAL of an open descriptor does not count. */
  g_free (turn (&loop, fd, G_IO_NVAL));
  assert_polled (&loop, "a:1 b:1 w:1", -1);

  close (fd);
  g_free (turn (&loop, fd, G_IO_IN));
  assert_polled (&loop, "a:1 b:1 w:1", -1);
  g_free (turn (&loop, fd, G_IO_NVAL));
  assert_polled (&loop, "b:1 w:1", -1);
  g_assert_nonnull (room_get_slot (room, fd));
  loop_close (&loop);
  unwatch (room->selector, fd);
  room->a[0] = -1;
}

/* --- Asynchronous waits --- */

static void
test_async (Room          *room,
            gconstpointer  data)
{
  guint n_turns = 0;
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open_with (&loop, room, sel_source_new_wait (room->selector, NULL));
  g_source_set_callback (loop.source, count_turns, &n_turns, NULL);
  assert_polled (&loop, "a:1 w:1", -1);
  g_assert_cmpuint (n_turns, ==, 0);

  /* A wake-up ends it. The polled descriptors stay the same. */
  sel_state_set (room->core, SEL_STATE_WOKEN);
  assert_polled (&loop, "a:1 w:1", 0);
  g_assert_cmpuint (n_turns, ==, 1);
  sel_state_unset (room->core, SEL_STATE_WOKEN);

  /* The source that has begun a pause may be destroyed before it ends. */
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->b[0], TRUE);
  room_set_pause_end (room, G_MAXINT64 - 1000);
  assert_polled (&loop, "a:1 w:1", 1);
  g_free (turn (&loop, room->a[0], G_IO_IN));
  g_assert_cmpuint (n_turns, ==, 2);
  loop_close (&loop);
}

/* A wake-up is not for a source that calls callbacks. */
static void
test_woken (Room          *room,
            gconstpointer  data)
{
  Loop loop;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  loop_open (&loop, room);
  sel_state_set (room->core, SEL_STATE_WOKEN);
  assert_polled (&loop, "a:1 w:1", -1);
  loop_close (&loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/mirror/each/ok", test_each);
  room_add ("/mirror/each/late", test_late);
  room_add ("/mirror/each/reinit", test_reinit);
  room_add ("/mirror/each/many-changes", test_many_changes);
  room_add ("/mirror/poll-fd/ok", test_poll_fd);
  room_add ("/mirror/poll-fd/changes", test_poll_fd_changes);
  room_add ("/mirror/poll-fd/zero", test_poll_fd_zero);
  room_add ("/mirror/forked/ok", test_forked);
  room_add ("/mirror/forked/mirrored", test_forked_mirrored);
  room_add ("/mirror/forked/always-ready", test_forked_always_ready);
  room_add ("/mirror/always-ready", test_always_ready);
  room_add ("/mirror/pause/ok", test_pause);
  room_add ("/mirror/pause/rounding", test_pause_rounding);
  room_add ("/mirror/pause/too-long", test_pause_too_long);
  room_add ("/mirror/blocked/ok", test_blocked);
  room_add ("/mirror/blocked/always-ready", test_blocked_always_ready);
  room_add ("/mirror/retry/ok", test_retry);
  room_add ("/mirror/retry/again", test_retry_again);
  room_add ("/mirror/leave", test_leave);
  room_add ("/mirror/fails", test_fails);
  room_add ("/mirror/no-callback", test_no_callback);
  room_add ("/mirror/plain-hang-up", test_plain_hang_up);
  room_add ("/mirror/can-recurse", test_can_recurse);
  room_add ("/mirror/found", test_found);
  room_add ("/mirror/found/stale", test_found_stale);
  room_add ("/mirror/found/plain", test_found_plain);
  room_add ("/mirror/found/plain-part", test_found_plain_part);
  room_add ("/mirror/frees-callback", test_frees_callback);
  room_add ("/mirror/batch", test_batch);
  room_add ("/mirror/closed", test_closed);
  room_add ("/mirror/async", test_async);
  room_add ("/mirror/woken", test_woken);

  return g_test_run ();
}
