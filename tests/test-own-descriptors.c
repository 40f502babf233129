/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends.h"

/* The library's own descriptors never get the number of a registered descriptor, even if that was closed. */

/* Closes registered descriptors, so that their numbers are the next ones to be used, and opens the selector again. */
static void
lose_and_reinit (BackendFixture *fixture,
                 int             fds[2],
                 guint           n_pairs)
{
  GError *error = NULL;

  /* The numbers of the pipes have to be lower than those of the selector. */
  g_clear_object (&fixture->selector);
  for (guint i = 0; i < n_pairs; i++)
    open_pipe (&fds[2 * i]);
  fixture_renew_selector (fixture);

  for (guint i = 0; i < n_pairs; i++)
    {
      watch (fixture->selector, fds[2 * i], SEL_EVENT_READ);
      watch (fixture->selector, fds[2 * i + 1], SEL_EVENT_WRITE);
    }
  for (guint i = 0; i < 2 * n_pairs; i++)
    close (fds[i]);

  sel_base_selector_reinit (fixture->selector, &error);
  g_assert_no_error (error);

  for (guint i = 0; i < 2 * n_pairs; i++)
    g_assert_cmpint (fcntl (fds[i], F_GETFD), <, 0);
}

static gpointer
wait_forever (gpointer data)
{
  BackendFixture *fixture = data;
  GError *error = NULL;
  g_autoptr(GPtrArray) events = sel_base_selector_select (fixture->selector, SEL_WAIT_FOREVER, NULL, &error);

  if (events != NULL)
    return GUINT_TO_POINTER (events->len + 1);

  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);

  return NULL;
}

/* A wake-up ends a wait before and after the closed descriptors were unregistered. */
static void
test_wakeup (BackendFixture *fixture)
{
  GThread *thread;
  int fds[4];

  lose_and_reinit (fixture, fds, 2);

  for (guint i = 0; i < 2; i++)
    {
      thread = g_thread_new ("waiter", wait_forever, fixture);
      sel_base_selector_wakeup (fixture->selector);
      g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (thread)), ==, 1);
      assert_ready (fixture->selector, 0, -1);
      if (i == 0)
        {
          for (guint j = 0; j < 4; j++)
            unwatch (fixture->selector, fds[j]);
        }
    }

  thread = g_thread_new ("waiter", wait_forever, fixture);
  sel_base_selector_close (fixture->selector);
  g_assert_null (g_thread_join (thread));
}

/* check () lists all closed descriptors. */
static void
test_check (BackendFixture *fixture)
{
  g_autoptr(GPtrArray) closed = NULL;
  GError *error = NULL;
  int fds[4];

  lose_and_reinit (fixture, fds, 2);
  closed = sel_base_selector_check (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (closed->len, ==, 4);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  backend_add ("own-descriptors/check", test_check);
  backend_add ("own-descriptors/wakeup", test_wakeup);

  return g_test_run ();
}
