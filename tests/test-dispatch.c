/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"
#include "room-fixture.h"

/* Batches are entered by hand; no callback is really called. */

/* The functions of two sources, as far as the room knows them. */
static const char source_a, source_b;

/* The data of a callback, which counts how often it was freed. */
typedef struct
{
  Room  *room;
  guint  n_freed;
  void (*act) (Room *room);
} Freed;

static gboolean
never_called (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  g_assert_not_reached ();
}

/* A destroy notify is called without the lock, while the selector is alive. */
static void
on_freed (gpointer user_data)
{
  Freed *freed = user_data;

  freed->n_freed++;
  assert_unlocked (freed->room->core);
  g_assert_true (SEL_IS_BASE_SELECTOR (freed->room->selector));
  if (freed->act != NULL)
    freed->act (freed->room);
}

static void
watch_callback (Room         *room,
                int           fd,
                SelEventMask  events,
                Freed        *freed)
{
  freed->room = room;
  g_assert_true (sel_base_selector_register_callback (room->selector, fd, events, never_called, freed, on_freed, NULL));
  fake_selector_clear_log (room->fake);
}

static void
set_callback (Room  *room,
              int    fd,
              Freed *freed)
{
  freed->room = room;
  g_assert_true (sel_base_selector_set_callback (room->selector, fd, never_called, freed, on_freed, NULL));
}

static gboolean
enter_event (Room                *room,
             SelBatch            *batch,
             const SelReadyEvent *event,
             gconstpointer        function)
{
  gboolean success = sel_dispatch_enter (room->core, batch, event, function);

  assert_unlocked (room->core);

  return success;
}

static gboolean
enter (Room     *room,
       SelBatch *batch,
       int       fd)
{
  SelReadyEvent event = room_make_event (room, fd, SEL_EVENT_READ);

  return enter_event (room, batch, &event, &source_a);
}

/* A batch is for one turn; clearing it makes it a new one. */
static void
end (Room     *room,
     SelBatch *batch)
{
  sel_dispatch_end (room->core, batch);
  assert_unlocked (room->core);
  g_assert_null (batch->key);
  g_assert_null (batch->callback);
  g_assert_null (batch->function);
  g_assert_false (batch->owns_key || batch->owns_callback || batch->has_deferred);
  *batch = (SelBatch) { 0 };
}

/* --- Beginning --- */

static void
test_begin (Room          *room,
            gconstpointer  data)
{
  SelReadyEvent events[2] = { { .fd = -1 }, { .fd = -1 } };
  g_autoptr(GError) error = NULL;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  fake_selector_push (room->fake, room->a[0], SEL_EVENT_READ, FAKE_END);
  g_assert_cmpint (sel_dispatch_begin (room->core, events, 2, &error), ==, 1);
  g_assert_no_error (error);
  g_assert_cmpint (events[0].fd, ==, room->a[0]);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, 0), <=, 0);

  /* It leaves a wake-up to others. */
  sel_wait_wake (room->core);
  g_assert_cmpint (sel_dispatch_begin (room->core, events, 2, &error), ==, 0);
  g_assert_true (sel_state_has (room->core, SEL_STATE_WOKEN));

  fake_selector_push_error (room->fake, SEL_OS_ERROR, EPROTO);
  g_assert_cmpint (sel_dispatch_begin (room->core, events, 2, &error), ==, -1);
  assert_failed (&error, SEL_OS_ERROR, EPROTO);
}

/* --- Entering --- */

static void
test_enter (Room          *room,
            gconstpointer  data)
{
  SelBatch batch = { 0 };
  Freed freed = { 0 };
  SelCallback *callback;

  room_watch (room, room->a[0], ALL_EVENTS);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &freed);
  callback = sel_key_slot_get_extra (room_get_slot (room, room->b[0]), room->b[0])->callback;

  g_assert_true (enter (room, &batch, room->a[0]));
  g_assert_true (room->core->dispatch.batches == &batch);
  g_assert_cmpint (sel_selector_key_get_fd (batch.key), ==, room->a[0]);
  g_assert_null (batch.callback);
  g_assert_cmpuint (batch.checks, ==, 0);
  g_assert_true (batch.function == &source_a);
  g_assert_true (batch.thread == sel_thread_self ());

  g_assert_true (enter (room, &batch, room->b[0]));
  g_assert_true (room->core->dispatch.batches == &batch);
  g_assert_null (batch.next);
  g_assert_cmpint (sel_selector_key_get_fd (batch.key), ==, room->b[0]);
  g_assert_true (batch.callback == callback);
  g_assert_true (batch.function == callback);

  end (room, &batch);
  g_assert_null (room->core->dispatch.batches);
  g_assert_cmpuint (freed.n_freed, ==, 0);
  unwatch (room->selector, room->b[0]);
  g_assert_cmpuint (freed.n_freed, ==, 1);
}

