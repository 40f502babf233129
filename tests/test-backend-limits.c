/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many descriptors, large numbers, the limit of open files, and the descriptors that a selector opens itself. */

#include "backend-cases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void
test_large_number (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];
  int large;

  if (raise_fd_limit () <= 3000)
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

  /* The highest number is unregistered, and registered again. */
  unwatch (selector, large);
  assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  watch (selector, large, SEL_EVENT_READ);
  unwatch (selector, fds[1]);
  assert_ready (selector, 0, large, SEL_EVENT_READ, -1);
  close (large);
  assert_dead (fixture, large);

  close (fds[1]);
}

/* Each ready descriptor is reported after a few calls with a small array. */
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

      /* Each descriptor is among the first eight reports. */
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

/* Up to 2,000 ready descriptors are reported in batches, each one, and never twice in a batch. */
static void
test_many (BackendFixture *fixture)
{
  guint n = MIN (2000, raise_fd_limit () - 64) / 2;
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

/* The limit may become lower than the number of registered descriptors. poll () then fails, other calls do not. */
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

/* If no descriptor can be opened, the constructor fails with an error and opens none. */
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

  /* Backends that open no descriptor in the constructor succeed. */
  if (selector == NULL)
    assert_failed (&error, SEL_OS_ERROR, EMFILE);

  close_pair (fds);
}

static const BackendTest cases[] =
{
  { "large-number", test_large_number },
  { "fairness", test_fairness },
  { "many", test_many },
  { "lowered-limit", test_lowered_limit },
  { "close-on-exec", test_close_on_exec },
  { "finalize-without-close", test_finalize_without_close },
  { "no-descriptors-left", test_no_descriptors_left },
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
