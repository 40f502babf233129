/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which callback runs now, and which memory does it still use? See sel-dispatch-private.h. */

#include "config.h"

#include <stdlib.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"

/* --- Batches --- */

/* The entry that a batch publishes while no callback runs. */
static const SelBatchEntry sel_batch_idle;

/* The entries of a batch are allocated in steps of so many. */
#define SEL_BATCH_STEP 64

SelBatch *
sel_batch_new (void)
{
  return g_new0 (SelBatch, 1);
}

void
sel_batch_free (SelBatch *batch)
{
  if (batch == NULL)
    return;

  g_free (batch->entries);
  g_free (batch);
}

/* The batch is not in use. */
static void
sel_batch_make_room (SelBatch *batch,
                     gsize     size)
{
  if (G_LIKELY (size <= batch->size))
    return;

  g_free (batch->entries);
  batch->size = (size + SEL_BATCH_STEP - 1) / SEL_BATCH_STEP * SEL_BATCH_STEP;
  batch->entries = g_new (SelBatchEntry, batch->size);
}

static inline const SelBatchEntry *
sel_batch_get_current (const SelBatch *batch)
{
  return __atomic_load_n (&batch->current, __ATOMIC_SEQ_CST);
}

static inline gboolean
sel_batch_is_in_use (const SelBatch *batch)
{
  return sel_batch_get_current (batch) != NULL;
}

/* The function that @entry calls, or NULL. */
static inline gconstpointer
sel_batch_get_function (const SelBatch      *batch,
                        const SelBatchEntry *entry)
{
  if (entry == NULL || entry->key == NULL)
    return NULL;

  return entry->callback != NULL ? entry->callback : batch->function;
}

static inline gboolean
sel_dispatch_is_alone (SelCore  *core,
                       SelBatch *batch)
{
  const SelBatch *other = core->dispatch.batches;

  while (other != NULL && (other == batch || !sel_batch_is_in_use (other)))
    other = other->next;

  return other == NULL;
}

/* The other batch that runs the function of @entry, or NULL. */
static SelBatch *
sel_dispatch_find_running (SelCore             *core,
                           SelBatch            *batch,
                           const SelBatchEntry *entry)
{
  gconstpointer function = sel_batch_get_function (batch, entry);
  SelBatch *other = core->dispatch.batches;

  while (other != NULL &&
         (other == batch || sel_batch_get_function (other, sel_batch_get_current (other)) != function))
    other = other->next;

  return other;
}

/* Moves the key and the callback from @removed to @batch if the batch uses them. The batch may still have those of the
 * entry before, because it publishes an entry before it takes the lock to clean up; @removed gets these. */
static void
sel_batch_retain (SelBatch    *batch,
                  SelKeyExtra *removed)
{
  const SelBatchEntry *current = sel_batch_get_current (batch);

  if (current == NULL)
    return;

  if (removed->key != NULL && current->key == removed->key)
    {
      SelSelectorKey *old_key = batch->owned_key;

      batch->owned_key = removed->key;
      removed->key = old_key;
    }
  if (removed->callback != NULL && current->callback == removed->callback)
    {
      SelCallback *old_callback = batch->owned_callback;

      batch->owned_callback = removed->callback;
      removed->callback = old_callback;
    }
}

/* The change has to be counted before the batches are looked at. */
static void
sel_dispatch_retain (SelCore     *core,
                     SelKeyExtra *removed)
{
  sel_notify_count_change (core);
  SEL_POINT ("locked-change-counted");
  for (SelBatch *batch = core->dispatch.batches; batch != NULL; batch = batch->next)
    sel_batch_retain (batch, removed);
}

void
sel_dispatch_add_batch (SelCore  *core,
                        SelBatch *batch)
{
  batch->next = core->dispatch.batches;
  core->dispatch.batches = batch;
  sel_notify_set_counts_changes (core, TRUE);
}

void
sel_dispatch_remove_batch (SelCore  *core,
                           SelBatch *batch)
{
  SelBatch **batches = &core->dispatch.batches;

  /* This also makes everything that the thread of the batch did before it ended visible to the one that frees it. */
  g_assert (!sel_batch_is_in_use (batch));

  while (*batches != NULL && *batches != batch)
    batches = &(*batches)->next;
  if (*batches != NULL)
    *batches = batch->next;
  sel_notify_set_counts_changes (core, core->dispatch.batches != NULL);
}

