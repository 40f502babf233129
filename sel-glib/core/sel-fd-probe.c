/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h> /* ioctl() on Solaris and illumos */
#ifdef HAVE_SYS_FILIO_H
#include <sys/filio.h>
#endif

#include "core/sel-fd-probe-private.h"

#define BOTH (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef enum
{
  KIND_STREAM,        /* a stream socket */
  KIND_PACKETS,       /* a socket for packets that has a connection */
  KIND_SOCKET,        /* another socket */
  KIND_PIPE,          /* a pipe or a FIFO */
  KIND_OTHER,         /* a terminal, a device, or an object of the kernel */
  N_KINDS
} Kind;

/*
 * The meaning of a report for each kind of file. An error without a hang-up is work for most kinds: the error queue of
 * a socket has time stamps, completions or messages, /proc/self/mountinfo has changed, and so on. For a pipe it is the
 * only sign that the reader is gone (Linux). A terminal can be written to after a hang-up, for example if the other
 * side of a pseudo-terminal is not open. recv () with MSG_PEEK gives 0 for the end of a stream, but also for an empty
 * packet, and an empty packet does not end anything while there is a connection.
 */
static const struct
{
  SelEventMask hang_up;           /* the directions that a hang-up ends */
  SelEventMask hang_up_no_space;  /* those that it ends if poll () does not say POLLOUT */
  SelEventMask error;             /* those that an error without a hang-up ends */
  gboolean     has_connection;    /* getpeername () finds a connection that is gone */
  gboolean     empty_is_end;      /* if recv () finds nothing, reading has ended, also while there is a connection */
} kinds[N_KINDS] = {
  [KIND_STREAM] = { BOTH, BOTH, 0, TRUE, TRUE },
  [KIND_PACKETS] = { BOTH, BOTH, 0, TRUE, FALSE },
  [KIND_SOCKET] = { BOTH, BOTH, 0, FALSE, FALSE },
  [KIND_PIPE] = { BOTH, BOTH, BOTH, FALSE, FALSE },
  [KIND_OTHER] = { SEL_EVENT_READ, BOTH, 0, FALSE, FALSE },
};

static Kind
sel_fd_get_kind (int fd)
{
  struct stat status;
  socklen_t size = sizeof (int);
  int type;

  if (fstat (fd, &status) < 0)
    return KIND_OTHER;
  if (S_ISFIFO (status.st_mode))
    return KIND_PIPE;
  if (!S_ISSOCK (status.st_mode))
    return KIND_OTHER;

  if (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
    return KIND_SOCKET;

  return type == SOCK_STREAM ? KIND_STREAM : type == SOCK_SEQPACKET ? KIND_PACKETS : KIND_SOCKET;
}

/* For reports of poll () that are not clear. NetBSD's poll () never tells the end of a socket. On Linux this comes to
 * recv () for listening sockets only; it would take a pending error away. */
static SelEventMask
sel_fd_peek_ends (int      fd,
                  short    revents,
                  gboolean empty_is_end)
{
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  struct sockaddr_storage peer;
  socklen_t peer_size = sizeof peer;
  char byte;

  if (getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening != 0)
    return 0;

  if (getpeername (fd, (struct sockaddr *) &peer, &peer_size) < 0)
    return BOTH;

  if ((revents & POLLIN) != 0 && empty_is_end && recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
    return SEL_EVENT_READ;

  return 0;
}

static gboolean
sel_fd_has_data (int   fd,
                 short revents)
{
  int n_bytes;

  return (revents & POLLIN) != 0 && ioctl (fd, FIONREAD, &n_bytes) == 0 && n_bytes > 0;
}

SelEventMask
sel_fd_poll_directions (int fd)
{
  struct pollfd entries[] = { { .fd = fd, .events = POLLIN }, { .fd = fd, .events = POLLOUT } };
  int saved = errno;

  poll (entries, G_N_ELEMENTS (entries), 0);
  errno = saved;

  return (entries[0].revents != 0 ? SEL_EVENT_READ : 0) | (entries[1].revents != 0 ? SEL_EVENT_WRITE : 0);
}

/* On macOS, poll () says POLLHUP and nothing about writing when the peer of a socket only writes no more. */
static gboolean
sel_fd_hangs_up_for_writing (int fd)
{
  struct pollfd entry = { .fd = fd, .events = POLLOUT };

  return poll (&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0;
}

/* @ends is the evidence of the mechanism. */
static SelEventMask
sel_fd_get_ended (int     fd,
                  short   revents,
                  SelEnds ends)
{
  Kind kind = sel_fd_get_kind (fd);
  SelEventMask ended = ends & BOTH;

  /* Most kinds have work then, also if a direction has ended: a half-closed socket may send, and get time stamps. */
  if ((revents & (POLLERR | POLLHUP)) == POLLERR)
    return kinds[kind].error;

  /* poll () must say the same, as it is the only evidence when a pause is over. */
  if ((revents & POLLOUT) != 0)
    ended &= kinds[kind].hang_up;

  if ((revents & (POLLHUP | POLLOUT)) == POLLHUP && !sel_fd_hangs_up_for_writing (fd))
    return ended | SEL_EVENT_READ;

  if ((revents & POLLHUP) != 0)
    ended |= (revents & POLLOUT) != 0 ? kinds[kind].hang_up : kinds[kind].hang_up_no_space;

  if ((revents & POLLRDHUP) != 0)
    ended |= SEL_EVENT_READ;
  else if ((revents & POLLHUP) == 0 && kinds[kind].has_connection)
    ended |= sel_fd_peek_ends (fd, revents, kinds[kind].empty_is_end);

  return ended;
}

SelFdState
sel_fd_probe (int           fd,
              SelEventMask  events,
              SelEnds       ends,
              SelEventMask *ended)
{
  struct pollfd entry = { .fd = fd };
  int saved = errno;
  int n;

  if ((events & SEL_EVENT_READ) != 0)
    entry.events |= SEL_POLL_READ;
  if ((events & SEL_EVENT_WRITE) != 0)
    entry.events |= POLLOUT;

  if (ended != NULL)
    *ended = 0;
  n = poll (&entry, 1, 0);

  /* Some systems say POLLNVAL also for devices that poll () does not support. */
  if (n > 0 && (entry.revents & POLLNVAL) != 0)
    {
      gboolean is_closed = fcntl (fd, F_GETFD) < 0 && errno == EBADF;

      errno = saved;
      return is_closed ? SEL_FD_CLOSED : SEL_FD_READY;
    }

  if (n > 0 && ended != NULL)
    {
      /* While there is something to read, reading has not ended, whatever else the file can tell. */
      if (sel_fd_has_data (fd, entry.revents))
        events &= ~(SelEventMask) SEL_EVENT_READ;
      *ended = events & ends & BOTH;
      if (*ended != events || (entry.revents & (POLLERR | POLLOUT)) != 0)
        *ended = events & sel_fd_get_ended (fd, entry.revents, ends);
    }
  errno = saved;

  if (n > 0 && ended == NULL && (entry.revents & (POLLHUP | POLLRDHUP)) != 0)
    return SEL_FD_HUNG_UP;

  return n == 0 ? SEL_FD_NOT_READY : SEL_FD_READY;
}
