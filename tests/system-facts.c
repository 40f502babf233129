/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

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

static gboolean
is_ready (int   fd,
          short events)
{
  struct pollfd entry = { .fd = fd, .events = events };

  g_assert_no_errno (poll (&entry, 1, 0));

  return (entry.revents & (events | POLLHUP | POLLERR)) != 0;
}

/* The answer of macOS for both at once is that of the direction that has ended. */
SelEventMask
system_poll (int fd)
{
  SelEventMask events = 0;

  if (is_ready (fd, POLLIN))
    events |= SEL_EVENT_READ;
  if (is_ready (fd, POLLOUT))
    events |= SEL_EVENT_WRITE;

  return events;
}

#ifdef HAVE_KQUEUE
/* Adds a write filter of a full pipe, and closes the other end. Returns: the number of events, 0 or 1 */
static int
take_end (struct kevent *event)
{
  struct kevent change;
  int queue = kqueue ();
  int fds[2];
  int n;

  g_assert_no_errno (queue);
  open_pipe (fds);
  fill (fds[1]);
  EV_SET (&change, fds[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
  g_assert_no_errno (kevent (queue, &change, 1, NULL, 0, NULL));
  close (fds[0]);
  n = kevent (queue, NULL, 0, event, 1, &(struct timespec) { 0, 0 });
  close (fds[1]);
  close (queue);

  return n;
}
#endif

gboolean
system_ends_pipes_once (const Backend *backend)
{
#ifdef HAVE_KQUEUE
  struct kevent event;

  return backend->splits_events && take_end (&event) == 1 && (event.flags & EV_ONESHOT) != 0;
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

void
open_one_way (int fds[2])
{
  if (!system_has_two_way_pipes ())
    {
      open_pipe (fds);
      return;
    }

  open_socketpair (fds);
  fill (fds[0]);
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

guint
system_count_wakeup_fds (void)
{
#ifdef HAVE_EVENTFD
  return 1;
#else
  return 2;
#endif
}
