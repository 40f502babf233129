/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Included first, to check that it needs no other header and does not disturb later ones. */
#include <sys/devpoll.h>

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "sim-devpoll.h"

#define RECORD sizeof (struct pollfd)

typedef struct
{
  int set;
  int reader;
  int writer;
} Fixture;

static void
make_pipe (int *reader,
           int *writer)
{
  int fds[2];

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
  *reader = fds[0];
  *writer = fds[1];
}

static void
put (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

static int
watch (int set,
       int fd,
       int events)
{
  struct pollfd record = { .fd = fd, .events = (short) events };
  ssize_t n = write (set, &record, sizeof record);

  g_assert_true (n == -1 || n == sizeof record);

  return n < 0 ? errno : 0;
}

static int
poll_set (int            set,
          struct pollfd *fds,
          nfds_t         n_fds,
          int            timeout)
{
  struct dvpoll arg = { .dp_fds = fds, .dp_nfds = n_fds, .dp_timeout = timeout };

  return ioctl (set, DP_POLL, &arg);
}

static void
assert_nothing (int set)
{
  struct pollfd fds[4];

  g_assert_cmpint (poll_set (set, fds, 4, 0), ==, 0);
}

static void
assert_one (int set,
            int fd,
            int events,
            int revents)
{
  struct pollfd fds[4];

  g_assert_cmpint (poll_set (set, fds, 4, 0), ==, 1);
  g_assert_cmpint (fds[0].fd, ==, fd);
  g_assert_cmpint (fds[0].events, ==, events);
  g_assert_cmpint (fds[0].revents, ==, revents);
}

static int
count_fds (void)
{
  int n = 0;

  for (int fd = 0; fd < 1024; fd++)
    if (fcntl (fd, F_GETFD) >= 0)
      n++;

  return n;
}

static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  sim_devpoll_reset ();
  fixture->set = open ("/dev/poll", O_RDWR | O_CLOEXEC);
  g_assert_no_errno (fixture->set);
  make_pipe (&fixture->reader, &fixture->writer);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  if (fixture->set >= 0)
    close (fixture->set);
  if (fixture->reader >= 0)
    close (fixture->reader);
  if (fixture->writer >= 0)
    close (fixture->writer);
  g_assert_cmpuint (sim_devpoll_n_open (), ==, 0);
  sim_devpoll_reset ();
}

static void
test_open_close (Fixture       *fixture,
                 gconstpointer  data)
{
  int n = count_fds ();
  int lowest = dup (0);
  int set;

  close (lowest);
  set = open ("/dev/poll", O_RDWR);
  g_assert_cmpint (set, ==, lowest);
  g_assert_cmpint (fcntl (set, F_GETFD), ==, 0);
  g_assert_cmpint (fcntl (fixture->set, F_GETFD), ==, FD_CLOEXEC);
  g_assert_no_errno (close (set));
  g_assert_cmpint (close (set), ==, -1);
  g_assert_cmpint (count_fds (), ==, n);

  sim_devpoll_set_open_errno (ENOENT);
  g_assert_cmpint (open ("/dev/poll", O_RDWR), ==, -1);
  g_assert_cmpint (errno, ==, ENOENT);
}

static void
test_pass_through (Fixture       *fixture,
                   gconstpointer  data)
{
  char buffer[4] = "";
  char *name = g_build_filename (g_get_tmp_dir (), "sim-devpoll-test", NULL);
  struct stat buf;
  int n_bytes = 0;
  int fd;

  unlink (name);
  fd = open (name, O_RDWR | O_CREAT | O_EXCL, 0600);
  g_assert_no_errno (fd);
  g_assert_no_errno (fstat (fd, &buf));
  g_assert_cmpint (buf.st_mode & 0777, ==, 0600);
  g_assert_cmpint (write (fd, "abc", 3), ==, 3);
  g_assert_cmpint (pwrite (fd, "x", 1, 1), ==, 1);
  g_assert_cmpint (pread (fd, buffer, 3, 0), ==, 3);
  g_assert_cmpstr (buffer, ==, "axc");
  g_assert_no_errno (close (fd));
  unlink (name);
  g_free (name);

  put (fixture->writer);
  g_assert_no_errno (ioctl (fixture->reader, FIONREAD, &n_bytes));
  g_assert_cmpint (n_bytes, ==, 1);
}

