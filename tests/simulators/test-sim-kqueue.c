/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim-kqueue.h"

static const struct timespec no_time = { 0 };

typedef struct
{
  int kq;
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
make_sockets (int *one,
              int *other)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  *one = fds[0];
  *other = fds[1];
}

static void
put (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

static void
get (int fd)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

/* Returns 0 or the errno of one change. */
static int
change_full (int          kq,
             int          ident,
             short        filter,
             int          flags,
             unsigned int fflags,
             int          udata)
{
  struct kevent change;

  EV_SET (&change, ident, filter, flags, fflags, 0, GINT_TO_POINTER (udata));

  return kevent (kq, &change, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

static int
change (int   kq,
        int   ident,
        short filter,
        int   flags)
{
  return change_full (kq, ident, filter, flags, 0, 0);
}

static int
take (int            kq,
      struct kevent *events,
      int            n_events)
{
  int n = kevent (kq, NULL, 0, events, n_events, &no_time);

  g_assert_cmpint (n, >=, 0);

  return n;
}

static void
assert_nothing (int kq)
{
  struct kevent event;

  g_assert_cmpint (take (kq, &event, 1), ==, 0);
}

static void
assert_one (int   kq,
            int   ident,
            short filter)
{
  struct kevent events[4];

  g_assert_cmpint (take (kq, events, 4), ==, 1);
  g_assert_cmpint (events[0].ident, ==, ident);
  g_assert_cmpint (events[0].filter, ==, filter);
}

static bool
is_readable (int fd)
{
  struct pollfd pollfd = { .fd = fd, .events = POLLIN };

  return poll (&pollfd, 1, 0) == 1 && pollfd.revents == POLLIN;
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
  sim_kqueue_reset ();
  fixture->kq = kqueue ();
  g_assert_no_errno (fixture->kq);
  make_pipe (&fixture->reader, &fixture->writer);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  if (fixture->kq >= 0)
    close (fixture->kq);
  if (fixture->reader >= 0)
    close (fixture->reader);
  if (fixture->writer >= 0)
    close (fixture->writer);
  g_assert_cmpuint (sim_kqueue_n_open (), ==, 0);
  sim_kqueue_reset ();
}

static void
test_open_close (Fixture       *fixture,
                 gconstpointer  data)
{
  int n = count_fds ();
  int kq = kqueue ();

  g_assert_cmpint (fcntl (kq, F_GETFD), ==, 0);
  g_assert_no_errno (close (kq));
  kq = kqueue1 (O_CLOEXEC);
  g_assert_cmpint (fcntl (kq, F_GETFD), ==, FD_CLOEXEC);
  g_assert_no_errno (close (kq));
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD), ==, EBADF);
  g_assert_cmpint (count_fds (), ==, n);

  g_assert_cmpint (kqueue1 (O_APPEND), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);

  sim_kqueue_set_open_errno (ENFILE);
  g_assert_cmpint (kqueue (), ==, -1);
  g_assert_cmpint (errno, ==, ENFILE);
}

/* If any of the descriptors cannot be made, the others are closed again. */
static void
test_out_of_fds (Fixture       *fixture,
                 gconstpointer  data)
{
  struct rlimit old;
  struct rlimit limit;
  int n = count_fds ();
  int lowest = dup (0);

  close (lowest);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  limit = old;

  for (int i = 0; i < 4; i++)
    {
      limit.rlim_cur = (rlim_t) (lowest + i);
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
      g_assert_cmpint (kqueue (), ==, -1);
      g_assert_cmpint (errno, ==, EMFILE);
      g_assert_cmpint (count_fds (), ==, n);
    }

  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));
}

static void
test_level (Fixture       *fixture,
            gconstpointer  data)
{
  struct kevent event;

  g_assert_cmpint (change_full (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD, 0, 7), ==, 0);
  assert_nothing (fixture->kq);
  g_assert_false (is_readable (fixture->kq));

  put (fixture->writer);
  for (int i = 0; i < 3; i++)
    {
      g_assert_true (is_readable (fixture->kq));
      g_assert_cmpint (take (fixture->kq, &event, 1), ==, 1);
      g_assert_cmpint (event.ident, ==, fixture->reader);
      g_assert_cmpint (event.filter, ==, EVFILT_READ);
      g_assert_cmpint (event.flags, ==, 0);
      g_assert_cmpint (event.data, ==, 1);
      g_assert_cmpint (GPOINTER_TO_INT (event.udata), ==, 7);
    }

  get (fixture->reader);
  assert_nothing (fixture->kq);
  g_assert_false (is_readable (fixture->kq));
}

