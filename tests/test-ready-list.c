/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/sel-wait-private.h"
#include "room-fixture.h"

/* --- A wait by hand --- */

static void
begin_reports_for (Room          *room,
                   SelReadyEvent *events,
                   gsize          n_events,
                   SelWaitFlags   flags)
{
  g_assert_true (sel_lifecycle_ensure_open_locking (room->core, NULL));
  fake_selector_clear_log (room->fake);
  g_assert_true (sel_state_try_claim (room->core, SEL_STATE_WAITING));
  sel_wait_begin (room->core, events, NULL, n_events, flags);
  room->core->wait.list.n_reports = 0;
  room->core->wait.list.needs_retry = FALSE;
  if (events == NULL)
    sel_ready_list_grow (room->core, 1);
  sel_wait_begin_reports (room->core);
}

/* Begins a wait that takes reports. With an array of NULL, the list is that of the selector, which grows. */
static void
begin_reports (Room          *room,
               SelReadyEvent *events,
               gsize          n_events)
{
  begin_reports_for (room, events, n_events, 0);
}

static void
end_reports (Room *room)
{
  room->core->wait.locked = FALSE;
  sel_wait_end (room->core);
  assert_unlocked (room->core);
  g_assert_false (sel_ready_list_is_open (room->core));
}

/* The calls of another thread during the wait in the kernel. */
static void
modify_in_wait (Room         *room,
                int           fd,
                SelEventMask  events)
{
  sel_state_unlock (room->core);
  rewatch (room->selector, fd, events);
  sel_state_lock (room->core);
}

static void
remove_in_wait (Room *room,
                int   fd)
{
  sel_state_unlock (room->core);
  unwatch (room->selector, fd);
  sel_state_lock (room->core);
}

static guint32
get_tag (Room *room,
         int   fd)
{
  return room_get_slot (room, fd)->generation;
}

static gboolean
report_tagged (Room         *room,
               int           fd,
               SelEventMask  events)
{
  return sel_ready_list_report_tagged (room->core, fd, get_tag (room, fd), events, 0);
}

/* Compares the list, "3:1 4:3", and the counters. */
static void
assert_list (Room       *room,
             const char *expected,
             gsize       n_reports,
             gboolean    needs_retry)
{
  const SelReadyList *list = &room->core->wait.list;
  g_autoptr(GString) text = g_string_new (NULL);

  for (gsize i = 0; i < list->n_events; i++)
    {
      int fd = list->events[i].fd;
      const char *name = fd == room->a[0] ? "a" : fd == room->b[0] ? "b" : fd == room->c[0] ? "c" : "?";

      g_string_append_printf (text, "%s%s:%u", i > 0 ? " " : "", name, list->events[i].events);
    }
  g_assert_cmpstr (text->str, ==, expected);
  g_assert_cmpuint (list->n_reports, ==, n_reports);
  g_assert_cmpint (list->needs_retry, ==, needs_retry);
}

static void
watch_three (Room *room)
{
  room_watch (room, room->a[0], ALL_EVENTS);
  room_watch (room, room->b[0], ALL_EVENTS);
  room_watch (room, room->c[0], ALL_EVENTS);
}

/* --- Reports with a tag --- */

static void
test_tagged (Room          *room,
             gconstpointer  data)
{
  static int value;
  SelReadyEvent *event;

  g_assert_true (sel_base_selector_register (room->selector, room->a[0], ALL_EVENTS, &value, NULL, NULL));
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin_reports (room, NULL, 0);
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_WRITE));
  g_assert_true (report_tagged (room, room->b[0], ALL_EVENTS));
  assert_list (room, "a:2 b:1", 0, FALSE);
  event = &room->core->wait.list.events[0];
  g_assert_true (event->data == &value);
  g_assert_cmpuint (event->generation, ==, get_tag (room, room->a[0]));

  /* The other event of a descriptor completes the first one. */
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_READ));
  assert_list (room, "a:3 b:1", 0, FALSE);
  end_reports (room);
}

/* An event that is not waited for does not make the kernel's report wrong, and neither does a report of no event; but
 * that has used up room. */
