/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The duration of a wait: timeouts, early returns, interruptions, failures, wake-ups and cancellation. */

#include "core-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <unistd.h>

static const struct
{
  gdouble timeout;
  gdouble at_least;
  gdouble at_most;
}
timeouts[] =
{
  { 0, 0, 0 },
  { -0.0, 0, 0 },
  { -1, 0, 0 },
  { -1e-300, 0, 0 },
  { -1e300, 0, 0 },
  { -INFINITY, 0, 0 },
  { 1e-300, 0, 1e-3 },
  { 5e-324, 0, 1e-3 }, /* the smallest one */
  { 1e-9, 0, 1e-3 },
  { 0.5, 0, 0.5 },
  { 86400, 3600, 86400 },
  { 4294967.296, 1e6, 4294967.296 },
  { 1e10, 1e6, 1e10 },
  { 1e300, 1e6, INFINITY },
  { DBL_MAX, 1e6, INFINITY },
  { SEL_WAIT_FOREVER, SEL_WAIT_FOREVER, SEL_WAIT_FOREVER },
};

static void
test_timeouts (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (timeouts); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
      {
        g_autoptr (GError) error = NULL;
        gsize n_ready;

        g_test_message ("timeout %g", timeouts[i].timeout);
        fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

        g_assert_true (select_forms[j] (fixture->selector, timeouts[i].timeout, NULL, &n_ready,
                                        &error));
        g_assert_no_error (error);
        g_assert_cmpuint (n_ready, ==, 1);
        g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 1);
        g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), >=, timeouts[i].at_least);
        g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), <=, timeouts[i].at_most);
        fake_selector_clear_log (fixture->fake);
      }
}

static void
test_timeout_polls_once (Fixture *fixture)
{
  static const gdouble polls[] = { 0, -0.0, -1, -1e-300, -INFINITY };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (polls); i++)
    {
      assert_ready (fixture->selector, polls[i], -1);
      fake_selector_assert_log (fixture->fake, "wait");
    }
}

static void
test_timeout_nan (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  assert_select_fails (fixture->selector, NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  assert_select_fails (fixture->selector, -NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  fake_selector_assert_log (fixture->fake, "%s", "");
}

static void
assert_timeouts_never_grow (FakeSelector *fake,
                            gdouble       timeout)
{
  for (guint i = 0; i < fake_selector_get_n_waits (fake); i++)
    {
      g_assert_cmpfloat (fake_selector_get_timeout (fake, i), <=, timeout);
      timeout = fake_selector_get_timeout (fake, i);
    }
}

/* wait() of the scripted selector always returns early here, so the core has to call it repeatedly. */
static void
test_deadline (Fixture *fixture)
{
  gint64 start;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  start = g_get_monotonic_time ();
  assert_ready (fixture->selector, 0.002, -1);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 2000);

  assert_timeouts_never_grow (fixture->fake, 0.002);
}

/* An always-ready file is closed. It must not end the following waits early, because a loop would then be busy. */
static void
test_always_ready_closed (Fixture *fixture)
{
  int fd = fcntl (fixture->a, F_DUPFD_CLOEXEC, 0);

  sel_base_selector_set_emulate_always_ready (fixture->selector, TRUE);
  watch_quietly (fixture, fixture->b, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);
  watch_quietly (fixture, fd, SEL_EVENT_READ);

  assert_ready (fixture->selector, 86400, fd, SEL_EVENT_READ, -1);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), <=, 0);
  fake_selector_clear_log (fixture->fake);

  close (fd);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, 86400, fixture->b, SEL_EVENT_READ, -1);
  g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 2);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), >, 0);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 1), >, 0);
}

static void
test_early_return (Fixture *fixture)
{
  static const gdouble waits[] = { 86400, 1e300, SEL_WAIT_FOREVER };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

      assert_ready (fixture->selector, waits[i], fixture->a, SEL_EVENT_READ, -1);
      g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 3);
      assert_timeouts_never_grow (fixture->fake, waits[i]);
      fake_selector_clear_log (fixture->fake);
    }
}

static void
test_eintr (Fixture *fixture)
{
  static const gdouble waits[] = { 86400, SEL_WAIT_FOREVER };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

      assert_ready (fixture->selector, waits[i], fixture->a, SEL_EVENT_READ, -1);
      g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 3);
      assert_timeouts_never_grow (fixture->fake, waits[i]);
      fake_selector_clear_log (fixture->fake);
    }
}

