/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A kqueue for Linux, for tests: the functions of <sys/event.h>, and the settings of the simulator.
 *
 * close (), dup2 () and dup3 () are replaced in the whole program, because closing a descriptor removes the filters
 * of its number. The simulator does not notice functions that close descriptors inside the C library (fclose (),
 * closefrom (), posix_spawn ()).
 *
 * The settings apply to the process, not to one queue. Any thread may change them.
 */

#pragma once

#include <stdbool.h>
#include <sys/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum
{
  SIM_MANUAL,
  SIM_FREEBSD,
  SIM_NETBSD,
  SIM_OPENBSD,
  SIM_MACOS,
  SIM_N_FLAVOURS
} SimKqueueFlavour;

/*
 * Resets all settings and counters to their initial values, those of sim-system.h as well. Queues stay open. The
 * initial flavour is SIM_MANUAL, or the one that the environment names: SIM_KQUEUE=freebsd, netbsd, openbsd or macos.
 */
void sim_kqueue_reset                (void);

/*
 * Makes all settings that differ between the systems. SIM_MANUAL: as kqueue(2) of FreeBSD says. SIM_FREEBSD: pipes end
 * once, and are open in both directions. SIM_NETBSD: EBADF for broken pipes, pipes are forgotten, sockets are plain,
 * pipes are anonymous, and a queue stays readable. SIM_OPENBSD: pipes are forgotten, open in both directions and
 * anonymous, and named pipes are strict. SIM_MACOS: broken pipes are accepted, sockets are plain, and poll() is made of
 * filters. Call it while no queue is open.
 */
void sim_kqueue_set_flavour          (SimKqueueFlavour flavour);

/*
 * If set, EVFILT_WRITE of a pipe that is not active when the other end is closed never becomes active, until it is
 * added again, as on NetBSD. EVFILT_READ on the write end of a pipe becomes active then.
 */
void sim_kqueue_set_forgets_pipes    (bool           forgets);

/*
 * If set, a pipe() ends as on FreeBSD: EVFILT_WRITE returns EV_EOF once, together with EV_ONESHOT, when the reader is
 * gone, and is removed then. EVFILT_READ of a FIFO that is open for writing only, and EVFILT_WRITE of one that is open
 * for reading only, are never active.
 */
void sim_kqueue_set_ends_pipes_once  (bool           once);

/* If set, a filter for a direction in which a named pipe is not open fails with EINVAL, as on OpenBSD. */
void sim_kqueue_set_strict_fifos     (bool           strict);

/*
 * If set, the descriptor of a queue stays readable after an event was returned, until the next kevent() finds that no
 * filter is active, as on NetBSD. Otherwise it is readable while a filter is active.
 */
void sim_kqueue_set_stays_readable   (bool           stays);

/* Makes kqueue () fail with @errnum from now on. 0 makes it succeed again. */
void sim_kqueue_set_open_errno       (int            errnum);

/*
 * Makes @count matching changes fail with @errnum and change nothing, after @skip more of them. A negative @count
 * means all. A change matches if its filter is @filter (0: any filter) and it has one of @flags (0: any flags). Up to
 * eight rules are kept, and the oldest matching rule applies. A change that fails by itself is not counted.
 */
void sim_kqueue_fail_changes         (short          filter,
                                      unsigned short flags,
                                      int            skip,
                                      int            count,
                                      int            errnum);

/* Makes the next @count calls with an array for events fail with @errnum, after their changes were made. */
void sim_kqueue_fail_waits           (int            count,
                                      int            errnum);

/* Accepts to add a closed or negative descriptor without an error. */
void sim_kqueue_set_broken           (bool           broken);

/*
 * The errno of EV_ADD with EVFILT_WRITE on a pipe whose other end is closed: EPIPE (FreeBSD, the default), EBADF
 * (NetBSD), or 0 for success.
 */
void sim_kqueue_set_pipe_errno       (int            errnum);

/* The errno of EV_ADD for a device that cannot be polled; the default is EINVAL. */
void sim_kqueue_set_device_errno     (int            errnum);

/* Makes timeouts of more than @seconds fail with EINVAL, as on Darwin. 0 accepts any timeout. */
void sim_kqueue_set_max_timeout      (time_t         seconds);

/* If set, fork () closes the queues in the child, so their numbers are free. Otherwise they stay open there but do
 * not work. */
void sim_kqueue_set_closed_by_fork   (bool           closed);

/*
 * The next call on @kq with an array for events returns this event first, without any check. Up to eight events are
 * kept. Returns -1 (EBADF, ENOSPC) on failure.
 */
int  sim_kqueue_inject               (int                  kq,
                                      const struct kevent *event);

/* Returns the number of registered filters, or -1 if @kq is not a queue of this process. */
int  sim_kqueue_count                (int            kq);

/* Copies the registration of a filter, unless @out is NULL. */
bool sim_kqueue_find                 (int            kq,
                                      uintptr_t      ident,
                                      short          filter,
                                      struct kevent *out);

/* Counts the calls with an array for events, and the changes that were submitted. */
unsigned int sim_kqueue_n_waits      (void);
unsigned int sim_kqueue_n_changes    (void);

/* Returns the number of queues that this process has open. */
unsigned int sim_kqueue_n_open       (void);

#ifdef __cplusplus
}
#endif