static void
test_tagged_masked (Room          *room,
                    gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  begin_reports (room, NULL, 0);
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_WRITE));
  assert_list (room, "", 0, FALSE);
  g_assert_true (report_tagged (room, room->a[0], 0));
  assert_list (room, "", 0, TRUE);
  end_reports (room);
}

static void
test_tagged_stale (Room          *room,
                   gconstpointer  data)
{
  guint32 tag;

  watch_three (room);
  begin_reports (room, NULL, 0);
  tag = get_tag (room, room->a[0]);
  modify_in_wait (room, room->a[0], SEL_EVENT_READ);
  g_assert_false (sel_ready_list_report_tagged (room->core, room->a[0], tag, SEL_EVENT_READ, SEL_READ_END));
  assert_list (room, "", 0, TRUE);

  /* The tag of now counts, also if the descriptor was changed during the wait. */
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_READ));
  assert_list (room, "a:1", 0, TRUE);
  end_reports (room);
}

static void
test_tagged_unknown (Room          *room,
                     gconstpointer  data)
{
  guint32 tag;

  watch_three (room);
  begin_reports (room, NULL, 0);
  tag = get_tag (room, room->b[0]);
  remove_in_wait (room, room->b[0]);
  g_assert_false (sel_ready_list_report_tagged (room->core, room->b[0], tag, SEL_EVENT_READ, 0));
  assert_list (room, "", 0, TRUE);

  room->core->wait.list.needs_retry = FALSE;
  g_assert_false (sel_ready_list_report_tagged (room->core, 1000000, tag, SEL_EVENT_READ, 0));
  assert_list (room, "", 0, TRUE);
  end_reports (room);
}

/* The kernel was told to forget a paused descriptor. */
static void
test_tagged_paused (Room          *room,
                    gconstpointer  data)
{
  watch_three (room);
  room_pause (room, room->a[0], FALSE);
  begin_reports (room, NULL, 0);
  g_assert_false (report_tagged (room, room->a[0], SEL_EVENT_READ));
  assert_list (room, "", 0, TRUE);
  end_reports (room);
}

static void
test_tagged_wakeup (Room          *room,
                    gconstpointer  data)
{
  int wake_fd;

  begin_reports (room, NULL, 0);
  wake_fd = sel_notify_get_fd (room->core);
  sel_notify_wake (room->core);
  g_assert_true (sel_ready_list_report_tagged (room->core, wake_fd, 0, SEL_EVENT_READ, 0));
  assert_list (room, "", 0, TRUE);
  g_assert_false (sel_notify_drain_wakeup (room->core));
  end_reports (room);
}

static void
test_tagged_hung_up (Room          *room,
                     gconstpointer  data)
{
  SelKeySlot *slot;

  watch_three (room);
  slot = room_get_slot (room, room->a[0]);
  begin_reports (room, NULL, 0);
  sel_ready_list_report_tagged (room->core, room->a[0], slot->generation, SEL_EVENT_READ, 0);
  g_assert_cmphex (room->core->wait.list.events[0].ends, ==, 0);
  sel_ready_list_report_tagged (room->core, room->a[0], slot->generation, SEL_EVENT_READ, SEL_READ_END);
  g_assert_cmphex (room->core->wait.list.events[0].ends, ==, SEL_READ_END);
  sel_ready_list_report_tagged (room->core, room->a[0], slot->generation, SEL_EVENT_READ, SEL_UNKNOWN_END);
  g_assert_cmphex (room->core->wait.list.events[0].ends, ==, SEL_READ_END | SEL_UNKNOWN_END);
  end_reports (room);
}

