/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"

G_BEGIN_DECLS

/* Checks of the arguments that the functions for registering and for modifying share. */

gboolean sel_base_selector_check_events (SelEventMask   events,
                                         GError       **error);

/* Refuses values that cannot be kept, because some languages pass values whose contents they do not keep alive. @value
 * may be NULL. */
gboolean sel_base_selector_check_value  (const GValue  *value,
                                         GError       **error);

G_END_DECLS
