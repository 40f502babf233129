/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-selector-event.h"

G_BEGIN_DECLS

/*
 * The events of a list are allocated in blocks, because one allocation for each event takes longer than anything else
 * that a wait does for it. Each event has its own reference count; a block is freed with its last event. Blocks are
 * small, so that a program that keeps a few events does not keep much memory.
 */
#define SEL_SELECTOR_EVENT_BLOCK_SIZE 32

struct _SelSelectorEvent
{
  SelSelectorKey *key;
  int ref_count;             /* atomic */
  guint8 events;
  guint8 index;              /* in its block */
};

/* Makes a block of @n events, which the caller has to fill. */
SelSelectorEvent *sel_selector_event_new_block (guint n);

/* Takes the reference to @key. Returns: (transfer full): event number @i of the block that begins with @first */
static inline SelSelectorEvent *
sel_selector_event_fill (SelSelectorEvent *first,
                         guint             i,
                         SelSelectorKey   *key,
                         SelEventMask      events)
{
  first[i] = (SelSelectorEvent) { key, 1, (guint8) events, (guint8) i };

  return &first[i];
}

G_END_DECLS
