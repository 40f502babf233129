/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A descriptor that ends a wait from another thread or from a signal handler: an eventfd, or a pipe. */
typedef struct
{
  int read_fd;
  int write_fd;     /* atomic */
  int in_use;       /* atomic: the number of sel_wakeup_signal() calls that are running in this process */
  guint fork_count; /* atomic: that of the process that has opened it */
} SelWakeup;

#define SEL_WAKEUP_INIT { .read_fd = -1, .write_fd = -1 }

gboolean sel_wakeup_open   (SelWakeup  *wakeup,
                            GError    **error);

/* Makes the read end readable. Takes no lock and keeps errno, so that a signal handler may call it. Does nothing if
 * @wakeup is not open, or if a parent process has opened it: the write would wake the parent, which shares the file. */
void     sel_wakeup_signal (SelWakeup  *wakeup);

/* Makes the read end not readable. Returns: TRUE if it was readable */
gboolean sel_wakeup_drain  (SelWakeup  *wakeup);

/* Waits for the sel_wakeup_signal() calls of this process that are running. Does nothing if @wakeup is not open. */
void     sel_wakeup_close  (SelWakeup  *wakeup);

G_END_DECLS