static void
test_fill_tagged (Room          *room,
                  gconstpointer  data)
{
  static int value;
  SelKeyTable *table = sel_registry_get_table (room->core);
  SelReadyEvent event = { .fd = -1 };
  guint32 tag;

  g_assert_true (sel_base_selector_register (room->selector, room->a[0], SEL_EVENT_READ, &value, NULL, NULL));
  tag = get_tag (room, room->a[0]);
  g_assert_false (sel_ready_event_fill_tagged (&event, table, room->a[0], tag + 1, SEL_EVENT_READ));
  g_assert_false (sel_ready_event_fill_tagged (&event, table, room->a[0], tag, SEL_EVENT_WRITE));
  g_assert_false (sel_ready_event_fill_tagged (&event, table, room->b[0], tag, SEL_EVENT_READ));
  g_assert_false (sel_ready_event_fill_tagged (&event, table, room->b[0], 0, SEL_EVENT_READ));
  g_assert_false (sel_ready_event_fill_tagged (&event, table, 1000000, tag, SEL_EVENT_READ));
  g_assert_cmpint (event.fd, ==, -1);

  g_assert_true (sel_ready_event_fill_tagged (&event, table, room->a[0], tag, ALL_EVENTS));
  g_assert_cmpint (event.fd, ==, room->a[0]);
  g_assert_cmpuint (event.events, ==, SEL_EVENT_READ);
  g_assert_cmpuint (event.generation, ==, tag);
  g_assert_true (event.data == &value);

  room_pause (room, room->a[0], FALSE);
  g_assert_false (sel_ready_event_fill_tagged (&event, table, room->a[0], tag, SEL_EVENT_READ));
}

/* --- Reports without a tag --- */

static void
test_untagged (Room          *room,
               gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], ALL_EVENTS);
  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->a[0], ALL_EVENTS, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "b:3 a:1", 3, FALSE);
  g_assert_cmphex (room->core->wait.list.events[1].ends, ==, SEL_UNKNOWN_END);
  end_reports (room);
}

static void
test_untagged_nothing (Room          *room,
                       gconstpointer  data)
{
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->b[0], FALSE);
  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "", 3, FALSE);
  end_reports (room);
}

/* Without a tag, a report may be about the registration from before the change. */
static void
test_untagged_changed (Room          *room,
                       gconstpointer  data)
{
  watch_three (room);
  begin_reports (room, NULL, 0);
  modify_in_wait (room, room->a[0], SEL_EVENT_READ);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "", 1, FALSE);
  end_reports (room);

  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "a:1", 1, FALSE);
  end_reports (room);
}

static void
test_untagged_wakeup (Room          *room,
                      gconstpointer  data)
{
  int wake_fd;

  begin_reports (room, NULL, 0);
  wake_fd = sel_notify_get_fd (room->core);
  sel_ready_list_report_untagged (room->core, wake_fd, SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "", 1, FALSE);
  sel_notify_wake (room->core);
  sel_ready_list_report_untagged (room->core, wake_fd, SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "", 2, TRUE);
  sel_ready_list_report_untagged (room->core, wake_fd, SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "", 3, TRUE);
  end_reports (room);
}

/* --- Closed descriptors --- */

static void
test_closed_in_wait (Room          *room,
                     gconstpointer  data)
{
  Watcher watcher = { 0 };
  g_autofree char *changed = NULL;

  watch_three (room);
  watcher_add (&watcher, room);
  begin_reports (room, NULL, 0);
  g_assert_true (sel_ready_list_report_closed (room->core, room->a[0], NULL));
  assert_list (room, "", 1, TRUE);
  fake_selector_assert_log (room->fake, "update(%d,3,0)", room->a[0]);
  g_assert_nonnull (room_get_slot (room, room->a[0]));
  g_assert_cmpuint (sel_registry_get_armed (room->core, room->a[0]), ==, 0);

  /* The kernel has forgotten it already. */
  room->core->wait.list.needs_retry = FALSE;
  g_assert_true (sel_ready_list_report_closed (room->core, room->a[0], NULL));
  assert_list (room, "", 2, FALSE);
  assert_no_calls (room);
  end_reports (room);
  changed = g_strdup_printf ("changed(%d) changed(%d)", room->a[0], room->a[0]);
  watcher_assert_log (&watcher, changed);
  watcher_remove (&watcher);
}

static void
test_closed_ignored (Room          *room,
                     gconstpointer  data)
{
  watch_three (room);
  begin_reports (room, NULL, 0);
  g_assert_true (sel_ready_list_report_closed (room->core, 1000000, NULL));
  modify_in_wait (room, room->a[0], SEL_EVENT_READ);
  fake_selector_clear_log (room->fake);
  g_assert_true (sel_ready_list_report_closed (room->core, room->a[0], NULL));
  assert_list (room, "", 0, FALSE);
  assert_no_calls (room);
  end_reports (room);
}

