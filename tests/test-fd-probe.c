/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends.h"
#include "core/sel-fd-probe-private.h"
#include "system-facts.h"

/*
 * The findings of a probe for each kind of file; it takes nothing away from the program. No selector and no main
 * loop.
 */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE
#define BOTH (READ | WRITE)

/* Probes @fd for @events after a report that said nothing about ends. */
static void
assert_probe (int           fd,
              SelEventMask  events,
              SelFdState    state,
              SelEventMask  ended)
{
  struct pollfd entry = { .fd = fd, .events = (events & READ) != 0 ? POLLIN | POLLRDHUP : 0 };
  SelEventMask found = BOTH;
  SelFdState plain_state = state;

  if ((events & WRITE) != 0)
    entry.events |= POLLOUT;
  if (state == SEL_FD_READY && poll (&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLRDHUP)) != 0)
    plain_state = SEL_FD_HUNG_UP;

  errno = EDOM;
  g_assert_cmpint (sel_fd_probe (fd, events, SEL_UNKNOWN_END, &found), ==, state);
  g_assert_cmpuint (found, ==, ended);
  g_assert_cmpint (sel_fd_probe (fd, events, SEL_UNKNOWN_END, NULL), ==, plain_state);
  g_assert_cmpint (errno, ==, EDOM);
}

static void
assert_ended (int          fd,
              SelEventMask events,
              SelEventMask ended)
{
  assert_probe (fd, events, SEL_FD_READY, ended);
}

/* --- Pipes --- */

static void
test_pipe_reader (void)
{
  int fds[2];
  char byte;

  open_pipe (fds);
  assert_probe (fds[0], READ, SEL_FD_NOT_READY, 0);
  put_byte (fds[1]);
  assert_ended (fds[0], READ, 0);
  close (fds[1]);
  assert_ended (fds[0], READ, 0);
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  assert_ended (fds[0], READ, READ);
  close (fds[0]);
}

/* Bytes that are left in a pipe do not count for its writer. */
static void
test_pipe_writer (void)
{
  int fds[2];

  open_pipe (fds);
  assert_ended (fds[1], WRITE, 0);
  fill (fds[1]);
  assert_probe (fds[1], WRITE, SEL_FD_NOT_READY, 0);
  close (fds[0]);
  assert_ended (fds[1], WRITE, WRITE);
  close (fds[1]);
}

/* --- Sockets --- */

static void
test_stream (void)
{
  int fds[2];
  char byte;

  open_socketpair (fds);
  assert_probe (fds[0], READ, SEL_FD_NOT_READY, 0);
  assert_ended (fds[0], BOTH, 0);
  put_byte (fds[1]);
  assert_ended (fds[0], BOTH, 0);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  assert_ended (fds[0], BOTH, 0);

  /* The peer still reads. */
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  assert_ended (fds[0], READ, READ);
  assert_ended (fds[0], BOTH, READ);
  assert_ended (fds[0], WRITE, 0);
  close (fds[1]);
  assert_ended (fds[0], BOTH, BOTH);
  assert_ended (fds[0], WRITE, WRITE);
  close (fds[0]);
}

/* The ends in the report count, unless data is left. */
static void
test_evidence (void)
{
  SelEventMask ended = 0;
  int fds[2];

  open_socketpair (fds);
  g_assert_cmpint (sel_fd_probe (fds[0], BOTH, SEL_WRITE_END, &ended), ==, SEL_FD_READY);
  g_assert_cmpuint (ended, ==, WRITE);
  put_byte (fds[1]);
  g_assert_cmpint (sel_fd_probe (fds[0], BOTH, SEL_READ_END | SEL_WRITE_END, &ended), ==, SEL_FD_READY);
  g_assert_cmpuint (ended, ==, WRITE);
  g_assert_cmpint (sel_fd_probe (fds[0], WRITE, SEL_READ_END, &ended), ==, SEL_FD_READY);
  g_assert_cmpuint (ended, ==, 0);
  close_pair (fds);
}

/* Opens a listening socket, and one that connects to it. */
static void
open_tcp (int *listener,
          int *client)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;

  *listener = open_socket (AF_INET, FALSE);
  g_assert_no_errno (bind (*listener, (struct sockaddr *) &address, size));
  g_assert_no_errno (listen (*listener, 1));
  assert_probe (*listener, READ, SEL_FD_NOT_READY, 0);
  g_assert_no_errno (getsockname (*listener, (struct sockaddr *) &address, &size));
  *client = open_socket (AF_INET, FALSE);
  g_assert_no_errno (connect (*client, (struct sockaddr *) &address, size));
}

static void
test_listener (void)
{
  int listener, client, accepted;

  open_tcp (&listener, &client);
  assert_ended (listener, READ, 0);
  accepted = accept (listener, NULL, NULL);
  g_assert_no_errno (accepted);
  close (accepted);
  close (client);
  close (listener);
}

/* The program gets the error of a reset after the probe. */
static void
test_reset (void)
{
  struct linger linger = { .l_onoff = 1 };
  int listener, client, accepted;
  char byte;

  open_tcp (&listener, &client);
  accepted = accept (listener, NULL, NULL);
  g_assert_no_errno (setsockopt (client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  close (client);
  assert_ended (accepted, BOTH, BOTH);
  assert_ended (accepted, READ, READ);
  g_assert_cmpint (read (accepted, &byte, 1), ==, -1);
  g_assert_cmpint (errno, ==, ECONNRESET);
  assert_ended (accepted, READ, READ);
  close (accepted);
  close (listener);
}

#ifdef __linux__

/* An empty packet ends nothing, and stays. */
static void
test_packets (void)
{
  int fds[2];
  char byte;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, fds));
  g_assert_cmpint (send (fds[1], "", 0, 0), ==, 0);
  assert_ended (fds[0], READ, 0);
  g_assert_cmpint (send (fds[1], "x", 1, 0), ==, 1);
  assert_ended (fds[0], READ, 0);
  g_assert_cmpint (recv (fds[0], &byte, 1, 0), ==, 0);
  g_assert_cmpint (recv (fds[0], &byte, 1, 0), ==, 1);
  close (fds[1]);
  assert_ended (fds[0], BOTH, BOTH);
  close (fds[0]);
}

