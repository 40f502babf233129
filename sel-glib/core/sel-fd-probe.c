/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#ifdef HAVE_SYS_FILIO_H
#include <sys/filio.h>
#endif

#include "core/sel-fd-probe-private.h"

#define BOTH (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef enum
{
  KIND_STREAM,        /* a stream socket */
  KIND_SOCKET,        /* another socket */
  KIND_PIPE,          /* a pipe or a FIFO */
  KIND_OTHER,         /* a terminal, a device, or an object of the kernel */
  N_KINDS
} Kind;

/*
 * What each kind of file can tell. An error without a hang-up is work for most kinds: the error queue of a socket has
 * time stamps, completions or messages, /proc/self/mountinfo has changed, and so on. For a pipe it is the only sign
 * that the reader is gone (Linux). A terminal can be written to after a hang-up, for example if the other side of a
 * pseudo-terminal is not open. recv () with MSG_PEEK gives 0 for the end of a stream, but also for an empty packet,
 * and an empty packet does not end anything.
 */
static const struct
{
  SelEventMask hang_up;           /* the directions that a hang-up ends */
  SelEventMask hang_up_no_space;  /* those that it ends if poll () does not say POLLOUT */
  SelEventMask error;             /* those that an error without a hang-up ends */
  gboolean     can_peek;          /* recv () finds the end of data, getpeername () a connection that is gone */
} kinds[N_KINDS] = {
  [KIND_STREAM] = { BOTH, BOTH, 0, TRUE },
  [KIND_SOCKET] = { BOTH, BOTH, 0, FALSE },
  [KIND_PIPE] = { BOTH, BOTH, BOTH, FALSE },
  [KIND_OTHER] = { SEL_EVENT_READ, BOTH, 0, FALSE },
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

  return getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM ? KIND_STREAM : KIND_SOCKET;
}

/* For reports of poll () that are not clear. NetBSD's poll () never tells the end of a socket. On Linux this comes to
 * recv () for listening sockets only; it would take a pending error away. */
static SelEventMask
sel_fd_peek_ends (int   fd,
                  short revents)
{
  SelEventMask ended = 0;
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  struct sockaddr_storage peer;
  socklen_t peer_size = sizeof peer;
  char byte;

  if ((revents & POLLERR) != 0 ||
      (getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening != 0))
    return 0;

  if ((revents & POLLIN) != 0 && recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
    ended |= SEL_EVENT_READ;
  if ((revents & POLLOUT) != 0 && getpeername (fd, (struct sockaddr *) &peer, &peer_size) < 0)
    ended |= SEL_EVENT_WRITE;

  return ended;
}

static gboolean
sel_fd_has_data (int   fd,
                 short revents)
{
  int n_bytes;

  return (revents & POLLIN) != 0 && ioctl (fd, FIONREAD, &n_bytes) == 0 && n_bytes > 0;
}

static SelEventMask
sel_fd_get_ended (int   fd,
                  short revents)
{
  Kind kind = sel_fd_get_kind (fd);
  SelEventMask ended = 0;

  if ((revents & POLLHUP) != 0)
    ended = (revents & POLLOUT) != 0 ? kinds[kind].hang_up : kinds[kind].hang_up_no_space;
  else if ((revents & POLLERR) != 0)
    ended = kinds[kind].error;

  if ((revents & POLLRDHUP) != 0)
    ended |= SEL_EVENT_READ;
  else if ((revents & POLLHUP) == 0 && kinds[kind].can_peek)
    ended |= sel_fd_peek_ends (fd, revents);

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
    entry.events |= POLLIN | POLLRDHUP;
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
      if (*ended != events)
        *ended |= sel_fd_get_ended (fd, entry.revents) & events;
    }
  errno = saved;

  return n == 0 ? SEL_FD_NOT_READY : SEL_FD_READY;
}
