/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gio/gunixinputstream.h>
#include <sel-glib/sel-glib.h>
#include <string.h>

#include "input.h"

static gboolean
has_line (GBufferedInputStream *buffer)
{
  gsize n_available = 0;
  const char *text = g_buffered_input_stream_peek_buffer (buffer, &n_available);

  return n_available > 0 && memchr (text, '\n', n_available) != NULL;
}

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  GMainLoop *loop = user_data;
  GDataInputStream *lines = G_DATA_INPUT_STREAM (sel_selector_key_get_fileobj (key));
  GBufferedInputStream *buffer = G_BUFFERED_INPUT_STREAM (lines);
  gssize n_read = g_buffered_input_stream_fill (buffer, -1, NULL, NULL);

  /* Read all complete lines: data in the buffer does not make the descriptor ready again. */
  while (has_line (buffer))
    {
      gsize length = 0;

      g_free (g_data_input_stream_read_line (lines, &length, NULL, NULL));
      g_print ("a line of %d bytes\n", (int) length + 1);
    }

  if (n_read > 0)
    return G_SOURCE_CONTINUE;

  g_print ("the end\n");
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GInputStream) stream = g_unix_input_stream_new (open_input (), TRUE);
  g_autoptr (GDataInputStream) lines = g_data_input_stream_new (stream);
  g_autoptr (GError) error = NULL;
  SelBaseSelector *selector = sel_main_context_get_selector (NULL, &error);

  if (selector == NULL
      || !sel_base_selector_register_object_callback (selector, G_OBJECT (lines), SEL_EVENT_READ, on_ready, loop, NULL,
                                                      &error))
    g_error ("%s", error->message);

  g_main_loop_run (loop);
  return 0;
}
