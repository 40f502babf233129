/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/sel-fd-state-private.h"
#include "core/sel-hangup-private.h"
#include "room-fixture.h"

/* --- The count of calls --- */

/* TRUE if the @n-th call, counted from 1, leads to a check. */
static gboolean
leads_to_check (guint    n,
                gboolean maybe_hung_up,
                gboolean check_each_call)
{
  static const guint first_calls[] = { 8, 16, 32, 64 };

  if (maybe_hung_up)
    return check_each_call || n % 8 == 0;

  for (guint i = 0; i < G_N_ELEMENTS (first_calls); i++)
    {
      if (n == first_calls[i])
        return TRUE;
    }

  return n % 128 == 0;
}

static void
test_count (void)
{
  for (guint flags = 0; flags < 4; flags++)
    {
      gboolean maybe_hung_up = (flags & 1) != 0;
      gboolean check_each_call = (flags & 2) != 0;
      SelHangupCount count = { 0 };

      sel_hangup_count_note (&count, maybe_hung_up);
      for (guint n = 1; n <= 1000; n++)
        {
          g_assert_cmpint (sel_hangup_count_call (&count, check_each_call), ==,
                           leads_to_check (n, maybe_hung_up, check_each_call));
          g_assert_cmpint (sel_hangup_count_is_stale_due (&count), ==, n % 64 == 0);
        }
    }
}

static void
test_count_note (void)
{
  SelHangupCount count = { .n_calls = 3 };

  sel_hangup_count_note (&count, FALSE);
  g_assert_cmpuint (count.maybe_hung_up, ==, FALSE);

  /* A gboolean may be any number. */
  sel_hangup_count_note (&count, 256);
  g_assert_cmpuint (count.maybe_hung_up, ==, TRUE);
  sel_hangup_count_note (&count, FALSE);
  g_assert_cmpuint (count.maybe_hung_up, ==, TRUE);

  sel_hangup_count_reset (&count);
  g_assert_cmpuint (count.maybe_hung_up, ==, FALSE);
  g_assert_cmpuint (count.n_calls, ==, 3);
}

static void
test_count_check_soon (void)
{
  for (guint n_before = 0; n_before <= 300; n_before++)
    {
      SelHangupCount count = { 0 };

      for (guint i = 0; i < n_before; i++)
        sel_hangup_count_call (&count, FALSE);
      sel_hangup_count_check_soon (&count);
      g_assert_true (sel_hangup_count_call (&count, FALSE));
      g_assert_false (sel_hangup_count_is_stale_due (&count));
      for (guint i = 0; i < 7; i++)
        g_assert_false (sel_hangup_count_call (&count, FALSE));
      g_assert_true (sel_hangup_count_call (&count, FALSE));
    }
}

static void
test_count_policy (Room          *room,
                   gconstpointer  data)
{
  static const SelHangupPolicy policies[] = { SEL_HANGUP_POLICY_THROTTLE, SEL_HANGUP_POLICY_ONCE,
                                              SEL_HANGUP_POLICY_REPORT };

  for (guint i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      SelHangupChecks other = policies[i] == SEL_HANGUP_POLICY_ONCE ? SEL_HANGUP_CHECK_AFTER_CALL
                                                                     : SEL_HANGUP_CHECK_NOTHING;
      SelKeySlot *slot;

      room_watch (room, room->a[0], SEL_EVENT_READ);
      slot = room_get_slot (room, room->a[0]);
      slot->hangup = (SelHangupCount) { .maybe_hung_up = TRUE };
      sel_base_selector_set_hangup_policy (room->selector, policies[i]);
      for (guint n = 1; n <= 300; n++)
        {
          SelHangupChecks expected = n % 8 == 0 ? SEL_HANGUP_CHECK_AFTER_CALL : other;

          if (n % 64 == 0)
            expected |= SEL_HANGUP_CHECK_STALE;
          g_assert_cmphex (sel_hangup_count (room->core, slot), ==, expected);
        }
      unwatch (room->selector, room->a[0]);
    }
}

static void
test_count_event (Room          *room,
                  gconstpointer  data)
{
  SelEventMask registered = 0;
  SelReadyEvent event, stale, missing;

  room_watch (room, room->a[0], ALL_EVENTS);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  stale = event;
  stale.generation--;
  missing = event;
  missing.fd = room->b[0];

  g_assert_cmphex (sel_hangup_count_event (room->core, &stale, &registered), ==, SEL_HANGUP_CHECK_NOTHING);
  g_assert_cmphex (sel_hangup_count_event (room->core, &missing, &registered), ==, SEL_HANGUP_CHECK_NOTHING);
  g_assert_cmphex (registered, ==, 0);
  g_assert_cmpuint (room_get_slot (room, room->a[0])->hangup.n_calls, ==, 0);

  for (guint n = 1; n < 8; n++)
    {
      g_assert_cmphex (sel_hangup_count_event (room->core, &event, &registered), ==, SEL_HANGUP_CHECK_NOTHING);
      assert_unlocked (room->core);
      g_assert_cmphex (registered, ==, ALL_EVENTS);
    }
  g_assert_cmphex (sel_hangup_count_event (room->core, &event, &registered), ==, SEL_HANGUP_CHECK_AFTER_CALL);
}

