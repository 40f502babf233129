/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/* The points of inline functions, too; see core/sel-point-private.h. */
#define SEL_TEST_POINTS 1

#include "core/sel-dispatch-private.h"
#include "room-fixture.h"

/* The fixture of the tests of the dispatch room. The events come from a scripted wait, and entries are taken from
 * batches by hand; no callback is really called. */

/* The data of a callback, which counts how often it was freed. */
typedef struct
{
  Room  *room;
  guint  n_freed;
  void (*act) (Room *room);     /* called when it is freed, or NULL */
} Freed;

/* A destroy notify for @user_data, a Freed. It is called without the lock, while the selector is alive. */
void                 on_freed        (gpointer      user_data);

/* Registers a callback that is never called. */
void                 watch_callback  (Room         *room,
                                      int           fd,
                                      SelEventMask  events,
                                      Freed        *freed);
void                 set_callback    (Room         *room,
                                      int           fd,
                                      Freed        *freed);
SelCallback         *get_callback    (Room         *room,
                                      int           fd);

/* A source, as far as the room knows it. */
typedef struct
{
  Room *room;
  SelBatch *own;
  SelBatch *batch;           /* of the latest dispatch */
  SelReadyEvent events[SEL_MAX_DISPATCH];
} Source;

void                 source_init     (Source       *source,
                                      Room         *room);
void                 source_clear    (Source       *source);

/* Begins a batch of the descriptors in @fds, which ends with -1. Returns how many are ready. */
gssize               begin_fds       (Source       *source,
                                      int          *fds);

#define begin(source, ...) begin_fds (source, (int[]) { __VA_ARGS__, -1 })

const SelBatchEntry *next_entry_of   (Room         *room,
                                      SelBatch     *batch);

/* The descriptor of the next entry, or -1 at the end. */
int                  next            (Source       *source);

void                 end_batch       (Room         *room,
                                      SelBatch     *batch);
void                 end             (Source       *source);

/* TRUE if the batch calls without the lock. */
gboolean             is_fast         (SelBatch     *batch);

/* Stands in for another thread: acts once, when this thread comes to a point. */
void                 act_at_point    (const char   *name,
                                      void        (*act) (Room *room, Source *source),
                                      Room         *room,
                                      Source       *source);
void                 assert_acted    (void);