/* A main loop finds it: no wait is in progress. */
static void
test_closed_outside_wait (Room          *room,
                          gconstpointer  data)
{
  watch_three (room);
  room_get_slot (room, room->a[0])->changed_in_wait = TRUE;
  sel_state_lock (room->core);
  g_assert_true (sel_ready_list_report_closed (room->core, room->a[0], NULL));
  sel_state_unlock (room->core);
  fake_selector_assert_log (room->fake, "update(%d,3,0)", room->a[0]);
  assert_list (room, "", 0, FALSE);
}

static void
test_closed_wakeup (Room          *room,
                    gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  begin_reports (room, NULL, 0);
  g_assert_false (sel_ready_list_report_closed (room->core, sel_notify_get_fd (room->core), &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);
  assert_list (room, "", 0, FALSE);
  end_reports (room);
}

/* --- Room --- */

static void
test_own_array (Room          *room,
                gconstpointer  data)
{
  SelReadyEvent events[3] = { { .fd = 0 }, { .fd = 0 }, { .fd = -7 } };

  watch_three (room);
  begin_reports (room, events, 2);
  g_assert_false (sel_ready_list_is_growable (room->core));
  g_assert_false (sel_ready_list_grow (room->core, 3));
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "a:1 b:1", 3, FALSE);
  g_assert_cmpint (events[2].fd, ==, -7);

  /* An event of the list can still be completed. */
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
  assert_list (room, "a:1 b:3", 4, FALSE);
  end_reports (room);
}

static void
test_growing (Room          *room,
              gconstpointer  data)
{
  SelWait *wait = &room->core->wait;

  watch_three (room);
  begin_reports (room, NULL, 0);
  g_assert_true (sel_ready_list_is_growable (room->core));
  g_assert_cmpuint (wait->buffer_size, ==, 1);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  g_assert_cmpuint (wait->buffer_size, ==, 2);
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "a:1 b:1 c:1", 3, FALSE);
  g_assert_cmpuint (wait->buffer_size, ==, 4);
  g_assert_cmpuint (wait->list.size, ==, 4);
  g_assert_true (wait->list.events == wait->buffer);

  g_assert_true (sel_ready_list_grow (room->core, 20));
  g_assert_cmpuint (wait->list.size, ==, 20);
  assert_list (room, "a:1 b:1 c:1", 3, FALSE);
  end_reports (room);

  /* The next wait finds the same buffer. */
  begin_reports (room, NULL, 0);
  g_assert_cmpuint (wait->list.size, >=, 20);
  g_assert_cmpuint (wait->list.n_events, ==, 0);
  end_reports (room);
}

static void
test_filter_room (Room          *room,
                  gconstpointer  data)
{
  SelReadyEvent events[4];

  watch_three (room);
  begin_reports (room, NULL, 0);
  room->core->wait.list.room = 2;
  g_assert_cmpuint (sel_ready_list_get_filter_room (room->core), ==, 5);
  end_reports (room);

  /* Both reports of each descriptor, and the wake-up. */
  for (gsize size = 3; size <= 4; size++)
    {
      begin_reports (room, events, size);
      room->core->wait.list.room = size;
      g_assert_cmpuint (sel_ready_list_get_filter_room (room->core), ==, 2 * size + 1);
      end_reports (room);
    }

  begin_reports (room, events, 2);
  room->core->wait.list.room = 2;
  g_assert_cmpuint (sel_ready_list_get_filter_room (room->core), ==, 2);
  end_reports (room);
}

