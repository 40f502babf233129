/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

/**
 * SelSelectorFunc:
 * @selector: the selector
 * @key: the key of a ready descriptor
 * @events: what it is ready for
 * @user_data: (closure): what was given together with the function
 *
 * Called from a main loop for each ready descriptor of a selector.
 *
 * It may do anything with the selector and with the source it is called from.
 *
 * Returns: %G_SOURCE_CONTINUE, or %G_SOURCE_REMOVE to be called no more
 *
 * Since: 1.0
 */
typedef gboolean (*SelSelectorFunc) (SelBaseSelector *selector,
                                     SelSelectorKey  *key,
                                     SelEventMask     events,
                                     gpointer         user_data);

SEL_AVAILABLE_IN_1_0
GSource *sel_base_selector_create_source          (SelBaseSelector *self);
SEL_AVAILABLE_IN_1_0
GSource *sel_base_selector_create_dispatch_source (SelBaseSelector *self,
                                                   SelSelectorFunc  func,
                                                   gpointer         user_data,
                                                   GDestroyNotify   notify);
SEL_AVAILABLE_IN_1_0
guint    sel_base_selector_attach                 (SelBaseSelector *self,
                                                   GMainContext    *context,
                                                   int              priority,
                                                   SelSelectorFunc  func,
                                                   gpointer         user_data,
                                                   GDestroyNotify   notify);

G_END_DECLS
