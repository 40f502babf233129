/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "core/sel-wait-private.h"
#include "dispatch-fixture.h"

/* One batch. */

/* --- Beginning --- */

static void
test_begin (Room          *room,
            gconstpointer  data)
{
  SelReadyEvent events[SEL_MAX_DISPATCH];
  g_autoptr(GError) error = NULL;
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  g_assert_cmpint (sel_dispatch_poll (room->core, events, SEL_MAX_DISPATCH, &error), ==, 1);
  g_assert_no_error (error);
  assert_unlocked (room->core);
  g_assert_cmpint (events[0].fd, ==, room->a[0]);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 0), <=, 0);

  g_assert_cmpint (begin (&source, room->a[0]), ==, 1);
  g_assert_true (source.batch == source.own);
  end (&source);

  /* Nothing is ready, or the wait fails: there is no batch. It leaves a wake-up to others. */
  sel_wait_wake (room->core);
  g_assert_cmpint (begin (&source, -1), ==, 0);
  g_assert_null (source.own->current);
  g_assert_true (sel_state_has (room->core, SEL_STATE_WOKEN));

  fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
  g_assert_cmpint (sel_dispatch_begin (room->core, &source.batch, &source, source.events, SEL_MAX_DISPATCH, &error), ==,
                   -1);
  assert_failed (&error, SEL_OS_ERROR, EPROTO);
  assert_unlocked (room->core);
  g_assert_null (source.own->current);

  fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
  g_assert_cmpint (sel_dispatch_poll (room->core, events, SEL_MAX_DISPATCH, &error), ==, -1);
  assert_failed (&error, SEL_OS_ERROR, EPROTO);
  assert_unlocked (room->core);
  source_clear (&source);
}

/* A batch grows with the number of descriptors that may be ready. */
static void
test_room (Room          *room,
           gconstpointer  data)
{
  static const gsize sizes[] = { 1, 64, 65, 64, 1024 };
  gsize largest = 0;
  Source source;

  source_init (&source, room);
  g_assert_cmpuint (sel_dispatch_get_room (room->core), ==, 1);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_cmpuint (sel_dispatch_get_room (room->core), ==, 3);
  sel_base_selector_set_max_dispatch (room->selector, 2);
  g_assert_cmpuint (sel_dispatch_get_room (room->core), ==, 2);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      source.batch = source.own;
      g_assert_cmpint (sel_dispatch_begin (room->core, &source.batch, &source, source.events, sizes[i], NULL), ==, 0);
      largest = MAX (largest, sizes[i]);
      g_assert_cmpuint (source.own->size, >=, largest);
      g_assert_nonnull (source.own->entries);
    }
  source_clear (&source);
}

/* --- Calling --- */

static void
test_next (Room          *room,
           gconstpointer  data)
{
  const SelBatchEntry *entry;
  Freed freed = { 0 };
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], ALL_EVENTS);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &freed);
  g_assert_cmpint (begin (&source, room->a[0], room->b[0]), ==, 2);
  g_assert_true (source.batch == source.own);
  g_assert_true (is_fast (source.batch));

  entry = next_entry_of (room, source.batch);
  g_assert_cmpint (sel_selector_key_get_fd (entry->key), ==, room->a[0]);
  g_assert_null (entry->callback);
  g_assert_cmpuint (entry->events, ==, SEL_EVENT_READ);
  g_assert_cmpuint (sel_batch_entry_get_checks (entry), ==, 0);
  g_assert_true (sel_batch_get_event (source.batch, entry) == &source.events[0]);

  entry = next_entry_of (room, source.batch);
  g_assert_cmpint (sel_selector_key_get_fd (entry->key), ==, room->b[0]);
  g_assert_true (entry->callback == get_callback (room, room->b[0]));
  g_assert_true (sel_batch_get_current_event (source.batch) == &source.events[1]);

  g_assert_cmpint (next (&source), ==, -1);
  end (&source);
  g_assert_true (room->core->dispatch.batches == source.own);
  g_assert_cmpuint (freed.n_freed, ==, 0);
  unwatch (room->selector, room->b[0]);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  source_clear (&source);
  g_assert_null (room->core->dispatch.batches);
}

