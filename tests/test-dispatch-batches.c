/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "dispatch-fixture.h"

/* Several batches, and how they end: loops in callbacks, functions that run already, closing, forking. */

/* --- Two batches --- */

/* A batch that begins while another one is in use takes it off the fast path until it ends. */
static void
test_two_batches (Room          *room,
                  gconstpointer  data)
{
  Source first, second;

  source_init (&first, room);
  source_init (&second, room);
  for (guint i = 0; i < 2; i++)
    {
      room_watch (room, room->a[i], SEL_EVENT_READ);
      room_watch (room, room->b[i], SEL_EVENT_READ);
    }
  begin (&first, room->a[0], room->a[1], room->b[0], room->b[1]);
  g_assert_cmpint (next (&first), ==, room->a[0]);
  begin (&second, room->a[0], room->a[1], room->b[0]);
  g_assert_true (second.batch == second.own);
  g_assert_false (is_fast (second.batch));
  g_assert_cmpint (next (&second), ==, room->a[0]);
  g_assert_cmpint (next (&first), ==, room->a[1]);
  g_assert_false (is_fast (first.batch));
  g_assert_cmpint (next (&second), ==, room->a[1]);
  g_assert_false (is_fast (second.batch));

  end (&second);
  g_assert_cmpint (next (&first), ==, room->b[0]);
  g_assert_true (is_fast (first.batch));
  g_assert_cmpint (next (&first), ==, room->b[1]);
  end (&first);
  source_clear (&first);
  source_clear (&second);
}

/* Both use the same callback. When one of them ends, it hands over to the other. */
static void
test_hand_over (Room          *room,
                gconstpointer  data)
{
  Source sources[2];

  source_init (&sources[0], room);
  source_init (&sources[1], room);
  sel_base_selector_set_can_recurse (room->selector, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      Source *last = &sources[1 - i];
      Freed freed = { 0 };
      gpointer key;

      watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
      begin (&sources[0], room->a[0]);
      key = next_entry_of (room, sources[0].batch)->key;
      begin (&sources[1], room->a[0]);
      g_assert_true (next_entry_of (room, sources[1].batch)->key == key);
      g_object_add_weak_pointer (key, &key);

      unwatch (room->selector, room->a[0]);
      g_assert_true ((sources[0].own->owned_key != NULL) != (sources[1].own->owned_key != NULL));
      g_assert_true ((sources[0].own->owned_callback != NULL) != (sources[1].own->owned_callback != NULL));
      end (&sources[i]);
      g_assert_cmpuint (freed.n_freed, ==, 0);
      g_assert_nonnull (key);
      end (last);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
    }
  source_clear (&sources[0]);
  source_clear (&sources[1]);
}

/* A batch hands over only the key or only the callback, if another batch uses only that. */
static void
test_hand_over_one (Room          *room,
                    gconstpointer  data)
{
  Source outer, inner;
  Freed old = { 0 };
  Freed new = { 0 };
  gpointer key;

  source_init (&outer, room);
  source_init (&inner, room);
  sel_base_selector_set_can_recurse (room->selector, TRUE);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);

  /* The same callback with another key. */
  begin (&outer, room->a[0]);
  g_assert_cmpint (next (&outer), ==, room->a[0]);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  begin (&inner, room->a[0]);
  key = next_entry_of (room, inner.batch)->key;
  g_object_add_weak_pointer (key, &key);
  unwatch (room->selector, room->a[0]);
  end (&inner);
  g_assert_null (key);
  g_assert_cmpuint (old.n_freed, ==, 0);
  end (&outer);
  g_assert_cmpuint (old.n_freed, ==, 1);

  /* The same key with another callback. */
  old.n_freed = 0;
  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
  begin (&outer, room->a[0]);
  g_assert_cmpint (next (&outer), ==, room->a[0]);
  set_callback (room, room->a[0], &new);
  begin (&inner, room->a[0]);
  key = next_entry_of (room, inner.batch)->key;
  g_object_add_weak_pointer (key, &key);
  unwatch (room->selector, room->a[0]);
  end (&inner);
  g_assert_nonnull (key);
  g_assert_cmpuint (new.n_freed, ==, 1);
  g_assert_cmpuint (old.n_freed, ==, 0);
  end (&outer);
  g_assert_null (key);
  g_assert_cmpuint (old.n_freed, ==, 1);
  source_clear (&outer);
  source_clear (&inner);
}

