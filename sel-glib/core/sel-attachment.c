/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which file object and which data belong to a registration? See sel-attachment-private.h. */

#include "config.h"

#include <string.h>

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

const GValue *
sel_attachment_get_value (SelAttachment *attachment)
{
  return attachment != NULL && G_IS_VALUE (&attachment->value) ? &attachment->value : NULL;
}

static gboolean
sel_value_is_same (const GValue *a,
                   const GValue *b)
{
  if (a == NULL || b == NULL)
    return a == b;

  if (G_VALUE_TYPE (a) != G_VALUE_TYPE (b))
    return FALSE;

  if (g_value_fits_pointer (a))
    return g_value_peek_pointer (a) == g_value_peek_pointer (b);

  return memcmp (a->data, b->data, sizeof a->data) == 0;
}

gboolean
sel_attachment_has_data (SelAttachment  *attachment,
                         GDestroyNotify  destroy,
                         const GValue   *value)
{
  return (attachment != NULL ? attachment->destroy : NULL) == destroy &&
         sel_value_is_same (sel_attachment_get_value (attachment), value);
}
