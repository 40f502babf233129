/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Gets a variable of the environment, or NULL. Ignores the environment in a program that has other privileges than the
 * user who has started it: the user must not control such a program. */
const char *sel_environment_get (const char *name);

G_END_DECLS