/* --- Loops in callbacks --- */

/* The same source again: the batch is over, and the loop has one on the heap. */
static void
test_nested (Room          *room,
             gconstpointer  data)
{
  Freed of_a = { 0 };
  Freed of_b = { 0 };
  SelBatch *outer;
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  room_watch (room, room->c[0], SEL_EVENT_READ);
  begin (&source, room->a[0], room->b[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  outer = source.batch;
  g_assert_cmpint (begin (&source, room->b[0], room->c[0]), ==, 2);
  g_assert_true (source.batch != outer);
  g_assert_true (room->core->dispatch.batches == source.batch);
  g_assert_cmpint (next (&source), ==, room->b[0]);

  /* One in that. The callback of the first one is not called again. */
  {
    SelBatch *middle = source.batch;

    g_assert_cmpint (begin (&source, room->a[0], room->c[0]), ==, 2);
    g_assert_cmpint (next (&source), ==, room->c[0]);
    g_assert_true (room_is_paused (room, room->a[0]));
    unwatch (room->selector, room->b[0]);
    end (&source);
    g_assert_cmpuint (of_b.n_freed, ==, 0);
    g_assert_null (next_entry_of (room, middle));
    g_assert_cmpuint (of_b.n_freed, ==, 1);
    end_batch (room, middle);
  }

  g_assert_true (room_is_paused (room, room->a[0]));
  g_assert_true (room->core->dispatch.batches == outer);
  g_assert_null (next_entry_of (room, outer));
  g_assert_false (room_is_paused (room, room->a[0]));
  end_batch (room, outer);
  unwatch (room->selector, room->a[0]);
  source_clear (&source);
}

/* The batch is over also if the loop has found nothing, or if its wait has failed. */
static void
test_nested_nothing (Room          *room,
                     gconstpointer  data)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;
      Source source;

      source_init (&source, room);
      room_watch (room, room->a[0], SEL_EVENT_READ);
      room_watch (room, room->b[0], SEL_EVENT_READ);
      begin (&source, room->a[0], room->b[0]);
      g_assert_cmpint (next (&source), ==, room->a[0]);
      if (i == 0)
        {
          g_assert_cmpint (begin (&source, -1), ==, 0);
        }
      else
        {
          fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
          g_assert_cmpint (sel_dispatch_begin (room->core, &source.batch, &source, source.events, SEL_MAX_DISPATCH,
                                               &error), ==, -1);
          assert_unlocked (room->core);
        }
      g_assert_true (source.batch == source.own);
      g_assert_cmpint (next (&source), ==, -1);
      end (&source);

      /* The next one is not. */
      begin (&source, room->a[0], room->b[0]);
      g_assert_cmpint (next (&source), ==, room->a[0]);
      g_assert_cmpint (next (&source), ==, room->b[0]);
      end (&source);
      unwatch (room->selector, room->a[0]);
      unwatch (room->selector, room->b[0]);
      source_clear (&source);
    }
}

/* A loop that dispatches another source only: the batch goes on, also if that source is dispatched once more inside
 * its own callback. */
static void
test_nested_other_source (Room          *room,
                          gconstpointer  data)
{
  Freed of_c = { 0 };
  SelBatch *middle;
  Source outer, inner;

  source_init (&outer, room);
  source_init (&inner, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&outer, room->a[0], room->b[0]);
  g_assert_cmpint (next (&outer), ==, room->a[0]);
  watch_callback (room, room->c[0], SEL_EVENT_READ, &of_c);
  begin (&inner, room->a[0], room->c[0]);
  g_assert_cmpint (next (&inner), ==, room->a[0]);
  middle = inner.batch;
  begin (&inner, room->c[0]);
  g_assert_cmpint (next (&inner), ==, room->c[0]);
  end (&inner);
  g_assert_null (next_entry_of (room, middle));
  end_batch (room, middle);
  g_assert_cmpint (next (&outer), ==, room->b[0]);
  end (&outer);
  unwatch (room->selector, room->c[0]);
  source_clear (&outer);
  source_clear (&inner);
}

