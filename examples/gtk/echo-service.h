/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "connection-list.h"

G_BEGIN_DECLS

#define ECHO_TYPE_SERVICE (echo_service_get_type ())

G_DECLARE_FINAL_TYPE (EchoService, echo_service, ECHO, SERVICE, GObject)

/* The traffic of a service, or of its clients, since the start. */
typedef struct
{
  guint64 messages;
  guint64 bytes_in;
  guint64 bytes_out;
} EchoTotals;

EchoService    *echo_service_new                   (void);
gboolean        echo_service_start                 (EchoService     *self,
                                                    const char      *backend,
                                                    GError         **error);
void            echo_service_stop                  (EchoService     *self);
GSocketAddress *echo_service_get_address           (EchoService     *self);
gboolean        echo_service_set_backend           (EchoService     *self,
                                                    const char      *backend,
                                                    GError         **error);
const char     *echo_service_get_backend           (EchoService     *self);
ConnectionList *echo_service_get_connections       (EchoService     *self);
guint           echo_service_get_n_connections     (EchoService     *self);
EchoTotals      echo_service_get_totals            (EchoService     *self);
gboolean        echo_service_is_listener           (EchoService     *self,
                                                    ConnectionItem  *item);
gboolean        echo_service_close_connection      (EchoService     *self,
                                                    ConnectionItem  *item,
                                                    GError         **error);

G_END_DECLS
