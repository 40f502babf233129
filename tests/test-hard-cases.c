/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes wrong in the field: descriptors that are closed, reused and duplicated, odd files,
 * odd times, full buffers. The same expectations for every backend. */

#include "backends.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const SelEventMask BOTH = SEL_EVENT_READ | SEL_EVENT_WRITE;

/* What is not to be waited for is waited for this long, in seconds. */
#define QUIET 0.02

static gboolean
is_registered (SelBaseSelector *selector,
               int              fd)
{
  return sel_selector_mapping_contains (sel_base_selector_get_map (selector), fd);
}

static void
reuse (int fd,
       int number)
{
  g_assert_cmpint (dup2 (fd, number), ==, number);
}

/* A closed descriptor is reported by nobody, disturbs nobody, and lets nobody spin. */

static void
assert_dead (BackendFixture *fixture,
             int             fd)
{
  g_autoptr (GPtrArray) dead = NULL;
  g_autoptr (GError) error = NULL;

  assert_quiet (fixture->selector, QUIET);
  g_assert_true (is_registered (fixture->selector, fd));

  dead = sel_base_selector_check (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (dead->len, ==, 1);
  g_assert_cmpint (sel_selector_key_get_fd (g_ptr_array_index (dead, 0)), ==, fd);
}

static void
test_close_registered (BackendFixture *fixture)
{
  static const SelEventMask masks[] = { SEL_EVENT_READ, SEL_EVENT_WRITE, BOTH };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (masks); i++)
    {
      g_autoptr (GPtrArray) dead = NULL;
      int fds[2];
      int others[2];

      open_socketpair (fds);
      open_pipe (others);
      fill (fds[0]);
      watch (fixture->selector, fds[0], masks[i / 2]);
      watch (fixture->selector, others[0], SEL_EVENT_READ);

      if (i % 2 == 0)
        assert_ready (fixture->selector, 0, -1);

      dead = sel_base_selector_check (fixture->selector, NULL);
      g_assert_cmpuint (dead->len, ==, 0);

      put_byte (others[1]);
      close (fds[0]);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, others[0], SEL_EVENT_READ, -1);
      assert_ready (fixture->selector, 0, others[0], SEL_EVENT_READ, -1);
      drain (others[0]);
      assert_dead (fixture, fds[0]);

      put_byte (others[1]);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, others[0], SEL_EVENT_READ, -1);

      unwatch (fixture->selector, fds[0]);
      unwatch (fixture->selector, others[0]);
      assert_quiet (fixture->selector, QUIET);
      close (fds[1]);
      close_pair (others);
    }
}

/* Ready at the moment it is closed. */
static void
test_close_ready (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  close (fds[0]);
  assert_dead (fixture, fds[0]);
  close (fds[1]);
}

static void
test_close_all (BackendFixture *fixture)
{
  g_autoptr (GPtrArray) dead = NULL;
  int fds[16];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i += 2)
    {
      open_pipe (&fds[i]);
      watch (fixture->selector, fds[i], SEL_EVENT_READ);
      watch (fixture->selector, fds[i + 1], SEL_EVENT_WRITE);
    }

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);

  assert_quiet (fixture->selector, QUIET);
  dead = sel_base_selector_check (fixture->selector, NULL);
  g_assert_cmpuint (dead->len, ==, G_N_ELEMENTS (fds));

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    unwatch (fixture->selector, fds[i]);
}

/* The file behind the number lives on under another one. Only epoll cannot tell. */
static void
test_close_with_dup (BackendFixture *fixture)
{
  int fds[2];
  int copy;

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  put_byte (fds[1]);

  if (fixture->backend->identity == BACKEND_BY_FILE)
    assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  else
    assert_dead (fixture, fds[0]);

  unwatch (fixture->selector, fds[0]);
  assert_quiet (fixture->selector, QUIET);
  close (copy);
  close (fds[1]);
}

static void
test_modify_closed (BackendFixture *fixture)
{
  for (guint noticed = 0; noticed < 2; noticed++)
    {
      g_autoptr (GError) error = NULL;
      int fds[2];

      open_pipe (fds);
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
      close (fds[0]);

      if (noticed)
        assert_ready (fixture->selector, 0, -1);

      g_assert_false (sel_base_selector_modify_events (fixture->selector, fds[0], BOTH, &error));
      g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
      assert_failed (&error, SEL_OS_ERROR, EBADF);
      g_assert_false (is_registered (fixture->selector, fds[0]));
      g_assert_false (sel_base_selector_unregister (fixture->selector, fds[0], &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
      close (fds[1]);
    }
}

static void
test_refresh_closed (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  g_assert_false (sel_base_selector_refresh (fixture->selector, fds[0], &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);

  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_true (sel_base_selector_refresh (fixture->selector, fds[0], &error));
  g_assert_no_error (error);
  put_byte (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);

  close (fds[0]);
  g_assert_false (sel_base_selector_refresh (fixture->selector, fds[0], &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);
  assert_quiet (fixture->selector, QUIET);
  close (fds[1]);
}

/* The number belongs to another file now. */

static void
test_modify_reused (BackendFixture *fixture)
{
  for (guint noticed = 0; noticed < 2; noticed++)
    {
      SelBaseSelector *selector = fixture->selector;
      int fds[2];
      int others[2];

      open_pipe (fds);
      open_pipe (others);
      watch (selector, fds[0], SEL_EVENT_READ);
      close (fds[0]);

      if (noticed)
        assert_ready (selector, 0, -1);

      reuse (others[0], fds[0]);
      rewatch (selector, fds[0], BOTH);
      assert_ready (selector, 0, -1);
      put_byte (others[1]);
      assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
      rewatch (selector, fds[0], SEL_EVENT_READ);
      assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
      unwatch (selector, fds[0]);
      assert_ready (selector, 0, -1);

      close_pair (fds);
      close_pair (others);
    }
}

static void
test_refresh_reused (BackendFixture *fixture)
{
  for (guint noticed = 0; noticed < 2; noticed++)
    {
      SelBaseSelector *selector = fixture->selector;
      g_autoptr (SelSelectorKey) key = NULL;
      g_autoptr (GError) error = NULL;
      char first[] = "first";
      char second[] = "second";
      int fds[2];
      int others[2];

      open_pipe (fds);
      open_pipe (others);
      g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, first, NULL,
                                                 &error));
      close (fds[0]);

      if (noticed)
        assert_ready (selector, 0, -1);

      reuse (others[0], fds[0]);
      put_byte (others[1]);

      /* Other data alone asks no kernel, so it cannot fail. */
      g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_READ, second, NULL,
                                               &error));
      g_assert_no_error (error);

      g_assert_true (sel_base_selector_refresh (selector, fds[0], &error));
      g_assert_no_error (error);
      assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
      key = sel_base_selector_get_key (selector, fds[0], &error);
      g_assert_cmpuint (sel_selector_key_get_events (key), ==, SEL_EVENT_READ);
      g_assert_true (sel_selector_key_get_data (key) == second);

      unwatch (selector, fds[0]);
      close_pair (fds);
      close_pair (others);
    }
}

