/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "input.h"

static gboolean
on_ready (int          fd,
          GIOCondition condition,
          gpointer     user_data)
{
  char text[64];
  gssize n_read = read (fd, text, sizeof text);

  g_print ("%d bytes\n", (int) n_read);
  if (n_read > 0)
    return G_SOURCE_CONTINUE;

  close (fd);
  g_main_loop_quit (user_data);
  return G_SOURCE_REMOVE;
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  g_unix_fd_add (open_input (), G_IO_IN, on_ready, loop);
  g_main_loop_run (loop);
  return 0;
}
