/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Steps that register, change and look up keys. */

#include "model-private.h"

SelEventMask
step_events (guint8 b)
{
  static const guint wrong[] = { 0, 4, 7, 0x80000001 };

  return b % 64 == 63 ? (SelEventMask) wrong[b / 64] : (SelEventMask) (1 + b % 3);
}

static GDestroyNotify
destroy_of (guint data)
{
  return data == 0 ? NULL : twin_free_data;
}

/* Initializes @value with a number. Returns NULL for 0. */
static const GValue *
value_of (guint   number,
          GValue *value)
{
  if (number == 0)
    return NULL;

  g_value_init (value, G_TYPE_UINT);
  g_value_set_uint (value, number);

  return value;
}

void
do_register (Model *model,
             Twin  *twin,
             Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  SelEventMask events = step_events (step.b);
  guint data = step.c % N_DATA;
  gboolean success;

  if (step.c >= 224)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autoptr (SelSelectorKey) key = sel_base_selector_register_value (twin->selector, fd, events,
                                                                         value_of (data, &value), &error);

      if (compare_outcome (model, twin, outcome_of (key != NULL, &error),
                           twin_register (model, twin, fd, -1, events, 0, data)) && key != NULL)
        compare_key (model, twin, key, fd);
      return;
    }

  success = sel_base_selector_register (twin->selector, fd, events, twin_data (twin, data), destroy_of (data), &error);
  compare_outcome (model, twin, outcome_of (success, &error), twin_register (model, twin, fd, -1, events, data, 0));
}

void
do_unregister (Model *model,
               Twin  *twin,
               Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  Key *key = NULL;
  Outcome expected = twin_find (twin, fd, &key);

  if (step.c % 4 == 0)
    {
      g_autoptr (SelSelectorKey) removed = sel_base_selector_unregister_key (twin->selector, fd, &error);

      if (!compare_outcome (model, twin, outcome_of (removed != NULL, &error), expected) ||
          (expected == 0 && !compare_key (model, twin, removed, fd)))
        return;
    }
  else
    {
      gboolean success = sel_base_selector_unregister (twin->selector, fd, &error);

      compare_outcome (model, twin, outcome_of (success, &error), expected);
    }

  if (expected == 0)
    twin_remove (twin, &model->world, key, fd);
}

void
do_modify (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  guint data = step.c % N_DATA;
  SelEventMask events = step_events (step.b);
  gboolean success;

  if (step.c >= 224)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autoptr (SelSelectorKey) key = sel_base_selector_modify_value (twin->selector, fd, events,
                                                                       value_of (data, &value), &error);

      if (compare_outcome (model, twin, outcome_of (key != NULL, &error),
                           twin_modify (model, twin, fd, events, 0, data)) && key != NULL)
        compare_key (model, twin, key, fd);
    }
  else if (step.c >= 128)
    {
      success = sel_base_selector_modify_events (twin->selector, fd, events, &error);
      compare_outcome (model, twin, outcome_of (success, &error), twin_modify (model, twin, fd, events, -1, 0));
    }
  else
    {
      success = sel_base_selector_modify (twin->selector, fd, events, twin_data (twin, data),
                                          destroy_of (data), &error);
      compare_outcome (model, twin, outcome_of (success, &error),
                       twin_modify (model, twin, fd, events, (int) data, 0));
    }
}

void
do_refresh (Model *model,
            Twin  *twin,
            Step   step)
{
  g_autoptr (GError) error = NULL;
  gboolean success = sel_base_selector_refresh (twin->selector, step_fd (step.a), &error);

  compare_outcome (model, twin, outcome_of (success, &error), twin_refresh (model, twin, step_fd (step.a)));
}

void
do_get_key (Model *model,
            Twin  *twin,
            Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  Key *unused;
  Outcome expected = twin_find (twin, fd, &unused);
  g_autoptr (SelSelectorKey) key = sel_base_selector_get_key (twin->selector, fd, &error);

  if (compare_outcome (model, twin, outcome_of (key != NULL, &error), expected) && expected == 0)
    compare_key (model, twin, key, fd);
}

void
do_map (Model *model,
        Twin  *twin,
        Step   step)
{
  SelSelectorMapping *map = sel_base_selector_get_map (twin->selector);
  g_autoptr (GPtrArray) keys = NULL;
  int fds[N_FDS];
  guint n;

  if (map == NULL)
    return;

  n = twin_list_keys (twin, fds);
  keys = sel_selector_mapping_get_keys (map);
  compare_keys (model, twin, keys, fds, n);
}

void
do_check (Model *model,
          Twin  *twin,
          Step   step)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) keys = sel_base_selector_check (twin->selector, &error);
  int fds[N_FDS];
  guint n = twin_list_keys (twin, fds);
  guint n_closed = 0;

  if (!compare_outcome (model, twin, outcome_of (keys != NULL, &error), twin->closed ? OWN (CLOSED) : 0) ||
      twin->closed)
    return;

  for (guint i = 0; i < n; i++)
    if (file_of_fd (&model->world, fds[i]) < 0)
      fds[n_closed++] = fds[i];
  compare_keys (model, twin, keys, fds, n_closed);
}

void
do_object (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  int object = model_object_of_step (model, step.a);
  GObject *fileobj = model->objects[object];
  SelEventMask events = step_events (step.b);
  guint data = step.c % N_DATA;
  int fd = twin_resolve (model, twin, object);
  Key *key = NULL;
  Outcome expected = twin_find (twin, fd, &key);
  g_autoptr (SelSelectorKey) got = NULL;
  gboolean success;

  switch (step.c / N_DATA % 4)
    {
    case 0:
      success = sel_base_selector_register_object (twin->selector, fileobj, events, twin_data (twin, data),
                                                   destroy_of (data), &error);
      expected = twin_register (model, twin, model_object_fd (model, object), object, events, data, 0);
      break;

    case 1:
      success = sel_base_selector_unregister_object (twin->selector, fileobj, &error);
      if (expected == 0)
        twin_remove (twin, &model->world, key, fd);
      break;

    case 2:
      success = sel_base_selector_modify_object (twin->selector, fileobj, events, twin_data (twin, data),
                                                 destroy_of (data), &error);
      /* A missing descriptor is found before invalid events. */
      if (fd >= 0 || twin->closed)
        expected = twin_modify (model, twin, fd, events, (int) data, 0);
      break;

    default:
      got = sel_base_selector_get_key_object (twin->selector, fileobj, &error);
      success = got != NULL;
      if (got != NULL)
        compare_key (model, twin, got, fd);
      break;
    }

  compare_outcome (model, twin, outcome_of (success, &error), expected);
}
