/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The simulated system calls of other systems: each setting by itself, without the library. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim-kqueue.h"
#include "sim-system.h"

#define ALL (POLLIN | POLLOUT | POLLRDHUP)

static const struct timespec no_time = { 0 };

static void
make_pipe (int fds[2])
{
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC | O_NONBLOCK));
}

static void
make_sockets (int fds[2])
{
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
}

static void
close_all (const int *fds,
           int        n_fds)
{
  for (int i = 0; i < n_fds; i++)
    close (fds[i]);
}

static void
fill (int fd)
{
  static const char bytes[4096];

  while (write (fd, bytes, sizeof bytes) > 0)
    ;
  while (write (fd, bytes, 1) > 0)
    ;
}

static int
poll_one (int fd,
          int events)
{
  struct pollfd entry = { .fd = fd, .events = (short) events };

  g_assert_cmpint (poll (&entry, 1, 0), ==, entry.revents != 0);

  return entry.revents;
}

static int
add (int   kq,
     int   fd,
     short filter)
{
  struct kevent change;

  EV_SET (&change, fd, filter, EV_ADD, 0, 0, 0);

  return kevent (kq, &change, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

/* The result of kevent (): 0, or the flags EV_EOF and 1 of the only event. */
static int
take (int kq)
{
  struct kevent event;
  int n = kevent (kq, NULL, 0, &event, 1, &no_time);

  g_assert_cmpint (n, >=, 0);

  return n == 0 ? 0 : 1 | (event.flags & EV_EOF);
}

static int
open_queue (void)
{
  int kq = kqueue ();

  g_assert_no_errno (kq);

  return kq;
}

static void
test_poll_closed_peer (void)
{
  int fds[2];

  make_sockets (fds);
  close (fds[1]);
  g_assert_cmpint (poll_one (fds[0], ALL) & POLLHUP, ==, POLLHUP);

  sim_system_set_plain_sockets (true);
  g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLIN | POLLOUT);
  g_assert_cmpint (poll_one (fds[0], POLLIN), ==, POLLIN);
  g_assert_cmpint (poll_one (fds[0], POLLOUT), ==, POLLOUT);
  g_assert_cmpint (poll_one (fds[0], 0), ==, 0);
  close (fds[0]);
  g_assert_cmpint (poll_one (fds[0], POLLIN), ==, POLLNVAL);
}

/* POLLHUP, which Linux says at once and NetBSD does not, does not end the wait. */
static void
test_poll_waits (void)
{
  struct pollfd entries[2] = { { .events = 0 }, { .events = POLLIN } };
  gint64 start = g_get_monotonic_time ();
  int sockets[2];
  int fds[2];

  make_sockets (sockets);
  make_pipe (fds);
  entries[0].fd = sockets[0];
  entries[1].fd = fds[0];
  close (sockets[1]);
  sim_system_set_plain_sockets (true);

  g_assert_cmpint (poll (entries, 2, 20), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 20000 - 1);

  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_cmpint (poll (entries, 2, -1), ==, 1);
  g_assert_cmpint (entries[0].revents, ==, 0);
  g_assert_cmpint (entries[1].revents, ==, POLLIN);
  g_assert_cmpint (ppoll (entries, 2, NULL, NULL), ==, 1);

  close (sockets[0]);
  close_all (fds, 2);
}

static void
test_poll_pipe (void)
{
  int fds[2];

  sim_system_set_plain_sockets (true);
  make_pipe (fds);
  close (fds[0]);
  g_assert_cmpint (poll_one (fds[1], POLLOUT) & (POLLHUP | POLLERR), ==, POLLHUP);
  close (fds[1]);
}

/* Ready for nothing, then writable after connect (), for poll () and for a filter that was added before. */
static void
test_not_connected (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  socklen_t size = sizeof address;
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int kq = open_queue ();

  /* An address that the kernel chooses. */
  g_assert_no_errno (bind (listener, (struct sockaddr *) &address, sizeof (sa_family_t)));
  g_assert_no_errno (listen (listener, 1));
  g_assert_no_errno (getsockname (listener, (struct sockaddr *) &address, &size));

  g_assert_cmpint (poll_one (fd, ALL), ==, POLLOUT | POLLHUP);
  sim_system_set_plain_sockets (true);
  g_assert_cmpint (poll_one (fd, ALL), ==, 0);
  g_assert_cmpint (add (kq, fd, EVFILT_WRITE), ==, 0);
  g_assert_cmpint (add (kq, fd, EVFILT_READ), ==, 0);
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, 0);

  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, size));
  g_assert_cmpint (poll_one (fd, ALL), ==, POLLOUT);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, POLLIN);
  g_assert_cmpint (take (kq), ==, 1);

  close_all ((int[]) { listener, fd, kq }, 3);
}

