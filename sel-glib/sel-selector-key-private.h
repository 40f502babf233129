/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-attachment-private.h"
#include "sel-selector-event.h"
#include "sel-selector-key.h"

G_BEGIN_DECLS

SelSelectorKey   *sel_selector_key_new        (int             fd,
                                               SelEventMask    events,
                                               gpointer        data,
                                               SelAttachment  *attachment);

/* For the table that has made the key, with its lock. The key keeps the event of the last call: a descriptor is mostly
 * ready for the same events, so that a list of events allocates none. Returns: (transfer full): an event with @events
 * and this key */
SelSelectorEvent *sel_selector_key_ref_event  (SelSelectorKey *self,
                                               SelEventMask    events);

/* The table does not use the key any more. It has to call this, because the event has a reference to the key. */
void              sel_selector_key_drop_event (SelSelectorKey *self);

G_END_DECLS
