/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-attachment-private.h"
#include "core/sel-callback-private.h"
#include "sel-selector-key.h"

G_BEGIN_DECLS

#define SEL_KEY_TABLE_PAGE_BITS 6
#define SEL_KEY_TABLE_PAGE_SIZE (1u << SEL_KEY_TABLE_PAGE_BITS)

/* What has to be known about a registered descriptor whenever it is ready: as little as possible, for the
 * processor's cache. */
typedef struct
{
  guint32 generation;          /* changes whenever the kernel is told something new */
  guint8 events;               /* what was asked for; 0: the slot is free */
  guint8 n_deliveries;         /* how often it was given to a callback, roughly */
  guint8 index;                /* of the slot in its page */
  guint8 armed : 2;            /* what the kernel waits for */
  guint8 always_ready : 1;     /* the kernel cannot wait for it, as it never has to */
  guint8 muted : 1;            /* the kernel does not wait for it, as nobody took care of its hang-up */
  guint8 resting : 1;          /* muted only for a while */
  guint8 deferred : 1;         /* resting, but only until a callback returns */
  guint8 maybe_hung_up : 1;    /* the kernel said so once, or does not say such things */
  gpointer data;
} SelKeySlot;

/* What else is known about it. */
typedef struct
{
  guint64 order;               /* ascends with each registration */
  SelAttachment *attachment;
  SelCallback *callback;
  SelSelectorKey *key;         /* made when it is first asked for */
} SelKeyRest;

typedef struct
{
  SelKeySlot slots[SEL_KEY_TABLE_PAGE_SIZE];
  guint32 reports[SEL_KEY_TABLE_PAGE_SIZE]; /* see sel_key_slot_get_report() */
  SelKeyRest rests[SEL_KEY_TABLE_PAGE_SIZE];
} SelKeyPage;

/* Slots by descriptor, in pages: a slot stays where it is, and a single high number
 * does not cost what all the lower ones would. */
typedef struct
{
  SelKeyPage **pages;
  guint n_pages;
  guint n_keys;                /* atomic for sel_key_table_get_n_keys() */
  guint64 last_order;
} SelKeyTable;

typedef void (*SelKeyTableFunc) (int         fd,
                                 SelKeySlot *slot,
                                 gpointer    user_data);

SelKeySlot     *sel_key_table_insert   (SelKeyTable     *table,
                                        int              fd,
                                        SelEventMask     events);
void            sel_key_table_remove   (SelKeyTable     *table,
                                        int              fd,
                                        SelKeyRest      *removed);
void            sel_key_table_foreach  (SelKeyTable     *table,
                                        SelKeyTableFunc  func,
                                        gpointer         user_data);
int             sel_key_table_find     (SelKeyTable     *table,
                                        GObject         *fileobj);
GPtrArray      *sel_key_table_get_keys (SelKeyTable     *table);
GPtrArray      *sel_key_table_steal_callbacks (SelKeyTable *table);
void            sel_key_table_move     (SelKeyTable     *table,
                                        SelKeyTable     *to);
void            sel_key_table_clear    (SelKeyTable     *table);

SelSelectorKey *sel_key_slot_make_key  (SelKeySlot      *slot,
                                        int              fd);
SelSelectorKey *sel_key_slot_ref_key   (SelKeySlot      *slot,
                                        int              fd);
void            sel_key_rest_clear     (SelKeyRest      *rest);

/* Also for who has not locked the table. */
static inline guint
sel_key_table_get_n_keys (SelKeyTable *table)
{
  return __atomic_load_n (&table->n_keys, __ATOMIC_RELAXED);
}

static inline SelKeyPage *
sel_key_slot_get_page (SelKeySlot *slot)
{
  return (SelKeyPage *) (void *) (slot - slot->index);
}

static inline SelKeyRest *
sel_key_slot_get_rest (SelKeySlot *slot)
{
  return &sel_key_slot_get_page (slot)->rests[slot->index];
}

/* Where its record stands in the ready list, if it does and if somebody had to know. */
static inline guint32 *
sel_key_slot_get_report (SelKeySlot *slot)
{
  return &sel_key_slot_get_page (slot)->reports[slot->index];
}

/* Returns: (transfer none) */
static inline SelSelectorKey *
sel_key_slot_get_key (SelKeySlot *slot,
                      int         fd)
{
  SelSelectorKey *key = sel_key_slot_get_rest (slot)->key;

  return G_LIKELY (key != NULL) ? key : sel_key_slot_make_key (slot, fd);
}

/* The slot of @fd, which may be free, or NULL. Called for every ready descriptor. */
static inline SelKeySlot *
sel_key_table_get_slot (SelKeyTable *table,
                        int          fd)
{
  gsize page = (guint) fd >> SEL_KEY_TABLE_PAGE_BITS;
  gsize index = (guint) fd & (SEL_KEY_TABLE_PAGE_SIZE - 1);

  if (G_UNLIKELY (page >= table->n_pages || table->pages[page] == NULL))
    return NULL;

  return &table->pages[page]->slots[index];
}

/* The slot of @fd, or NULL if it is not registered. */
static inline SelKeySlot *
sel_key_table_lookup (SelKeyTable *table,
                      int          fd)
{
  SelKeySlot *slot = sel_key_table_get_slot (table, fd);

  return slot != NULL && slot->events != 0 ? slot : NULL;
}

G_END_DECLS
