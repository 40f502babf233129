/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>

#include "input.h"

typedef struct
{
  int fd;
} Connection;

int
main (void)
{
  Connection connection = { open_input () };
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (&error);
  int n_open = 1;

  if (selector == NULL
      || !sel_base_selector_register (selector, connection.fd, SEL_EVENT_READ, &connection, NULL, &error))
    g_error ("%s", error->message);

  while (n_open > 0)
    {
      SelReadyEvent ready[64];
      gssize n_ready = sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, ready, G_N_ELEMENTS (ready), NULL,
                                                       &error);

      if (n_ready < 0)
        g_error ("%s", error->message);

      for (gssize i = 0; i < n_ready; i++)
        {
          Connection *c = ready[i].data;
          char text[64];
          gssize n_read = read (c->fd, text, sizeof text);

          g_print ("%d bytes\n", (int) n_read);
          if (n_read == 0)
            {
              sel_base_selector_unregister (selector, c->fd, NULL);
              close (c->fd);
              n_open--;
            }
        }
    }

  return 0;
}
