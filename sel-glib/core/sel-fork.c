/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-fork-private.h"
#include "core/sel-point-private.h"

guint sel_fork_count;

/* Several threads of a child process may notice the fork at once. */
static GMutex fork_lock;

void
sel_fork_begin_child (void)
{
  g_mutex_init (&fork_lock); /* a thread of the parent may have had it */
  sel_fork_count++;
}

/* The count is stored last, with release order: a thread that sees it sees the new lock. */
void
sel_fork_notice (guint    *fork_count,
                 void    (*forked) (gpointer owner),
                 gpointer  owner)
{
  SEL_POINT ("fork-noticed");
  g_mutex_lock (&fork_lock);
  if (!sel_fork_is_own_process (fork_count))
    {
      SEL_POINT ("fork-drop");
      forked (owner);
      __atomic_store_n (fork_count, sel_fork_count, __ATOMIC_RELEASE);
    }
  g_mutex_unlock (&fork_lock);
}
