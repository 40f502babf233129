/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/epoll.h>

#include "input.h"

typedef struct
{
  int fd;
} Connection;

int
main (void)
{
  Connection connection = { open_input () };
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connection };
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  int n_open = 1;

  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, connection.fd, &event) < 0)
    g_error ("%s", g_strerror (errno));

  while (n_open > 0)
    {
      struct epoll_event ready[64];
      int n_ready = epoll_wait (epoll_fd, ready, G_N_ELEMENTS (ready), -1);

      for (int i = 0; i < n_ready; i++)
        {
          Connection *c = ready[i].data.ptr;
          char text[64];
          gssize n_read = read (c->fd, text, sizeof text);

          g_print ("%d bytes\n", (int) n_read);
          if (n_read == 0)
            {
              epoll_ctl (epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
              close (c->fd);
              n_open--;
            }
        }
    }

  close (epoll_fd);
  return 0;
}
