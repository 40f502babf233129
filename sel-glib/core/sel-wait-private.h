/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <math.h>

#include "core/sel-found-private.h"
#include "core/sel-lifecycle-private.h"
#include "core/sel-ready-list-private.h"
#include "core/sel-timeout-private.h"

G_BEGIN_DECLS

/*
 * How long to wait, and why has the wait ended? All forms of select () come here. A wait on the fast path takes the
 * lock only after the kernel has returned. The slow path handles everything else: closing, forks, pauses, wake-ups,
 * cancellation, signals, and descriptors that are always ready.
 */

/* The kind of a wait. Without the first two flags, a thread waits in select (). */
typedef enum
{
  SEL_WAIT_DISPATCH = 1 << 0,      /* a main loop, for its callbacks */
  SEL_WAIT_ASYNC = 1 << 1,         /* an asynchronous wait */
  SEL_WAIT_INTERRUPTIBLE = 1 << 2, /* a signal ends the wait */
  SEL_WAIT_IN_CALLBACK = 1 << 3    /* it is called by a callback that a main loop has called for this selector */
} SelWaitFlags;

/* Descriptors whose callbacks ignore that they have ended get at most this part, 1/16, of the places in the list of a
 * main loop. If there are thousands of them, others need not wait for their turn. */
#define SEL_WAIT_IGNORED_SHARE 16

/* It is at least this number, so that a small room, too, has twice the share of those whose pauses end. */
#define SEL_WAIT_MIN_IGNORED 2

typedef enum
{
  SEL_WAIT_FAILED,
  SEL_WAIT_DONE,
  SEL_WAIT_TOO_SHORT,        /* there is time left */
  SEL_WAIT_NEEDS_ROOM        /* more descriptors are ready than there was room for */
} SelWaitResult;

void          sel_wait_init               (SelCore        *core);
void          sel_wait_clear              (SelCore        *core);

/* In a child process. */
void          sel_wait_forked             (SelCore        *core);

/* Fails if @timeout is not a number, and before that if the selector cannot be used. */
gboolean      sel_wait_check_timeout      (SelCore        *core,
                                           gdouble         timeout,
                                           GError        **error);

/* Seconds of the monotonic clock. */
gdouble       sel_wait_get_time           (void);

/* An asynchronous wait: there can be one at a time, and no other wait meanwhile. */
gboolean      sel_wait_begin_async        (SelCore        *core,
                                           gdouble         timeout,
                                           GError        **error);
void          sel_wait_end_async          (SelCore        *core);

/* For an asynchronous wait: waits with a timeout of 0. Stores in @woken if sel_base_selector_wakeup() was called, and
 * a new array in @events. Returns how many descriptors are ready, or -1. */
gssize        sel_wait_poll_events        (SelCore        *core,
                                           SelReadyEvent **events,
                                           gboolean       *woken,
                                           GError        **error);

/* Takes the lock. Returns: (transfer full): those of @events whose registrations still exist, as a list */
GPtrArray    *sel_wait_list_events        (SelCore             *core,
                                           const SelReadyEvent *events,
                                           gssize               n_events);

/* Makes the list of events, and ends the wait. */
GPtrArray    *sel_wait_make_list          (SelCore        *core);

/* For a source that has found the selector BUSY: if a thread waits, the source polls nothing until the end of that
 * wait. */
void          sel_wait_block_source       (SelCore        *core);

/* Makes a thread that waits, or the next one, return. Takes no lock. */
void          sel_wait_wake               (SelCore        *core);

/* Instead of a timeout: the kernel need not be asked. */
#define SEL_WAIT_WITHOUT_KERNEL (-1)

/* The slow parts of sel_wait_run(). */
gboolean      sel_wait_claim              (SelCore        *core,
                                           SelStateFlags   claimed,
                                           GError        **error);
gdouble       sel_wait_prepare            (SelCore        *core,
                                           gdouble         timeout,
                                           gboolean        is_first);
gboolean      sel_wait_handle_failure     (SelCore        *core,
                                           gboolean        success,
                                           GError         *local_error,
                                           gboolean       *interrupted,
                                           GError        **error);
gboolean      sel_wait_check_ended        (SelCore        *core,
                                           GCancellable   *cancellable,
                                           GError        **error);