/* --- Callbacks that run already --- */

static void
test_defers (Room          *room,
             gconstpointer  data)
{
  SelBatch *outer, *inner;
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_watch (room, room->c[0], SEL_EVENT_READ);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  outer = source.batch;
  begin (&source, room->b[0]);
  inner = source.batch;
  g_assert_null (next_entry_of (room, inner));
  g_assert_true (room_is_paused (room, room->b[0]));
  g_assert_true (outer->has_deferred);
  end_batch (room, inner);
  g_assert_true (room_is_paused (room, room->b[0]));
  end_batch (room, outer);
  g_assert_false (room_is_paused (room, room->b[0]));
  assert_state (room->core, SEL_STATE_OPEN);
  source_clear (&source);
}

/* The next callback of the same batch ends the pause, too. */
static void
test_defers_until_next (Room          *room,
                        gconstpointer  data)
{
  Freed freed = { 0 };
  Source outer, inner;

  source_init (&outer, room);
  source_init (&inner, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&outer, room->a[0], room->b[0]);
  g_assert_cmpint (next (&outer), ==, room->a[0]);
  begin (&inner, room->a[0]);
  g_assert_cmpint (next (&inner), ==, -1);
  end (&inner);
  g_assert_true (room_is_paused (room, room->a[0]));
  g_assert_cmpint (next (&outer), ==, room->b[0]);
  g_assert_false (room_is_paused (room, room->a[0]));
  end (&outer);
  unwatch (room->selector, room->a[0]);
  source_clear (&outer);
  source_clear (&inner);
}

/* A function of another source, and callbacks of descriptors, are other functions. */
static void
test_defers_same_function (Room          *room,
                           gconstpointer  data)
{
  Freed of_b = { 0 };
  Freed of_c = { 0 };
  Source sources[4];

  for (guint i = 0; i < 4; i++)
    source_init (&sources[i], room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  watch_callback (room, room->c[0], SEL_EVENT_READ, &of_c);
  begin (&sources[0], room->b[0]);
  g_assert_cmpint (next (&sources[0]), ==, room->b[0]);
  begin (&sources[1], room->c[0]);
  g_assert_cmpint (next (&sources[1]), ==, room->c[0]);
  begin (&sources[2], room->a[0]);
  g_assert_cmpint (next (&sources[2]), ==, room->a[0]);
  begin (&sources[3], room->a[0], room->b[0]);
  g_assert_cmpint (next (&sources[3]), ==, room->a[0]);

  /* The same one, whatever the source. */
  g_assert_cmpint (next (&sources[3]), ==, -1);
  g_assert_true (room_is_paused (room, room->b[0]));
  for (guint i = 4; i-- > 0;)
    end (&sources[i]);
  g_assert_false (room_is_paused (room, room->b[0]));
  unwatch (room->selector, room->b[0]);
  unwatch (room->selector, room->c[0]);
  for (guint i = 0; i < 4; i++)
    source_clear (&sources[i]);
}

static void
test_can_recurse (Room          *room,
                  gconstpointer  data)
{
  Source source;
  SelBatch *outer;

  source_init (&source, room);
  sel_base_selector_set_can_recurse (room->selector, TRUE);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  outer = source.batch;
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  g_assert_false (outer->has_deferred);
  end (&source);
  end_batch (room, outer);
  source_clear (&source);
}

/* After a fork the kernel's object is the parent's. */
static void
test_defers_forked (Room          *room,
                    gconstpointer  data)
{
  Source source;
  SelBatch *outer;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  outer = source.batch;
  begin (&source, room->b[0]);
  g_assert_cmpint (next (&source), ==, -1);
  end (&source);
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_FORKED);
  end_batch (room, outer);
  assert_no_calls (room);
  sel_state_unset (room->core, SEL_STATE_FORKED);
  source_clear (&source);
}