/* The new file cannot be waited for. */
static void
test_modify_reused_by_file (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  int fds[2];
  int file = g_file_open_tmp ("sel-XXXXXX", &name, &error);

  g_assert_no_error (error);
  unlink (name);
  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  reuse (file, fds[0]);

  if (fixture->backend->refuses_regular_files)
    {
      g_assert_false (sel_base_selector_modify_events (fixture->selector, fds[0], BOTH, &error));
      assert_failed (&error, SEL_OS_ERROR, EPERM);
      g_assert_false (is_registered (fixture->selector, fds[0]));
      assert_quiet (fixture->selector, QUIET);
    }
  else
    {
      rewatch (fixture->selector, fds[0], BOTH);
      assert_ready (fixture->selector, 0, fds[0], BOTH, -1);
    }

  close (file);
  close_pair (fds);
}

/* The very same file comes back under its number. */
static void
test_register_dup_back (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int copy;

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  unwatch (selector, fds[0]);
  reuse (copy, fds[0]);

  watch (selector, fds[0], BOTH);
  assert_ready (selector, 0, -1);
  put_byte (fds[1]);
  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
  drain (fds[0]);
  assert_quiet (selector, QUIET);
  unwatch (selector, fds[0]);
  put_byte (fds[1]);
  assert_quiet (selector, QUIET);

  close (copy);
  close_pair (fds);
}

/* A file that the kernel still watches although nobody can remove it any more. */
static void
test_stale (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int others[2];
  int own_fd = -1;
  int copy;

  if (fixture->backend->get_fd != NULL)
    own_fd = fixture->backend->get_fd (selector, NULL);

  open_pipe (fds);
  open_pipe (others);
  watch (selector, others[0], SEL_EVENT_READ);
  watch (selector, others[1], SEL_EVENT_WRITE);
  fill (others[1]);
  drain (others[0]);
  fill (others[1]);
  rewatch (selector, others[0], SEL_EVENT_WRITE);
  watch (selector, fds[0], SEL_EVENT_READ);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  unwatch (selector, fds[0]);
  put_byte (fds[1]);

  assert_quiet (selector, 0.05);
  assert_quiet (selector, QUIET);

  if (fixture->backend->identity == BACKEND_BY_FILE)
    g_assert_cmpuint (backend_get_rebuild_count (fixture->backend, selector), ==, 1);

  /* What is registered stays so, and so does the number of the selector's own descriptor. */
  rewatch (selector, others[0], SEL_EVENT_READ);
  assert_ready (selector, 0, others[0], SEL_EVENT_READ, -1);
  drain (others[0]);
  assert_ready (selector, 0, others[1], SEL_EVENT_WRITE, -1);
  sel_base_selector_wakeup (selector);
  unwatch (selector, others[1]);
  assert_ready (selector, SEL_WAIT_FOREVER, -1);

  if (own_fd >= 0)
    {
      g_assert_cmpint (fixture->backend->get_fd (selector, NULL), ==, own_fd);
      g_assert_cmpint (fcntl (own_fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    }

  unwatch (selector, others[0]);
  close (copy);
  close (fds[1]);
  close_pair (others);
}

/* Its events are not taken for the new owner's of the number. */
static void
test_stale_reused (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelReadyEvent event;
  int fds[2];
  int others[2];
  int copy;

  open_pipe (fds);
  open_pipe (others);
  watch (selector, fds[0], SEL_EVENT_READ);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  unwatch (selector, fds[0]);
  reuse (others[0], fds[0]);
  watch (selector, fds[0], SEL_EVENT_READ);

  put_byte (fds[1]);
  assert_quiet (selector, QUIET);
  put_byte (others[1]);
  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &event, 1, NULL, NULL), ==, 1);
  g_assert_cmpint (event.fd, ==, fds[0]);
  drain (others[0]);
  assert_quiet (selector, QUIET);

  if (fixture->backend->identity == BACKEND_BY_FILE)
    g_assert_cmpuint (backend_get_rebuild_count (fixture->backend, selector), ==, 1);

  close (copy);
  close_pair (fds);
  close_pair (others);
}

/* The stale event comes first and alone fits into the buffer. */
static void
test_stale_small_buffer (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelReadyEvent event;
  int fds[2];
  int others[2];
  int copy;

  open_pipe (fds);
  open_pipe (others);
  watch (selector, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  unwatch (selector, fds[0]);
  watch (selector, others[0], SEL_EVENT_READ);
  put_byte (others[1]);

  g_assert_cmpint (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, &event, 1, NULL,
                                                   NULL), ==, 1);
  g_assert_cmpint (event.fd, ==, others[0]);

  close (copy);
  close (fds[1]);
  close_pair (others);
}

/* A closed descriptor does not take the place of one that is ready. */
static void
test_closed_small_buffer (BackendFixture *fixture)
{
  SelReadyEvent event;
  int closed[2];
  int fds[2];

  open_pipe (closed);
  open_pipe (fds);
  watch (fixture->selector, closed[0], SEL_EVENT_READ);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  close_pair (closed);

  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL), ==, 1);
  g_assert_cmpint (event.fd, ==, fds[0]);

  close_pair (fds);
}

