/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-version-macros.h>

G_BEGIN_DECLS

SEL_AVAILABLE_IN_1_0
guint sel_get_major_version (void);
SEL_AVAILABLE_IN_1_0
guint sel_get_minor_version (void);
SEL_AVAILABLE_IN_1_0
guint sel_get_micro_version (void);

G_END_DECLS