/* Closed in a file that does not include the simulator, and the number is used again. */
static void
test_closed_elsewhere (Fixture       *fixture,
                       gconstpointer  data)
{
  int set = fixture->set;

  g_assert_cmpint (watch (set, fixture->reader, POLLIN), ==, 0);
  g_assert_true (g_close (set, NULL));
  g_assert_cmpint (sim_devpoll_count (set), ==, -1);
  fixture->set = dup (fixture->writer);
  g_assert_cmpint (fixture->set, ==, set);
  put (set);
  close (set);

  fixture->set = open ("/dev/poll", O_RDWR);
  g_assert_cmpint (fixture->set, ==, set);
  g_assert_cmpint (sim_devpoll_count (set), ==, 0);
  g_assert_cmpuint (sim_devpoll_n_open (), ==, 1);
}

static void
test_not_pollable (Fixture       *fixture,
                   gconstpointer  data)
{
  struct pollfd pollfd = { .fd = fixture->set, .events = POLLIN };

  g_assert_cmpint (poll (&pollfd, 1, 0), ==, 1);
  g_assert_cmpint (pollfd.revents, ==, POLLERR);
}

static void
test_ready (Fixture       *fixture,
            gconstpointer  data)
{
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  assert_nothing (fixture->set);
  put (fixture->writer);
  assert_one (fixture->set, fixture->reader, POLLIN, POLLIN);
  assert_one (fixture->set, fixture->reader, POLLIN, POLLIN);
  close (fixture->writer);
  fixture->writer = -1;
  assert_one (fixture->set, fixture->reader, POLLIN, POLLIN | POLLHUP);
}

static void
test_masks_are_ored (Fixture       *fixture,
                     gconstpointer  data)
{
  struct pollfd records[2];
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  g_assert_cmpint (watch (fixture->set, fds[0], POLLIN), ==, 0);
  g_assert_cmpint (watch (fixture->set, fds[0], POLLOUT), ==, 0);
  g_assert_cmpint (sim_devpoll_count (fixture->set), ==, 1);
  assert_one (fixture->set, fds[0], POLLIN | POLLOUT, POLLOUT);

  /* Writing a smaller mask does not change the mask. */
  g_assert_cmpint (watch (fixture->set, fds[0], POLLIN), ==, 0);
  assert_one (fixture->set, fds[0], POLLIN | POLLOUT, POLLOUT);

  records[0] = (struct pollfd) { .fd = fds[0], .events = POLLREMOVE };
  records[1] = (struct pollfd) { .fd = fds[0], .events = POLLIN };
  g_assert_cmpint (pwrite (fixture->set, records, sizeof records, 0), ==, sizeof records);
  g_assert_cmpint (sim_devpoll_find (fixture->set, fds[0]), ==, POLLIN);
  assert_nothing (fixture->set);

  close (fds[0]);
  close (fds[1]);
}

