/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#ifdef HAVE___LIBC_SINGLE_THREADED
#include <sys/single_threaded.h>
#endif

G_BEGIN_DECLS

/*
 * Has the process one thread only? An operation that orders memory for other threads takes longer than the rest of a
 * callback. If there is no other thread, a plain store or subtraction does the same: a thread that is created later
 * sees all that was stored before. glibc 2.32 and later know the answer; elsewhere it is always FALSE.
 */
static inline gboolean
sel_is_single_threaded (void)
{
#ifdef HAVE___LIBC_SINGLE_THREADED
  return G_LIKELY (__libc_single_threaded);
#else
  return FALSE;
#endif
}

G_END_DECLS
