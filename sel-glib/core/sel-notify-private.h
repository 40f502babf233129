/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-state-private.h"

G_BEGIN_DECLS

/*
 * Which threads and main loops have to know that something has changed? A waiting thread is woken through the wake-up
 * descriptor. A source of a main loop has a watcher: other threads store in it the work that the source has to do,
 * and ring its bell, a descriptor that the context polls. The source does the work in its own thread, so that no
 * other thread touches the context or the source.
 *
 * All functions must be called with the lock held, except where stated.
 */

typedef enum
{
  SEL_WATCHER_SYNC = 1 << 0,     /* the context may have to poll other descriptors */
  SEL_WATCHER_GARBAGE = 1 << 1,  /* there are callbacks to be freed */
  SEL_WATCHER_CLOSED = 1 << 2    /* the selector is closed */
} SelWatcherFlags;

/* The owner of a watcher is a source. The members belong to sel-notify.c; those that are not marked are protected by
 * the lock of the selector. */
struct _SelWatcher
{
  SelWakeup *bell;           /* reference counted; not open if the system has no descriptors left */
  gpointer thread;           /* atomic: the thread that has made the source, or has prepared it last */
  guint flags;               /* atomic: of SelWatcherFlags */
  gboolean is_prepared;      /* atomic: the context is about to poll, or polls */
  gboolean is_rung;          /* the bell has to be drained */
  gboolean was_rung;         /* of the thread only: the bell was drained or opened since the rings were forgotten */
  gboolean is_inherited;     /* in a child process: the bell is that of the parent */
  gboolean keeps_selector;   /* the source has a reference to the selector; see sel_notify_keep_selector() */
  gboolean mirrored;         /* the context polls each armed descriptor */
  gboolean changed_all;      /* all descriptors may have changed ... */
  GArray *changed_fds;       /* ... or these */
  GPtrArray *garbage;        /* callbacks to be freed by the thread, or NULL */

  /* See sel_watcher_init(). The last two may be NULL. */
  void (*on_close) (SelWatcher *watcher);
  void (*ref) (SelWatcher *watcher);
  gboolean (*is_destroyed) (SelWatcher *watcher);
};

void         sel_notify_init             (SelCore         *core);
void         sel_notify_clear            (SelCore         *core);

/* Called in a child process before the lock is used. */
void         sel_notify_forked           (SelCore         *core);

/* The wake-up descriptor exists while the selector is open. */
gboolean     sel_notify_open_wakeup      (SelCore         *core,
                                          GError         **error);
void         sel_notify_close_wakeup     (SelCore         *core);

/* Does nothing while a descriptor is always ready: a wait would end at once, and programs that poll the descriptor of
 * the mechanism have to see that. Returns: FALSE if there was no wake-up to be drained */
gboolean     sel_notify_drain_wakeup     (SelCore         *core);

/* Ends the kernel's wait. Needs no lock and may be called in a signal handler. */
void         sel_notify_wake             (SelCore         *core);

/* Makes @cancellable end the kernel's wait, also after the selector was finalized. */
gulong       sel_notify_connect_cancellable (SelCore      *core,
                                          GCancellable    *cancellable);

void         sel_notify_set_wait_sees_updates (SelCore    *core,
                                          gboolean         wait_sees_updates);

/* Without the lock. The watcher belongs to the calling thread, which has to open the bell. Returns: FALSE, without an
 * effect, if the selector is closed */
gboolean     sel_notify_add_watcher      (SelCore         *core,
                                          SelWatcher      *watcher);

/* Does nothing if the watcher is not in the list. The other sources have to end the pauses that this one would have
 * ended. */
void         sel_notify_remove_watcher   (SelCore         *core,
                                          SelWatcher      *watcher);
gboolean     sel_notify_has_watchers     (SelCore         *core);

/* Returns: (nullable): the first watcher for which @matches returns TRUE */
SelWatcher  *sel_notify_find_watcher     (SelCore         *core,
                                          gboolean       (*matches) (SelWatcher *watcher, gpointer data),
                                          gpointer         data);

/* The selector is being disposed of. The watchers that are still in the list get a reference, so that their sources,
 * in other threads, can stop polling. */
void         sel_notify_keep_selector    (SelCore         *core);

/* In the thread of the watcher, without the lock: closes the bell and frees the members. The watcher is not in the
 * list. */
