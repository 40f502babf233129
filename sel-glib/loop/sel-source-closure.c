/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "loop/sel-source-private.h"
#include "sel-enum-types.h"

/* The callbacks of sources that have a closure, see g_source_set_closure(). */

/* Calls the closure of g_source_set_closure(), which is the user data of the source. */
static gboolean
sel_source_invoke_closure (GClosure     *closure,
                           guint         n_values,
                           const GValue *values)
{
  GValue result = G_VALUE_INIT;
  gboolean goes_on;

  g_value_init (&result, G_TYPE_BOOLEAN);
  g_closure_invoke (closure, &result, n_values, values, NULL);
  goes_on = g_value_get_boolean (&result);
  g_value_unset (&result);

  return goes_on;
}

gboolean
sel_source_closure_callback (gpointer user_data)
{
  return sel_source_invoke_closure (user_data, 0, NULL);
}

gboolean
sel_source_closure_selector_func (SelBaseSelector *selector,
                                  SelSelectorKey  *key,
                                  SelEventMask     events,
                                  gpointer         user_data)
{
  GValue values[3] = { G_VALUE_INIT, G_VALUE_INIT, G_VALUE_INIT };
  gboolean goes_on;

  g_value_init (&values[0], SEL_TYPE_BASE_SELECTOR);
  g_value_set_object (&values[0], selector);
  g_value_init (&values[1], SEL_TYPE_SELECTOR_KEY);
  g_value_set_object (&values[1], key);
  g_value_init (&values[2], SEL_TYPE_EVENT_MASK);
  g_value_set_flags (&values[2], events);

  goes_on = sel_source_invoke_closure (user_data, G_N_ELEMENTS (values), values);

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    g_value_unset (&values[i]);

  return goes_on;
}
