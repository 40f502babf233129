/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A /dev/poll for Linux, for tests: what a test may turn. Including this redirects nothing;
 * <sys/devpoll.h> does. The knobs belong to the process, and any thread may turn them.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Puts every knob and counter back to how the program started. Open sets stay. */
void sim_devpoll_reset            (void);

/* open() of /dev/poll fails with @errnum from now on; 0 lets it succeed again. */
void sim_devpoll_set_open_errno   (int    errnum);

/* After @skip writes, the next @count fail with @errnum and change nothing. */
void sim_devpoll_fail_writes      (int    skip,
                                   int    count,
                                   int    errnum);

/*
 * After @skip writes, the next @count take no more than @size bytes and say so. If this is
 * no multiple of the size of a record, the rest of the record it cuts is lost.
 */
void sim_devpoll_short_writes     (int    skip,
                                   int    count,
                                   size_t size);

/* The next @count times DP_POLL fails with @errnum. */
void sim_devpoll_fail_polls       (int    count,
                                   int    errnum);

/*
 * RLIMIT_NOFILE as the simulator sees it, and getrlimit() in files that include
 * <sys/devpoll.h>; RLIM_INFINITY is a value like others. 0 asks the system.
 */
void sim_devpoll_set_nofile       (rlim_t limit);

/* Take dp_nfds beyond the limit, as illumos does, instead of failing with EINVAL. */
void sim_devpoll_set_clamp_nfds   (bool   clamp);

/*
 * Old Solaris: write() moves a file offset, and fails with EFBIG where it would exceed
 * @limit; pwrite() at 0 does not. 0 means that there is none, as today.
 */
void sim_devpoll_set_offset_limit (off_t  limit);

/* How many descriptors are in a set, -1 if @fd is no set. */
int  sim_devpoll_count            (int    fd);

/* The mask kept for @watched in the set @fd, -1 if it is not there. */
int  sim_devpoll_find             (int    fd,
                                   int    watched);

/* How many times a set was written to or polled, and the largest write and dp_nfds seen. */
unsigned int sim_devpoll_n_writes    (void);
unsigned int sim_devpoll_n_polls     (void);
size_t       sim_devpoll_max_records (void);
size_t       sim_devpoll_max_nfds    (void);

/* How many sets the program has open. */
unsigned int sim_devpoll_n_open      (void);

#ifdef __cplusplus
}
#endif
