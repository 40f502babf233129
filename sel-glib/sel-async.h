/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

SEL_AVAILABLE_IN_1_0
void       sel_base_selector_select_async  (SelBaseSelector      *self,
                                            gdouble               timeout,
                                            int                   io_priority,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
SEL_AVAILABLE_IN_1_0
GPtrArray *sel_base_selector_select_finish (SelBaseSelector      *self,
                                            GAsyncResult         *result,
                                            GError              **error);
SEL_AVAILABLE_IN_1_0
GList     *sel_base_selector_select_finish_list
                                           (SelBaseSelector      *self,
                                            GAsyncResult         *result,
                                            GError              **error);

G_END_DECLS
