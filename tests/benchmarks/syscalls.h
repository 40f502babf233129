/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Counts system calls, whatever they are. Linux only. */

typedef struct
{
  gint64 n_calls;              /* between syscalls_begin() and syscalls_end() */
  gint64 n_units;              /* what was given to syscalls_end() */
} SyscallCount;

typedef void (*SyscallFunc) (gconstpointer data);

/* Runs @func in a child process and watches it. Fails, with the reason, where that is not allowed or
 * the child does not come to syscalls_end(). */
gboolean syscalls_count (SyscallFunc    func,
                         gconstpointer  data,
                         SyscallCount  *count,
                         const char   **reason);

/* For @func. */
void     syscalls_begin (void);
void     syscalls_end   (gint64         n_units);

G_END_DECLS