/* A function that locks notices that the process has forked. */
static void
test_count_event_locks (Room          *room,
                        gconstpointer  data)
{
  SelEventMask registered = 0;
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  sel_state_count_fork ();
  sel_hangup_count_event (room->core, &event, &registered);
  g_assert_false (sel_state_is_new_process (room->core));
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

/* --- The state of a descriptor --- */

#define assert_fd_state(fd, events, state) g_assert_cmpint (sel_fd_get_state (fd, events), ==, state)

static void
test_fd_state_pipe (void)
{
  int fds[2];

  open_pipe (fds);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_NOT_READY);
  assert_fd_state (fds[1], SEL_EVENT_WRITE, SEL_FD_IN_USE);
  assert_fd_state (fds[0], 0, SEL_FD_NOT_READY);

  put_byte (fds[1]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_IN_USE);
  fill (fds[1]);
  assert_fd_state (fds[1], SEL_EVENT_WRITE, SEL_FD_NOT_READY);

  /* The data that is left has to be read first. */
  close (fds[1]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_IN_USE);
  assert_fd_state (fds[0], 0, SEL_FD_HUNG_UP);
  drain (fds[0]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_HUNG_UP);
  close (fds[0]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_CLOSED);
  assert_fd_state (fds[0], 0, SEL_FD_CLOSED);

  /* An error, but no hang-up. */
  open_pipe (fds);
  close (fds[0]);
  assert_fd_state (fds[1], SEL_EVENT_WRITE, SEL_FD_HUNG_UP);
  close (fds[1]);
}

static void
test_fd_state_socket (void)
{
  int fds[2];

  open_socketpair (fds);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_NOT_READY);
  assert_fd_state (fds[0], ALL_EVENTS, SEL_FD_IN_USE);
  put_byte (fds[1]);
  close (fds[1]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_IN_USE);
  assert_fd_state (fds[0], ALL_EVENTS, SEL_FD_IN_USE);
  assert_fd_state (fds[0], SEL_EVENT_WRITE, SEL_FD_HUNG_UP);
  drain (fds[0]);
  assert_fd_state (fds[0], ALL_EVENTS, SEL_FD_HUNG_UP);
  close (fds[0]);
}

/* The other end does not send any more, but can still receive. */
static void
test_fd_state_half_closed (void)
{
#ifdef POLLRDHUP
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));

  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_IN_USE);
  drain (fds[0]);
  assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_HUNG_UP);
  assert_fd_state (fds[0], ALL_EVENTS, SEL_FD_IN_USE);
  assert_fd_state (fds[0], SEL_EVENT_WRITE, SEL_FD_IN_USE);

  fill (fds[0]);
  assert_fd_state (fds[0], ALL_EVENTS, SEL_FD_HUNG_UP);
  assert_fd_state (fds[0], SEL_EVENT_WRITE, SEL_FD_NOT_READY);
  close_pair (fds);
#else
  g_test_skip ("poll () does not tell half-closed connections");
#endif
}

/* poll () says POLLNVAL, but the descriptor is open. */
static void
test_fd_state_not_pollable (void)
{
#ifdef O_PATH
  int fd = open ("/", O_PATH | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  assert_fd_state (fd, SEL_EVENT_READ, SEL_FD_IN_USE);
  close (fd);
#else
  g_test_skip ("there are no descriptors that poll () refuses");
#endif
}

static void
test_fd_state_poll_fails (void)
{
  struct rlimit saved, limit;
  struct pollfd entry;
  int fds[2];
  int n;

  open_pipe (fds);
  entry = (struct pollfd) { .fd = fds[0], .events = POLLIN };
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  limit = saved;
  limit.rlim_cur = 0;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  n = poll (&entry, 1, 0);
  if (n < 0)
    assert_fd_state (fds[0], SEL_EVENT_READ, SEL_FD_IN_USE);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));
  if (n >= 0)
    g_test_skip ("poll () works without a limit");
  close_pair (fds);
}

/* --- The checks --- */

typedef enum
{
  RUNS,
  PAUSED_FOR_A_WHILE,
  PAUSED_UNTIL_MODIFIED
} Effect;

static void
assert_effect (Room   *room,
               int     fd,
               Effect  effect)
{
  assert_unlocked (room->core);
  g_assert_cmpint (room_is_paused (room, fd), ==, effect != RUNS);
  assert_state (room->core, SEL_STATE_OPEN | (effect == PAUSED_FOR_A_WHILE ? SEL_STATE_PAUSED : 0));
}

static const struct
{
  SelHangupPolicy policy;
  Effect          effect;
} policy_cases[] = {
  { SEL_HANGUP_POLICY_THROTTLE, PAUSED_FOR_A_WHILE },
  { SEL_HANGUP_POLICY_ONCE, PAUSED_UNTIL_MODIFIED },
  { SEL_HANGUP_POLICY_REPORT, RUNS },
};