void
sel_dispatch_forked (SelCore *core)
{
  SelBatch **batches = &core->dispatch.batches;
  gpointer thread = sel_thread_self ();

  while (*batches != NULL)
    {
      SelBatch *batch = *batches;
      gboolean is_lost = sel_batch_is_in_use (batch) && batch->thread != thread;

      if (is_lost)
        {
          sel_batch_set_current (batch, NULL);
          batch->owned_key = NULL;
          batch->owned_callback = NULL;
          batch->has_deferred = FALSE;
        }

      if (is_lost && batch->is_nested)
        *batches = batch->next;
      else
        batches = &batch->next;
    }
}

void
sel_dispatch_retain_all (SelCore *core)
{
  sel_notify_count_change (core);
  for (SelBatch *batch = core->dispatch.batches; batch != NULL; batch = batch->next)
    {
      const SelBatchEntry *current = sel_batch_get_current (batch);
      SelKeySlot *slot = NULL;
      int fd = -1;

      if (current != NULL && current->key != NULL)
        {
          fd = sel_batch_get_event (batch, current)->fd;
          slot = sel_registry_lookup (core, fd);
        }
      if (slot != NULL)
        sel_batch_retain (batch, sel_key_slot_get_extra (slot, fd));
    }
}

/* --- Beginning --- */

gssize
sel_dispatch_poll (SelCore        *core,
                   SelReadyEvent  *events,
                   gsize           n_events,
                   GError        **error)
{
  gssize n = sel_wait_run (core, 0, events, NULL, n_events, SEL_WAIT_DISPATCH, NULL, error);

  if (n >= 0)
    sel_wait_end (core);

  return n;
}

/* With the lock of the wait that has found the events. The backend may have filled the first entries. */
static inline void
sel_batch_fill (SelCore       *core,
                SelBatch      *batch,
                SelReadyEvent *events,
                gsize          n)
{
  SelKeyTable *table = sel_registry_get_table (core);

  for (gsize i = sel_ready_list_get_n_entries (core); i < n; i++)
    {
      SelKeySlot *slot = sel_key_table_get_slot (table, events[i].fd);

      sel_batch_entry_fill (&batch->entries[i], core, slot, sel_key_slot_get_extra (slot, events[i].fd), &events[i]);
    }

  batch->events = events;
  batch->next_entry = batch->entries;
  batch->end = batch->entries + n;
}

static inline void
sel_batch_begin (SelCore       *core,
                 SelBatch      *batch,
                 gconstpointer  function)
{
  batch->function = function;
  batch->thread = sel_thread_self ();
  batch->is_over = FALSE;
  batch->n_ahead = 0;
  batch->is_alone = sel_dispatch_is_alone (core, batch);
  sel_batch_set_current (batch, &sel_batch_idle);
  if (G_UNLIKELY (!batch->is_alone))
    sel_notify_count_change (core);
  batch->valid_end = G_LIKELY (batch->is_alone) ? batch->end : batch->entries;
  batch->seen_changes = sel_notify_get_changes (core);
}

/* The batches of the same source that are in use are over, also if nothing is ready any more. */
static void
sel_dispatch_replace (SelCore       *core,
                      gconstpointer  function)
{
  sel_notify_count_change (core);
  for (SelBatch *batch = core->dispatch.batches; batch != NULL; batch = batch->next)
    {
      if (sel_batch_is_in_use (batch) && batch->function == function)
        batch->is_over = TRUE;
    }
}

/* The first one from @batch on that the calling thread uses, or NULL. */
static SelBatch *
sel_batch_find_own (SelBatch *batch)
{
  gpointer thread = sel_thread_self ();

  while (batch != NULL && !(sel_batch_is_in_use (batch) && batch->thread == thread))
    batch = batch->next;

  return batch;
}

static int
compare_fds (const void *a,
             const void *b)
{
  int first = ((const SelReadyEvent *) a)->fd;
  int second = ((const SelReadyEvent *) b)->fd;

  return (first > second) - (first < second);
}