gboolean      sel_wait_needs_more         (SelCore        *core);
gboolean      sel_wait_complete           (SelCore        *core,
                                           gboolean        asked);
gboolean      sel_wait_is_interruptible   (SelCore        *core);
gboolean      sel_wait_continue           (SelCore        *core,
                                           SelWaitResult   result,
                                           gdouble         timeout,
                                           gdouble         deadline,
                                           GCancellable   *cancellable,
                                           GError        **error);
gboolean      sel_wait_run_cancellable    (SelCore        *core,
                                           gdouble         timeout,
                                           gdouble         deadline,
                                           GCancellable   *cancellable,
                                           GError        **error);
void          sel_wait_abort              (SelCore        *core);
void          sel_wait_end_slow           (SelCore        *core);

/* For the backend, after the kernel's wait: locks the selector until the backend's wait () has returned. */
static inline void
sel_wait_begin_reports (SelCore *core)
{
  SEL_POINT ("wait-returned");
  sel_state_lock (core);
  core->wait.locked = TRUE;
}

/* Ends a wait that sel_wait_run() has begun. Must be called with the lock held. Unlocks. */
static inline void
sel_wait_end (SelCore *core)
{
  SEL_POINT ("locked-wait-end");
  sel_ready_list_set_events (core, NULL);
  sel_state_unset (core, SEL_STATE_IN_WAIT);
  if (G_UNLIKELY (sel_state_has (core, SEL_STATE_CHANGED | SEL_STATE_SOURCE_BLOCKED)))
    sel_wait_end_slow (core);
  sel_state_unlock (core);
}

/* Sets the number of reports for one call of the kernel: as many as the list has room for, but no more than there are
 * descriptors. */
static SEL_ALWAYS_INLINE void
sel_wait_make_room (SelCore  *core,
                    gboolean  growable)
{
  SelReadyList *list = &core->wait.list;
  guint n_keys = sel_key_table_get_n_keys (sel_registry_get_table (core));

  list->room = MIN (growable ? core->wait.list_room : list->size, (gsize) n_keys + 1);
  if (growable && list->size < list->room)
    {
      sel_state_lock (core);
      sel_ready_list_grow (core, list->room);
      sel_state_unlock (core);
    }
  list->n_reports = 0;
  list->needs_retry = FALSE;
}

/* One wait in the kernel. Must be called without the lock, and returns with the lock held. @timeout limits this call
 * of the kernel; @polls is TRUE if the whole wait must not block. */
static SEL_ALWAYS_INLINE SelWaitResult
sel_wait_once (SelCore       *core,
               gdouble        timeout,
               gboolean       polls,
               gboolean       is_first,
               gboolean       growable,
               GCancellable  *cancellable,
               GError       **error)
{
  SelBaseSelector *selector = sel_core_get_selector (core);
  SelReadyList *list = &core->wait.list;
  GError *local_error = NULL;
  gboolean interrupted = FALSE;
  gboolean is_fast, success;

  if (G_UNLIKELY (!sel_state_is_fast (core)))
    timeout = sel_wait_prepare (core, timeout, is_first);

  sel_wait_make_room (core, growable);
  SEL_POINT ("wait-prepared");
  success = G_UNLIKELY (timeout < 0) || /* SEL_WAIT_WITHOUT_KERNEL */
            SEL_BASE_SELECTOR_GET_CLASS (selector)->wait (selector, timeout, &local_error);

  if (G_LIKELY (core->wait.locked))
    core->wait.locked = FALSE;
  else
    sel_state_lock (core);

  if (G_UNLIKELY (!success || local_error != NULL) &&
      !sel_wait_handle_failure (core, success, local_error, &interrupted, error))
    return SEL_WAIT_FAILED;

  is_fast = sel_state_is_fast (core);
  if (G_UNLIKELY (!is_fast || cancellable != NULL) && !sel_wait_check_ended (core, cancellable, error))
    return SEL_WAIT_FAILED;

  if (G_UNLIKELY (list->n_reports >= list->room) && sel_wait_needs_more (core))
    {
      sel_ready_list_drop_stale (core);
      return SEL_WAIT_NEEDS_ROOM;
    }

  if ((G_UNLIKELY (!is_fast) && sel_wait_complete (core, timeout >= 0)) || list->n_events > 0 ||
      (interrupted ? sel_wait_is_interruptible (core) : polls))
    return SEL_WAIT_DONE;

  return SEL_WAIT_TOO_SHORT;
}