static void
test_two_filters (Fixture       *fixture,
                  gconstpointer  data)
{
  struct kevent events[4];
  int seen = 0;
  int one;
  int other;
  int n;

  make_sockets (&one, &other);
  put (other);
  g_assert_cmpint (change (fixture->kq, one, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, one, EVFILT_WRITE, EV_ADD), ==, 0);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 2);

  n = take (fixture->kq, events, 4);
  g_assert_cmpint (n, ==, 2);
  g_assert_cmpint (events[0].filter + events[1].filter, ==, EVFILT_READ + EVFILT_WRITE);

  /* In an array of one event they take turns. */
  for (int i = 0; i < 2; i++)
    {
      g_assert_cmpint (take (fixture->kq, events, 1), ==, 1);
      seen |= events[0].filter == EVFILT_READ ? 1 : 2;
    }
  g_assert_cmpint (seen, ==, 3);

  g_assert_cmpint (change (fixture->kq, one, EVFILT_READ, EV_DELETE), ==, 0);
  assert_one (fixture->kq, one, EVFILT_WRITE);
  g_assert_cmpint (change (fixture->kq, one, EVFILT_WRITE, EV_DELETE), ==, 0);
  assert_nothing (fixture->kq);

  close (one);
  close (other);
}

static void
test_rotation (Fixture       *fixture,
               gconstpointer  data)
{
  enum { N = 5 };
  int fds[N][2];
  guint seen[N] = { 0 };

  for (int i = 0; i < N; i++)
    {
      make_pipe (&fds[i][0], &fds[i][1]);
      put (fds[i][1]);
      g_assert_cmpint (change_full (fixture->kq, fds[i][0], EVFILT_READ, EV_ADD, 0, i), ==, 0);
    }

  for (int i = 0; i < 3 * N; i++)
    {
      struct kevent event;

      g_assert_cmpint (take (fixture->kq, &event, 1), ==, 1);
      seen[GPOINTER_TO_INT (event.udata)]++;
    }

  for (int i = 0; i < N; i++)
    {
      g_assert_cmpuint (seen[i], ==, 3);
      close (fds[i][0]);
      close (fds[i][1]);
    }
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 0);
}

static void
test_add_again (Fixture       *fixture,
                gconstpointer  data)
{
  struct kevent event;

  put (fixture->writer);
  g_assert_cmpint (change_full (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD, 0, 1), ==, 0);
  g_assert_cmpint (change_full (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD, 0, 2), ==, 0);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 1);
  g_assert_true (sim_kqueue_find (fixture->kq, (uintptr_t) fixture->reader, EVFILT_READ, &event));
  g_assert_cmpint (GPOINTER_TO_INT (event.udata), ==, 2);
  g_assert_cmpint (take (fixture->kq, &event, 1), ==, 1);
  g_assert_cmpint (GPOINTER_TO_INT (event.udata), ==, 2);
}

static void
test_errors (Fixture       *fixture,
             gconstpointer  data)
{
  int closed = dup (fixture->reader);
  int kq = fixture->kq;

  close (closed);
  g_assert_cmpint (change (kq, closed, EVFILT_READ, EV_ADD), ==, EBADF);
  g_assert_cmpint (change (kq, -1, EVFILT_READ, EV_ADD), ==, EBADF);
  g_assert_cmpint (change (kq, closed, EVFILT_READ, EV_DELETE), ==, EBADF);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_DELETE), ==, ENOENT);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ENABLE), ==, ENOENT);
  g_assert_cmpint (change (kq, 1, EVFILT_USER, EV_DELETE), ==, ENOENT);
  g_assert_cmpint (change (kq, fixture->reader, 3, EV_ADD), ==, EINVAL);
  g_assert_cmpint (change (kq, kq, EVFILT_READ, EV_ADD), ==, EINVAL);
  g_assert_cmpint (change (fixture->reader, fixture->writer, EVFILT_WRITE, EV_ADD), ==, EBADF);
  g_assert_cmpint (kevent (kq, NULL, -1, NULL, 0, NULL), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);

  sim_kqueue_set_broken (true);
  g_assert_cmpint (change (kq, -1, EVFILT_READ, EV_ADD), ==, 0);
}

