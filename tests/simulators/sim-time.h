/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The time of waits in the simulators. A file that includes this header defines _GNU_SOURCE first. */

#pragma once

#include <stdbool.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000L

/* Returns when a wait ends that begins now. @nanoseconds is less than a second. */
static inline struct timespec
sim_deadline (time_t seconds,
              long   nanoseconds)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  time.tv_sec += seconds;
  time.tv_nsec += nanoseconds;
  if (time.tv_nsec >= NSEC_PER_SEC)
    {
      time.tv_sec++;
      time.tv_nsec -= NSEC_PER_SEC;
    }

  return time;
}

/* Stores the time that is left in @left. Returns false if the deadline has been reached. */
static inline bool
sim_time_left (const struct timespec *deadline,
               struct timespec       *left)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  left->tv_sec = deadline->tv_sec - now.tv_sec;
  left->tv_nsec = deadline->tv_nsec - now.tv_nsec;
  if (left->tv_nsec < 0)
    {
      left->tv_sec--;
      left->tv_nsec += NSEC_PER_SEC;
    }

  return left->tv_sec >= 0 && (left->tv_sec > 0 || left->tv_nsec > 0);
}
