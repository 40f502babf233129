/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* The objects that a registration owns: the file object, and the data with its destroy function or the value. The
 * table and the keys share an attachment. It is reference counted and never changes. A registration that owns nothing
 * has none, so all functions accept NULL. */
typedef struct _SelAttachment SelAttachment;

/* Takes a reference to @fileobj, copies @value, and owns @data if there is a @destroy. Returns: NULL if there is
 * nothing to own */
SelAttachment *sel_attachment_new         (GObject        *fileobj,
                                           gpointer        data,
                                           GDestroyNotify  destroy,
                                           const GValue   *value);
SelAttachment *sel_attachment_ref         (SelAttachment  *attachment);
void           sel_attachment_unref       (SelAttachment  *attachment);
GObject       *sel_attachment_get_fileobj (SelAttachment  *attachment);
const GValue  *sel_attachment_get_value   (SelAttachment  *attachment);

/* TRUE if @attachment has the same @destroy and @value. The contents of values are not compared: two values
 * with pointers are the same if the pointers are. */
gboolean       sel_attachment_has_data    (SelAttachment  *attachment,
                                           GDestroyNotify  destroy,
                                           const GValue   *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelAttachment, sel_attachment_unref)

G_END_DECLS