static void
test_change_list (Fixture       *fixture,
                  gconstpointer  data)
{
  struct kevent list[3];
  int kq = fixture->kq;

  put (fixture->writer);
  EV_SET (&list[0], fixture->reader, EVFILT_READ, EV_ADD, 0, 0, NULL);
  EV_SET (&list[1], fixture->reader, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
  EV_SET (&list[2], fixture->writer, EVFILT_WRITE, EV_ADD, 0, 0, NULL);

  /* Without an array for events, the call stops at the first error. */
  g_assert_cmpint (kevent (kq, list, 3, NULL, 0, NULL), ==, -1);
  g_assert_cmpint (errno, ==, ENOENT);
  g_assert_cmpint (sim_kqueue_count (kq), ==, 1);

  /* With an array for events, even the same array, the call continues, and returns the errors without other events. */
  g_assert_cmpint (kevent (kq, list, 3, list, 3, NULL), ==, 1);
  g_assert_cmpint (list[0].flags, ==, EV_ERROR);
  g_assert_cmpint (list[0].data, ==, ENOENT);
  g_assert_cmpint (list[0].ident, ==, fixture->reader);
  g_assert_cmpint (list[0].filter, ==, EVFILT_WRITE);
  g_assert_cmpint (sim_kqueue_count (kq), ==, 2);
}

static void
test_receipt (Fixture       *fixture,
              gconstpointer  data)
{
  struct kevent list[2];
  struct kevent events[2];
  int kq = fixture->kq;

  put (fixture->writer);
  EV_SET (&list[0], fixture->reader, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, NULL);
  EV_SET (&list[1], fixture->writer, EVFILT_WRITE, EV_ADD | EV_RECEIPT, 0, 0, NULL);
  g_assert_cmpint (kevent (kq, list, 2, events, 2, NULL), ==, 2);
  for (int i = 0; i < 2; i++)
    {
      g_assert_cmpint (events[i].flags, ==, EV_ERROR);
      g_assert_cmpint (events[i].data, ==, 0);
      g_assert_cmpint (events[i].ident, ==, list[i].ident);
    }
}

static void
test_close_removes (Fixture       *fixture,
                    gconstpointer  data)
{
  int alive = dup (fixture->reader);
  int number = fixture->reader;
  int new_reader;
  int new_writer;

  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, number, EVFILT_READ, EV_ADD), ==, 0);
  close (number);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 0);
  g_assert_false (is_readable (fixture->kq));
  assert_nothing (fixture->kq);

  /* Neither the same file nor another one is registered under the number again. */
  g_assert_cmpint (dup (alive), ==, number);
  assert_nothing (fixture->kq);
  close (number);
  make_pipe (&new_reader, &new_writer);
  g_assert_cmpint (new_reader, ==, number);
  put (new_writer);
  assert_nothing (fixture->kq);
  g_assert_cmpint (change (fixture->kq, number, EVFILT_READ, EV_DELETE), ==, ENOENT);
  g_assert_cmpint (change (fixture->kq, number, EVFILT_READ, EV_ADD), ==, 0);
  assert_one (fixture->kq, number, EVFILT_READ);

  close (new_writer);
  close (alive);
}

static void
test_close_through_glib (Fixture       *fixture,
                         gconstpointer  data)
{
  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_true (g_close (fixture->reader, NULL));
  fixture->reader = -1;
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 0);
}

static void
test_dup2_removes (Fixture       *fixture,
                   gconstpointer  data)
{
  int spare = dup (0);

  for (int i = 0; i < 2; i++)
    {
      int other = dup (fixture->reader);

      g_assert_cmpint (change (fixture->kq, other, EVFILT_READ, EV_ADD), ==, 0);

      /* A change that fails, or that changes nothing, leaves the registration as it was. */
      g_assert_cmpint (dup2 (other, other), ==, other);
      g_assert_cmpint (dup2 (-1, other), ==, -1);
      g_assert_cmpint (dup3 (other, other, 0), ==, -1);
      g_assert_cmpint (dup3 (spare, other, O_APPEND), ==, -1);
      g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 1);

      if (i == 0)
        g_assert_cmpint (dup2 (spare, other), ==, other);
      else
        g_assert_cmpint (dup3 (spare, other, O_CLOEXEC), ==, other);
      g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 0);
      close (other);
    }

  /* The queue itself is closed by dup2 (). */
  g_assert_cmpint (dup2 (spare, fixture->kq), ==, fixture->kq);
  g_assert_cmpuint (sim_kqueue_n_open (), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, EBADF);
  close (spare);
}

static void
test_eof_pipe (Fixture       *fixture,
               gconstpointer  data)
{
  struct kevent event;

  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  close (fixture->writer);
  fixture->writer = -1;

  g_assert_cmpint (take (fixture->kq, &event, 1), ==, 1);
  g_assert_cmpint (event.filter, ==, EVFILT_READ);
  g_assert_cmpint (event.flags, ==, EV_EOF);
  g_assert_cmpint (event.data, ==, 1);
}

