/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Compares the selectors with the rules of the model. */

#include "model-private.h"

#include <stdarg.h>

gboolean
differ (Model      *model,
        const Twin *twin,
        const char *format,
        ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (model->difference != NULL)
    return FALSE;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  model->difference = g_strdup_printf ("%s: %s", twin->backend->name, text);

  return FALSE;
}

Outcome
outcome_of (gboolean  success,
            GError  **error)
{
  Outcome outcome = 0;

  if (*error == NULL)
    return success ? 0 : -1;

  if (success)
    outcome = -2;
  else if ((*error)->domain == SEL_SELECTOR_ERROR)
    outcome = 10000 + (*error)->code;
  else if ((*error)->domain == SEL_OS_ERROR)
    outcome = (*error)->code;
  else if (g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    outcome = CANCELLED;
  else
    outcome = -3;
  g_clear_error (error);

  return outcome;
}

gboolean
compare_outcome (Model   *model,
                 Twin    *twin,
                 Outcome  got,
                 Outcome  expected)
{
  return got == expected || differ (model, twin, "outcome %d, expected %d", got, expected);
}

gboolean
compare_key (Model          *model,
             Twin           *twin,
             SelSelectorKey *key,
             int             fd)
{
  const Key *expected = twin_key (twin, fd);
  const GValue *value;
  GObject *object;

  if (key == NULL || expected == NULL)
    return (key == NULL && expected == NULL) ||
           differ (model, twin, "descriptor %d has %s key", fd, key != NULL ? "a" : "no");

  object = expected->object >= 0 ? model->objects[expected->object] : NULL;
  value = sel_selector_key_get_data_value (key);

  return (sel_selector_key_get_fd (key) == fd &&
          sel_selector_key_get_events (key) == expected->events &&
          sel_selector_key_get_data (key) == twin_data (twin, expected->data) &&
          (value != NULL ? g_value_get_uint (value) : 0) == expected->value &&
          sel_selector_key_get_fileobj (key) == object) ||
         differ (model, twin, "the key of descriptor %d is wrong", fd);
}

gboolean
compare_keys (Model     *model,
              Twin      *twin,
              GPtrArray *keys,
              const int *fds,
              guint      n_fds)
{
  gboolean same = keys->len == n_fds || differ (model, twin, "%u keys, expected %u", keys->len, n_fds);

  for (guint i = 0; same && i < n_fds; i++)
    same = compare_key (model, twin, keys->pdata[i], fds[i]);

  return same;
}

gboolean
compare_state (Model *model,
               Twin  *twin,
               int    fd)
{
  SelSelectorMapping *map = sel_base_selector_get_map (twin->selector);
  g_autoptr (SelSelectorKey) key = NULL;
  int expected[N_DATA] = { 0 };
  guint n = 0;

  for (guint i = 0; i < N_FDS; i++)
    {
      expected[twin->keys[i].data] += twin->keys[i].registered;
      n += twin->keys[i].registered != 0;
    }

  if (twin->closed)
    return map == NULL || differ (model, twin, "a closed selector has a mapping");

  if (sel_selector_mapping_get_size (map) != n)
    return differ (model, twin, "%u keys, expected %u", sel_selector_mapping_get_size (map), n);

  for (guint i = 1; i < N_DATA; i++)
    if (twin->live[i] != expected[i])
      return differ (model, twin, "%d data of kind %u are alive, expected %d", twin->live[i], i, expected[i]);

  key = sel_selector_mapping_lookup (map, fd);

  return sel_selector_mapping_contains (map, fd) == (key != NULL) && compare_key (model, twin, key, fd);
}

guint
count_masks (const SelEventMask masks[N_FDS])
{
  guint n = 0;

  for (guint i = 0; i < N_FDS; i++)
    n += masks[i] != 0;

  return n;
}

gboolean
compare_ready (Model              *model,
               Twin               *twin,
               const Ready        *ready,
               gssize              n_ready,
               gsize               room,
               const SelEventMask  required[N_FDS],
               const SelEventMask  allowed[N_FDS])
{
  SelEventMask got[N_FDS] = { 0 };
  /* If the kernel reports READ and WRITE separately, one of them may not fit into a small array. */
  gboolean in_parts = room < N_FDS && twin->backend->splits_events;

  if (n_ready < 0 || n_ready > N_FDS)
    return differ (model, twin, "%d descriptors are ready", (int) n_ready);

  for (gssize i = 0; i < n_ready; i++)
    {
      int index = index_of_fd (ready[i].fd);

      if (index < 0 || got[index] != 0 || ready[i].events == 0 ||
          (ready[i].events & ~allowed[index]) != 0)
        return differ (model, twin, "descriptor %d is reported for %u, which is allowed for %u",
                       ready[i].fd, ready[i].events, index < 0 ? 0 : allowed[index]);
      got[index] = ready[i].events;
    }

  if ((gsize) n_ready < MIN (in_parts ? 1 : room, count_masks (required)))
    return differ (model, twin, "%d descriptors are reported, of %u that are ready",
                   (int) n_ready, count_masks (required));

  for (int i = 0; i < N_FDS && !in_parts; i++)
    if (got[i] != 0 ? (required[i] & ~got[i]) != 0 : required[i] != 0 && (gsize) n_ready < room)
      return differ (model, twin, "descriptor %d is ready for %u, but reported for %u",
                     FIRST_FD + i, required[i], got[i]);

  return TRUE;
}
