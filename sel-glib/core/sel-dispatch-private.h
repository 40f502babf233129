/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-hangup-private.h"
#include "core/sel-ready-list-private.h"
#include "core/sel-wait-private.h"

G_BEGIN_DECLS

/*
 * Which callback runs now, and which memory does it still use? A batch has the callbacks for the descriptors that one
 * turn of a main loop has found to be ready; its callbacks are called one after the other. Callbacks may run main
 * loops of their own, and several threads may call callbacks, so that a selector has a list of batches.
 *
 * A batch borrows keys and callbacks from the table, without a reference for each call and, on the fast path, without
 * the lock. It publishes the entry that it is about to call, and then checks that nothing has changed:
 *
 *     batch:   current = entry;    changes == seen_changes ?  call it : look it up again with the lock
 *     changer: [lock] changes++;   is the removed callback that of some batch's current?  [unlock]
 *                                  yes: that batch frees it (retains it); no: it may be freed
 *
 * The four operations are sequentially consistent: either the batch sees the new number, or the changer sees the
 * published entry. The same holds when a batch ends, with NULL as its current entry. While the process has one thread,
 * that thread sees its own stores, and the order for others is left out. All other members are written with the lock
 * held; the thread of the batch reads its own without it.
 *
 * Only a batch that is alone uses the fast path. If two batches are in use, because a callback runs a main loop or
 * two threads call callbacks, each entry is looked up and published with the lock held, so that no function runs twice
 * at once. A batch that begins while another one is in use counts as a change, which takes that one off the fast path.
 */
struct _SelBatchEntry
{
  /* Of the room only, as the members of SelBatch. */
  SelCallback *callback;     /* the callback of the descriptor, or NULL if it has none of its own */
  SelSelectorKey *key;       /* NULL: no callback */
  guint events;              /* the events that the descriptor is ready for, and the checks that are due */
};

/* A bit in the ends of an event after its batch: the callback was not called, because the registration was changed or
 * paused meanwhile, or because the function was running already. */
#define SEL_DISPATCH_SKIPPED (1u << 3)

/* The events are in the lower bits, SelHangupChecks in the upper ones: one comparison tells that no check is due. */
#define SEL_BATCH_CHECKS_SHIFT 8

struct _SelBatch
{
  const SelBatchEntry *current; /* atomic: the entry that runs; NULL: the batch is not in use */
  SelBatchEntry *next_entry; /* to be called next */
  SelBatchEntry *valid_end;  /* the entries before this one were looked up when seen_changes was the number */
  gsize seen_changes;
  SelBatchEntry *end;
  SelReadyEvent *events;     /* one for each entry */
  gconstpointer function;    /* identifies the function of descriptors that have no callback */
  gpointer thread;
  guint n_ahead;             /* how many entries to look up ahead of the next one */
  gboolean is_alone;         /* no other batch was in use when the last entry was looked up */
  gboolean is_over;          /* a later batch of the same source has replaced this one */
  gboolean is_nested;        /* the batch is on the heap, and in the list only while it is in use */
  gboolean has_deferred;     /* descriptors are paused until the function has returned */
  SelSelectorKey *owned_key; /* of the current entry, and not in the table any more; or NULL */
  SelCallback *owned_callback;
  SelBatch *next;
  SelBatchEntry *entries;
  gsize size;                /* the number of elements in entries */
};

SelBatch *sel_batch_new                (void);
void     sel_batch_free                (SelBatch            *batch);

/* In a child process: the batches of other threads do not exist any more. */
void     sel_dispatch_forked           (SelCore             *core);

/* The batch of a source. It is in the list as long as the source exists, which makes its use cheap. Must be called with
 * the lock held. Removing does nothing if the batch is not in the list. */
void     sel_dispatch_add_batch        (SelCore             *core,
                                        SelBatch            *batch);
void     sel_dispatch_remove_batch     (SelCore             *core,
                                        SelBatch            *batch);

/* The number of elements that the arrays for the next functions should have. */
static inline gsize
sel_dispatch_get_room (SelCore *core)
{
  guint room = sel_key_table_get_n_keys (sel_registry_get_table (core)) + 1; /* one for the wake-up descriptor */
  guint max_dispatch = sel_core_get_setting (core, SEL_SETTING_MAX_DISPATCH);

  return MIN (room, max_dispatch);
}

/* Stores the ready descriptors in @events without waiting. Returns how many descriptors are ready, or -1. Must be
 * called without the lock, as the next three functions. */
gssize   sel_dispatch_poll             (SelCore             *core,
                                        SelReadyEvent       *events,
                                        gsize                n_events,
                                        GError             **error);

