/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/sel-fd-probe-private.h"
#include "core/sel-hangup-private.h"
#include "room-fixture.h"

/* --- The count of calls --- */

/* Without an end there is a check after 8, 16, 32, and then after every 128 calls. Those from the third one on also
 * look for a stale descriptor. */
static void
test_count_due (void)
{
  static const guint checks[] = { 8, 24, 56, 184, 312 };
  SelHangupCount count = { 0 };
  guint i = 0;

  for (guint n = 1; n <= 320; n++)
    {
      gboolean expected = i < G_N_ELEMENTS (checks) && n == checks[i];
      gboolean check_stale = TRUE;

      g_assert_cmpint (sel_hangup_count_is_due (&count, &check_stale), ==, expected);
      g_assert_cmpint (check_stale, ==, expected && i >= 2);
      i += expected;
    }
  g_assert_cmpuint (i, ==, G_N_ELEMENTS (checks));
}

static void
test_count_pauses (void)
{
  static const gint64 lengths[] = { 1, 2, 4, 8, 16, 32, 64, 100, 100, 100 };
  SelHangupCount count = { .n_useless = 3, .countdown = 4 };

  for (guint round = 0; round < 2; round++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
        g_assert_cmpint (sel_hangup_count_take_pause (&count), ==, lengths[i] * 1000);
      sel_hangup_count_resume (&count);
      g_assert_cmpuint (count.n_useless, ==, SEL_HANGUP_MAX_USELESS - 1);
      sel_hangup_count_reset (&count);
      g_assert_cmpuint (count.n_useless, ==, 0);
      g_assert_cmpuint (count.countdown, ==, 4);
    }
}

/* The checks of @n calls in a row for an event, of which the last @n_checks ones check for an end. */
static void
assert_checks (Room                *room,
               const SelReadyEvent *event,
               guint                n,
               guint                n_checks)
{
  SelKeySlot *slot = room_get_slot (room, event->fd);

  slot->hangup.countdown = 100;
  for (guint i = 1; i <= n; i++)
    g_assert_cmphex (sel_hangup_count (room->core, slot, event), ==,
                     i > n - n_checks ? SEL_HANGUP_CHECK_ENDED : SEL_HANGUP_CHECK_NOTHING);
}

static void
test_count_policy (Room          *room,
                   gconstpointer  data)
{
  static const SelEnds ends[] = { SEL_READ_END, SEL_WRITE_END, SEL_READ_END | SEL_WRITE_END, SEL_UNKNOWN_END };

  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      SelReadyEvent event, other;

      room_watch (room, room->a[0], ALL_EVENTS);
      event = other = room_make_event (room, room->a[0], ALL_EVENTS);
      event.ends = ends[i];

      sel_base_selector_set_hangup_policy (room->selector, SEL_HANGUP_POLICY_THROTTLE);
      assert_checks (room, &event, 10, 4);
      assert_checks (room, &other, 1, 0);
      assert_checks (room, &event, 7, 1);
      assert_checks (room, &other, 1, 0);

      sel_base_selector_set_hangup_policy (room->selector, SEL_HANGUP_POLICY_ONCE);
      assert_checks (room, &event, 10, 10);
      assert_checks (room, &other, 10, 0);

      sel_base_selector_set_hangup_policy (room->selector, SEL_HANGUP_POLICY_REPORT);
      assert_checks (room, &event, 50, 0);
      unwatch (room->selector, room->a[0]);
    }
}

/* A report of the direction that is not paused is no progress of the other one, whose next pause stays as long. */
static void
test_count_paused (Room          *room,
                   gconstpointer  data)
{
  SelReadyEvent event;
  SelKeySlot *slot;

  room_watch (room, room->a[0], ALL_EVENTS);
  event = room_make_event (room, room->a[0], SEL_EVENT_WRITE);
  slot = room_get_slot (room, room->a[0]);
  slot->hangup = (SelHangupCount) { .countdown = 50, .n_useless = 6, .pause = 3 };
  sel_key_slot_pause (slot, SEL_EVENT_READ);
  g_assert_cmphex (sel_hangup_count (room->core, slot, &event), ==, 0);
  g_assert_cmpuint (slot->hangup.n_useless, ==, 0);
  g_assert_cmpuint (slot->hangup.pause, ==, 3);

  /* The pause is over. */
  sel_key_slot_resume (slot, SEL_EVENT_READ);
  slot->hangup.n_useless = 6;
  g_assert_cmphex (sel_hangup_count (room->core, slot, &event), ==, 0);
  g_assert_cmpuint (slot->hangup.n_useless, ==, 6);
  g_assert_cmpuint (slot->hangup.pause, ==, 3);
  event.events = SEL_EVENT_READ;
  g_assert_cmphex (sel_hangup_count (room->core, slot, &event), ==, 0);
  g_assert_cmpuint (slot->hangup.n_useless, ==, 0);
  g_assert_cmpuint (slot->hangup.pause, ==, 0);
}