/* Makes the entries of the descriptors in @told, which is sorted, out of date. */
static void
sel_batch_leave_out (SelBatch            *batch,
                     const SelReadyEvent *told,
                     gsize                n_told)
{
  for (SelBatchEntry *entry = batch->next_entry; entry < batch->end; entry++)
    {
      SelReadyEvent *event = &batch->events[entry - batch->entries];

      if (bsearch (event, told, n_told, sizeof *told, compare_fds) != NULL)
        event->generation = 0;
    }
}

void
sel_dispatch_end_own_slow (SelCore       *core,
                           SelReadyEvent *told,
                           gsize          n_told)
{
  SelBatch *batch;

  sel_state_lock (core);
  batch = sel_batch_find_own (core->dispatch.batches);
  if (batch != NULL && told != NULL)
    qsort (told, n_told, sizeof *told, compare_fds);
  for (; batch != NULL; batch = sel_batch_find_own (batch->next))
    {
      if (told != NULL)
        sel_batch_leave_out (batch, told, n_told);
      else
        batch->is_over = TRUE;
      sel_notify_count_change (core);
    }
  sel_state_unlock (core);
}

gboolean
sel_dispatch_is_in_own (SelCore *core)
{
  gboolean is_in_own;

  sel_state_lock (core);
  is_in_own = sel_batch_find_own (core->dispatch.batches) != NULL;
  sel_state_unlock (core);

  return is_in_own;
}

static SelBatch *
sel_dispatch_add_nested (SelCore *core,
                         gsize    n_events)
{
  SelBatch *batch = sel_batch_new ();

  sel_batch_make_room (batch, n_events);
  batch->is_nested = TRUE;
  sel_dispatch_add_batch (core, batch);

  return batch;
}

gssize
sel_dispatch_begin (SelCore        *core,
                    SelBatch      **batch,
                    gconstpointer   function,
                    SelReadyEvent  *events,
                    gsize           n_events,
                    GError        **error)
{
  gboolean is_nested = sel_batch_is_in_use (*batch);
  SelBatchEntry *entries = NULL;
  gssize n;

  if (G_LIKELY (!is_nested))
    {
      sel_batch_make_room (*batch, n_events);
      entries = (*batch)->entries;
    }

  n = sel_wait_run (core, 0, events, entries, n_events, SEL_WAIT_DISPATCH, NULL, error);
  if (G_UNLIKELY (is_nested))
    {
      if (n < 0)
        sel_state_lock (core);
      sel_dispatch_replace (core, function);
      if (n < 0)
        sel_state_unlock (core);
      else if (n > 0)
        *batch = sel_dispatch_add_nested (core, (gsize) n);
    }

  if (n > 0)
    {
      sel_batch_fill (core, *batch, events, (gsize) n);
      sel_batch_begin (core, *batch, function);
    }
  if (n >= 0)
    sel_wait_end (core);

  return n;
}

/* --- Calling --- */

/* Hands the key and the callback that @batch owned over to another batch that uses them. */
static void
sel_dispatch_hand_over (SelCore     *core,
                        SelKeyExtra *owned)
{
  for (SelBatch *other = core->dispatch.batches; other != NULL; other = other->next)
    sel_batch_retain (other, owned);
}

/* The callback has returned, and something is left to do. Frees without the lock. */
static void
sel_dispatch_clean_up (SelCore  *core,
                       SelBatch *batch)
{
  SelKeyExtra owned = { .key = g_steal_pointer (&batch->owned_key),
                        .callback = g_steal_pointer (&batch->owned_callback) };
  gboolean has_deferred = batch->has_deferred;

  batch->has_deferred = FALSE;
  if (has_deferred && sel_state_is_usable (core))
    sel_pause_resume_deferred (core, batch);
  sel_dispatch_hand_over (core, &owned);
  sel_state_unlock (core);

  SEL_POINT ("free-batch");
  sel_key_extra_clear (&owned);

  sel_state_lock (core);
}

/* The callback has returned. The batch publishes @entry instead. */
static inline void
sel_dispatch_finish (SelCore             *core,
                     SelBatch            *batch,
                     const SelBatchEntry *entry)
{
  sel_batch_set_current (batch, entry);
  if (G_UNLIKELY (batch->owned_key != NULL || batch->owned_callback != NULL || batch->has_deferred))
    sel_dispatch_clean_up (core, batch);
}

