/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <pthread.h>

#include "core/sel-core-private.h"
#include "core/sel-fork-private.h"

G_BEGIN_DECLS

/*
 * Which operations may each thread begin now? The room has the lock, the state word, the thread that is in a virtual
 * function, and the process that uses the selector.
 *
 * The state word is atomic because the fast path of a wait begins without the lock: it replaces OPEN alone by OPEN
 * and one of the waiting bits, in one compare-and-exchange. So every bit except OPEN and the waiting bits keeps waits
 * off the fast path. All operations on the word are sequentially consistent (those of g_atomic_int_*): a thread that
 * sets a bit and then reads the waiting bits, and a thread that sets a waiting bit and then reads the others, cannot
 * both miss the other's bit.
 */
typedef enum
{
  SEL_STATE_OPEN = 1 << 0,         /* the kernel's object exists; set last when it is opened */
  SEL_STATE_CLOSED = 1 << 1,       /* sel_base_selector_close () was called */
  SEL_STATE_FORKED = 1 << 2,       /* the kernel's object exists, but a parent process has opened it */
  SEL_STATE_WAITING = 1 << 3,      /* a thread is in select () */
  SEL_STATE_POLLING = 1 << 4,      /* a main loop polls, without waiting */
  SEL_STATE_ASYNC_PENDING = 1 << 5, /* an asynchronous wait is in progress */
  SEL_STATE_CHANGED = 1 << 6,      /* a registration was added, changed or removed since the current wait began */
  SEL_STATE_WOKEN = 1 << 7,        /* sel_base_selector_wakeup () was called, and no wait has ended for it yet */
  SEL_STATE_PAUSED = 1 << 8,       /* some pause ends by itself */
  SEL_STATE_ALWAYS_READY = 1 << 9, /* some registered descriptor is always ready */
  SEL_STATE_SOURCE_BLOCKED = 1 << 10, /* a source polls nothing until the current wait has ended */
  SEL_STATE_FOUND = 1 << 11        /* a source has handed over findings of its context, or has left some */
} SelStateFlags;

#define SEL_STATE_IN_WAIT (SEL_STATE_WAITING | SEL_STATE_POLLING)

/* Added to lock_depth if a virtual function has closed the selector: the outermost unlock then finishes closing it. */
#define SEL_STATE_CLOSE_LATER (1u << 31)

typedef struct
{
  /* Called by the first call in a child process, before it locks: has to drop the unfinished calls of other threads,
   * which do not exist in this process. */
  void (*forked)       (SelCore *core);
  /* Called without the lock after a virtual function has closed the selector: has to finish closing it. */
  void (*finish_close) (SelCore *core);
} SelStateFuncs;

/* Sets the functions of the class that this room calls. */
void     sel_state_set_funcs       (const SelStateFuncs *funcs);

void     sel_state_init            (SelCore         *core);
void     sel_state_clear           (SelCore         *core);
void     sel_state_notice_fork     (SelCore         *core);

/* Begins a wait of the kind @claimed. Fails with %SEL_SELECTOR_ERROR_BUSY if the state has one of the bits @busy. Must
 * be called with the lock held. */
gboolean sel_state_claim           (SelCore         *core,
                                    SelStateFlags    claimed,
                                    SelStateFlags    busy,
                                    GError         **error);

/* Takes away OPEN, so that no wait can begin. FORKED stays, so that sel_base_selector_wakeup() does not use the
 * wake-up descriptor of the parent. Stores in @old_word the state before. FALSE, without an effect, if a wait is in
 * progress. Must be called with the lock held. */
gboolean sel_state_take_open       (SelCore         *core,
                                    guint           *old_word);

/* TRUE if the calling thread is in a virtual function that is called with the lock held. */
gboolean sel_state_in_vfunc        (SelCore         *core);

/* Must be called with the lock held. If the calling thread is in a virtual function, has the last unlock finish closing
 * the selector, and returns TRUE. */
gboolean sel_state_close_later     (SelCore         *core);

/* Fails with %SEL_SELECTOR_ERROR_BUSY if the calling thread is in a virtual function, otherwise locks. For functions
 * that change the registrations or wait. */
gboolean sel_state_lock_to_change_slow (SelCore     *core,
                                    GError         **error);

