/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Runs up to three threads in all orders of their steps. A thread stops at each point of the library (see
 * core/sel-point-private.h) and at each interleave_point() of the test, and continues when the scheduler chooses it.
 * The scheduler makes a depth-first search over its choices: each run repeats the choices of the run before up to one
 * place, and takes another one there.
 *
 * A preemption is a choice that stops a thread that could have continued. The search has a limit for the number of
 * preemptions in one run, as their number decides how many orders there are; with few preemptions most faults are
 * found.
 *
 * A thread may also block between two points: on a lock that a stopped thread holds, or in the kernel. The scheduler
 * looks at the state of the thread in /proc then, and lets another thread continue if all running threads sleep. It
 * depends on no time, so that a busy machine does not change the result. Linux only.
 *
 * When a test fails or crashes, the program prints the points of the current run, and the choices as a string. To
 * repeat this run only, set SEL_TEST_SCHEDULE to that string and select the case with -p.
 */

#define INTERLEAVE_MAX_THREADS 3

typedef struct
{
  guint    n_threads;
  guint    max_preemptions;

  /* Before and after each run, in the thread that called interleave_run_all (). */
  void     (*set_up)    (gpointer data);
  void     (*tear_down) (gpointer data);

  /* In thread number @thread. */
  void     (*run)       (gpointer data,
                         guint    thread);

  /* Called if no thread can continue. Ends the wait of a thread, or returns FALSE, which is a failure. */
  gboolean (*rescue)    (gpointer data);

  gpointer data;
} Interleave;

typedef struct
{
  guint64     n_runs;
  guint64     n_steps;
  guint64     n_diverged;   /* runs in which another thread got a lock first than in the run before */
  GHashTable *points;       /* the names of all points that were reached */
} InterleaveStats;

/* FALSE if the system has no /proc/self/task. */
gboolean interleave_is_supported (void);

/* Adds to @stats. */
void     interleave_run_all      (const Interleave *interleave,
                                  InterleaveStats  *stats);

/* A point in the test itself. Does nothing in other threads than those of the scheduler. */
void     interleave_point        (const char       *name);

/* In a child process that a thread of the scheduler has forked: there are no other threads, and no points. */
void     interleave_forget_threads (void);

G_END_DECLS