static void
test_remove (Fixture       *fixture,
             gconstpointer  data)
{
  int set = fixture->set;

  put (fixture->writer);
  g_assert_cmpint (watch (set, fixture->reader, POLLREMOVE), ==, 0);
  g_assert_cmpint (watch (set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (watch (set, fixture->reader, POLLREMOVE | POLLIN), ==, EINVAL);
  g_assert_cmpint (sim_devpoll_find (set, fixture->reader), ==, POLLIN);
  g_assert_cmpint (watch (set, fixture->reader, POLLREMOVE), ==, 0);
  g_assert_cmpint (sim_devpoll_find (set, fixture->reader), ==, -1);
  assert_nothing (set);
}

static void
test_closed (Fixture       *fixture,
             gconstpointer  data)
{
  int set = fixture->set;
  int number = fixture->reader;
  int fds[2];

  g_assert_cmpint (watch (set, number, POLLIN), ==, 0);
  close (number);
  assert_one (set, number, POLLIN, POLLNVAL);
  assert_one (set, number, POLLIN, POLLNVAL);

  /* An entry belongs to the number, whatever file it refers to. */
  make_pipe (&fds[0], &fds[1]);
  g_assert_cmpint (fds[0], ==, number);
  assert_nothing (set);
  put (fds[1]);
  assert_one (set, number, POLLIN, POLLIN);
  close (fds[1]);
  close (number);
  fixture->reader = -1;

  g_assert_cmpint (watch (set, number, POLLREMOVE), ==, 0);
  assert_nothing (set);

  /* A closed descriptor is accepted. A number that cannot be a descriptor is ignored. */
  g_assert_cmpint (watch (set, number, POLLIN), ==, 0);
  assert_one (set, number, POLLIN, POLLNVAL);
  g_assert_cmpint (watch (set, number, POLLREMOVE), ==, 0);
  g_assert_cmpint (watch (set, -1, POLLIN), ==, 0);
  sim_devpoll_set_nofile (50);
  g_assert_cmpint (watch (set, 50, POLLIN), ==, 0);
  g_assert_cmpint (sim_devpoll_count (set), ==, 0);
}

static void
test_write_errors (Fixture       *fixture,
                   gconstpointer  data)
{
  struct pollfd records[5];

  for (int i = 0; i < 5; i++)
    records[i] = (struct pollfd) { .fd = fixture->reader, .events = POLLIN };

  g_assert_cmpint (write (fixture->set, records, RECORD + 1), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
  g_assert_cmpint (write (fixture->set, records, RECORD - 1), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
  g_assert_cmpint (write (fixture->set, records, 0), ==, 0);
  g_assert_cmpint (sim_devpoll_count (fixture->set), ==, 0);

  sim_devpoll_set_nofile (4);
  g_assert_cmpint (write (fixture->set, records, 5 * RECORD), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
  g_assert_cmpint (write (fixture->set, records, 4 * RECORD), ==, 4 * RECORD);
  g_assert_cmpuint (sim_devpoll_max_records (), ==, 5);
}

static void
test_short_writes (Fixture       *fixture,
                   gconstpointer  data)
{
  enum { N = 4 };

  for (size_t size = 0; size <= N * RECORD; size++)
    {
      struct pollfd records[N];
      int fds[N];

      for (int i = 0; i < N; i++)
        {
          fds[i] = dup (fixture->reader);
          records[i] = (struct pollfd) { .fd = fds[i], .events = POLLIN };
        }

      sim_devpoll_short_writes (0, 1, size);
      g_assert_cmpint (pwrite (fixture->set, records, sizeof records, 0), ==, size);
      g_assert_cmpint (sim_devpoll_count (fixture->set), ==, size / RECORD);

      /* Resuming a short write is only possible at the end of a record. */
      if (size % RECORD != 0)
        g_assert_cmpint (write (fixture->set, (char *) records + size, sizeof records - size),
                         ==, -1);

      for (int i = 0; i < N; i++)
        {
          g_assert_cmpint (watch (fixture->set, fds[i], POLLREMOVE), ==, 0);
          close (fds[i]);
        }
    }
}

static void
test_write_faults (Fixture       *fixture,
                   gconstpointer  data)
{
  sim_devpoll_fail_writes (1, 2, EINTR);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLREMOVE), ==, EINTR);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLREMOVE), ==, EINTR);
  g_assert_cmpint (sim_devpoll_count (fixture->set), ==, 1);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLREMOVE), ==, 0);
  g_assert_cmpuint (sim_devpoll_n_writes (), ==, 4);
}

static void
test_offset (Fixture       *fixture,
             gconstpointer  data)
{
  struct pollfd record = { .fd = fixture->reader, .events = POLLIN };

  sim_devpoll_set_offset_limit (2 * (off_t) RECORD);
  g_assert_cmpint (write (fixture->set, &record, RECORD), ==, RECORD);
  g_assert_cmpint (write (fixture->set, &record, RECORD), ==, RECORD);
  g_assert_cmpint (write (fixture->set, &record, RECORD), ==, -1);
  g_assert_cmpint (errno, ==, EFBIG);
  g_assert_cmpint (pwrite (fixture->set, &record, RECORD, 0), ==, RECORD);
}

