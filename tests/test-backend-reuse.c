/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers of descriptors that are closed and used again, and files with more than one descriptor. */

#include "backend-cases.h"
#include "system-facts.h"
#include "epoll-sets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static void
test_modify_reused (BackendFixture *fixture)
{
  for (guint noticed = 0; noticed < 2; noticed++)
    {
      SelBaseSelector *selector = fixture->selector;
      int fds[2];
      int others[2];

      open_pipe (fds);
      open_one_way (others);
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

      /* A change of the data alone does not call the kernel, so it cannot fail. */
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

/* The number now belongs to a regular file, which some kernels do not wait for. */
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

/* The same file gets its old number back. */
static void
test_register_dup_back (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int copy;

  open_one_way (fds);
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

/* The kernel still watches a file that cannot be removed any more, because its descriptor was closed first. */
static void
test_stale (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int others[2];
  int own_fd = -1;
  guint n_sets;
  int copy;

  if (fixture->backend->get_fd != NULL)
    own_fd = fixture->backend->get_fd (selector, NULL);

  open_pipe (fds);
  open_one_way (others);
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

  n_sets = count_epoll_sets ();
  assert_quiet (selector, 0.05);
  assert_quiet (selector, QUIET);

  if (fixture->backend->identity == BACKEND_BY_FILE)
    g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);

  /* The registrations are kept, and the selector's own descriptor keeps its number. */
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

/* The events of the old file are not reported for the new file with the same number. */
static void
test_stale_reused (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelReadyEvent event;
  int fds[2];
  int others[2];
  guint n_sets = count_epoll_sets ();
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
    g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);

  close (copy);
  close_pair (fds);
  close_pair (others);
}

/* The event of the old file comes first, and the array has room for one event only. */
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

/* Registers, unregisters, closes and reopens the same numbers many times. */
static void
test_churn (BackendFixture *fixture)
{
  guint n_sets = count_epoll_sets ();

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
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets);
}

/* One file with two numbers has two registrations. */
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

/* Two selectors wait for one file. */
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

static const BackendTest cases[] =
{
  { "modify-reused", test_modify_reused },
  { "refresh-reused", test_refresh_reused },
  { "modify-reused-by-file", test_modify_reused_by_file },
  { "register-dup-back", test_register_dup_back },
  { "stale", test_stale },
  { "stale-reused", test_stale_reused },
  { "stale-small-buffer", test_stale_small_buffer },
  { "churn", test_churn },
  { "dup", test_dup },
  { "two-selectors", test_two_selectors },
};

/* Another epoll set watches the descriptor of the selector, also after the selector had to rebuild its own set. */
static void
test_watched_by_other_set (BackendFixture *fixture)
{
  g_autoptr(SelBaseSelector) other = NULL;
  GError *error = NULL;
  int fds[2], lost[2];
  int fd, duplicate;
  guint n_sets;

  fd = fixture->backend->get_fd (fixture->selector, &error);
  g_assert_no_error (error);
  other = sel_epoll_selector_new (&error);
  g_assert_no_error (error);
  watch (other, fd, SEL_EVENT_READ);

  open_pipe (fds);
  open_pipe (lost);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  watch (fixture->selector, lost[0], SEL_EVENT_READ);
  duplicate = dup (lost[0]);
  close (lost[0]);
  unwatch (fixture->selector, lost[0]);
  put_byte (lost[1]);
  n_sets = count_epoll_sets ();
  assert_ready (fixture->selector, 0, -1);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);
  g_assert_cmpint (fixture->backend->get_fd (fixture->selector, &error), ==, fd);
  g_assert_no_error (error);
  assert_ready (other, 0, -1);

  put_byte (fds[1]);
  assert_ready (other, 0, fd, SEL_EVENT_READ, -1);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);

  unwatch (other, fd);
  close (lost[1]);
  close (duplicate);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_cases (cases, G_N_ELEMENTS (cases));
  backend_add_for ("epoll", "watched-by-other-set", test_watched_by_other_set);

  return g_test_run ();
}
