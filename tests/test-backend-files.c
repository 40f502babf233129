/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kinds of files: O_PATH descriptors, files that are always ready, attributes in sysfs, and other selectors. */

#include "backend-cases.h"
#include "system-facts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* An O_PATH descriptor cannot be used for input or output, so it is refused like a closed one. */
static void
test_o_path (BackendFixture *fixture)
{
#ifdef O_PATH
  g_autoptr (GError) error = NULL;
  int fd = open ("/", O_PATH | O_CLOEXEC);

  g_assert_no_errno (fd);
  g_assert_false (sel_base_selector_register (fixture->selector, fd, SEL_EVENT_READ, NULL, NULL,
                                              &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);
  g_assert_false (is_registered (fixture->selector, fd));
  close (fd);
#else
  g_test_skip ("this system has no O_PATH");
#endif
}

/* A selector does not change the flags of a descriptor. */
static void
test_flags (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));

  for (guint i = 0; i < 2; i++)
    {
      int flags;

      /* First blocking and inherited, then non-blocking and close-on-exec. */
      if (i == 1)
        {
          g_assert_no_errno (fcntl (fds[0], F_SETFL, O_NONBLOCK));
          g_assert_no_errno (fcntl (fds[0], F_SETFD, FD_CLOEXEC));
        }

      flags = fcntl (fds[0], F_GETFL);
      watch (selector, fds[0], BOTH);
      assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);
      rewatch (selector, fds[0], SEL_EVENT_READ);
      assert_ready (selector, 0, -1);
      unwatch (selector, fds[0]);
      g_assert_cmpint (fcntl (fds[0], F_GETFL), ==, flags);
      g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, i == 0 ? 0 : FD_CLOEXEC);
    }

  /* close () of the selector does not close the descriptor. */
  watch (selector, fds[0], BOTH);
  sel_base_selector_close (selector);
  g_assert_no_errno (fcntl (fds[0], F_GETFD));
  close_pair (fds);
}

static int
open_always_ready (const char *kind)
{
  g_autofree char *name = NULL;
  int fd;

  if (!g_str_equal (kind, "file"))
    return open (kind, O_RDONLY | O_CLOEXEC);

  fd = g_file_open_tmp ("sel-XXXXXX", &name, NULL);
  g_assert_no_errno (fd);
  unlink (name);
  return fd;
}

static void
test_always_ready_refused (BackendFixture *fixture)
{
  static const char * const kinds[] = { "file", "/" };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (GError) error = NULL;
      int fd = open_always_ready (kinds[i]);

      g_assert_no_errno (fd);

      if (fixture->backend->refuses_regular_files)
        {
          g_assert_false (sel_base_selector_register (fixture->selector, fd, BOTH, NULL, NULL,
                                                      &error));
          assert_failed (&error, SEL_OS_ERROR, EPERM);
          g_assert_false (is_registered (fixture->selector, fd));
        }
      else
        {
          watch (fixture->selector, fd, BOTH);
          assert_ready (fixture->selector, SEL_WAIT_FOREVER, fd, BOTH, -1);
          unwatch (fixture->selector, fd);
        }

      close (fd);
    }
}

static void
test_always_ready_emulated (BackendFixture *fixture)
{
  static const char * const kinds[] = { "file", "/", "/dev/null" };
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  g_assert_false (sel_base_selector_get_emulate_always_ready (selector));
  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  g_assert_true (sel_base_selector_get_emulate_always_ready (selector));
  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      int fd = open_always_ready (kinds[i]);
      SelReadyEvent events[4];

      g_assert_no_errno (fd);

      /* The result for a device is not the same on each system. */
      if (fixture->backend->devices_vary && g_str_equal (kinds[i], "/dev/null"))
        {
          close (fd);
          continue;
        }

      watch (selector, fd, BOTH);
      assert_ready (selector, SEL_WAIT_FOREVER, fd, BOTH, -1);
      put_byte (fds[1]);
      assert_ready (selector, SEL_WAIT_FOREVER, fd, BOTH, fds[0], SEL_EVENT_READ, -1);
      g_assert_cmpint (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, events,
                                                       G_N_ELEMENTS (events), NULL, NULL), ==, 2);
      rewatch (selector, fd, SEL_EVENT_READ);
      assert_ready (selector, SEL_WAIT_FOREVER, fd, SEL_EVENT_READ, fds[0], SEL_EVENT_READ, -1);
      drain (fds[0]);
      rewatch (selector, fd, SEL_EVENT_WRITE);
      assert_ready (selector, SEL_WAIT_FOREVER, fd, SEL_EVENT_WRITE, -1);
      unwatch (selector, fd);
      assert_quiet (selector, QUIET);
      close (fd);
    }

  close_pair (fds);
}