static void
test_rotation (Fixture       *fixture,
               gconstpointer  data)
{
  enum { N = 5 };
  int fds[N];
  guint seen[N] = { 0 };

  put (fixture->writer);
  for (int i = 0; i < N; i++)
    {
      fds[i] = dup (fixture->reader);
      g_assert_cmpint (watch (fixture->set, fds[i], POLLIN), ==, 0);
    }

  /* Arrays of two entries over a set of five: twice around. */
  for (int i = 0; i < N; i++)
    {
      struct pollfd found[2];

      g_assert_cmpint (poll_set (fixture->set, found, 2, 0), ==, 2);
      for (int j = 0; j < 2; j++)
        for (int k = 0; k < N; k++)
          if (found[j].fd == fds[k])
            seen[k]++;
    }

  for (int i = 0; i < N; i++)
    {
      g_assert_cmpuint (seen[i], ==, 2);
      close (fds[i]);
    }
}

static void
test_poll_limits (Fixture       *fixture,
                  gconstpointer  data)
{
  struct pollfd fds[10];
  struct rlimit limit;

  put (fixture->writer);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);

  sim_devpoll_set_nofile (8);
  g_assert_cmpint (poll_set (fixture->set, fds, 8, 0), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
  g_assert_cmpint (poll_set (fixture->set, fds, 7, 0), ==, 1);
  sim_devpoll_set_clamp_nfds (true);
  g_assert_cmpint (poll_set (fixture->set, fds, 10, 0), ==, 1);
  g_assert_cmpuint (sim_devpoll_max_nfds (), ==, 10);

  g_assert_cmpint (poll_set (fixture->set, NULL, 1, 0), ==, -1);
  g_assert_cmpint (errno, ==, EFAULT);
  g_assert_cmpint (poll_set (fixture->set, fds, 1, -2), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);

  sim_devpoll_set_nofile (RLIM_INFINITY);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  g_assert_true (limit.rlim_cur == RLIM_INFINITY);
  g_assert_cmpint (poll_set (fixture->set, fds, 10, 0), ==, 1);
}

/* More entries than poll () of the system accepts. */
static void
test_low_limit (Fixture       *fixture,
                gconstpointer  data)
{
  enum { N = 20 };
  struct rlimit old;
  struct rlimit limit;
  struct pollfd found[N];
  int fds[N];

  for (int i = 0; i < N; i++)
    {
      fds[i] = dup (fixture->reader);
      g_assert_cmpint (watch (fixture->set, fds[i], POLLIN), ==, 0);
    }

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  limit = old;
  limit.rlim_cur = 6;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  g_assert_cmpint (poll_set (fixture->set, found, 5, 20), ==, 0);
  put (fixture->writer);
  sim_devpoll_set_clamp_nfds (true);
  g_assert_cmpint (poll_set (fixture->set, found, N, -1), ==, 6);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));

  for (int i = 0; i < N; i++)
    close (fds[i]);
}

static void
test_timeouts (Fixture       *fixture,
               gconstpointer  data)
{
  struct pollfd fds[1] = { { .fd = -7, .events = 1, .revents = 2 } };
  gint64 start;

  put (fixture->writer);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLOUT), ==, 0);
  for (nfds_t n_fds = 0; n_fds < 2; n_fds++)
    {
      start = g_get_monotonic_time ();
      g_assert_cmpint (poll_set (fixture->set, fds, n_fds, 4), ==, 0);
      g_assert_cmpint (g_get_monotonic_time () - start, >=, 4000);
      g_assert_cmpint (poll_set (fixture->set, fds, n_fds, 0), ==, 0);
    }

  /* Without a ready descriptor the array is not written. */
  g_assert_cmpint (fds[0].fd, ==, -7);

  /* Without an array DP_POLL only sleeps, even if descriptors are ready. */
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  start = g_get_monotonic_time ();
  g_assert_cmpint (poll_set (fixture->set, NULL, 0, 4), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 4000);
}

