/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The forms of the functions that return lists, for other languages. */

#include <unistd.h>

#include "backends.h"

static void
free_events (GList *events)
{
  g_list_free_full (events, (GDestroyNotify) sel_selector_event_unref);
}

static void
assert_key (SelSelectorKey *key,
            int             fd)
{
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
}

static void
test_select (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  GList *events;
  int fds[2];

  open_pipe (fds);
  g_assert_true (sel_base_selector_register (fixture->selector, fds[1], SEL_EVENT_WRITE, NULL, NULL, &error));
  g_assert_true (sel_base_selector_register (fixture->selector, fds[0], SEL_EVENT_READ, NULL, NULL, &error));

  events = sel_base_selector_select_list (fixture->selector, SEL_WAIT_FOREVER, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_list_length (events), ==, 1);
  assert_key (sel_selector_event_get_key (events->data), fds[1]);
  g_assert_cmpuint (sel_selector_event_get_events (events->data), ==, SEL_EVENT_WRITE);

  /* The list owns its elements. */
  g_assert_true (sel_base_selector_unregister (fixture->selector, fds[1], &error));
  assert_key (sel_selector_event_get_key (events->data), fds[1]);
  free_events (events);

  g_assert_null (sel_base_selector_select_list (fixture->selector, 0, NULL, &error));
  g_assert_no_error (error);

  sel_base_selector_close (fixture->selector);
  g_assert_null (sel_base_selector_select_list (fixture->selector, 0, NULL, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  close (fds[0]);
  close (fds[1]);
}

static void
got_result (GObject      *selector,
            GAsyncResult *result,
            gpointer      user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
test_select_finish (BackendFixture *fixture)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GList *events;
  int fds[2];

  open_pipe (fds);
  g_assert_true (sel_base_selector_register (fixture->selector, fds[1], SEL_EVENT_WRITE, NULL, NULL, &error));

  g_main_context_push_thread_default (context);
  sel_base_selector_select_async (fixture->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, NULL, got_result, &result);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  events = sel_base_selector_select_finish_list (fixture->selector, result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_list_length (events), ==, 1);
  assert_key (sel_selector_event_get_key (events->data), fds[1]);
  free_events (events);

  g_clear_object (&result);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  close (fds[0]);
  close (fds[1]);
}

static void
test_keys (BackendFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autolist (SelSelectorKey) none = sel_selector_mapping_list_keys (map);
  g_autolist (SelSelectorKey) keys = NULL;
  g_autolist (SelSelectorKey) closed = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  g_assert_null (none);
  g_assert_true (sel_base_selector_register (fixture->selector, fds[1], SEL_EVENT_WRITE, NULL, NULL, &error));
  g_assert_true (sel_base_selector_register (fixture->selector, fds[0], SEL_EVENT_READ, NULL, NULL, &error));

  keys = sel_selector_mapping_list_keys (map);
  g_assert_cmpuint (g_list_length (keys), ==, 2);
  assert_key (keys->data, fds[1]);
  assert_key (keys->next->data, fds[0]);

  g_assert_null (sel_base_selector_check_list (fixture->selector, &error));
  g_assert_no_error (error);
  close (fds[0]);
  closed = sel_base_selector_check_list (fixture->selector, &error);
  g_assert_cmpuint (g_list_length (closed), ==, 1);
  assert_key (closed->data, fds[0]);

  close (fds[1]);
}

static void
count_down (gpointer  user_data,
            GObject  *where_the_object_was)
{
  (*(guint *) user_data)--;
}

/* If one event or key of 100,000 lists is not freed, it keeps the key of its descriptor alive. */
static void
test_nothing_is_kept (void)
{
  g_autoptr (GError) error = NULL;
  SelBaseSelector *selector = sel_default_selector_new (&error);
  SelSelectorMapping *map;
  guint n_alive = 0;
  int fds[2];

  g_assert_no_error (error);
  open_pipe (fds);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (SelSelectorKey) key = NULL;

      g_assert_true (sel_base_selector_register (selector, fds[i], SEL_EVENT_WRITE, NULL, NULL, &error));
      key = sel_base_selector_get_key (selector, fds[i], &error);
      g_object_weak_ref (G_OBJECT (key), count_down, &n_alive);
      n_alive++;
    }
  close (fds[0]);

  map = sel_base_selector_get_map (selector);
  for (guint i = 0; i < 100000 / 3; i++)
    {
      free_events (sel_base_selector_select_list (selector, 0, NULL, &error));
      g_list_free_full (sel_base_selector_check_list (selector, &error), g_object_unref);
      g_list_free_full (sel_selector_mapping_list_keys (map), g_object_unref);
      g_assert_no_error (error);
    }

  g_assert_cmpuint (n_alive, ==, 2);
  g_object_unref (selector);
  g_assert_cmpuint (n_alive, ==, 0);
  close (fds[1]);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();

  backend_add ("lists/select", test_select);
  backend_add ("lists/select-finish", test_select_finish);
  backend_add ("lists/keys", test_keys);

  g_test_add_func ("/selector/default/lists/nothing-is-kept", test_nothing_is_kept);

  return g_test_run ();
}