static void
test_shutdown_makes_writable (void)
{
  int kq = open_queue ();
  int fds[2];

  make_sockets (fds);
  sim_system_set_plain_sockets (true);
  fill (fds[0]);
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_cmpint (poll_one (fds[0], ALL), ==, 0);

  /* The peer does not want to read any more: that is no news. */
  g_assert_no_errno (shutdown (fds[1], SHUT_RD));
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_cmpint (poll_one (fds[0], ALL), ==, 0);

  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
  g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLOUT);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, POLLIN);
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);

  close_all (fds, 2);
  close (kq);
}

static void
test_socket_eof (void)
{
  int kq = open_queue ();
  int fds[2];

  make_sockets (fds);
  sim_system_set_plain_sockets (true);
  g_assert_cmpint (add (kq, fds[0], EVFILT_READ), ==, 0);
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);
  close (kq);

  kq = open_queue ();
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (take (kq), ==, 1);
  close (fds[1]);
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);
  close (fds[0]);
  close (kq);
}

/* A kevent () that finds the pipe full comes before the reader is closed. */
static void
test_full_pipe_is_forgotten (gconstpointer data)
{
  bool forgets = GPOINTER_TO_INT (data);
  int kq = open_queue ();
  int read_kq = open_queue ();
  int fds[2];

  sim_kqueue_set_forgets_pipes (forgets);
  make_pipe (fds);
  fill (fds[1]);
  g_assert_cmpint (add (kq, fds[1], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (add (read_kq, fds[1], EVFILT_READ), ==, 0);
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_cmpint (take (read_kq), ==, 0);
  close (fds[0]);

  g_assert_cmpint (take (kq), ==, forgets ? 0 : 1 | EV_EOF);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, forgets ? 0 : POLLIN);
  g_assert_cmpint (take (read_kq), ==, 1 | EV_EOF);
  g_assert_cmpint (poll_one (read_kq, POLLIN), ==, POLLIN);

  /* It is looked at once more when it is added again. */
  g_assert_cmpint (add (kq, fds[1], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);

  close_all ((int[]) { fds[1], kq, read_kq }, 3);
}

/* The filter is still in the queue from the time before the pipe was full. */
static void
test_queued_pipe_is_not_forgotten (void)
{
  int kq = open_queue ();
  int fds[2];

  sim_kqueue_set_forgets_pipes (true);
  make_pipe (fds);
  g_assert_cmpint (add (kq, fds[1], EVFILT_WRITE), ==, 0);
  fill (fds[1]);
  close (fds[0]);
  g_assert_cmpint (take (kq), ==, 1 | EV_EOF);

  close (fds[1]);
  close (kq);
}

static void
test_read_end_is_forgotten (void)
{
  int kq = open_queue ();
  int fds[2];

  sim_kqueue_set_forgets_pipes (true);
  sim_kqueue_set_pipe_errno (EBADF);
  make_pipe (fds);
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, 0);
  close (fds[1]);
  g_assert_cmpint (take (kq), ==, 0);
  close (kq);

  kq = open_queue ();
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, EBADF);
  close (fds[0]);
  close (kq);
}

/* The descriptor of a queue after its only event was returned and has passed. */
static void
assert_readable_after_event (bool stays)
{
  int kq = open_queue ();
  int fds[2];
  char byte;

  make_pipe (fds);
  g_assert_cmpint (add (kq, fds[0], EVFILT_READ), ==, 0);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_cmpint (take (kq), ==, 1);
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, stays ? POLLIN : 0);
  g_assert_cmpint (take (kq), ==, 0);
  g_assert_cmpint (poll_one (kq, POLLIN), ==, 0);

  close_all (fds, 2);
  close (kq);
}

