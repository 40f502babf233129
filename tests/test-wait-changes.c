/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <math.h>

#include "wait-fixture.h"

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

/* A wait in the kernel is ended for a change only if the mechanism does not see the change by itself. */
static void
test_sees_updates (Room          *room,
                   gconstpointer  data)
{
  static const struct
  {
    SelBaseSelector *(*new_selector) (GError **error);
    gboolean          sees_updates;
  } cases[] = {
    { sel_select_selector_new, FALSE },
    { sel_poll_selector_new, FALSE },
    { sel_epoll_selector_new, TRUE },
    { sel_kqueue_selector_new, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(SelBaseSelector) selector = cases[i].new_selector (&error);

      if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED))
        continue;
      g_assert_no_error (error);

      watch (selector, room->a[0], SEL_EVENT_READ);
      sel_state_set (sel_core (selector), SEL_STATE_WAITING);
      watch (selector, room->b[0], SEL_EVENT_READ);
      g_assert_cmpint (sel_notify_drain_wakeup (sel_core (selector)), ==, !cases[i].sees_updates);
      sel_state_unset (sel_core (selector), SEL_STATE_WAITING);
    }
}

/* A wait of a thread resumes the descriptors that are paused for a while. */
static void
test_resumes (Room          *room,
              gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->b[0], FALSE);
  for (guint i = 0; i < 2; i++)
    {
      room_pause (room, room->a[0], TRUE);
      room_set_pause_end (room, G_MAXINT64);
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "", 0, SEL_WAIT_DISPATCH, 8);
      g_assert_true (room_is_paused (room, room->a[0]));

      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->b[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", SEL_WAIT_FOREVER, 0, 0, i == 0 ? NULL : cancellable);
      g_assert_false (room_is_paused (room, room->a[0]));
      g_assert_true (room_is_paused (room, room->b[0]));
      assert_state (room->core, SEL_STATE_OPEN);
    }
}

/* A main loop resumes only descriptors whose pause is over. */
static void
test_resumes_due (Room          *room,
                  gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_pause (room, room->a[0], TRUE);
  room_set_pause_end (room, g_get_monotonic_time ());
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
  room_set_pause_end (room, 0);
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

/* With room for one event, descriptors that the kernel reports and those that are always ready take turns. */
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
      room->core->wait.turns[0] = turn;
      fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
      assert_wait (room, "a:1", SEL_WAIT_FOREVER);
      g_assert_true (isinf (fake_selector_get_timeout (room->fake, 0)));
      assert_state (room->core, SEL_STATE_OPEN);
      unwatch (room->selector, fds[0]);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/wait/changed/drops-stale", test_changed);
  room_add ("/wait/changed/and-fails", test_changed_and_fails);
  room_add ("/wait/changed/ends", test_end_forgets_changes);
  room_add ("/wait/changed/sees-updates", test_sees_updates);
  room_add ("/wait/pause/resumes", test_resumes);
  room_add ("/wait/pause/resumes-due", test_resumes_due);
  room_add ("/wait/pause/limits-time", test_pause_limits_time);
  room_add ("/wait/pause/ends-in-wait", test_pause_ends_in_wait);
  room_add ("/wait/always-ready/ok", test_always_ready);
  room_add ("/wait/always-ready/turns", test_always_ready_turns);
  room_add ("/wait/always-ready/becomes", test_becomes_always_ready);
  room_add ("/wait/always-ready/closed", test_always_ready_closed);

  return g_test_run ();
}