/* Sets @deadline to the time at which a wait with @timeout ends, or to 0 if it must not block or has no end; @timeout
 * becomes 0 if it is negative. FALSE if it is not a number. */
static SEL_ALWAYS_INLINE gboolean
sel_wait_begin_timeout (SelCore  *core,
                        gdouble  *timeout,
                        gdouble  *deadline,
                        GError  **error)
{
  *deadline = 0;
  if (sel_timeout_is_forever (*timeout))
    return TRUE;

  if (G_UNLIKELY (isnan (*timeout)) && !sel_wait_check_timeout (core, *timeout, error))
    return FALSE;

  if (*timeout > 0)
    *deadline = sel_wait_get_time () + *timeout;
  else
    *timeout = 0; /* also instead of a negative zero */

  return TRUE;
}

/* Prepares the list of a wait that has been claimed. */
static SEL_ALWAYS_INLINE void
sel_wait_begin (SelCore       *core,
                SelReadyEvent *events,
                SelBatchEntry *entries,
                gsize          n_events,
                SelWaitFlags   flags)
{
  SelReadyList *list = &core->wait.list;

  core->wait.flags = flags;
  core->wait.tells_paused = FALSE;
  __atomic_store_n (&core->wait.n_waits, core->wait.n_waits + 1, __ATOMIC_RELAXED);
  list->n_events = 0;
  list->entries = entries;
  list->n_entries = 0;
  list->size = events != NULL ? n_events : core->wait.buffer_size;
  list->n_ignored_left = G_MAXSIZE;
  if ((flags & SEL_WAIT_DISPATCH) != 0)
    {
      list->size = MIN (list->size, sel_core_get_setting (core, SEL_SETTING_MAX_DISPATCH));
      list->n_ignored_left = MAX (list->size / SEL_WAIT_IGNORED_SHARE, SEL_WAIT_MIN_IGNORED);
    }
  if ((flags & SEL_WAIT_ASYNC) != 0)
    core->wait.woken = FALSE;
  sel_ready_list_set_events (core, events != NULL ? events : core->wait.buffer);
}

/*
 * A whole wait. Stores the events in @events. If that is NULL it stores them in the list of the selector. In that case,
 * and with SEL_WAIT_DISPATCH, the selector is then locked until sel_wait_end(). If @entries is not NULL, a backend may
 * fill the first of them for the events. Must be called without the lock. Returns how many descriptors are ready, or
 * -1.
 *
 * It is inlined into its few callers, because most of it does not apply to each of them.
 */
static SEL_ALWAYS_INLINE gssize
sel_wait_run (SelCore        *core,
              gdouble         timeout,
              SelReadyEvent  *events,
              SelBatchEntry  *entries,
              gsize           n_events,
              SelWaitFlags    flags,
              GCancellable   *cancellable,
              GError        **error)
{
  gboolean in_main_loop = (flags & (SEL_WAIT_DISPATCH | SEL_WAIT_ASYNC)) != 0;
  SelStateFlags claimed = in_main_loop ? SEL_STATE_POLLING : SEL_STATE_WAITING;
  gboolean success;
  gdouble deadline;

  if (!sel_wait_begin_timeout (core, &timeout, &deadline, error) ||
      (G_UNLIKELY (!sel_state_try_claim (core, claimed)) && !sel_wait_claim (core, claimed, error)))
    return -1;

  SEL_POINT ("wait-claimed");
  sel_wait_begin (core, events, entries, n_events, flags);
  if (G_UNLIKELY (cancellable != NULL))
    {
      success = sel_wait_run_cancellable (core, timeout, deadline, cancellable, error);
    }
  else
    {
      SelWaitResult result = sel_wait_once (core, timeout, timeout <= 0, TRUE, events == NULL, NULL, error);

      success = G_LIKELY (result == SEL_WAIT_DONE) ||
                sel_wait_continue (core, result, timeout, deadline, NULL, error);
    }

  if (G_UNLIKELY (!success))
    {
      sel_wait_abort (core);
      return -1;
    }

  n_events = core->wait.list.n_events;
  if (events != NULL && (flags & SEL_WAIT_DISPATCH) == 0)
    sel_wait_end (core);

  return (gssize) n_events;
}

G_END_DECLS
