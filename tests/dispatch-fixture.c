/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <string.h>

#include "dispatch-fixture.h"

static gboolean
never_called (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  g_assert_not_reached ();
}

void
on_freed (gpointer user_data)
{
  Freed *freed = user_data;

  freed->n_freed++;
  assert_unlocked (freed->room->core);
  g_assert_true (SEL_IS_BASE_SELECTOR (freed->room->selector));
  if (freed->act != NULL)
    freed->act (freed->room);
}

void
watch_callback (Room         *room,
                int           fd,
                SelEventMask  events,
                Freed        *freed)
{
  freed->room = room;
  g_assert_true (sel_base_selector_register_callback (room->selector, fd, events, never_called, freed, on_freed, NULL));
  fake_selector_clear_log (room->fake);
}

void
set_callback (Room  *room,
              int    fd,
              Freed *freed)
{
  freed->room = room;
  g_assert_true (sel_base_selector_set_callback (room->selector, fd, never_called, freed, on_freed, NULL));
}

void
source_init (Source *source,
             Room   *room)
{
  *source = (Source) { .room = room, .own = sel_batch_new () };
  sel_state_lock (room->core);
  sel_dispatch_add_batch (room->core, source->own);
  sel_state_unlock (room->core);
}

void
source_clear (Source *source)
{
  g_assert_null (source->own->current);
  sel_state_lock (source->room->core);
  sel_dispatch_remove_batch (source->room->core, source->own);
  sel_dispatch_remove_batch (source->room->core, source->own);
  sel_state_unlock (source->room->core);
  sel_batch_free (source->own);
}

static void
report_all (FakeSelector *fake,
            gpointer      user_data)
{
  for (const int *fd = user_data; *fd >= 0; fd++)
    sel_base_selector_report (SEL_BASE_SELECTOR (fake), *fd, SEL_EVENT_READ);
}

gssize
begin_fds (Source *source,
           int    *fds)
{
  Room *room = source->room;
  g_autoptr(GError) error = NULL;
  gssize n;

  source->batch = source->own;
  fake_selector_push_call (room->fake, report_all, fds);
  n = sel_dispatch_begin (room->core, &source->batch, source, source->events, SEL_MAX_DISPATCH, &error);
  g_assert_no_error (error);
  assert_unlocked (room->core);
  fake_selector_clear_log (room->fake);

  return n;
}

const SelBatchEntry *
next_entry_of (Room     *room,
               SelBatch *batch)
{
  const SelBatchEntry *entry;

  if (!sel_dispatch_next (room->core, batch, &entry))
    entry = NULL;

  assert_unlocked (room->core);
  if (entry != NULL)
    {
      g_assert_true (batch->current == entry);
      g_assert_cmpint (sel_selector_key_get_fd (entry->key), ==, sel_batch_get_event (batch, entry)->fd);
    }

  return entry;
}

int
next (Source *source)
{
  const SelBatchEntry *entry = next_entry_of (source->room, source->batch);

  return entry != NULL ? sel_selector_key_get_fd (entry->key) : -1;
}

void
end_batch (Room     *room,
           SelBatch *batch)
{
  gboolean is_nested = batch->is_nested;

  sel_dispatch_end (room->core, batch);
  assert_unlocked (room->core);
  if (is_nested)
    return;

  g_assert_null (batch->current);
  g_assert_null (batch->owned_key);
  g_assert_null (batch->owned_callback);
  g_assert_false (batch->has_deferred);
}

void
end (Source *source)
{
  end_batch (source->room, source->batch);
}

gboolean
is_fast (SelBatch *batch)
{
  return batch->is_alone && batch->next_entry < batch->valid_end;
}

SelCallback *
get_callback (Room *room,
              int   fd)
{
  return sel_key_slot_get_extra (room_get_slot (room, fd), fd)->callback;
}

static struct
{
  const char *name;
  void      (*act) (Room *room, Source *source);
  Room       *room;
  Source     *source;
} at_point;

static void
on_point (const char *name)
{
  if (at_point.name == NULL || strcmp (name, at_point.name) != 0)
    return;

  at_point.name = NULL;
  at_point.act (at_point.room, at_point.source);
}

void
act_at_point (const char *name,
              void      (*act) (Room *room, Source *source),
              Room       *room,
              Source     *source)
{
  at_point.name = name;
  at_point.act = act;
  at_point.room = room;
  at_point.source = source;
  sel_point_func = on_point;
}

void
assert_acted (void)
{
  g_assert_null (at_point.name);
  sel_point_func = NULL;
}
