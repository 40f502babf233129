/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"

/* Facts about the running kernel or its simulator, and about the build, in which the systems differ. */

/* The events that @fd is ready for, as poll () tells. A hang-up or an error counts as both. */
SelEventMask system_poll                 (int            fd);

/* TRUE if the kernel of the backend tells once that a pipe has no reader, and refuses the pipe then: the kqueue of
 * FreeBSD. */
gboolean     system_ends_pipes_once      (const Backend *backend);

/* TRUE if both ends of a pipe are open for reading and writing, so that the read end is writable: FreeBSD, OpenBSD. */
gboolean     system_has_two_way_pipes    (void);

/* A pipe, or where its read end would be writable, sockets of which the first one is full. */
void         open_one_way                (int            fds[2]);

/* TRUE if fstat () can tell one pipe from another. */
gboolean     system_identifies_pipes     (void);

/* The rules for sockets that were shut down, with a full buffer. */
gboolean     system_shut_both_is_ready   (void);  /* READ and WRITE are shut, by anyone: ready for both */
gboolean     system_shut_write_is_ready  (void);  /* shut down for writing: writable */

/* The number of descriptors of a wake-up of the library: an eventfd, or without eventfd () both ends of a pipe. */
guint        system_count_wakeup_fds     (void);
