/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#ifdef HAVE_EVENTFD
#include <stdint.h>
#include <sys/eventfd.h>
#endif

#include "core/sel-fork-private.h"
#include "core/sel-point-private.h"
#include "core/sel-wakeup-private.h"
#include "sel-error-private.h"

/* TRUE if a parent process has opened @wakeup. */
static inline gboolean
sel_wakeup_is_inherited (SelWakeup *wakeup)
{
  return !sel_fork_is_own_process (&wakeup->fork_count);
}

/* The count is stored before write_fd: a call of sel_wakeup_signal() that counts itself in in_use finds the count
 * that this process has begun. */
static void
sel_wakeup_take (SelWakeup *wakeup)
{
  if (!sel_wakeup_is_inherited (wakeup))
    return;

  g_atomic_int_set (&wakeup->in_use, 0);
  g_atomic_int_set (&wakeup->fork_count, sel_fork_count);
}

gboolean
sel_wakeup_open (SelWakeup  *wakeup,
                 GError    **error)
{
#ifdef HAVE_EVENTFD
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (fd < 0)
    return sel_os_error_set (error, -1, errno);

  sel_wakeup_take (wakeup);
  wakeup->read_fd = fd;
  g_atomic_int_set (&wakeup->write_fd, fd);
#else
  int fds[2];

#ifdef HAVE_PIPE2
  if (pipe2 (fds, O_CLOEXEC | O_NONBLOCK) < 0)
    return sel_os_error_set (error, -1, errno);
#else
  if (pipe (fds) < 0)
    return sel_os_error_set (error, -1, errno);

  for (int i = 0; i < 2; i++)
    {
      fcntl (fds[i], F_SETFD, FD_CLOEXEC);
      fcntl (fds[i], F_SETFL, O_NONBLOCK);
    }
#endif

  sel_wakeup_take (wakeup);
  wakeup->read_fd = fds[0];
  g_atomic_int_set (&wakeup->write_fd, fds[1]);
#endif

  return TRUE;
}

/* If the pipe is full, the write fails, but the read end is readable already. */
void
sel_wakeup_signal (SelWakeup *wakeup)
{
  int saved_errno = errno;
  int fd;

  if (sel_wakeup_is_inherited (wakeup))
    return;

  g_atomic_int_inc (&wakeup->in_use);
  SEL_POINT ("signal-in-use");

  fd = g_atomic_int_get (&wakeup->write_fd);
  SEL_POINT ("signal-write");
  if (fd >= 0)
    {
#ifdef HAVE_EVENTFD
      uint64_t one = 1;
#else
      char one = 1;
#endif
      gssize n;

      do
        n = write (fd, &one, sizeof one);
      while (n < 0 && errno == EINTR);
    }

  g_atomic_int_add (&wakeup->in_use, -1);

  errno = saved_errno;
}

gboolean
sel_wakeup_drain (SelWakeup *wakeup)
{
  gboolean had_some = FALSE;
  char buffer[64];
  gssize n;

#ifdef HAVE_EVENTFD
  /* One read empties the counter. */
  n = read (wakeup->read_fd, buffer, sizeof (uint64_t));
  had_some = n > 0;
#else
  do
    {
      n = read (wakeup->read_fd, buffer, sizeof buffer);
      had_some |= n > 0;
    }
  while (n == sizeof buffer || (n < 0 && errno == EINTR));
#endif

  return had_some;
}

void
sel_wakeup_close (SelWakeup *wakeup)
{
  int read_fd = wakeup->read_fd;
  int write_fd = g_atomic_int_get (&wakeup->write_fd);

  wakeup->read_fd = -1;
  g_atomic_int_set (&wakeup->write_fd, -1);

  /* A call of sel_wakeup_signal() that began before may be about to write to this number. After close() the number may
   * stand for another file. In a child process the calls of the parent do not exist. */
  while (!sel_wakeup_is_inherited (wakeup) && g_atomic_int_get (&wakeup->in_use) > 0)
    SEL_SPIN ("spin-wakeup-close");

  if (write_fd >= 0 && write_fd != read_fd)
    close (write_fd);
  if (read_fd >= 0)
    close (read_fd);
}
