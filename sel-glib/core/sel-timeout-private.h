/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <time.h>

G_BEGIN_DECLS

/*
 * How is a timeout in seconds told to the kernel?
 */

/* Does the same as isinf() for a timeout, but in a single comparison. */
static inline gboolean
sel_timeout_is_forever (gdouble timeout)
{
  return timeout > G_MAXDOUBLE;
}

/* Converts seconds to the milliseconds of poll() and epoll_wait(). Rounds up, so that a wait is never too short.
 * Returns -1 for a wait without a limit; other negative numbers are EINVAL on some systems. */
int              sel_timeout_to_ms       (gdouble          timeout);

/* Converts seconds to @timespec. Rounds up to nanoseconds. Returns @timespec, or NULL for a wait without a limit. */
struct timespec *sel_timeout_to_timespec (gdouble          timeout,
                                          struct timespec *timespec);

G_END_DECLS