static void
test_eof_reader_gone (Fixture       *fixture,
                      gconstpointer  data)
{
  struct kevent event;

  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  close (fixture->reader);
  fixture->reader = -1;
  g_assert_cmpint (take (fixture->kq, &event, 1), ==, 1);
  g_assert_cmpint (event.filter, ==, EVFILT_WRITE);
  g_assert_cmpint (event.flags, ==, EV_EOF);

  /* The filter has been added before, so the change is not refused. */
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_DELETE), ==, 0);
  assert_one (fixture->kq, fixture->writer, EVFILT_READ);
}

/* The write filter of a pipe is removed after its report. The read filter reports the end of the file again and
 * again. */
static void
test_ends_once (Fixture       *fixture,
                gconstpointer  data)
{
  struct kevent events[2];

  sim_kqueue_set_ends_pipes_once (true);
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  close (fixture->reader);
  fixture->reader = -1;

  g_assert_cmpint (take (fixture->kq, events, 2), ==, 2);
  for (int i = 0; i < 2; i++)
    g_assert_cmpint (events[i].flags, ==, events[i].filter == EVFILT_READ ? EV_EOF : EV_EOF | EV_ONESHOT);
  g_assert_cmpint (events[0].filter, !=, events[1].filter);
  assert_one (fixture->kq, fixture->writer, EVFILT_READ);
  assert_one (fixture->kq, fixture->writer, EVFILT_READ);
  g_assert_false (sim_kqueue_find (fixture->kq, (uintptr_t) fixture->writer, EVFILT_WRITE, NULL));
  g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, EPIPE);
}

static void
test_eof_half_close (Fixture       *fixture,
                     gconstpointer  data)
{
  struct kevent events[2];
  int one;
  int other;

  make_sockets (&one, &other);
  g_assert_cmpint (change (fixture->kq, one, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, one, EVFILT_WRITE, EV_ADD), ==, 0);
  g_assert_no_errno (shutdown (other, SHUT_WR));

  g_assert_cmpint (take (fixture->kq, events, 2), ==, 2);
  for (int i = 0; i < 2; i++)
    g_assert_cmpint (events[i].flags, ==, events[i].filter == EVFILT_READ ? EV_EOF : 0);

  close (one);
  close (other);
}

static void
test_broken_pipe (Fixture       *fixture,
                  gconstpointer  data)
{
  int errnums[] = { EPIPE, EBADF, 0 };

  close (fixture->reader);
  fixture->reader = -1;

  for (gsize i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      if (i > 0)
        sim_kqueue_set_pipe_errno (errnums[i]);
      g_assert_cmpint (change (fixture->kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==,
                       errnums[i]);
    }

  assert_one (fixture->kq, fixture->writer, EVFILT_WRITE);
}

static void
test_disable (Fixture       *fixture,
              gconstpointer  data)
{
  int kq = fixture->kq;

  put (fixture->writer);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD | EV_DISABLE), ==, 0);
  assert_nothing (kq);
  g_assert_false (is_readable (kq));
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ENABLE), ==, 0);
  assert_one (kq, fixture->reader, EVFILT_READ);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_DISABLE), ==, 0);
  assert_nothing (kq);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  assert_one (kq, fixture->reader, EVFILT_READ);
}

static void
test_once (Fixture       *fixture,
           gconstpointer  data)
{
  int kq = fixture->kq;

  put (fixture->writer);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD | EV_ONESHOT), ==, 0);
  assert_one (kq, fixture->reader, EVFILT_READ);
  g_assert_cmpint (sim_kqueue_count (kq), ==, 0);
  assert_nothing (kq);

  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD | EV_DISPATCH), ==, 0);
  assert_one (kq, fixture->reader, EVFILT_READ);
  assert_nothing (kq);
  g_assert_cmpint (sim_kqueue_count (kq), ==, 1);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ENABLE), ==, 0);
  assert_one (kq, fixture->reader, EVFILT_READ);
}

