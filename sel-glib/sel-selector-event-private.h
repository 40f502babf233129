/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-selector-event.h"

G_BEGIN_DECLS

struct _SelSelectorEvent
{
  SelSelectorKey *key;
  int ref_count;             /* atomic */
  SelEventMask events;
};

/* Takes a reference to @key. Returns: (transfer full): a new event */
SelSelectorEvent *sel_selector_event_new (SelSelectorKey *key,
                                          SelEventMask    events);

/* Adds a reference. The caller has one that is not given away, and no other thread uses that at the same time. If it
 * is the only one, nobody else changes the count, which then needs no atomic addition. Returns: (transfer full):
 * @self */
static inline SelSelectorEvent *
sel_selector_event_ref_shared (SelSelectorEvent *self)
{
  if (__atomic_load_n (&self->ref_count, __ATOMIC_ACQUIRE) == 1)
    __atomic_store_n (&self->ref_count, 2, __ATOMIC_RELAXED);
  else
    g_atomic_int_inc (&self->ref_count);

  return self;
}

G_END_DECLS