/* All descriptors are reported after a few calls, even if the array has room for one event only. */
static void
test_always_ready_fair (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int file = open_always_ready ("file");
  gboolean seen_file = FALSE;
  gboolean seen_pipes[2] = { FALSE, FALSE };
  int pipes[2][2];

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  watch (selector, file, SEL_EVENT_READ);
  for (guint i = 0; i < 2; i++)
    {
      open_pipe (pipes[i]);
      put_byte (pipes[i][1]);
      watch (selector, pipes[i][0], SEL_EVENT_READ);
    }

  for (guint i = 0; i < 12; i++)
    {
      SelReadyEvent event;

      g_assert_cmpint (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, &event, 1,
                                                       NULL, NULL), ==, 1);
      seen_file |= event.fd == file;
      seen_pipes[0] |= event.fd == pipes[0][0];
      seen_pipes[1] |= event.fd == pipes[1][0];
    }

  g_assert_true (seen_file);
  g_assert_true (seen_pipes[0]);
  g_assert_true (seen_pipes[1]);
  close (file);
  close_pair (pipes[0]);
  close_pair (pipes[1]);
}

/* The descriptor of the mechanism is readable while a wait would end at once for an emulated file. */
static void
test_always_ready_poll_fd (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int file = open_always_ready ("file");
  GPollFD poll_fd = { .events = G_IO_IN };
  int fds[2];

  if (!fixture->backend->can_poll_fd)
    {
      close (file);
      return;
    }

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  poll_fd.fd = fixture->backend->get_fd (selector, NULL);
  g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      watch (selector, file, SEL_EVENT_READ);
      for (guint j = 0; j < 3; j++)
        {
          g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 1);
          assert_ready (selector, 0, file, SEL_EVENT_READ, -1);
        }

      unwatch (selector, file);
      /* The queue of NetBSD is readable until it is asked after the wake-up was drained. */
      assert_ready (selector, 0, -1);
      assert_ready (selector, 0, -1);
      g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 0);
    }

  /* Opened again, it has another wake-up descriptor. */
  watch (selector, file, SEL_EVENT_READ);
  g_assert_true (sel_base_selector_reinit (selector, NULL));
  poll_fd.fd = fixture->backend->get_fd (selector, NULL);
  g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 1);
  assert_ready (selector, 0, file, SEL_EVENT_READ, -1);
  g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 1);

  unwatch (selector, file);
  unwatch (selector, fds[0]);
  close (file);
  close_pair (fds);
}

/* An emulated file is no longer reported after it was closed. */
static void
test_always_ready_closed (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int file = open_always_ready ("file");
  int fds[2];

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  open_one_way (fds);
  watch (selector, file, BOTH);
  assert_ready (selector, SEL_WAIT_FOREVER, file, BOTH, -1);
  close (file);
  assert_dead (fixture, file);

  /* A pipe with the same number is waited for as a pipe. */
  reuse (fds[0], file);
  g_assert_true (sel_base_selector_refresh (selector, file, &error));
  g_assert_no_error (error);
  assert_quiet (selector, QUIET);
  put_byte (fds[1]);
  assert_ready (selector, SEL_WAIT_FOREVER, file, SEL_EVENT_READ, -1);
  unwatch (selector, file);
  close (file);
  close_pair (fds);
}