/* Each call is counted, and the checks are those of the last call. */
static void
test_checks (Room          *room,
             gconstpointer  data)
{
  SelBatch batch = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  for (guint n = 1; n <= 9; n++)
    {
      g_assert_true (enter (room, &batch, room->a[0]));
      g_assert_cmpuint (batch.checks, ==, n == 8 ? SEL_HANGUP_CHECK_CLOSED : SEL_HANGUP_CHECK_NOTHING);
    }
  end (room, &batch);
}

/* The event is out of date: nothing is called, and the callback before has ended. */
static void
test_enter_stale (Room          *room,
                  gconstpointer  data)
{
  SelReadyEvent missing, changed, paused;
  SelBatch batch = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  missing = room_make_event (room, room->a[0], SEL_EVENT_READ);
  missing.fd = room->c[0];
  changed = room_make_event (room, room->a[0], SEL_EVENT_READ);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  paused = room_make_event (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->b[0], FALSE);

  g_assert_false (enter_event (room, &batch, &missing, &source_a));
  g_assert_false (enter_event (room, &batch, &changed, &source_a));
  g_assert_false (enter_event (room, &batch, &paused, &source_a));
  g_assert_null (room->core->dispatch.batches);
  g_assert_null (batch.thread);
  end (room, &batch);

  g_assert_true (enter (room, &batch, room->a[0]));
  g_assert_false (enter_event (room, &batch, &changed, &source_a));
  g_assert_null (batch.key);
  g_assert_null (batch.function);
  g_assert_true (room->core->dispatch.batches == &batch);
  end (room, &batch);
  g_assert_null (room->core->dispatch.batches);
}

/* --- The key and the data of a running callback --- */

/* The callback unregisters its descriptor: its data and its key live until it has returned. */
static void
test_removes_itself (Room          *room,
                     gconstpointer  data)
{
  for (guint i = 0; i < 2; i++)
    {
      SelBatch batch = { 0 };
      Freed freed = { 0 };
      gpointer key;

      room_watch (room, room->b[0], SEL_EVENT_READ);
      watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
      g_assert_true (enter (room, &batch, room->a[0]));
      key = batch.key;
      g_object_add_weak_pointer (key, &key);
      unwatch (room->selector, room->a[0]);
      g_assert_cmpuint (freed.n_freed, ==, 0);
      g_assert_nonnull (key);
      g_assert_true (batch.owns_key);
      g_assert_true (batch.owns_callback);

      /* The next callback of the batch, or the end. */
      if (i == 0)
        g_assert_true (enter (room, &batch, room->b[0]));
      else
        end (room, &batch);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
      g_assert_false (batch.owns_key);
      g_assert_false (batch.owns_callback);
      if (i == 0)
        end (room, &batch);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      unwatch (room->selector, room->b[0]);
    }
}

/* A callback that does not run is freed at once. */
static void
test_removes_another (Room          *room,
                      gconstpointer  data)
{
  SelBatch batch = { 0 };
  Freed of_a = { 0 };
  Freed of_b = { 0 };

  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  g_assert_true (enter (room, &batch, room->a[0]));
  unwatch (room->selector, room->b[0]);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_false (batch.owns_key);
  g_assert_false (batch.owns_callback);
  end (room, &batch);
  g_assert_cmpuint (of_a.n_freed, ==, 0);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
}

