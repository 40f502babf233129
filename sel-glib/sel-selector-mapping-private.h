/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

SelSelectorMapping *sel_selector_mapping_new    (SelBaseSelector    *selector);

/* Makes the mapping empty, because the selector is about to be freed. */
void                sel_selector_mapping_detach (SelSelectorMapping *self);

G_END_DECLS
