/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An echo server in the main loop of a GTK program. Read this file to see how to use sel-glib:
 *
 * - sel_base_selector_attach() adds one selector to the main context for all connections;
 * - sel_base_selector_register_object_callback() adds a GSocket with its own callback. The registration owns a
 *   reference to the connection. When the registration ends for any reason, the connection is closed;
 * - if the callback returns G_SOURCE_REMOVE, the registration ends;
 * - the map of a selector lists its keys. With this list, echo_service_set_backend() moves all connections to another
 *   selector while the server runs. */

#include <string.h>
#include <sys/socket.h>

#include "../echo-common.h"
#include "echo-service.h"

/* Lower than the priority of drawing (GDK_PRIORITY_REDRAW is G_PRIORITY_HIGH_IDLE + 20), so that frames and input
 * come before the messages of the clients. With G_PRIORITY_DEFAULT a busy server would prevent GTK from drawing. */
#define SERVICE_PRIORITY G_PRIORITY_DEFAULT_IDLE

#define ACCEPTS_PER_TURN 64
#define PAUSE_MS 500
#define BUFFER_SIZE (16 * 1024)

struct _EchoService
{
  GObject parent_instance;

  SelBaseSelector *selector;
  char *backend;
  GSocket *listener;
  guint pause_id;

  GHashTable *connections;    /* (element-type GSocket Connection): not owned; includes the listener */
  ConnectionList *list;
  EchoTotals totals;
  char buffer[BUFFER_SIZE];
};

/* The user data of a registration. It has a reference count (g_rc_box_acquire()), because each connection has two
 * registrations while it moves from one selector to another. */
typedef struct
{
  EchoService *service;
  ConnectionItem *item;
  GSocket *socket;
  SelSelectorFunc ready;
  GByteArray *unsent;    /* data that the socket did not accept yet */
} Connection;

