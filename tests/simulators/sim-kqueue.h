/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A kqueue for Linux, for tests: what <sys/event.h> declares, and what a test may turn.
 *
 * close(), dup2() and dup3() are replaced in the whole program, because closing a
 * descriptor removes what is registered for its number. What closes descriptors inside
 * the C library (fclose(), closefrom(), posix_spawn()) is not seen.
 *
 * The knobs belong to the process, not to one queue. Any thread may turn them.
 */

#pragma once

#include <stdbool.h>
#include <sys/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Puts every knob and counter back to how the program started. Queues stay. */
void sim_kqueue_reset                (void);

/* kqueue() fails with @errnum from now on; 0 lets it succeed again. */
void sim_kqueue_set_open_errno       (int            errnum);

/*
 * After @skip matching changes, the next @count of them fail with @errnum and do nothing;
 * a negative @count means all of them. A change matches if its filter is @filter (0: any)
 * and it has one of @flags (0: any). Up to eight rules are kept; the oldest that matches
 * counts. A change that fails by itself is not counted.
 */
void sim_kqueue_fail_changes         (short          filter,
                                      unsigned short flags,
                                      int            skip,
                                      int            count,
                                      int            errnum);

/* The next @count calls with room for events fail with @errnum, after their changes. */
void sim_kqueue_fail_waits           (int            count,
                                      int            errnum);

/* The kernel accepts to add a closed or negative descriptor without a word. */
void sim_kqueue_set_broken           (bool           broken);

/*
 * How EV_ADD of EVFILT_WRITE on a pipe fails whose other end is closed: EPIPE (FreeBSD,
 * at the start), EBADF (NetBSD), or 0 for accepting it.
 */
void sim_kqueue_set_pipe_errno       (int            errnum);

/* EV_ADD of a device which cannot be polled fails with this: EINVAL at the start. */
void sim_kqueue_set_device_errno     (int            errnum);

/* Time-outs of more than @seconds are EINVAL, as on Darwin; 0 takes any. */
void sim_kqueue_set_max_timeout      (time_t         seconds);

/* In a forked child the numbers of queues are free; otherwise they stay open and dead. */
void sim_kqueue_set_closed_by_fork   (bool           closed);

/*
 * The next call on @kq with room for events returns this event first, whatever it says.
 * Up to eight are kept. Returns -1 (EBADF, ENOSPC) if it cannot.
 */
int  sim_kqueue_inject               (int                  kq,
                                      const struct kevent *event);

/* How many filters are registered, -1 if @kq is not a queue of this process. */
int  sim_kqueue_count                (int            kq);

/* Copies what is registered for a filter, unless @out is NULL. */
bool sim_kqueue_find                 (int            kq,
                                      uintptr_t      ident,
                                      short          filter,
                                      struct kevent *out);

/* How many calls with room for events were made (and the changes that were submitted). */
unsigned int sim_kqueue_n_waits      (void);
unsigned int sim_kqueue_n_changes    (void);

/* How many queues this process has open. */
unsigned int sim_kqueue_n_open       (void);

#ifdef __cplusplus
}
#endif