/* Looks up an entry of which something may have changed. Returns: FALSE if it is not to be called */
static inline gboolean
sel_dispatch_look_up (SelCore       *core,
                      SelBatch      *batch,
                      SelBatchEntry *entry)
{
  const SelReadyEvent *event = sel_batch_get_event (batch, entry);
  SelKeySlot *slot = sel_registry_find_active (core, event);

  if (G_UNLIKELY (slot == NULL))
    return FALSE;

  sel_batch_entry_look_up (entry, slot, sel_key_slot_get_extra (slot, event->fd), event->fd);

  return TRUE;
}

/* If the function runs already, in this thread, which now runs a main loop inside it, or in another thread, the
 * descriptor is paused until the function has returned. */
static gboolean
sel_dispatch_defer (SelCore             *core,
                    SelBatch            *batch,
                    const SelBatchEntry *entry)
{
  SelBatch *running = sel_dispatch_find_running (core, batch, entry);

  if (running == NULL || sel_core_get_setting (core, SEL_SETTING_CAN_RECURSE))
    return FALSE;

  running->has_deferred = TRUE;
  sel_pause_defer (core, sel_batch_get_event (batch, entry), running);

  return TRUE;
}

/* Finds the next entry to be called, and publishes it. A batch that is alone looks up more entries at once, and the
 * more the longer nothing has changed. */
static const SelBatchEntry *
sel_dispatch_find_next (SelCore  *core,
                        SelBatch *batch)
{
  gboolean changed = sel_notify_get_changes (core) != batch->seen_changes;
  SelBatchEntry *entry = batch->next_entry;

  batch->is_alone = sel_dispatch_is_alone (core, batch);
  while (entry < batch->end && (!sel_dispatch_look_up (core, batch, entry) ||
                                (!batch->is_alone && sel_dispatch_defer (core, batch, entry))))
    {
      batch->events[entry - batch->entries].ends |= SEL_DISPATCH_SKIPPED;
      entry++;
    }

  batch->seen_changes = sel_notify_get_changes (core);
  batch->next_entry = batch->valid_end = entry;
  if (entry == batch->end)
    return NULL;

  sel_batch_set_current (batch, entry);
  batch->next_entry = batch->valid_end = entry + 1;
  batch->n_ahead = changed ? 0 : 2 * batch->n_ahead + 1;
  for (guint i = 0; i < batch->n_ahead && batch->is_alone && batch->valid_end < batch->end &&
       sel_dispatch_look_up (core, batch, batch->valid_end); i++)
    batch->valid_end++;

  return entry;
}

const SelBatchEntry *
sel_dispatch_next_slow (SelCore  *core,
                        SelBatch *batch)
{
  const SelBatchEntry *entry = NULL;

  sel_state_lock (core);
  sel_dispatch_finish (core, batch, &sel_batch_idle);
  if (!batch->is_over)
    entry = sel_dispatch_find_next (core, batch);
  sel_state_unlock (core);

  return entry;
}

void
sel_dispatch_end_slow (SelCore  *core,
                       SelBatch *batch)
{
  sel_state_lock (core);
  sel_dispatch_finish (core, batch, NULL);
  if (batch->is_nested)
    sel_dispatch_remove_batch (core, batch);
  sel_state_unlock (core);

  if (batch->is_nested)
    sel_batch_free (batch);
}

/* --- Freeing --- */

void
sel_dispatch_unlock_and_free_slow (SelCore     *core,
                                   SelKeyExtra *removed)
{
  g_autoptr(GPtrArray) garbage = NULL;

  if (core->dispatch.batches != NULL)
    sel_dispatch_retain (core, removed);
  if (removed->callback != NULL && sel_notify_give_garbage (core, removed->callback))
    removed->callback = NULL;
  garbage = sel_notify_take_garbage (core);
  sel_state_unlock (core);

  SEL_POINT ("free-callback");
  sel_key_extra_clear (removed);
}

void
sel_dispatch_remove_callback (SelCore     *core,
                              int          fd,
                              SelCallback *callback)
{
  SelKeyExtra removed = { 0 };

  sel_state_lock (core);
  sel_registry_remove_callback (core, fd, callback, &removed);
  sel_dispatch_unlock_and_free (core, &removed);
}
