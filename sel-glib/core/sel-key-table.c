/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <stdlib.h>

#include "core/sel-key-table-private.h"
#include "sel-selector-key-private.h"

static void
sel_key_table_set_n_keys (SelKeyTable *table,
                          guint        n_keys)
{
  __atomic_store_n (&table->n_keys, n_keys, __ATOMIC_RELAXED);
}

/* Takes the slot of @fd, which must not be in the table. */
SelKeySlot *
sel_key_table_insert (SelKeyTable  *table,
                      int           fd,
                      SelEventMask  events)
{
  guint page = (guint) fd >> SEL_KEY_TABLE_PAGE_BITS;
  SelKeySlot *slot;

  if (page >= table->n_pages)
    {
      guint n_pages = MAX (page + 1, 2 * table->n_pages);

      table->pages = g_renew (SelKeyPage *, table->pages, n_pages);
      for (guint i = table->n_pages; i < n_pages; i++)
        table->pages[i] = NULL;
      table->n_pages = n_pages;
    }

  if (table->pages[page] == NULL)
    table->pages[page] = g_new0 (SelKeyPage, 1);

  slot = &table->pages[page]->slots[SEL_KEY_TABLE_INDEX (fd)];
  sel_key_slot_get_extra (slot, fd)->order = ++table->last_order;
  slot->registered = slot->active = events & SEL_ALL_EVENTS;
  sel_key_table_set_n_keys (table, table->n_keys + 1);

  return slot;
}

/*
 * Frees the slot of @fd, which must be in the table. The objects that it owned move to @removed. The caller frees
 * them with sel_key_extra_clear(), which calls foreign code and must be called without the lock.
 */
void
sel_key_table_remove (SelKeyTable *table,
                      int          fd,
                      SelKeyExtra  *removed)
{
  SelKeySlot *slot = sel_key_table_lookup (table, fd);
  SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);

  *removed = *extra;
  *extra = (SelKeyExtra) { 0 };
  *slot = (SelKeySlot) { 0 };
  sel_key_table_set_n_keys (table, table->n_keys - 1);
}

void
sel_key_table_foreach (SelKeyTable     *table,
                       SelKeyTableFunc  func,
                       gpointer         user_data)
{
  for (guint page = 0; page < table->n_pages; page++)
    {
      if (table->pages[page] == NULL)
        continue;

      for (guint i = 0; i < SEL_KEY_TABLE_PAGE_SIZE; i++)
        {
          if (table->pages[page]->slots[i].registered != 0)
            func ((int) (page << SEL_KEY_TABLE_PAGE_BITS | i), &table->pages[page]->slots[i], user_data);
        }
    }
}

typedef struct
{
  GObject *fileobj;
  int fd;
  guint64 order;
} Search;

static void
sel_key_table_compare_fileobj (int         fd,
                               SelKeySlot *slot,
                               gpointer    user_data)
{
  const SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);
  Search *search = user_data;

  if (sel_attachment_get_fileobj (extra->attachment) == search->fileobj &&
      (search->fd < 0 || extra->order < search->order))
    {
      search->fd = fd;
      search->order = extra->order;
    }
}

/* Finds the descriptor that was registered through @fileobj: the first one if there are several, or -1. Checks every
 * registration. */
int
sel_key_table_find (SelKeyTable *table,
                    GObject     *fileobj)
{
  Search search = { .fileobj = fileobj, .fd = -1 };

  sel_key_table_foreach (table, sel_key_table_compare_fileobj, &search);

  return search.fd;
}

typedef struct
{
  guint64 order;
  SelSelectorKey *key;
} OrderedKey;

static int
ordered_key_compare (const void *a,
                     const void *b)
{
  const OrderedKey *left = a;
  const OrderedKey *right = b;

  return left->order < right->order ? -1 : 1;
}

static void
sel_key_table_add_ordered_key (int         fd,
                               SelKeySlot *slot,
                               gpointer    user_data)
{
  OrderedKey ordered = { sel_key_slot_get_extra (slot, fd)->order, sel_key_slot_ref_key (slot, fd) };

  g_array_append_val (user_data, ordered);
}

/* Gets the keys in the order of their registration, in an array that owns them. */
GPtrArray *
sel_key_table_get_keys (SelKeyTable *table)
{
  g_autoptr(GArray) ordered = g_array_sized_new (FALSE, FALSE, sizeof (OrderedKey), table->n_keys);
  GPtrArray *keys = g_ptr_array_new_full (table->n_keys, g_object_unref);

  sel_key_table_foreach (table, sel_key_table_add_ordered_key, ordered);
  g_array_sort (ordered, ordered_key_compare);
  for (guint i = 0; i < ordered->len; i++)
    g_ptr_array_add (keys, g_array_index (ordered, OrderedKey, i).key);

  return keys;
}

static void
sel_key_table_steal_callback (int         fd,
                              SelKeySlot *slot,
                              gpointer    user_data)
{
  SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);

  if (extra->callback != NULL)
    g_ptr_array_add (user_data, g_steal_pointer (&extra->callback));
}

/* Moves the callbacks of all keys to @callbacks. */
void
sel_key_table_steal_callbacks (SelKeyTable *table,
                               GPtrArray   *callbacks)
{
  sel_key_table_foreach (table, sel_key_table_steal_callback, callbacks);
}

static void
sel_key_table_clear_slot (int         fd,
                          SelKeySlot *slot,
                          gpointer    user_data)
{
  sel_key_extra_clear (sel_key_slot_get_extra (slot, fd));
}

/* Moves the contents of @table to @to, and leaves @table empty. */
void
sel_key_table_move (SelKeyTable *table,
                    SelKeyTable *to)
{
  *to = *table;
  table->pages = NULL;
  table->n_pages = 0;
  sel_key_table_set_n_keys (table, 0);
}

/* Frees the contents. Calls foreign code, so the lock must not be held. */
void
sel_key_table_clear (SelKeyTable *table)
{
  sel_key_table_foreach (table, sel_key_table_clear_slot, NULL);
  for (guint page = 0; page < table->n_pages; page++)
    g_free (table->pages[page]);
  g_free (table->pages);
  *table = (SelKeyTable) { 0 };
}

SelSelectorKey *
sel_key_slot_make_key (SelKeySlot *slot,
                       int         fd)
{
  SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);

  extra->key = sel_selector_key_new (fd, slot->registered, slot->data, extra->attachment);

  return extra->key;
}

/* Returns: (transfer full) */
SelSelectorKey *
sel_key_slot_ref_key (SelKeySlot *slot,
                      int         fd)
{
  return g_object_ref (sel_key_slot_get_key (slot, fd));
}

void
sel_key_extra_clear (SelKeyExtra *extra)
{
  if (extra->key != NULL)
    sel_selector_key_drop_event (extra->key);
  g_clear_object (&extra->key);
  g_clear_pointer (&extra->attachment, sel_attachment_unref);
  g_clear_pointer (&extra->callback, sel_callback_free);
}