enum
{
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (EchoService, echo_service, G_TYPE_OBJECT)

/* Reports an error that no function can return. */
static void
echo_service_failed (EchoService  *self,
                     const GError *error)
{
  g_signal_emit (self, signals[SIGNAL_FAILED], 0, error);
}

static Connection *
connection_new (EchoService     *service,
                GSocket         *socket,
                SelSelectorFunc  ready)
{
  Connection *self = g_rc_box_new0 (Connection);

  self->service = service;
  self->socket = g_object_ref (socket);
  self->item = connection_item_new (socket);
  self->ready = ready;
  self->unsent = g_byte_array_new ();

  g_hash_table_insert (service->connections, socket, self);
  connection_list_add (service->list, self->item);

  return self;
}

static void
connection_clear (gpointer data)
{
  Connection *self = data;

  g_hash_table_remove (self->service->connections, self->socket);
  connection_list_remove (self->service->list, self->item);

  /* Close the socket now: rows and keys may hold references to it, and the client should see the end at once. The
   * listener is not closed, because its registration may only be paused. */
  if (self->socket != self->service->listener)
    g_socket_close (self->socket, NULL);

  g_byte_array_unref (self->unsent);
  g_object_unref (self->item);
  g_object_unref (self->socket);
}

static void
connection_unref (gpointer data)
{
  g_rc_box_release_full (data, connection_clear);
}

/* Shows the new key of the selector. */
static void
connection_update_key (Connection      *self,
                       SelBaseSelector *selector)
{
  g_autoptr (SelSelectorKey) key = sel_base_selector_get_key_object (selector, G_OBJECT (self->socket), NULL);

  connection_item_set_key (self->item, key);
}

static gboolean
connection_register (Connection       *self,
                     SelBaseSelector  *selector,
                     SelEventMask      events,
                     GError          **error)
{
  return sel_base_selector_register_object_callback (selector, G_OBJECT (self->socket), events, self->ready,
                                                     g_rc_box_acquire (self), connection_unref, error);
}

/* Sends as much as the socket accepts and keeps the rest. */
static gboolean
connection_send (Connection  *self,
                 const char  *data,
                 gsize        length,
                 GError     **error)
{
  g_autoptr (GError) local_error = NULL;

  while (length > 0)
    {
      gssize n = g_socket_send (self->socket, data, length, NULL, &local_error);

      if (n < 0)
        break;

      self->service->totals.bytes_out += n;
      data += n;
      length -= n;
    }

  if (local_error != NULL && !g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }

  g_byte_array_append (self->unsent, (const guint8 *) data, length);
  return TRUE;
}

static gboolean
connection_send_unsent (Connection  *self,
                        GError     **error)
{
  g_autoptr (GByteArray) unsent = g_steal_pointer (&self->unsent);

  self->unsent = g_byte_array_new ();
  return connection_send (self, (const char *) unsent->data, unsent->len, error);
}

/* A message ends with a newline. */
static guint
count_messages (const char *data,
                gsize       length)
{
  guint n = 0;

  for (const char *end = data + length; (data = memchr (data, '\n', end - data)) != NULL; data++)
    n++;

  return n;
}

/* Reads once for each report, so that no connection starves if there are many. Returns: FALSE without an error at the
 * end of the stream */
static gboolean
connection_echo (Connection  *self,
                 GError     **error)
{
  EchoService *service = self->service;
  g_autoptr (GError) local_error = NULL;
  gssize n = g_socket_receive (self->socket, service->buffer, BUFFER_SIZE, NULL, &local_error);
  guint n_messages;

  if (n < 0)
    {
      /* A report is a hint: there may be no data any more. */
      if (g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return TRUE;
      g_propagate_error (error, g_steal_pointer (&local_error));
    }
  if (n <= 0)
    return FALSE;

  n_messages = count_messages (service->buffer, n);
  connection_item_count (self->item, n_messages, n);
  connection_list_touch (service->list, self->item);
  service->totals.messages += n_messages;
  service->totals.bytes_in += n;

  return connection_send (self, service->buffer, n, error);
}

static gboolean
connection_ready (SelBaseSelector *selector,
                  SelSelectorKey  *key,
                  SelEventMask     ready,
                  gpointer         user_data)
{
  Connection *self = user_data;
  SelEventMask wanted;
  g_autoptr (GError) error = NULL;

  if (((ready & SEL_EVENT_WRITE) != 0 && !connection_send_unsent (self, &error))
      || ((ready & SEL_EVENT_READ) != 0 && !connection_echo (self, &error)))
    {
      /* A reset by the client is not an error of the server. */
      if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
        echo_service_failed (self->service, error);
      return G_SOURCE_REMOVE;
    }

  /* Do not read from a client that does not read, so that it cannot make the server use more memory. */
  wanted = self->unsent->len > 0 ? SEL_EVENT_WRITE : SEL_EVENT_READ;
  if (wanted == sel_selector_key_get_events (key))
    return G_SOURCE_CONTINUE;

  if (!sel_base_selector_modify_events (selector, sel_selector_key_get_fd (key), wanted, &error))
    {
      echo_service_failed (self->service, error);
      return G_SOURCE_REMOVE;
    }

  connection_update_key (self, selector);
  return G_SOURCE_CONTINUE;
}

/* Registers @socket and lists it. */
static gboolean
echo_service_add (EchoService      *self,
                  GSocket          *socket,
                  SelSelectorFunc   ready,
                  GError          **error)
{
  Connection *connection = connection_new (self, socket, ready);
  gboolean added = connection_register (connection, self->selector, SEL_EVENT_READ, error);

  if (added)
    connection_update_key (connection, self->selector);

  /* From here on, only the registration owns the connection. */
  connection_unref (connection);

  return added;
}

static gboolean echo_service_accept (SelBaseSelector *selector,
                                     SelSelectorKey  *key,
                                     SelEventMask     events,
                                     gpointer         user_data);

static gboolean
echo_service_listen_again (gpointer data)
{
  EchoService *self = data;
  g_autoptr (GError) error = NULL;

  if (!echo_service_add (self, self->listener, echo_service_accept, &error))
    {
      echo_service_failed (self, error);
      return G_SOURCE_CONTINUE;
    }

  self->pause_id = 0;
  return G_SOURCE_REMOVE;
}

static gboolean
echo_service_accept (SelBaseSelector *selector,
                     SelSelectorKey  *key,
                     SelEventMask     events,
                     gpointer         user_data)
{
  Connection *listener = user_data;
  EchoService *self = listener->service;
  g_autoptr (GError) error = NULL;

  for (int i = 0; i < ACCEPTS_PER_TURN; i++)
    {
      g_autoptr (GSocket) socket = g_socket_accept (self->listener, NULL, &error);

      if (socket == NULL)
        break;

      g_socket_set_blocking (socket, FALSE);
      if (!echo_service_add (self, socket, connection_ready, &error))
        break;
    }

  if (error == NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return G_SOURCE_CONTINUE;

  /* Probably no descriptor is free. The client still waits in the kernel's queue and the listener stays ready, so the
   * main loop would spin. Pause the listener for a while instead. */
  g_prefix_error (&error, "New connections wait: ");
  echo_service_failed (self, error);
  self->pause_id = g_timeout_add (PAUSE_MS, echo_service_listen_again, self);

  return G_SOURCE_REMOVE;
}

static void
echo_service_finalize (GObject *object)
{
  EchoService *self = ECHO_SERVICE (object);

  echo_service_stop (self);
  g_hash_table_unref (self->connections);
  g_object_unref (self->list);
  g_free (self->backend);

  G_OBJECT_CLASS (echo_service_parent_class)->finalize (object);
}

static void
echo_service_class_init (EchoServiceClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = echo_service_finalize;

  signals[SIGNAL_FAILED] = g_signal_new ("failed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0,
                                         NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
echo_service_init (EchoService *self)
{
  self->connections = g_hash_table_new (NULL, NULL);
  self->list = connection_list_new ();
}

EchoService *
echo_service_new (void)
{
  return g_object_new (ECHO_TYPE_SERVICE, NULL);
}

/* Replaces the selector with @selector, and closes the old one. */
static void
echo_service_take_selector (EchoService     *self,
                            SelBaseSelector *selector,
                            const char      *backend)
{
  g_autoptr (SelBaseSelector) before = g_steal_pointer (&self->selector);

  self->selector = g_object_ref (selector);
  g_free (self->backend);
  self->backend = g_strdup (backend);

  sel_base_selector_attach (selector, NULL, SERVICE_PRIORITY, NULL, NULL, NULL);

  /* Closing destroys the source of the selector and drops the references of its registrations. */
  if (before != NULL)
    sel_base_selector_close (before);
}

static GSocket *
echo_service_listen (GError **error)
{
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT,
                                             error);

  if (socket == NULL)
    return NULL;

  g_socket_set_blocking (socket, FALSE);
  g_socket_set_listen_backlog (socket, SOMAXCONN);
  if (!g_socket_bind (socket, address, TRUE, error) || !g_socket_listen (socket, error))
    return NULL;

  return g_steal_pointer (&socket);
}

/* Listens on a free port of 127.0.0.1 with the named backend; NULL selects the default. */
gboolean
echo_service_start (EchoService  *self,
                    const char   *backend,
                    GError      **error)
{
  g_autoptr (SelBaseSelector) selector = echo_selector_new (backend, error);

  g_return_val_if_fail (self->selector == NULL, FALSE);

  if (selector == NULL)
    return FALSE;

  self->listener = echo_service_listen (error);
  if (self->listener == NULL)
    return FALSE;

  echo_service_take_selector (self, selector, echo_backend_name (selector));
  if (!echo_service_add (self, self->listener, echo_service_accept, error))
    {
      echo_service_stop (self);
      return FALSE;
    }

  return TRUE;
}

void
echo_service_stop (EchoService *self)
{
  g_clear_handle_id (&self->pause_id, g_source_remove);

  /* This ends every registration, which closes its connection. */
  if (self->selector != NULL)
    sel_base_selector_close (self->selector);
  g_clear_object (&self->selector);

  if (self->listener != NULL)
    g_socket_close (self->listener, NULL);
  g_clear_object (&self->listener);
}

/* Returns: (transfer full) (nullable): the address for clients */
GSocketAddress *
echo_service_get_address (EchoService *self)
{
  return self->listener != NULL ? g_socket_get_local_address (self->listener, NULL) : NULL;
}

/* Moves every registration to a new selector. This does not affect the connections: data that arrives meanwhile stays
 * in the socket until the new selector reports it. If this fails, the old selector continues. */
gboolean
echo_service_set_backend (EchoService  *self,
                          const char   *backend,
                          GError      **error)
{
  g_autoptr (SelBaseSelector) selector = NULL;
  g_autoptr (GPtrArray) keys = NULL;

  g_return_val_if_fail (self->selector != NULL, FALSE);

  selector = echo_selector_new (backend, error);
  if (selector == NULL)
    return FALSE;

  keys = sel_selector_mapping_get_keys (sel_base_selector_get_map (self->selector));
  for (guint i = 0; i < keys->len; i++)
    {
      SelSelectorKey *key = keys->pdata[i];
      Connection *connection = g_hash_table_lookup (self->connections, sel_selector_key_get_fileobj (key));

      if (!connection_register (connection, selector, sel_selector_key_get_events (key), error))
        {
          sel_base_selector_close (selector);
          return FALSE;
        }
    }

  echo_service_take_selector (self, selector, echo_backend_name (selector));

  for (guint i = 0; i < keys->len; i++)
    connection_update_key (g_hash_table_lookup (self->connections, sel_selector_key_get_fileobj (keys->pdata[i])),
                           selector);

  return TRUE;
}

const char *
echo_service_get_backend (EchoService *self)
{
  return self->backend;
}

ConnectionList *
echo_service_get_connections (EchoService *self)
{
  return self->list;
}

/* Does not count the listener, and does not depend on the next flush of the list. */
guint
echo_service_get_n_connections (EchoService *self)
{
  guint n = g_hash_table_size (self->connections);

  return self->listener != NULL && g_hash_table_contains (self->connections, self->listener) ? n - 1 : n;
}

EchoTotals
echo_service_get_totals (EchoService *self)
{
  return self->totals;
}

gboolean
echo_service_is_listener (EchoService    *self,
                          ConnectionItem *item)
{
  return self->listener != NULL && connection_item_get_socket (item) == self->listener;
}

gboolean
echo_service_close_connection (EchoService     *self,
                               ConnectionItem  *item,
                               GError         **error)
{
  return sel_base_selector_unregister_object (self->selector, G_OBJECT (connection_item_get_socket (item)), error);
}
