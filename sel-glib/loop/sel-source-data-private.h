/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-dispatch-private.h"
#include "loop/sel-mirror-private.h"
#include "loop/sel-source-function-private.h"
#include "loop/sel-source-private.h"
#include "loop/sel-source-run-private.h"

G_BEGIN_DECLS

/*
 * A source that puts a selector into a context. Its watcher and its mirror are kept in step in prepare (); everything
 * that calls foreign code happens in dispatch (). The struct belongs to sel-source.c and sel-source-dispatch.c.
 */
typedef struct
{
  GSource source;
  SelWatcher watcher;
  SelBaseSelector *selector;
  SelMirror mirror;
  GPollFD bell;              /* of the watcher; -1 if it could not be opened */

  gboolean awaits;           /* it belongs to an asynchronous wait, which sel_base_selector_wakeup() ends */
  GMainContext *context;     /* of such a source: where it is to be attached; to be compared only */
  gboolean is_idle;          /* that wait is over: see sel_source_end_wait(); changed with the lock */
  gboolean has_left;         /* the selector may not exist any more */
  gboolean is_ready;         /* something is ready that cannot be polled */
  gint64 next_resume;        /* when a pause ends, or -1; monotonic time, as the next one */
  guint n_alarms;            /* how many the registry had armed before the context polled, or fewer */
  gint64 retry_time;         /* until then nothing is polled, as the system had no room; 0 if that never happened */
  guint n_dispatches;
  guint n_end_checks;        /* so many ends were checked in this turn; see sel_source_can_check_end() */
  SelFound *asked;           /* for the next callback that calls select () itself; NULL while it runs, and before */
  gboolean has_kept;         /* findings of earlier turns are to be dispatched */
  SelSourceRun run;
  SelBatch *batch;           /* NULL if the source calls no callbacks of descriptors */
  SelSourceFunction *function; /* for dispatch (), which takes it; NULL if the program has set another function */
} SelSource;

/* After the poll() of the context. Returns: TRUE if it has found anything that is to be dispatched */
static inline gboolean
sel_source_collect (SelSource *self)
{
  sel_watcher_set_prepared (&self->watcher, FALSE);
  if (G_LIKELY (self->mirror.n_polled == 0))
    return FALSE;

  sel_mirror_collect (&self->mirror);

  return sel_mirror_has_found (&self->mirror);
}

G_END_DECLS
