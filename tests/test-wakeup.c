/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"
#include "core/sel-wakeup-private.h"

typedef struct
{
  SelWakeup wakeup;
  guint n_open;      /* descriptors of the process before the wake-up was opened */
} Fixture;

static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  g_autoptr (GError) error = NULL;

  fixture->n_open = count_open_fds ();
  fixture->wakeup = (SelWakeup) SEL_WAKEUP_INIT;
  g_assert_true (sel_wakeup_open (&fixture->wakeup, &error));
  g_assert_no_error (error);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  sel_wakeup_close (&fixture->wakeup);
  g_assert_cmpuint (count_open_fds (), ==, fixture->n_open);
}

static gboolean
is_readable (const SelWakeup *wakeup)
{
  struct pollfd entry = { .fd = wakeup->read_fd, .events = POLLIN };
  int n = poll (&entry, 1, 0);

  g_assert_no_errno (n);
  if (n > 0)
    g_assert_cmpint (entry.revents, ==, POLLIN);

  return n > 0;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

/* Several signals count as one. */
static void
test_signal (Fixture       *fixture,
             gconstpointer  data)
{
  SelWakeup *wakeup = &fixture->wakeup;

  g_assert_false (is_readable (wakeup));
  g_assert_false (sel_wakeup_drain (wakeup));

  for (guint n_signals = 1; n_signals <= 200; n_signals += 33)
    {
      for (guint i = 0; i < n_signals; i++)
        sel_wakeup_signal (wakeup);
      g_assert_true (is_readable (wakeup));
      g_assert_true (is_readable (wakeup));
      g_assert_true (sel_wakeup_drain (wakeup));
      g_assert_false (is_readable (wakeup));
      g_assert_false (sel_wakeup_drain (wakeup));
    }
  g_assert_cmpint (g_atomic_int_get (&wakeup->in_use), ==, 0);
}

/* sel_wakeup_signal () does not block if the counter or pipe is full. */
static void
test_full (Fixture       *fixture,
           gconstpointer  data)
{
  SelWakeup *wakeup = &fixture->wakeup;
#ifdef HAVE_EVENTFD
  uint64_t highest = UINT64_MAX - 1;

  g_assert_cmpint (write (wakeup->write_fd, &highest, sizeof highest), ==, sizeof highest);
#else
  fill (wakeup->write_fd);
#endif
  sel_wakeup_signal (wakeup);
  g_assert_true (is_readable (wakeup));
  g_assert_true (sel_wakeup_drain (wakeup));
  g_assert_false (is_readable (wakeup));

  sel_wakeup_signal (wakeup);
  g_assert_true (sel_wakeup_drain (wakeup));
}

static void
test_flags (Fixture       *fixture,
            gconstpointer  data)
{
  const int fds[] = { fixture->wakeup.read_fd, fixture->wakeup.write_fd };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_cmpint (fcntl (fds[i], F_GETFD) & FD_CLOEXEC, !=, 0);
      g_assert_cmpint (fcntl (fds[i], F_GETFL) & O_NONBLOCK, !=, 0);
    }
}

/* A signal handler may call sel_wakeup_signal (), so it keeps errno. */
static void
test_errno (Fixture       *fixture,
            gconstpointer  data)
{
  SelWakeup closed = SEL_WAKEUP_INIT;
  SelWakeup broken = { .read_fd = -1, .write_fd = closed_fd () };
  SelWakeup *wakeups[] = { &fixture->wakeup, &closed, &broken };

  for (guint i = 0; i < G_N_ELEMENTS (wakeups); i++)
    {
      errno = ENOTTY;
      sel_wakeup_signal (wakeups[i]);
      g_assert_cmpint (errno, ==, ENOTTY);
      g_assert_cmpint (g_atomic_int_get (&wakeups[i]->in_use), ==, 0);
    }
}

/* Each descriptor is closed once: a second close () of a number could close a file of another thread. In this test, the
 * second close () would set errno. */