static void
on_signal (int signum)
{
}

static void
test_eintr (Fixture       *fixture,
            gconstpointer  data)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct itimerval timer = { { 0, 0 }, { 0, 5000 } };
  struct pollfd found;

  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  for (nfds_t n_fds = 0; n_fds < 2; n_fds++)
    {
      g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
      g_assert_cmpint (poll_set (fixture->set, &found, n_fds, -1), ==, -1);
      g_assert_cmpint (errno, ==, EINTR);
    }
  signal (SIGALRM, SIG_DFL);

  sim_devpoll_fail_polls (1, ENOMEM);
  g_assert_cmpint (poll_set (fixture->set, &found, 1, -1), ==, -1);
  g_assert_cmpint (errno, ==, ENOMEM);
}

static void
test_is_polled (Fixture       *fixture,
                gconstpointer  data)
{
  struct pollfd record = { .fd = fixture->reader, .events = 3, .revents = 5 };

  g_assert_cmpint (ioctl (fixture->set, DP_ISPOLLED, &record), ==, 0);
  g_assert_cmpint (record.revents, ==, 5);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (ioctl (fixture->set, DP_ISPOLLED, &record), ==, 1);
  g_assert_cmpint (record.events, ==, 0);
  g_assert_cmpint (record.revents, ==, POLLIN);
  record.fd = -1;
  g_assert_cmpint (ioctl (fixture->set, DP_ISPOLLED, &record), ==, 0);

  g_assert_cmpint (ioctl (fixture->set, FIONREAD, &record), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
}

static void
test_errno (Fixture       *fixture,
            gconstpointer  data)
{
  struct pollfd found;

  errno = ERANGE;
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (poll_set (fixture->set, &found, 1, 0), ==, 0);
  g_assert_cmpint (errno, ==, ERANGE);
}

static void
test_always_ready (Fixture       *fixture,
                   gconstpointer  data)
{
  int fd = open ("/", O_RDONLY | O_DIRECTORY);

  g_assert_cmpint (watch (fixture->set, fd, POLLIN | POLLOUT), ==, 0);
  assert_one (fixture->set, fd, POLLIN | POLLOUT, POLLIN | POLLOUT);
  close (fd);
}

static void
test_fork (Fixture       *fixture,
           gconstpointer  data)
{
  int status;
  pid_t pid;

  put (fixture->writer);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      struct pollfd found;
      int set;

      if (watch (fixture->set, fixture->reader, POLLREMOVE) != EACCES)
        _exit (1);
      if (poll_set (fixture->set, &found, 1, 0) != -1 || errno != EACCES)
        _exit (2);
      if (ioctl (fixture->set, DP_ISPOLLED, &found) != -1 || errno != EACCES)
        _exit (3);
      if (close (fixture->set) < 0 || sim_devpoll_n_open () != 0)
        _exit (4);
      set = open ("/dev/poll", O_RDWR);
      if (watch (set, fixture->reader, POLLIN) != 0 || poll_set (set, &found, 1, 0) != 1)
        _exit (5);
      _exit (0);
    }

  g_assert_no_errno (pid);
  g_assert_no_errno (waitpid (pid, &status, 0));
  g_assert_cmpint (status, ==, 0);
  assert_one (fixture->set, fixture->reader, POLLIN, POLLIN);
}

/* A set belongs to the process that uses it first. */
static void
test_fork_unused (Fixture       *fixture,
                  gconstpointer  data)
{
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    _exit (watch (fixture->set, fixture->reader, POLLIN));

  g_assert_no_errno (pid);
  g_assert_no_errno (waitpid (pid, &status, 0));
  g_assert_cmpint (status, ==, 0);
}

typedef struct
{
  int set;
  int result;
  int errnum;
  struct pollfd found;
} Waiter;

static gpointer
wait_thread (gpointer data)
{
  Waiter *waiter = data;

  waiter->result = poll_set (waiter->set, &waiter->found, 1, -1);
  waiter->errnum = errno;

  return NULL;
}