/* Registered, removed, closed and opened again at once, many times. */
static void
test_churn (BackendFixture *fixture)
{
  for (guint i = 0; i < 100; i++)
    {
      int fds[2];
      int copy;

      open_pipe (fds);
      copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
      put_byte (fds[1]);
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
      rewatch (fixture->selector, fds[0], SEL_EVENT_WRITE);
      rewatch (fixture->selector, fds[0], SEL_EVENT_READ);

      if (i % 3 == 0)
        assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);

      unwatch (fixture->selector, fds[0]);
      close (copy);
      close_pair (fds);
    }

  assert_quiet (fixture->selector, QUIET);
  g_assert_cmpuint (backend_get_rebuild_count (fixture->backend, fixture->selector), ==, 0);
}

/* One file under two numbers: two registrations. */
static void
test_dup (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int copy;

  open_socketpair (fds);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  watch (selector, fds[0], SEL_EVENT_READ);
  watch (selector, copy, BOTH);
  assert_ready (selector, 0, copy, SEL_EVENT_WRITE, -1);
  put_byte (fds[1]);
  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, copy, BOTH, -1);
  unwatch (selector, fds[0]);
  assert_ready (selector, 0, copy, BOTH, -1);
  watch (selector, fds[0], SEL_EVENT_WRITE);
  unwatch (selector, copy);
  close (copy);
  assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);
  close_pair (fds);
}

/* One file in two selectors. */
static void
test_two_selectors (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) other = fixture->backend->new_selector (NULL);
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  watch (other, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  assert_ready (other, 0, fds[0], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[0]);
  assert_ready (fixture->selector, 0, -1);
  assert_ready (other, 0, fds[0], SEL_EVENT_READ, -1);
  sel_base_selector_close (fixture->selector);
  assert_ready (other, 0, fds[0], SEL_EVENT_READ, -1);
  close_pair (fds);
}

/* O_PATH descriptors name a file and are none. */
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

/* The caller's flags are the caller's. */
static void
test_flags (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));

  for (guint i = 0; i < 2; i++)
    {
      int flags;

      /* at first blocking and inherited, then not */
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

  /* nor is it closed by anybody else */
  watch (selector, fds[0], BOTH);
  sel_base_selector_close (selector);
  g_assert_no_errno (fcntl (fds[0], F_GETFD));
  close_pair (fds);
}

/* Files that are always ready. */

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

      /* What kqueue makes of devices differs from system to system. */
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

/* Both are seen even if the buffer takes one. */
static void
test_always_ready_fair (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int file = open_always_ready ("file");
  gboolean seen_file = FALSE;
  gboolean seen_pipe = FALSE;
  int fds[2];

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, file, SEL_EVENT_READ);
  watch (selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < 8; i++)
    {
      SelReadyEvent event;

      g_assert_cmpint (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, &event, 1,
                                                       NULL, NULL), ==, 1);
      seen_file |= event.fd == file;
      seen_pipe |= event.fd == fds[0];
    }

  g_assert_true (seen_file);
  g_assert_true (seen_pipe);
  close (file);
  close_pair (fds);
}

/* An emulated file that is closed is as dead as any other. */
static void
test_always_ready_closed (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int file = open_always_ready ("file");
  int fds[2];

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  open_pipe (fds);
  watch (selector, file, BOTH);
  assert_ready (selector, SEL_WAIT_FOREVER, file, BOTH, -1);
  close (file);
  assert_dead (fixture, file);

  /* and a pipe under its number is a pipe */
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

/* An attribute in sysfs raises an error condition for ever; that counts as readable. */
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

/* Time */

static void
test_timeout_not_early (BackendFixture *fixture)
{
  static const gdouble timeouts[] =
    { 1e-9, 1e-6, 1e-4, 2e-4, 4e-4, 999e-6, 1e-3, 1001e-6, 15e-4, 25e-4, 5e-3, 10.5e-3 };
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    for (guint j = 0; j < 3; j++)
      assert_quiet (fixture->selector, timeouts[i]);

  close_pair (fds);
}

static void
test_timeout_huge (BackendFixture *fixture)
{
  static const gdouble timeouts[] =
    { 1, 2147483.647, 2147483.648, 4294967.296, 1e7, 1e10, 9.3e18, 1e300, DBL_MAX, INFINITY };
  int fds[2];

  open_pipe (fds);

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
      assert_ready (fixture->selector, timeouts[i], fds[1], SEL_EVENT_WRITE, -1);
      unwatch (fixture->selector, fds[1]);
      sel_base_selector_wakeup (fixture->selector);
      assert_ready (fixture->selector, timeouts[i], -1);
    }

  close_pair (fds);
}

static void
test_timeout_nan (BackendFixture *fixture)
{
  static const gdouble timeouts[] = { NAN, -NAN };

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      SelReadyEvent event;
      g_autofree int *fds = NULL;
      g_autofree guint8 *masks = NULL;
      gsize n_fds;
      gsize n_masks;
      g_autoptr (GError) error = NULL;

      g_assert_null (sel_base_selector_select (fixture->selector, timeouts[i], NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
      g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, timeouts[i], &event, 1,
                                                       NULL, &error), ==, -1);
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
      g_assert_false (sel_base_selector_select_fds (fixture->selector, timeouts[i], NULL, &fds,
                                                    &n_fds, &masks, &n_masks, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
    }
}

/* Signals */

static volatile sig_atomic_t n_signals;
static SelBaseSelector *signal_selector;

static void
on_signal (int signum)
{
  n_signals = n_signals + 1;
}

static void
on_signal_wakeup (int signum)
{
  n_signals = n_signals + 1;
  sel_base_selector_wakeup (signal_selector);
}

static void
start_signals (void (*handler) (int),
               glong  interval)
{
  struct sigaction action = { .sa_handler = handler };
  struct itimerval timer = { { 0, interval }, { 0, 1000 } };

  n_signals = 0;
  sigemptyset (&action.sa_mask);
  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
}

static void
stop_signals (void)
{
  struct itimerval timer = { { 0, 0 }, { 0, 0 } };

  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
  signal (SIGALRM, SIG_IGN);
}

/* Signals neither shorten nor stretch what is left, and are no reason to rebuild anything. */
static void
test_signal_storm (BackendFixture *fixture)
{
  int fds[2];

  if (skip_signals_of_select (fixture))
    return;

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  start_signals (on_signal, 1000);
  assert_quiet (fixture->selector, 0.1);

  for (guint i = 0; i < 1000; i++)
    assert_ready (fixture->selector, 0, -1);

  stop_signals ();
  g_assert_cmpint (n_signals, >, 0);
  g_assert_cmpuint (backend_get_rebuild_count (fixture->backend, fixture->selector), ==, 0);
  close_pair (fds);
}

static void
test_signal_wakeup (BackendFixture *fixture)
{
  int fds[2];

  if (skip_signals_of_select (fixture))
    return;

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  signal_selector = fixture->selector;

  /* once only: a wake-up before the wait is not lost */
  start_signals (on_signal_wakeup, 0);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  stop_signals ();
  g_assert_cmpint (n_signals, ==, 1);

  start_signals (on_signal_wakeup, 1000);

  for (guint i = 0; i < 10; i++)
    assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);

  stop_signals ();
  signal_selector = NULL;
  close_pair (fds);
}

