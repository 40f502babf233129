/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs two commands and prints their output as soon as it arrives. */

#include <gio/gio.h>
#include <sel-glib/sel-glib.h>

static gboolean
start (SelBaseSelector  *selector,
       const char       *name,
       const char       *delay,
       GError          **error)
{
  g_autofree char *script = g_strdup_printf ("for i in 1 2 3; do sleep %s; echo line $i; done", delay);
  g_autoptr (GSubprocess) command = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, error,
                                                      "sh", "-c", script, NULL);

  if (command == NULL)
    return FALSE;

  /* The selector holds a reference to the stream, and stores the name as data. */
  return sel_base_selector_register_object (selector, G_OBJECT (g_subprocess_get_stdout_pipe (command)),
                                            SEL_EVENT_READ, g_strdup (name), g_free, error);
}

static gboolean
show (SelBaseSelector  *selector,
      SelSelectorKey   *key,
      GError          **error)
{
  GObject *stream = sel_selector_key_get_fileobj (key);
  const char *name = sel_selector_key_get_data (key);
  char text[256];
  gssize n_read = g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (stream), text, sizeof text,
                                                            NULL, error);

  if (n_read < 0)
    return FALSE;

  if (n_read > 0)
    {
      g_print ("%s: %.*s", name, (int) n_read, text);
      return TRUE;
    }

  g_print ("%s is done\n", name);
  return sel_base_selector_unregister_object (selector, stream, error);
}

static gboolean
run (GError **error)
{
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (error);
  SelSelectorMapping *map;

  if (selector == NULL
      || !start (selector, "slow", "0.2", error)
      || !start (selector, "quick", "0.1", error))
    return FALSE;

  map = sel_base_selector_get_map (selector);
  while (sel_selector_mapping_get_size (map) > 0)
    {
      g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, error);

      if (ready == NULL)
        return FALSE;

      for (guint i = 0; i < ready->len; i++)
        {
          if (!show (selector, sel_selector_event_get_key (ready->pdata[i]), error))
            return FALSE;
        }
    }

  return TRUE;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;

  if (run (&error))
    return 0;

  g_printerr ("%s\n", error->message);
  return 1;
}
