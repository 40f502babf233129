/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-hangup-private.h"

G_BEGIN_DECLS

/*
 * Which callback runs now, and which memory does it still use? A batch has the callbacks for the descriptors that one
 * turn of a main loop has found to be ready; its callbacks are called one after the other. Callbacks may run main
 * loops of their own, and several threads may call callbacks, so that a selector has a list of batches.
 *
 * A batch borrows the key and the callback that it calls now from the table. A function that takes one of them out of
 * the table asks the list, and leaves a key or callback in use to the batch (retains it). That is cheaper than a
 * reference for each call.
 */
struct _SelBatch
{
  SelSelectorKey *key;       /* NULL: no callback runs */
  SelCallback *callback;     /* the callback of the descriptor, or NULL if it has none of its own */
  SelHangupChecks checks;    /* the checks that are due before the call */

  /* Of the room only. */
  SelBatch *next;
  gconstpointer function;    /* identifies the function that runs, or NULL */
  gpointer thread;           /* NULL: the batch is not in the list */
  guint owns_key : 1;        /* the key is not in the table any more */
  guint owns_callback : 1;
  guint has_deferred : 1;    /* a descriptor is paused until the function has returned */
};

/* In a child process: the batches of other threads do not exist any more. */
void     sel_dispatch_forked           (SelCore             *core);

/* Stores the ready descriptors in @events, without waiting. Returns how many descriptors are ready, or -1. Must be
 * called without the lock, as the next three functions. */
gssize   sel_dispatch_begin            (SelCore             *core,
                                        SelReadyEvent       *events,
                                        gsize                n_events,
                                        GError             **error);

/* Fills @batch for the call of the callback of @event, after the callback before has returned. @function stands for
 * the function that is called if the descriptor has no callback. Returns: FALSE if nothing is to be called, because
 * the registration was changed, paused or removed since the event was reported, or because the same function runs
 * already; then the descriptor is paused until that returns */
gboolean sel_dispatch_enter            (SelCore             *core,
                                        SelBatch            *batch,
                                        const SelReadyEvent *event,
                                        gconstpointer        function);

/* After the last callback of @batch has returned. May call foreign code. */
void     sel_dispatch_end              (SelCore             *core,
                                        SelBatch            *batch);

/* The callback of @fd has asked to be removed: unregisters @fd, unless it has another callback now. */
void     sel_dispatch_remove_callback  (SelCore             *core,
                                        int                  fd,
                                        SelCallback         *callback);

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
  if (G_UNLIKELY (core->dispatch.batches != NULL || removed->callback != NULL))
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
