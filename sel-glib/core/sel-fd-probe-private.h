/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <poll.h>

#include "sel-types.h"

G_BEGIN_DECLS

/*
 * Has a direction of a descriptor ended, and is the descriptor closed?
 */

/* POLLRDHUP: the other end will not send any more. Some systems do not have it. */
#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

/* The events of poll () for reading, if it has to tell that only one direction has ended. */
#define SEL_POLL_READ (POLLIN | POLLRDHUP)

/* The directions of a descriptor that have ended, as a report of the kernel tells them. A report without any of these
 * bits proves that nothing has ended. */
typedef enum
{
  SEL_READ_END = SEL_EVENT_READ,     /* the other end will not send any more */
  SEL_WRITE_END = SEL_EVENT_WRITE,   /* the other end will not receive any more */
  SEL_UNKNOWN_END = 1 << 2           /* the mechanism cannot tell */
} SelEnds;

/* The ends that poll () reports. Not every system says POLLHUP of each hang-up, and unless POLLRDHUP is asked for, none
 * says that only one direction has ended. */
static inline SelEnds
sel_ends_from_poll (guint revents)
{
  return (revents & (POLLHUP | POLLRDHUP)) != 0 ? SEL_READ_END : SEL_UNKNOWN_END;
}

typedef enum
{
  SEL_FD_READY,
  SEL_FD_HUNG_UP,     /* ready, and poll () tells a hang-up: only if the caller does not ask what has ended */
  SEL_FD_NOT_READY,
  SEL_FD_CLOSED
} SelFdState;

/* Polls @fd for @events without waiting. Stores in @ended, unless it is NULL, those of the events that cannot do any
 * work: the direction has ended, and there is nothing left to read. This needs more system calls. @ends is the evidence
 * of the report. Keeps errno, and takes nothing away from the program: neither data nor a pending error. */
SelFdState sel_fd_probe (int           fd,
                         SelEventMask  events,
                         SelEnds       ends,
                         SelEventMask *ended);

G_END_DECLS
