/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One row of the list: a key of a selector and the traffic of its connection.
 *
 * A key describes a registration: its descriptor, file object and events. A key never changes. If the registration
 * changes, the row gets the new key. The counters do not notify, because there are thousands of messages each second;
 * connection_item_notify_changes() is called once per frame for that. */

#include "connection-item.h"

struct _ConnectionItem
{
  GObject parent_instance;

  GSocket *socket;
  char *file_object;
  SelSelectorKey *key;
  guint64 messages;
  guint64 bytes;
};

enum
{
  PROP_DESCRIPTOR = 1,
  PROP_FILE_OBJECT,
  PROP_EVENTS,
  PROP_MESSAGES,
  PROP_BYTES,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_TYPE (ConnectionItem, connection_item, G_TYPE_OBJECT)

static char *
connection_item_describe (GSocket *socket)
{
  g_autoptr (GSocketAddress) remote = g_socket_get_remote_address (socket, NULL);
  g_autoptr (GSocketAddress) local = g_socket_get_local_address (socket, NULL);
  GSocketAddress *address = remote != NULL ? remote : local;
  g_autofree char *text = address != NULL ? g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address)) : NULL;

  return g_strdup_printf ("%s %s %s", G_OBJECT_TYPE_NAME (socket), remote != NULL ? "from" : "listening on",
                          text != NULL ? text : "an unknown address");
}

static char *
connection_item_describe_events (ConnectionItem *self)
{
  SelEventMask events = self->key != NULL ? sel_selector_key_get_events (self->key) : 0;

  if (events == (SEL_EVENT_READ | SEL_EVENT_WRITE))
    return g_strdup ("read, write");

  return g_strdup (events == SEL_EVENT_READ ? "read" : events == SEL_EVENT_WRITE ? "write" : "");
}

static void
connection_item_get_property (GObject    *object,
                              guint       property_id,
                              GValue     *value,
                              GParamSpec *pspec)
{
  ConnectionItem *self = CONNECTION_ITEM (object);

  switch (property_id)
    {
    case PROP_DESCRIPTOR:
      g_value_set_int (value, self->key != NULL ? sel_selector_key_get_fd (self->key) : -1);
      break;
    case PROP_FILE_OBJECT:
      g_value_set_string (value, self->file_object);
      break;
    case PROP_EVENTS:
      g_value_take_string (value, connection_item_describe_events (self));
      break;
    case PROP_MESSAGES:
      g_value_set_uint64 (value, self->messages);
      break;
    case PROP_BYTES:
      g_value_set_uint64 (value, self->bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
connection_item_finalize (GObject *object)
{
  ConnectionItem *self = CONNECTION_ITEM (object);

  g_clear_object (&self->key);
  g_clear_object (&self->socket);
  g_free (self->file_object);

  G_OBJECT_CLASS (connection_item_parent_class)->finalize (object);
}

static void
connection_item_class_init (ConnectionItemClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->get_property = connection_item_get_property;
  object_class->finalize = connection_item_finalize;

  properties[PROP_DESCRIPTOR] = g_param_spec_int ("descriptor", NULL, NULL, -1, G_MAXINT, -1, flags);
  properties[PROP_FILE_OBJECT] = g_param_spec_string ("file-object", NULL, NULL, NULL, flags);
  properties[PROP_EVENTS] = g_param_spec_string ("events", NULL, NULL, NULL, flags);
  properties[PROP_MESSAGES] = g_param_spec_uint64 ("messages", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  properties[PROP_BYTES] = g_param_spec_uint64 ("bytes", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
connection_item_init (ConnectionItem *self)
{
}

ConnectionItem *
connection_item_new (GSocket *socket)
{
  ConnectionItem *self = g_object_new (CONNECTION_TYPE_ITEM, NULL);

  self->socket = g_object_ref (socket);
  self->file_object = connection_item_describe (socket);

  return self;
}

GSocket *
connection_item_get_socket (ConnectionItem *self)
{
  return self->socket;
}

void
connection_item_set_key (ConnectionItem *self,
                         SelSelectorKey *key)
{
  if (!g_set_object (&self->key, key))
    return;

  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DESCRIPTOR]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_EVENTS]);
}

SelSelectorKey *
connection_item_get_key (ConnectionItem *self)
{
  return self->key;
}

void
connection_item_count (ConnectionItem *self,
                       guint           messages,
                       gsize           bytes)
{
  self->messages += messages;
  self->bytes += bytes;
}

void
connection_item_notify_changes (ConnectionItem *self)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGES]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BYTES]);
}