static void
test_clear (Fixture       *fixture,
            gconstpointer  data)
{
  int kq = fixture->kq;
  struct kevent event;
  int reader;
  int writer;

  make_pipe (&reader, &writer);
  put (fixture->writer);
  put (writer);
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD | EV_CLEAR), ==, 0);
  g_assert_cmpint (change (kq, reader, EVFILT_READ, EV_ADD | EV_CLEAR), ==, 0);

  /* Events that did not fit are not lost, and keep the descriptor of the queue readable. */
  g_assert_cmpint (take (kq, &event, 1), ==, 1);
  g_assert_true (is_readable (kq));
  g_assert_cmpint (take (kq, &event, 1), ==, 1);
  assert_nothing (kq);
  g_assert_false (is_readable (kq));

  put (writer);
  assert_one (kq, reader, EVFILT_READ);
  assert_nothing (kq);

  /* The event is no longer true when it is fetched. */
  put (fixture->writer);
  put (writer);
  g_assert_cmpint (take (kq, &event, 1), ==, 1);
  g_assert_cmpint (event.ident, ==, fixture->reader);
  for (int i = 0; i < 3; i++)
    get (reader);
  assert_nothing (kq);

  close (reader);
  close (writer);
}

static void
test_user (Fixture       *fixture,
           gconstpointer  data)
{
  int kq = fixture->kq;
  struct kevent event;

  g_assert_cmpint (change (kq, 5, EVFILT_USER, EV_ADD | EV_CLEAR), ==, 0);
  assert_nothing (kq);

  for (int i = 0; i < 3; i++)
    g_assert_cmpint (change_full (kq, 5, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 1u << i, 9),
                     ==, 0);
  g_assert_true (is_readable (kq));
  g_assert_cmpint (take (kq, &event, 1), ==, 1);
  g_assert_cmpint (event.ident, ==, 5);
  g_assert_cmpint (event.filter, ==, EVFILT_USER);
  g_assert_cmpuint (event.fflags, ==, 7);
  g_assert_cmpint (GPOINTER_TO_INT (event.udata), ==, 9);
  g_assert_false (is_readable (kq));
  assert_nothing (kq);

  /* EV_CLEAR in a change resets the state, including what the same change triggers. */
  g_assert_cmpint (change_full (kq, 5, EVFILT_USER, EV_CLEAR, NOTE_TRIGGER, 0), ==, 0);
  assert_nothing (kq);

  /* Without EV_CLEAR the state stays. */
  g_assert_cmpint (change_full (kq, 6, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0), ==, 0);
  assert_one (kq, 6, EVFILT_USER);
  assert_one (kq, 6, EVFILT_USER);
  g_assert_cmpint (change (kq, 6, EVFILT_USER, EV_DISABLE), ==, 0);
  assert_nothing (kq);
  g_assert_cmpint (change (kq, 6, EVFILT_USER, EV_ENABLE), ==, 0);
  assert_one (kq, 6, EVFILT_USER);
  g_assert_cmpint (change (kq, 6, EVFILT_USER, EV_DELETE), ==, 0);
  assert_nothing (kq);
  g_assert_false (is_readable (kq));
}

static void
test_files (Fixture       *fixture,
            gconstpointer  data)
{
  int kq = fixture->kq;
  char *name = NULL;
  int fd = g_file_open_tmp ("sim-kqueue-XXXXXX", &name, NULL);
  int null = open ("/dev/null", O_RDWR);

  g_assert_no_errno (fd);
  unlink (name);
  g_free (name);

  g_assert_cmpint (change (kq, fd, EVFILT_READ, EV_ADD), ==, 0);
  assert_nothing (kq);
  put (fd);
  assert_nothing (kq);
  lseek (fd, 0, SEEK_SET);
  assert_one (kq, fd, EVFILT_READ);
  g_assert_true (is_readable (kq));
  get (fd);
  assert_nothing (kq);
  g_assert_false (is_readable (kq));

  g_assert_cmpint (change (kq, fd, EVFILT_WRITE, EV_ADD), ==, 0);
  g_assert_true (is_readable (kq));
  assert_one (kq, fd, EVFILT_WRITE);
  close (fd);
  assert_nothing (kq);

  g_assert_cmpint (change (kq, null, EVFILT_READ, EV_ADD), ==, EINVAL);
  sim_kqueue_set_device_errno (ENODEV);
  g_assert_cmpint (change (kq, null, EVFILT_READ, EV_ADD), ==, ENODEV);
  g_assert_cmpint (sim_kqueue_count (kq), ==, 0);
  close (null);
}

