/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

SelSelectorMapping *sel_selector_mapping_new    (SelBaseSelector    *selector);

/* The selector is about to be freed: the mapping is empty from now on. */
void                sel_selector_mapping_detach (SelSelectorMapping *self);

G_END_DECLS
