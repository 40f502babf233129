/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_main_context_get_selector (GMainContext  *context,
                                                GError       **error);

G_END_DECLS