static void
test_wakeup (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  open_pipe (fds);

  /* also without any descriptor */
  sel_base_selector_wakeup (selector);
  assert_ready (selector, SEL_WAIT_FOREVER, -1);

  watch (selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < 3; i++)
    sel_base_selector_wakeup (selector);

  assert_ready (selector, SEL_WAIT_FOREVER, -1);
  assert_quiet (selector, QUIET);

  /* more than fit into any pipe */
  for (guint i = 0; i < 70000; i++)
    sel_base_selector_wakeup (selector);

  assert_ready (selector, SEL_WAIT_FOREVER, -1);
  assert_quiet (selector, QUIET);

  put_byte (fds[1]);
  sel_base_selector_wakeup (selector);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  drain (fds[0]);
  assert_quiet (selector, QUIET);

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector)), ==, 1);
  close_pair (fds);
}

/* A wake-up takes no place in the caller's array. */
static void
test_wakeup_small_buffer (BackendFixture *fixture)
{
  SelReadyEvent event = { .fd = -1 };
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  sel_base_selector_wakeup (fixture->selector);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL),
                   <=, 1);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL),
                   ==, 1);
  g_assert_cmpint (event.fd, ==, fds[0]);
  drain (fds[0]);
  assert_quiet (fixture->selector, QUIET);
  close_pair (fds);
}

static void
test_cancelled (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) ready = NULL;
  g_autofree int *ready_fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds;
  gsize n_masks;
  g_autoptr (GError) error = NULL;
  SelReadyEvent event;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);

  ready = sel_base_selector_select (selector, 0, cancellable, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);

  g_cancellable_cancel (cancellable);
  g_assert_null (sel_base_selector_select (selector, SEL_WAIT_FOREVER, cancellable, &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &event, 1, cancellable, &error),
                   ==, -1);
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_false (sel_base_selector_select_fds (selector, -1, cancellable, &ready_fds, &n_fds,
                                                &masks, &n_masks, &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_cancellable_reset (cancellable);
  drain (fds[0]);
  assert_quiet (selector, QUIET);
  close_pair (fds);
}

/* What the kernel tells, and what it means: each state watched for READ, WRITE and both,
 * registered before the state arises and after. */

static void
state_none (int fds[2])
{
}

static void
state_swap (int fds[2])
{
  int fd = fds[0];

  fds[0] = fds[1];
  fds[1] = fd;
}

static void
open_pipe_writer (int fds[2])
{
  open_pipe (fds);
  state_swap (fds);
}

static void
open_unconnected (int fds[2])
{
  open_pipe (fds);
  close (fds[0]);
  fds[0] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (fds[0]);
}

static void
open_listening (int fds[2])
{
  struct sockaddr_in address = { .sin_family = AF_INET };

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  open_unconnected (fds);
  g_assert_no_errno (bind (fds[0], (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fds[0], 1));
}

static void
state_data (int fds[2])
{
  put_byte (fds[1]);
}

static void
close_peer (int fds[2])
{
  close (fds[1]);
  fds[1] = -1;
}

static void
state_data_and_close (int fds[2])
{
  put_byte (fds[1]);
  close_peer (fds);
}

static void
state_full (int fds[2])
{
  fill (fds[0]);
}

static void
state_full_and_close (int fds[2])
{
  fill (fds[0]);
  close_peer (fds);
}

static void
state_full_and_data (int fds[2])
{
  fill (fds[0]);
  put_byte (fds[1]);
}

static void
state_peer_shut_write (int fds[2])
{
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
}

static void
state_shut_write (int fds[2])
{
  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
}

static void
state_shut_both (int fds[2])
{
  g_assert_no_errno (shutdown (fds[0], SHUT_RDWR));
}

static const char *
mask_to_string (SelEventMask mask)
{
  static const char * const names[] = { "-", "R", "W", "RW" };

  return names[mask];
}

typedef struct
{
  const char *name;
  void      (*open)   (int fds[2]);  /* fds[0] is watched */
  void      (*change) (int fds[2]);
  const char *ready;                 /* if watched for READ, WRITE, both */
} State;

static const State states[] =
{
  { "pipe reader, empty", open_pipe, state_none, "- - -" },
  { "pipe reader, data", open_pipe, state_data, "R - R" },
  { "pipe reader, writer gone", open_pipe, close_peer, "R W RW" },
  { "pipe reader, data and writer gone", open_pipe, state_data_and_close, "R W RW" },
  { "pipe writer, room", open_pipe_writer, state_none, "- W W" },
  { "pipe writer, full", open_pipe_writer, state_full, "- - -" },
  { "pipe writer, reader gone", open_pipe_writer, close_peer, "R W RW" },
  { "pipe writer, full and reader gone", open_pipe_writer, state_full_and_close, "R W RW" },
  { "socket, idle", open_socketpair, state_none, "- W W" },
  { "socket, data", open_socketpair, state_data, "R W RW" },
  { "socket, full", open_socketpair, state_full, "- - -" },
  { "socket, full and data", open_socketpair, state_full_and_data, "R - R" },
  { "socket, peer writes no more", open_socketpair, state_peer_shut_write, "R W RW" },
  { "socket, we write no more", open_socketpair, state_shut_write, "- W W" },
  { "socket, shut down", open_socketpair, state_shut_both, "R W RW" },
  { "socket, peer gone", open_socketpair, close_peer, "R W RW" },
  { "socket, data and peer gone", open_socketpair, state_data_and_close, "R W RW" },
  { "socket, full and peer gone", open_socketpair, state_full_and_close, "R W RW" },
  { "socket, never connected", open_unconnected, state_none, "R W RW" },
  { "socket, listening", open_listening, state_none, "- - -" },
};

static void
check_state (BackendFixture *fixture,
             const State    *state,
             gboolean        watch_first)
{
  g_autoptr (GString) got = g_string_new (state->name);
  g_autofree char *want = g_strdup_printf ("%s: %s", state->name, state->ready);

  g_string_append_c (got, ':');

  for (SelEventMask interest = SEL_EVENT_READ; interest <= BOTH; interest++)
    {
      SelReadyEvent event = { .events = 0 };
      g_autoptr (GError) error = NULL;
      gssize n;
      int fds[2];

      state->open (fds);

      if (watch_first)
        watch (fixture->selector, fds[0], interest);

      state->change (fds);

      if (!watch_first)
        watch (fixture->selector, fds[0], interest);

      n = sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, &error);
      g_assert_no_error (error);

      if (n == 1)
        {
          g_assert_cmpint (event.fd, ==, fds[0]);
          g_assert_cmpuint (event.events, !=, 0);
          g_assert_cmpuint (event.events & ~interest, ==, 0);
        }

      g_string_append_printf (got, " %s", mask_to_string (n == 1 ? event.events : 0));

      /* Level-triggered: it is told again, also without a wait. */
      g_assert_cmpint (sel_base_selector_select_ready (fixture->selector,
                                                       n == 1 ? SEL_WAIT_FOREVER : 0, &event, 1,
                                                       NULL, &error), ==, n);

      unwatch (fixture->selector, fds[0]);
      close (fds[0]);

      if (fds[1] >= 0)
        close (fds[1]);
    }

  g_assert_cmpstr (got->str, ==, want);
}

static void
test_states_watched_before (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    check_state (fixture, &states[i], TRUE);
}

static void
test_states_watched_after (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    check_state (fixture, &states[i], FALSE);
}

/* The same for what modify () leads to. */
static void
test_states_modified (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    {
      g_auto (GStrv) want = g_strsplit (states[i].ready, " ", -1);
      int fds[2];

      g_test_message ("%s", states[i].name);
      states[i].open (fds);
      watch (fixture->selector, fds[0], BOTH);
      states[i].change (fds);

      for (guint j = 0; j < 12; j++)
        {
          SelEventMask interest = "\1\2\3\2\1\3\1\2\1\3\2\3"[j];
          SelReadyEvent event = { .events = 0 };

          rewatch (fixture->selector, fds[0], interest);
          sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL);
          g_assert_cmpstr (mask_to_string (event.events), ==, want[interest - 1]);
        }

      unwatch (fixture->selector, fds[0]);
      close (fds[0]);

      if (fds[1] >= 0)
        close (fds[1]);
    }
}

