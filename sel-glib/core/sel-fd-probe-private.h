/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <poll.h>

#include "core/sel-event-mask-private.h"

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

/* The slow path of the next function. */
SelEventMask sel_fd_poll_directions (int fd);

/* The events that a report of poll () means, which was asked for @asked. macOS tells the end of either direction by
 * POLLHUP, and then says nothing about the other one, so that it has to be asked for each of them alone. */
static inline SelEventMask
sel_fd_get_polled_events (int   fd,
                          guint asked,
                          guint revents)
{
  if (G_UNLIKELY ((revents & POLLHUP) != 0 && (asked & POLLIN) != 0 && (asked & POLLOUT) != 0 &&
                  ((revents & POLLIN) == 0 || (revents & POLLOUT) == 0)))
    return sel_fd_poll_directions (fd);

  return sel_event_mask_from_poll (revents, SEL_POLL_READ, POLLOUT);
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
