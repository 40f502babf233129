/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A named step of an operation. The library that is linked into the tests is compiled with SEL_TEST_POINTS: there a
 * test can hold a thread at each point and let another thread continue; see tests/interleave.h. In the installed
 * library a point is nothing.
 *
 * Points whose name begins with "locked-" are reached with the lock of the selector held.
 *
 * SEL_SPIN() is the body of a loop that ends when another thread has made a step. It yields the processor, except where
 * a test holds the thread: g_thread_yield() of GLib 2.90 sleeps for a nanosecond, and a thread that sleeps between two
 * points looks as if it waited for another thread. The names begin with "spin-".
 */
#ifdef SEL_TEST_POINTS

/* Atomic; NULL if no test uses the points. Defined in tests/interleave-points.c. */
extern void (*sel_point_func) (const char *name);

#define SEL_POINT(name) \
  G_STMT_START \
    { \
      void (*sel_point_func_now) (const char *) = __atomic_load_n (&sel_point_func, __ATOMIC_RELAXED); \
      if (G_UNLIKELY (sel_point_func_now != NULL)) \
        sel_point_func_now (name); \
    } \
  G_STMT_END

#define SEL_SPIN(name) \
  G_STMT_START \
    { \
      if (__atomic_load_n (&sel_point_func, __ATOMIC_RELAXED) == NULL) \
        g_thread_yield (); \
      SEL_POINT (name); \
    } \
  G_STMT_END

#else

#define SEL_POINT(name) G_STMT_START { } G_STMT_END
#define SEL_SPIN(name)  g_thread_yield ()

#endif

G_END_DECLS
