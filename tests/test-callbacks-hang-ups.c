/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback-fixture.h"
#include "epoll-sets.h"
#include "system-facts.h"

/* Descriptors that stay ready for ever: hang-ups, and descriptors that were closed while registered. */

/* Hang-ups that no callback handles */

typedef enum
{
  PIPE_READ,        /* the writer is gone */
  PIPE_READ_WRITE,  /* the same, registered for writing, which is never possible */
  PIPE_WRITE,       /* the reader is gone */
  SOCKET,           /* the other end is closed */
  SOCKET_HALF       /* the other end does not send any more */
} HangUp;

#define N_HANG_UPS (SOCKET_HALF + 1)

/* FALSE if the descriptor is ready before. */
static gboolean
is_possible (HangUp hang_up)
{
  return hang_up != PIPE_READ_WRITE || !system_has_two_way_pipes ();
}

static void
loop_hang_up (Loop   *loop,
              HangUp  hang_up)
{
  int *fds = loop->pairs[0].fds;

  if (hang_up <= PIPE_WRITE)
    {
      close_pair (fds);
      open_pipe (fds);
    }

  switch (hang_up)
    {
    case PIPE_READ:
    case PIPE_READ_WRITE:
      loop_register (loop, 0, hang_up == PIPE_READ ? SEL_EVENT_READ : SEL_EVENT_WRITE);
      close (fds[1]);
      break;

    case PIPE_WRITE:
      {
        int reader = fds[0];

        fds[0] = fds[1];
        fill (fds[0]);
        loop_register (loop, 0, SEL_EVENT_WRITE);
        close (reader);
      }
      break;

    case SOCKET:
      loop_register (loop, 0, SEL_EVENT_READ);
      close (fds[1]);
      break;

    case SOCKET_HALF:
      loop_register (loop, 0, SEL_EVENT_READ);
      g_assert_no_errno (shutdown (fds[1], SHUT_WR));
      return;
    }

  fds[1] = -1;
}

/* Attaches a loop whose only callback ignores @hang_up, and turns it until the descriptor is paused. */
static void
loop_open_paused (Loop           *loop,
                  BackendFixture *fixture,
                  HangUp          hang_up)
{
  loop_open (loop, fixture);
  loop->pairs[0].ignores = TRUE;
  loop_hang_up (loop, hang_up);
  loop_attach (loop, NULL);
  loop_settle (loop);
}

/* Runs the loop until there is one call more than @n_calls. Returns: when the turn of this call began. The next pause
 * may begin in the same turn. */
static gint64
loop_await_call (Loop  *loop,
                 guint  n_calls)
{
  gint64 turn = 0;

  while (loop->pairs[0].n_calls <= n_calls)
    {
      turn = g_get_monotonic_time ();
      g_main_context_iteration (loop->context, TRUE);
    }
  g_assert_cmpuint (loop->pairs[0].n_calls, ==, n_calls + 1);

  return turn;
}

static void
test_hang_up_throttled (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      gint64 start;
      Loop loop;
      guint n;

      if (!is_possible (hang_up))
        continue;

      g_test_message ("hang-up %d", (int) hang_up);
      loop_open (&loop, fixture);
      g_assert_cmpint (sel_base_selector_get_hangup_policy (loop.selector), ==, SEL_HANGUP_POLICY_THROTTLE);

      /* Some of the callbacks read to the end, others do not read. */
      loop.pairs[0].ignores = hang_up % 2 == 0;
      loop_hang_up (&loop, hang_up);
      loop_register (&loop, 1, SEL_EVENT_READ);
      loop_attach (&loop, NULL);

      /* Seven calls come before the first pause of 1 ms, then one call after each pause. On a slow machine several
       * pauses may be over already. The length of the one that goes on now is not known, as it has begun before. */
      loop_settle (&loop);
      n = MAX (loop.pairs[0].n_calls, 7);
      start = loop_await_call (&loop, n);
      for (n++; n < 14; n++)
        {
          gint64 turn = loop_await_call (&loop, n);

          g_assert_cmpint (g_get_monotonic_time () - start, >=, (1 << (n - 7)) * 1000);
          start = turn;
        }

      /* Other descriptors are dispatched meanwhile. */
      put_byte (loop.pairs[1].fds[1]);
      while (loop.pairs[1].n_calls == 0)
        g_main_context_iteration (loop.context, TRUE);

      loop_close (&loop);
    }
}

