/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-single-threaded-private.h"
#include "sel-selector-event-private.h"

/**
 * SECTION:sel-selector-event
 * @Title: SelSelectorEvent
 * @Short_description: A ready file object
 *
 * See the description of #SelSelectorEvent.
 */

G_DEFINE_BOXED_TYPE (SelSelectorEvent, sel_selector_event,
                     sel_selector_event_ref, sel_selector_event_unref)

SelSelectorEvent *
sel_selector_event_new (SelSelectorKey *key,
                        SelEventMask    events)
{
  SelSelectorEvent *self = g_new (SelSelectorEvent, 1);

  self->key = g_object_ref (key);
  self->ref_count = 1;
  self->events = events;

  return self;
}

static void
sel_selector_event_free (SelSelectorEvent *self)
{
  g_object_unref (self->key);
  g_free (self);
}

/**
 * sel_selector_event_ref: (skip)
 * @self: an event
 *
 * Adds a reference to @self.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
SelSelectorEvent *
sel_selector_event_ref (SelSelectorEvent *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_int_inc (&self->ref_count);

  return self;
}

/**
 * sel_selector_event_unref: (skip)
 * @self: (transfer full): an event
 *
 * Removes a reference from @self. The last one frees @self.
 *
 * Since: 1.0
 */
void
sel_selector_event_unref (SelSelectorEvent *self)
{
  g_return_if_fail (self != NULL);

  if (sel_is_single_threaded () ? --self->ref_count == 0 : g_atomic_int_dec_and_test (&self->ref_count))
    sel_selector_event_free (self);
}

/**
 * sel_selector_event_get_key:
 * @self: an event
 *
 * Gets the key of the file object that is ready. It is valid as long as @self exists.
 *
 * Returns: (transfer none): the key
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_selector_event_get_key (SelSelectorEvent *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->key;
}

/**
 * sel_selector_event_get_events:
 * @self: an event
 *
 * Gets the events that the file object is ready for. These are some or all of the events that it was registered for,
 * and never none.
 *
 * Returns: the events
 *
 * Since: 1.0
 */
SelEventMask
sel_selector_event_get_events (SelSelectorEvent *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->events;
}