static void
test_interruptible (Fixture *fixture)
{
  gboolean interruptible = TRUE;

  g_object_get (fixture->selector, "interruptible", &interruptible, NULL);
  g_assert_false (interruptible);
  sel_base_selector_set_interruptible (fixture->selector, TRUE);
  g_assert_true (sel_base_selector_get_interruptible (fixture->selector));

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);

      g_assert_true (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, NULL, &n_ready,
                                      &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_ready, ==, 0);
      fake_selector_assert_log (fixture->fake, "wait");
    }

  /* An early return without EINTR does not end the wait. */
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
test_wait_fails (Fixture *fixture)
{
  static const struct
  {
    gboolean with_error;
    int      code;
  }
  failures[] =
  {
    { TRUE, EBADF },
    { TRUE, ENOMEM },
    { FALSE, SEL_SELECTOR_ERROR_FAILED },
  };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      GQuark domain = failures[i].with_error ? SEL_OS_ERROR : 0;

      for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
        fake_selector_push_error (fixture->fake, domain, failures[i].code);

      assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, NULL,
                           failures[i].with_error ? SEL_OS_ERROR : SEL_SELECTOR_ERROR,
                           failures[i].code);
    }

  /* EINTR of another error domain is an error, not an interruption. */
  for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
    fake_selector_push_error (fixture->fake, G_IO_ERROR, EINTR);
  assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, NULL, G_IO_ERROR, EINTR);

  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
wake_in_wait (FakeSelector *fake,
              gpointer      user_data)
{
  (void) user_data;
  sel_base_selector_wakeup (SEL_BASE_SELECTOR (fake));
}

static void
test_wakeup (Fixture *fixture)
{
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  fake_selector_push_call (fixture->fake, wake_in_wait, NULL);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);

  /* Several wake-ups end one wait only. */
  for (guint i = 0; i < 3; i++)
    sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);

  /* A wait with a timeout of 0 also consumes a wake-up. */
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, 0, -1);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);

  /* A wake-up does not hide a ready descriptor. */
  sel_base_selector_wakeup (fixture->selector);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
test_wakeup_before_open (Fixture *fixture)
{
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
}

static void
test_cancelled_before (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
  g_cancellable_cancel (cancellable);

  assert_select_fails (fixture->selector, 0, cancellable, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, cancellable,
                       G_IO_ERROR, G_IO_ERROR_CANCELLED);
  fake_selector_assert_log (fixture->fake, "%s", "");

  /* The next wait without the cancellable does not end early. */
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
cancel_in_wait (FakeSelector *fake,
                gpointer      user_data)
{
  (void) fake;
  g_cancellable_cancel (user_data);
}

static void
test_cancelled_during (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      fake_selector_push_call (fixture->fake, cancel_in_wait, cancellable);
      g_assert_false (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, cancellable,
                                       &n_ready, &error));
      assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_cancellable_reset (cancellable);

      /* The cancelled wait does not leave a wake-up that ends the next wait. */
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
      g_assert_true (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, cancellable, &n_ready,
                                      &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_ready, ==, 1);
    }
}

static void
report_and_cancel (FakeSelector *fake,
                   gpointer      user_data)
{
  Fixture *fixture = user_data;
  GCancellable *cancellable = g_object_get_data (G_OBJECT (fake), "cancellable");

  sel_base_selector_report (SEL_BASE_SELECTOR (fake), fixture->a, SEL_EVENT_READ);
  g_cancellable_cancel (cancellable);
}

static void
test_cancelled_beats_ready (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  gsize n_ready;

  g_object_set_data (G_OBJECT (fixture->fake), "cancellable", cancellable);
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_push_call (fixture->fake, report_and_cancel, fixture);

  g_assert_false (select_list (fixture->selector, SEL_WAIT_FOREVER, cancellable, &n_ready,
                               &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  assert_ready (fixture->selector, 0, -1);
}

static void
test_cancellable_unused (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  ready = sel_base_selector_select (fixture->selector, SEL_WAIT_FOREVER, cancellable, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);

  /* The cancellable is disconnected: if it is cancelled now, it does not end a wait without it. */
  g_cancellable_cancel (cancellable);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static const CoreCase cases[] =
{
  { "timeout/values", test_timeouts },
  { "timeout/polls-once", test_timeout_polls_once },
  { "timeout/nan", test_timeout_nan },
  { "wait/deadline", test_deadline },
  { "wait/always-ready-closed", test_always_ready_closed },
  { "wait/early-return", test_early_return },
  { "wait/eintr", test_eintr },
  { "wait/interruptible", test_interruptible },
  { "wait/fails", test_wait_fails },
  { "wakeup/ok", test_wakeup },
  { "wakeup/before-open", test_wakeup_before_open },
  { "cancel/before", test_cancelled_before },
  { "cancel/during", test_cancelled_during },
  { "cancel/beats-ready", test_cancelled_beats_ready },
  { "cancel/unused", test_cancellable_unused },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  core_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
