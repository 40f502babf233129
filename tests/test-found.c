/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-found-private.h"
#include "core/sel-wait-private.h"
#include "room-fixture.h"

/* The findings of a main loop, by hand: the test is the source, and begins and ends the waits. */

static void
found_open (SelFound *found,
            Room     *room)
{
  *found = (SelFound) { 0 };
  sel_found_init (found);
  found->n_waits = sel_found_get_n_waits (room->core);
  found->is_complete = TRUE;
}

static void
found_add (SelFound     *found,
           Room         *room,
           int           fd,
           SelEventMask  events,
           gboolean      tells_once)
{
  SelReadyEvent event = room_make_event (room, fd, events);

  sel_found_add (found, &event, tells_once ? sel_registry_get_fd_order (room->core, fd) : 0);
}

static void
watch_two (Room *room)
{
  room_watch (room, room->a[0], ALL_EVENTS);
  room_watch (room, room->b[0], ALL_EVENTS);
}

/* Two descriptors are registered, and the source has polled them. */
static void
found_start (SelFound *found,
             Room     *room)
{
  watch_two (room);
  found_open (found, room);
}

/* The source has polled again. */
static void
hand_over_fresh (SelFound *found,
                 Room     *room)
{
  found->n_waits = sel_found_get_n_waits (room->core);
  sel_found_hand_over (found, room->core, NULL);
}

/* A wait of this thread that takes the findings, and compares the list with, for instance, "a:1 b:3".
 * Returns: TRUE if the kernel need not be asked */
static gboolean
take (Room         *room,
      gsize         n_events,
      SelWaitFlags  flags,
      const char   *expected)
{
  g_autoptr(GString) text = g_string_new (NULL);
  SelReadyEvent events[4];
  gboolean is_all;

  g_assert_true (sel_lifecycle_ensure_open_locking (room->core, NULL));
  sel_state_lock (room->core);
  g_assert_true (sel_state_claim (room->core, SEL_STATE_WAITING, SEL_STATE_WAITING, NULL));
  sel_state_unlock (room->core);
  sel_wait_begin (room->core, events, NULL, n_events, flags);
  sel_wait_begin_reports (room->core);
  is_all = sel_found_take (room->core);
  for (gsize i = 0; i < room->core->wait.list.n_events; i++)
    {
      g_string_append_printf (text, "%s%s:%u", i > 0 ? " " : "", events[i].fd == room->a[0] ? "a" : "b",
                              events[i].events);
    }
  room->core->wait.locked = FALSE;
  sel_wait_end (room->core);
  assert_unlocked (room->core);
  g_assert_cmpstr (text->str, ==, expected);

  return is_all;
}

static gboolean
is_handed_over (Room *room)
{
  gboolean result;

  sel_state_lock (room->core);
  result = sel_found_is_handed_over (room->core);
  sel_state_unlock (room->core);

  return result;
}