/* As long as nothing changes, the lock is not taken after the wait. */
static void
test_fast_path (Room          *room,
                gconstpointer  data)
{
  const SelBatchEntry *entry;
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_cmpint (begin (&source, room->a[0], room->b[0]), ==, 2);
  sel_state_lock (room->core);
  g_assert_true (sel_dispatch_next (room->core, source.batch, &entry));
  g_assert_true (sel_dispatch_next (room->core, source.batch, &entry));
  g_assert_false (sel_dispatch_next (room->core, source.batch, &entry));
  sel_dispatch_end (room->core, source.batch);
  sel_state_unlock (room->core);

  /* Also if it ends early. */
  g_assert_cmpint (begin (&source, room->a[0], room->b[0]), ==, 2);
  sel_state_lock (room->core);
  g_assert_true (sel_dispatch_next (room->core, source.batch, &entry));
  sel_dispatch_end (room->core, source.batch);
  sel_state_unlock (room->core);
  g_assert_null (source.own->current);
  source_clear (&source);
}

/* Changes are counted only for batches. */
static void
test_counts (Room          *room,
             gconstpointer  data)
{
  gsize changes = sel_notify_get_changes (room->core);
  Source source;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (sel_notify_get_changes (room->core), ==, changes);
  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  g_assert_cmpuint (sel_notify_get_changes (room->core), >, changes);
  source_clear (&source);
  changes = sel_notify_get_changes (room->core);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (sel_notify_get_changes (room->core), ==, changes);
}

/* Each call is counted, also if a change makes the batch look up its entries again. */
static void
test_checks (Room          *room,
             gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint n = 1; n <= 9; n++)
    {
      const SelBatchEntry *entry;

      g_assert_cmpint (begin (&source, room->a[0]), ==, 1);
      if (n % 2 == 0)
        room_watch (room, room->b[0], SEL_EVENT_READ);
      else if (n > 1)
        unwatch (room->selector, room->b[0]);
      entry = next_entry_of (room, source.batch);
      g_assert_cmpuint (sel_batch_entry_get_checks (entry), ==,
                        (n >= 7 ? SEL_HANGUP_CHECK_ENDED : 0) | (n == 8 ? SEL_HANGUP_CHECK_CLOSED : 0));
      end (&source);
    }
  source_clear (&source);
}

/* Registers the six descriptors of the room without callbacks. */
static void
watch_all (Room *room)
{
  for (guint i = 0; i < 2; i++)
    {
      room_watch (room, room->a[i], SEL_EVENT_READ);
      room_watch (room, room->b[i], SEL_EVENT_READ);
      room_watch (room, room->c[i], SEL_EVENT_READ);
    }
}

/* Events that are out of date are left out. */
static void
test_stale (Room          *room,
            gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  watch_all (room);
  g_assert_cmpint (begin (&source, room->a[0], room->a[1], room->b[0], room->b[1], room->c[0], room->c[1]), ==, 6);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->a[1]);
  rewatch (room->selector, room->b[0], ALL_EVENTS);
  room_pause (room, room->c[0], FALSE);
  g_assert_cmpint (next (&source), ==, room->b[1]);
  g_assert_cmpint (next (&source), ==, room->c[1]);
  g_assert_cmpint (next (&source), ==, -1);
  end (&source);

  /* The first one, and all of them. */
  g_assert_cmpint (begin (&source, room->b[0], room->b[1]), ==, 2);
  unwatch (room->selector, room->b[0]);
  g_assert_cmpint (next (&source), ==, room->b[1]);
  end (&source);
  g_assert_cmpint (begin (&source, room->b[1], room->c[1]), ==, 2);
  unwatch (room->selector, room->b[1]);
  unwatch (room->selector, room->c[1]);
  g_assert_cmpint (next (&source), ==, -1);
  end (&source);

  /* Another registration with the same number. */
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_cmpint (begin (&source, room->b[0]), ==, 1);
  unwatch (room->selector, room->b[0]);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_cmpint (next (&source), ==, -1);
  end (&source);
  source_clear (&source);
}

/* After each change the rest of the batch is looked up again, in larger and larger parts. No change is missed,
 * whatever the part that it falls into. */
