/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-wakeup-private.h"
#include "sel-source.h"

G_BEGIN_DECLS

/*
 * The sources that a main loop runs, one constructor for each kind. sel-source-data-private.h has their struct.
 */

/* These sources are destroyed already if the selector is closed. */

/* A source with a GSourceFunc, which asks the selector itself. */
GSource   *sel_source_new_plain           (SelBaseSelector *selector);

/* A source with a SelSelectorFunc, which is called for each ready descriptor that has no callback. */
GSource   *sel_source_new_dispatch        (SelBaseSelector *selector);

/* A source that calls its GSourceFunc whenever something may be ready, also if nothing is. The caller attaches it to
 * @context. */
GSource   *sel_source_new_wait            (SelBaseSelector *selector,
                                           GMainContext    *context);

/* The wait of a source is over, and its GSourceFunc is about to tell the program. The source stays in its context until
 * the next turn begins, so that a wait that begins before that does not add all descriptors to the context again. It
 * does not keep the selector alive. The caller has a reference. Returns: the result for the GSourceFunc to return */
gboolean   sel_source_end_wait            (GSource         *source);

/* Finds a source of @context whose wait is over, for a new wait. The calling thread owns the context. Returns:
 * (nullable) (transfer full): the source, which is attached */
GSource   *sel_source_reuse_wait          (SelBaseSelector *selector,
                                           GMainContext    *context,
                                           int              priority);

/* Signalling the bell of the source, in any thread, makes the source call its GSourceFunc. */
SelWakeup *sel_source_ref_bell            (GSource         *source);

/* The source does not use the selector any more. If it is destroyed, GLib has stopped polling for it. */
void       sel_source_leave               (GSource         *source,
                                           gboolean         is_destroyed);

/* The callbacks of sources that have a closure, which is @user_data. */
gboolean   sel_source_closure_callback      (gpointer         user_data);
gboolean   sel_source_closure_selector_func (SelBaseSelector *selector,
                                           SelSelectorKey  *key,
                                           SelEventMask     events,
                                           gpointer         user_data);

G_END_DECLS
