/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define LOAD_TYPE_GENERATOR (load_generator_get_type ())

G_DECLARE_FINAL_TYPE (LoadGenerator, load_generator, LOAD, GENERATOR, GObject)

typedef struct
{
  guint n_clients;       /* currently open */
  guint64 messages;      /* sent and echoed in full */
  guint64 bytes_sent;
  guint64 bytes_echoed;
  guint64 mismatches;    /* echoes that differ from the message */
} LoadTotals;

LoadGenerator *load_generator_new           (GSocketAddress  *server,
                                             GError         **error);
void           load_generator_set_n_clients (LoadGenerator   *self,
                                             guint            n_clients);
guint          load_generator_get_n_clients (LoadGenerator   *self);
void           load_generator_set_rate      (LoadGenerator   *self,
                                             guint            messages_per_second);
LoadTotals     load_generator_get_totals    (LoadGenerator   *self);

G_END_DECLS