static void
test_looks_up_again (Room          *room,
                     gconstpointer  data)
{
  int *fds[] = { room->a, room->b, room->c };
  Source source;

  source_init (&source, room);
  for (guint change = 0; change < 6; change++)
    for (guint victim = 0; victim < 6; victim++)
      {
        guint n_called = 0;

        for (guint i = 0; i < 6; i++)
          room_watch (room, fds[i / 2][i % 2], SEL_EVENT_READ);
        begin (&source, room->a[0], room->a[1], room->b[0], room->b[1], room->c[0], room->c[1]);

        /* A first change, and another one after some calls. */
        g_assert_cmpint (next (&source), ==, room->a[0]);
        rewatch (room->selector, room->a[0], ALL_EVENTS);
        for (guint i = 1; i < 6; i++)
          {
            if (i == change && victim >= i)
              unwatch (room->selector, fds[victim / 2][victim % 2]);
            if (i == victim && change > 0 && change <= i)
              continue;
            g_assert_cmpint (next (&source), ==, fds[i / 2][i % 2]);
            n_called++;
          }
        g_assert_cmpint (next (&source), ==, -1);
        g_assert_cmpuint (n_called, ==, change > 0 && victim >= change ? 4 : 5);
        end (&source);
        for (guint i = 0; i < 6; i++)
          sel_base_selector_unregister (room->selector, fds[i / 2][i % 2], NULL);
        fake_selector_clear_log (room->fake);
      }
  source_clear (&source);
}