static void
wait_until_waiting (guint n)
{
  while (sim_devpoll_n_polls () < n)
    g_thread_yield ();
}

static void
test_change_wakes (Fixture       *fixture,
                   gconstpointer  data)
{
  Waiter waiters[2] = { { .set = fixture->set }, { .set = fixture->set } };
  GThread *threads[2];

  for (int i = 0; i < 2; i++)
    threads[i] = g_thread_new ("waiter", wait_thread, &waiters[i]);
  wait_until_waiting (2);
  put (fixture->writer);
  g_assert_cmpint (watch (fixture->set, fixture->writer, POLLIN), ==, 0);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);

  for (int i = 0; i < 2; i++)
    {
      g_thread_join (threads[i]);
      g_assert_cmpint (waiters[i].result, ==, 1);
      g_assert_cmpint (waiters[i].found.fd, ==, fixture->reader);
    }
}

static void
test_close_wakes (Fixture       *fixture,
                  gconstpointer  data)
{
  Waiter waiters[2] = { { .set = fixture->set }, { .set = fixture->set } };
  GThread *threads[2];

  for (int i = 0; i < 2; i++)
    threads[i] = g_thread_new ("waiter", wait_thread, &waiters[i]);
  wait_until_waiting (2);
  close (fixture->set);
  fixture->set = -1;

  for (int i = 0; i < 2; i++)
    {
      g_thread_join (threads[i]);
      g_assert_cmpint (waiters[i].result, ==, -1);
      g_assert_cmpint (waiters[i].errnum, ==, EBADF);
    }
}

static gpointer
churn_thread (gpointer data)
{
  int set = GPOINTER_TO_INT (data);

  for (int i = 0; i < 300; i++)
    {
      int reader;
      int writer;

      make_pipe (&reader, &writer);
      put (writer);
      g_assert_cmpint (watch (set, reader, POLLIN), ==, 0);
      g_assert_cmpint (watch (set, writer, POLLOUT), ==, 0);
      g_assert_cmpint (watch (set, writer, POLLREMOVE), ==, 0);
      g_assert_cmpint (watch (set, reader, POLLREMOVE), ==, 0);
      close (reader);
      close (writer);
    }

  return NULL;
}

static gpointer
poll_thread (gpointer data)
{
  struct pollfd found[3];

  for (int i = 0; i < 300; i++)
    g_assert_cmpint (poll_set (GPOINTER_TO_INT (data), found, 3, i % 2), >=, 0);

  return NULL;
}

/* The child has lost the memory and the stacks of the other threads. It runs another program, so that no tool reports
 * them as leaks. */
static void
leave_child (void)
{
  execlp ("true", "true", NULL);
  _exit (1);
}