void         sel_watcher_clear           (SelWatcher      *watcher);

/* In the thread that prepares the source, and becomes the thread of the watcher: takes SEL_WATCHER_SYNC away, and
 * drains the bell if it was rung, here or as @is_rung tells. Remembers whether it was rung, or may have been while it
 * was not open. Returns: FALSE if the bell has to be opened anew */
gboolean     sel_watcher_begin_sync      (SelWatcher      *watcher,
                                          gboolean         is_rung);

/* In the thread of the watcher: takes the descriptors that the context may have to poll in another way than before.
 * Sets @all to TRUE if these are all of them; the array is empty then. Returns: (nullable) (transfer full): an array of
 * int */
GArray      *sel_watcher_steal_changed_fds (SelWatcher    *watcher,
                                          gboolean        *all);

/* In the thread of the watcher: closes the bell, so that it can be opened anew. */
void         sel_watcher_close_bell      (SelWatcher      *watcher);

/* In the thread of the watcher: takes the callbacks to be freed. Returns: (nullable): an array that frees them */
GPtrArray   *sel_watcher_steal_garbage   (SelWatcher      *watcher);

/* Tells all watchers, but no waiting thread. */
void         sel_notify_watchers         (SelCore         *core,
                                          int              fd);

void         sel_notify_changed_slow     (SelCore         *core,
                                          int              fd);

/* Lets the thread that calls the callbacks free @callback, so that it is not freed while that thread is about to call
 * it. Returns: FALSE if the calling thread has to free it, after it has given back the lock */
gboolean     sel_notify_give_garbage     (SelCore         *core,
                                          SelCallback     *callback);

/* Takes the callbacks that were given to sources that are destroyed now. Returns: (nullable): an array that frees them;
 * the calling thread has to free it, after it has given back the lock */
GPtrArray   *sel_notify_take_garbage     (SelCore         *core);

/* Tells all watchers that the selector is closed. Returns: (nullable): the watchers of the calling thread, which were
 * taken out of the list, with a reference to each; call sel_watcher_close() for each, without the lock */
GPtrArray   *sel_notify_close_watchers   (SelCore         *core);

/* A batch of callbacks has to know if the table has changed since its entries were looked up. While there is no batch,
 * changes are not counted. */
static inline void
sel_notify_set_counts_changes (SelCore  *core,
                               gboolean  counts_changes)
{
  __atomic_store_n (&core->notify.counts_changes, counts_changes, __ATOMIC_RELAXED);
}

/* Needs no lock, and no order: a thread that calls callbacks sees the value that it has set. */
static inline gboolean
sel_notify_counts_changes (SelCore *core)
{
  return __atomic_load_n (&core->notify.counts_changes, __ATOMIC_RELAXED);
}

/* Sequentially consistent, as the next function: sel-dispatch-private.h says why. */
static inline void
sel_notify_count_change (SelCore *core)
{
  if (G_LIKELY (!core->notify.counts_changes))
    return;

  if (sel_is_single_threaded ())
    __atomic_store_n (&core->notify.changes, core->notify.changes + 1, __ATOMIC_RELAXED);
  else
    __atomic_fetch_add (&core->notify.changes, 1, __ATOMIC_SEQ_CST);
}

/* Needs no lock. */
static inline gsize
sel_notify_get_changes (SelCore *core)
{
  return __atomic_load_n (&core->notify.changes, __ATOMIC_SEQ_CST);
}

/* TRUE if the calling thread is the thread of the watcher. Needs no lock, and no order: see
 * sel_state_get_vfunc_thread(). */
static inline gboolean
sel_watcher_is_own (SelWatcher *watcher)
{
  return __atomic_load_n (&watcher->thread, __ATOMIC_RELAXED) == sel_thread_self ();
}

/* --- For sources --- */

/* Before the watcher is added. @on_close is called without the lock, and only in the thread of the watcher: the
 * selector is closed, and the context must not poll the descriptor of the mechanism any more. It drops the reference
 * that @ref has taken. The others are called with the lock. @is_destroyed may be called in any thread; it returns TRUE
 * if the source is destroyed, so that it does no work any more. Its watcher stays in the list as long as the program
 * has a reference to the source. */
