/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

gdouble sel_test_memory_in_use (void);

G_END_DECLS
