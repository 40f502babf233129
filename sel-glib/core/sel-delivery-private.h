/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-key-table-private.h"

G_BEGIN_DECLS

/*
 * Callbacks that are called one after the other for ready descriptors, and the one that is called now, by whatever
 * thread and main loop: a callback may run a loop of its own. Those of a selector are in a list, which the lock of the
 * selector protects.
 *
 * The key and the callback are borrowed from the table. Whoever takes one out of it asks the list, and leaves to it
 * what is in use: that is cheaper than to hold references for each call.
 */
typedef struct _SelDelivery SelDelivery;

struct _SelDelivery
{
  SelSelectorKey *key;       /* NULL: none is called */
  SelCallback *callback;     /* of the descriptor's own, or NULL */
  SelEventMask asked;        /* what the descriptor is registered for */
  gboolean suspect;          /* it is time to see whether the descriptor is of any use, ... */
  gboolean doubtful;         /* ... and whether it is what is ready at all */

  SelDelivery *next;
  guint32 *generation;       /* of the registration that is ready */
  gconstpointer function;    /* stands for what is called, or NULL */
  gpointer thread;           /* NULL: it is not in the list */
  guint owns_key : 1;        /* it is not in the table any more */
  guint owns_callback : 1;
  guint deferred : 1;        /* something is ready for the same function, and waits until it returns */
};

/* Nothing is called any more, and nothing owned. It stays in the list. */
static inline void
sel_delivery_empty (SelDelivery *delivery)
{
  delivery->key = NULL;
  delivery->callback = NULL;
  delivery->function = NULL;
  delivery->owns_key = delivery->owns_callback = delivery->deferred = FALSE;
}

static inline SelDelivery *
sel_deliveries_find (SelDelivery   *deliveries,
                     gconstpointer  function)
{
  while (deliveries != NULL && deliveries->function != function)
    deliveries = deliveries->next;

  return deliveries;
}

/* Takes from @removed, which was taken out of the table, what a delivery uses. */
void            sel_deliveries_spare          (SelDelivery     *deliveries,
                                               SelKeyRest      *removed);

/* The registration that was of @old_generation is now of @generation. */
void            sel_deliveries_follow         (SelDelivery     *deliveries,
                                               int              fd,
                                               guint32          old_generation,
                                               guint32          generation);

/* What @delivery owns it leaves to another one that uses it. */
void            sel_deliveries_bequeath       (SelDelivery     *deliveries,
                                               SelDelivery     *delivery);

void            sel_deliveries_remove         (SelDelivery    **deliveries,
                                               SelDelivery     *delivery);

/* In a child process: the other threads are gone, with what they were at. */
void            sel_deliveries_retain_thread  (SelDelivery    **deliveries,
                                               gpointer         thread);

/* Frees what it owned. May call foreign code. */
void            sel_delivery_clear            (SelDelivery     *delivery);

G_END_DECLS
