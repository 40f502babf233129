/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-attachment-private.h"

struct _SelAttachment
{
  GObject *fileobj;
  gpointer data;
  GDestroyNotify destroy;
  GValue value;
};

static void
sel_attachment_clear (gpointer user_data)
{
  SelAttachment *attachment = user_data;

  if (attachment->destroy != NULL)
    attachment->destroy (attachment->data);
  if (G_IS_VALUE (&attachment->value))
    g_value_unset (&attachment->value);
  g_clear_object (&attachment->fileobj);
}

SelAttachment *
sel_attachment_new (GObject        *fileobj,
                    gpointer        data,
                    GDestroyNotify  destroy,
                    const GValue   *value)
{
  SelAttachment *attachment;

  if (fileobj == NULL && destroy == NULL && value == NULL)
    return NULL;

  attachment = g_atomic_rc_box_new0 (SelAttachment);
  attachment->data = data;
  attachment->destroy = destroy;
  g_set_object (&attachment->fileobj, fileobj);
  if (value != NULL)
    {
      g_value_init (&attachment->value, G_VALUE_TYPE (value));
      g_value_copy (value, &attachment->value);
    }

  return attachment;
}

SelAttachment *
sel_attachment_ref (SelAttachment *attachment)
{
  return attachment != NULL ? g_atomic_rc_box_acquire (attachment) : NULL;
}

void
sel_attachment_unref (SelAttachment *attachment)
{
  if (attachment != NULL)
    g_atomic_rc_box_release_full (attachment, sel_attachment_clear);
}

GObject *
sel_attachment_get_fileobj (SelAttachment *attachment)
{
  return attachment != NULL ? attachment->fileobj : NULL;
}

GDestroyNotify
sel_attachment_get_destroy (SelAttachment *attachment)
{
  return attachment != NULL ? attachment->destroy : NULL;
}

const GValue *
sel_attachment_get_value (SelAttachment *attachment)
{
  return attachment != NULL && G_IS_VALUE (&attachment->value) ? &attachment->value : NULL;
}
