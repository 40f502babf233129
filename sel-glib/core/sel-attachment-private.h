/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* What a registration owns besides its numbers: shared by the table and by the keys that were
 * handed out. There is none where nothing is owned, so most functions take NULL. */
typedef struct _SelAttachment SelAttachment;

SelAttachment *sel_attachment_new         (GObject        *fileobj,
                                           gpointer        data,
                                           GDestroyNotify  destroy,
                                           const GValue   *value);
SelAttachment *sel_attachment_ref         (SelAttachment  *attachment);
void           sel_attachment_unref       (SelAttachment  *attachment);
GObject       *sel_attachment_get_fileobj (SelAttachment  *attachment);
const GValue  *sel_attachment_get_value   (SelAttachment  *attachment);

/* TRUE if @attachment has this data, by identity: the contents of values are never compared. */
gboolean       sel_attachment_has_data    (SelAttachment  *attachment,
                                           GDestroyNotify  destroy,
                                           const GValue   *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelAttachment, sel_attachment_unref)

G_END_DECLS
