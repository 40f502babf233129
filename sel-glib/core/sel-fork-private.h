/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Is this process a child of the one that has used an object before? An object with a lock or a descriptor of its own
 * stores the count of forks. In a child process its count differs from that of the process, until the first call there
 * has made the lock anew.
 */

/* How many forks there are between this process and the one that loaded the library. */
extern guint sel_fork_count;

/* Called in each child process. */
void sel_fork_begin_child (void);

/* Calls @forked exactly once in a child process, also if several threads come here at once, and then stores the count.
 * @forked has to make the lock anew, because a thread of the parent may have had it. */
void sel_fork_notice      (guint     *fork_count,
                           void     (*forked) (gpointer owner),
                           gpointer   owner);

/* FALSE in a child process, until @fork_count is stored anew. */
static inline gboolean
sel_fork_is_own_process (const guint *fork_count)
{
  return __atomic_load_n (fork_count, __ATOMIC_ACQUIRE) == sel_fork_count;
}

G_END_DECLS
