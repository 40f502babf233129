/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

/* Gets the descriptor of @fileobj. If it has no descriptor any more, gets the one that was registered through it.
 * Returns: -1 with an error if there is neither */
int sel_base_selector_resolve (SelBaseSelector  *self,
                               GObject          *fileobj,
                               GError          **error);

G_END_DECLS
