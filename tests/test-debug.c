/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SEL_DEBUG=fd with every backend. */

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

/* Replaces a registered descriptor by the read end of another pipe, under the same number. */
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

  /* There is only one warning. */
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

static void
close_for_warning (const gchar    *domain,
                   GLogLevelFlags  level,
                   const gchar    *message,
                   gpointer        user_data)
{
  sel_base_selector_close (user_data);
}

static gboolean
is_fatal (const gchar    *domain,
          GLogLevelFlags  level,
          const gchar    *message,
          gpointer        user_data)
{
  return FALSE;
}

/* A log handler closes the selector while a function of it is running. */
static void
test_close (BackendFixture *fixture)
{
  GError *error = NULL;
  int fds[2];
  guint handler;

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  replace (fds);
  g_test_log_set_fatal_handler (is_fatal, NULL);
  handler = g_log_set_handler ("Sel", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, close_for_warning, fixture->selector);

  g_assert_false (sel_base_selector_modify_events (fixture->selector, fds[0], SEL_EVENT_WRITE, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);

  g_log_remove_handler ("Sel", handler);
  g_test_log_set_fatal_handler (NULL, NULL);
  close_pair (fds);
}

static void
test_check (BackendFixture *fixture)
{
  g_autoptr(GPtrArray) closed = NULL;
  GError *error = NULL;
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  replace (fds);
  expect_warning (fds[0]);
  closed = sel_base_selector_check (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (closed->len, ==, 0);
  g_test_assert_expected_messages ();

  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  g_test_init (&argc, &argv, NULL);

  backend_add ("debug/check", test_check);
  backend_add ("debug/close", test_close);
  backend_add ("debug/modify", test_modify);
  backend_add ("debug/same-file", test_same_file);
  backend_add ("debug/unregister", test_unregister);

  return g_test_run ();
}