static void
test_stays_readable (gconstpointer data)
{
  bool stays = GPOINTER_TO_INT (data);

  sim_kqueue_set_stays_readable (stays);
  assert_readable_after_event (stays);
}

static void
test_anonymous_pipes (void)
{
  struct stat one;
  struct stat other;
  int sockets[2];
  int fds[2];
  int more[2];

  make_pipe (fds);
  make_pipe (more);
  make_sockets (sockets);
  g_assert_no_errno (fstat (fds[0], &one));
  g_assert_cmpuint (one.st_ino, !=, 0);

  sim_system_set_anonymous_pipes (true);
  g_assert_no_errno (fstat (fds[0], &one));
  g_assert_no_errno (fstat (more[0], &other));
  g_assert_true (S_ISFIFO (one.st_mode));
  g_assert_cmpuint (one.st_dev | one.st_ino | other.st_dev | other.st_ino, ==, 0);
  g_assert_cmpint (one.st_ctim.tv_sec, !=, other.st_ctim.tv_sec);
  g_assert_no_errno (fstat (sockets[0], &one));
  g_assert_cmpuint (one.st_ino, !=, 0);

  close_all (fds, 2);
  close_all (more, 2);
  close_all (sockets, 2);
}

/* --- What the flavours set; see sim_kqueue_set_flavour() --- */

typedef struct
{
  SimKqueueFlavour flavour;
  const char *name;             /* in the environment */
  int pipe_errno;               /* of a write filter of a pipe without a reader */
  bool forgets_pipes;
  bool ends_pipes_once;
  bool strict_fifos;
  bool stays_readable;
  short closed_peer;            /* poll() of a socket whose peer is closed */
  bool anonymous_pipes;
  bool two_way_pipes;
} Flavour;

/* The first one again at the end: a flavour takes back what another has set. */
static const Flavour flavours[] = {
  { SIM_MANUAL, "manual", .pipe_errno = EPIPE, .closed_peer = ALL | POLLHUP },
  { SIM_FREEBSD, "freebsd", .pipe_errno = EPIPE, .ends_pipes_once = true, .closed_peer = ALL | POLLHUP,
    .two_way_pipes = true },
  { SIM_NETBSD, "netbsd", .pipe_errno = EBADF, .forgets_pipes = true, .stays_readable = true,
    .closed_peer = POLLIN | POLLOUT, .anonymous_pipes = true },
  { SIM_OPENBSD, "openbsd", .pipe_errno = EPIPE, .forgets_pipes = true, .strict_fifos = true,
    .closed_peer = ALL | POLLHUP, .anonymous_pipes = true, .two_way_pipes = true },
  { SIM_MACOS, "macos", .pipe_errno = 0, .closed_peer = POLLIN | POLLHUP },
  { SIM_MANUAL, "manual", .pipe_errno = EPIPE, .closed_peer = ALL | POLLHUP },
};

/* The write filter of a pipe, full or not, when the reader goes: what the next two kevent() say, and whether it can be
 * added then. */
static void
assert_write_filter (const Flavour *flavour,
                     bool           full)
{
  bool forgotten = full && flavour->forgets_pipes;
  int other_kq = open_queue ();
  int kq = open_queue ();
  int fds[2];

  make_pipe (fds);
  if (full)
    fill (fds[1]);
  g_assert_cmpint (add (kq, fds[1], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (take (kq), ==, full ? 0 : 1);
  close (fds[0]);
  g_assert_cmpint (take (kq), ==, forgotten ? 0 : 1 | EV_EOF);
  g_assert_cmpint (take (kq), ==, forgotten || flavour->ends_pipes_once ? 0 : 1 | EV_EOF);
  g_assert_cmpint (add (other_kq, fds[1], EVFILT_WRITE), ==, flavour->pipe_errno);

  close_all ((int[]) { fds[1], kq, other_kq }, 3);
}

/* A write filter of the end of a named pipe that is open for reading. */
static void
assert_fifo (const Flavour *flavour)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);
  g_autofree char *path = g_build_filename (directory, "fifo", NULL);
  int kq = open_queue ();
  int fds[2];

  g_assert_no_errno (mkfifo (path, 0600));
  fds[0] = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fds[1] = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, flavour->strict_fifos ? EINVAL : 0);

  close_all ((int[]) { fds[0], fds[1], kq }, 3);
  g_assert_no_errno (unlink (path));
  g_assert_no_errno (rmdir (directory));
}

