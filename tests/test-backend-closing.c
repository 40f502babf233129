/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registered descriptors that are closed. They are not reported, and do not disturb the wait for others. */

#include "backend-cases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
test_close_registered (BackendFixture *fixture)
{
  static const SelEventMask masks[] = { SEL_EVENT_READ, SEL_EVENT_WRITE, BOTH };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (masks); i++)
    {
      g_autoptr (GPtrArray) dead = NULL;
      int descriptor_flags = i % 2 == 0 ? 0 : FD_CLOEXEC;
      int fds[2];
      int others[2];

      open_socketpair (fds);
      open_pipe (others);
      g_assert_no_errno (fcntl (others[0], F_SETFD, descriptor_flags));
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

/* The descriptor is ready when it is closed. */
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

/* The file stays open under another number. A backend that recognises files cannot see that the number was closed. */
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

/* A closed descriptor does not use up the room of a ready one in a small array. */
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

static const BackendTest cases[] =
{
  { "close-registered", test_close_registered },
  { "close-ready", test_close_ready },
  { "close-all", test_close_all },
  { "close-with-dup", test_close_with_dup },
  { "modify-closed", test_modify_closed },
  { "refresh-closed", test_refresh_closed },
  { "closed-small-buffer", test_closed_small_buffer },
};

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