/* The same, and fills @batch with their callbacks if there are any. @batch is that of the source; if it is in use,
 * because a callback runs a main loop, it is over, and @batch is replaced by a nested one. @function stands for the
 * function that is called if a descriptor has no callback. */
gssize   sel_dispatch_begin            (SelCore             *core,
                                        SelBatch           **batch,
                                        gconstpointer        function,
                                        SelReadyEvent       *events,
                                        gsize                n_events,
                                        GError             **error);

/* The slow paths of the next two functions. */
const SelBatchEntry *
         sel_dispatch_next_slow        (SelCore             *core,
                                        SelBatch            *batch);
void     sel_dispatch_end_slow         (SelCore             *core,
                                        SelBatch            *batch);

/* Stores the key and the callback in @entry. They may be replaced while the event is still right. */
static inline void
sel_batch_entry_look_up (SelBatchEntry *entry,
                         SelKeySlot    *slot,
                         SelKeyExtra   *extra,
                         int            fd)
{
  entry->callback = extra->callback;
  entry->key = extra->key;
  if (G_UNLIKELY (entry->key == NULL))
    entry->key = sel_key_slot_make_key (slot, fd);
}

/* Fills @entry for @event, and counts the call. */
static inline void
sel_batch_entry_fill (SelBatchEntry       *entry,
                      SelCore             *core,
                      SelKeySlot          *slot,
                      SelKeyExtra         *extra,
                      const SelReadyEvent *event)
{
  int fd = event->fd;
  guint events = event->events | sel_hangup_count (core, slot, event) << SEL_BATCH_CHECKS_SHIFT;

  sel_batch_entry_look_up (entry, slot, extra, fd);
  entry->events = events;
}

/* The same as sel_ready_event_fill_tagged(), and fills @entry for the event. */
static inline gboolean
sel_batch_entry_fill_tagged (SelBatchEntry *entry,
                             SelCore       *core,
                             SelReadyEvent *event,
                             SelKeyTable   *table,
                             int            fd,
                             guint32        tag,
                             SelEventMask   events)
{
  SelKeySlot *slot = sel_key_table_get_slot (table, fd);

  if (G_UNLIKELY (slot == NULL || !sel_key_slot_is_ready (slot, tag, &events)))
    return FALSE;

  /* The entry has the key, so that nobody needs the data of the event. */
  event->fd = fd;
  event->events = events;
  event->generation = tag;
  event->ends = 0;
  sel_batch_entry_fill (entry, core, slot, sel_key_slot_get_extra (slot, fd), event);

  return TRUE;
}

/* Publishes @entry: the next thing that the thread reads is the number of changes. */
static inline void
sel_batch_set_current (SelBatch            *batch,
                       const SelBatchEntry *entry)
{
  if (sel_is_single_threaded ())
    __atomic_store_n (&batch->current, entry, __ATOMIC_RELEASE);
  else
    __atomic_store_n (&batch->current, entry, __ATOMIC_SEQ_CST);
}

/* After the callback before has returned: gets the next entry to be called. Leaves out entries whose registration was
 * changed, paused or removed since the event was reported, and those whose function runs already; the descriptor of
 * such a one is paused until that has returned. May call foreign code. Returns: FALSE at the end */
static inline gboolean
sel_dispatch_next (SelCore              *core,
                   SelBatch             *batch,
                   const SelBatchEntry **next)
{
  SelBatchEntry *entry = batch->next_entry;

  if (G_LIKELY (entry != batch->valid_end))
    {
      *next = entry;
      batch->next_entry = entry + 1;
      sel_batch_set_current (batch, entry);
      SEL_POINT ("batch-published");
      if (G_LIKELY (sel_notify_get_changes (core) == batch->seen_changes))
        return TRUE;
      batch->next_entry = entry; /* to be looked up again */
    }
  else if (entry == batch->end && batch->is_alone)
    {
      return FALSE; /* sel_dispatch_end() does the rest */
    }

  *next = sel_dispatch_next_slow (core, batch);

  return *next != NULL;
}

/* After the last callback of @batch has returned. May call foreign code. */
static inline void
sel_dispatch_end (SelCore  *core,
                  SelBatch *batch)
{
  if (G_LIKELY (batch->is_alone))
    {
      sel_batch_set_current (batch, NULL);
      SEL_POINT ("batch-ended");
      if (G_LIKELY (sel_notify_get_changes (core) == batch->seen_changes))
        return;
    }

  sel_dispatch_end_slow (core, batch);
}

/* The events that the descriptor is ready for. */
static inline SelEventMask
sel_batch_entry_get_events (const SelBatchEntry *entry)
{
  return entry->events & ((1u << SEL_BATCH_CHECKS_SHIFT) - 1);
}

/* The checks to make before the call, by sel_hangup_check(). */
static inline SelHangupChecks
sel_batch_entry_get_checks (const SelBatchEntry *entry)
{
  return entry->events >> SEL_BATCH_CHECKS_SHIFT;
}

