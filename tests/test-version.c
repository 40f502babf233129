/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>

/* The macros must work in #if. */
#if !SEL_CHECK_VERSION (1, 0, 0)
#error "older than the first version"
#endif
#if SEL_CHECK_VERSION (2, 0, 0)
#error "version 2 has another name"
#endif
#if SEL_VERSION_MAX_ALLOWED < SEL_VERSION_1_0
#error "nothing is allowed"
#endif

static void
test_check (void)
{
  const int major = SEL_MAJOR_VERSION, minor = SEL_MINOR_VERSION, micro = SEL_MICRO_VERSION;

  g_assert_true (SEL_CHECK_VERSION (major, minor, micro));
  g_assert_true (SEL_CHECK_VERSION (major, minor, micro - 1));
  g_assert_true (SEL_CHECK_VERSION (major, minor - 1, micro + 1));
  g_assert_true (SEL_CHECK_VERSION (major - 1, minor + 1, micro + 1));
  g_assert_false (SEL_CHECK_VERSION (major, minor, micro + 1));
  g_assert_false (SEL_CHECK_VERSION (major, minor + 1, micro));
  g_assert_false (SEL_CHECK_VERSION (major + 1, minor, micro));
}

static void
test_library (void)
{
  g_assert_cmpuint (sel_get_major_version (), ==, SEL_MAJOR_VERSION);
  g_assert_cmpuint (sel_get_minor_version (), ==, SEL_MINOR_VERSION);
  g_assert_cmpuint (sel_get_micro_version (), ==, SEL_MICRO_VERSION);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/version/check", test_check);
  g_test_add_func ("/version/library", test_library);
  return g_test_run ();
}
