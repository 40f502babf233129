/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>

#include "input.h"

static void
on_done (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = sel_base_selector_select_finish (SEL_BASE_SELECTOR (source), result, &error);

  if (ready == NULL)
    g_print ("%s\n", error->message); /* for example if the wait was cancelled */
  else
    g_print ("%u ready\n", ready->len); /* 0 after a timeout */

  g_main_loop_quit (user_data);
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (&error);
  int fd = open_input ();

  if (selector == NULL || !sel_base_selector_register (selector, fd, SEL_EVENT_READ, NULL, NULL, &error))
    g_error ("%s", error->message);

  sel_base_selector_select_async (selector, 10, G_PRIORITY_DEFAULT, NULL, on_done, loop);
  g_main_loop_run (loop);

  sel_base_selector_close (selector);
  close (fd);
  return 0;
}