/* Another thread finds the function running just when that returns, or before it is called. */
static void
defer_a (Room   *room,
         Source *source)
{
  begin (source, room->a[0]);
  g_assert_cmpint (next (source), ==, -1);
  end (source);
  g_assert_true (room_is_paused (room, room->a[0]));
}

static void
test_defers_in_time (Room          *room,
                     gconstpointer  data)
{
  Freed freed = { 0 };
  Source mine, other;

  source_init (&mine, room);
  source_init (&other, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  room_watch (room, room->b[0], SEL_EVENT_READ);

  /* Before: the entry is out of date, as the pause has ended at once. */
  begin (&mine, room->a[0], room->b[0]);
  act_at_point ("batch-published", defer_a, room, &other);
  g_assert_cmpint (next (&mine), ==, room->b[0]);
  assert_acted ();
  g_assert_false (room_is_paused (room, room->a[0]));
  end (&mine);

  /* After the call, and before the end. */
  begin (&mine, room->a[0]);
  g_assert_cmpint (next (&mine), ==, room->a[0]);
  defer_a (room, &other);
  end (&mine);
  g_assert_false (room_is_paused (room, room->a[0]));
  unwatch (room->selector, room->a[0]);
  source_clear (&mine);
  source_clear (&other);
}

/* Another thread begins a batch between publishing and comparing, or between the end and the last comparison. */
static void
run_a (Room   *room,
       Source *source)
{
  begin (source, room->a[0]);
  g_assert_cmpint (next (source), ==, room->a[0]);
}

static void
test_begins_in_time (Room          *room,
                     gconstpointer  data)
{
  Freed freed = { 0 };
  Source mine, other;

  source_init (&mine, room);
  source_init (&other, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  room_watch (room, room->b[0], SEL_EVENT_READ);

  /* It runs the function of a later entry, which has to wait. */
  begin (&mine, room->b[0], room->a[0]);
  act_at_point ("batch-published", run_a, room, &other);
  g_assert_cmpint (next (&mine), ==, room->b[0]);
  assert_acted ();
  g_assert_false (is_fast (mine.batch));
  g_assert_cmpint (next (&mine), ==, -1);
  g_assert_true (room_is_paused (room, room->a[0]));
  end (&mine);
  end (&other);
  g_assert_false (room_is_paused (room, room->a[0]));

  /* The function has returned. */
  begin (&mine, room->a[0]);
  g_assert_cmpint (next (&mine), ==, room->a[0]);
  act_at_point ("batch-ended", run_a, room, &other);
  end (&mine);
  assert_acted ();
  end (&other);
  unwatch (room->selector, room->a[0]);
  source_clear (&mine);
  source_clear (&other);
}

/* --- Freeing --- */

static void
register_another (Room *room)
{
  watch (room->selector, room->c[0], SEL_EVENT_READ);
}

/* A destroy notify may call functions of the selector. */
static void
test_free_acts (Room          *room,
                gconstpointer  data)
{
  Freed freed = { .act = register_another };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  begin (&source, room->a[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->a[0]);
  end (&source);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  g_assert_nonnull (room_get_slot (room, room->c[0]));
  source_clear (&source);
}

static void
unwatch_b (Room   *room,
           Source *source)
{
  unwatch (room->selector, room->b[0]);
}

/* Another thread removes the callback that runs, and then the next one, which is published before the batch has cleaned
 * up. */
static void
test_free_both (Room          *room,
                gconstpointer  data)
{
  Freed first = { 0 }, second = { 0 };
  Source source;

  source_init (&source, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &first);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &second);
  begin (&source, room->a[0], room->b[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (first.n_freed, ==, 0);

  act_at_point ("batch-published", unwatch_b, room, &source);
  g_assert_cmpint (next (&source), ==, -1);
  assert_acted ();
  end (&source);
  g_assert_cmpuint (first.n_freed, ==, 1);
  g_assert_cmpuint (second.n_freed, ==, 1);
  source_clear (&source);
}

static Source *nested_source;

static void
run_loop (Room *room)
{
  SelBatch *outer = nested_source->batch;

  begin (nested_source, room->b[0]);
  g_assert_true (nested_source->batch != outer);
  g_assert_cmpint (next (nested_source), ==, room->b[0]);
  end (nested_source);
  nested_source->batch = outer;
}

/* A destroy notify may run a main loop; then the batch is over. */
static void
test_free_runs_loop (Room          *room,
                     gconstpointer  data)
{
  Freed freed = { .act = run_loop };
  Source source;

  source_init (&source, room);
  nested_source = &source;
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&source, room->a[0], room->b[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpint (next (&source), ==, -1);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  end (&source);
  source_clear (&source);
}

/* If there is a main loop, it frees callbacks that do not run. */
static void
test_free_in_loop (Room          *room,
                   gconstpointer  data)
{
  Watcher watcher = { .is_foreign = TRUE };
  Freed freed = { 0 };
  g_autofree char *log = NULL;

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  watcher_add (&watcher, room);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (freed.n_freed, ==, 0);
  log = g_strdup_printf ("changed(%d) garbage", room->a[0]);
  watcher_assert_log (&watcher, log);
  g_assert_cmpuint (freed.n_freed, ==, 1);

  /* Nothing to be called: the loop has nothing to do. */
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_array_set_size (watcher.watcher.changed_fds, 0);
  watcher.watcher.flags = 0;
  unwatch (room->selector, room->b[0]);
  g_free (log);
  log = g_strdup_printf ("changed(%d)", room->b[0]);
  watcher_assert_log (&watcher, log);
  watcher_remove (&watcher);
}

/* Without a callback: the key and the data. */
static void
test_free_data (Room          *room,
                gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  for (guint i = 0; i < 2; i++)
    {
      Freed freed = { room, 0 };
      gpointer key;

      room_watch (room, room->b[0], SEL_EVENT_READ);
      g_assert_true (sel_base_selector_register (room->selector, room->a[0], SEL_EVENT_READ, &freed, on_freed, NULL));
      key = sel_base_selector_get_key (room->selector, room->a[0], NULL);
      g_object_add_weak_pointer (key, &key);
      g_object_unref (key);
      if (i == 1)
        {
          begin (&source, room->b[0]);
          g_assert_cmpint (next (&source), ==, room->b[0]);
        }
      unwatch (room->selector, room->a[0]);
      assert_unlocked (room->core);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
      if (i == 1)
        end (&source);
      unwatch (room->selector, room->b[0]);
    }
  source_clear (&source);
}

static void
test_remove_callback (Room          *room,
                      gconstpointer  data)
{
  Freed freed = { 0 };
  Freed other = { 0 };
  SelCallback *callback;

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  callback = get_callback (room, room->a[0]);
  sel_dispatch_remove_callback (room->core, room->b[0], callback);
  assert_unlocked (room->core);
  assert_no_calls (room);

  sel_dispatch_remove_callback (room->core, room->a[0], callback);
  assert_unlocked (room->core);
  fake_selector_assert_log (room->fake, "update(%d,1,0)", room->a[0]);
  g_assert_null (room_get_slot (room, room->a[0]));
  g_assert_cmpuint (freed.n_freed, ==, 1);

  /* It has another one meanwhile. */
  watch_callback (room, room->a[0], SEL_EVENT_READ, &other);
  sel_dispatch_remove_callback (room->core, room->a[0], (gpointer) &other);
  g_assert_nonnull (room_get_slot (room, room->a[0]));
  unwatch (room->selector, room->a[0]);
}

/* --- Closing --- */

static void
test_close (Room          *room,
            gconstpointer  data)
{
  Source running, returned;
  Freed of_a = { 0 };
  Freed of_b = { 0 };
  gpointer key;

  source_init (&running, room);
  source_init (&returned, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  begin (&running, room->a[0], room->b[0]);
  key = next_entry_of (room, running.batch)->key;
  g_object_add_weak_pointer (key, &key);

  /* The callback of this batch has returned. */
  begin (&returned, room->b[0]);
  g_assert_cmpint (next (&returned), ==, room->b[0]);
  g_assert_cmpint (next (&returned), ==, -1);

  sel_base_selector_close (room->selector);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_cmpuint (of_a.n_freed, ==, 0);
  g_assert_nonnull (key);
  end (&returned);
  g_assert_cmpint (next (&running), ==, -1);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  g_assert_null (key);
  end (&running);
  source_clear (&running);
  source_clear (&returned);
}

/* The descriptor of a running callback has another registration, or none. */
static void
test_close_after_removal (Room          *room,
                          gconstpointer  data)
{
  for (guint i = 0; i < 2; i++)
    {
      Source source;
      Freed old = { 0 };
      Freed new = { 0 };

      if (i == 1)
        {
          g_assert_finalize_object (room->fake);
          room->fake = fake_selector_new ();
          room->selector = SEL_BASE_SELECTOR (room->fake);
          room->core = sel_core (room->fake);
        }
      source_init (&source, room);
      watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
      begin (&source, room->a[0]);
      g_assert_cmpint (next (&source), ==, room->a[0]);
      unwatch (room->selector, room->a[0]);
      if (i == 1)
        watch_callback (room, room->a[0], SEL_EVENT_READ, &new);
      sel_base_selector_close (room->selector);
      g_assert_cmpuint (old.n_freed, ==, 0);
      g_assert_cmpuint (new.n_freed, ==, i);
      end (&source);
      g_assert_cmpuint (old.n_freed, ==, 1);
      source_clear (&source);
    }
}

static void
close_selector (Room *room)
{
  sel_base_selector_close (room->selector);
}

/* A destroy notify closes the selector while another batch runs. */
static void
test_close_in_free (Room          *room,
                    gconstpointer  data)
{
  Source outer, inner;
  Freed of_a = { 0 };
  Freed of_b = { .act = close_selector };

  source_init (&outer, room);
  source_init (&inner, room);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  begin (&outer, room->a[0]);
  g_assert_cmpint (next (&outer), ==, room->a[0]);
  begin (&inner, room->b[0]);
  g_assert_cmpint (next (&inner), ==, room->b[0]);
  unwatch (room->selector, room->b[0]);
  end (&inner);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_cmpuint (of_a.n_freed, ==, 0);
  assert_state (room->core, SEL_STATE_CLOSED);
  end (&outer);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  source_clear (&outer);
  source_clear (&inner);
}

/* --- Forking --- */

/* In the list, '-' stands for a nested batch of another thread, 'n' for one of this thread, 'x' for a batch of a source
 * of another thread, 'i' for one that is not in use. */
static void
test_forked (Room          *room,
             gconstpointer  data)
{
  static const char *const cases[] = {
    "a-b", "-a-", "a--", "--a", "---", "abc", "a-bc", "axi", "x-i", "n-n", "-na", ""
  };
  static const SelBatchEntry entry;
  static const char other_thread;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree SelBatch *batches = g_new0 (SelBatch, 4);
      SelBatch **tail = &room->core->dispatch.batches;
      const SelBatch *batch;

      g_test_message ("'%s'", cases[i]);
      for (guint j = 0; cases[i][j] != '\0'; j++)
        {
          char c = cases[i][j];

          batches[j].thread = strchr ("-xi", c) != NULL ? (gpointer) &other_thread : sel_thread_self ();
          batches[j].is_nested = c == '-' || c == 'n';
          batches[j].current = c != 'i' ? &entry : NULL;
          batches[j].has_deferred = TRUE;
          *tail = &batches[j];
          tail = &batches[j].next;
        }

      sel_dispatch_forked (room->core);
      batch = room->core->dispatch.batches;
      for (guint j = 0; cases[i][j] != '\0'; j++)
        {
          char c = cases[i][j];

          if (c == '-')
            continue;
          g_assert_true (batch == &batches[j]);
          g_assert_true ((batch->current != NULL) == (c != 'x' && c != 'i'));
          g_assert_cmpint (batch->has_deferred, ==, c != 'x');
          batch = batch->next;
        }
      g_assert_null (batch);
      room->core->dispatch.batches = NULL;
    }
}

/* A child process that was forked inside a callback goes on with it. The callbacks of other threads do not run there;
 * what they use is never freed. */
static void
test_forked_in_callback (Room          *room,
                         gconstpointer  data)
{
  static const char other_thread;
  Freed freed = { 0 };
  Source mine, other;

  source_init (&mine, room);
  source_init (&other, room);
  sel_base_selector_set_can_recurse (room->selector, TRUE);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  begin (&other, room->a[0]);
  g_assert_cmpint (next (&other), ==, room->a[0]);
  other.own->thread = (gpointer) &other_thread;
  begin (&mine, room->a[0]);
  g_assert_cmpint (next (&mine), ==, room->a[0]);
  sel_fork_begin_child ();
  unwatch (room->selector, room->a[0]);
  g_assert_null (other.own->current);
  g_assert_nonnull (mine.own->owned_callback);
  end (&mine);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  source_clear (&mine);
  source_clear (&other);
}

/* A function that locks notices that the process has forked. */
static void
test_locks (Room          *room,
            gconstpointer  data)
{
  Source source;

  source_init (&source, room);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  begin (&source, room->a[0], room->b[0]);
  g_assert_cmpint (next (&source), ==, room->a[0]);
  unwatch (room->selector, room->a[0]);
  sel_fork_begin_child ();
  g_assert_cmpint (next (&source), ==, room->b[0]);
  g_assert_false (sel_state_is_new_process (room->core));
  unwatch (room->selector, room->b[0]);
  sel_fork_begin_child ();
  end (&source);
  g_assert_false (sel_state_is_new_process (room->core));
  sel_fork_begin_child ();
  sel_dispatch_remove_callback (room->core, room->a[0], (gpointer) &source);
  g_assert_false (sel_state_is_new_process (room->core));
  source_clear (&source);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/dispatch/two-batches/ok", test_two_batches);
  room_add ("/dispatch/two-batches/hand-over", test_hand_over);
  room_add ("/dispatch/two-batches/hand-over-one", test_hand_over_one);
  room_add ("/dispatch/nested/ok", test_nested);
  room_add ("/dispatch/nested/nothing", test_nested_nothing);
  room_add ("/dispatch/nested/other-source", test_nested_other_source);
  room_add ("/dispatch/defer/ok", test_defers);
  room_add ("/dispatch/defer/until-next", test_defers_until_next);
  room_add ("/dispatch/defer/same-function", test_defers_same_function);
  room_add ("/dispatch/defer/can-recurse", test_can_recurse);
  room_add ("/dispatch/defer/forked", test_defers_forked);
  room_add ("/dispatch/defer/in-time", test_defers_in_time);
  room_add ("/dispatch/order/begins", test_begins_in_time);
  room_add ("/dispatch/free/acts", test_free_acts);
  room_add ("/dispatch/free/both", test_free_both);
  room_add ("/dispatch/free/runs-loop", test_free_runs_loop);
  room_add ("/dispatch/free/in-loop", test_free_in_loop);
  room_add ("/dispatch/free/data", test_free_data);
  room_add ("/dispatch/free/remove-callback", test_remove_callback);
  room_add ("/dispatch/close/ok", test_close);
  room_add ("/dispatch/close/after-removal", test_close_after_removal);
  room_add ("/dispatch/close/in-free", test_close_in_free);
  room_add ("/dispatch/forked/list", test_forked);
  room_add ("/dispatch/forked/in-callback", test_forked_in_callback);
  room_add ("/dispatch/locks", test_locks);

  return g_test_run ();
}