/* The slow path of sel_state_unlock(). */
void     sel_state_unlock_slow     (SelCore         *core);

/* g_thread_self() takes longer than locking and unlocking together. */
static inline gpointer
sel_thread_self (void)
{
  return (gpointer) (gsize) pthread_self ();
}

static inline void
sel_state_set (SelCore       *core,
               SelStateFlags  flags)
{
  g_atomic_int_or (&core->state.word, flags);
}

static inline void
sel_state_unset (SelCore       *core,
                 SelStateFlags  flags)
{
  g_atomic_int_and (&core->state.word, ~(guint) flags);
}

/* TRUE if any of @flags is set. */
static inline gboolean
sel_state_has (SelCore       *core,
               SelStateFlags  flags)
{
  return ((guint) g_atomic_int_get (&core->state.word) & flags) != 0;
}

/* TRUE if the selector is open and this process has opened it. */
static inline gboolean
sel_state_is_usable (SelCore *core)
{
  return ((guint) g_atomic_int_get (&core->state.word) & (SEL_STATE_OPEN | SEL_STATE_FORKED)) == SEL_STATE_OPEN;
}

/* TRUE if only OPEN is set, apart from the waiting bits. */
static inline gboolean
sel_state_is_fast (SelCore *core)
{
  return ((guint) g_atomic_int_get (&core->state.word) & ~(guint) SEL_STATE_IN_WAIT) == SEL_STATE_OPEN;
}

/* TRUE in a child process that has not called any function of the selector yet. */
static inline gboolean
sel_state_is_new_process (SelCore *core)
{
  return !sel_fork_is_own_process (&core->state.fork_count);
}

/* No ordering is needed: a thread only tests if the value is its own, which no other thread stores or clears. */
static inline gpointer
sel_state_get_vfunc_thread (SelCore *core)
{
  return __atomic_load_n (&core->state.vfunc_thread, __ATOMIC_RELAXED);
}

static inline void
sel_state_set_vfunc_thread (SelCore  *core,
                            gpointer  thread)
{
  __atomic_store_n (&core->state.vfunc_thread, thread, __ATOMIC_RELAXED);
}

/* Begins a wait of the kind @claimed without the lock. FALSE if sel_state_claim() has to decide. */
static inline gboolean
sel_state_try_claim (SelCore       *core,
                     SelStateFlags  claimed)
{
  return G_LIKELY (!sel_state_is_new_process (core) && sel_state_get_vfunc_thread (core) == NULL) &&
         g_atomic_int_compare_and_exchange (&core->state.word, SEL_STATE_OPEN, SEL_STATE_OPEN | claimed);
}

/* The lock is recursive only in the thread that is in a virtual function. */
static inline void
sel_state_lock (SelCore *core)
{
  if (G_UNLIKELY (sel_state_is_new_process (core)))
    sel_state_notice_fork (core);

  if (G_UNLIKELY (sel_state_get_vfunc_thread (core) != NULL) && sel_state_in_vfunc (core))
    {
      core->state.lock_depth++;
    }
  else
    {
      SEL_POINT ("lock");
      g_mutex_lock (&core->state.lock);
    }
}

static inline void
sel_state_unlock (SelCore *core)
{
  if (G_UNLIKELY (core->state.lock_depth > 0))
    sel_state_unlock_slow (core);
  else
    g_mutex_unlock (&core->state.lock);
}

/* Locks for a function that changes the registrations. Fails, without the lock, inside a virtual function. */
static inline gboolean
sel_state_lock_to_change (SelCore  *core,
                          GError  **error)
{
  if (G_UNLIKELY (sel_state_get_vfunc_thread (core) != NULL))
    return sel_state_lock_to_change_slow (core, error);

  sel_state_lock (core);

  return TRUE;
}

/* Around a virtual function that is called with the lock held, because it may call functions of the selector. Returns
 * the thread for sel_state_leave_vfunc(). */
static inline gpointer
sel_state_enter_vfunc (SelCore *core)
{
  gpointer outer = sel_state_get_vfunc_thread (core);

  sel_state_set_vfunc_thread (core, sel_thread_self ());

  return outer;
}

static inline void
sel_state_leave_vfunc (SelCore  *core,
                       gpointer  outer)
{
  sel_state_set_vfunc_thread (core, outer);
}

G_END_DECLS