static void
test_sets_callback (Room          *room,
                    gconstpointer  data)
{
  SelBatch batch = { 0 };
  Freed old = { 0 };
  Freed new = { 0 };
  Freed newer = { 0 };

  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
  g_assert_true (enter (room, &batch, room->a[0]));
  set_callback (room, room->a[0], &new);
  g_assert_cmpuint (old.n_freed, ==, 0);
  g_assert_true (batch.owns_callback);
  g_assert_false (batch.owns_key);

  /* The second one has never run. */
  set_callback (room, room->a[0], &newer);
  g_assert_cmpuint (new.n_freed, ==, 1);
  end (room, &batch);
  g_assert_cmpuint (old.n_freed, ==, 1);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (newer.n_freed, ==, 1);
}

/* Changing the events or the data makes a new key. */
static void
test_modifies (Room          *room,
               gconstpointer  data)
{
  SelBatch batch = { 0 };
  Freed freed = { 0 };
  gpointer key;

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  g_assert_true (enter (room, &batch, room->a[0]));
  key = batch.key;
  g_object_add_weak_pointer (key, &key);
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  g_assert_true (batch.owns_key);
  g_assert_false (batch.owns_callback);
  g_assert_nonnull (key);
  end (room, &batch);
  g_assert_null (key);
  g_assert_cmpuint (freed.n_freed, ==, 0);
  unwatch (room->selector, room->a[0]);
  g_assert_cmpuint (freed.n_freed, ==, 1);
}

/* Two batches run the same callback. When one of them ends, it hands over to the other. */
static void
test_two_batches (Room          *room,
                  gconstpointer  data)
{
  for (guint i = 0; i < 2; i++)
    {
      SelBatch batches[2] = { { 0 }, { 0 } };
      SelBatch *first = &batches[i];
      SelBatch *last = &batches[1 - i];
      Freed freed = { 0 };
      gpointer key;

      sel_base_selector_set_can_recurse (room->selector, TRUE);
      watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
      g_assert_true (enter (room, &batches[0], room->a[0]));
      g_assert_true (enter (room, &batches[1], room->a[0]));
      g_assert_true (batches[0].key == batches[1].key);
      key = batches[0].key;
      g_object_add_weak_pointer (key, &key);

      unwatch (room->selector, room->a[0]);
      g_assert_cmpuint (batches[0].owns_key + batches[1].owns_key, ==, 1);
      g_assert_cmpuint (batches[0].owns_callback + batches[1].owns_callback, ==, 1);
      end (room, first);
      g_assert_cmpuint (freed.n_freed, ==, 0);
      g_assert_nonnull (key);
      g_assert_true (last->owns_key);
      g_assert_true (last->owns_callback);
      end (room, last);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
    }
}

/* A batch hands over only the key or only the callback, if another batch uses only that. */
static void
test_two_batches_share_one (Room          *room,
                            gconstpointer  data)
{
  SelBatch outer = { 0 };
  SelBatch inner = { 0 };
  Freed old = { 0 };
  Freed new = { 0 };
  gpointer key;

  sel_base_selector_set_can_recurse (room->selector, TRUE);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);

  /* The same callback with another key. */
  g_assert_true (enter (room, &outer, room->a[0]));
  rewatch (room->selector, room->a[0], ALL_EVENTS);
  g_assert_true (enter (room, &inner, room->a[0]));
  g_assert_true (inner.key != outer.key);
  key = inner.key;
  g_object_add_weak_pointer (key, &key);
  unwatch (room->selector, room->a[0]);
  end (room, &inner);
  g_assert_null (key);
  g_assert_cmpuint (old.n_freed, ==, 0);
  end (room, &outer);
  g_assert_cmpuint (old.n_freed, ==, 1);

  /* The same key with another callback. */
  old.n_freed = 0;
  watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
  g_assert_true (enter (room, &outer, room->a[0]));
  set_callback (room, room->a[0], &new);
  g_assert_true (enter (room, &inner, room->a[0]));
  g_assert_true (inner.key == outer.key);
  key = inner.key;
  g_object_add_weak_pointer (key, &key);
  unwatch (room->selector, room->a[0]);
  end (room, &inner);
  g_assert_nonnull (key);
  g_assert_cmpuint (new.n_freed, ==, 1);
  g_assert_cmpuint (old.n_freed, ==, 0);
  end (room, &outer);
  g_assert_null (key);
  g_assert_cmpuint (old.n_freed, ==, 1);
}

