/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

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