/* The next wait takes it, once. */
static void
test_taken (Room          *room,
            gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  found_add (&found, room, room->b[0], ALL_EVENTS, FALSE);
  g_assert_false (take (room, 4, 0, ""));
  hand_over_fresh (&found, room);
  g_assert_true (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_true (take (room, 4, 0, "a:1 b:3"));
  g_assert_false (take (room, 4, 0, ""));

  /* The callback still runs. */
  g_assert_true (is_handed_over (room));
  g_assert_true (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_false (sel_found_take_back (&found, room->core));
  g_assert_false (is_handed_over (room));
  g_assert_false (sel_state_has (room->core, SEL_STATE_FOUND));
  sel_found_clear (&found);
}

static void
test_taken_back (Room          *room,
                 gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  sel_found_hand_over (&found, room->core, NULL);
  g_assert_true (sel_found_take_back (&found, room->core));
  g_assert_false (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_false (take (room, 4, 0, ""));
  g_assert_cmpuint (found.findings->len, ==, 1);
  sel_found_clear (&found);
}

static gpointer
take_nothing (gpointer user_data)
{
  g_assert_false (is_handed_over (user_data));
  g_assert_false (take (user_data, 4, 0, ""));

  return NULL;
}

/* It is for the thread of the source only. After the wait of another thread, it is true of files that tell their news
 * once. */
static void
test_other_thread (Room          *room,
                   gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  found_add (&found, room, room->b[0], SEL_EVENT_READ, TRUE);
  g_assert_true (sel_found_tells_once (&found));
  sel_found_hand_over (&found, room->core, NULL);
  g_thread_join (g_thread_new ("take", take_nothing, room));
  g_assert_false (take (room, 4, 0, "b:1"));
  g_assert_false (sel_found_tells_once (&found));
  sel_found_clear (&found);
}

/* The registration is another one than that which was polled for. */
static void
test_stale (Room          *room,
            gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, TRUE);
  found_add (&found, room, room->b[0], SEL_EVENT_READ, TRUE);
  unwatch (room->selector, room->a[0]);
  room_watch (room, room->a[0], ALL_EVENTS);
  sel_found_hand_over (&found, room->core, NULL);
  g_assert_true (take (room, 4, 0, "b:1"));
  sel_found_clear (&found);
}

/* The registration was changed, or is paused: news that are told once are for it nevertheless, when it is resumed. */
static void
test_changed (Room          *room,
              gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, TRUE);
  found_add (&found, room, room->b[0], SEL_EVENT_READ, TRUE);
  g_assert_true (sel_base_selector_refresh (room->selector, room->a[0], NULL));
  room_pause (room, room->b[0], TRUE);
  sel_state_lock (room->core);
  g_assert_true (sel_found_has_kept (&found, room->core));
  sel_state_unlock (room->core);
  hand_over_fresh (&found, room);
  take (room, 4, 0, "a:1");
  g_assert_true (sel_found_tells_once (&found));

  sel_state_lock (room->core);
  g_assert_false (sel_found_has_kept (&found, room->core));
  sel_state_unlock (room->core);
  sel_pause_resume_all (room->core);
  sel_state_lock (room->core);
  g_assert_true (sel_found_has_kept (&found, room->core));
  sel_state_unlock (room->core);
  hand_over_fresh (&found, room);
  take (room, 4, 0, "b:1");
  g_assert_cmpuint (found.findings->len, ==, 0);
  sel_found_clear (&found);
}

/* News for a descriptor that was unregistered are dropped. */
static void
test_removed (Room          *room,
              gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, TRUE);
  unwatch (room->selector, room->a[0]);
  sel_state_lock (room->core);
  g_assert_false (sel_found_has_kept (&found, room->core));
  sel_state_unlock (room->core);
  g_assert_cmpuint (found.findings->len, ==, 0);
  sel_found_clear (&found);
}

/* The kernel is asked for descriptors that the poll has not looked at. */
static void
test_incomplete (Room          *room,
                 gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  sel_found_hand_over (&found, room->core, NULL);
  room_watch (room, room->c[0], ALL_EVENTS);
  g_assert_false (take (room, 4, 0, "a:1"));

  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  found.is_complete = FALSE;
  hand_over_fresh (&found, room);
  g_assert_false (take (room, 4, 0, "a:1"));
  sel_found_clear (&found);
}

/* Nothing at all is an answer for a dispatch, but not for a program that calls select (). */
static void
test_nothing (Room          *room,
              gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  sel_found_hand_over (&found, room->core, NULL);
  g_assert_true (take (room, 4, SEL_WAIT_DISPATCH, ""));
  hand_over_fresh (&found, room);
  g_assert_false (take (room, 4, 0, ""));
  sel_found_clear (&found);
}

/* Findings for which the wait has no room stay. */
static void
test_room (Room          *room,
           gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  found_add (&found, room, room->b[0], SEL_EVENT_READ, FALSE);
  sel_found_hand_over (&found, room->core, NULL);
  g_assert_true (take (room, 1, 0, "a:1"));
  g_assert_cmpuint (found.findings->len, ==, 1);
  hand_over_fresh (&found, room);
  g_assert_true (take (room, 4, 0, "b:1"));
  g_assert_cmpuint (found.findings->len, ==, 0);
  sel_found_clear (&found);
}

