/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <math.h>

#include "core/sel-timeout-private.h"

/* What one wait in the kernel may last at most. Darwin refuses longer ones in kevent(), and the
 * caller waits on if time is left. */
#define MAX_SECONDS 1e6

/*
 * Seconds as the kernels with milliseconds want them: rounded up, so that a wait is never
 * too short, and -1 for ever. Any other negative number is EINVAL on some systems.
 */
int
sel_timeout_to_ms (gdouble timeout)
{
  if (sel_timeout_is_forever (timeout))
    return -1;

  return (int) ceil (MIN (timeout, MAX_SECONDS) * 1e3);
}

/*
 * The same in nanoseconds. Returns @timespec, or NULL to wait for ever.
 */
struct timespec *
sel_timeout_to_timespec (gdouble          timeout,
                         struct timespec *timespec)
{
  gdouble seconds, nanoseconds;

  if (sel_timeout_is_forever (timeout))
    return NULL;

  timeout = MIN (timeout, MAX_SECONDS);
  seconds = floor (timeout);
  nanoseconds = ceil ((timeout - seconds) * 1e9);
  if (nanoseconds >= 1e9)
    {
      seconds += 1;
      nanoseconds = 0;
    }

  timespec->tv_sec = (time_t) seconds;
  timespec->tv_nsec = (long) nanoseconds;

  return timespec;
}
