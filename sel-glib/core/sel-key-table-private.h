/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-attachment-private.h"
#include "core/sel-callback-private.h"
#include "core/sel-hangup-count-private.h"
#include "sel-selector-key.h"

G_BEGIN_DECLS

/*
 * Where is the registration of a descriptor? A table of pages, each of which has a slot for each descriptor.
 */

#define SEL_ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

#define SEL_KEY_TABLE_PAGE_BITS 6
#define SEL_KEY_TABLE_PAGE_SIZE (1u << SEL_KEY_TABLE_PAGE_BITS)

/* The index of the slot of @fd in its page. */
#define SEL_KEY_TABLE_INDEX(fd) ((gsize) (fd) & (SEL_KEY_TABLE_PAGE_SIZE - 1))

/* The part of a registration that is used whenever the descriptor is ready. It is small, for the processor's cache. */
typedef struct
{
  guint32 generation;          /* identifies the registration; a new one for each change of it */
  guint8 active;               /* the events to report: the registered ones without those that are paused */
  guint8 registered : 2;       /* the events that the program asked for; 0: the slot is free */
  guint8 armed : 2;            /* the events that the kernel waits for */
  guint8 always_ready : 1;     /* the descriptor is always ready, and the kernel does not wait for it */
  guint8 alarm : 1;            /* paused, but the kernel tells changes: see sel_registry_arm_alarm () */
  guint8 changed_in_wait : 1;  /* registered, changed or resumed since the current wait began */
  guint8 calm : 1;             /* the mechanism could not tell about ends, and the last probe found none */
  SelHangupCount hangup;
  gpointer data;
} SelKeySlot;

/* The part of a registration that is used less often. */
typedef struct
{
  guint64 order : 60;          /* a later registration has a higher number */
  guint64 echoes : 2;          /* of an alarm: see sel_registry_take_echo () */
  guint64 told : 2;            /* the ends that the last calls told, if n_useless is SEL_HANGUP_MAX_USELESS */
  SelAttachment *attachment;
  SelCallback *callback;
  SelSelectorKey *key;         /* made when it is first needed, or NULL */
} SelKeyExtra;

typedef struct
{
  SelKeySlot slots[SEL_KEY_TABLE_PAGE_SIZE];
  guint32 reports[SEL_KEY_TABLE_PAGE_SIZE]; /* see sel_key_slot_get_report () */
  SelKeyExtra extras[SEL_KEY_TABLE_PAGE_SIZE];
} SelKeyPage;

/* The slots by descriptor, in pages. Because of the pages a slot never moves, and a single high descriptor does not
 * need memory for all lower ones. */
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
                                        SelKeyExtra      *removed);
void            sel_key_table_foreach  (SelKeyTable     *table,
                                        SelKeyTableFunc  func,
                                        gpointer         user_data);
int             sel_key_table_find     (SelKeyTable     *table,
                                        GObject         *fileobj);
GPtrArray      *sel_key_table_get_keys (SelKeyTable     *table);
void            sel_key_table_steal_callbacks (SelKeyTable *table,
                                        GPtrArray       *callbacks);
void            sel_key_table_move     (SelKeyTable     *table,
                                        SelKeyTable     *to);
void            sel_key_table_clear    (SelKeyTable     *table);

SelSelectorKey *sel_key_slot_make_key  (SelKeySlot      *slot,
                                        int              fd);
SelSelectorKey *sel_key_slot_ref_key   (SelKeySlot      *slot,
                                        int              fd);
void            sel_key_extra_clear     (SelKeyExtra      *extra);

/* Needs no lock. */
static inline guint
sel_key_table_get_n_keys (SelKeyTable *table)
{
  return __atomic_load_n (&table->n_keys, __ATOMIC_RELAXED);
}

/* The page of the slot of @fd. */
static inline SelKeyPage *
sel_key_slot_get_page (SelKeySlot *slot,
                       int         fd)
{
  return (SelKeyPage *) (void *) (slot - SEL_KEY_TABLE_INDEX (fd));
}

static inline SelKeyExtra *
sel_key_slot_get_extra (SelKeySlot *slot,
                        int         fd)
{
  return &sel_key_slot_get_page (slot, fd)->extras[SEL_KEY_TABLE_INDEX (fd)];
}

/* The index of the descriptor's event in the ready list. It is valid only if the descriptor is in the list and if the
 * wait uses the index. */
static inline guint32 *
sel_key_slot_get_report (SelKeySlot *slot,
                         int         fd)
{
  return &sel_key_slot_get_page (slot, fd)->reports[SEL_KEY_TABLE_INDEX (fd)];
}

/* TRUE if some of the registered events are not waited for, for a while or until the descriptor is modified. */
static inline gboolean
sel_key_slot_is_paused (const SelKeySlot *slot)
{
  return slot->active != slot->registered;
}

static inline void
sel_key_slot_pause (SelKeySlot   *slot,
                    SelEventMask  events)
{
  slot->active &= (guint8) ~events;
}

static inline void
sel_key_slot_resume (SelKeySlot   *slot,
                     SelEventMask  events)
{
  slot->active = (guint8) ((slot->active | events) & slot->registered);
}

/* Returns: (transfer none) */
static inline SelSelectorKey *
sel_key_slot_get_key (SelKeySlot *slot,
                      int         fd)
{
  SelSelectorKey *key = sel_key_slot_get_extra (slot, fd)->key;

  return G_LIKELY (key != NULL) ? key : sel_key_slot_make_key (slot, fd);
}

/* Gets the page with the slot of @fd, or NULL if there is none. Called for every ready descriptor. */
static inline SelKeyPage *
sel_key_table_get_page (SelKeyTable *table,
                        int          fd)
{
  gsize page = (guint) fd >> SEL_KEY_TABLE_PAGE_BITS;

  return G_LIKELY (page < table->n_pages) ? table->pages[page] : NULL;
}

/* Gets the slot of @fd, which may be free, or NULL if there is none. */
static inline SelKeySlot *
sel_key_table_get_slot (SelKeyTable *table,
                        int          fd)
{
  SelKeyPage *page = sel_key_table_get_page (table, fd);

  return G_LIKELY (page != NULL) ? &page->slots[SEL_KEY_TABLE_INDEX (fd)] : NULL;
}

/* Gets the slot of @fd, or NULL if @fd is not registered. */
static inline SelKeySlot *
sel_key_table_lookup (SelKeyTable *table,
                      int          fd)
{
  SelKeySlot *slot = sel_key_table_get_slot (table, fd);

  return slot != NULL && slot->registered != 0 ? slot : NULL;
}

G_END_DECLS
