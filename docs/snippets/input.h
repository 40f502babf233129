/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

/* Returns the read end of a pipe. It contains the six bytes "hello\n", followed by the end of the stream. */
static inline int
open_input (void)
{
  int fds[2];

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, NULL) || write (fds[1], "hello\n", 6) != 6)
    g_error ("no pipe");

  close (fds[1]);
  g_unix_set_fd_nonblocking (fds[0], TRUE, NULL);
  return fds[0];
}
