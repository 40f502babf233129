/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <math.h>

#include "core/sel-timeout-private.h"
#include "sel-types.h"

/* Conversion of timeouts for system calls: rounded up, limited, and with a special value for an infinite wait. */

static void
test_forever (void)
{
  static const gdouble limited[] = { -INFINITY, -1, -0.0, 0, 1e-300, 1, 1e300, G_MAXDOUBLE };

  g_assert_true (sel_timeout_is_forever (SEL_WAIT_FOREVER));
  g_assert_true (sel_timeout_is_forever (INFINITY));
  for (guint i = 0; i < G_N_ELEMENTS (limited); i++)
    g_assert_false (sel_timeout_is_forever (limited[i]));
}

static void
test_milliseconds (void)
{
  static const struct
  {
    gdouble timeout;
    int expected;
  } cases[] = {
    { 0, 0 },
    { 1e-300, 1 },
    { 1e-9, 1 },
    { 0.00099, 1 },
    { 0.001, 1 },
    { 0.0010001, 2 },
    { 0.25, 250 },
    { 1, 1000 },
    { 1.0000001, 1001 },
    { 999999.5, 999999500 },
    { 1e6, 1000000000 },
    { 1e6 + 1, 1000000000 },
    { 1e10, 1000000000 },
    { G_MAXDOUBLE, 1000000000 },
    { INFINITY, -1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpint (sel_timeout_to_ms (cases[i].timeout), ==, cases[i].expected);
}

static void
test_timespec (void)
{
  static const struct
  {
    gdouble timeout;
    gint64 seconds;
    gint64 nanoseconds;
  } cases[] = {
    { 0, 0, 0 },
    { 1e-300, 0, 1 },
    { 1e-10, 0, 1 },
    { 1e-9, 0, 1 },
    { 1.5e-9, 0, 2 },
    { 0.25, 0, 250000000 },
    { 1, 1, 0 },
    { 1.5, 1, 500000000 },
    /* The fraction is rounded up to a whole second. */
    { 0.9999999999, 1, 0 },
    { 3.9999999999, 4, 0 },
    { 1e6, 1000000, 0 },
    { 1e6 + 0.5, 1000000, 0 },
    { G_MAXDOUBLE, 1000000, 0 },
  };
  struct timespec timespec;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      timespec = (struct timespec) { -1, -1 };
      g_assert_true (sel_timeout_to_timespec (cases[i].timeout, &timespec) == &timespec);
      g_assert_cmpint (timespec.tv_sec, ==, cases[i].seconds);
      g_assert_cmpint (timespec.tv_nsec, ==, cases[i].nanoseconds);
    }

  g_assert_null (sel_timeout_to_timespec (INFINITY, &timespec));
}

/* No conversion makes a timeout shorter, and the nanoseconds are always less than a second. */
static void
test_random (void)
{
  for (guint i = 0; i < 10000; i++)
    {
      gdouble timeout = pow (10, g_test_rand_double_range (-12, 6));
      struct timespec timespec;

      g_assert_cmpfloat (sel_timeout_to_ms (timeout), >=, timeout * 1e3);
      g_assert_cmpfloat (sel_timeout_to_ms (timeout), <, timeout * 1e3 + 1.001);

      sel_timeout_to_timespec (timeout, &timespec);
      g_assert_cmpint (timespec.tv_nsec, >=, 0);
      g_assert_cmpint (timespec.tv_nsec, <, 1000000000);
      g_assert_cmpfloat ((gdouble) timespec.tv_sec + (gdouble) timespec.tv_nsec / 1e9, >=, timeout * (1 - 1e-15));
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/timeout/forever", test_forever);
  g_test_add_func ("/timeout/milliseconds", test_milliseconds);
  g_test_add_func ("/timeout/timespec", test_timespec);
  g_test_add_func ("/timeout/random", test_random);

  return g_test_run ();
}