static void
assert_poll_and_status (const Flavour *flavour)
{
  struct stat buf;
  int sockets[2];
  int fds[2];

  make_sockets (sockets);
  close (sockets[1]);
  g_assert_cmpint (poll_one (sockets[0], ALL), ==, flavour->closed_peer);
  close (sockets[0]);

  make_pipe (fds);
  g_assert_no_errno (fstat (fds[0], &buf));
  g_assert_cmpint (buf.st_ino == 0, ==, flavour->anonymous_pipes);
  g_assert_cmpint (fcntl (fds[0], F_GETFL), ==, O_NONBLOCK | (flavour->two_way_pipes ? O_RDWR : O_RDONLY));
  g_assert_cmpint (fcntl (fds[1], F_GETFL), ==, O_NONBLOCK | (flavour->two_way_pipes ? O_RDWR : O_WRONLY));
  g_assert_cmpint (poll_one (fds[0], ALL), ==, flavour->two_way_pipes ? POLLOUT : 0);
  close_all (fds, 2);
}

static void
assert_flavour (const Flavour *flavour)
{
  assert_write_filter (flavour, FALSE);
  assert_write_filter (flavour, TRUE);
  assert_fifo (flavour);
  assert_readable_after_event (flavour->stays_readable);
  assert_poll_and_status (flavour);
}

/* Each flavour makes all settings, and the environment names the initial one. */
static void
test_flavours (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (flavours); i++)
    {
      sim_kqueue_set_flavour (flavours[i].flavour);
      assert_flavour (&flavours[i]);
    }

  for (gsize i = 0; i < G_N_ELEMENTS (flavours); i++)
    {
      g_setenv ("SIM_KQUEUE", flavours[i].name, TRUE);
      sim_kqueue_reset ();
      g_unsetenv ("SIM_KQUEUE");
      assert_flavour (&flavours[i]);
    }
}

/* macOS says a hang-up, and not that a socket is writable, as soon as one of the filters has found an end. */
static void
test_poll_filters (void)
{
  int fds[2];

  sim_kqueue_set_flavour (SIM_MACOS);
  make_sockets (fds);
  g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLOUT);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLIN | POLLHUP);
  g_assert_cmpint (poll_one (fds[0], POLLIN), ==, POLLIN | POLLHUP);
  g_assert_cmpint (poll_one (fds[0], POLLOUT), ==, POLLOUT);
  close (fds[1]);
  g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLIN | POLLHUP);
  g_assert_cmpint (poll_one (fds[0], POLLOUT), ==, POLLHUP);
  close (fds[0]);
}

/* The kernel calls the read end of a pipe writable if pipes have two ways, until the writer goes. */
static void
test_read_end_is_writable (void)
{
  static const SimKqueueFlavour two_way[] = { SIM_FREEBSD, SIM_OPENBSD };
  int fds[2];
  int kq;

  for (gsize i = 0; i < G_N_ELEMENTS (two_way); i++)
    {
      sim_kqueue_set_flavour (two_way[i]);
      kq = open_queue ();
      make_pipe (fds);
      g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLOUT);
      g_assert_cmpint (poll_one (fds[0], POLLIN), ==, 0);
      g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, 0);
      g_assert_cmpint (poll_one (kq, POLLIN), ==, POLLIN);
      for (int n = 0; n < 2; n++)
        g_assert_cmpint (take (kq), ==, 1);

      close (fds[1]);
      g_assert_cmpint (poll_one (fds[0], ALL), ==, POLLHUP);
      g_assert_cmpint (take (kq), ==, 1 | EV_EOF);
      g_assert_cmpint (take (kq), ==, two_way[i] == SIM_FREEBSD ? 0 : 1 | EV_EOF);
      close (fds[0]);
      close (kq);
    }
}