static inline gboolean
sel_batch_entry_has_checks (const SelBatchEntry *entry)
{
  return G_UNLIKELY (entry->events >= 1u << SEL_BATCH_CHECKS_SHIFT);
}

/* For the thread of the batch, after the checks: the callback is called for @events only. */
static inline void
sel_batch_set_events (SelBatch            *batch,
                      const SelBatchEntry *entry,
                      SelEventMask         events)
{
  batch->entries[entry - batch->entries].events = events;
}

/* For the thread of the batch: how many entries it has passed, called or left out. */
static inline gssize
sel_batch_get_n_passed (const SelBatch *batch)
{
  return batch->next_entry - batch->entries;
}

/* For the thread of the batch: the event of an entry. */
static inline const SelReadyEvent *
sel_batch_get_event (const SelBatch      *batch,
                     const SelBatchEntry *entry)
{
  return &batch->events[entry - batch->entries];
}

/* For the thread of the batch, in a callback: the event of that. */
static inline const SelReadyEvent *
sel_batch_get_current_event (const SelBatch *batch)
{
  return sel_batch_get_event (batch, __atomic_load_n (&batch->current, __ATOMIC_RELAXED));
}

/* The slow path of the next function. */
void     sel_dispatch_end_own_slow     (SelCore             *core,
                                        SelReadyEvent       *told,
                                        gsize                n_told);

/* The calling thread has waited by itself, perhaps in a callback: the rest of its batches was found before that, and is
 * over. If more may be ready than it was told, @told is not NULL, and only the entries of those are left out; @told is
 * sorted then. Must be called without the lock. */
static inline void
sel_dispatch_end_own (SelCore       *core,
                      SelReadyEvent *told,
                      gsize          n_told)
{
  if (G_UNLIKELY (sel_notify_counts_changes (core)))
    sel_dispatch_end_own_slow (core, told, n_told);
}

/* The slow path of the next function. */
gboolean sel_dispatch_is_in_own        (SelCore             *core);

/* The flag for a wait of the calling thread, if a callback of the selector has called it. It matters only while
 * descriptors are paused. Must be called without the lock. */
static inline SelWaitFlags
sel_dispatch_get_wait_flags (SelCore *core)
{
  if (G_UNLIKELY (sel_state_has (core, SEL_STATE_FOUND)))
    sel_found_note_asked (core);
  if (G_LIKELY (!sel_state_has (core, SEL_STATE_PAUSED)) || !sel_dispatch_is_in_own (core))
    return 0;

  return SEL_WAIT_IN_CALLBACK;
}

/* The callback of @fd has asked to be removed: unregisters @fd, unless it has another callback now. */
void     sel_dispatch_remove_callback  (SelCore             *core,
                                        int                  fd,
                                        SelCallback         *callback);

/* Without the lock: calls the callback of @entry, or @func if it has none. If the callback asks to be
 * removed, unregisters the descriptor. Returns: FALSE if @func asks to be removed */
static inline gboolean
sel_dispatch_call (SelCore             *core,
                   SelBaseSelector     *selector,
                   const SelBatchEntry *entry,
                   SelSelectorFunc      func,
                   gpointer             user_data)
{
  gboolean goes_on;

  if (entry->callback != NULL)
    {
      func = (SelSelectorFunc) entry->callback->func;
      user_data = entry->callback->user_data;
    }

  goes_on = func (selector, entry->key, sel_batch_entry_get_events (entry), user_data);
  if (G_LIKELY (goes_on) || entry->callback == NULL)
    return goes_on;

  sel_dispatch_remove_callback (core, sel_selector_key_get_fd (entry->key), entry->callback);

  return TRUE;
}

/* With the lock held: the table is about to be freed. Running callbacks retain the key and the callback that they
 * use. */
void     sel_dispatch_retain_all       (SelCore             *core);

/* The slow path of the next function. */
void     sel_dispatch_unlock_and_free_slow (SelCore         *core,
                                        SelKeyExtra         *removed);

/* Must be called with the lock held. Unlocks, and then frees the members of @removed, unless a batch uses them. May
 * call foreign code. */
static inline void
sel_dispatch_unlock_and_free (SelCore     *core,
                              SelKeyExtra *removed)
{
  if (G_UNLIKELY (removed->callback != NULL || (removed->key != NULL && core->dispatch.batches != NULL)))
    {
      sel_dispatch_unlock_and_free_slow (core, removed);
      return;
    }

  sel_state_unlock (core);
  SEL_POINT ("free");
  if (removed->key != NULL || removed->attachment != NULL)
    sel_key_extra_clear (removed);
}

G_END_DECLS
