/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "epoll-sets.h"

#ifdef __linux__

#include <dlfcn.h>
#include <sys/epoll.h>

static guint n_epoll_sets; /* atomic */

int
epoll_create1 (int flags)
{
  int (*original) (int);

  *(void **) &original = dlsym (RTLD_NEXT, "epoll_create1");
  g_atomic_int_inc (&n_epoll_sets);

  return original (flags);
}

guint
count_epoll_sets (void)
{
  return g_atomic_int_get (&n_epoll_sets);
}

#else

guint
count_epoll_sets (void)
{
  return 0;
}

#endif