/* In a main loop, callbacks that ignore an end leave room for others. Postponed descriptors take none. */
static void
test_ignored_share (Room          *room,
                    gconstpointer  data)
{
  SelReadyEvent events[2 * SEL_WAIT_IGNORED_SHARE];
  SelHangupCount *count;

  watch_three (room);
  room_get_slot (room, room->a[0])->hangup.n_useless = SEL_HANGUP_MAX_USELESS;
  room_get_slot (room, room->b[0])->hangup.n_useless = SEL_HANGUP_MAX_USELESS;
  count = &room_get_slot (room, room->c[0])->hangup;

  begin_reports_for (room, events, G_N_ELEMENTS (events), SEL_WAIT_DISPATCH);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_READ_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_READ_END);
  count->n_useless = SEL_HANGUP_MAX_USELESS;
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_READ_END);
  g_assert_true (sel_ready_list_report_tagged (room->core, room->c[0], get_tag (room, room->c[0]), SEL_EVENT_READ,
                                               SEL_READ_END));
  assert_list (room, "a:1 b:1", 2, FALSE);

  /* The callback is called once after a pause. */
  count->n_useless = SEL_HANGUP_MAX_USELESS - 1;
  count->pause = 1;
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_READ_END);
  assert_list (room, "a:1 b:1", 2, FALSE);

  /* Before the probe, nobody knows that it ignores anything. */
  count->pause = 0;
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_READ_END);
  assert_list (room, "a:1 b:1 c:1", 3, FALSE);
  end_reports (room);

  /* A report without an end is work. */
  begin_reports_for (room, events, SEL_WAIT_IGNORED_SHARE, SEL_WAIT_DISPATCH);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_READ_END);
  count->n_useless = SEL_HANGUP_MAX_USELESS;
  g_assert_true (report_tagged (room, room->c[0], SEL_EVENT_READ));
  assert_list (room, "a:1 c:1", 1, FALSE);
  end_reports (room);

  /* select () reports all. */
  count->n_useless = SEL_HANGUP_MAX_USELESS;
  begin_reports (room, events, G_N_ELEMENTS (events));
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_READ_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_READ_END);
  sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_READ_END);
  assert_list (room, "a:1 b:1 c:1", 3, FALSE);
  end_reports (room);
}

/* --- The index that a slot keeps --- */

/* The index may be from an earlier wait, or from an earlier registration. */
static void
test_index (Room          *room,
            gconstpointer  data)
{
  watch_three (room);
  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  end_reports (room);

  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "b:1 a:1", 2, FALSE);
  end_reports (room);

  begin_reports (room, NULL, 0);
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_WRITE));
  modify_in_wait (room, room->a[0], SEL_EVENT_READ);
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_READ));
  assert_list (room, "a:2 a:1", 0, FALSE);
  sel_ready_list_drop_stale (room->core);
  assert_list (room, "a:1", 0, FALSE);
  g_assert_true (report_tagged (room, room->a[0], SEL_EVENT_READ));
  assert_list (room, "a:1", 0, FALSE);
  end_reports (room);
}

/* An index just after the end of the list is not in the list. */
static void
test_index_at_end (Room          *room,
                   gconstpointer  data)
{
  watch_three (room);
  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  end_reports (room);

  /* The buffer still has the event of the earlier wait. */
  begin_reports (room, NULL, 0);
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
  assert_list (room, "a:2", 1, FALSE);
  end_reports (room);
}

