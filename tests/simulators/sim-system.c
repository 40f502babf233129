/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See sim-system.h. Everything here may run in a signal handler. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

/* fstat() and fstat64() are different functions here. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include "sim-system.h"
#include "sim-time.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define SIM_EXPORT   __attribute__ ((visibility ("default")))

#define PIPE_MAGIC   0x50495045

/* The interval at which poll() looks again at sockets of which Linux and NetBSD do not say the same. */
#define SLICE_NSEC   2000000L

/* The number of sockets that were shut down for writing and are remembered. */
#define MAX_SHUT     256

static atomic_bool plain_sockets;
static atomic_bool filters_in_poll;
static atomic_bool anonymous_pipes;
static atomic_bool two_way_pipes;

/* The inodes of sockets that were shut down for writing. Linux does not give an inode number to another socket soon. */
static _Atomic ino_t shut_inodes[MAX_SHUT];
static atomic_uint n_shut;

static void (*_Atomic change_func) (int fd);

static int (*real_poll) (struct pollfd *, nfds_t, int);
static int (*real_ppoll) (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static int (*real_fstat) (int, struct stat *);
#ifdef __GLIBC__
static int (*real_fstat64) (int, struct stat64 *);
#endif
static int (*real_fcntl) (int, int, ...);
#ifdef __GLIBC__
static int (*real_fcntl64) (int, int, ...);
#endif
static int (*real_connect) (int, const struct sockaddr *, socklen_t);
static int (*real_shutdown) (int, int);
static int (*real_getpeername) (int, struct sockaddr *, socklen_t *);

__attribute__ ((constructor)) static void
sim_resolve (void)
{
  *(void **) &real_poll = dlsym (RTLD_NEXT, "poll");
  *(void **) &real_ppoll = dlsym (RTLD_NEXT, "ppoll");
  *(void **) &real_fstat = dlsym (RTLD_NEXT, "fstat");
#ifdef __GLIBC__
  *(void **) &real_fstat64 = dlsym (RTLD_NEXT, "fstat64");
#endif
  *(void **) &real_fcntl = dlsym (RTLD_NEXT, "fcntl");
#ifdef __GLIBC__
  *(void **) &real_fcntl64 = dlsym (RTLD_NEXT, "fcntl64");
#endif
  *(void **) &real_connect = dlsym (RTLD_NEXT, "connect");
  *(void **) &real_getpeername = dlsym (RTLD_NEXT, "getpeername");
  *(void **) &real_shutdown = dlsym (RTLD_NEXT, "shutdown");
}

void
sim_system_set_plain_sockets (bool plain)
{
  plain_sockets = plain;
}

void
sim_system_set_filters_in_poll (bool filters)
{
  filters_in_poll = filters;
}

void
sim_system_set_anonymous_pipes (bool anonymous)
{
  anonymous_pipes = anonymous;
}

void
sim_system_set_two_way_pipes (bool two_way)
{
  two_way_pipes = two_way;
}

bool
sim_system_has_plain_sockets (void)
{
  return plain_sockets;
}

void
sim_system_on_change (void (*func) (int fd))
{
  change_func = func;
}

/* Another constructor may call a function before this file's has run. */
static void
sim_ensure (void)
{
  if (real_shutdown == NULL)
    sim_resolve ();
}

int
sim_system_real_poll (struct pollfd *fds,
                      nfds_t         n_fds,
                      int            timeout)
{
  sim_ensure ();

  return real_poll (fds, n_fds, timeout);
}

static bool
sim_is_kind (int          fd,
             mode_t       kind,
             struct stat *buf)
{
  int saved_errno = errno;
  bool is_kind;

  sim_ensure ();
  is_kind = real_fstat (fd, buf) == 0 && (buf->st_mode & S_IFMT) == kind;
  errno = saved_errno;

  return is_kind;
}

bool
sim_system_is_socket (int fd)
{
  struct stat buf;

  return sim_is_kind (fd, S_IFSOCK, &buf);
}

bool
sim_system_is_pipe (int fd)
{
  int saved_errno = errno;
  struct statfs buf;
  bool is_pipe = fstatfs (fd, &buf) == 0 && buf.f_type == PIPE_MAGIC;

  errno = saved_errno;

  return is_pipe;
}

bool
sim_system_is_two_way_read_end (int fd)
{
  sim_ensure ();

  return two_way_pipes && sim_system_is_pipe (fd) && (real_fcntl (fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

static bool
sim_was_shut (int fd)
{
  unsigned int n = n_shut;
  struct stat buf;

  if (n == 0 || !sim_is_kind (fd, S_IFSOCK, &buf))
    return false;

  for (unsigned int i = 0; i < n && i < MAX_SHUT; i++)
    if (shut_inodes[i] == buf.st_ino)
      return true;

  return false;
}

static void
sim_tell_change (int fd)
{
  void (*func) (int) = change_func;
  int saved_errno = errno;

  if (func != NULL)
    func (fd);
  errno = saved_errno;
}

SIM_EXPORT int
shutdown (int fd,
          int how)
{
  struct stat buf;
  int result;

  sim_ensure ();
  result = real_shutdown (fd, how);
  if (result < 0 || how == SHUT_RD || !plain_sockets || sim_was_shut (fd) || !sim_is_kind (fd, S_IFSOCK, &buf))
    return result;

  shut_inodes[n_shut % MAX_SHUT] = buf.st_ino;
  n_shut++;
  sim_tell_change (fd);

  return result;
}

/* Linux does not tell epoll that a socket is connected if the connection was made at once. */
SIM_EXPORT int
connect (int                    fd,
         const struct sockaddr *address,
         socklen_t              size)
{
  int result;

  sim_ensure ();
  result = real_connect (fd, address, size);
  if (plain_sockets)
    sim_tell_change (fd);

  return result;
}

/* Linux keeps the name of a peer that has closed a local socket. */
SIM_EXPORT int
getpeername (int              fd,
             struct sockaddr *address,
             socklen_t       *size)
{
  struct pollfd entry = { .fd = fd };

  sim_ensure ();
  if (plain_sockets && sim_system_is_socket (fd) && real_poll (&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0)
    {
      errno = ENOTCONN;
      return -1;
    }

  return real_getpeername (fd, address, size);
}

/*
 * Linux says POLLHUP without POLLRDHUP of a socket that was never connected only. A socket that has ended, by a close
 * of the peer, a reset or a refused connection, has POLLRDHUP too.
 */
short
sim_system_socket_state (int fd)
{
  struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };
  bool shut = sim_was_shut (fd);
  short state;

  if (sim_system_real_poll (&entry, 1, 0) < 0 || (entry.revents & POLLNVAL) != 0)
    return 0;

  if ((entry.revents & (POLLHUP | POLLRDHUP | POLLERR)) == POLLHUP)
    return 0;

  state = entry.revents & (POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLHUP);
  if ((entry.revents & POLLERR) != 0)
    state |= POLLIN | POLLOUT;
  if (shut)
    state |= POLLOUT | POLLHUP;

  return state;
}

/* macOS does not look for POLLOUT after a filter has told an end. That for writing tells it if the socket is ready. */
static short
sim_poll_filters (short events,
                  short state)
{
  bool hung_up = ((events & POLLIN) != 0 && (state & POLLRDHUP) != 0)
                 || ((events & state & POLLOUT) != 0 && (state & POLLHUP) != 0);

  state &= POLLIN | POLLPRI | POLLOUT;

  return hung_up ? (short) ((events & state & ~POLLOUT) | POLLHUP) : events & state;
}

/* Translates the result of one entry. Returns false if the entry is not ready on the other system. */
static bool
sim_translate (struct pollfd *entry)
{
  short state;

  if ((entry->revents & POLLNVAL) != 0)
    return true;

  if ((entry->revents & POLLHUP) == 0 && sim_system_is_two_way_read_end (entry->fd))
    entry->revents |= entry->events & POLLOUT;

  if (!plain_sockets)
    return entry->revents != 0;

  if (sim_system_is_pipe (entry->fd) && (entry->revents & POLLERR) != 0)
    {
      entry->revents = (short) ((entry->revents & ~POLLERR) | POLLHUP);
      return true;
    }

  if (!sim_system_is_socket (entry->fd))
    return entry->revents != 0;

  state = sim_system_socket_state (entry->fd);
  if (filters_in_poll)
    {
      entry->revents = sim_poll_filters (entry->events, state);
      return entry->revents != 0;
    }

  state &= POLLIN | POLLPRI | POLLOUT;
  if ((state & POLLIN) != 0)
    state |= POLLRDNORM;
  if ((state & POLLOUT) != 0)
    state |= POLLWRNORM;
  entry->revents = entry->events & state;

  return entry->revents != 0;
}

static int
sim_count_ready (struct pollfd *fds,
                 nfds_t         n_fds,
                 bool          *look_again)
{
  int n = 0;

  *look_again = false;
  for (nfds_t i = 0; i < n_fds; i++)
    {
      bool asked = fds[i].fd >= 0
                   && (fds[i].revents != 0
                       || ((fds[i].events & POLLOUT) != 0
                           && (n_shut > 0 || sim_system_is_two_way_read_end (fds[i].fd))));

      if (!asked)
        continue;

      if (sim_translate (&fds[i]))
        n++;
      else
        *look_again = true;
    }

  return n;
}

/* Polls without waiting first. Waits in short slices as long as Linux calls an entry ready that the other system does
 * not. */
static int
sim_poll_plain (struct pollfd         *fds,
                nfds_t                 n_fds,
                const struct timespec *timeout,
                const sigset_t        *signals)
{
  static const struct timespec slice = { .tv_nsec = SLICE_NSEC };
  static const struct timespec no_time = { 0 };
  struct timespec deadline = { 0 };
  struct timespec left = { 0 };
  const struct timespec *wait = &no_time;
  bool look_again;
  bool sleep_only = false;

  if (timeout != NULL)
    deadline = sim_deadline (timeout->tv_sec < INT32_MAX ? timeout->tv_sec : INT32_MAX, timeout->tv_nsec);

  for (;;)
    {
      int n = real_ppoll (fds, sleep_only ? 0 : n_fds, wait, signals);
      bool over;

      if (n < 0)
        return n;
      if (sleep_only)
        {
          sleep_only = false;
          wait = &no_time;
          continue;
        }

      n = sim_count_ready (fds, n_fds, &look_again);
      over = timeout != NULL && !sim_time_left (&deadline, &left);
      if (n > 0 || over)
        return n;

      sleep_only = look_again;
      if (look_again)
        wait = timeout != NULL && left.tv_sec == 0 && left.tv_nsec < SLICE_NSEC ? &left : &slice;
      else
        wait = timeout != NULL ? &left : NULL;
    }
}

SIM_EXPORT int
poll (struct pollfd *fds,
      nfds_t         n_fds,
      int            timeout)
{
  struct timespec time = { .tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L };

  sim_ensure ();
  if (!plain_sockets && !two_way_pipes)
    return real_poll (fds, n_fds, timeout);

  return sim_poll_plain (fds, n_fds, timeout < 0 ? NULL : &time, NULL);
}

SIM_EXPORT int
ppoll (struct pollfd         *fds,
       nfds_t                 n_fds,
       const struct timespec *timeout,
       const sigset_t        *signals)
{
  sim_ensure ();
  if ((!plain_sockets && !two_way_pipes)
      || (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec >= NSEC_PER_SEC)))
    return real_ppoll (fds, n_fds, timeout, signals);

  return sim_poll_plain (fds, n_fds, timeout, signals);
}

#define HIDE_IDENTITY(buf) do { \
    (buf)->st_ctim = (struct timespec) { .tv_sec = (time_t) (buf)->st_ino }; \
    (buf)->st_dev = 0; \
    (buf)->st_ino = 0; \
  } while (0)

/* A header that was included before this file can have made fstat() another name of fstat64(). */
#ifndef __USE_FILE_OFFSET64
SIM_EXPORT int
fstat (int          fd,
       struct stat *buf)
{
  int result;

  sim_ensure ();
  result = real_fstat (fd, buf);
  if (result == 0 && anonymous_pipes && sim_system_is_pipe (fd))
    HIDE_IDENTITY (buf);

  return result;
}
#endif

#ifdef __GLIBC__
SIM_EXPORT int
fstat64 (int            fd,
         struct stat64 *buf)
{
  int result;

  sim_ensure ();
  result = real_fstat64 (fd, buf);
  if (result == 0 && anonymous_pipes && sim_system_is_pipe (fd))
    HIDE_IDENTITY (buf);

  return result;
}
#endif

static int
sim_translate_flags (int fd,
                     int command,
                     int result)
{
  if (command != F_GETFL || result < 0 || !two_way_pipes || !sim_system_is_pipe (fd))
    return result;

  return (result & ~O_ACCMODE) | O_RDWR;
}

/* The third argument is an integer, a pointer, or missing. */
#define REPLACE_FCNTL(name)                                                            \
  SIM_EXPORT int                                                                       \
  name (int fd,                                                                        \
        int command,                                                                   \
        ...)                                                                           \
  {                                                                                    \
    va_list arguments;                                                                 \
    void *argument;                                                                    \
                                                                                       \
    sim_ensure ();                                                                     \
    va_start (arguments, command);                                                     \
    argument = va_arg (arguments, void *);                                             \
    va_end (arguments);                                                                \
                                                                                       \
    return sim_translate_flags (fd, command, real_##name (fd, command, argument));     \
  }

/* As above, fcntl() can be another name of fcntl64(). */
#ifndef __USE_FILE_OFFSET64
REPLACE_FCNTL (fcntl)
#endif

#ifdef __GLIBC__
REPLACE_FCNTL (fcntl64)
#endif
