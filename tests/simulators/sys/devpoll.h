/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The user interface of /dev/poll on Solaris, for programs that use the simulator in sim-devpoll.c.
 *
 * A file that includes this header calls the simulator whenever it calls open (), write (), pwrite (), ioctl () or
 * close (). Calls that do not concern /dev/poll are passed on to the system. getrlimit () may also return another
 * RLIMIT_NOFILE. The names are macros with arguments, so that structure members and function pointers with these
 * names are not replaced.
 */

#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

/* Linux has a POLLREMOVE without effect, and defines it for some files only. */
#undef POLLREMOVE
#define POLLREMOVE  0x0800

#define DPIOC       (0xd0 << 8)
#define DP_POLL     (DPIOC | 1)
#define DP_ISPOLLED (DPIOC | 2)

struct dvpoll
{
  struct pollfd *dp_fds;
  nfds_t dp_nfds;
  int dp_timeout;
};

#ifdef __cplusplus
extern "C" {
#endif

int     sim_devpoll_open      (const char    *path,
                               int            flags,
                               ...);
ssize_t sim_devpoll_write     (int            fd,
                               const void    *buffer,
                               size_t         size);
ssize_t sim_devpoll_pwrite    (int            fd,
                               const void    *buffer,
                               size_t         size,
                               off_t          offset);
int     sim_devpoll_ioctl     (int            fd,
                               unsigned long  request,
                               ...);
int     sim_devpoll_close     (int            fd);
int     sim_devpoll_getrlimit (int            resource,
                               struct rlimit *limit);

#ifdef __cplusplus
}
#endif

#ifndef SIM_DEVPOLL_NO_REDIRECT

#undef open
#undef write
#undef pwrite
#undef ioctl
#undef close
#undef getrlimit

#define open(...)                         sim_devpoll_open (__VA_ARGS__)
#define write(fd, buffer, size)           sim_devpoll_write (fd, buffer, size)
#define pwrite(fd, buffer, size, offset)  sim_devpoll_pwrite (fd, buffer, size, offset)
#define ioctl(...)                        sim_devpoll_ioctl (__VA_ARGS__)
#define close(fd)                         sim_devpoll_close (fd)
#define getrlimit(resource, limit)        sim_devpoll_getrlimit ((int) (resource), limit)

#endif