static void
check_in_state (Room            *room,
                SelFdState       state,
                SelHangupPolicy  policy,
                Effect           effect)
{
  SelReadyEvent event;
  int fds[2];

  open_pipe (fds);
  sel_base_selector_set_hangup_policy (room->selector, policy);
  room_watch (room, fds[0], SEL_EVENT_READ);
  event = room_make_event (room, fds[0], SEL_EVENT_READ);
  if (state == SEL_FD_IN_USE)
    put_byte (fds[1]);
  if (state == SEL_FD_HUNG_UP || state == SEL_FD_CLOSED)
    close (fds[1]);
  if (state == SEL_FD_CLOSED)
    close (fds[0]);

  sel_hangup_check (room->core, &event, SEL_EVENT_READ);
  assert_effect (room, fds[0], effect);

  unwatch (room->selector, fds[0]);
  sel_base_selector_reinit (room->selector, NULL); /* forgets the pause */
  if (state == SEL_FD_IN_USE || state == SEL_FD_NOT_READY)
    close (fds[1]);
  if (state != SEL_FD_CLOSED)
    close (fds[0]);
}

static void
test_check (Room          *room,
            gconstpointer  data)
{
  for (guint i = 0; i < G_N_ELEMENTS (policy_cases); i++)
    {
      check_in_state (room, SEL_FD_IN_USE, policy_cases[i].policy, RUNS);
      check_in_state (room, SEL_FD_NOT_READY, policy_cases[i].policy, RUNS);
      check_in_state (room, SEL_FD_HUNG_UP, policy_cases[i].policy, policy_cases[i].effect);
      check_in_state (room, SEL_FD_CLOSED, policy_cases[i].policy, PAUSED_UNTIL_MODIFIED);
    }
}

/* The registered events count, not those that were reported. */
static void
test_check_registered (Room          *room,
                       gconstpointer  data)
{
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  put_byte (room->a[1]);
  close (room->a[1]);
  room->a[1] = -1;

  sel_hangup_check (room->core, &event, SEL_EVENT_READ);
  assert_effect (room, room->a[0], RUNS);
  sel_hangup_check (room->core, &event, SEL_EVENT_WRITE);
  assert_effect (room, room->a[0], PAUSED_FOR_A_WHILE);
}

static void
test_check_changed (Room          *room,
                    gconstpointer  data)
{
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  close (room->a[1]);
  room->a[1] = -1;
  rewatch (room->selector, room->a[0], ALL_EVENTS);

  sel_hangup_check (room->core, &event, SEL_EVENT_READ);
  assert_effect (room, room->a[0], RUNS);
}

static void
test_check_stale (Room          *room,
                  gconstpointer  data)
{
  SelReadyEvent event;
  int fds[2];

  open_socketpair (fds);
  room_watch (room, fds[0], ALL_EVENTS);
  event = room_make_event (room, fds[0], ALL_EVENTS);
  g_assert_false (sel_hangup_check_stale (room->core, &event));

  /* It is writable, but was reported as readable. */
  event.events = SEL_EVENT_READ;
  g_assert_true (sel_hangup_check_stale (room->core, &event));
  assert_unlocked (room->core);
  fake_selector_assert_log (room->fake, "update(%d,3,0) update(%d,0,3)", fds[0], fds[0]);
  g_assert_cmpuint (room_get_slot (room, fds[0])->generation, !=, event.generation);
  g_assert_true (sel_hangup_count_call (&room_get_slot (room, fds[0])->hangup, FALSE));

  /* The registration was changed. */
  g_assert_true (sel_hangup_check_stale (room->core, &event));
  assert_no_calls (room);

  event = room_make_event (room, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  g_assert_false (sel_hangup_check_stale (room->core, &event));
  drain (fds[0]);
  close (fds[1]);
  g_assert_false (sel_hangup_check_stale (room->core, &event));
  close (fds[0]);
  g_assert_false (sel_hangup_check_stale (room->core, &event));
  assert_no_calls (room);
  unwatch (room->selector, fds[0]);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hangup/count/calls", test_count);
  g_test_add_func ("/hangup/count/note", test_count_note);
  g_test_add_func ("/hangup/count/check-soon", test_count_check_soon);
  room_add ("/hangup/count/policy", test_count_policy);
  room_add ("/hangup/count/event", test_count_event);
  room_add ("/hangup/count/event-locks", test_count_event_locks);
  g_test_add_func ("/hangup/fd-state/pipe", test_fd_state_pipe);
  g_test_add_func ("/hangup/fd-state/socket", test_fd_state_socket);
  g_test_add_func ("/hangup/fd-state/half-closed", test_fd_state_half_closed);
  g_test_add_func ("/hangup/fd-state/not-pollable", test_fd_state_not_pollable);
  g_test_add_func ("/hangup/fd-state/poll-fails", test_fd_state_poll_fails);
  room_add ("/hangup/check/policies", test_check);
  room_add ("/hangup/check/registered", test_check_registered);
  room_add ("/hangup/check/changed", test_check_changed);
  room_add ("/hangup/check/stale", test_check_stale);

  return g_test_run ();
}
