/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The poll(), ppoll(), fstat(), fcntl(), connect(), getpeername() and shutdown() of other systems, for tests.
 *
 * These functions are replaced in the whole program. They pass everything on to the C library until a setting below
 * changes that. The settings apply to the process. Any thread may change them.
 */

#pragma once

#include <poll.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sockets as on NetBSD, for poll(), ppoll() and kevent():
 *
 * - poll() returns POLLIN and POLLOUT only, never POLLHUP, POLLERR or POLLRDHUP. kevent() returns EV_EOF.
 * - A socket that was never connected is not ready for anything.
 * - A socket that was shut down for writing is writable, even if its buffer is full.
 * - A local socket is not connected any more when the peer is closed: getpeername() fails with ENOTCONN.
 *
 * One fact is simplified: if the peer of a socketpair was shut down in both directions and not closed, the event of
 * EVFILT_WRITE has EV_EOF already.
 */
void  sim_system_set_plain_sockets   (bool   plain);

/* fstat() of a pipe returns 0 for st_dev and st_ino, and a st_ctim that differs between pipes and never changes. */
void  sim_system_set_anonymous_pipes (bool   anonymous);

/*
 * poll() and ppoll() of plain sockets as on macOS, which makes them of the two filters of kqueue: a filter with EV_EOF
 * gives POLLHUP and no POLLOUT. So a socket whose peer only writes no more has hung up, unless the caller asks for
 * POLLOUT alone.
 */
void  sim_system_set_filters_in_poll (bool   filters);

/*
 * F_GETFL of fcntl() returns O_RDWR for both ends of a pipe(), as on FreeBSD and OpenBSD. poll(), ppoll() and kevent()
 * say that the read end is writable, too; but it is not.
 */
void  sim_system_set_two_way_pipes   (bool   two_way);

/* For the simulators. The calls behave as those of NetBSD if sockets are plain. */

bool  sim_system_has_plain_sockets   (void);

/*
 * Returns the state of a socket as NetBSD has it: POLLIN and POLLOUT if it is readable and writable, POLLRDHUP if it
 * cannot receive any more, and POLLHUP if it cannot send any more.
 */
short sim_system_socket_state        (int    fd);

bool  sim_system_is_socket           (int    fd);

/* True for the ends of a pipe(), not for named pipes. */
bool  sim_system_is_pipe             (int    fd);

/* True for the read end of a pipe() if pipes have two ways. */
bool  sim_system_is_two_way_read_end (int    fd);

/* A function that is called after a plain socket was shut down for writing or connected. */
void  sim_system_on_change           (void (*func) (int fd));

/* The function of the C library. */
int   sim_system_real_poll           (struct pollfd *fds,
                                      nfds_t         n_fds,
                                      int            timeout);

#ifdef __cplusplus
}
#endif
