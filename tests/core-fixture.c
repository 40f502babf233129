/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "core-fixture.h"

static void
core_case_run (gconstpointer data)
{
  const CoreCase *core_case = data;
  Fixture fixture = { 0 };

  open_socketpair (fixture.a_pair);
  open_socketpair (fixture.b_pair);
  fixture.a = fixture.a_pair[0];
  fixture.b = fixture.b_pair[0];
  fixture.fake = fake_selector_new ();
  fixture.selector = SEL_BASE_SELECTOR (fixture.fake);

  core_case->func (&fixture);

  if (fixture.selector != NULL)
    g_assert_finalize_object (G_OBJECT (fixture.selector));
  close_pair (fixture.a_pair);
  close_pair (fixture.b_pair);
}

void
core_add_cases (const CoreCase *cases,
                gsize           n_cases)
{
  for (gsize i = 0; i < n_cases; i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/%s", cases[i].name);

      g_test_add_data_func (path, &cases[i], core_case_run);
    }
}

void
watch_quietly (Fixture      *fixture,
               int           fd,
               SelEventMask  events)
{
  watch (fixture->selector, fd, events);
  fake_selector_clear_log (fixture->fake);
}

void
count_destroyed (gpointer data)
{
  (*(int *) data)++;
}

void
assert_not_registered (SelBaseSelector *selector,
                       int              fd)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (selector, fd, &error);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (key);
  g_assert_false (sel_selector_mapping_contains (map, fd));
  g_assert_null (sel_selector_mapping_lookup (map, fd));
}

void
assert_registered (SelBaseSelector *selector,
                   int              fd,
                   SelEventMask     events,
                   gpointer         data)
{
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (selector, fd, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, events);
  g_assert_true (sel_selector_key_get_data (key) == data);
}

void
assert_map_size (SelBaseSelector *selector,
                 guint            size)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (GPtrArray) keys = sel_selector_mapping_get_keys (map);

  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, size);
  g_assert_cmpuint (keys->len, ==, size);
}

gboolean
select_list (SelBaseSelector  *selector,
             gdouble           timeout,
             GCancellable     *cancellable,
             gsize            *n_ready,
             GError          **error)
{
  g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, timeout, cancellable, error);

  *n_ready = ready != NULL ? ready->len : 0;

  return ready != NULL;
}

static gboolean
select_array (SelBaseSelector  *selector,
              gdouble           timeout,
              GCancellable     *cancellable,
              gsize            *n_ready,
              GError          **error)
{
  SelReadyEvent events[8];
  gssize n = sel_base_selector_select_ready (selector, timeout, events, G_N_ELEMENTS (events),
                                             cancellable, error);

  *n_ready = MAX (n, 0);

  return n >= 0;
}

static gboolean
select_two_arrays (SelBaseSelector  *selector,
                   gdouble           timeout,
                   GCancellable     *cancellable,
                   gsize            *n_ready,
                   GError          **error)
{
  g_autofree int *fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds = 0, n_masks = 0;
  gboolean success = sel_base_selector_select_fds (selector, timeout, cancellable, &fds, &n_fds,
                                                   &masks, &n_masks, error);

  g_assert_cmpuint (n_fds, ==, n_masks);
  *n_ready = n_fds;

  return success;
}

const SelectForm select_forms[N_SELECT_FORMS] = { select_list, select_array, select_two_arrays };

void
assert_select_fails (SelBaseSelector *selector,
                     gdouble          timeout,
                     GCancellable    *cancellable,
                     GQuark           domain,
                     int              code)
{
  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      g_assert_false (select_forms[i] (selector, timeout, cancellable, &n_ready, &error));
      assert_failed (&error, domain, code);
      g_assert_cmpuint (n_ready, ==, 0);
    }
}

gboolean
call_method (SelBaseSelector  *selector,
             Method            method,
             int               fd,
             guint             events,
             gpointer          data,
             GError          **error)
{
  g_autoptr (SelSelectorKey) key = NULL;

  switch (method)
    {
    case REGISTER:
      return sel_base_selector_register (selector, fd, events, data, count_destroyed, error);
    case MODIFY:
      return sel_base_selector_modify (selector, fd, events, data, count_destroyed, error);
    case MODIFY_EVENTS:
      return sel_base_selector_modify_events (selector, fd, events, error);
    case UNREGISTER:
      return sel_base_selector_unregister (selector, fd, error);
    case REFRESH:
      return sel_base_selector_refresh (selector, fd, error);
    case GET_KEY:
      key = sel_base_selector_get_key (selector, fd, error);
      return key != NULL;
    default:
      g_assert_not_reached ();
    }
}
