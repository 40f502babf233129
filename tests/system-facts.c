/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "system-facts.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_KQUEUE
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#endif

SelEventMask
system_poll (int fd)
{
  struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };
  SelEventMask events = 0;

  g_assert_no_errno (poll (&entry, 1, 0));
  if ((entry.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
    events |= SEL_EVENT_READ;
  if ((entry.revents & (POLLOUT | POLLHUP | POLLERR)) != 0)
    events |= SEL_EVENT_WRITE;

  return events;
}

#ifdef HAVE_KQUEUE
/* Adds a write filter of one end of a pipe, and closes the other end. Returns: the number of events, 0 or 1 */
static int
take_end (gsize          i,
          struct kevent *event)
{
  struct kevent change;
  int queue = kqueue ();
  int fds[2];
  int n;

  g_assert_no_errno (queue);
  open_pipe (fds);
  fill (fds[1]);
  EV_SET (&change, fds[i], EVFILT_WRITE, EV_ADD, 0, 0, 0);
  g_assert_no_errno (kevent (queue, &change, 1, NULL, 0, NULL));
  close (fds[1 - i]);
  n = kevent (queue, NULL, 0, event, 1, &(struct timespec) { 0, 0 });
  close (fds[i]);
  close (queue);

  return n;
}
#endif

gboolean
system_forgets_pipes (const Backend *backend)
{
#ifdef HAVE_KQUEUE
  struct kevent event;

  return backend->splits_events && take_end (0, &event) == 0;
#else
  return FALSE;
#endif
}

gboolean
system_ends_pipes_once (const Backend *backend)
{
#ifdef HAVE_KQUEUE
  struct kevent event;

  return backend->splits_events && take_end (1, &event) == 1 && (event.flags & EV_ONESHOT) != 0;
#else
  return FALSE;
#endif
}

gboolean
system_has_two_way_pipes (void)
{
  SelEventMask ready;
  int fds[2];

  open_pipe (fds);
  ready = system_poll (fds[0]);
  close_pair (fds);

  return (ready & SEL_EVENT_WRITE) != 0;
}

gboolean
system_identifies_pipes (void)
{
  struct stat status;
  int fds[2];

  open_pipe (fds);
  g_assert_no_errno (fstat (fds[0], &status));
  close_pair (fds);

  return status.st_ino != 0;
}

gboolean
system_shut_both_is_ready (void)
{
  SelEventMask ready;
  int fds[2];

  open_socketpair (fds);
  fill (fds[0]);
  g_assert_no_errno (shutdown (fds[0], SHUT_RD));
  g_assert_no_errno (shutdown (fds[1], SHUT_RD));
  ready = system_poll (fds[0]);
  close_pair (fds);

  return (ready & SEL_EVENT_WRITE) != 0;
}

gboolean
system_shut_write_is_ready (void)
{
  SelEventMask ready;
  int fds[2];

  open_socketpair (fds);
  fill (fds[0]);
  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
  ready = system_poll (fds[0]);
  close_pair (fds);

  return (ready & SEL_EVENT_WRITE) != 0;
}
