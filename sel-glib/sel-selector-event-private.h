/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-selector-event.h"

G_BEGIN_DECLS

SelSelectorEvent *sel_selector_event_new (SelSelectorKey *key,
                                          SelEventMask    events);

G_END_DECLS