static inline void
sel_watcher_init (SelWatcher  *watcher,
                  void       (*on_close)     (SelWatcher *watcher),
                  void       (*ref)          (SelWatcher *watcher),
                  gboolean   (*is_destroyed) (SelWatcher *watcher))
{
  watcher->on_close = on_close;
  watcher->ref = ref;
  watcher->is_destroyed = is_destroyed;
}

/* In the thread of the watcher, without the lock. */
static inline void
sel_watcher_close (SelWatcher *watcher)
{
  watcher->on_close (watcher);
}

/* TRUE if any of @flags is set. Needs no lock. */
static inline gboolean
sel_watcher_has (SelWatcher      *watcher,
                 SelWatcherFlags  flags)
{
  return ((guint) g_atomic_int_get (&watcher->flags) & flags) != 0;
}

/* The source has to look again in the next prepare(). Needs no lock. */
static inline void
sel_watcher_request_sync (SelWatcher *watcher)
{
  g_atomic_int_or (&watcher->flags, SEL_WATCHER_SYNC);
}

/* The descriptor by which other threads wake the context. It is valid until the watcher is cleared, but may be closed.
 * */
static inline SelWakeup *
sel_watcher_get_bell (SelWatcher *watcher)
{
  return watcher->bell;
}

/* TRUE in a child process, until the bell is closed. */
static inline gboolean
sel_watcher_is_inherited (const SelWatcher *watcher)
{
  return watcher->is_inherited;
}

/* In the thread of the watcher, or in the one that frees the source, without the lock: TRUE from the end of prepare()
 * until the poll() has returned. */
static inline void
sel_watcher_set_prepared (SelWatcher *watcher,
                          gboolean    is_prepared)
{
  __atomic_store_n (&watcher->is_prepared, is_prepared, __ATOMIC_RELAXED);
}

static inline gboolean
sel_watcher_is_prepared (const SelWatcher *watcher)
{
  return __atomic_load_n (&watcher->is_prepared, __ATOMIC_RELAXED);
}

/* In the thread of the watcher: TRUE if the bell was rung, or may have been rung, since sel_watcher_forget_rings(). */
static inline gboolean
sel_watcher_was_rung (const SelWatcher *watcher)
{
  return watcher->was_rung;
}

static inline void
sel_watcher_forget_rings (SelWatcher *watcher)
{
  watcher->was_rung = FALSE;
}

/* TRUE if the context polls each armed descriptor. */
static inline void
sel_watcher_set_mirrored (SelWatcher *watcher,
                          gboolean    mirrored)
{
  watcher->mirrored = mirrored;
}

static inline gboolean
sel_watcher_is_mirrored (const SelWatcher *watcher)
{
  return watcher->mirrored;
}

/* The context polls nothing, so that each descriptor has changed. */
static inline void
sel_watcher_set_all_changed (SelWatcher *watcher)
{
  watcher->changed_all = TRUE;
}

static inline gboolean
sel_watcher_has_all_changed (const SelWatcher *watcher)
{
  return watcher->changed_all;
}

/* TRUE if the source has a reference to the selector. */
static inline void
sel_watcher_set_keeps_selector (SelWatcher *watcher,
                                gboolean    keeps_selector)
{
  watcher->keeps_selector = keeps_selector;
}

static inline gboolean
sel_watcher_keeps_selector (const SelWatcher *watcher)
{
  return watcher->keeps_selector;
}

/* --- For other rooms --- */

/* The descriptor that the kernel has to wait for besides the registered ones; -1 while the selector is not open. */
static inline int
sel_notify_get_fd (SelCore *core)
{
  return core->notify.wakeup->read_fd;
}

/* Called before the kernel is told about a change. A wait that does not see changes has to end: it will look again, and
 * the kernel may refuse changes until then. The waiting thread then needs the lock, which the caller holds. */
static inline void
sel_notify_will_update (SelCore *core)
{
  if (G_UNLIKELY (!core->notify.wait_sees_updates) && sel_state_has (core, SEL_STATE_IN_WAIT))
    sel_notify_wake (core);
}

/* The set of events that the kernel waits for on @fd has changed, or on any descriptor if @fd is -1. */
static inline void
sel_notify_changed (SelCore *core,
                    int      fd)
{
  if (G_UNLIKELY (core->notify.watchers != NULL || sel_state_has (core, SEL_STATE_IN_WAIT)))
    sel_notify_changed_slow (core, fd);
}

G_END_DECLS