static void
test_count_event (Room          *room,
                  gconstpointer  data)
{
  SelReadyEvent event, stale, missing;

  room_watch (room, room->a[0], ALL_EVENTS);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  stale = event;
  stale.generation--;
  missing = event;
  missing.fd = room->b[0];

  g_assert_cmphex (sel_hangup_count_event (room->core, &stale, FALSE), ==, SEL_HANGUP_CHECK_NOTHING);
  g_assert_cmphex (sel_hangup_count_event (room->core, &missing, FALSE), ==, SEL_HANGUP_CHECK_NOTHING);
  g_assert_cmpuint (room_get_slot (room, room->a[0])->hangup.countdown, ==, 0);

  for (guint n = 1; n < 8; n++)
    {
      g_assert_cmphex (sel_hangup_count_event (room->core, &event, FALSE), ==, SEL_HANGUP_CHECK_NOTHING);
      assert_unlocked (room->core);
    }
  g_assert_cmphex (sel_hangup_count_event (room->core, &event, FALSE), ==, SEL_HANGUP_CHECK_CLOSED);
}

/* A function that locks notices that the process has forked. */
static void
test_count_event_locks (Room          *room,
                        gconstpointer  data)
{
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  sel_fork_begin_child ();
  sel_hangup_count_event (room->core, &event, FALSE);
  g_assert_false (sel_state_is_new_process (room->core));
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

/* --- The checks --- */

/* A pipe whose reader is registered; @state is the result of a probe. */
typedef enum
{
  HAS_DATA,
  NOT_READY,
  ENDED,
  ENDED_WITH_DATA,
  IS_CLOSED
} PipeState;

static void
set_up_pipe (Room          *room,
             PipeState      state,
             int           *fds,
             SelReadyEvent *event)
{
  open_pipe (fds);
  room_watch (room, fds[0], SEL_EVENT_READ);
  *event = room_make_event (room, fds[0], SEL_EVENT_READ);
  event->ends = SEL_UNKNOWN_END;
  if (state == HAS_DATA || state == ENDED_WITH_DATA)
    put_byte (fds[1]);
  if (state >= ENDED)
    {
      close (fds[1]);
      fds[1] = -1;
    }
  if (state == IS_CLOSED)
    close (fds[0]);
}

/* The callback was told that reading has ended. */
static void
set_told (Room *room,
          int   fd)
{
  SelKeySlot *slot = room_get_slot (room, fd);

  slot->hangup.n_useless = SEL_HANGUP_MAX_USELESS;
  sel_key_slot_get_extra (slot, fd)->told = SEL_EVENT_READ;
}

static void
assert_check (Room          *room,
              SelReadyEvent *event,
              gboolean       is_done,
              guint          n_useless,
              gboolean       is_paused,
              guint          n_pauses)
{
  SelKeySlot *slot = room_get_slot (room, event->fd);

  g_assert_cmphex (sel_hangup_check (room->core, event, SEL_HANGUP_CHECK_ENDED, FALSE), ==,
                   is_done ? 0 : event->events);
  assert_unlocked (room->core);
  g_assert_cmpuint (slot->hangup.n_useless, ==, n_useless);
  g_assert_cmpint (sel_key_slot_is_paused (slot), ==, is_paused);
  assert_state (room->core, SEL_STATE_OPEN | (n_pauses > 0 ? SEL_STATE_PAUSED : 0));
}

static void
test_check (Room          *room,
            gconstpointer  data)
{
  static const struct
  {
    PipeState state;
    gboolean  is_done;
    guint     n_useless;
    gboolean  is_paused;
    guint     n_pauses;
  } cases[] = {
    { HAS_DATA, FALSE, 0, FALSE, 0 },
    { NOT_READY, FALSE, 0, FALSE, 0 },
    { ENDED, TRUE, SEL_HANGUP_MAX_USELESS, TRUE, 1 },
    { ENDED_WITH_DATA, FALSE, 0, FALSE, 0 },
    { IS_CLOSED, TRUE, SEL_HANGUP_MAX_USELESS, TRUE, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      SelReadyEvent event;
      int fds[2];

      g_test_message ("state %d", (int) cases[i].state);
      set_up_pipe (room, cases[i].state, fds, &event);
      set_told (room, fds[0]);
      assert_check (room, &event, cases[i].is_done, cases[i].n_useless, cases[i].is_paused, cases[i].n_pauses);
      unwatch (room->selector, fds[0]);
      sel_base_selector_reinit (room->selector, NULL); /* forgets the pause */
      if (fds[1] >= 0)
        close (fds[1]);
      if (cases[i].state != IS_CLOSED)
        close (fds[0]);
    }
}

/* If reports do not tell about ends, a probe that finds none doubles the time to the next one. */
static void
test_check_calm (Room          *room,
                 gconstpointer  data)
{
  const guint n = SEL_HANGUP_MAX_USELESS - 1;
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2];

  set_up_pipe (room, HAS_DATA, fds, &event);
  slot = room_get_slot (room, fds[0]);
  for (guint round = 0; round < 3; round++)
    {
      guint n_calls = 0;

      while ((sel_hangup_count_slow (room->core, slot, &event) & SEL_HANGUP_CHECK_ENDED) == 0)
        n_calls++;
      g_assert_cmpuint (n_calls, ==, round == 0 ? n : 2 * n + 1);
      assert_check (room, &event, FALSE, 0, FALSE, 0);
    }

  /* A report that tells of an end is probed after the usual number of calls. */
  event.ends = SEL_READ_END;
  for (guint i = 0; i < n; i++)
    g_assert_cmphex (sel_hangup_count_slow (room->core, slot, &event) & SEL_HANGUP_CHECK_ENDED, ==, 0);
  g_assert_cmphex (sel_hangup_count_slow (room->core, slot, &event) & SEL_HANGUP_CHECK_ENDED, !=, 0);
  unwatch (room->selector, fds[0]);
  close_pair (fds);
}

/* The callback is always told of the end before there is a pause. */
static void
test_check_told (Room          *room,
                 gconstpointer  data)
{
  SelReadyEvent event;
  int fds[2];

  set_up_pipe (room, ENDED, fds, &event);
  assert_check (room, &event, FALSE, SEL_HANGUP_MAX_USELESS, FALSE, 0);
  assert_check (room, &event, TRUE, SEL_HANGUP_MAX_USELESS, TRUE, 1);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

/* While a thread waits, no pause can begin. A callback that was told of the end is not called for it nevertheless. */
static void
test_check_in_wait (Room          *room,
                    gconstpointer  data)
{
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2];

  set_up_pipe (room, ENDED, fds, &event);
  slot = room_get_slot (room, fds[0]);
  sel_state_set (room->core, SEL_STATE_WAITING);
  for (guint i = 0; i < 3; i++)
    {
      SelEventMask left = sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_ENDED, FALSE);

      g_assert_cmphex (left, ==, i == 0 ? event.events : 0);
      g_assert_false (sel_key_slot_is_paused (slot));
    }
  sel_state_unset (room->core, SEL_STATE_WAITING);
  assert_check (room, &event, TRUE, SEL_HANGUP_MAX_USELESS, TRUE, 1);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

static void
tell (Room                *room,
      const SelReadyEvent *event)
{
  sel_state_lock (room->core);
  sel_hangup_tell (room->core, event, 1);
  sel_state_unlock (room->core);
}

/* A callback that calls select () is told as often as others before its descriptor is paused; what it was not told does
 * not count. */
static void
test_tell (Room          *room,
           gconstpointer  data)
{
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2];

  set_up_pipe (room, ENDED, fds, &event);
  slot = room_get_slot (room, fds[0]);
  for (guint i = 1; i <= SEL_HANGUP_MAX_USELESS; i++)
    {
      for (guint j = 0; j < 3; j++)
        g_assert_cmphex (sel_hangup_count_event (room->core, &event, TRUE) & SEL_HANGUP_CHECK_ENDED, ==, 0);
      tell (room, &event);
      g_assert_cmpuint (slot->hangup.n_useless, ==, i);
    }
  g_assert_cmphex (sel_hangup_count_event (room->core, &event, TRUE) & SEL_HANGUP_CHECK_ENDED, !=, 0);
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_ENDED, TRUE), ==, 0);
  g_assert_true (sel_key_slot_is_paused (slot));
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

