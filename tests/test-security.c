/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The promises of SECURITY.md, apart from those that the other tests check for every input. */

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

static char *program;

static gboolean
is_secure (void)
{
#ifdef __linux__
  return getauxval (AT_SECURE) != 0;
#else
  return geteuid () != getuid ();
#endif
}

/* LeakSanitizer calls this function. It cannot trace a set-user-ID program. */
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return is_secure ();
}

/* Runs in this program when it is started with an argument: prints whether it runs with elevated rights, and the type
 * of the default selector, which depends on the environment. */
static int
print_selector (void)
{
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (NULL);

  g_print ("%s %s", is_secure () ? "secure" : "plain", G_OBJECT_TYPE_NAME (selector));

  return 0;
}

static char *
run_program (const char *path)
{
  const char *argv[] = { path, "print-selector", NULL };
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, NULL));

  return output;
}

/* SEL_SELECTOR is used, except in a set-user-ID copy of this program that belongs to another user. */
static void
test_environment (void)
{
  g_autofree char *directory = g_dir_make_tmp ("sel-XXXXXX", NULL);
  g_autofree char *copy = g_build_filename (directory, "copy", NULL);
  const struct passwd *nobody = getpwnam ("nobody");
  g_autofree char *contents = NULL;
  g_autofree char *plain = NULL;
  g_autofree char *secure = NULL;
  gsize size;

  g_setenv ("SEL_SELECTOR", "select", TRUE);
  plain = run_program (program);
  g_assert_cmpstr (plain, ==, "plain SelSelectSelector");

  if (geteuid () != 0 || nobody == NULL)
    {
      g_test_skip ("only root can make a set-user-ID program of another user");
      g_rmdir (directory);
      return;
    }

  g_assert_true (g_file_get_contents (program, &contents, &size, NULL));
  g_assert_true (g_file_set_contents (copy, contents, (gssize) size, NULL));
  g_assert_no_errno (chmod (directory, 0755));
  g_assert_no_errno (chown (copy, nobody->pw_uid, nobody->pw_gid));
  g_assert_no_errno (chmod (copy, 04755));

  secure = run_program (copy);
  if (g_str_has_prefix (secure, "plain"))
    g_test_skip ("set-user-ID programs are not allowed where temporary files are");
  else
    g_assert_cmpstr (secure, !=, "secure SelSelectSelector");

  g_unsetenv ("SEL_SELECTOR");
  g_unlink (copy);
  g_rmdir (directory);
}

/* An empty SEL_SELECTOR counts as unset. */
static void
test_empty (void)
{
  g_autofree char *expected = NULL;
  g_autofree char *got = NULL;

  g_unsetenv ("SEL_SELECTOR");
  expected = run_program (program);
  g_setenv ("SEL_SELECTOR", "", TRUE);
  got = run_program (program);
  g_unsetenv ("SEL_SELECTOR");
  g_assert_cmpstr (got, ==, expected);
}

/* The descriptors that the library opens are closed by exec (). The caller decides about descriptors that the caller
 * opened. */
static void
test_exec (BackendFixture *fixture)
{
  const char *argv[] = { "/bin/sh", "-c", "ls -1 /proc/self/fd | wc -l", NULL };
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *before = NULL;
  g_autofree char *during = NULL;
  GSource *source;
  int fds[2];

  g_clear_object (&fixture->selector);
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &before, NULL, NULL, NULL);

  fixture->selector = fixture->backend->new_selector (NULL);
  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, 0, -1);
  source = sel_base_selector_create_source (fixture->selector);
  g_source_attach (source, context);
  g_main_context_iteration (context, FALSE);
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &during, NULL, NULL, NULL);
  g_assert_cmpstr (during, ==, before);

  g_source_destroy (source);
  g_source_unref (source);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  if (argc == 2 && g_str_equal (argv[1], "print-selector"))
    return print_selector ();

  program = g_file_read_link ("/proc/self/exe", NULL);
  if (program == NULL)
    program = g_canonicalize_filename (argv[0], NULL);

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/security/environment", test_environment);
  g_test_add_func ("/security/empty", test_empty);
  backend_add ("exec", test_exec);

  return g_test_run ();
}