/* A hang-up hides no data. */
static void
test_data_before_hang_up (BackendFixture *fixture)
{
  int fds[2];
  char buffer[8];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_cmpint (write (fds[1], "abc", 3), ==, 3);
  close (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 3);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 0);
  close (fds[0]);
}

/* A connection is there as soon as it can be accepted. */
static void
test_accept (BackendFixture *fixture)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int fds[2];
  int client;
  int accepted;

  open_listening (fds);
  g_assert_no_errno (getsockname (fds[0], (struct sockaddr *) &address, &length));
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, -1);

  client = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  g_assert_no_errno (client);

  if (connect (client, (struct sockaddr *) &address, length) < 0)
    g_assert_cmpint (errno, ==, EINPROGRESS);

  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  accepted = accept (fds[0], NULL, NULL);
  g_assert_no_errno (accepted);
  assert_ready (fixture->selector, 0, -1);

  close (accepted);
  close (client);
  close_pair (fds);
}

/* Selectors in selectors */

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
  assert_failed (&error, SEL_OS_ERROR, EINVAL);
  g_assert_false (is_registered (fixture->selector, own_fd));

  watch (fixture->selector, other_fd, SEL_EVENT_READ);
  g_assert_false (sel_base_selector_register (other, own_fd, SEL_EVENT_READ, NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ELOOP);
  g_assert_false (is_registered (other, own_fd));
  assert_quiet (fixture->selector, QUIET);
}

/* Many, and large numbers */

/* The hard limit is the limit, as long as that is not absurd. */
static guint
raise_limit (void)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));

  if (limit.rlim_cur < 4096 && limit.rlim_cur < limit.rlim_max)
    {
      limit.rlim_cur = MIN (limit.rlim_max, 4096);
      (void) setrlimit (RLIMIT_NOFILE, &limit);
      g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
    }

  return MIN (limit.rlim_cur, G_MAXINT);
}

static void
test_large_number (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int large;

  if (raise_limit () <= 3000)
    {
      g_test_skip ("the limit of open files is too low");
      return;
    }

  open_socketpair (fds);
  large = fcntl (fds[0], F_DUPFD_CLOEXEC, 3000);
  g_assert_no_errno (large);
  close (fds[0]);

  watch (selector, large, BOTH);
  assert_ready (selector, 0, large, SEL_EVENT_WRITE, -1);
  put_byte (fds[1]);
  assert_ready (selector, SEL_WAIT_FOREVER, large, BOTH, -1);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, 0, large, BOTH, fds[1], SEL_EVENT_WRITE, -1);
  rewatch (selector, large, SEL_EVENT_READ);
  assert_ready (selector, 0, large, SEL_EVENT_READ, fds[1], SEL_EVENT_WRITE, -1);

  /* the highest number goes, and comes back */
  unwatch (selector, large);
  assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  watch (selector, large, SEL_EVENT_READ);
  unwatch (selector, fds[1]);
  assert_ready (selector, 0, large, SEL_EVENT_READ, -1);
  close (large);
  assert_dead (fixture, large);

  close (fds[1]);
}

static guint
find_fd (const int *fds,
         guint      n_fds,
         int        fd)
{
  for (guint i = 0; i < n_fds; i++)
    if (fds[i] == fd)
      return i;

  g_assert_not_reached ();
}

