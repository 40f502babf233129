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

G_END_DECLS
