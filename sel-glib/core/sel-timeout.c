/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <math.h>

#include "core/sel-timeout-private.h"

/* The longest wait in the kernel, in seconds. Darwin's kevent() refuses longer ones. The caller waits again if there is
 * time left. */
#define MAX_SECONDS 1e6

int
sel_timeout_to_ms (gdouble timeout)
{
  if (sel_timeout_is_forever (timeout))
    return -1;

  return (int) ceil (MIN (timeout, MAX_SECONDS) * 1e3);
}

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
