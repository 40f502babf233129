/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include "wait-fixture.h"

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

/* --- Room --- */

static void
report_both_by_hand (FakeSelector *fake,
                     gpointer      user_data)
{
  Room *room = user_data;

  sel_wait_begin_reports (room->core);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
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

/* Events of changed registrations are dropped before the second wait in the kernel. */
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

  /* It is full, which says nothing about the list of the selector. */
  fake_selector_clear_log (room->fake);
  room->core->wait.list_room = 1;
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER, 0, 1);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
  g_assert_cmpuint (room->core->wait.list_room, ==, 1);
}

/* As many reports as the kernel may give: there cannot be more. */
static void
test_all_reported (Room          *room,
                   gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, room->a[0], SEL_EVENT_READ, FAKE_END);
  assert_wait (room, "a:1", SEL_WAIT_FOREVER);
  g_assert_cmpuint (fake_selector_get_n_waits (room->fake), ==, 1);
  g_assert_cmpuint (room->core->wait.list_room, ==, 64);
}

static void
report_stale (FakeSelector *fake,
              gpointer      user_data)
{
  Room *room = user_data;
  SelKeySlot *slot = room_get_slot (room, room->a[0]);

  sel_wait_begin_reports (room->core);
  room->core->wait.list.n_reports = room->core->wait.list.room;
  sel_ready_list_report_tagged (room->core, room->a[0], slot->generation - 1, SEL_EVENT_READ, 0);
}

static void
report_stale_after_event (FakeSelector *fake,
                          gpointer      user_data)
{
  Room *room = user_data;

  report_stale (fake, room);
  sel_ready_list_report_tagged (room->core, room->a[0], room_get_slot (room, room->a[0])->generation,
                                SEL_EVENT_READ, 0);
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

/* Claiming opens the selector. */
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
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_ASYNC_PENDING | SEL_STATE_PAUSED);
  g_assert_true (room_is_paused (room, room->a[0]));

  g_assert_false (sel_wait_begin_async (room->core, 0, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  sel_wait_end_async (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_PAUSED);
}

/* A function that locks notices that the process has forked. */
static void
test_locks (Room          *room,
            gconstpointer  data)
{
  assert_wait (room, "", 0);
  sel_fork_begin_child ();
  sel_wait_block_source (room->core);
  g_assert_false (sel_state_is_new_process (room->core));

  sel_fork_begin_child ();
  g_assert_false (sel_wait_claim (room->core, SEL_STATE_WAITING, NULL));
  g_assert_false (sel_state_is_new_process (room->core));
}

static void
test_block_source (Room          *room,
                   gconstpointer  data)
{
  Watcher watcher = { 0 };

  sel_wait_block_source (room->core);
  assert_wait (room, "", 0);
  watcher_add (&watcher, room);
  sel_wait_block_source (room->core);
  sel_state_set (room->core, SEL_STATE_POLLING);
  sel_wait_block_source (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_POLLING);
  sel_state_unset (room->core, SEL_STATE_POLLING);

  sel_state_set (room->core, SEL_STATE_WAITING);
  watcher_assert_log (&watcher, "");
  sel_wait_block_source (room->core);
  assert_unlocked (room->core);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_WAITING | SEL_STATE_SOURCE_BLOCKED);
  watcher_assert_log (&watcher, "changed(-1)");
  sel_state_lock (room->core);
  sel_wait_end (room->core);
  assert_state (room->core, SEL_STATE_OPEN);
  watcher_assert_log (&watcher, "changed(-1)");
  watcher_remove (&watcher);
}

/* --- Forking --- */

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
  room_add ("/wait/room/needs-more", test_needs_room);
  room_add ("/wait/room/needs-all", test_needs_room_for_all);
  room_add ("/wait/room/drops-stale", test_needs_room_drops_stale);
  room_add ("/wait/room/own", test_own_room);
  room_add ("/wait/room/all-reported", test_all_reported);
  room_add ("/wait/room/needs-retry", test_needs_retry);
  room_add ("/wait/room/max-dispatch", test_max_dispatch);
  room_add ("/wait/claim/table", test_claim);
  room_add ("/wait/claim/opens", test_claim_opens);
  room_add ("/wait/claim/busy", test_busy_flags);
  room_add ("/wait/claim/during", test_claimed);
  room_add ("/wait/async", test_async);
  room_add ("/wait/block-source", test_block_source);
  room_add ("/wait/locks", test_locks);
  room_add ("/wait/forked", test_forked);

  return g_test_run ();
}
