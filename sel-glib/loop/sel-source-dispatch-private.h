/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The dispatch () of a source that has a GSourceFunc, which asks the selector itself. */
gboolean sel_source_dispatch        (GSource     *source,
                                     GSourceFunc  callback,
                                     gpointer     user_data);

/* The dispatch () of a source that has a SelSelectorFunc. */
gboolean sel_source_dispatch_events (GSource     *source,
                                     GSourceFunc  callback,
                                     gpointer     user_data);

/* The dispatch () of an asynchronous wait, whose callback is also called if nothing is ready. */
gboolean sel_source_dispatch_wait   (GSource     *source,
                                     GSourceFunc  callback,
                                     gpointer     user_data);

G_END_DECLS
