/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backends.h"

/* The properties of all classes, and their notifications. */

static void
test_properties (BackendFixture *fixture)
{
  static const char * const names[] = { "interruptible", "emulate-always-ready" };
  GObject *object = G_OBJECT (fixture->selector);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      gboolean value = TRUE;

      g_object_get (object, names[i], &value, NULL);
      g_assert_false (value);
      g_object_set (object, names[i], TRUE, NULL);
      g_object_get (object, names[i], &value, NULL);
      g_assert_true (value);
    }

  g_assert_true (sel_base_selector_get_interruptible (fixture->selector));
  g_assert_true (sel_base_selector_get_emulate_always_ready (fixture->selector));
}

static void
count_notified (GObject    *object,
                GParamSpec *pspec,
                gpointer    user_data)
{
  (*(guint *) user_data)++;
}

/* Sets @other to a valid value that differs from @value. */
static void
get_other_value (GParamSpec   *pspec,
                 const GValue *value,
                 GValue       *other)
{
  g_value_init (other, G_PARAM_SPEC_VALUE_TYPE (pspec));
  if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    g_value_set_boolean (other, !g_value_get_boolean (value));
  else if (G_IS_PARAM_SPEC_UINT (pspec))
    g_value_set_uint (other, g_value_get_uint (value) - 1);
  else
    g_value_set_enum (other, g_value_get_enum (value) == 0 ? 1 : 0);
  g_assert_cmpint (g_param_values_cmp (pspec, value, other), !=, 0);
}

/* A property emits "notify" once for each new value, and not if the value stays the same. */
static void
test_properties_notify (BackendFixture *fixture)
{
  GObject *object = G_OBJECT (fixture->selector);
  guint n_properties;
  g_autofree GParamSpec **pspecs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n_properties);
  guint n_writable = 0;

  for (guint i = 0; i < n_properties; i++)
    {
      g_autofree char *signal_name = g_strconcat ("notify::", pspecs[i]->name, NULL);
      g_auto (GValue) value = G_VALUE_INIT;
      g_auto (GValue) other = G_VALUE_INIT;
      g_auto (GValue) got = G_VALUE_INIT;
      guint n_notified = 0;
      gulong id;

      if ((pspecs[i]->flags & G_PARAM_WRITABLE) == 0)
        continue;

      n_writable++;
      g_value_init (&value, G_PARAM_SPEC_VALUE_TYPE (pspecs[i]));
      g_object_get_property (object, pspecs[i]->name, &value);
      if (!fixture->mirrored)
        g_assert_true (g_param_value_defaults (pspecs[i], &value));
      get_other_value (pspecs[i], &value, &other);

      id = g_signal_connect (object, signal_name, G_CALLBACK (count_notified), &n_notified);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_assert_cmpuint (n_notified, ==, 0);
      g_object_set_property (object, pspecs[i]->name, &other);
      g_assert_cmpuint (n_notified, ==, 1);
      g_object_set_property (object, pspecs[i]->name, &other);
      g_assert_cmpuint (n_notified, ==, 1);
      g_value_init (&got, G_PARAM_SPEC_VALUE_TYPE (pspecs[i]));
      g_object_get_property (object, pspecs[i]->name, &got);
      g_assert_cmpint (g_param_values_cmp (pspecs[i], &got, &other), ==, 0);
      g_object_set_property (object, pspecs[i]->name, &value);
      g_assert_cmpuint (n_notified, ==, 2);
      g_signal_handler_disconnect (object, id);
    }
  g_assert_cmpuint (n_writable, >=, 6);
}

/* The setter functions emit "notify" like g_object_set (). */
static void
test_setters_notify (BackendFixture *fixture)
{
  static void (*const setters[]) (SelBaseSelector *, gboolean) = {
    sel_base_selector_set_interruptible, sel_base_selector_set_emulate_always_ready,
    sel_base_selector_set_force_mirrored, sel_base_selector_set_can_recurse,
  };
  guint n_notified = 0;

  g_signal_connect (fixture->selector, "notify", G_CALLBACK (count_notified), &n_notified);
  for (guint i = 0; i < G_N_ELEMENTS (setters); i++)
    {
      n_notified = 0;
      setters[i] (fixture->selector, FALSE);
      g_assert_cmpuint (n_notified, ==, 0);
      setters[i] (fixture->selector, TRUE);
      g_assert_cmpuint (n_notified, ==, 1);
      setters[i] (fixture->selector, TRUE);
      g_assert_cmpuint (n_notified, ==, 1);
    }
}

/* The property fd is the descriptor of the mechanism, if it has one. */
static void
test_fd (BackendFixture *fixture)
{
  gboolean has_fd = g_object_class_find_property (G_OBJECT_GET_CLASS (fixture->selector), "fd") != NULL;
  g_autoptr (GError) error = NULL;
  int fd = -2;

  g_assert_true (has_fd == (fixture->backend->get_fd != NULL));
  if (!has_fd)
    return;

  /* Reading it opens the selector. */
  g_object_get (fixture->selector, "fd", &fd, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fd, ==, fixture->backend->get_fd (fixture->selector, &error));
  g_assert_no_error (error);

  sel_base_selector_close (fixture->selector);
  g_object_get (fixture->selector, "fd", &fd, NULL);
  g_assert_cmpint (fd, ==, -1);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  backend_add ("properties", test_properties);
  backend_add ("properties-notify", test_properties_notify);
  backend_add ("setters-notify", test_setters_notify);
  backend_add ("property-fd", test_fd);

  return g_test_run ();
}