/* FreeBSD keeps the filters of a named pipe. A filter for a direction in which it is not open is accepted, and says
 * nothing. */
static void
test_fifo_ends (void)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);
  g_autofree char *path = g_build_filename (directory, "fifo", NULL);
  int fds[2];
  int kq;

  sim_kqueue_set_flavour (SIM_FREEBSD);
  kq = open_queue ();
  g_assert_no_errno (mkfifo (path, 0600));
  fds[0] = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fds[1] = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, 0);
  g_assert_cmpint (add (kq, fds[1], EVFILT_READ), ==, 0);
  close (fds[0]);
  g_assert_cmpint (take (kq), ==, 0);

  g_assert_cmpint (add (kq, fds[1], EVFILT_WRITE), ==, 0);
  for (int i = 0; i < 2; i++)
    g_assert_cmpint (take (kq), ==, 1 | EV_EOF);

  /* OpenBSD refuses such a filter. */
  sim_kqueue_set_flavour (SIM_OPENBSD);
  fds[0] = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (add (kq, fds[0], EVFILT_WRITE), ==, EINVAL);
  g_assert_cmpint (add (kq, fds[0], EVFILT_READ), ==, 0);

  close_all (fds, 2);
  close (kq);
  g_assert_no_errno (unlink (path));
  g_assert_no_errno (rmdir (directory));
}

static void
test_peer_name (void)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  int fds[2];

  for (int plain = 0; plain <= 1; plain++)
    {
      sim_system_set_plain_sockets (plain);
      make_sockets (fds);
      g_assert_no_errno (getpeername (fds[0], (struct sockaddr *) &address, &size));
      close (fds[1]);
      g_assert_cmpint (getpeername (fds[0], (struct sockaddr *) &address, &size), ==, plain ? -1 : 0);
      if (plain)
        g_assert_cmpint (errno, ==, ENOTCONN);
      close (fds[0]);
    }
}

static void
add_case (const char    *path,
          gconstpointer  data,
          GTestDataFunc  func)
{
  g_test_add_data_func (path, data, func);
}

typedef struct
{
  const char *path;
  void (*func) (void);
} Case;

static void
run_case (gconstpointer data)
{
  const Case *test_case = data;

  sim_kqueue_reset ();
  test_case->func ();
  sim_kqueue_reset ();
}

int
main (int    argc,
      char **argv)
{
  static const Case cases[] = {
    { "/sim/system/poll-closed-peer", test_poll_closed_peer },
    { "/sim/system/poll-waits", test_poll_waits },
    { "/sim/system/poll-pipe", test_poll_pipe },
    { "/sim/system/not-connected", test_not_connected },
    { "/sim/system/peer-name", test_peer_name },
    { "/sim/system/shutdown-makes-writable", test_shutdown_makes_writable },
    { "/sim/system/socket-eof", test_socket_eof },
    { "/sim/system/queued-pipe-is-not-forgotten", test_queued_pipe_is_not_forgotten },
    { "/sim/system/read-end-is-forgotten", test_read_end_is_forgotten },
    { "/sim/system/anonymous-pipes", test_anonymous_pipes },
    { "/sim/system/flavours", test_flavours },
    { "/sim/system/fifo-ends", test_fifo_ends },
    { "/sim/system/poll-filters", test_poll_filters },
    { "/sim/system/read-end-is-writable", test_read_end_is_writable },
  };

  g_test_init (&argc, &argv, NULL);
  g_unsetenv ("SIM_KQUEUE");

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    add_case (cases[i].path, &cases[i], run_case);
  add_case ("/sim/system/full-pipe-is-forgotten", GINT_TO_POINTER (TRUE), test_full_pipe_is_forgotten);
  add_case ("/sim/system/full-pipe-is-reported", GINT_TO_POINTER (FALSE), test_full_pipe_is_forgotten);
  add_case ("/sim/system/stays-readable", GINT_TO_POINTER (TRUE), test_stays_readable);
  add_case ("/sim/system/is-readable-while-active", GINT_TO_POINTER (FALSE), test_stays_readable);

  return g_test_run ();
}