/* A datagram was refused. The error is work, and the program gets it after the probe. */
static void
test_datagrams (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  int peer = socket (AF_INET, SOCK_DGRAM, 0);
  char byte;

  g_assert_no_errno (bind (peer, (struct sockaddr *) &address, size));
  g_assert_no_errno (getsockname (peer, (struct sockaddr *) &address, &size));
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, size));
  close (peer);
  assert_probe (fd, READ, SEL_FD_NOT_READY, 0);
  g_assert_cmpint (send (fd, "x", 1, 0), ==, 1);
  assert_ended (fd, READ, 0);
  assert_ended (fd, BOTH, 0);
  g_assert_cmpint (recv (fd, &byte, 1, MSG_DONTWAIT), ==, -1);
  g_assert_cmpint (errno, ==, ECONNREFUSED);
  close (fd);
}

static void
test_never_connected (void)
{
  int fd = open_socket (AF_INET, FALSE);

  if (system_poll (fd) != 0)
    assert_ended (fd, BOTH, BOTH);
  else
    g_test_skip ("not ready on this system");
  close (fd);
}

static void
test_shut_listener (void)
{
  int fd = open_socket (AF_INET, FALSE);

  g_assert_no_errno (listen (fd, 1));
  g_assert_no_errno (shutdown (fd, SHUT_RDWR));
  if (system_poll (fd) != 0)
    assert_ended (fd, READ, READ);
  else
    g_test_skip ("not ready on this system");
  close (fd);
}

/* The other side of a terminal can be opened again, and data that is written now is kept for it. */
static void
test_terminal (void)
{
  int fd = posix_openpt (O_RDWR | O_NOCTTY);
  int other;

  if (fd < 0 || grantpt (fd) < 0 || unlockpt (fd) < 0)
    {
      g_test_skip ("no terminals");
      return;
    }

  other = open (ptsname (fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
  g_assert_no_errno (other);
  assert_probe (fd, READ, SEL_FD_NOT_READY, 0);
  close (other);
  assert_ended (fd, BOTH, READ);
  close (fd);
}

#endif

/* --- Other files --- */

static void
test_file (void)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp (NULL, &path, NULL);

  assert_ended (fd, BOTH, 0);
  put_byte (fd);
  assert_ended (fd, BOTH, 0);
  close (fd);
  g_assert_no_errno (unlink (path));
}

static void
test_null (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  assert_ended (fd, BOTH, 0);
  close (fd);
}

static void
test_closed (void)
{
  assert_probe (closed_fd (), READ, SEL_FD_CLOSED, 0);
  assert_probe (closed_fd (), BOTH, SEL_FD_CLOSED, 0);
}

/* Only a hang-up in a report of poll () proves that reading has ended; no report proves that it has not. */
static void
test_ends_from_poll (void)
{
  g_assert_cmpuint (sel_ends_from_poll (POLLIN), ==, SEL_UNKNOWN_END);
  g_assert_cmpuint (sel_ends_from_poll (POLLOUT | POLLERR), ==, SEL_UNKNOWN_END);
  g_assert_cmpuint (sel_ends_from_poll (POLLIN | POLLHUP), ==, SEL_READ_END);
  if (POLLRDHUP != 0)
    g_assert_cmpuint (sel_ends_from_poll (POLLIN | POLLRDHUP), ==, SEL_READ_END);
}

#ifdef O_PATH
/* poll () does not support this descriptor. It is open, whatever errno was before. */
static void
test_path (void)
{
  int fd = open ("/", O_PATH); /* without close-on-exec: F_GETFD returns 0 */

  g_assert_cmpint (fd, >=, 0);
  errno = EBADF;
  g_assert_cmpint (sel_fd_probe (fd, READ, SEL_UNKNOWN_END, NULL), ==, SEL_FD_READY);
  g_assert_cmpint (errno, ==, EBADF);
  close (fd);
}
#endif

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/fd-probe/pipe-reader", test_pipe_reader);
  g_test_add_func ("/fd-probe/pipe-writer", test_pipe_writer);
  g_test_add_func ("/fd-probe/stream", test_stream);
  g_test_add_func ("/fd-probe/evidence", test_evidence);
  g_test_add_func ("/fd-probe/listener", test_listener);
  g_test_add_func ("/fd-probe/reset", test_reset);
#ifdef __linux__
  g_test_add_func ("/fd-probe/packets", test_packets);
  g_test_add_func ("/fd-probe/datagrams", test_datagrams);
  g_test_add_func ("/fd-probe/never-connected", test_never_connected);
  g_test_add_func ("/fd-probe/shut-listener", test_shut_listener);
  g_test_add_func ("/fd-probe/terminal", test_terminal);
#endif
  g_test_add_func ("/fd-probe/file", test_file);
  g_test_add_func ("/fd-probe/null", test_null);
  g_test_add_func ("/fd-probe/closed", test_closed);
  g_test_add_func ("/fd-probe/ends-from-poll", test_ends_from_poll);
#ifdef O_PATH
  g_test_add_func ("/fd-probe/path", test_path);
#endif

  return g_test_run ();
}
