/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registering, modifying, unregistering and refreshing: invalid values, failures, the calls of update() and the life of
 * the data. */

#include "core-fixture.h"

#include <errno.h>
#include <string.h>

typedef enum
{
  REGISTERED,
  UNKNOWN,
  NEGATIVE
} Descriptor;

static const struct
{
  Method           method;
  Descriptor       descriptor;
  guint            events;
  SelSelectorError code;
}
invalid_values[] =
{
  { REGISTER, UNKNOWN, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, 4, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, SEL_EVENT_READ | 1u << 31, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, G_MAXUINT, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },
  { REGISTER, REGISTERED, SEL_EVENT_READ, SEL_SELECTOR_ERROR_ALREADY_REGISTERED },
  { REGISTER, REGISTERED, SEL_EVENT_WRITE, SEL_SELECTOR_ERROR_ALREADY_REGISTERED },

  { MODIFY, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY, REGISTERED, 4, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY, UNKNOWN, SEL_EVENT_READ, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { MODIFY, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },

  { MODIFY_EVENTS, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY_EVENTS, REGISTERED, G_MAXUINT, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY_EVENTS, UNKNOWN, SEL_EVENT_READ, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { MODIFY_EVENTS, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },

  { UNREGISTER, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { UNREGISTER, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  { REFRESH, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { REFRESH, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  { GET_KEY, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { GET_KEY, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  /* Like in Python, the mask is checked first, then the file, then the registration. */
  { REGISTER, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
};

static void
test_invalid_values (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);

  for (gsize i = 0; i < G_N_ELEMENTS (invalid_values); i++)
    {
      const int fds[] = { [REGISTERED] = fixture->a, [UNKNOWN] = fixture->b, [NEGATIVE] = -1 };

      g_test_message ("case %" G_GSIZE_FORMAT, i);
      g_assert_false (call_method (fixture->selector, invalid_values[i].method,
                                   fds[invalid_values[i].descriptor], invalid_values[i].events,
                                   &fixture->new_destroyed, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, invalid_values[i].code);

      assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->old_destroyed);
      assert_map_size (fixture->selector, 1);
    }

  fake_selector_assert_log (fixture->fake, "%s", "");
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);
}

static void
test_register_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->b, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              &fixture->old_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_OS_ERROR, EPERM);
  assert_not_registered (fixture->selector, fixture->a);
  assert_map_size (fixture->selector, 1);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", fixture->a);

  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, 0, -1);

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_WRITE, &fixture->old_destroyed);
}

static void
test_register_twice (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              &fixture->old_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
}

static void
test_modify_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);

  g_assert_false (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                            &fixture->new_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_not_registered (fixture->selector, fixture->a);
  assert_map_size (fixture->selector, 0);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);

  /* A failed update() does not change the kernel, so the core has to remove the descriptor. */
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, 0);

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
}

static void
test_modify_events_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, 0, 0);

  g_assert_false (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                   &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  assert_not_registered (fixture->selector, fixture->a);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, 0);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
}

static void
test_unregister_ignores_errors (Fixture *fixture)
{
  static const gboolean with_error[] = { TRUE, FALSE };

  for (gsize i = 0; i < G_N_ELEMENTS (with_error); i++)
    {
      g_autoptr (GError) error = NULL;

      watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
      fake_selector_fail (fixture->fake, FAKE_UPDATE, with_error[i] ? SEL_OS_ERROR : 0, EBADF);

      g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
      g_assert_no_error (error);
      fake_selector_assert_log (fixture->fake, "update(%d,1,0)", fixture->a);
      assert_not_registered (fixture->selector, fixture->a);
    }
}

static void
test_modify_updates (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);

  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                           &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,2)", fixture->a);

  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                  &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,2,3)", fixture->a);

  /* The data was always the same, so it is still in use. */
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  assert_registered (fixture->selector, fixture->a, ALL_EVENTS, &fixture->old_destroyed);
}

static void
test_modify_without_update (Fixture *fixture)
{
  g_autoptr (SelSelectorKey) old_key = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);
  old_key = sel_base_selector_get_key (fixture->selector, fixture->a, &error);
  g_assert_no_error (error);

  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, SEL_EVENT_READ,
                                                  &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ,
                                           &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->old_destroyed);

  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ,
                                           &fixture->new_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->new_destroyed);

  fake_selector_assert_log (fixture->fake, "%s", "");

  /* The old key still has the old data. */
  g_assert_true (sel_selector_key_get_data (old_key) == &fixture->old_destroyed);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  g_clear_object (&old_key);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);
}

