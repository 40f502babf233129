/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-state-private.h"

G_BEGIN_DECLS

/*
 * Which threads and main loops have to know that something has changed? A waiting thread is woken through the wake-up
 * descriptor. A main loop is told through an observer, which the source in its context implements.
 *
 * All functions but sel_notify_wake(), sel_notify_add_observer() and sel_notify_remove_observer() must be called with the lock held.
 */
typedef struct _SelObserver SelObserver;

typedef struct
{
  /* The set of events that the kernel waits for on @fd has changed, or on any descriptor if @fd is -1. Called with the
   * lock held. */
  void (*poll_set_changed) (SelObserver    *observer,
                            int             fd);
  /* Takes a reference, with the lock held, for one of the two functions below. These are called without the lock, and
   * give the reference back. */
  void (*ref)              (SelObserver    *observer);
  /* Calls @func in the thread that calls the callbacks, so that no callback runs meanwhile. */
  void (*invoke)           (SelObserver    *observer,
                            GDestroyNotify  func,
                            gpointer        data);
  /* The selector is being closed. */
  void (*closed)           (SelObserver    *observer);
} SelObserverFuncs;

struct _SelObserver
{
  const SelObserverFuncs *funcs;
};

void         sel_notify_init             (SelCore         *core);
void         sel_notify_clear            (SelCore         *core);

/* In a child process. */
void         sel_notify_forked           (SelCore         *core);

/* The wake-up descriptor exists while the selector is open. */
gboolean     sel_notify_open_wakeup      (SelCore         *core,
                                          GError         **error);
void         sel_notify_close_wakeup     (SelCore         *core);

/* Returns: FALSE if there was no wake-up to be drained */
gboolean     sel_notify_drain_wakeup     (SelCore         *core);

/* Ends the kernel's wait. Takes no lock and may be called in a signal handler. */
void         sel_notify_wake             (SelCore         *core);

/* Makes @cancellable end the kernel's wait, also after the selector was finalized. */
gulong       sel_notify_connect_cancellable (SelCore      *core,
                                          GCancellable    *cancellable);

void         sel_notify_set_wait_sees_updates (SelCore    *core,
                                          gboolean         wait_sees_updates);

/* FALSE, without an effect, if the selector is closed. */
gboolean     sel_notify_add_observer     (SelCore         *core,
                                          SelObserver     *observer);
void         sel_notify_remove_observer  (SelCore         *core,
                                          SelObserver     *observer);

/* Tells the observers only. */
void         sel_notify_observers        (SelCore         *core,
                                          int              fd);

void         sel_notify_changed_slow     (SelCore         *core,
                                          int              fd);

/* A reference to an observer that knows in which thread callbacks are called, or NULL. */
SelObserver *sel_notify_ref_observer     (SelCore         *core);

/* Without the lock: frees callbacks in the thread that calls them, so that none is freed while it runs. Gives back the
 * reference to @observer, which may be NULL. */
void         sel_notify_free_callbacks   (SelObserver     *observer,
                                          GDestroyNotify   func,
                                          gpointer         callbacks);

/* Takes all observers out, with a reference to each for sel_notify_close_observers(). Returns NULL if there are none. */
GPtrArray   *sel_notify_steal_observers  (SelCore         *core);

/* Without the lock: tells @observers, which may be NULL, that the selector is closed, and frees the array. */
void         sel_notify_close_observers  (GPtrArray       *observers);

/* The descriptor that the kernel has to wait for besides the registered ones; -1 while the selector is not open. */
static inline int
sel_notify_get_fd (SelCore *core)
{
  return core->notify.wakeup->read_fd;
}

/* The set of events that the kernel waits for on @fd has changed, or on any descriptor if @fd is -1. */
static inline void
sel_notify_changed (SelCore *core,
                    int      fd)
{
  if (G_UNLIKELY (core->notify.observers != NULL || sel_state_has (core, SEL_STATE_IN_WAIT)))
    sel_notify_changed_slow (core, fd);
}

G_END_DECLS
