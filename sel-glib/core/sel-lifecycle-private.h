/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-pause-private.h"

G_BEGIN_DECLS

/*
 * How is the kernel's object opened, opened again and given back? A selector is opened when it is first used. An
 * error is remembered, because there may be no constructor to return it: each later call fails with the same error,
 * until sel_base_selector_reinit() tries again.
 *
 * All functions must be called with the lock held, except where stated.
 */

void     sel_lifecycle_clear            (SelCore  *core);

/* In a child process: another thread of the parent may have been about to open the selector, or to open it again. The
 * child then has the kernel's object of the parent, and gives it back in sel_lifecycle_reinit(). */
void     sel_lifecycle_forked           (SelCore  *core);

gboolean sel_lifecycle_ensure_open_slow (SelCore  *core,
                                         GError  **error);

/* Gives the kernel's objects back if the program has closed the selector, no thread waits and no source uses it. Each
 * user calls this when it stops, so that no descriptor is closed while it is polled. */
void     sel_lifecycle_release_if_unused (SelCore *core);

/* As sel_lifecycle_ensure_open(), but takes the lock. */
gboolean sel_lifecycle_ensure_open_locking (SelCore *core,
                                         GError  **error);

/* Takes the lock. Fails with %SEL_SELECTOR_ERROR_BUSY if a wait is in progress. */
gboolean sel_lifecycle_reinit           (SelCore  *core,
                                         GError  **error);

/* Opens the selector if it is not open. Fails if it is closed, belongs to a parent process, or cannot be opened. */
static inline gboolean
sel_lifecycle_ensure_open (SelCore  *core,
                           GError  **error)
{
  return G_LIKELY (sel_state_is_fast (core)) || sel_lifecycle_ensure_open_slow (core, error);
}

G_END_DECLS
