/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-enum-types.h"
#include "sel-selector-event-private.h"
#include "sel-selector-key-private.h"

/**
 * SECTION:sel-selector-key
 * @Title: SelSelectorKey
 * @Short_description: A registration of a file object
 *
 * See the description of #SelSelectorKey.
 */

/**
 * SelSelectorKey:
 *
 * A key describes a registration with a selector: the descriptor, the file object through which it was registered, the
 * events to wait for, and the data that the program keeps with it.
 *
 * A key never changes. sel_base_selector_modify() makes a new key and leaves the old one as it was. As long as a
 * registration does not change, its selector returns the same key each time.
 *
 * A key holds references to the file object and to the data, also after the descriptor was unregistered.
 *
 * Since: 1.0
 */
struct _SelSelectorKey
{
  GObject parent_instance;

  int fd;
  SelEventMask events;
  gpointer data;
  SelAttachment *attachment;
  SelSelectorEvent *event;   /* of the table; see sel_selector_key_ref_event() */
};

enum
{
  PROP_FD = 1,
  PROP_EVENTS,
  PROP_FILEOBJ,
  N_PROPERTIES
};

static GParamSpec *properties[N_PROPERTIES];

G_DEFINE_FINAL_TYPE (SelSelectorKey, sel_selector_key, G_TYPE_OBJECT)

static GType selector_key_type;

/* Does the same as SEL_IS_SELECTOR_KEY(), but faster, because callbacks use their keys often. There are no subtypes. */
static inline gboolean
sel_is_selector_key (SelSelectorKey *self)
{
  return self != NULL && self->parent_instance.g_type_instance.g_class->g_type == selector_key_type;
}

SelSelectorKey *
sel_selector_key_new (int            fd,
                      SelEventMask   events,
                      gpointer       data,
                      SelAttachment *attachment)
{
  SelSelectorKey *self = g_object_new (SEL_TYPE_SELECTOR_KEY, NULL);

  self->fd = fd;
  self->events = events;
  self->data = data;
  self->attachment = sel_attachment_ref (attachment);

  return self;
}

SelSelectorEvent *
sel_selector_key_ref_event (SelSelectorKey *self,
                            SelEventMask    events)
{
  if (G_UNLIKELY (self->event == NULL || self->event->events != events))
    {
      sel_selector_key_drop_event (self);
      self->event = sel_selector_event_new (self, events);
    }

  return sel_selector_event_ref_shared (self->event);
}

void
sel_selector_key_drop_event (SelSelectorKey *self)
{
  g_clear_pointer (&self->event, sel_selector_event_unref);
}

static void
sel_selector_key_finalize (GObject *object)
{
  SelSelectorKey *self = SEL_SELECTOR_KEY (object);

  g_clear_pointer (&self->attachment, sel_attachment_unref);

  G_OBJECT_CLASS (sel_selector_key_parent_class)->finalize (object);
}

static void
sel_selector_key_get_property (GObject    *object,
                               guint       property_id,
                               GValue     *value,
                               GParamSpec *pspec)
{
  SelSelectorKey *self = SEL_SELECTOR_KEY (object);

  switch (property_id)
    {
    case PROP_FD:
      g_value_set_int (value, self->fd);
      break;

    case PROP_EVENTS:
      g_value_set_flags (value, self->events);
      break;

    case PROP_FILEOBJ:
      g_value_set_object (value, sel_selector_key_get_fileobj (self));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
sel_selector_key_class_init (SelSelectorKeyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  selector_key_type = G_OBJECT_CLASS_TYPE (klass);
  object_class->finalize = sel_selector_key_finalize;
  object_class->get_property = sel_selector_key_get_property;

  /**
   * SelSelectorKey:fd:
   *
   * The descriptor.
   *
   * Since: 1.0
   */
  properties[PROP_FD] =
    g_param_spec_int ("fd", NULL, "The descriptor",
                      -1, G_MAXINT, -1,
                      G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * SelSelectorKey:events:
   *
   * The events to wait for.
   *
   * Since: 1.0
   */
  properties[PROP_EVENTS] =
    g_param_spec_flags ("events", NULL, "The events to wait for",
                        SEL_TYPE_EVENT_MASK, 0,
                        G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * SelSelectorKey:fileobj:
   *
   * The file object that was registered, or %NULL if the descriptor was registered by its number.
   *
   * Since: 1.0
   */
  properties[PROP_FILEOBJ] =
    g_param_spec_object ("fileobj", NULL, "The object that was registered",
                         G_TYPE_OBJECT,
                         G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

static void
sel_selector_key_init (SelSelectorKey *self)
{
}

/**
 * sel_selector_key_get_fileobj:
 * @self: a key
 *
 * Gets the file object that was registered.
 *
 * Returns: (transfer none) (nullable): the file object, or %NULL if the descriptor was registered by its number
 *
 * Since: 1.0
 */
GObject *
sel_selector_key_get_fileobj (SelSelectorKey *self)
{
  g_return_val_if_fail (sel_is_selector_key (self), NULL);

  return sel_attachment_get_fileobj (self->attachment);
}

/**
 * sel_selector_key_get_fd:
 * @self: a key
 *
 * Gets the descriptor.
 *
 * Returns: the descriptor
 *
 * Since: 1.0
 */
int
sel_selector_key_get_fd (SelSelectorKey *self)
{
  g_return_val_if_fail (sel_is_selector_key (self), -1);

  return self->fd;
}

/**
 * sel_selector_key_get_events:
 * @self: a key
 *
 * Gets the events to wait for.
 *
 * Returns: the events
 *
 * Since: 1.0
 */
SelEventMask
sel_selector_key_get_events (SelSelectorKey *self)
{
  g_return_val_if_fail (sel_is_selector_key (self), 0);

  return self->events;
}

/**
 * sel_selector_key_get_data: (skip)
 * @self: a key
 *
 * Gets the pointer that was given to sel_base_selector_register(). If it was given with a #GDestroyNotify, it is valid
 * as long as @self exists.
 *
 * Returns: (transfer none) (nullable): the data, or %NULL if there is none or if a #GValue was given instead; see
 *   sel_selector_key_get_data_value()
 *
 * Since: 1.0
 */
gpointer
sel_selector_key_get_data (SelSelectorKey *self)
{
  g_return_val_if_fail (sel_is_selector_key (self), NULL);

  return self->data;
}

/**
 * sel_selector_key_get_data_value: (rename-to sel_selector_key_get_data)
 * @self: a key
 *
 * Gets the value that was given to sel_base_selector_register_value(). It is valid as long as @self exists.
 *
 * Returns: (transfer none) (nullable): the value, or %NULL if there is none
 *
 * Since: 1.0
 */
const GValue *
sel_selector_key_get_data_value (SelSelectorKey *self)
{
  g_return_val_if_fail (sel_is_selector_key (self), NULL);

  return sel_attachment_get_value (self->attachment);
}
