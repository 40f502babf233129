/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>

#include "input.h"

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  char text[64];
  int fd = sel_selector_key_get_fd (key);
  gssize n_read = read (fd, text, sizeof text);

  g_print ("%d bytes\n", (int) n_read);
  if (n_read > 0)
    return G_SOURCE_CONTINUE;

  sel_base_selector_unregister (selector, fd, NULL);
  close (fd);
  g_main_loop_quit (user_data);
  return G_SOURCE_CONTINUE;
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  SelBaseSelector *selector = sel_main_context_get_selector (NULL, &error);

  if (selector == NULL
      || !sel_base_selector_register_callback (selector, open_input (), SEL_EVENT_READ, on_ready, loop, NULL, &error))
    g_error ("%s", error->message);

  g_main_loop_run (loop);
  return 0;
}
