/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Ends a wait from another thread or from a signal handler. */
typedef struct
{
  int read_fd;
  int write_fd; /* atomic */
  int in_use;   /* atomic: how many signal() calls are at it */
} SelWakeup;

#define SEL_WAKEUP_INIT { .read_fd = -1, .write_fd = -1 }

gboolean sel_wakeup_open   (SelWakeup  *wakeup,
                            GError    **error);
void     sel_wakeup_signal (SelWakeup  *wakeup);

/* Whether there was something to be drained. */
gboolean sel_wakeup_drain  (SelWakeup  *wakeup);

void     sel_wakeup_close  (SelWakeup  *wakeup);

G_END_DECLS
