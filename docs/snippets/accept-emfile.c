/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server that pauses its listening socket while it has no free descriptors. */

#include <errno.h>
#include <gio/gio.h>
#include <sel-glib/sel-glib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "input.h"

#define PAUSE_MS 100

static int spare_fd = -1;
static guint n_pauses;
static guint n_accepted;

static gboolean on_connection (SelBaseSelector *selector,
                               SelSelectorKey  *key,
                               SelEventMask     events,
                               gpointer         user_data);

static gboolean
resume (gpointer user_data)
{
  int listener = GPOINTER_TO_INT (user_data);

  close (spare_fd); /* frees a descriptor; in a real server a client disconnects */
  sel_base_selector_register_callback (sel_main_context_get_selector (NULL, NULL), listener, SEL_EVENT_READ,
                                       on_connection, NULL, NULL, NULL);
  return G_SOURCE_REMOVE;
}

static gboolean
on_connection (SelBaseSelector *selector,
               SelSelectorKey  *key,
               SelEventMask     events,
               gpointer         user_data)
{
  int listener = sel_selector_key_get_fd (key);
  int fd = accept (listener, NULL, NULL);

  if (fd >= 0)
    {
      n_accepted++;
      close (fd);
    }
  else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
    {
      /* The listener stays ready. Waiting for it would be a busy loop. */
      n_pauses++;
      g_timeout_add (PAUSE_MS, resume, GINT_TO_POINTER (listener));
      return G_SOURCE_REMOVE;
    }

  return G_SOURCE_CONTINUE;
}

/* Opens descriptors until the limit is reached. The last one is stored in spare_fd. */
static void
use_up_descriptors (void)
{
  struct rlimit limit = { 64, 64 };
  int fd;

  setrlimit (RLIMIT_NOFILE, &limit);
  while ((fd = dup (0)) >= 0)
    spare_fd = fd;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocket) listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, &error);
  g_autoptr (GSocket) client = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, &error);
  g_autoptr (GSocketAddress) address = NULL;
  SelBaseSelector *selector = sel_main_context_get_selector (NULL, &error);

  if (listener == NULL || client == NULL || selector == NULL
      || !g_socket_bind (listener, any, FALSE, &error)
      || !g_socket_listen (listener, &error)
      || (address = g_socket_get_local_address (listener, &error)) == NULL
      || !g_socket_connect (client, address, NULL, &error)
      || !sel_base_selector_register_callback (selector, g_socket_get_fd (listener), SEL_EVENT_READ, on_connection,
                                               NULL, NULL, &error))
    g_error ("%s", error->message);

  use_up_descriptors ();
  while (n_accepted == 0)
    g_main_context_iteration (NULL, TRUE);

  g_print ("%u pause, %u accepted\n", n_pauses, n_accepted);
  return 0;
}