static void
test_drop_stale (Room          *room,
                 gconstpointer  data)
{
  for (guint i = 0; i < 3; i++)
    {
      watch_three (room);
      begin_reports (room, NULL, 0);
      sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
      sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
      sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_READ, SEL_UNKNOWN_END);

      if (i == 0)
        remove_in_wait (room, room->a[0]);
      else if (i == 1)
        modify_in_wait (room, room->a[0], SEL_EVENT_READ);
      else
        sel_key_slot_pause (room_get_slot (room, room->a[0]), SEL_ALL_EVENTS);
      sel_ready_list_drop_stale (room->core);
      assert_list (room, "b:1 c:1", 3, FALSE);

      /* The slots know the new places. */
      sel_ready_list_report_untagged (room->core, room->c[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
      sel_ready_list_report_untagged (room->core, room->b[0], SEL_EVENT_WRITE, SEL_UNKNOWN_END);
      assert_list (room, "b:3 c:3", 5, FALSE);
      end_reports (room);
      sel_base_selector_unregister (room->selector, room->a[0], NULL);
      unwatch (room->selector, room->b[0]);
      unwatch (room->selector, room->c[0]);
    }
}

/* After that, reports without a tag count again. */
static void
test_drop_stale_forgets_changes (Room          *room,
                                 gconstpointer  data)
{
  watch_three (room);
  begin_reports (room, NULL, 0);
  modify_in_wait (room, room->a[0], SEL_EVENT_READ);
  g_assert_true (sel_state_has (room->core, SEL_STATE_CHANGED));
  room->core->wait.list.n_entries = 1;
  sel_ready_list_drop_stale (room->core);
  g_assert_cmpuint (room->core->wait.list.n_entries, ==, 0);
  g_assert_false (sel_state_has (room->core, SEL_STATE_CHANGED));
  sel_ready_list_report_untagged (room->core, room->a[0], SEL_EVENT_READ, SEL_UNKNOWN_END);
  assert_list (room, "a:1", 1, FALSE);
  end_reports (room);
}

/* --- Always ready --- */

static void
test_always_ready (Room          *room,
                   gconstpointer  data)
{
  static const struct
  {
    guint       turn;
    const char *list;
  } cases[] = {
    { 0, "a:1 b:2 c:3" },
    { 1, "b:2 c:3 a:1" },
    { 2, "c:3 a:1 b:2" },
    { 3, "a:1 b:2 c:3" },
    { G_MAXUINT - 1, "c:3 a:1 b:2" },
  };

  room_watch_always_ready (room, room->a[0], SEL_EVENT_READ);
  room_watch_always_ready (room, room->b[0], SEL_EVENT_WRITE);
  room_watch_always_ready (room, room->c[0], ALL_EVENTS);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      SelReadyEvent events[3];

      g_test_message ("turn %u", cases[i].turn);
      sel_state_set (room->core, SEL_STATE_WAITING);
      sel_wait_begin (room->core, events, NULL, 3, 0);
      sel_wait_begin_reports (room->core);
      room->core->wait.turn = cases[i].turn;
      sel_ready_list_report_always_ready (room->core);
      assert_list (room, cases[i].list, 0, FALSE);
      g_assert_cmphex (room->core->wait.list.events[0].ends, ==, SEL_UNKNOWN_END);
      end_reports (room);
    }
}

static void
test_is_open (Room          *room,
              gconstpointer  data)
{
  g_assert_false (sel_ready_list_is_open (room->core));
  begin_reports (room, NULL, 0);
  g_assert_true (sel_ready_list_is_open (room->core));
  end_reports (room);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/ready-list/tagged/ok", test_tagged);
  room_add ("/ready-list/tagged/masked", test_tagged_masked);
  room_add ("/ready-list/tagged/stale", test_tagged_stale);
  room_add ("/ready-list/tagged/unknown", test_tagged_unknown);
  room_add ("/ready-list/tagged/paused", test_tagged_paused);
  room_add ("/ready-list/tagged/wakeup", test_tagged_wakeup);
  room_add ("/ready-list/tagged/hung-up", test_tagged_hung_up);
  room_add ("/ready-list/tagged/fill", test_fill_tagged);
  room_add ("/ready-list/untagged/ok", test_untagged);
  room_add ("/ready-list/untagged/nothing", test_untagged_nothing);
  room_add ("/ready-list/untagged/changed", test_untagged_changed);
  room_add ("/ready-list/untagged/wakeup", test_untagged_wakeup);
  room_add ("/ready-list/closed/in-wait", test_closed_in_wait);
  room_add ("/ready-list/closed/ignored", test_closed_ignored);
  room_add ("/ready-list/closed/outside-wait", test_closed_outside_wait);
  room_add ("/ready-list/closed/wakeup", test_closed_wakeup);
  room_add ("/ready-list/room/own-array", test_own_array);
  room_add ("/ready-list/room/growing", test_growing);
  room_add ("/ready-list/room/filters", test_filter_room);
  room_add ("/ready-list/room/ignored-share", test_ignored_share);
  room_add ("/ready-list/index/ok", test_index);
  room_add ("/ready-list/index/at-end", test_index_at_end);
  room_add ("/ready-list/drop-stale/ok", test_drop_stale);
  room_add ("/ready-list/drop-stale/forgets-changes", test_drop_stale_forgets_changes);
  room_add ("/ready-list/always-ready", test_always_ready);
  room_add ("/ready-list/is-open", test_is_open);

  return g_test_run ();
}
