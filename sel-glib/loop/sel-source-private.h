/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-wakeup-private.h"
#include "sel-source.h"

G_BEGIN_DECLS

/* These sources are destroyed already if the selector is closed. */

/* A source with a GSourceFunc, which asks the selector itself. */
GSource   *sel_source_new_plain           (SelBaseSelector *selector);

/* A source with a SelSelectorFunc, which is called for each ready descriptor that has no callback. */
GSource   *sel_source_new_dispatch        (SelBaseSelector *selector);

/* A source that calls its GSourceFunc whenever something may be ready, also if nothing is. */
GSource   *sel_source_new_wait            (SelBaseSelector *selector);

/* Signalling the bell of the source, in any thread, makes the source call its GSourceFunc. */
SelWakeup *sel_source_ref_bell            (GSource         *source);

/* The callbacks of sources that have a closure, which is @user_data. */
gboolean   sel_source_closure_callback      (gpointer         user_data);
gboolean   sel_source_closure_selector_func (SelBaseSelector *selector,
                                           SelSelectorKey  *key,
                                           SelEventMask     events,
                                           gpointer         user_data);

G_END_DECLS
