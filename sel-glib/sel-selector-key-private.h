/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-attachment-private.h"
#include "sel-selector-key.h"

G_BEGIN_DECLS

SelSelectorKey *sel_selector_key_new (int            fd,
                                      SelEventMask   events,
                                      gpointer       data,
                                      SelAttachment *attachment);

G_END_DECLS
