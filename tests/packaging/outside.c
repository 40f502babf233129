/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program outside the source tree that is valid as C and as C++. It defines its own selector type, which uses the
 * largest part of the headers, and prints the result. */

#include <sel-glib/sel-glib.h>

#include <stdio.h>

#define OUTSIDE_TYPE_SELECTOR (outside_selector_get_type ())
G_DECLARE_FINAL_TYPE (OutsideSelector, outside_selector, OUTSIDE, SELECTOR, SelBaseSelector)

struct _OutsideSelector
{
  SelBaseSelector parent_instance;
  int fd;
};

G_DEFINE_TYPE (OutsideSelector, outside_selector, SEL_TYPE_BASE_SELECTOR)

static gboolean
outside_selector_update (SelBaseSelector  *selector,
                         int               fd,
                         SelEventMask      old_events,
                         SelEventMask      new_events,
                         GError          **error)
{
  (void) old_events;
  (void) error;
  if (new_events != 0)
    OUTSIDE_SELECTOR (selector)->fd = fd;
  return TRUE;
}

static gboolean
outside_selector_wait (SelBaseSelector  *selector,
                       gdouble           timeout,
                       GError          **error)
{
  (void) timeout;
  (void) error;
  sel_base_selector_report (selector, OUTSIDE_SELECTOR (selector)->fd, SEL_EVENT_WRITE);
  return TRUE;
}

static void
outside_selector_class_init (OutsideSelectorClass *klass)
{
  SEL_BASE_SELECTOR_CLASS (klass)->update = outside_selector_update;
  SEL_BASE_SELECTOR_CLASS (klass)->wait = outside_selector_wait;
}

static void
outside_selector_init (OutsideSelector *self)
{
  self->fd = -1;
}

/* Returns the number of events, or -1. */
static int
count_ready (SelBaseSelector  *selector,
             GError          **error)
{
  g_autoptr (GPtrArray) ready = NULL;

  if (!sel_base_selector_register (selector, 1, SEL_EVENT_WRITE, NULL, NULL, error))
    return -1;

  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, error);
  return ready != NULL ? (int) ready->len : -1;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) own = SEL_BASE_SELECTOR (g_object_new (OUTSIDE_TYPE_SELECTOR, NULL));
  g_autoptr (SelBaseSelector) best = sel_default_selector_new (&error);
  int n_own = count_ready (own, &error);
  int n_best = best != NULL ? count_ready (best, &error) : -1;

  if (error != NULL)
    fprintf (stderr, "%s\n", error->message);

  printf ("%d ready with the own selector, %d with %s, version %u.%u.%u\n", n_own, n_best,
          best != NULL ? G_OBJECT_TYPE_NAME (best) : "none",
          sel_get_major_version (), sel_get_minor_version (), sel_get_micro_version ());

  return n_own == 1 && n_best == 1 ? 0 : 1;
}