/* The second of three batches uses another key and another callback. */
static void
test_three_batches (Room          *room,
                    gconstpointer  data)
{
  SelBatch batches[3] = { { 0 }, { 0 }, { 0 } };
  Freed freed = { 0 };

  sel_base_selector_set_can_recurse (room->selector, TRUE);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  g_assert_true (enter (room, &batches[0], room->a[0]));
  g_assert_true (enter (room, &batches[1], room->b[0]));
  g_assert_true (enter (room, &batches[2], room->a[0]));
  unwatch (room->selector, room->a[0]);
  end (room, &batches[2]);
  g_assert_false (batches[1].owns_key);
  g_assert_true (batches[0].owns_key);
  g_assert_true (batches[0].owns_callback);

  /* A batch leaves the list in any place. */
  end (room, &batches[0]);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  g_assert_true (room->core->dispatch.batches == &batches[1]);
  g_assert_null (batches[1].next);
  end (room, &batches[1]);
}

/* --- Callbacks that run already --- */

static void
test_defers (Room          *room,
             gconstpointer  data)
{
  SelBatch outer = { 0 };
  SelBatch inner = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_watch (room, room->c[0], SEL_EVENT_READ);
  g_assert_true (enter (room, &outer, room->a[0]));
  g_assert_false (enter (room, &inner, room->b[0]));
  g_assert_true (room_is_paused (room, room->b[0]));
  g_assert_true (outer.has_deferred);
  g_assert_null (inner.thread);
  g_assert_true (room->core->dispatch.batches == &outer);

  /* It waits for the function of its own only. */
  end (room, &inner);
  g_assert_true (room_is_paused (room, room->b[0]));
  end (room, &outer);
  g_assert_false (room_is_paused (room, room->b[0]));
  assert_state (room->core, SEL_STATE_OPEN);

  /* The next callback of the same batch ends the pause, too. */
  g_assert_true (enter (room, &outer, room->a[0]));
  g_assert_false (enter (room, &inner, room->b[0]));
  g_assert_true (enter (room, &outer, room->c[0]));
  g_assert_false (room_is_paused (room, room->b[0]));
  g_assert_false (outer.has_deferred);
  end (room, &outer);
}

/* A function of another source, and callbacks of descriptors, are other functions. */
static void
test_defers_same_function (Room          *room,
                           gconstpointer  data)
{
  SelBatch batches[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
  Freed of_b = { 0 };
  Freed of_c = { 0 };
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  watch_callback (room, room->c[0], SEL_EVENT_READ, &of_c);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  g_assert_true (enter (room, &batches[0], room->b[0]));
  g_assert_true (enter (room, &batches[1], room->c[0]));
  g_assert_true (enter (room, &batches[2], room->a[0]));
  g_assert_true (enter_event (room, &batches[3], &event, &source_b));
  for (guint i = 0; i < 4; i++)
    end (room, &batches[i]);

  /* The same one, whatever the source. */
  event = room_make_event (room, room->b[0], SEL_EVENT_READ);
  g_assert_true (enter_event (room, &batches[0], &event, &source_a));
  g_assert_false (enter_event (room, &batches[1], &event, &source_b));
  g_assert_true (room_is_paused (room, room->b[0]));
  end (room, &batches[0]);
  g_assert_false (room_is_paused (room, room->b[0]));
  unwatch (room->selector, room->b[0]);
  unwatch (room->selector, room->c[0]);
}

static void
test_can_recurse (Room          *room,
                  gconstpointer  data)
{
  SelBatch outer = { 0 };
  SelBatch inner = { 0 };

  sel_base_selector_set_can_recurse (room->selector, TRUE);
  room_watch (room, room->a[0], SEL_EVENT_READ);
  g_assert_true (enter (room, &outer, room->a[0]));
  g_assert_true (enter (room, &inner, room->a[0]));
  g_assert_true (room->core->dispatch.batches == &inner);
  g_assert_true (inner.next == &outer);
  g_assert_false (outer.has_deferred);
  end (room, &inner);
  end (room, &outer);
}

/* After a fork the kernel's object is the parent's. */
static void
test_defers_forked (Room          *room,
                    gconstpointer  data)
{
  SelBatch outer = { 0 };
  SelBatch inner = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  g_assert_true (enter (room, &outer, room->a[0]));
  g_assert_false (enter (room, &inner, room->b[0]));
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_FORKED);
  end (room, &outer);
  assert_no_calls (room);
  sel_state_unset (room->core, SEL_STATE_FORKED);
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
  SelBatch batch = { 0 };
  Freed freed = { .act = register_another };

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  g_assert_true (enter (room, &batch, room->a[0]));
  unwatch (room->selector, room->a[0]);
  end (room, &batch);
  g_assert_cmpuint (freed.n_freed, ==, 1);
  g_assert_nonnull (room_get_slot (room, room->c[0]));
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
  for (guint i = 0; i < 2; i++)
    {
      SelBatch batch = { 0 };
      Freed freed = { room, 0 };
      gpointer key;

      room_watch (room, room->b[0], SEL_EVENT_READ);
      g_assert_true (sel_base_selector_register (room->selector, room->a[0], SEL_EVENT_READ, &freed, on_freed, NULL));
      key = sel_base_selector_get_key (room->selector, room->a[0], NULL);
      g_object_add_weak_pointer (key, &key);
      g_object_unref (key);
      if (i == 1)
        g_assert_true (enter (room, &batch, room->b[0]));
      unwatch (room->selector, room->a[0]);
      assert_unlocked (room->core);
      g_assert_cmpuint (freed.n_freed, ==, 1);
      g_assert_null (key);
      end (room, &batch);
      unwatch (room->selector, room->b[0]);
    }
}

