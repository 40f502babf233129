/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An echo server in the main loop that GTK runs in. This is the file to read for how to use sel-glib:
 *
 * - sel_base_selector_attach() puts one selector into the main context, whatever the number of connections;
 * - sel_base_selector_register_object_callback() adds a GSocket with a function of its own. The registration
 *   owns a reference to the connection: when it ends, for whatever reason, the connection is closed;
 * - returning G_SOURCE_REMOVE from the function ends the registration;
 * - the map of a selector lists its keys, which is all it takes to carry every connection over to another
 *   selector while the server runs: see echo_service_set_backend(). */

#include <string.h>
#include <sys/socket.h>

#include "../echo-common.h"
#include "echo-service.h"

/* Below drawing (GDK_PRIORITY_REDRAW is G_PRIORITY_HIGH_IDLE + 20): however much the clients send, frames
 * and input come first. With G_PRIORITY_DEFAULT a busy server would let GTK draw nothing at all. */
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

  GHashTable *connections;    /* GSocket -> Connection, the listener's too; owns neither */
  ConnectionList *list;
  EchoTotals totals;
  char buffer[BUFFER_SIZE];
};

/* What the function of a registration gets. Counted (g_rc_box_acquire()), as there are two registrations of
 * each while connections move from one selector to the next. */
typedef struct
{
  EchoService *service;
  ConnectionItem *item;
  GSocket *socket;
  SelSelectorFunc ready;
  GByteArray *unsent;    /* what the client was not ready to take yet */
} Connection;

enum
{
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (EchoService, echo_service, G_TYPE_OBJECT)

/* For what goes wrong while nobody waits for a return value. */
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

  /* Not left to the last reference: rows and keys may have one, and the client should see the end now.
   * The listener is different, its registration only pauses. */
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

/* Shows what the selector says now. */
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

/* Sends as much as the client takes, keeps the rest. */
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

/* One read for each report: with many connections, nobody starves. Returns FALSE with no error at the end. */
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
      /* A report is a hint: the data may be gone by now. */
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
      /* A client that goes without a goodbye is no news. */
      if (error != NULL && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
        echo_service_failed (self->service, error);
      return G_SOURCE_REMOVE;
    }

  /* A client that does not read what it sent is not read from: nobody can make the server grow. */
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

  /* From here on the registration alone keeps the connection. */
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

  /* Out of descriptors, most likely. The client still waits in the kernel's queue and the listener stays ready,
   * so going on would spin: leave it alone for a while instead. */
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

/* Makes @selector the one that serves, and ends the one before. */
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

  /* Closing destroys its source, and gives back the references that its registrations have. */
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

/* Listens on a free port of 127.0.0.1, with the named backend (NULL for the default). */
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

  /* Every registration ends here, and with it its connection. */
  if (self->selector != NULL)
    sel_base_selector_close (self->selector);
  g_clear_object (&self->selector);

  if (self->listener != NULL)
    g_socket_close (self->listener, NULL);
  g_clear_object (&self->listener);
}

/* Returns: (transfer full) (nullable): where clients connect to */
GSocketAddress *
echo_service_get_address (EchoService *self)
{
  return self->listener != NULL ? g_socket_get_local_address (self->listener, NULL) : NULL;
}

/* Carries every registration over to a new selector. The connections notice nothing: a socket does not know who
 * waits for it, and what arrives in between is still there when the new selector asks. On failure the old
 * selector goes on as before. */
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

/* Without the listener, and without waiting for the next flush of the list. */
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
