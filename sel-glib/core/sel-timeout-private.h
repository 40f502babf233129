/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <time.h>

G_BEGIN_DECLS

/* As isinf(), but in a single comparison. */
static inline gboolean
sel_timeout_is_forever (gdouble timeout)
{
  return timeout > G_MAXDOUBLE;
}

int              sel_timeout_to_ms       (gdouble          timeout);
struct timespec *sel_timeout_to_timespec (gdouble          timeout,
                                          struct timespec *timespec);

G_END_DECLS
