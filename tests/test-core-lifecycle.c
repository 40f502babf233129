/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a selector: open, reinit, release and close, and a class without virtual functions. */

#include "core-fixture.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static void
test_open_once (Fixture *fixture)
{
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_assert_log (fixture->fake, "open update(%d,0,1)", fixture->a);

  watch (fixture->selector, fixture->b, ALL_EVENTS);
  fake_selector_assert_log (fixture->fake, "update(%d,0,3)", fixture->b);

  assert_ready (fixture->selector, 0, -1);
  fake_selector_assert_log (fixture->fake, "wait");
}

static void
test_open_by_select (Fixture *fixture)
{
  assert_ready (fixture->selector, 0, -1);
  fake_selector_assert_log (fixture->fake, "open wait");
}

static void
test_open_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fake_selector_fail (fixture->fake, FAKE_OPEN, SEL_OS_ERROR, EMFILE);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, EMFILE);
  assert_not_registered (fixture->selector, fixture->a);

  /* The error is remembered: open() is called only once. */
  fake_selector_assert_log (fixture->fake, "open");

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "open");
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
}

static void
test_wake_fails (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();
  g_autoptr (GError) error = NULL;

  fake_selector_fail (fixture->fake, FAKE_WAKE, SEL_OS_ERROR, ENOSPC);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOSPC);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, ENOSPC);

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_reinit (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  watch_quietly (fixture, fixture->b, SEL_EVENT_WRITE);

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);

  g_assert_true (g_str_has_prefix (fake_selector_get_log (fixture->fake), "release(0) open "));
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, SEL_EVENT_READ);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->b), ==, SEL_EVENT_WRITE);
  g_assert_cmpuint (fake_selector_get_n_watched (fixture->fake), ==, 2);

  fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_WRITE, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->b, SEL_EVENT_WRITE, -1);

  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
}

static void
test_reinit_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_OPEN, SEL_OS_ERROR, EMFILE);

  g_assert_false (sel_base_selector_reinit (fixture->selector, &error));
  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, EMFILE);
  fake_selector_assert_log (fixture->fake, "release(0) open");

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "open update(%d,0,1)", fixture->a);
}

static void
test_release_by_close (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  sel_base_selector_close (fixture->selector);
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);

  sel_base_selector_close (fixture->selector);
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_by_dispose (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_by_run_dispose (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  g_object_run_dispose (G_OBJECT (fixture->selector));
  g_assert_true (sel_base_selector_is_closed (fixture->selector));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_never_opened (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases);
}

#define assert_closed(failed)                                                        \
  G_STMT_START                                                                       \
    {                                                                                \
      g_assert_true (failed);                                                        \
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);         \
    }                                                                                \
  G_STMT_END

static void
assert_all_closed (SelBaseSelector *selector,
                   int              fd,
                   GObject         *object)
{
  const SelEventMask events = SEL_EVENT_READ;
  g_autoptr (GError) error = NULL;

  assert_closed (!sel_base_selector_register (selector, fd, events, NULL, NULL, &error));
  assert_closed (!sel_base_selector_modify (selector, fd, events, NULL, NULL, &error));
  assert_closed (!sel_base_selector_modify_events (selector, fd, events, &error));
  assert_closed (!sel_base_selector_unregister (selector, fd, &error));
  assert_closed (!sel_base_selector_refresh (selector, fd, &error));

  assert_closed (sel_base_selector_register_value (selector, fd, events, NULL, &error) == NULL);
  assert_closed (sel_base_selector_modify_value (selector, fd, events, NULL, &error) == NULL);
  assert_closed (sel_base_selector_unregister_key (selector, fd, &error) == NULL);
  assert_closed (sel_base_selector_get_key (selector, fd, &error) == NULL);
  assert_closed (sel_base_selector_check (selector, &error) == NULL);

  assert_closed (!sel_base_selector_register_object (selector, object, events, NULL, NULL,
                                                     &error));
  assert_closed (!sel_base_selector_modify_object (selector, object, events, NULL, NULL,
                                                   &error));
  assert_closed (!sel_base_selector_unregister_object (selector, object, &error));
  assert_closed (sel_base_selector_register_object_value (selector, object, events, NULL,
                                                          &error) == NULL);
  assert_closed (sel_base_selector_modify_object_value (selector, object, events, NULL,
                                                        &error) == NULL);
  assert_closed (sel_base_selector_unregister_object_key (selector, object, &error) == NULL);
  assert_closed (sel_base_selector_get_key_object (selector, object, &error) == NULL);

  assert_closed (!sel_base_selector_reinit (selector, &error));

  assert_select_fails (selector, 0, NULL, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  assert_select_fails (selector, SEL_WAIT_FOREVER, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);

  g_assert_null (sel_base_selector_get_map (selector));
  g_assert_true (sel_base_selector_is_closed (selector));
  sel_base_selector_wakeup (selector);
  sel_base_selector_close (selector);
}

static void
test_after_close (Fixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autoptr (SelSelectorMapping) kept_map = g_object_ref (map);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  int fd = dup (fixture->b);

  socket = g_socket_new_from_fd (fd, &error);
  g_assert_no_error (error);

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_register_object (fixture->selector, G_OBJECT (socket),
                                                    SEL_EVENT_READ, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_false (sel_base_selector_is_closed (fixture->selector));

  sel_base_selector_close (fixture->selector);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  fake_selector_clear_log (fixture->fake);

  assert_all_closed (fixture->selector, fixture->a, G_OBJECT (socket));
  fake_selector_assert_log (fixture->fake, "%s", "");

  g_assert_cmpuint (sel_selector_mapping_get_size (kept_map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (kept_map, fixture->a));
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&socket)));
}