/* An attribute in sysfs always has an error condition, which counts as readable. */
static void
test_sysfs (BackendFixture *fixture)
{
  int fd = open ("/sys/class/net/lo/operstate", O_RDONLY | O_CLOEXEC);

  if (fd < 0 || fixture->backend->devices_vary)
    {
      g_test_skip ("this system has no sysfs attribute that can be waited for");

      if (fd >= 0)
        close (fd);

      return;
    }

  watch (fixture->selector, fd, SEL_EVENT_READ);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fd, SEL_EVENT_READ, -1);
  close (fd);
}

static void
test_nested (BackendFixture *fixture)
{
  for (guint i = 0; i < N_BACKENDS; i++)
    {
      g_autoptr (SelBaseSelector) inner = NULL;
      g_autoptr (GError) error = NULL;
      int own_fd;
      int fds[2];

      if (!backends[i].is_supported () || !backends[i].can_poll_fd)
        continue;

      inner = backends[i].new_selector (&error);
      g_assert_no_error (error);
      own_fd = backends[i].get_fd (inner, &error);
      g_assert_no_error (error);
      open_pipe (fds);
      watch (inner, fds[0], SEL_EVENT_READ);
      watch (fixture->selector, own_fd, SEL_EVENT_READ);
      assert_ready (fixture->selector, 0, -1);
      put_byte (fds[1]);
      assert_ready (fixture->selector, 0, own_fd, SEL_EVENT_READ, -1);
      assert_ready (inner, 0, fds[0], SEL_EVENT_READ, -1);
      unwatch (fixture->selector, own_fd);
      close_pair (fds);
    }
}

static void
test_nested_in_itself (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) other = fixture->backend->new_selector (NULL);
  g_autoptr (GError) error = NULL;
  int own_fd = fixture->backend->get_fd (fixture->selector, &error);
  int other_fd = fixture->backend->get_fd (other, &error);

  g_assert_false (sel_base_selector_register (fixture->selector, own_fd, SEL_EVENT_READ, NULL,
                                              NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ELOOP);
  g_assert_false (is_registered (fixture->selector, own_fd));

  watch (fixture->selector, other_fd, SEL_EVENT_READ);
  g_assert_false (sel_base_selector_register (other, own_fd, SEL_EVENT_READ, NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ELOOP);
  g_assert_false (is_registered (other, own_fd));
  assert_quiet (fixture->selector, QUIET);
}

/* The wait reports the old file, and then finds out that the number has become a file that is always ready. */
static void
test_always_ready_in_wait (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int file = open_always_ready ("file");
  int idle[2];
  int lost[2];
  int fds[2];
  int copies[2];

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  open_pipe (idle);
  open_pipe (lost);
  open_socketpair (fds);
  watch (selector, idle[0], SEL_EVENT_READ);
  copies[0] = fcntl (lost[0], F_DUPFD_CLOEXEC, 0);
  copies[1] = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  watch (selector, lost[0], SEL_EVENT_READ);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  watch (selector, fds[0], BOTH);
  reuse (file, fds[0]);
  close (file);

  /* The report of this one makes the selector build the set anew. */
  close (lost[0]);
  unwatch (selector, lost[0]);
  put_byte (lost[1]);
  for (guint i = 0; i < 3; i++)
    assert_ready (selector, 0, fds[0], BOTH, fds[1], SEL_EVENT_WRITE, -1);

  unwatch (selector, fds[0]);
  unwatch (selector, fds[1]);
  close (lost[1]);
  for (guint i = 0; i < 2; i++)
    close (copies[i]);
  unwatch (selector, idle[0]);
  close_pair (idle);
  close_pair (fds);
}

static const BackendTest cases[] =
{
  { "o-path", test_o_path },
  { "flags", test_flags },
  { "always-ready-refused", test_always_ready_refused },
  { "always-ready-emulated", test_always_ready_emulated },
  { "always-ready-poll-fd", test_always_ready_poll_fd },
  { "always-ready-fair", test_always_ready_fair },
  { "always-ready-closed", test_always_ready_closed },
  { "sysfs", test_sysfs },
  { "nested", test_nested },
};

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_cases (cases, G_N_ELEMENTS (cases));
  backend_add_for ("epoll", "nested-in-itself", test_nested_in_itself);
  backend_add_for ("epoll", "always-ready-in-wait", test_always_ready_in_wait);

  return g_test_run ();
}
