/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-source.h"

G_BEGIN_DECLS

/* A source that calls its GSourceFunc whenever something may be ready, also if nothing is. */
GSource *sel_source_new_wait              (SelBaseSelector *selector);

/* The callbacks of sources that have a closure, which is @user_data. */
gboolean sel_source_closure_callback      (gpointer         user_data);
gboolean sel_source_closure_selector_func (SelBaseSelector *selector,
                                           SelSelectorKey  *key,
                                           SelEventMask     events,
                                           gpointer         user_data);

G_END_DECLS