static void
test_threads (Fixture       *fixture,
              gconstpointer  data)
{
  GThread *threads[4];

  for (int i = 0; i < 4; i++)
    threads[i] = g_thread_new ("churn", i < 2 ? churn_thread : poll_thread,
                               GINT_TO_POINTER (fixture->set));

  for (int i = 0; i < 10; i++)
    {
      int status;
      pid_t pid = fork ();

      if (pid == 0)
        {
          close (fixture->set);
          leave_child ();
        }
      g_assert_no_errno (waitpid (pid, &status, 0));
      g_assert_cmpint (status, ==, 0);
    }

  for (int i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (sim_devpoll_count (fixture->set), ==, 0);
}

static gpointer
write_thread (gpointer data)
{
  Fixture *fixture = data;

  return GINT_TO_POINTER (watch (fixture->set, fixture->reader, POLLIN));
}

static gpointer
wait_for_writer (gpointer data)
{
  Fixture *fixture = data;
  struct pollfd found[4];

  return GINT_TO_POINTER (poll_set (fixture->set, found, 4, -1));
}

/* A write waits until the poll ends, here by a descriptor that is in the set already. Without the setting it does not,
 * and ends the poll. */
static void
test_writes_wait (Fixture       *fixture,
                  gconstpointer  data)
{
  GThread *poller;
  GThread *writer;
  int fds[2];

  make_pipe (&fds[0], &fds[1]);
  g_assert_cmpint (watch (fixture->set, fds[0], POLLIN), ==, 0);
  put (fixture->writer);

  sim_devpoll_set_writes_wait (true);
  poller = g_thread_new ("poller", wait_for_writer, fixture);
  while (sim_devpoll_n_polls () == 0)
    g_thread_yield ();
  writer = g_thread_new ("writer", write_thread, fixture);
  while (sim_devpoll_n_blocked () == 0)
    g_thread_yield ();
  g_assert_cmpint (sim_devpoll_find (fixture->set, fixture->reader), ==, -1);
  put (fds[1]);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (poller)), ==, 1);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (writer)), ==, 0);
  g_assert_cmpint (sim_devpoll_find (fixture->set, fixture->reader), ==, POLLIN);

  sim_devpoll_reset ();
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLREMOVE), ==, 0);
  g_assert_cmpint (watch (fixture->set, fds[0], POLLREMOVE), ==, 0);
  poller = g_thread_new ("poller", wait_for_writer, fixture);
  while (sim_devpoll_n_polls () == 0)
    g_thread_yield ();
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (poller)), ==, 1);
  g_assert_cmpuint (sim_devpoll_n_blocked (), ==, 0);

  close (fds[0]);
  close (fds[1]);
}

/* A signal ends a write that waits, which claims to have succeeded. */
static void
test_write_interrupted (Fixture       *fixture,
                        gconstpointer  data)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct sigaction old;
  struct itimerval timer = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
  struct itimerval none = { 0 };
  sigset_t alarm_only;
  GThread *poller;

  sigemptyset (&alarm_only);
  sigaddset (&alarm_only, SIGALRM);
  pthread_sigmask (SIG_BLOCK, &alarm_only, NULL);
  sim_devpoll_set_writes_wait (true);
  poller = g_thread_new ("poller", wait_for_writer, fixture);
  while (sim_devpoll_n_polls () == 0)
    g_thread_yield ();

  g_assert_no_errno (sigaction (SIGALRM, &action, &old));
  pthread_sigmask (SIG_UNBLOCK, &alarm_only, NULL);
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLIN), ==, 0);
  g_assert_cmpint (sim_devpoll_find (fixture->set, fixture->reader), ==, -1);
  g_assert_no_errno (setitimer (ITIMER_REAL, &none, NULL));
  g_assert_no_errno (sigaction (SIGALRM, &old, NULL));

  /* Closing ends the poll. */
  close (fixture->set);
  fixture->set = -1;
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (poller)), ==, -1);
}

/* Returns true if DP_POLL accepts more records than the limit of open files. */
static bool
clamps_nfds (Fixture *fixture)
{
  struct pollfd found[3];
  int n;

  sim_devpoll_set_nofile (3);
  n = poll_set (fixture->set, found, 3, 0);
  if (n != 0)
    {
      g_assert_cmpint (n, ==, -1);
      g_assert_cmpint (errno, ==, EINVAL);
    }
  sim_devpoll_set_nofile (0);

  return n == 0;
}

/* Returns true if a write waits for the DP_POLL of another thread. The poll ends by another descriptor, or by the
 * write. */
static bool
lets_writes_wait (Fixture *fixture)
{
  unsigned int n_polls = sim_devpoll_n_polls ();
  unsigned int n_blocked = sim_devpoll_n_blocked ();
  GThread *poller;
  GThread *writer;
  int fds[2];

  make_pipe (&fds[0], &fds[1]);
  g_assert_cmpint (watch (fixture->set, fds[0], POLLIN), ==, 0);
  poller = g_thread_new ("poller", wait_for_writer, fixture);
  while (sim_devpoll_n_polls () == n_polls)
    g_thread_yield ();
  writer = g_thread_new ("writer", write_thread, fixture);
  while (sim_devpoll_n_blocked () == n_blocked && sim_devpoll_find (fixture->set, fixture->reader) == -1)
    g_thread_yield ();

  put (fds[1]);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (poller)), >=, 1);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (writer)), ==, 0);
  g_assert_cmpint (watch (fixture->set, fixture->reader, POLLREMOVE), ==, 0);
  g_assert_cmpint (watch (fixture->set, fds[0], POLLREMOVE), ==, 0);
  close (fds[0]);
  close (fds[1]);

  return sim_devpoll_n_blocked () != n_blocked;
}