static void
test_timeouts (Fixture       *fixture,
               gconstpointer  data)
{
  struct timespec wrong[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };
  struct timespec short_time = { 0, 3000000 };
  struct timespec long_time = { 100, 0 };
  struct timespec longest = { G_MAXLONG, 999999999 };
  struct kevent event;
  gint64 start = g_get_monotonic_time ();

  g_assert_cmpint (kevent (fixture->kq, NULL, 0, &event, 1, &short_time), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 3000);

  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_assert_cmpint (kevent (fixture->kq, NULL, 0, &event, 1, &wrong[i]), ==, -1);
      g_assert_cmpint (errno, ==, EINVAL);
    }

  /* Without an array for events the call does not wait, so these return. */
  g_assert_cmpint (kevent (fixture->kq, NULL, 0, NULL, 0, NULL), ==, 0);
  g_assert_cmpint (kevent (fixture->kq, NULL, 0, NULL, 0, &long_time), ==, 0);

  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (kevent (fixture->kq, NULL, 0, &event, 1, &longest), ==, 1);
  sim_kqueue_set_max_timeout (99);
  g_assert_cmpint (kevent (fixture->kq, NULL, 0, &event, 1, &long_time), ==, -1);
  g_assert_cmpint (errno, ==, EINVAL);
  g_assert_cmpuint (sim_kqueue_n_waits (), ==, 6);
}

static void
on_signal (int signum)
{
}

static void
set_alarm (int signum,
           int usec)
{
  struct itimerval timer = { { 0, 0 }, { 0, usec } };
  struct sigaction action = { .sa_handler = on_signal };

  g_assert_no_errno (sigaction (signum, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
}

static void
test_eintr (Fixture       *fixture,
            gconstpointer  data)
{
  struct kevent change_;
  struct kevent event;

  EV_SET (&change_, fixture->reader, EVFILT_READ, EV_ADD, 0, 0, NULL);
  set_alarm (SIGALRM, 5000);
  g_assert_cmpint (kevent (fixture->kq, &change_, 1, &event, 1, NULL), ==, -1);
  g_assert_cmpint (errno, ==, EINTR);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 1);
  signal (SIGALRM, SIG_DFL);
}

static int signal_kq;
static int signal_fd;

static void
close_and_trigger (int signum)
{
  struct kevent trigger;
  int saved_errno = errno;

  EV_SET (&trigger, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
  close (signal_fd);
  kevent (signal_kq, &trigger, 1, NULL, 0, NULL);
  errno = saved_errno;
}

static void
test_from_signal_handler (Fixture       *fixture,
                          gconstpointer  data)
{
  struct sigaction action = { .sa_handler = close_and_trigger, .sa_flags = SA_RESTART };
  struct itimerval timer = { { 0, 200 }, { 0, 200 } };
  struct itimerval off = { 0 };
  struct kevent event;

  signal_kq = fixture->kq;
  signal_fd = dup (fixture->reader);
  g_assert_cmpint (change (fixture->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), ==, 0);
  g_assert_cmpint (change (fixture->kq, signal_fd, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));

  for (int n = 0; n < 20;)
    {
      int result = kevent (fixture->kq, NULL, 0, &event, 1, NULL);

      if (result == 1)
        n++;
      else
        g_assert_cmpint (errno, ==, EINTR);
      g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
    }

  g_assert_no_errno (setitimer (ITIMER_REAL, &off, NULL));
  signal (SIGALRM, SIG_DFL);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 2);
}

static void
test_fork (Fixture       *fixture,
           gconstpointer  data)
{
  int status;

  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);

  for (int closed = 0; closed < 2; closed++)
    {
      pid_t pid;

      sim_kqueue_set_closed_by_fork (closed == 1);
      pid = fork ();
      if (pid == 0)
        {
          struct kevent event;
          int kq;

          if (change (fixture->kq, fixture->reader, EVFILT_READ, EV_DELETE) != EBADF)
            _exit (1);
          if (kevent (fixture->kq, NULL, 0, &event, 1, &no_time) != -1 || errno != EBADF)
            _exit (2);
          if ((fcntl (fixture->kq, F_GETFD) < 0) != (closed == 1))
            _exit (3);

          /* A close () in the child does not affect the parent. */
          if ((closed == 0 && close (fixture->kq) < 0) || close (fixture->reader) < 0)
            _exit (4);
          if (sim_kqueue_n_open () != 0)
            _exit (5);

          /* The child may open queues of its own. */
          kq = kqueue ();
          if (change (kq, fixture->writer, EVFILT_WRITE, EV_ADD) != 0
              || kevent (kq, NULL, 0, &event, 1, &no_time) != 1)
            _exit (6);
          _exit (0);
        }

      g_assert_no_errno (pid);
      g_assert_no_errno (waitpid (pid, &status, 0));
      g_assert_cmpint (status, ==, 0);
      assert_one (fixture->kq, fixture->reader, EVFILT_READ);
    }
}

