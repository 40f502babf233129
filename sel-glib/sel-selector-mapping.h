/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-selector-key.h>

G_BEGIN_DECLS

#define SEL_TYPE_SELECTOR_MAPPING (sel_selector_mapping_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (SelSelectorMapping, sel_selector_mapping, SEL, SELECTOR_MAPPING, GObject)

SEL_AVAILABLE_IN_1_0
guint           sel_selector_mapping_get_size        (SelSelectorMapping *self);
SEL_AVAILABLE_IN_1_0
gboolean        sel_selector_mapping_contains        (SelSelectorMapping *self,
                                                      int                 fd);
SEL_AVAILABLE_IN_1_0
SelSelectorKey *sel_selector_mapping_lookup          (SelSelectorMapping *self,
                                                      int                 fd);
SEL_AVAILABLE_IN_1_0
SelSelectorKey *sel_selector_mapping_lookup_object   (SelSelectorMapping *self,
                                                      GObject            *fileobj);
SEL_AVAILABLE_IN_1_0
GPtrArray      *sel_selector_mapping_get_keys        (SelSelectorMapping *self);
SEL_AVAILABLE_IN_1_0
GList          *sel_selector_mapping_list_keys       (SelSelectorMapping *self);

G_END_DECLS
