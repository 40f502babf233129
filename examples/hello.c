/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib-unix.h>
#include <sel-glib/sel-glib.h>

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (&error);
  g_autoptr (GPtrArray) ready = NULL;
  char name[] = "a pipe";
  int fds[2];

  if (selector == NULL
      || !g_unix_open_pipe (fds, FD_CLOEXEC, &error)
      || !sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, name, NULL, &error))
    g_error ("%s", error->message);

  if (write (fds[1], "!", 1) == 1)
    ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);

  for (guint i = 0; ready != NULL && i < ready->len; i++)
    {
      SelSelectorKey *key = sel_selector_event_get_key (ready->pdata[i]);
      SelEventMask mask = sel_selector_event_get_events (ready->pdata[i]);
      g_autofree char *events = g_flags_to_string (SEL_TYPE_EVENT_MASK, mask);

      g_print ("%s, descriptor %d, is ready for %s\n", (char *) sel_selector_key_get_data (key),
               sel_selector_key_get_fd (key), events);
    }

  return ready != NULL && ready->len == 1 ? 0 : 1;
}