static void
turn_once (Loop  *loop,
           guint  self)
{
  g_main_context_iteration (loop->context, FALSE);
}

/* The callback runs a nested loop, in which its own descriptor is not dispatched. This does not count as handling the
 * hang-up. */
static void
test_hang_up_in_loops (BackendFixture *fixture)
{
  for (SelHangupPolicy policy = SEL_HANGUP_POLICY_THROTTLE; policy <= SEL_HANGUP_POLICY_ONCE; policy += 2)
    {
      gint64 start = g_get_monotonic_time ();
      guint limit = policy == SEL_HANGUP_POLICY_ONCE ? 1 : 8;
      Loop loop;

      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, policy);
      for (guint i = 0; i < 2; i++)
        {
          loop.pairs[i].act = turn_once;
          loop_register (&loop, i, SEL_EVENT_READ);
          close (loop.pairs[i].fds[1]);
          loop.pairs[i].fds[1] = -1;
        }
      loop_attach (&loop, NULL);
      loop_settle (&loop);

      for (guint i = 0; i < 2; i++)
        {
          g_assert_cmpuint (loop.pairs[i].n_calls, >, 0);
          g_assert_cmpuint (loop.pairs[i].n_calls, <=, limit + (g_get_monotonic_time () - start) / 1000);
        }

      loop_close (&loop);
    }
}

/* Dispatches events with data, so that the descriptor has a long history of useful calls. */
static void
loop_serve (Loop  *loop,
            guint  n_calls)
{
  for (guint i = 1; i <= n_calls; i++)
    {
      put_byte (loop->pairs[0].fds[1]);
      while (loop->pairs[0].n_calls < i)
        g_main_context_iteration (loop->context, TRUE);
    }
}

/* After many calls without a hang-up a mechanism that does not tell about ends is probed less often. Still, 14 useless
 * calls come before the first pause at most, and one after each pause. */
static void
test_hang_up_late (BackendFixture *fixture)
{
  gint64 start;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_serve (&loop, 600);

  start = g_get_monotonic_time ();
  close (loop.pairs[0].fds[1]);
  loop.pairs[0].fds[1] = -1;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, >, 600);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, 615 + (g_get_monotonic_time () - start) / 1000);

  loop_close (&loop);
}

/* The descriptor is closed while a duplicate is open. That is no hang-up: only the check for stale descriptors finds
 * it. */
static void
test_closed_late (BackendFixture *fixture)
{
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_serve (&loop, 600);

  duplicate = dup (loop.pairs[0].fds[0]);
  loop.pairs[0].ignores = TRUE;
  put_byte (loop.pairs[0].fds[1]);
  close (loop.pairs[0].fds[0]);
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, 600 + 128);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

static void
test_hang_up_once (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      g_autoptr (GError) error = NULL;
      Loop loop;
      int fd;

      if (!is_possible (hang_up))
        continue;

      g_test_message ("hang-up %d", (int) hang_up);
      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_ONCE);
      loop.pairs[0].ignores = TRUE;
      loop_hang_up (&loop, hang_up);
      fd = loop.pairs[0].fds[0];
      loop_attach (&loop, NULL);
      loop_expect (&loop, 1, 0);

      g_assert_true (sel_base_selector_refresh (loop.selector, fd, &error));
      g_assert_no_error (error);
      loop_expect (&loop, 1, 0);
      rewatch (loop.selector, fd, loop.pairs[0].events);
      loop_expect (&loop, 1, 0);

      loop_close (&loop);
    }
}

/* The duplicate of a closed descriptor makes the epoll backend rebuild its set. A paused descriptor stays paused. */
static void
test_paused_during_rebuild (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  guint n_sets;
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_ONCE);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET);
  loop_register (&loop, 1, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_expect (&loop, 1, 0);

  duplicate = dup (loop.pairs[1].fds[0]);
  close (loop.pairs[1].fds[0]);
  unwatch (loop.selector, loop.pairs[1].fds[0]);
  put_byte (loop.pairs[1].fds[1]);
  n_sets = count_epoll_sets ();
  loop_expect (&loop, 0, 0);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);

  /* The new set tells the state again. This is no other hang-up, which would be told after 1 ms. */
  g_usleep (2000);
  loop_expect (&loop, 0, 0);

  /* reinit () resumes the descriptor. */
  g_assert_true (sel_base_selector_reinit (loop.selector, &error));
  g_assert_no_error (error);
  loop_expect (&loop, 1, 0);

  close (duplicate);
  loop.pairs[1].fds[0] = -1;
  loop_close (&loop);
}

