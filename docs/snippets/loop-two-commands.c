/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The program of "Getting started", with a main loop. */

#include <gio/gio.h>
#include <sel-glib/sel-glib.h>

static gboolean
show (SelBaseSelector *selector,
      SelSelectorKey  *key,
      SelEventMask     events,
      gpointer         user_data)
{
  const char *name = user_data;
  GPollableInputStream *stream = G_POLLABLE_INPUT_STREAM (sel_selector_key_get_fileobj (key));
  char text[256];
  gssize n_read = g_pollable_input_stream_read_nonblocking (stream, text, sizeof text, NULL, NULL);

  if (n_read > 0)
    {
      g_print ("%s: %.*s", name, (int) n_read, text);
      return G_SOURCE_CONTINUE;
    }

  g_print ("%s is done\n", name);
  return G_SOURCE_REMOVE; /* unregisters the stream */
}

static void
start (SelBaseSelector *selector,
       const char      *name,
       const char      *delay)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *script = g_strdup_printf ("for i in 1 2 3; do sleep %s; echo line $i; done", delay);
  g_autoptr (GSubprocess) command = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
                                                      "sh", "-c", script, NULL);

  if (command == NULL
      || !sel_base_selector_register_object_callback (selector, G_OBJECT (g_subprocess_get_stdout_pipe (command)),
                                                      SEL_EVENT_READ, show, g_strdup (name), g_free, &error))
    g_error ("%s", error->message);
}

int
main (void)
{
  SelBaseSelector *selector = sel_main_context_get_selector (NULL, NULL);
  SelSelectorMapping *map = sel_base_selector_get_map (selector);

  start (selector, "slow", "0.2");
  start (selector, "quick", "0.1");

  /* A program with a user interface calls g_application_run() here. */
  while (sel_selector_mapping_get_size (map) > 0)
    g_main_context_iteration (NULL, TRUE);

  return 0;
}
