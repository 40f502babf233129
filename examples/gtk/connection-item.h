/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

G_BEGIN_DECLS

#define CONNECTION_TYPE_ITEM (connection_item_get_type ())

G_DECLARE_FINAL_TYPE (ConnectionItem, connection_item, CONNECTION, ITEM, GObject)

ConnectionItem *connection_item_new            (GSocket        *socket);
GSocket        *connection_item_get_socket     (ConnectionItem *self);
void            connection_item_set_key        (ConnectionItem *self,
                                                SelSelectorKey *key);
SelSelectorKey *connection_item_get_key        (ConnectionItem *self);
void            connection_item_count          (ConnectionItem *self,
                                                guint           messages,
                                                gsize           bytes);
void            connection_item_notify_changes (ConnectionItem *self);

G_END_DECLS