static void
test_close_before_open (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;

  socket = g_socket_new_from_fd (dup (fixture->b), &error);
  g_assert_no_error (error);

  sel_base_selector_close (fixture->selector);
  assert_all_closed (fixture->selector, fixture->a, G_OBJECT (socket));
  fake_selector_assert_log (fixture->fake, "%s", "");
}

static void
test_closed_comes_first (Fixture *fixture)
{
  static const Method methods[] = { REGISTER, MODIFY, MODIFY_EVENTS, UNREGISTER, REFRESH, GET_KEY };

  sel_base_selector_close (fixture->selector);

  for (gsize i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (call_method (fixture->selector, methods[i], -1, 0, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
    }

  assert_select_fails (fixture->selector, NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
}

#define BARE_TYPE_SELECTOR (bare_selector_get_type ())

G_DECLARE_FINAL_TYPE (BareSelector, bare_selector, BARE, SELECTOR, SelBaseSelector)

struct _BareSelector
{
  SelBaseSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (BareSelector, bare_selector, SEL_TYPE_BASE_SELECTOR)

static void
bare_selector_class_init (BareSelectorClass *klass)
{
}

static void
bare_selector_init (BareSelector *self)
{
}

static gboolean
bare_selector_update (SelBaseSelector  *selector,
                      int               fd,
                      SelEventMask      old_events,
                      SelEventMask      new_events,
                      GError          **error)
{
  return TRUE;
}

static void
test_bare (Fixture *fixture)
{
  g_autoptr (SelBaseSelector) selector = g_object_new (BARE_TYPE_SELECTOR, NULL);
  g_autoptr (SelBaseSelector) half = NULL;
  guint n_open = count_open_fds ();
  g_autoptr (GError) error = NULL;

  g_assert_false (sel_base_selector_register (selector, fixture->a, ALL_EVENTS, NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "BareSelector does not implement update ()"));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  assert_map_size (selector, 0);
  assert_select_fails (selector, 0, NULL, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  sel_base_selector_close (selector);
  g_assert_cmpuint (count_open_fds (), ==, n_open);

  SEL_BASE_SELECTOR_GET_CLASS (selector)->update = bare_selector_update;
  half = g_object_new (BARE_TYPE_SELECTOR, NULL);
  g_assert_true (sel_base_selector_register (half, fixture->a, ALL_EVENTS, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_null (sel_base_selector_select (half, 0, NULL, &error));
  g_assert_nonnull (strstr (error->message, "BareSelector does not implement wait ()"));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
}

static const CoreCase cases[] =
{
  { "open/once", test_open_once },
  { "open/by-select", test_open_by_select },
  { "open/fails", test_open_fails },
  { "open/wake-fails", test_wake_fails },
  { "reinit/ok", test_reinit },
  { "reinit/fails", test_reinit_fails },
  { "release/close", test_release_by_close },
  { "release/dispose", test_release_by_dispose },
  { "release/run-dispose", test_release_by_run_dispose },
  { "release/never-opened", test_release_never_opened },
  { "closed/every-method", test_after_close },
  { "closed/before-open", test_close_before_open },
  { "closed/comes-first", test_closed_comes_first },
  { "class-without-functions", test_bare },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  core_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
