/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A /dev/poll for Linux, for tests: the settings of the simulator. This header replaces no functions; <sys/devpoll.h>
 * does. The settings apply to the whole process, and any thread may change them.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum
{
  SIM_MANUAL_PAGE,              /* what poll(7D) promises, and no more */
  SIM_ILLUMOS,                  /* dp_nfds is clamped */
  SIM_SOLARIS11                 /* a write waits until nobody is in DP_POLL, as on OpenSolaris */
} SimDevpollFlavour;

/*
 * Resets all settings and counters to their initial values. Open sets stay open. The initial flavour is
 * SIM_MANUAL_PAGE, or the one that the environment names: SIM_DEVPOLL=illumos, SIM_DEVPOLL=solaris11.
 */
void sim_devpoll_reset            (void);

/* Makes all settings that differ between the systems. */
void sim_devpoll_set_flavour      (SimDevpollFlavour flavour);

/*
 * Makes a write wait until no thread is in DP_POLL, and DP_POLL wait until no thread waits to write. A signal ends a
 * write that waits. It claims to have written everything then, and has changed nothing: the driver has taken the
 * records before it waits, and the system call hides EINTR in this case. Otherwise DP_POLL sees a write while it waits.
 */
void sim_devpoll_set_writes_wait  (bool   wait);

/* Makes open () of /dev/poll fail with @errnum from now on. 0 makes it succeed again. */
void sim_devpoll_set_open_errno   (int    errnum);

/* Makes @count writes fail with @errnum and change nothing, after @skip more writes. */
void sim_devpoll_fail_writes      (int    skip,
                                   int    count,
                                   int    errnum);

/*
 * Makes @count writes accept no more than @size bytes and return the number of bytes, after @skip more writes. If
 * @size is not a multiple of the size of a record, the rest of the last record is lost.
 */
void sim_devpoll_short_writes     (int    skip,
                                   int    count,
                                   size_t size);

/* Makes the next @count calls of DP_POLL fail with @errnum. */
void sim_devpoll_fail_polls       (int    count,
                                   int    errnum);

/*
 * Sets RLIMIT_NOFILE for the simulator, and for getrlimit () in files that include <sys/devpoll.h>. RLIM_INFINITY is
 * a value like others. 0 uses the limit of the system.
 */
void sim_devpoll_set_nofile       (rlim_t limit);

/* Accepts dp_nfds beyond the limit, as illumos does, instead of failing with EINVAL. */
void sim_devpoll_set_clamp_nfds   (bool   clamp);

/*
 * Old Solaris: write () moves a file offset, and fails with EFBIG if the offset would exceed @limit. pwrite () at
 * offset 0 does not fail. 0 means no limit, as on current systems.
 */
void sim_devpoll_set_offset_limit (off_t  limit);

/* Returns the number of descriptors in a set, or -1 if @fd is not a set. */
int  sim_devpoll_count            (int    fd);

/* Returns the mask of @watched in the set @fd, or -1 if it is not in the set. */
int  sim_devpoll_find             (int    fd,
                                   int    watched);

/* Counts the writes and polls of all sets, and records the largest write and the largest dp_nfds. */
unsigned int sim_devpoll_n_writes    (void);
unsigned int sim_devpoll_n_polls     (void);
size_t       sim_devpoll_max_records (void);
size_t       sim_devpoll_max_nfds    (void);

/* Returns the number of writes that have waited for a DP_POLL. */
unsigned int sim_devpoll_n_blocked   (void);

/* Returns the number of open sets of the program. */
unsigned int sim_devpoll_n_open      (void);

#ifdef __cplusplus
}
#endif
