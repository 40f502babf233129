/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A named step of an operation. The library that is linked into the tests is compiled with SEL_TEST_POINTS: there a
 * test can hold a thread at each point and let another thread continue; see tests/interleave.h. In the installed
 * library a point is nothing.
 *
 * Points whose name begins with "locked-" are reached with the lock of the selector held. Points whose name begins with
 * "spin-" are in a loop that ends when another thread has made a step.
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

#else

#define SEL_POINT(name) G_STMT_START { } G_STMT_END

#endif

G_END_DECLS
