/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Counts system calls of any kind. Linux only. */

typedef struct
{
  gint64 n_calls;              /* between syscalls_begin () and syscalls_end () */
  gint64 n_units;              /* the argument of syscalls_end () */
} SyscallCount;

typedef void (*SyscallFunc) (gconstpointer data);

/* Runs @func in a traced child process. Fails with the reason if tracing is not allowed, or if the child does not
 * reach syscalls_end (). */
gboolean syscalls_count (SyscallFunc    func,
                         gconstpointer  data,
                         SyscallCount  *count,
                         const char   **reason);

/* Called by @func. */
void     syscalls_begin (void);
void     syscalls_end   (gint64         n_units);

G_END_DECLS