/* A batch in which nothing changes any more comes back to the fast path. */
static void
test_fast_again (Room          *room,
                 gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  watch_all (room);
  begin (&source, room->a[0], room->a[1], room->b[0], room->b[1], room->c[0], room->c[1]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  g_assert_cmpint (next (&source), ==, room->a[1]);
  g_assert_cmpint (next (&source), ==, room->b[0]);
  g_assert_true (is_fast (source.batch));
  g_assert_cmpint (next (&source), ==, room->b[1]);
  g_assert_cmpint (next (&source), ==, room->c[0]);
  g_assert_true (is_fast (source.batch));
  g_assert_cmpint (next (&source), ==, room->c[1]);
  end (&source);
  source_clear (&source);
}

/* --- The key and the data of a running callback --- */

/* The callback unregisters its descriptor: its data and its key live until it has returned. */
static void
test_removes_itself (Room          *room,
                     gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  for (guint i = 0; i < 3; i++)
    {
      Freed freed = { 0 };
      gpointer key;

      watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
      g_assert_cmpint (i == 2 ? begin (&source, room->a[0]) : begin (&source, room->a[0], room->b[0]), >, 0);
      key = next_entry_of (room, source.batch)->key;
      g_object_add_weak_pointer (key, &key);
      unwatch (room->selector, room->a[0]);
      g_assert_cmpuint (freed.n_freed, ==, 0);
      g_assert_nonnull (key);

      /* The next callback of the batch, or the end. */
      if (i == 0)
        g_assert_cmpint (next (&source), ==, room->b[0]);
      else
        end (&source);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
      if (i == 0)
        end (&source);
      g_assert_cmpuint (freed.n_freed, ==, 1);
    }
  source_clear (&source);
}

/* A callback that does not run is freed at once, and not called. */
static void
test_removes_another (Room          *room,
                      gconstpointer  data)
{
  Freed of_a = { 0 };
  Freed of_b = { 0 };
  Freed of_c = { 0 };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  watch_callback (room, room->c[0], SEL_EVENT_READ, &of_c);
  begin (&source, room->a[0], room->b[0], room->c[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->b[0]);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_cmpint (next (&source), ==, room->c[0]);

  /* One that has returned. */
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  end (&source);
  g_assert_cmpuint (of_c.n_freed, ==, 0);
  unwatch (room->selector, room->c[0]);
  g_assert_cmpuint (of_c.n_freed, ==, 1);
  source_clear (&source);
}

static void
test_sets_callback (Room          *room,
                    gconstpointer  data)
{
  const SelBatchEntry *entry;
  Freed old = { 0 };
  Freed new = { 0 };
  Freed newer = { 0 };
  Freed of_b[2] = { { 0 } };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b[0]);
  begin (&source, room->a[0], room->b[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  set_callback (room, room->a[0], &new);
  g_assert_cmpuint (old.n_freed, ==, 0);
  g_assert_null (source.batch->owned_key);

  /* The second one has never run. */
  set_callback (room, room->a[0], &newer);
  g_assert_cmpuint (new.n_freed, ==, 1);

  /* An entry that is still to come gets the new one. */
  set_callback (room, room->b[0], &of_b[1]);
  g_assert_cmpuint (of_b[0].n_freed, ==, 1);
  entry = next_entry_of (room, source.batch);
  g_assert_true (entry->callback == get_callback (room, room->b[0]));
  g_assert_true (entry->callback->user_data == &of_b[1]);
  g_assert_cmpuint (old.n_freed, ==, 1);
  end (&source);
  unwatch (room->selector, room->a[0]);
  unwatch (room->selector, room->b[0]);
  g_assert_cmpuint (newer.n_freed, ==, 1);
  source_clear (&source);
}

/* Changing the events or the data makes a new key. */
static void
test_modifies (Room          *room,
               gconstpointer  data)
{
  Freed freed = { 0 };
  Source source;
  gpointer key;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&source, room->a[0], room->b[0]);
  key = next_entry_of (room, source.batch)->key;
  g_object_add_weak_pointer (key, &key);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  g_assert_nonnull (key);
  g_assert_null (source.batch->owned_callback);

  /* Only the data: the event is still right, and is called with the new key. */
  g_assert_true (sel_base_selector_modify (room->selector, room->b[0], SEL_EVENT_READ, room, NULL, NULL));
  g_assert_true (sel_selector_key_get_data (next_entry_of (room, source.batch)->key) == room);
  g_assert_null (key);
  end (&source);
  g_assert_cmpuint (freed.n_freed, ==, 0);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  source_clear (&source);
}

/* --- The orders of publishing and changing --- */

static void
unwatch_a (Room   *room,
           Source *source)
{
  unwatch (room->selector, room->a[0]);
}

static void
unwatch_b (Room   *room,
           Source *source)
{
  unwatch (room->selector, room->b[0]);
}

static void
close_room (Room   *room,
            Source *source)
{
  sel_base_selector_close (room->selector);
}

/* A change after the entry was published and before the number is compared: the entry is not called, and its callback
 * is freed once. */
static void
test_published (Room          *room,
                gconstpointer  data)
{
  Freed of_a = { 0 };
  Freed of_b = { 0 };
  Freed of_c = { 0 };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  watch_callback (room, room->c[0], SEL_EVENT_READ, &of_c);
  begin (&source, room->a[0], room->b[0], room->c[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  act_at_point ("batch-published", unwatch_b, room, NULL);
  g_assert_cmpint (next (&source), ==, room->c[0]);
  assert_acted ();
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  end (&source);

  /* The callback before is not in use any more. */
  begin (&source, room->a[0], room->c[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  act_at_point ("batch-published", unwatch_a, room, NULL);
  g_assert_cmpint (next (&source), ==, room->c[0]);
  assert_acted ();
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  end (&source);

  /* Everything is removed. */
  begin (&source, room->c[0]);
  act_at_point ("batch-published", close_room, room, NULL);
  g_assert_cmpint (next (&source), ==, -1);
  assert_acted ();
  g_assert_cmpuint (of_c.n_freed, ==, 1);
  end (&source);
  source_clear (&source);
}

/* A change after the batch has ended, and one just before. */
static void
test_ended (Room          *room,
            gconstpointer  data)
{
  Freed of_a = { 0 };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  g_assert_cmpint (next (&source), ==, -1);
  act_at_point ("batch-ended", unwatch_a, room, NULL);
  end (&source);
  assert_acted ();
  g_assert_cmpuint (of_a.n_freed, ==, 1);

  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  g_assert_cmpint (next (&source), ==, -1);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  end (&source);
  g_assert_cmpuint (of_a.n_freed, ==, 2);
  source_clear (&source);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/dispatch/begin", test_begin);
  room_add ("/dispatch/room", test_room);
  room_add ("/dispatch/next/ok", test_next);
  room_add ("/dispatch/next/fast-path", test_fast_path);
  room_add ("/dispatch/next/counts-changes", test_counts);
  room_add ("/dispatch/next/checks", test_checks);
  room_add ("/dispatch/next/stale", test_stale);
  room_add ("/dispatch/next/looks-up-again", test_looks_up_again);
  room_add ("/dispatch/next/fast-again", test_fast_again);
  room_add ("/dispatch/retain/removes-itself", test_removes_itself);
  room_add ("/dispatch/retain/removes-another", test_removes_another);
  room_add ("/dispatch/retain/sets-callback", test_sets_callback);
  room_add ("/dispatch/retain/modifies", test_modifies);
  room_add ("/dispatch/order/published", test_published);
  room_add ("/dispatch/order/ended", test_ended);

  return g_test_run ();
}