/* Modifying a paused descriptor resumes it. */
static void
test_modify_during_pause (BackendFixture *fixture)
{
  Loop loop;
  guint n;

  loop_open (&loop, fixture);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET_HALF);
  fill (loop.pairs[0].fds[0]);
  loop_attach (&loop, NULL);
  loop_settle (&loop);

  rewatch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_WRITE);
  n = loop.pairs[0].n_calls;
  for (gint64 end = g_get_monotonic_time () + 150 * 1000; g_get_monotonic_time () < end;)
    g_main_context_iteration (loop.context, FALSE);
  g_assert_cmpuint (loop.pairs[0].n_calls, ==, n);

  drain (loop.pairs[0].fds[1]);
  while (loop.pairs[0].n_calls == n)
    g_main_context_iteration (loop.context, TRUE);
  g_assert_cmpuint (loop.pairs[0].events, ==, SEL_EVENT_WRITE);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (loop.pairs[0].fds[0]);
  loop_settle (&loop);
  assert_ready (loop.selector, 0, -1);

  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

static void
test_hang_up_reported (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_REPORT);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, PIPE_READ);
  loop_attach (&loop, NULL);

  while (loop.pairs[0].n_calls < 200)
    g_assert_true (g_main_context_iteration (loop.context, TRUE));

  loop_close (&loop);
}

/* A callback that leaves data unread is called in every iteration, even after a hang-up. */
static void
test_hang_up_with_data (BackendFixture *fixture)
{
  static const SelHangupPolicy policies[] = { SEL_HANGUP_POLICY_THROTTLE, SEL_HANGUP_POLICY_ONCE };

  for (gsize i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, policies[i]);
      loop.pairs[0].ignores = TRUE;
      put_byte (loop.pairs[0].fds[1]);
      loop_hang_up (&loop, SOCKET);
      loop_attach (&loop, NULL);

      for (guint turn = 0; turn < 40; turn++)
        g_assert_true (g_main_context_iteration (loop.context, TRUE));
      g_assert_cmpuint (loop.pairs[0].n_calls, >=, 30);

      loop_close (&loop);
    }
}

/* select () reports paused descriptors, too. */
static void
test_select_during_pause (BackendFixture *fixture)
{
  Loop loop;

  loop_open_paused (&loop, fixture, SOCKET);

  for (guint i = 0; i < 20; i++)
    assert_ready (loop.selector, 0, loop.pairs[0].fds[0], SEL_EVENT_READ, -1);

  loop_close (&loop);
}

/* With room for one event, what is paused and the others take turns. */
static void
test_select_during_pause_fair (BackendFixture *fixture)
{
  guint n_seen[3] = { 0, 0, 0 };
  int others[2][2];
  Loop loop;

  loop_open_paused (&loop, fixture, SOCKET);
  for (guint i = 0; i < 2; i++)
    {
      open_pipe (others[i]);
      watch (loop.selector, others[i][0], SEL_EVENT_READ);
      put_byte (others[i][1]);
    }

  for (guint n = 0; n < 12; n++)
    {
      SelReadyEvent event;

      g_assert_cmpint (sel_base_selector_select_ready (loop.selector, SEL_WAIT_FOREVER, &event, 1, NULL, NULL), ==, 1);
      n_seen[event.fd == others[0][0] ? 0 : event.fd == others[1][0] ? 1 : 2]++;
    }
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (n_seen[i], >, 0);

  loop_close (&loop);
  close_pair (others[0]);
  close_pair (others[1]);
}

static void
on_async_done (GObject      *source,
               GAsyncResult *result,
               gpointer      user_data)
{
  g_autoptr (GPtrArray) ready = sel_base_selector_select_finish (SEL_BASE_SELECTOR (source), result, NULL);

  *(guint *) user_data = ready->len;
}