/* A small array shows everybody after a few calls. */
static void
test_fairness (BackendFixture *fixture)
{
  int readers[4];
  int writers[4];
  guint n_seen[4] = { 0 };

  for (guint i = 0; i < 4; i++)
    {
      int fds[2];

      open_pipe (fds);
      readers[i] = fds[0];
      writers[i] = fds[1];
      put_byte (fds[1]);
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
    }

  for (guint i = 0; i < 40; i++)
    {
      SelReadyEvent event;

      g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, SEL_WAIT_FOREVER, &event,
                                                       1, NULL, NULL), ==, 1);
      n_seen[find_fd (readers, 4, event.fd)]++;

      /* each among the first eight already */
      if (i == 7)
        for (guint j = 0; j < 4; j++)
          g_assert_cmpuint (n_seen[j], >, 0);
    }

  for (guint j = 0; j < 4; j++)
    {
      g_assert_cmpuint (n_seen[j], >=, 5);
      close (readers[j]);
      close (writers[j]);
    }
}

/* As many as the limit allows up to 2,000, in batches; each is seen, none twice in a batch. */
static void
test_many (BackendFixture *fixture)
{
  guint n = MIN (2000, raise_limit () - 64) / 2;
  g_autofree int *readers = g_new (int, n);
  g_autofree int *writers = g_new (int, n);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_autoptr (GPtrArray) all = NULL;
  g_autoptr (GError) error = NULL;
  guint n_calls = 0;

  for (guint i = 0; i < n; i++)
    {
      int fds[2];

      open_pipe (fds);
      readers[i] = fds[0];
      writers[i] = fds[1];
      put_byte (fds[1]);
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
    }

  while (g_hash_table_size (seen) < n)
    {
      g_autoptr (GHashTable) batch = g_hash_table_new (NULL, NULL);
      SelReadyEvent events[50];
      gssize n_ready;

      n_ready = sel_base_selector_select_ready (fixture->selector, SEL_WAIT_FOREVER, events,
                                                G_N_ELEMENTS (events), NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpint (n_ready, >, 0);
      g_assert_cmpint (n_ready, <=, G_N_ELEMENTS (events));

      for (gssize i = 0; i < n_ready; i++)
        {
          g_assert_cmpuint (events[i].events, ==, SEL_EVENT_READ);
          g_assert_true (g_hash_table_add (batch, GINT_TO_POINTER (events[i].fd)));
          g_hash_table_add (seen, GINT_TO_POINTER (events[i].fd));
        }

      g_assert_cmpuint (++n_calls, <, n);
    }

  all = sel_base_selector_select (fixture->selector, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (all->len, ==, n);

  for (guint i = 0; i < n; i++)
    {
      if (i % 2 == 0)
        unwatch (fixture->selector, readers[i]);
      else
        drain (readers[i]);
    }

  assert_ready (fixture->selector, 0, -1);

  for (guint i = 0; i < n; i++)
    {
      close (readers[i]);
      close (writers[i]);
    }
}

/* The limit can be lowered below what is registered. poll () counts, the others do not. */
static void
test_lowered_limit (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  struct pollfd pollfds[20] = { 0 };
  struct rlimit limit;
  struct rlimit low;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;
  int fds[20][2];
  int n_polled;

  for (guint i = 0; i < 20; i++)
    {
      open_pipe (fds[i]);
      watch (selector, fds[i][0], SEL_EVENT_READ);
      pollfds[i].fd = fds[i][0];
    }

  put_byte (fds[7][1]);
  assert_ready (selector, 0, fds[7][0], SEL_EVENT_READ, -1);

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  low = limit;
  low.rlim_cur = 10;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  n_polled = poll (pollfds, 20, 0);
  ready = sel_base_selector_select (selector, 0, NULL, &error);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  if (fixture->backend->fails_above_limit && n_polled < 0)
    {
      g_assert_null (ready);
      g_assert_nonnull (strstr (error->message, "RLIMIT_NOFILE"));
      assert_failed (&error, SEL_OS_ERROR, EINVAL);
    }
  else
    {
      g_assert_no_error (error);
      g_assert_cmpuint (ready->len, ==, 1);
    }

  assert_ready (selector, 0, fds[7][0], SEL_EVENT_READ, -1);

  for (guint i = 0; i < 20; i++)
    close_pair (fds[i]);
}

/* Descriptors of the library's own */

static void
collect_fds (GHashTable *fds)
{
  DIR *dir = opendir ("/proc/self/fd");
  struct dirent *entry;

  g_assert_nonnull (dir);

  while ((entry = readdir (dir)) != NULL)
    if (g_ascii_isdigit (entry->d_name[0]) && atoi (entry->d_name) != dirfd (dir))
      g_hash_table_add (fds, GINT_TO_POINTER (atoi (entry->d_name)));

  closedir (dir);
}

static void
test_close_on_exec (BackendFixture *fixture)
{
  g_autoptr (GHashTable) before = g_hash_table_new (NULL, NULL);
  g_autoptr (GHashTable) after = g_hash_table_new (NULL, NULL);
  g_autoptr (SelBaseSelector) selector = NULL;
  GHashTableIter iter;
  gpointer fd;
  int fds[2];

  if (!g_file_test ("/proc/self/fd", G_FILE_TEST_IS_DIR))
    {
      g_test_skip ("this system has no /proc");
      return;
    }

  open_pipe (fds);
  collect_fds (before);

  selector = fixture->backend->new_selector (NULL);
  watch (selector, fds[0], SEL_EVENT_READ);
  sel_base_selector_wakeup (selector);
  assert_ready (selector, SEL_WAIT_FOREVER, -1);
  collect_fds (after);

  g_hash_table_iter_init (&iter, after);

  while (g_hash_table_iter_next (&iter, &fd, NULL))
    if (!g_hash_table_contains (before, fd))
      g_assert_cmpint (fcntl (GPOINTER_TO_INT (fd), F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);

  close_pair (fds);
}

static void
test_finalize_without_close (BackendFixture *fixture)
{
  int fds[2];
  guint n_open;

  open_pipe (fds);
  n_open = count_open_fds ();

  for (guint i = 0; i < 300; i++)
    {
      SelBaseSelector *selector = fixture->backend->new_selector (NULL);

      watch (selector, fds[1], SEL_EVENT_WRITE);
      assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);
      g_assert_finalize_object (G_OBJECT (selector));
    }

  g_assert_cmpuint (count_open_fds (), ==, n_open);
  close_pair (fds);
}

/* No descriptors left: the constructor says so and takes none. */
static void
test_no_descriptors_left (BackendFixture *fixture)
{
  struct rlimit limit;
  struct rlimit low;
  g_autoptr (SelBaseSelector) selector = NULL;
  g_autoptr (GError) error = NULL;
  int next;
  int fds[2];

  open_pipe (fds);
  next = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (next);

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  low = limit;
  low.rlim_cur = next;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  selector = fixture->backend->new_selector (&error);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  /* A selector that needs none at first is fine. */
  if (selector == NULL)
    assert_failed (&error, SEL_OS_ERROR, EMFILE);

  close_pair (fds);
}

/* The registry */

static void
test_unregister_while_iterating (BackendFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autoptr (GPtrArray) keys = NULL;
  int fds[10][2];

  for (guint i = 0; i < 10; i++)
    {
      open_pipe (fds[i]);
      watch (fixture->selector, fds[i][1], SEL_EVENT_WRITE);
    }

  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 10);

  for (guint i = 0; i < keys->len; i++)
    {
      SelSelectorKey *key = g_ptr_array_index (keys, i);

      g_assert_cmpint (sel_selector_key_get_fd (key), ==, fds[i][1]);
      unwatch (fixture->selector, fds[i][1]);
      g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 9 - i);
    }

  for (guint i = 0; i < 10; i++)
    close_pair (fds[i]);
}

