/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"

/* --- Batches --- */

/* The callback has returned. The batch stays in the list. */
static inline void
sel_batch_reset (SelBatch *batch)
{
  batch->key = NULL;
  batch->callback = NULL;
  batch->function = NULL;
}

/* The batch that runs @function, or NULL. */
static inline SelBatch *
sel_dispatch_find_running (SelCore       *core,
                           gconstpointer  function)
{
  SelBatch *batch = core->dispatch.batches;

  while (batch != NULL && batch->function != function)
    batch = batch->next;

  return batch;
}

/* Moves the key and the callback from @removed to @batch if the batch uses them. */
static void
sel_batch_retain (SelBatch    *batch,
                  SelKeyExtra *removed)
{
  if (removed->key != NULL && batch->key == removed->key)
    {
      batch->owns_key = TRUE;
      removed->key = NULL;
    }
  if (removed->callback != NULL && batch->callback == removed->callback)
    {
      batch->owns_callback = TRUE;
      removed->callback = NULL;
    }
}

/* Hands the key and the callback that @batch owns over to another batch that uses them. @batch is not in the list, or
 * has been reset. */
static void
sel_dispatch_hand_over (SelCore  *core,
                        SelBatch *batch)
{
  for (SelBatch *other = core->dispatch.batches; other != NULL; other = other->next)
    {
      if (batch->owns_key && other->key == batch->key)
        {
          other->owns_key = TRUE;
          batch->owns_key = FALSE;
        }
      if (batch->owns_callback && other->callback == batch->callback)
        {
          other->owns_callback = TRUE;
          batch->owns_callback = FALSE;
        }
    }
}

static void
sel_batch_clear (SelBatch *batch)
{
  if (batch->owns_key)
    g_object_unref (batch->key);
  if (batch->owns_callback)
    sel_callback_free (batch->callback);
}

void
sel_dispatch_forked (SelCore *core)
{
  SelBatch **batches = &core->dispatch.batches;
  gpointer thread = sel_thread_self ();

  while (*batches != NULL)
    {
      if ((*batches)->thread == thread)
        batches = &(*batches)->next;
      else
        *batches = (*batches)->next;
    }
}

void
sel_dispatch_retain_all (SelCore *core)
{
  for (SelBatch *batch = core->dispatch.batches; batch != NULL; batch = batch->next)
    {
      SelKeySlot *slot = NULL;
      int fd = -1;

      if (batch->key != NULL)
        {
          fd = sel_selector_key_get_fd (batch->key);
          slot = sel_registry_lookup (core, fd);
        }
      if (slot != NULL)
        sel_batch_retain (batch, sel_key_slot_get_extra (slot, fd));
    }
}

/* --- Calling --- */

gssize
sel_dispatch_begin (SelCore        *core,
                    SelReadyEvent  *events,
                    gsize           n_events,
                    GError        **error)
{
  return sel_wait_run (core, 0, events, n_events, SEL_WAIT_DISPATCH, NULL, error);
}

/* The callback has returned, and something is left to do. Frees without the lock. */
static void
sel_dispatch_clean_up (SelCore  *core,
                       SelBatch *batch)
{
  SelBatch finished = *batch;

  sel_batch_reset (batch);
  batch->owns_key = batch->owns_callback = batch->has_deferred = FALSE;
  if (finished.has_deferred && sel_state_is_usable (core))
    sel_pause_resume_deferred (core, finished.function);
  sel_dispatch_hand_over (core, &finished);
  sel_state_unlock (core);

  SEL_POINT ("free-batch");
  sel_batch_clear (&finished);

  sel_state_lock (core);
}

/* The callback has returned. */
static inline void
sel_dispatch_finish (SelCore  *core,
                     SelBatch *batch)
{
  if (G_UNLIKELY (batch->owns_key || batch->owns_callback || batch->has_deferred))
    sel_dispatch_clean_up (core, batch);
  else
    sel_batch_reset (batch);
}

/* If @function runs already, in this thread, which now runs a main loop inside it, or in another thread, the
 * descriptor is paused until the function has returned. */
static inline gboolean
sel_dispatch_defer (SelCore             *core,
                    const SelReadyEvent *event,
                    gconstpointer        function)
{
  SelBatch *running = sel_dispatch_find_running (core, function);

  if (G_LIKELY (running == NULL) || sel_core_get_setting (core, SEL_SETTING_CAN_RECURSE))
    return FALSE;

  running->has_deferred = TRUE;
  sel_pause_defer (core, event, function);

  return TRUE;
}

static void
sel_dispatch_add_batch (SelCore  *core,
                        SelBatch *batch)
{
  batch->thread = sel_thread_self ();
  batch->next = core->dispatch.batches;
  core->dispatch.batches = batch;
}

static inline gboolean
sel_dispatch_enter_locked (SelCore             *core,
                           SelBatch            *batch,
                           const SelReadyEvent *event,
                           gconstpointer        function)
{
  SelKeySlot *slot = sel_registry_find_active (core, event);
  SelCallback *callback;

  if (G_UNLIKELY (slot == NULL))
    return FALSE;

  callback = sel_key_slot_get_extra (slot, event->fd)->callback;
  if (callback != NULL)
    function = callback;
  if (sel_dispatch_defer (core, event, function))
    return FALSE;

  if (G_UNLIKELY (batch->thread == NULL))
    sel_dispatch_add_batch (core, batch);
  batch->key = sel_key_slot_get_key (slot, event->fd);
  batch->callback = callback;
  batch->function = function;
  batch->checks = sel_hangup_count (core, slot, event);

  return TRUE;
}

gboolean
sel_dispatch_enter (SelCore             *core,
                    SelBatch            *batch,
                    const SelReadyEvent *event,
                    gconstpointer        function)
{
  gboolean success;

  sel_state_lock (core);
  sel_dispatch_finish (core, batch);
  success = sel_dispatch_enter_locked (core, batch, event, function);
  sel_state_unlock (core);

  return success;
}

static void
sel_dispatch_remove_batch (SelCore  *core,
                           SelBatch *batch)
{
  SelBatch **batches = &core->dispatch.batches;

  while (*batches != batch)
    batches = &(*batches)->next;
  *batches = batch->next;
}

void
sel_dispatch_end (SelCore  *core,
                  SelBatch *batch)
{
  /* It is not in the list if nothing was called. */
  if (batch->thread == NULL)
    return;

  sel_state_lock (core);
  sel_dispatch_remove_batch (core, batch);
  sel_dispatch_finish (core, batch);
  sel_state_unlock (core);
}

/* --- Freeing --- */

void
sel_dispatch_unlock_and_free_slow (SelCore     *core,
                                   SelKeyExtra *removed)
{
  for (SelBatch *batch = core->dispatch.batches; batch != NULL; batch = batch->next)
    sel_batch_retain (batch, removed);
  if (removed->callback != NULL && sel_notify_give_garbage (core, removed->callback))
    removed->callback = NULL;
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
