/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-types.h>

G_BEGIN_DECLS

#define SEL_TYPE_SELECTOR_KEY (sel_selector_key_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (SelSelectorKey, sel_selector_key, SEL, SELECTOR_KEY, GObject)

SEL_AVAILABLE_IN_1_0
GObject      *sel_selector_key_get_fileobj    (SelSelectorKey *self);
SEL_AVAILABLE_IN_1_0
int           sel_selector_key_get_fd         (SelSelectorKey *self);
SEL_AVAILABLE_IN_1_0
SelEventMask  sel_selector_key_get_events     (SelSelectorKey *self);
SEL_AVAILABLE_IN_1_0
gpointer      sel_selector_key_get_data       (SelSelectorKey *self);
SEL_AVAILABLE_IN_1_0
const GValue *sel_selector_key_get_data_value (SelSelectorKey *self);

G_END_DECLS