/* Unregistered, or something else on its number, between the call and the look at the result. */
static void
test_unregister_in_batch (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GPtrArray) ready = NULL;
  int fds[2];
  int others[2];

  open_pipe (fds);
  open_pipe (others);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  watch (selector, others[1], SEL_EVENT_WRITE);
  ready = sel_base_selector_select (selector, 0, NULL, NULL);
  g_assert_cmpuint (ready->len, ==, 2);
  unwatch (selector, fds[1]);
  unwatch (selector, others[1]);
  sel_base_selector_close (selector);

  for (guint i = 0; i < 2; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (ready, i);
      SelSelectorKey *key = sel_selector_event_get_key (event);

      g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);
      g_assert_cmpuint (sel_selector_key_get_events (key), ==, SEL_EVENT_WRITE);
      g_assert_true (sel_selector_key_get_fd (key) == fds[1] ||
                     sel_selector_key_get_fd (key) == others[1]);
    }

  close_pair (fds);
  close_pair (others);
}

/* The three forms of select () tell the same. */
static void
test_forms_agree (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GPtrArray) list = NULL;
  g_autofree int *ready_fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds;
  gsize n_masks;
  SelReadyEvent events[16];
  char data[8];
  gssize n;
  g_autoptr (GError) error = NULL;
  int fds[16];

  for (guint i = 0; i < 8; i++)
    {
      open_socketpair (&fds[2 * i]);

      if (i % 2 == 0)
        put_byte (fds[2 * i + 1]);

      g_assert_true (sel_base_selector_register (selector, fds[2 * i], 1 + i % 3, &data[i], NULL,
                                                 &error));
    }

  list = sel_base_selector_select (selector, 0, NULL, &error);
  g_assert_no_error (error);
  n = sel_base_selector_select_ready (selector, 0, events, G_N_ELEMENTS (events), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_select_fds (selector, 0, NULL, &ready_fds, &n_fds, &masks,
                                               &n_masks, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (list->len, >, 0);
  g_assert_cmpuint (list->len, ==, n);
  g_assert_cmpuint (n_fds, ==, n);
  g_assert_cmpuint (n_masks, ==, n);

  for (gssize i = 0; i < n; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (list, i);
      SelSelectorKey *key = sel_selector_event_get_key (event);
      guint in_events = 0;
      guint in_fds = find_fd (ready_fds, n_fds, sel_selector_key_get_fd (key));

      while (events[in_events].fd != sel_selector_key_get_fd (key))
        g_assert_cmpuint (++in_events, <, n);

      g_assert_cmpuint (events[in_events].events, ==, sel_selector_event_get_events (event));
      g_assert_true (events[in_events].data == sel_selector_key_get_data (key));
      g_assert_cmpuint (masks[in_fds], ==, sel_selector_event_get_events (event));
    }

  for (guint i = 0; i < 16; i++)
    close (fds[i]);
}

/* Random operations. What must be ready is what poll () says, descriptor by descriptor. */

#define N_SLOTS 24

typedef struct
{
  int          fds[2];    /* -1: the file is closed */
  int          number;    /* what is registered */
  SelEventMask interest;  /* 0: it is not registered */
} Slot;

static SelEventMask
poll_one (int          fd,
          SelEventMask interest)
{
  struct pollfd pollfd = { .fd = fd };
  SelEventMask mask = 0;

  pollfd.events = ((interest & SEL_EVENT_READ) != 0 ? POLLIN : 0) |
                  ((interest & SEL_EVENT_WRITE) != 0 ? POLLOUT : 0);

  if (poll (&pollfd, 1, 0) < 1)
    return 0;

  if ((pollfd.revents & ~POLLOUT) != 0)
    mask |= SEL_EVENT_READ;

  if ((pollfd.revents & ~POLLIN) != 0)
    mask |= SEL_EVENT_WRITE;

  return mask & interest;
}

static void
slot_change_file (Slot  *slot,
                  GRand *rand)
{
  char buffer[16] = "";
  gssize n;

  switch (g_rand_int_range (rand, 0, 6))
    {
    case 0:
      n = write (slot->fds[1], "x", 1);
      break;

    case 1:
      n = read (slot->fds[0], buffer, sizeof buffer);
      break;

    case 2:
      while ((n = write (slot->fds[0], buffer, sizeof buffer)) > 0)
        ;
      break;

    case 3:
      while ((n = read (slot->fds[1], buffer, sizeof buffer)) > 0)
        ;
      break;

    case 4:
      n = shutdown (slot->fds[g_rand_int_range (rand, 0, 2)], SHUT_WR);
      break;

    default:
      /* close (), with a registration or without, and open anew */
      if (slot->interest != 0 && g_rand_boolean (rand))
        return;

      close_pair (slot->fds);
      slot->fds[0] = -1;
      n = 0;
    }

  (void) n;
}

static void
slot_change_registration (SelBaseSelector *selector,
                          Slot            *slot,
                          GRand           *rand)
{
  SelEventMask events = g_rand_int_range (rand, 0, 4);

  if (slot->interest == 0 && events != 0)
    {
      slot->number = slot->fds[0];
      watch (selector, slot->number, events);
    }
  else if (slot->interest != 0 && events != 0)
    {
      rewatch (selector, slot->number, events);
    }
  else if (slot->interest != 0)
    {
      unwatch (selector, slot->number);
    }

  slot->interest = events;
}

/* The new file may have got the number of one that was closed with its registration. */
static void
slot_open (SelBaseSelector *selector,
           Slot            *slot,
           Slot            *slots)
{
  open_socketpair (slot->fds);

  for (guint i = 0; i < N_SLOTS; i++)
    if (slots[i].interest != 0 &&
        (slots[i].number == slot->fds[0] || slots[i].number == slot->fds[1]))
      {
        unwatch (selector, slots[i].number);
        slots[i].interest = 0;
      }
}

static void
slot_step (SelBaseSelector *selector,
           Slot            *slot,
           Slot            *slots,
           GRand           *rand)
{
  if (slot->fds[0] >= 0)
    {
      if (g_rand_boolean (rand))
        slot_change_file (slot, rand);
      else
        slot_change_registration (selector, slot, rand);

      return;
    }

  /* its file is gone: the registration goes first, sometimes after a while */
  if (g_rand_boolean (rand))
    return;

  if (slot->interest != 0)
    unwatch (selector, slot->number);

  slot->interest = 0;
  slot_open (selector, slot, slots);
}

static void
slot_append_expected (Slot    *slot,
                      GString *want)
{
  SelEventMask mask;

  if (slot->interest == 0 || slot->fds[0] < 0)
    return;

  mask = poll_one (slot->number, slot->interest);

  if (mask != 0)
    g_string_append_printf (want, " %d:%s ", slot->number, mask_to_string (mask));
}

/* Both lists have the same entries; the numbers are in no order on the model's side. */
static void
assert_same_entries (const char *got,
                     const char *want)
{
  g_auto (GStrv) entries = g_strsplit (got, " ", -1);
  gsize length = 0;

  for (guint i = 0; entries[i] != NULL && entries[i][0] != '\0'; i++)
    {
      g_autofree char *entry = g_strdup_printf (" %s ", entries[i]);

      if (strstr (want, entry) == NULL)
        g_error ("%s is reported, but ready are%s", entries[i], want);

      length += strlen (entry);
    }

  if (length != strlen (want))
    g_error ("reported are only %s, but ready are%s", got, want);
}

static void
test_random (BackendFixture *fixture)
{
  const guint32 seed = 4711;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Slot slots[N_SLOTS];
  guint n_registered = 0;

  g_test_message ("seed %u", seed);

  for (guint i = 0; i < N_SLOTS; i++)
    {
      slots[i].interest = 0;
      open_socketpair (slots[i].fds);
    }

  for (guint step = 0; step < 3000; step++)
    {
      slot_step (fixture->selector, &slots[g_rand_int_range (rand, 0, N_SLOTS)], slots, rand);

      if (step % 3 == 0)
        {
          g_autofree char *got = ready_to_string (fixture->selector, 0);
          g_autoptr (GString) want = g_string_new (NULL);

          for (guint i = 0; i < N_SLOTS; i++)
            slot_append_expected (&slots[i], want);

          assert_same_entries (got, want->str);
        }
    }

  for (guint i = 0; i < N_SLOTS; i++)
    {
      n_registered += slots[i].interest != 0;

      if (slots[i].fds[0] >= 0)
        close_pair (slots[i].fds);
    }

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (fixture->selector)),
                    ==, n_registered);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
    {
      const char  *name;
      BackendFunc  func;
    }
  cases[] =
    {
      { "close-registered", test_close_registered },
      { "close-ready", test_close_ready },
      { "close-all", test_close_all },
      { "close-with-dup", test_close_with_dup },
      { "modify-closed", test_modify_closed },
      { "modify-reused", test_modify_reused },
      { "modify-reused-by-file", test_modify_reused_by_file },
      { "refresh-closed", test_refresh_closed },
      { "refresh-reused", test_refresh_reused },
      { "register-dup-back", test_register_dup_back },
      { "stale", test_stale },
      { "stale-reused", test_stale_reused },
      { "stale-small-buffer", test_stale_small_buffer },
      { "closed-small-buffer", test_closed_small_buffer },
      { "churn", test_churn },
      { "dup", test_dup },
      { "two-selectors", test_two_selectors },
      { "o-path", test_o_path },
      { "flags", test_flags },
      { "always-ready-refused", test_always_ready_refused },
      { "always-ready-emulated", test_always_ready_emulated },
      { "always-ready-fair", test_always_ready_fair },
      { "always-ready-closed", test_always_ready_closed },
      { "sysfs", test_sysfs },
      { "timeout-not-early", test_timeout_not_early },
      { "timeout-huge", test_timeout_huge },
      { "timeout-nan", test_timeout_nan },
      { "signal-storm", test_signal_storm },
      { "signal-wakeup", test_signal_wakeup },
      { "wakeup", test_wakeup },
      { "wakeup-small-buffer", test_wakeup_small_buffer },
      { "cancelled", test_cancelled },
      { "states-watched-before", test_states_watched_before },
      { "states-watched-after", test_states_watched_after },
      { "states-modified", test_states_modified },
      { "data-before-hang-up", test_data_before_hang_up },
      { "accept", test_accept },
      { "nested", test_nested },
      { "large-number", test_large_number },
      { "fairness", test_fairness },
      { "many", test_many },
      { "lowered-limit", test_lowered_limit },
      { "close-on-exec", test_close_on_exec },
      { "finalize-without-close", test_finalize_without_close },
      { "no-descriptors-left", test_no_descriptors_left },
      { "unregister-while-iterating", test_unregister_while_iterating },
      { "unregister-in-batch", test_unregister_in_batch },
      { "forms-agree", test_forms_agree },
      { "random", test_random },
    };

  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    backend_add (cases[i].name, cases[i].func);

  backend_add_for ("epoll", "nested-in-itself", test_nested_in_itself);

  return g_test_run ();
}