static void
test_refresh (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  g_assert_true (sel_base_selector_refresh (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_nonnull (strstr (fake_selector_get_log (fixture->fake), "update("));
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, SEL_EVENT_READ);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
}

static void
ask_in_update (FakeSelector *fake,
               gpointer      user_data)
{
  SelBaseSelector *selector = SEL_BASE_SELECTOR (fake);
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  Fixture *fixture = user_data;

  assert_registered (selector, fixture->b, SEL_EVENT_WRITE, NULL);
  g_assert_true (sel_selector_mapping_contains (map, fixture->b));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), >=, 1);
  g_ptr_array_unref (sel_selector_mapping_get_keys (map));
  g_object_unref (sel_selector_mapping_lookup (map, fixture->b));
  g_assert_false (sel_base_selector_is_closed (selector));
  g_assert_false (sel_base_selector_get_interruptible (selector));
  sel_base_selector_wakeup (selector);
}

static void
ask_while_adding (FakeSelector *fake,
                  gpointer      user_data)
{
  Fixture *fixture = user_data;

  ask_in_update (fake, user_data);
  assert_not_registered (fixture->selector, fixture->a);
}

static void
ask_while_changing (FakeSelector *fake,
                    gpointer      user_data)
{
  Fixture *fixture = user_data;

  ask_in_update (fake, user_data);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
}

static void
test_ask_in_update (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->b, SEL_EVENT_WRITE);

  fake_selector_set_update_func (fixture->fake, ask_while_adding, fixture);
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  fake_selector_set_update_func (fixture->fake, ask_while_changing, fixture);
  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                  &error));
  g_assert_no_error (error);

  fake_selector_set_update_func (fixture->fake, ask_in_update, fixture);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
}

/* No lock is held while the data is freed: the destroy function and another thread can use the selector. */

typedef struct
{
  Fixture *fixture;
  int      n_calls;
} Destroyed;

static gpointer
use_selector (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (fixture->selector, fixture->b, &error);
  if (sel_base_selector_is_closed (fixture->selector))
    {
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
      return NULL;
    }

  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  watch (fixture->selector, fixture->b, SEL_EVENT_READ);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->b, &error));
  g_assert_no_error (error);
  assert_ready (fixture->selector, 0, -1);

  return NULL;
}

static void
use_selector_when_destroyed (gpointer data)
{
  Destroyed *destroyed = data;

  use_selector (destroyed->fixture);
  g_thread_join (g_thread_new ("user", use_selector, destroyed->fixture));
  destroyed->n_calls++;
}

static void
register_destroyed (Fixture   *fixture,
                    Destroyed *destroyed)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             destroyed, use_selector_when_destroyed, &error));
  g_assert_no_error (error);
}

static void
test_destroy_unlocked (Fixture *fixture)
{
  Destroyed destroyed = { .fixture = fixture };
  g_autoptr (GError) error = NULL;

  register_destroyed (fixture, &destroyed);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 1);

  register_destroyed (fixture, &destroyed);
  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ, NULL,
                                           NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 2);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 2);

  register_destroyed (fixture, &destroyed);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EIO);
  g_assert_false (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE, NULL,
                                            NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, EIO);
  g_assert_cmpint (destroyed.n_calls, ==, 3);

  register_destroyed (fixture, &destroyed);
  sel_base_selector_close (fixture->selector);
  g_assert_cmpint (destroyed.n_calls, ==, 4);
}

static const CoreCase cases[] =
{
  { "invalid-values", test_invalid_values },
  { "register/fails", test_register_fails },
  { "register/twice", test_register_twice },
  { "modify/fails", test_modify_fails },
  { "modify/events-fails", test_modify_events_fails },
  { "unregister/ignores-errors", test_unregister_ignores_errors },
  { "modify/updates", test_modify_updates },
  { "modify/without-update", test_modify_without_update },
  { "refresh", test_refresh },
  { "ask-in-update", test_ask_in_update },
  { "destroy-unlocked", test_destroy_unlocked },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  core_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