static void
test_remove_callback (Room          *room,
                      gconstpointer  data)
{
  Freed freed = { 0 };
  Freed other = { 0 };
  SelCallback *callback;

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  callback = sel_key_slot_get_extra (room_get_slot (room, room->a[0]), room->a[0])->callback;
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
  sel_dispatch_remove_callback (room->core, room->a[0], (gpointer) &source_a);
  g_assert_nonnull (room_get_slot (room, room->a[0]));
  unwatch (room->selector, room->a[0]);
}

/* --- Closing --- */

static void
test_close (Room          *room,
            gconstpointer  data)
{
  SelBatch running = { 0 };
  SelBatch returned = { 0 };
  SelReadyEvent stale;
  Freed of_a = { 0 };
  Freed of_b = { 0 };
  gpointer key;

  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  g_assert_true (enter (room, &running, room->a[0]));
  key = running.key;
  g_object_add_weak_pointer (key, &key);

  /* The callback of this batch has returned. */
  stale = room_make_event (room, room->b[0], SEL_EVENT_READ);
  g_assert_true (enter (room, &returned, room->b[0]));
  stale.generation--;
  g_assert_false (enter_event (room, &returned, &stale, &source_a));

  sel_base_selector_close (room->selector);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_cmpuint (of_a.n_freed, ==, 0);
  g_assert_nonnull (key);
  end (room, &returned);
  end (room, &running);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
  g_assert_null (key);
}

