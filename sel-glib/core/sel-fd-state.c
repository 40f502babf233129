/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#ifdef HAVE_SYS_FILIO_H
#include <sys/filio.h>
#endif
#include <unistd.h>

#include "core/sel-fd-state-private.h"

/* POLLRDHUP: the other end will not send any more. Where it is missing, only a hang-up tells this. */
#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

static gboolean
sel_fd_has_data (int fd)
{
  int n_bytes;

  return ioctl (fd, FIONREAD, &n_bytes) == 0 && n_bytes > 0;
}

/* Polls @fd for @events without waiting, and tells why it is ready. */
SelFdState
sel_fd_get_state (int          fd,
                  SelEventMask events)
{
  struct pollfd entry = { .fd = fd };
  int n;

  if ((events & SEL_EVENT_READ) != 0)
    entry.events |= POLLIN | POLLRDHUP;
  if ((events & SEL_EVENT_WRITE) != 0)
    entry.events |= POLLOUT;

  n = poll (&entry, 1, 0);
  if (n <= 0)
    return n == 0 ? SEL_FD_NOT_READY : SEL_FD_IN_USE;

  /* Some systems say this also of devices that poll() does not support. */
  if ((entry.revents & POLLNVAL) != 0)
    return fcntl (fd, F_GETFD) < 0 && errno == EBADF ? SEL_FD_CLOSED : SEL_FD_IN_USE;

  if ((entry.revents & (POLLHUP | POLLERR)) == 0)
    {
      /* The other end can still be written to. */
      if ((entry.revents & POLLRDHUP) == 0 || (entry.revents & POLLOUT) != 0)
        return SEL_FD_IN_USE;
    }

  if ((events & SEL_EVENT_READ) != 0 && sel_fd_has_data (fd))
    return SEL_FD_IN_USE;

  return SEL_FD_HUNG_UP;
}
