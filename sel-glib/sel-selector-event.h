/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-selector-key.h>

G_BEGIN_DECLS

#define SEL_TYPE_SELECTOR_EVENT (sel_selector_event_get_type ())

/**
 * SelSelectorEvent:
 *
 * A registered file object that is ready: its key, and the events that it is ready for.
 *
 * sel_base_selector_select() returns a list of these, one for each file object that is ready. An event does not change,
 * and holds a reference to its key.
 *
 * Since: 1.0
 */
typedef struct _SelSelectorEvent SelSelectorEvent;

SEL_AVAILABLE_IN_1_0
GType             sel_selector_event_get_type   (void) G_GNUC_CONST;
SEL_AVAILABLE_IN_1_0
SelSelectorEvent *sel_selector_event_ref        (SelSelectorEvent *self);
SEL_AVAILABLE_IN_1_0
void              sel_selector_event_unref      (SelSelectorEvent *self);
SEL_AVAILABLE_IN_1_0
SelSelectorKey   *sel_selector_event_get_key    (SelSelectorEvent *self);
SEL_AVAILABLE_IN_1_0
SelEventMask      sel_selector_event_get_events (SelSelectorEvent *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelSelectorEvent, sel_selector_event_unref)

G_END_DECLS
