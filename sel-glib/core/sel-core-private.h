/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-fd-identity-private.h"
#include "core/sel-key-table-private.h"
#include "core/sel-point-private.h"
#include "core/sel-single-threaded-private.h"
#include "core/sel-wakeup-private.h"
#include "sel-base-selector.h"

G_BEGIN_DECLS

/*
 * All data of a selector, one struct for each room. docs/ARCHITECTURE.md lists the files that may use the members of
 * each struct; other files call functions. tests/test-layers.py checks this.
 *
 * The lock in SelState protects all members, except those that are marked as atomic, and SelWait, which belongs to
 * the waiting thread.
 */

typedef struct _SelBatch SelBatch;
typedef struct _SelBatchEntry SelBatchEntry;
typedef struct _SelWatcher SelWatcher;
typedef struct _SelFound SelFound;

/* Inlined into its callers, except in builds for debugging and for measuring coverage. */
#ifdef __OPTIMIZE__
#define SEL_ALWAYS_INLINE inline G_ALWAYS_INLINE
#else
#define SEL_ALWAYS_INLINE inline
#endif

/* sel-state: which operations may each thread begin now? */
typedef struct
{
  GMutex lock;
  gpointer vfunc_thread;     /* atomic: the thread that is in a virtual function with the lock held, or NULL */
  guint lock_depth;          /* how often that thread has taken the lock again; see also SEL_STATE_CLOSE_LATER */
  guint word;                /* atomic: flags of SelStateFlags */
  guint fork_count;          /* atomic: the value of the library's counter in the process that uses the selector */
} SelState;

/* sel-registry: which descriptors are registered, and which registrations does the kernel know? */
typedef struct
{
  SelKeyTable table;
  guint32 generation;        /* the last one that was given to a registration */
  gboolean has_alarms;       /* the mechanism can report changes only */
  gboolean splits_alarms;    /* it reports them for each event, and not for the descriptor */
  GArray *echoing;           /* the descriptors whose alarms were armed since the kernel was asked, or NULL */
  guint n_alarms;            /* how many alarms were armed so far; wraps around */
  gboolean is_alarm;         /* the current call of update () is to report changes only */
  guint32 tag;               /* the generation that the current call of update () is about */
  int poll_fd;               /* the kernel's descriptor that a main loop can poll, or -1 */
  GArray *changed_in_wait;   /* descriptors whose slots have changed_in_wait set */
  GArray *always_ready;      /* descriptors that are always ready, so that the kernel cannot wait for them */
  SelFdIdentities *identities; /* NULL unless SEL_DEBUG contains "fd" */
} SelRegistry;

/* The descriptors that a wait has found to be ready. The waiting thread owns it; without the lock, another thread may
 * only compare events with NULL. */
typedef struct
{
  SelReadyEvent *events;     /* atomic; NULL: no wait is in progress, or the buffer is not allocated yet */
  gsize n_events;
  gsize size;                /* the number of elements in events */
  gsize room;                /* the largest number of reports for one call of the kernel, at least 1 */
  gsize n_reports;           /* how many it did report */
  gsize n_ignored_left;      /* room for descriptors whose callbacks ignore that they have ended */
  gboolean needs_retry;      /* a report that led to no event has used up room: the kernel may have more */
  SelBatchEntry *entries;    /* of the batch that the events are for, or NULL */
  gsize n_entries;           /* so many of them, from the first one on, are filled */
} SelReadyList;

/* sel-wait: how long to wait, why has the wait ended, which descriptors are ready? The waiting thread owns all of
 * it. */
typedef struct
{
  SelReadyList list;
  SelReadyEvent *buffer;     /* for the forms of select () that return a list */
  gsize buffer_size;
  gsize list_room;           /* the room in these forms */
  gboolean tells_paused;     /* it reports the directions that have ended, and are paused for main loops */
  guint turns[2];            /* the waits of threads, and those of main loops, that report more than the kernel does */
  guint turn;                /* that of the current wait; rotates the descriptors that the kernel does not report */
  guint flags;               /* of SelWaitFlags */
  guint n_alarms;            /* how many were armed when the kernel was asked, or fewer */
  gboolean locked;           /* the backend has locked the selector for its reports */
  gboolean wakeup_reported;  /* during this wait; valid while a descriptor is always ready */
  gboolean woken;            /* sel_base_selector_wakeup () has ended the wait */
  guint n_waits;             /* atomic: how many waits have begun */
  SelFound *found;           /* the findings that sources have handed over; the lock protects the list */
  SelFound *left;            /* those that destroyed sources have left, or NULL; the lock protects it */
} SelWait;

/* sel-notify: which threads and main loops have to know that something has changed? */
typedef struct
{
  SelWakeup *wakeup;         /* reference counted, so that it can be signalled after the selector was finalized */
  GPtrArray *watchers;       /* NULL if there are none */
  gboolean wait_sees_updates; /* the kernel's wait takes changes into account while it lasts */
  gboolean counts_changes;   /* FALSE: no batch of callbacks needs the next member */
  gsize changes;             /* atomic: how often the table has changed; see sel-dispatch-private.h */
} SelNotify;

/* sel-dispatch: which callback runs now, and which memory does it still use? */
typedef struct
{
  SelBatch *batches;
} SelDispatch;

/* sel-pause: which descriptors are not polled for a while, and until when? */
typedef struct
{
  GArray *list;              /* of SelPause */
  gint64 until;              /* monotonic time, in microseconds; valid while the state has PAUSED */
} SelPauses;

/* sel-lifecycle: how is the kernel's object opened, opened again and given back? */
typedef struct
{
  GError *open_error;        /* why it could not be opened */
  gboolean has_object;       /* open () has succeeded, and release () was not called yet */
} SelLifecycle;

/* The settings that the class has as properties. */
typedef enum
{
  SEL_SETTING_INTERRUPTIBLE,
  SEL_SETTING_EMULATE_ALWAYS_READY,
  SEL_SETTING_FORCE_MIRRORED,
  SEL_SETTING_CAN_RECURSE,
  SEL_SETTING_MAX_DISPATCH,
  SEL_SETTING_HANGUP_POLICY,
  SEL_N_SETTINGS
} SelSetting;

/* The largest #SelBaseSelector:max-dispatch, which is also the default. */
#define SEL_MAX_DISPATCH 1024

/* The members that each wait uses come first. */
typedef struct
{
  SelState state;
  SelRegistry registry;
  SelWait wait;
  SelNotify notify;
  SelDispatch dispatch;
  SelPauses pauses;
  SelLifecycle lifecycle;
  guint settings[SEL_N_SETTINGS]; /* atomic */
} SelCore;

/* Where the instance has its SelCore. */
extern gssize sel_core_offset;

static inline SelCore *
sel_core (gconstpointer selector)
{
  return (SelCore *) G_STRUCT_MEMBER_P (selector, sel_core_offset);
}

static inline SelBaseSelector *
sel_core_get_selector (SelCore *core)
{
  return (SelBaseSelector *) G_STRUCT_MEMBER_P (core, -sel_core_offset);
}

static inline guint
sel_core_get_setting (SelCore    *core,
                      SelSetting  setting)
{
  return __atomic_load_n (&core->settings[setting], __ATOMIC_RELAXED);
}

G_END_DECLS