/* The descriptor of a running callback has another registration, or none. */
static void
test_close_after_removal (Room          *room,
                          gconstpointer  data)
{
  for (guint i = 0; i < 2; i++)
    {
      SelBatch batch = { 0 };
      Freed old = { 0 };
      Freed new = { 0 };

      if (i == 1)
        {
          g_assert_finalize_object (room->fake);
          room->fake = fake_selector_new ();
          room->selector = SEL_BASE_SELECTOR (room->fake);
          room->core = sel_core (room->fake);
        }
      watch_callback (room, room->a[0], SEL_EVENT_READ, &old);
      g_assert_true (enter (room, &batch, room->a[0]));
      unwatch (room->selector, room->a[0]);
      if (i == 1)
        watch_callback (room, room->a[0], SEL_EVENT_READ, &new);
      sel_base_selector_close (room->selector);
      g_assert_cmpuint (old.n_freed, ==, 0);
      g_assert_cmpuint (new.n_freed, ==, i);
      end (room, &batch);
      g_assert_cmpuint (old.n_freed, ==, 1);
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
  SelBatch outer = { 0 };
  SelBatch inner = { 0 };
  Freed of_a = { 0 };
  Freed of_b = { .act = close_selector };

  watch_callback (room, room->a[0], SEL_EVENT_READ, &of_a);
  watch_callback (room, room->b[0], SEL_EVENT_READ, &of_b);
  g_assert_true (enter (room, &outer, room->a[0]));
  g_assert_true (enter (room, &inner, room->b[0]));
  unwatch (room->selector, room->b[0]);
  end (room, &inner);
  g_assert_cmpuint (of_b.n_freed, ==, 1);
  g_assert_cmpuint (of_a.n_freed, ==, 0);
  assert_state (room->core, SEL_STATE_CLOSED);
  end (room, &outer);
  g_assert_cmpuint (of_a.n_freed, ==, 1);
}

/* --- Forking --- */

/* In the list, '-' stands for a batch of another thread. */
static void
test_forked (Room          *room,
             gconstpointer  data)
{
  static const char *const cases[] = { "a-b", "-a-", "a--", "--a", "---", "abc", "a-bc", "" };
  static const char other_thread;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      SelBatch batches[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
      SelBatch **tail = &room->core->dispatch.batches;
      const SelBatch *batch;

      g_test_message ("'%s'", cases[i]);
      for (guint j = 0; cases[i][j] != '\0'; j++)
        {
          batches[j].thread = cases[i][j] == '-' ? (gpointer) &other_thread : sel_thread_self ();
          *tail = &batches[j];
          tail = &batches[j].next;
        }

      sel_dispatch_forked (room->core);
      batch = room->core->dispatch.batches;
      for (guint j = 0; cases[i][j] != '\0'; j++)
        {
          if (cases[i][j] == '-')
            continue;
          g_assert_true (batch == &batches[j]);
          batch = batch->next;
        }
      g_assert_null (batch);
      room->core->dispatch.batches = NULL;
    }
}

/* A child process that was forked inside a callback goes on with it. */
static void
test_forked_in_callback (Room          *room,
                         gconstpointer  data)
{
  static const char other_thread;
  SelBatch other = { 0 };
  SelBatch batch = { 0 };
  Freed freed = { 0 };

  watch_callback (room, room->a[0], SEL_EVENT_READ, &freed);
  g_assert_true (enter (room, &other, room->a[0]));
  other.thread = (gpointer) &other_thread;
  sel_base_selector_set_can_recurse (room->selector, TRUE);
  g_assert_true (enter (room, &batch, room->a[0]));
  sel_state_count_fork ();
  unwatch (room->selector, room->a[0]);
  g_assert_true (room->core->dispatch.batches == &batch);
  g_assert_true (batch.owns_callback);
  end (room, &batch);
  g_assert_null (room->core->dispatch.batches);
  g_assert_cmpuint (freed.n_freed, ==, 1);
}

/* A function that locks notices that the process has forked. */
static void
test_locks (Room          *room,
            gconstpointer  data)
{
  SelBatch batch = { 0 };
  SelReadyEvent event;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  event = room_make_event (room, room->a[0], SEL_EVENT_READ);
  sel_state_count_fork ();
  g_assert_true (sel_dispatch_enter (room->core, &batch, &event, &source_a));
  g_assert_false (sel_state_is_new_process (room->core));
  sel_state_count_fork ();
  end (room, &batch);
  g_assert_false (sel_state_is_new_process (room->core));
  sel_state_count_fork ();
  sel_dispatch_remove_callback (room->core, room->a[0], (gpointer) &source_a);
  g_assert_false (sel_state_is_new_process (room->core));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/dispatch/begin", test_begin);
  room_add ("/dispatch/enter/ok", test_enter);
  room_add ("/dispatch/enter/checks", test_checks);
  room_add ("/dispatch/enter/stale", test_enter_stale);
  room_add ("/dispatch/retain/removes-itself", test_removes_itself);
  room_add ("/dispatch/retain/removes-another", test_removes_another);
  room_add ("/dispatch/retain/sets-callback", test_sets_callback);
  room_add ("/dispatch/retain/modifies", test_modifies);
  room_add ("/dispatch/hand-over/two-batches", test_two_batches);
  room_add ("/dispatch/hand-over/share-one", test_two_batches_share_one);
  room_add ("/dispatch/hand-over/three-batches", test_three_batches);
  room_add ("/dispatch/defer/ok", test_defers);
  room_add ("/dispatch/defer/same-function", test_defers_same_function);
  room_add ("/dispatch/defer/can-recurse", test_can_recurse);
  room_add ("/dispatch/defer/forked", test_defers_forked);
  room_add ("/dispatch/free/acts", test_free_acts);
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