/* After a pause there is one call, and the next pause has begun before it. A callback that calls select () would end
 * that pause, so it begins with the next report. */
static void
test_check_again (Room          *room,
                  gconstpointer  data)
{
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2];

  set_up_pipe (room, ENDED, fds, &event);
  slot = room_get_slot (room, fds[0]);
  slot->hangup.pause = 1;
  slot->hangup.n_useless = SEL_HANGUP_MAX_USELESS - 1;
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_ENDED, TRUE), ==, event.events);
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS - 1);
  tell (room, &event);
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS);
  g_assert_false (sel_key_slot_is_paused (slot));

  slot->hangup.n_useless = SEL_HANGUP_MAX_USELESS - 1;
  assert_check (room, &event, FALSE, SEL_HANGUP_MAX_USELESS, TRUE, 1);
  g_assert_cmpuint (slot->hangup.pause, ==, 2);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

/* The end of one direction does not stop the other one. */
static void
test_check_direction (Room          *room,
                      gconstpointer  data)
{
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2];

  open_socketpair (fds);
  room_watch (room, fds[0], ALL_EVENTS);
  event = room_make_event (room, fds[0], ALL_EVENTS);
  event.ends = SEL_READ_END;
  slot = room_get_slot (room, fds[0]);
  set_told (room, fds[0]);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));

  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_ENDED, FALSE), ==, SEL_EVENT_WRITE);
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS);
  g_assert_cmpuint (slot->active, ==, SEL_EVENT_WRITE);
  fake_selector_assert_log (room->fake, "update(%d,3,2)", fds[0]);

  /* A report that is about the paused direction only is out of date. */
  event.events = SEL_EVENT_READ;
  assert_check (room, &event, FALSE, SEL_HANGUP_MAX_USELESS, TRUE, 1);

  /* The other end is told, too. */
  close (fds[1]);
  event.events = SEL_EVENT_WRITE;
  slot->hangup.pause = 0;
  assert_check (room, &event, FALSE, SEL_HANGUP_MAX_USELESS, TRUE, 1);
  assert_check (room, &event, TRUE, SEL_HANGUP_MAX_USELESS, TRUE, 1);
  g_assert_cmpuint (slot->active, ==, 0);
  fake_selector_assert_log (room->fake, "update(%d,2,0)", fds[0]);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

