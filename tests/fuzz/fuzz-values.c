/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any number as descriptor, mask, timeout and size. Every call must return either a result or an error, never both. */

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../backends.h"

typedef struct
{
  int32_t fd;
  uint32_t events;
  double timeout;
  uint8_t size;
  uint8_t what;
} Values;

int LLVMFuzzerTestOneInput (const uint8_t *data,
                            size_t         size);

static void
check (gboolean  success,
       GError  **error)
{
  if (success != (*error == NULL))
    g_error ("%s", success ? "a result and an error" : "neither a result nor an error");
  g_clear_error (error);
}

static void
use (SelBaseSelector *selector,
     const Values    *values)
{
  SelEventMask events = (SelEventMask) values->events;
  SelReadyEvent ready[256];
  g_autoptr (GError) error = NULL;
  g_autoptr (SelSelectorKey) key = NULL;

  /* The wake-up ends every wait at once. */
  sel_base_selector_wakeup (selector);

  switch (values->what % 8)
    {
    case 0:
      check (sel_base_selector_register (selector, values->fd, events, NULL, NULL, &error), &error);
      break;
    case 1:
      check (sel_base_selector_unregister (selector, values->fd, &error), &error);
      break;
    case 2:
      check (sel_base_selector_modify_events (selector, values->fd, events, &error), &error);
      break;
    case 3:
      check (sel_base_selector_refresh (selector, values->fd, &error), &error);
      break;
    case 4:
      key = sel_base_selector_get_key (selector, values->fd, &error);
      check (key != NULL, &error);
      break;
    case 5:
      sel_base_selector_report (selector, values->fd, events);
      break;
    default:
      check (sel_base_selector_select_ready (selector, values->timeout, ready, (gsize) values->size + 1, NULL,
                                             &error) >= 0, &error);
      break;
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data,
                        size_t         size)
{
  SelBaseSelector *selectors[N_BACKENDS];

  signal (SIGPIPE, SIG_IGN);
  for (guint i = 0; i < N_BACKENDS; i++)
    selectors[i] = backends[i].new_selector (NULL);

  for (size_t start = 0; start + sizeof (Values) <= size; start += sizeof (Values))
    {
      Values values;

      memcpy (&values, data + start, sizeof values);
      for (guint i = 0; i < N_BACKENDS; i++)
        if (selectors[i] != NULL)
          use (selectors[i], &values);
    }

  for (guint i = 0; i < N_BACKENDS; i++)
    g_clear_object (&selectors[i]);

  return 0;
}