typedef struct
{
  SimDevpollFlavour flavour;
  const char *name;             /* in the environment */
  bool clamps_nfds;
  bool lets_writes_wait;
} Flavour;

/* The initial one again at the end: a flavour takes back what another has set. */
static const Flavour flavours[] = {
  { SIM_MANUAL_PAGE, "", false, false },
  { SIM_ILLUMOS, "illumos", true, false },
  { SIM_SOLARIS11, "solaris11", false, true },
  { SIM_MANUAL_PAGE, "", false, false },
};

static void
assert_flavour (Fixture       *fixture,
                const Flavour *flavour)
{
  g_assert_cmpint (clamps_nfds (fixture), ==, flavour->clamps_nfds);
  g_assert_cmpint (lets_writes_wait (fixture), ==, flavour->lets_writes_wait);
}

/* Each flavour makes all settings, and the environment names the initial one. */
static void
test_flavours (Fixture       *fixture,
               gconstpointer  data)
{
  g_autofree char *saved = g_strdup (g_getenv ("SIM_DEVPOLL"));

  put (fixture->writer);
  for (gsize i = 0; i < G_N_ELEMENTS (flavours); i++)
    {
      sim_devpoll_set_flavour (flavours[i].flavour);
      assert_flavour (fixture, &flavours[i]);
    }

  for (gsize i = 0; i < G_N_ELEMENTS (flavours); i++)
    {
      g_setenv ("SIM_DEVPOLL", flavours[i].name, TRUE);
      sim_devpoll_reset ();
      assert_flavour (fixture, &flavours[i]);
    }

  g_unsetenv ("SIM_DEVPOLL");
  if (saved != NULL)
    g_setenv ("SIM_DEVPOLL", saved, TRUE);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*func) (Fixture *fixture, gconstpointer data);
  } cases[] = {
    { "/sim/devpoll/open-close", test_open_close },
    { "/sim/devpoll/pass-through", test_pass_through },
    { "/sim/devpoll/closed-elsewhere", test_closed_elsewhere },
    { "/sim/devpoll/not-pollable", test_not_pollable },
    { "/sim/devpoll/ready", test_ready },
    { "/sim/devpoll/masks-are-ored", test_masks_are_ored },
    { "/sim/devpoll/remove", test_remove },
    { "/sim/devpoll/closed", test_closed },
    { "/sim/devpoll/write-errors", test_write_errors },
    { "/sim/devpoll/short-writes", test_short_writes },
    { "/sim/devpoll/write-faults", test_write_faults },
    { "/sim/devpoll/offset", test_offset },
    { "/sim/devpoll/rotation", test_rotation },
    { "/sim/devpoll/poll-limits", test_poll_limits },
    { "/sim/devpoll/low-limit", test_low_limit },
    { "/sim/devpoll/timeouts", test_timeouts },
    { "/sim/devpoll/eintr", test_eintr },
    { "/sim/devpoll/is-polled", test_is_polled },
    { "/sim/devpoll/errno", test_errno },
    { "/sim/devpoll/always-ready", test_always_ready },
    { "/sim/devpoll/fork", test_fork },
    { "/sim/devpoll/fork-unused", test_fork_unused },
    { "/sim/devpoll/change-wakes", test_change_wakes },
    { "/sim/devpoll/close-wakes", test_close_wakes },
    { "/sim/devpoll/threads", test_threads },
    { "/sim/devpoll/writes-wait", test_writes_wait },
    { "/sim/devpoll/write-interrupted", test_write_interrupted },
    { "/sim/devpoll/flavours", test_flavours },
  };

  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].func, tear_down);

  return g_test_run ();
}
