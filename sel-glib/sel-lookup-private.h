/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

/* The descriptor of @fileobj. If it has none any more, the one that was registered through it. Returns: -1 and an error if
 * there is neither */
int sel_base_selector_resolve (SelBaseSelector  *self,
                               GObject          *fileobj,
                               GError          **error);

G_END_DECLS
