/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "input.h"

static gboolean
on_ready (GIOChannel  *channel,
          GIOCondition condition,
          gpointer     user_data)
{
  g_autofree char *line = NULL;
  gsize length = 0;

  switch (g_io_channel_read_line (channel, &line, &length, NULL, NULL))
    {
    case G_IO_STATUS_NORMAL:
      g_print ("a line of %d bytes\n", (int) length);
      return G_SOURCE_CONTINUE;
    case G_IO_STATUS_AGAIN:
      return G_SOURCE_CONTINUE;
    case G_IO_STATUS_EOF:
    case G_IO_STATUS_ERROR:
    default:
      g_print ("the end\n");
      g_main_loop_quit (user_data);
      return G_SOURCE_REMOVE;
    }
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  GIOChannel *channel = g_io_channel_unix_new (open_input ());

  g_io_channel_set_close_on_unref (channel, TRUE);
  g_io_add_watch (channel, G_IO_IN | G_IO_HUP | G_IO_ERR, on_ready, loop);
  g_io_channel_unref (channel);
  g_main_loop_run (loop);
  return 0;
}