static void
test_close (Fixture       *fixture,
            gconstpointer  data)
{
  SelWakeup *wakeup = &fixture->wakeup;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 3; i++)
    {
      int read_fd = wakeup->read_fd;
      int write_fd = wakeup->write_fd;

      errno = 0;
      sel_wakeup_close (wakeup);
      g_assert_cmpint (errno, ==, 0);
      g_assert_false (is_open (read_fd));
      g_assert_false (is_open (write_fd));
      g_assert_cmpint (wakeup->read_fd, ==, -1);
      g_assert_cmpint (wakeup->write_fd, ==, -1);

      /* A closed wake-up ignores further calls. */
      errno = 0;
      sel_wakeup_close (wakeup);
      sel_wakeup_signal (wakeup);
      g_assert_cmpint (errno, ==, 0);

      /* A new wake-up has no pending signal. */
      g_assert_true (sel_wakeup_open (wakeup, &error));
      g_assert_no_error (error);
      g_assert_false (is_readable (wakeup));
      sel_wakeup_signal (wakeup);
      g_assert_true (is_readable (wakeup));
    }
}

/* The wake-up is a pipe on systems without eventfd. */
static void
test_close_pipe (Fixture       *fixture,
                 gconstpointer  data)
{
  SelWakeup wakeup = SEL_WAKEUP_INIT;
  int fds[2];

  open_pipe (fds);
  wakeup.read_fd = fds[0];
  wakeup.write_fd = fds[1];
  errno = 0;
  sel_wakeup_close (&wakeup);
  g_assert_cmpint (errno, ==, 0);
  g_assert_false (is_open (fds[0]));
  g_assert_false (is_open (fds[1]));
}

/* The message does not name a descriptor. */
static void
test_open_fails (Fixture       *fixture,
                 gconstpointer  data)
{
  SelWakeup wakeup = SEL_WAKEUP_INIT;
  g_autoptr (GError) error = NULL;
  struct rlimit saved;
  gboolean success;

  forbid_open (&saved);
  success = sel_wakeup_open (&wakeup, &error);
  allow_open (&saved);

  g_assert_false (success);
  g_assert_nonnull (error);
  g_assert_null (strpbrk (error->message, "0123456789"));
  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  g_assert_cmpint (wakeup.read_fd, ==, -1);
  g_assert_cmpint (wakeup.write_fd, ==, -1);
}

static gpointer
close_in_thread (gpointer user_data)
{
  sel_wakeup_close (user_data);

  return NULL;
}

/* The descriptors stay open while a call of sel_wakeup_signal () may still write to them. */
static void
test_close_waits (Fixture       *fixture,
                  gconstpointer  data)
{
  SelWakeup *wakeup = &fixture->wakeup;
  int read_fd = wakeup->read_fd;
  int write_fd = wakeup->write_fd;
  GThread *thread;

  g_atomic_int_inc (&wakeup->in_use);
  thread = g_thread_new ("close", close_in_thread, wakeup);
  while (g_atomic_int_get (&wakeup->write_fd) >= 0)
    g_thread_yield ();
  for (guint i = 0; i < 100; i++)
    {
      g_assert_true (is_open (read_fd));
      g_assert_true (is_open (write_fd));
      g_thread_yield ();
    }

  g_atomic_int_add (&wakeup->in_use, -1);
  g_thread_join (thread);
  g_assert_false (is_open (read_fd));
  g_assert_false (is_open (write_fd));
}

static gpointer
signal_in_thread (gpointer user_data)
{
  sel_wakeup_signal (user_data);

  return NULL;
}

static void
test_thread (Fixture       *fixture,
             gconstpointer  data)
{
  struct pollfd entry = { .fd = fixture->wakeup.read_fd, .events = POLLIN };
  GThread *thread = g_thread_new ("signal", signal_in_thread, &fixture->wakeup);

  g_assert_cmpint (poll (&entry, 1, -1), ==, 1);
  g_thread_join (thread);
  g_assert_true (sel_wakeup_drain (&fixture->wakeup));
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*test) (Fixture *fixture, gconstpointer data);
  } cases[] = {
    { "/wakeup/signal", test_signal },
    { "/wakeup/full", test_full },
    { "/wakeup/flags", test_flags },
    { "/wakeup/errno", test_errno },
    { "/wakeup/close", test_close },
    { "/wakeup/close-pipe", test_close_pipe },
    { "/wakeup/close-waits", test_close_waits },
    { "/wakeup/open-fails", test_open_fails },
    { "/wakeup/thread", test_thread },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);

  return g_test_run ();
}