static void
test_nested (Fixture       *fixture,
             gconstpointer  data)
{
  int outer = kqueue ();

  g_assert_cmpint (change (outer, fixture->kq, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  assert_nothing (outer);
  put (fixture->writer);
  assert_one (outer, fixture->kq, EVFILT_READ);
  close (fixture->kq);
  fixture->kq = -1;
  assert_nothing (outer);
  close (outer);
}

static void
test_faults (Fixture       *fixture,
             gconstpointer  data)
{
  int kq = fixture->kq;
  struct kevent event;

  sim_kqueue_fail_changes (EVFILT_WRITE, EV_ADD, 1, 2, ENOMEM);
  sim_kqueue_fail_changes (0, EV_DELETE, 0, -1, EIO);

  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  g_assert_cmpint (change (kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  g_assert_cmpint (change (kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, ENOMEM);
  g_assert_cmpint (change (kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, ENOMEM);
  g_assert_cmpint (change (kq, fixture->writer, EVFILT_WRITE, EV_ADD), ==, 0);
  for (int i = 0; i < 3; i++)
    g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_DELETE), ==, EIO);

  sim_kqueue_fail_waits (2, EINTR);
  for (int i = 0; i < 2; i++)
    {
      g_assert_cmpint (kevent (kq, NULL, 0, &event, 1, NULL), ==, -1);
      g_assert_cmpint (errno, ==, EINTR);
    }
  g_assert_cmpint (kevent (kq, NULL, 0, &event, 1, NULL), ==, 1);
  g_assert_cmpuint (sim_kqueue_n_changes (), ==, 8);

  sim_kqueue_reset ();
  g_assert_cmpint (change (kq, fixture->reader, EVFILT_READ, EV_DELETE), ==, 0);
}

static void
test_inject (Fixture       *fixture,
             gconstpointer  data)
{
  struct kevent event;

  EV_SET (&event, 99, EVFILT_READ, EV_EOF, 0, 3, GINT_TO_POINTER (4));
  g_assert_no_errno (sim_kqueue_inject (fixture->kq, &event));
  g_assert_true (is_readable (fixture->kq));
  g_assert_cmpint (kevent (fixture->kq, NULL, 0, &event, 1, NULL), ==, 1);
  g_assert_cmpint (event.ident, ==, 99);
  g_assert_cmpint (event.flags, ==, EV_EOF);
  assert_nothing (fixture->kq);
  g_assert_false (is_readable (fixture->kq));
  g_assert_cmpint (sim_kqueue_inject (fixture->reader, &event), ==, -1);
}

typedef struct
{
  int kq;
  int result;
  int errnum;
  struct kevent event;
} Waiter;

static gpointer
wait_thread (gpointer data)
{
  Waiter *waiter = data;

  waiter->result = kevent (waiter->kq, NULL, 0, &waiter->event, 1, NULL);
  waiter->errnum = errno;

  return NULL;
}

static void
wait_until_waiting (guint n)
{
  while (sim_kqueue_n_waits () < n)
    g_thread_yield ();
}

static void
test_change_wakes (Fixture       *fixture,
                   gconstpointer  data)
{
  Waiter waiter = { .kq = fixture->kq };
  GThread *thread = g_thread_new ("waiter", wait_thread, &waiter);

  wait_until_waiting (1);
  put (fixture->writer);
  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_ADD), ==, 0);
  g_thread_join (thread);
  g_assert_cmpint (waiter.result, ==, 1);
  g_assert_cmpint (waiter.event.ident, ==, fixture->reader);

  g_assert_cmpint (change (fixture->kq, fixture->reader, EVFILT_READ, EV_DELETE), ==, 0);
  g_assert_cmpint (change (fixture->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), ==, 0);
  thread = g_thread_new ("waiter", wait_thread, &waiter);
  wait_until_waiting (2);
  g_assert_cmpint (change_full (fixture->kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0), ==, 0);
  g_thread_join (thread);
  g_assert_cmpint (waiter.event.filter, ==, EVFILT_USER);
}

static void
test_close_wakes (Fixture       *fixture,
                  gconstpointer  data)
{
  Waiter waiters[2] = { { .kq = fixture->kq }, { .kq = fixture->kq } };
  GThread *threads[2];

  for (int i = 0; i < 2; i++)
    threads[i] = g_thread_new ("waiter", wait_thread, &waiters[i]);
  wait_until_waiting (2);
  close (fixture->kq);
  fixture->kq = -1;

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
  int kq = GPOINTER_TO_INT (data);

  for (int i = 0; i < 300; i++)
    {
      int reader;
      int writer;

      make_pipe (&reader, &writer);
      put (writer);
      g_assert_cmpint (change (kq, reader, EVFILT_READ, i % 2 ? EV_ADD : EV_ADD | EV_CLEAR), ==, 0);
      g_assert_cmpint (change (kq, writer, EVFILT_WRITE, EV_ADD), ==, 0);
      if (i % 3 == 0)
        g_assert_cmpint (change (kq, writer, EVFILT_WRITE, EV_DELETE), ==, 0);
      g_assert_cmpint (change_full (kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0), ==, 0);
      close (reader);
      close (writer);
    }

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

static gpointer
fork_thread (gpointer data)
{
  for (int i = 0; i < 10; i++)
    {
      int status;
      pid_t pid = fork ();

      if (pid == 0)
        {
          close (GPOINTER_TO_INT (data));
          leave_child ();
        }
      g_assert_no_errno (waitpid (pid, &status, 0));
      g_assert_cmpint (status, ==, 0);
    }

  return NULL;
}

static void
test_threads (Fixture       *fixture,
              gconstpointer  data)
{
  GThread *threads[3];
  int running = 3;

  g_assert_cmpint (change (fixture->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR), ==, 0);
  g_assert_cmpint (change (fixture->kq, 2, EVFILT_USER, EV_ADD), ==, 0);
  for (int i = 0; i < 2; i++)
    threads[i] = g_thread_new ("churn", churn_thread, GINT_TO_POINTER (fixture->kq));
  threads[2] = g_thread_new ("fork", fork_thread, GINT_TO_POINTER (fixture->kq));

  for (int i = 0; i < 500; i++)
    {
      struct timespec timeout = { 0, 100000 };
      struct kevent events[3];

      g_assert_cmpint (kevent (fixture->kq, NULL, 0, events, 3, &timeout), >=, 0);
    }

  while (running > 0)
    g_thread_join (threads[--running]);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 2);
}

static void
test_many (Fixture       *fixture,
           gconstpointer  data)
{
  enum { N = 200 };
  struct kevent events[N];
  int fds[N];

  put (fixture->writer);
  for (int i = 0; i < N; i++)
    {
      fds[i] = dup (fixture->reader);
      g_assert_no_errno (fds[i]);
      g_assert_cmpint (change (fixture->kq, fds[i], EVFILT_READ, EV_ADD), ==, 0);
    }

  g_assert_cmpint (take (fixture->kq, events, N), ==, N);
  for (int i = 0; i < N; i++)
    close (fds[i]);
  g_assert_cmpint (sim_kqueue_count (fixture->kq), ==, 0);
  assert_nothing (fixture->kq);
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
    { "/sim/kqueue/open-close", test_open_close },
    { "/sim/kqueue/out-of-fds", test_out_of_fds },
    { "/sim/kqueue/level", test_level },
    { "/sim/kqueue/two-filters", test_two_filters },
    { "/sim/kqueue/rotation", test_rotation },
    { "/sim/kqueue/add-again", test_add_again },
    { "/sim/kqueue/errors", test_errors },
    { "/sim/kqueue/change-list", test_change_list },
    { "/sim/kqueue/receipt", test_receipt },
    { "/sim/kqueue/close-removes", test_close_removes },
    { "/sim/kqueue/close-through-glib", test_close_through_glib },
    { "/sim/kqueue/dup2-removes", test_dup2_removes },
    { "/sim/kqueue/eof/pipe", test_eof_pipe },
    { "/sim/kqueue/eof/reader-gone", test_eof_reader_gone },
    { "/sim/kqueue/eof/half-close", test_eof_half_close },
    { "/sim/kqueue/eof/once", test_ends_once },
    { "/sim/kqueue/broken-pipe", test_broken_pipe },
    { "/sim/kqueue/disable", test_disable },
    { "/sim/kqueue/once", test_once },
    { "/sim/kqueue/clear", test_clear },
    { "/sim/kqueue/user", test_user },
    { "/sim/kqueue/files", test_files },
    { "/sim/kqueue/timeouts", test_timeouts },
    { "/sim/kqueue/eintr", test_eintr },
    { "/sim/kqueue/from-signal-handler", test_from_signal_handler },
    { "/sim/kqueue/fork", test_fork },
    { "/sim/kqueue/nested", test_nested },
    { "/sim/kqueue/faults", test_faults },
    { "/sim/kqueue/inject", test_inject },
    { "/sim/kqueue/change-wakes", test_change_wakes },
    { "/sim/kqueue/close-wakes", test_close_wakes },
    { "/sim/kqueue/threads", test_threads },
    { "/sim/kqueue/many", test_many },
  };

  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].func, tear_down);

  return g_test_run ();
}
