/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

/* The number of epoll sets that the process has created; 0 on systems without epoll. A program that is linked with
 * epoll-sets.c calls the epoll_create1 () of that file, which counts and then calls the original. */
guint count_epoll_sets (void);
