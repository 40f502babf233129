/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-ready-list-private.h"

G_BEGIN_DECLS

/*
 * What has a main loop found to be ready already? The part of the wait room that takes the result of another poll. A
 * source hands its findings over when it is dispatched, and the next wait of the same thread takes them instead of
 * asking the kernel again: the wait of the source itself, that of an asynchronous wait, or a select() in a callback.
 *
 * Some files tell their news only once: a second poll would find nothing. The finding stays as long as the descriptor
 * is registered, also if the registration is changed or paused meanwhile. All other files are reported again, so that
 * findings about them count only if no other wait has begun since the poll.
 */
typedef struct
{
  int fd;
  guint32 generation;        /* of the registration that was polled for */
  guint8 events;             /* of SelEventMask */
  guint8 ends;               /* of SelEnds */
  guint8 is_old : 1;         /* left by an earlier turn of the loop; of the mirror only */
  guint64 order;             /* of the registration, if a second poll may find nothing; otherwise 0 */
} SelFinding;

/* With the lock: a select () in the callback of the source tells @events. */
typedef void (*SelFoundFunc) (SelCore             *core,
                              const SelReadyEvent *events,
                              gsize                n_events);

/* The owner is a source; the list of the wait room contains it while it is handed over. While it is not, the thread of
 * the source may use the functions below without the lock. The members belong to this file and sel-found.c. */
struct _SelFound
{
  GArray *findings;          /* of SelFinding */
  gboolean is_complete;      /* the poll has looked at all registered descriptors */
  guint n_waits;             /* how many waits had begun before the poll */
  gpointer thread;
  SelFoundFunc func;         /* or NULL */
  gboolean is_taken;         /* by a wait; it stays in the list until it is taken back */
  gboolean is_asked;         /* a select () has begun or failed, in the callback or in its main loop */
  gsize room;                /* of the last select () in a callback */
  guint32 generation;        /* the last one that was given to a registration before the findings were handed over */
  SelFound *next;
};

void     sel_found_init        (SelFound            *self);
void     sel_found_clear       (SelFound            *self);

/* The same, with the memory of the struct. Freeing NULL does nothing. */
SelFound *sel_found_new        (void);
void     sel_found_free        (SelFound            *self);

/* Adds a finding. @order is that of the registration if the file tells its news only once, and 0 otherwise. */
void     sel_found_add         (SelFound            *self,
                                const SelReadyEvent *event,
                                guint64              order);

/* Moves the findings of @other to the front. */
void     sel_found_put_back    (SelFound            *self,
                                SelFound            *other);

/* TRUE if @self contains findings that a second poll may not repeat. */
gboolean sel_found_tells_once  (SelFound            *self);

/* With the lock: the same, for findings that can be reported now, also those that were left. Drops those whose
 * descriptor was unregistered. */
gboolean sel_found_has_kept    (SelFound            *self,
                                SelCore             *core);

/* Until sel_found_take_back(), the next wait of the calling thread takes as many findings as it has room for. If @func
 * is not NULL, a callback of the program runs until then: only a select () of the program takes them, and @func is
 * called for each select (). Both must be called without the lock. Taking back returns TRUE if no wait has taken
 * anything, and no callback has asked. */
void     sel_found_hand_over   (SelFound            *self,
                                SelCore             *core,
                                SelFoundFunc         func);
gboolean sel_found_take_back   (SelFound            *self,
                                SelCore             *core);

/* With the lock: TRUE if a source of the calling thread has handed something over, and has not taken it back. Its
 * callback runs. */
gboolean sel_found_is_handed_over (SelCore          *core);

/* With the lock: TRUE if a callback of this thread runs that calls select () itself, see sel_found_hand_over(). */
gboolean sel_found_is_asked    (SelCore             *core);

/* Without the lock: a select () of the program begins. */
void     sel_found_note_asked  (SelCore             *core);

/* With the lock, at the end of a wait: calls the function of the source whose callback runs in this thread. */
void     sel_found_tell        (SelCore             *core);

/* With the lock: the owner of @self is destroyed. The next wait of any thread takes the findings that a second poll may
 * not repeat. */
void     sel_found_leave       (SelFound            *self,
                                SelCore             *core);

/* With the lock: reports what was left. */
void     sel_found_take_left   (SelCore             *core);

/* What was left is of no use any more. */
void     sel_found_drop_left   (SelCore             *core);

/* For a wait that begins, with the lock held: reports the findings that were handed over last. Returns: TRUE if the
 * kernel could not tell more, so that it need not be asked */
gboolean sel_found_take        (SelCore             *core);

/* How many waits have begun. Needs no lock. */
static inline guint
sel_found_get_n_waits (SelCore *core)
{
  return __atomic_load_n (&core->wait.n_waits, __ATOMIC_RELAXED);
}

/* The poll begins now: its findings are out of date when another wait has begun. */
static inline void
sel_found_set_now (SelFound *self,
                   SelCore  *core)
{
  self->n_waits = sel_found_get_n_waits (core);
}

/* TRUE if the poll looks at all registered descriptors. */
static inline void
sel_found_set_complete (SelFound *self,
                        gboolean  is_complete)
{
  self->is_complete = is_complete;
}

/* How many findings the last select () in a callback had room for. */
static inline gsize
sel_found_get_room (const SelFound *self)
{
  return self->room;
}

static inline guint
sel_found_get_n (const SelFound *self)
{
  return self->findings->len;
}

/* Gets a finding, which is valid until one is added or taken. */
static inline SelFinding *
sel_found_get (SelFound *self,
               guint     i)
{
  return &g_array_index (self->findings, SelFinding, i);
}

/* Keeps the first @n findings. */
static inline void
sel_found_set_n (SelFound *self,
                 guint     n)
{
  g_array_set_size (self->findings, n);
}

static inline void
sel_found_drop_all (SelFound *self)
{
  sel_found_set_n (self, 0);
}

G_END_DECLS
