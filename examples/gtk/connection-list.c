/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A GListModel that collects changes and shows them together.
 *
 * A view does work for each "items-changed" signal. With a GListStore and a thousand new connections between two
 * frames, it would do this work a thousand times, without a visible result. This model collects changes until
 * connection_list_flush(), and emits at most two signals then: one for the removed items and one for the added items.
 * The signal "pending" tells that there are changes to flush. */

#include "connection-list.h"

struct _ConnectionList
{
  GObject parent_instance;

  GPtrArray *shown;    /* the items that the views know; the other members wait for the next flush */
  GPtrArray *added;
  GHashTable *removed;
  GHashTable *touched;
};

enum
{
  SIGNAL_PENDING,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

static GType
connection_list_get_item_type (GListModel *model)
{
  return CONNECTION_TYPE_ITEM;
}

static guint
connection_list_get_n_items (GListModel *model)
{
  return CONNECTION_LIST (model)->shown->len;
}

static gpointer
connection_list_get_item (GListModel *model,
                          guint       position)
{
  ConnectionList *self = CONNECTION_LIST (model);

  return position < self->shown->len ? g_object_ref (self->shown->pdata[position]) : NULL;
}

static void
connection_list_model_init (GListModelInterface *iface)
{
  iface->get_item_type = connection_list_get_item_type;
  iface->get_n_items = connection_list_get_n_items;
  iface->get_item = connection_list_get_item;
}

G_DEFINE_TYPE_WITH_CODE (ConnectionList, connection_list, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, connection_list_model_init))

static void
connection_list_finalize (GObject *object)
{
  ConnectionList *self = CONNECTION_LIST (object);

  g_ptr_array_unref (self->shown);
  g_ptr_array_unref (self->added);
  g_hash_table_unref (self->removed);
  g_hash_table_unref (self->touched);

  G_OBJECT_CLASS (connection_list_parent_class)->finalize (object);
}

static void
connection_list_class_init (ConnectionListClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = connection_list_finalize;

  signals[SIGNAL_PENDING] = g_signal_new ("pending", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0,
                                          NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
connection_list_init (ConnectionList *self)
{
  self->shown = g_ptr_array_new_with_free_func (g_object_unref);
  self->added = g_ptr_array_new_with_free_func (g_object_unref);
  self->removed = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
  self->touched = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
}

ConnectionList *
connection_list_new (void)
{
  return g_object_new (CONNECTION_TYPE_LIST, NULL);
}

static gboolean
connection_list_is_flushed (ConnectionList *self)
{
  return self->added->len == 0 && g_hash_table_size (self->removed) == 0 && g_hash_table_size (self->touched) == 0;
}

void
connection_list_add (ConnectionList *self,
                     ConnectionItem *item)
{
  gboolean was_flushed = connection_list_is_flushed (self);

  g_ptr_array_add (self->added, g_object_ref (item));
  if (was_flushed)
    g_signal_emit (self, signals[SIGNAL_PENDING], 0);
}

/* An item that was added after the last flush may be removed too. It is never shown then. */
void
connection_list_remove (ConnectionList *self,
                        ConnectionItem *item)
{
  gboolean was_flushed = connection_list_is_flushed (self);

  g_hash_table_add (self->removed, g_object_ref (item));
  if (was_flushed)
    g_signal_emit (self, signals[SIGNAL_PENDING], 0);
}

/* The counters of @item changed. */
void
connection_list_touch (ConnectionList *self,
                       ConnectionItem *item)
{
  gboolean was_flushed = connection_list_is_flushed (self);

  if (!g_hash_table_contains (self->touched, item))
    g_hash_table_add (self->touched, g_object_ref (item));
  if (was_flushed)
    g_signal_emit (self, signals[SIGNAL_PENDING], 0);
}

/* Moves the items of @from that are not removed to @to. Sets @first and @last to the indices of the first and the last
 * removed item, if there are any. Returns: the number of removed items */
static guint
connection_list_move (ConnectionList *self,
                      GPtrArray      *from,
                      GPtrArray      *to,
                      guint          *first,
                      guint          *last)
{
  guint n_gone = 0;

  for (guint i = 0; i < from->len; i++)
    if (g_hash_table_contains (self->removed, from->pdata[i]))
      {
        *last = i;
        if (n_gone++ == 0)
          *first = i;
      }
    else
      g_ptr_array_add (to, g_object_ref (from->pdata[i]));

  return n_gone;
}

static void
connection_list_flush_removed (ConnectionList *self)
{
  g_autoptr (GPtrArray) before = g_steal_pointer (&self->shown);
  guint first = 0, last = 0, n_gone;

  self->shown = g_ptr_array_new_full (before->len, g_object_unref);
  n_gone = connection_list_move (self, before, self->shown, &first, &last);
  if (n_gone > 0)
    g_list_model_items_changed (G_LIST_MODEL (self), first, last - first + 1, last - first + 1 - n_gone);
}

static void
connection_list_flush_added (ConnectionList *self)
{
  guint n_before = self->shown->len;
  guint first, last;

  connection_list_move (self, self->added, self->shown, &first, &last);
  g_ptr_array_set_size (self->added, 0);
  if (self->shown->len > n_before)
    g_list_model_items_changed (G_LIST_MODEL (self), n_before, 0, self->shown->len - n_before);
}

static void
connection_list_flush_touched (ConnectionList *self)
{
  GHashTableIter iter;
  gpointer item;

  g_hash_table_iter_init (&iter, self->touched);
  while (g_hash_table_iter_next (&iter, &item, NULL))
    connection_item_notify_changes (item);
  g_hash_table_remove_all (self->touched);
}

/* Shows the changes since the last flush in the views. */
void
connection_list_flush (ConnectionList *self)
{
  if (g_hash_table_size (self->removed) > 0)
    connection_list_flush_removed (self);
  if (self->added->len > 0)
    connection_list_flush_added (self);
  g_hash_table_remove_all (self->removed);
  connection_list_flush_touched (self);
}
