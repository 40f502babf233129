/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

const char *sel_environment_get (const char *name);

G_END_DECLS
