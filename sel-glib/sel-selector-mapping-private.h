/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

SelSelectorMapping *sel_selector_mapping_new (SelBaseSelector *selector);

G_END_DECLS
