/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SEL_DEBUG=fd, over every backend. */

#include "config.h"

#include "backends.h"

#include <fcntl.h>
#include <unistd.h>

static void
expect_warning (int fd)
{
  g_autofree char *pattern = g_strdup_printf ("*Descriptor %d was closed*", fd);

  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, pattern);
}

/* Puts the read end of another pipe under the number of a registered one. */
static void
replace (int fds[2])
{
  int others[2];

  open_pipe (others);
  g_assert_cmpint (dup2 (others[0], fds[0]), ==, fds[0]);
  close (others[0]);
  close (fds[1]);
  fds[1] = others[1];
}

static void
test_unregister (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  replace (fds);
  expect_warning (fds[0]);
  unwatch (fixture->selector, fds[0]);
  g_test_assert_expected_messages ();

  /* That was all there is to say. */
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

static void
test_modify (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  replace (fds);
  expect_warning (fds[0]);
  rewatch (fixture->selector, fds[0], SEL_EVENT_READ | SEL_EVENT_WRITE);
  g_test_assert_expected_messages ();
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

static void
test_same_file (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  rewatch (fixture->selector, fds[0], SEL_EVENT_READ | SEL_EVENT_WRITE);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  g_test_init (&argc, &argv, NULL);

  backend_add ("debug/modify", test_modify);
  backend_add ("debug/same-file", test_same_file);
  backend_add ("debug/unregister", test_unregister);

  return g_test_run ();
}
