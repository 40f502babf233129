/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a wait: timeouts, signals, wake-ups and cancellation. */

#include "backend-cases.h"
#include "epoll-sets.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <sys/time.h>

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

/* Signals do not change the end of a wait, and do not cause a new kernel object. */
static void
test_signal_storm (BackendFixture *fixture)
{
  guint n_sets = count_epoll_sets ();
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
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets);
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

  /* One signal only: it may come before the wait, and then it is not lost. */
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

  /* A wake-up also works if no descriptor is registered. */
  sel_base_selector_wakeup (selector);
  assert_ready (selector, SEL_WAIT_FOREVER, -1);

  watch (selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < 3; i++)
    sel_base_selector_wakeup (selector);

  assert_ready (selector, SEL_WAIT_FOREVER, -1);
  assert_quiet (selector, QUIET);

  /* More wake-ups than bytes fit into a pipe. */
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

/* A wake-up does not use up room in the caller's array. */
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

static const BackendTest cases[] =
{
  { "timeout-not-early", test_timeout_not_early },
  { "timeout-huge", test_timeout_huge },
  { "timeout-nan", test_timeout_nan },
  { "signal-storm", test_signal_storm },
  { "signal-wakeup", test_signal_wakeup },
  { "wakeup", test_wakeup },
  { "wakeup-small-buffer", test_wakeup_small_buffer },
  { "cancelled", test_cancelled },
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
