/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "connection-item.h"

G_BEGIN_DECLS

#define CONNECTION_TYPE_LIST (connection_list_get_type ())

G_DECLARE_FINAL_TYPE (ConnectionList, connection_list, CONNECTION, LIST, GObject)

ConnectionList *connection_list_new    (void);
void            connection_list_add    (ConnectionList *self,
                                        ConnectionItem *item);
void            connection_list_remove (ConnectionList *self,
                                        ConnectionItem *item);
void            connection_list_touch  (ConnectionList *self,
                                        ConnectionItem *item);
void            connection_list_flush  (ConnectionList *self);

G_END_DECLS
