/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "loop/sel-source-data-private.h"

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

/* Counts a call of the callback of an asynchronous wait for each event, and makes the checks that are due. Returns: the
 * number of events to call it for, which are the first of @events then */
gssize   sel_source_dispatch_check  (GSource       *source,
                                     SelReadyEvent *events,
                                     gssize         n_events);

G_END_DECLS
