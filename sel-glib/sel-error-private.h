/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-error.h"

G_BEGIN_DECLS

/* All of these return FALSE if they have set an error, for the caller to return. */

/* Turns an errno into an error, with the same words for all backends. @fd is the descriptor that the kernel was told about,
 * or -1 for the wait itself. */
gboolean sel_os_error_set     (GError       **error,
                               int            fd,
                               int            errsv);

gboolean sel_error_set_closed (GError       **error);

/* Fails if @fd cannot be a descriptor, because it is negative. */
gboolean sel_error_check_fd   (int            fd,
                               GError       **error);

static inline gboolean
sel_error_is_os (const GError *error,
                 int           errsv)
{
  return g_error_matches (error, SEL_OS_ERROR, errsv);
}

G_END_DECLS