static void
test_check_changed (Room          *room,
                    gconstpointer  data)
{
  SelReadyEvent event;
  int fds[2];

  set_up_pipe (room, ENDED, fds, &event);
  set_told (room, fds[0]);
  rewatch (room->selector, fds[0], ALL_EVENTS);
  assert_check (room, &event, FALSE, 0, FALSE, 0);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
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
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, event.events);

  /* It is writable, but was reported as readable. */
  event.events = SEL_EVENT_READ;
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_CLOSED, FALSE), ==, event.events);
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, 0);
  assert_unlocked (room->core);
  fake_selector_assert_log (room->fake, "update(%d,3,0) update(%d,0,3)", fds[0], fds[0]);
  g_assert_cmpuint (room_get_slot (room, fds[0])->generation, !=, event.generation);

  /* The registration was changed. */
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, 0);
  assert_no_calls (room);

  event = room_make_event (room, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, event.events);
  drain (fds[0]);
  close (fds[1]);
  event.ends = SEL_READ_END;
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, event.events);
  assert_no_calls (room);

  /* It is hung up, but was reported without an end. */
  event.ends = 0;
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_CLOSED, FALSE), ==, event.events);
  g_assert_cmphex (sel_hangup_check (room->core, &event, SEL_HANGUP_CHECK_STALE, FALSE), ==, 0);
  g_assert_cmpuint (room_get_slot (room, fds[0])->generation, !=, event.generation);
  unwatch (room->selector, fds[0]);
  close (fds[0]);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/hangup/count/due", test_count_due);
  g_test_add_func ("/hangup/count/pauses", test_count_pauses);
  room_add ("/hangup/count/policy", test_count_policy);
  room_add ("/hangup/count/paused", test_count_paused);
  room_add ("/hangup/count/event", test_count_event);
  room_add ("/hangup/count/event-locks", test_count_event_locks);
  room_add ("/hangup/check/states", test_check);
  room_add ("/hangup/check/calm", test_check_calm);
  room_add ("/hangup/check/told", test_check_told);
  room_add ("/hangup/check/in-wait", test_check_in_wait);
  room_add ("/hangup/tell", test_tell);
  room_add ("/hangup/check/again", test_check_again);
  room_add ("/hangup/check/direction", test_check_direction);
  room_add ("/hangup/check/changed", test_check_changed);
  room_add ("/hangup/check/stale", test_check_stale);

  return g_test_run ();
}