static void
test_select_async_during_pause (BackendFixture *fixture)
{
  guint n_ready = 0;
  Loop loop;

  loop_open_paused (&loop, fixture, SOCKET);
  loop_detach (&loop);

  /* There is no other source that could end the pause in time. */
  g_main_context_push_thread_default (loop.context);
  sel_base_selector_select_async (loop.selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, NULL, on_async_done, &n_ready);
  while (n_ready == 0)
    g_main_context_iteration (loop.context, TRUE);
  g_main_context_pop_thread_default (loop.context);
  g_assert_cmpuint (n_ready, ==, 1);

  loop_close (&loop);
}

/* A source that is attached later does not wait for a pause that the destroyed source would have ended. */
static void
test_pause_outlives_source (BackendFixture *fixture)
{
  Loop loop;
  guint n;

  loop_open_paused (&loop, fixture, PIPE_READ);
  loop_detach (&loop);

  loop_attach (&loop, NULL);
  n = loop.pairs[0].n_calls;
  while (loop.pairs[0].n_calls < n + 2)
    g_main_context_iteration (loop.context, TRUE);

  loop_close (&loop);
}

/* The reader of a FIFO is dispatched again when another writer opens the FIFO after a hang-up. */
static void
test_next_writer (BackendFixture *fixture)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);
  g_autofree char *name = g_build_filename (directory, "fifo", NULL);
  Loop loop;
  int writer;

  loop_open (&loop, fixture);
  g_assert_no_errno (mkfifo (name, 0600));
  close_pair (loop.pairs[0].fds);
  loop.pairs[0].fds[0] = open (name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  loop.pairs[0].fds[1] = -1;
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);

  for (guint i = 0; i < 2; i++)
    {
      guint n = loop.pairs[0].n_calls;

      writer = open (name, O_WRONLY | O_CLOEXEC);
      g_assert_no_errno (writer);
      put_byte (writer);
      while (loop.pairs[0].n_calls == n)
        g_main_context_iteration (loop.context, TRUE);
      close (writer);
      loop_settle (&loop);
    }

  loop_close (&loop);
  g_unlink (name);
  g_rmdir (directory);
}

static gboolean
replace_closed (gpointer user_data)
{
  Loop *loop = user_data;
  int fd = loop->pairs[0].fds[0];

  unwatch (loop->selector, fd);
  g_assert_cmpint (dup2 (loop->pairs[1].fds[0], fd), ==, fd);
  loop_register (loop, 0, SEL_EVENT_READ);

  return G_SOURCE_REMOVE;
}

/* The context finds a closed descriptor. Before the source is dispatched, the number is registered again for another
 * file. */
static void
test_closed_and_replaced (BackendFixture *fixture)
{
  GSource *source;
  Loop loop;

  loop_open (&loop, fixture);
  source = g_timeout_source_new_seconds (3600);
  g_source_set_callback (source, replace_closed, &loop, NULL);
  g_source_attach (source, loop.context);
  watch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_settle (&loop);

  g_assert_no_errno (close (loop.pairs[0].fds[0]));
  g_source_set_ready_time (source, 0);
  loop_settle (&loop);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 1, 0);

  g_source_unref (source);
  loop_close (&loop);
}

/* Makes a descriptor ready whose callback is called, but does not read. */
static void
loop_ignore (Loop *loop)
{
  loop->pairs[0].ignores = TRUE;
  loop_register (loop, 0, SEL_EVENT_READ);
  loop_attach (loop, NULL);
  put_byte (loop->pairs[0].fds[1]);
  while (loop->pairs[0].n_calls < 3)
    g_main_context_iteration (loop->context, TRUE);
}

/* The descriptor is closed while it is registered, and a duplicate keeps the file open. The callback must not be
 * called for ever. */
static void
test_closed_with_duplicate (BackendFixture *fixture)
{
  Loop loop;
  int duplicate;
  guint n;

  loop_open (&loop, fixture);
  loop_register (&loop, 1, SEL_EVENT_READ);
  loop_ignore (&loop);

  duplicate = dup (loop.pairs[0].fds[0]);
  close (loop.pairs[0].fds[0]);
  n = loop.pairs[0].n_calls;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, n + 9);

  n = loop.pairs[0].n_calls;
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 1);
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 0, 0);
  g_assert_cmpuint (loop.pairs[0].n_calls, ==, n);

  /* The key is still registered. */
  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

