/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "situations.h"

gboolean
open_sockets (Situation *self,
              int        type)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, type, 0, fds));
  for (guint i = 0; i < 2; i++)
    {
      g_unix_set_fd_nonblocking (fds[i], TRUE, NULL);
      fcntl (fds[i], F_SETFD, FD_CLOEXEC);
    }
  self->fd = fds[0];
  self->peer = fds[1];

  return TRUE;
}

void
close_peer (Situation *self)
{
  close (self->peer);
  self->peer = -1;
}

gboolean
open_closed_socket (Situation *self)
{
  open_sockets (self, SOCK_STREAM);
  close_peer (self);

  return TRUE;
}

gboolean
open_half_closed (Situation *self)
{
  open_sockets (self, SOCK_STREAM);
  g_assert_no_errno (shutdown (self->peer, SHUT_WR));

  return TRUE;
}

gboolean
open_closed_packets (Situation *self)
{
  open_sockets (self, SOCK_SEQPACKET);
  close_peer (self);

  return TRUE;
}

static gboolean
open_tcp (Situation *self)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int listener = socket (AF_INET, SOCK_STREAM, 0);

  g_assert_no_errno (bind (listener, (struct sockaddr *) &address, size));
  g_assert_no_errno (listen (listener, 1));
  g_assert_no_errno (getsockname (listener, (struct sockaddr *) &address, &size));
  self->peer = socket (AF_INET, SOCK_STREAM, 0);
  g_assert_no_errno (connect (self->peer, (struct sockaddr *) &address, size));
  self->fd = accept (listener, NULL, NULL);
  g_assert_no_errno (self->fd);
  close (listener);
  g_unix_set_fd_nonblocking (self->fd, TRUE, NULL);
  g_unix_set_fd_nonblocking (self->peer, TRUE, NULL);

  return TRUE;
}

gboolean
open_closed_tcp (Situation *self)
{
  open_tcp (self);
  close_peer (self);

  return TRUE;
}

gboolean
open_half_closed_tcp (Situation *self)
{
  open_tcp (self);
  g_assert_no_errno (shutdown (self->peer, SHUT_WR));

  return TRUE;
}

gboolean
open_reset_tcp (Situation *self)
{
  struct linger linger = { .l_onoff = 1 };

  open_tcp (self);
  g_assert_no_errno (setsockopt (self->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  close_peer (self);

  return TRUE;
}

gboolean
open_shut_listener (Situation *self)
{
#ifdef __linux__
  self->fd = socket (AF_INET, SOCK_STREAM, 0);
  g_assert_no_errno (listen (self->fd, 1));
  g_assert_no_errno (shutdown (self->fd, SHUT_RDWR));

  return TRUE;
#else
  return FALSE;
#endif
}

gboolean
open_unconnected (Situation *self)
{
#ifdef __linux__
  self->fd = socket (AF_INET, SOCK_STREAM, 0);

  return TRUE;
#else
  return FALSE;
#endif
}

static gboolean
open_pipe_end (Situation *self,
               gboolean   writer)
{
  int fds[2];

  open_pipe (fds);
  self->fd = fds[writer ? 1 : 0];
  self->peer = fds[writer ? 0 : 1];

  return TRUE;
}

gboolean
open_ended_pipe (Situation *self)
{
  open_pipe_end (self, FALSE);
  close_peer (self);

  return TRUE;
}

gboolean
open_broken_pipe (Situation *self)
{
  open_pipe_end (self, TRUE);
  fill (self->fd);
  close_peer (self);

  return TRUE;
}

/* The output of a child that has ended. */
gboolean
open_child (Situation *self)
{
  open_pipe_end (self, FALSE);
  for (guint i = 0; i < 40; i++)
    put_byte (self->peer);
  close_peer (self);

  return TRUE;
}

void
open_fifo_writer (Situation *self)
{
  self->peer = open (self->path, O_WRONLY | O_CLOEXEC);
  g_assert_no_errno (self->peer);
}

gboolean
open_fifo (Situation *self)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);

  self->path = g_build_filename (directory, "fifo", NULL);
  g_assert_no_errno (mkfifo (self->path, 0600));
  self->fd = open (self->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (self->fd);
  open_fifo_writer (self);
  close_peer (self);

  return TRUE;
}

void
open_fifo_reader (Situation *self)
{
  self->peer = open (self->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (self->peer);
}

/* The other way round: no reader is left. */
gboolean
open_fifo_for_writing (Situation *self)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);

  self->path = g_build_filename (directory, "fifo", NULL);
  g_assert_no_errno (mkfifo (self->path, 0600));
  open_fifo_reader (self);
  self->fd = open (self->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (self->fd);
  close_peer (self);

  return TRUE;
}

void
open_terminal_peer (Situation *self)
{
  struct termios attributes;

  self->peer = open (self->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_no_errno (self->peer);
  g_assert_no_errno (tcgetattr (self->peer, &attributes));
  attributes.c_oflag &= ~(tcflag_t) OPOST;
  attributes.c_lflag &= ~(tcflag_t) (ECHO | ICANON);
  g_assert_no_errno (tcsetattr (self->peer, TCSANOW, &attributes));
}

gboolean
open_terminal (Situation *self)
{
  self->fd = posix_openpt (O_RDWR | O_NOCTTY);
  if (self->fd < 0 || grantpt (self->fd) < 0 || unlockpt (self->fd) < 0)
    return FALSE;

  self->path = g_strdup (ptsname (self->fd));
  g_unix_set_fd_nonblocking (self->fd, TRUE, NULL);
  open_terminal_peer (self);
  close_peer (self);

  return TRUE;
}

void
situation_close (Situation *self)
{
  if (self->fd >= 0)
    close (self->fd);
  if (self->peer >= 0)
    close (self->peer);
  if (self->path != NULL && g_str_has_suffix (self->path, "fifo"))
    {
      g_autofree char *directory = g_path_get_dirname (self->path);

      g_unlink (self->path);
      g_rmdir (directory);
    }
  g_clear_pointer (&self->path, g_free);
}

void
read_byte (Situation    *self,
           SelEventMask  events)
{
  char byte;

  if (read (self->fd, &byte, 1) >= 0)
    self->n_done++;
}
