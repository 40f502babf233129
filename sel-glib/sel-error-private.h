/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-error.h"

G_BEGIN_DECLS

/* These functions return FALSE if they have set an error, so that the caller can return their result. */

/* Makes an error from an errno, with the same message for all backends. @fd is the descriptor that the system call was
 * about, or -1 if it was about none. */
gboolean sel_os_error_set     (GError       **error,
                               int            fd,
                               int            errsv);

gboolean sel_error_set_closed (GError       **error);

/* Fails if @fd is negative, so that it cannot be a descriptor. */
gboolean sel_error_check_fd   (int            fd,
                               GError       **error);

static inline gboolean
sel_error_is_os (const GError *error,
                 int           errsv)
{
  return g_error_matches (error, SEL_OS_ERROR, errsv);
}

/* TRUE if the error says that the system had no room for something, which may change soon. */
gboolean sel_error_may_pass   (const GError  *error);

G_END_DECLS