/* The same, but the number now refers to another file, which is not ready. */
static void
test_reused_with_duplicate (BackendFixture *fixture)
{
  Loop loop;
  int duplicate;
  guint n;

  loop_open (&loop, fixture);
  loop_ignore (&loop);

  duplicate = dup (loop.pairs[0].fds[0]);
  g_assert_cmpint (dup2 (loop.pairs[1].fds[0], loop.pairs[0].fds[0]), ==, loop.pairs[0].fds[0]);
  n = loop.pairs[0].n_calls;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, n + 64);
  loop_expect (&loop, 0, 0);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop_close (&loop);
}

/* The same rules for a plain source, whose callback calls select () itself. */

static gboolean
count_plain (gpointer user_data)
{
  Loop *loop = user_data;
  g_autoptr (GPtrArray) ready = NULL;

  loop->n_calls++;
  ready = sel_base_selector_select (loop->selector, 0, NULL, NULL);
  g_assert_nonnull (ready);

  return G_SOURCE_CONTINUE;
}

static void
test_plain_source (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      Loop loop;

      if (!is_possible (hang_up))
        continue;

      loop_open (&loop, fixture);
      loop_hang_up (&loop, hang_up);
      loop.source = sel_base_selector_create_source (loop.selector);
      g_source_set_callback (loop.source, count_plain, &loop, NULL);
      g_source_attach (loop.source, loop.context);

      loop_settle (&loop);
      g_assert_cmpuint (loop.n_calls, >, 0);

      loop_close (&loop);
    }
}

static void
test_plain_source_reused (BackendFixture *fixture)
{
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  watch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop.source = sel_base_selector_create_source (loop.selector);
  g_source_set_callback (loop.source, count_plain, &loop, NULL);
  g_source_attach (loop.source, loop.context);
  put_byte (loop.pairs[0].fds[1]);
  while (loop.n_calls < 3)
    g_main_context_iteration (loop.context, TRUE);

  duplicate = dup (loop.pairs[0].fds[0]);
  g_assert_cmpint (dup2 (loop.pairs[1].fds[0], loop.pairs[0].fds[0]), ==, loop.pairs[0].fds[0]);
  loop_settle (&loop);
  g_assert_cmpuint (loop.n_calls, <=, 3 + 64);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop_close (&loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();

  backend_add_both_modes ("callbacks/hang-up-throttled", test_hang_up_throttled);
  backend_add_both_modes ("callbacks/hang-up-in-loops", test_hang_up_in_loops);
  backend_add_both_modes ("callbacks/hang-up-late", test_hang_up_late);
  backend_add_both_modes ("callbacks/closed-late", test_closed_late);
  backend_add_both_modes ("callbacks/hang-up-once", test_hang_up_once);
  backend_add_both_modes ("callbacks/modify-during-pause", test_modify_during_pause);
  backend_add_for ("epoll", "callbacks/paused-during-rebuild", test_paused_during_rebuild);
  backend_add_both_modes ("callbacks/hang-up-reported", test_hang_up_reported);
  backend_add_both_modes ("callbacks/hang-up-with-data", test_hang_up_with_data);
  backend_add_both_modes ("callbacks/select-during-pause", test_select_during_pause);
  backend_add_both_modes ("callbacks/select-during-pause-fair", test_select_during_pause_fair);
  backend_add_both_modes ("callbacks/select-async-during-pause", test_select_async_during_pause);
  backend_add_both_modes ("callbacks/pause-outlives-source", test_pause_outlives_source);
  backend_add_both_modes ("callbacks/next-writer", test_next_writer);
  backend_add_both_modes ("callbacks/closed-and-replaced", test_closed_and_replaced);
  backend_add_both_modes ("callbacks/closed-with-duplicate", test_closed_with_duplicate);
  backend_add_both_modes ("callbacks/reused-with-duplicate", test_reused_with_duplicate);
  backend_add_both_modes ("callbacks/plain-source-reused", test_plain_source_reused);
  backend_add_both_modes ("callbacks/plain-source", test_plain_source);

  return g_test_run ();
}