/* A callback of one source runs the loop that dispatches another one: the wait is that of the inner source. */
static void
test_two_sources (Room          *room,
                  gconstpointer  data)
{
  SelFound outer, inner;

  watch_two (room);
  found_open (&outer, room);
  found_open (&inner, room);
  found_add (&outer, room, room->a[0], SEL_EVENT_READ, TRUE);
  found_add (&inner, room, room->b[0], SEL_EVENT_READ, TRUE);
  sel_found_hand_over (&outer, room->core, NULL);
  sel_found_hand_over (&inner, room->core, NULL);
  g_assert_true (take (room, 4, 0, "b:1"));
  g_assert_false (take (room, 4, 0, "a:1"));
  g_assert_false (sel_found_take_back (&inner, room->core));
  g_assert_true (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_false (sel_found_take_back (&outer, room->core));
  g_assert_false (sel_state_has (room->core, SEL_STATE_FOUND));
  sel_found_clear (&outer);
  sel_found_clear (&inner);
}

static gsize n_told;

static void
count_told (SelCore             *core,
            const SelReadyEvent *events,
            gsize                n_events)
{
  n_told += n_events;
}

static gsize
tell (Room         *room,
      SelWaitFlags  flags)
{
  n_told = 0;
  sel_state_lock (room->core);
  room->core->wait.flags = flags;
  room->core->wait.list.n_events = 3;
  sel_found_tell (room->core);
  room->core->wait.list.n_events = 0;
  sel_state_unlock (room->core);

  return n_told;
}

/* What is handed over to a callback is not for the waits of sources in a main loop that the callback runs. Each
 * select () in the callback is told. */
static void
test_asked (Room          *room,
            gconstpointer  data)
{
  SelFound found;

  found_start (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, FALSE);
  g_assert_cmpuint (tell (room, 0), ==, 0);
  sel_found_hand_over (&found, room->core, count_told);
  found.n_waits = sel_found_get_n_waits (room->core) + 2;
  g_assert_false (take (room, 4, SEL_WAIT_DISPATCH, ""));
  g_assert_false (take (room, 4, SEL_WAIT_ASYNC, ""));
  g_assert_cmpuint (tell (room, SEL_WAIT_DISPATCH), ==, 0);
  g_assert_cmpuint (tell (room, SEL_WAIT_ASYNC), ==, 0);
  g_assert_true (take (room, 4, 0, "a:1"));
  g_assert_cmpuint (tell (room, 0), ==, 3);
  g_assert_false (take (room, 4, 0, ""));
  g_assert_cmpuint (tell (room, 0), ==, 3);
  sel_found_take_back (&found, room->core);
  g_assert_cmpuint (tell (room, 0), ==, 0);
  sel_found_clear (&found);
}

/* The owner is destroyed. Returns: TRUE if that has woken a thread that waits */
static gboolean
leave (Room     *room,
       gboolean  waits,
       gboolean  tells_once)
{
  SelFound found;
  gboolean is_woken;

  found_open (&found, room);
  found_add (&found, room, room->a[0], SEL_EVENT_READ, tells_once);
  sel_state_lock (room->core);
  if (waits)
    g_assert_true (sel_state_claim (room->core, SEL_STATE_WAITING, SEL_STATE_WAITING, NULL));
  sel_found_leave (&found, room->core);
  is_woken = sel_wakeup_drain (room->core->notify.wakeup);
  if (waits)
    sel_state_unset (room->core, SEL_STATE_WAITING);
  sel_state_unlock (room->core);
  g_assert_cmpuint (found.findings->len, ==, 0);
  sel_found_clear (&found);

  return is_woken;
}

/* A thread that waits already has to take the news that are left, as the kernel does not tell them again. */
static void
test_left (Room          *room,
           gconstpointer  data)
{
  watch_two (room);
  g_assert_true (sel_lifecycle_ensure_open_locking (room->core, NULL));
  g_assert_false (leave (room, TRUE, FALSE));
  g_assert_false (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_false (leave (room, FALSE, TRUE));
  g_assert_true (sel_state_has (room->core, SEL_STATE_FOUND));
  g_assert_true (leave (room, TRUE, TRUE));

  sel_state_lock (room->core);
  sel_found_drop_left (room->core);
  sel_state_unlock (room->core);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/found/taken", test_taken);
  room_add ("/found/taken-back", test_taken_back);
  room_add ("/found/other-thread", test_other_thread);
  room_add ("/found/stale", test_stale);
  room_add ("/found/changed", test_changed);
  room_add ("/found/removed", test_removed);
  room_add ("/found/incomplete", test_incomplete);
  room_add ("/found/nothing", test_nothing);
  room_add ("/found/room", test_room);
  room_add ("/found/two-sources", test_two_sources);
  room_add ("/found/asked", test_asked);
  room_add ("/found/left", test_left);

  return g_test_run ();
}
