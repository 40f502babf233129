/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-error.h"

G_BEGIN_DECLS

gboolean sel_os_error_set (GError **error,
                           int      fd,
                           int      errsv);

G_END_DECLS
