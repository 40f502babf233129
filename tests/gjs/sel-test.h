/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

G_BEGIN_DECLS

gdouble  sel_test_memory_in_use (void);
gboolean sel_test_register      (SelBaseSelector  *selector,
                                 int               fd,
                                 SelEventMask      events,
                                 GError          **error);
gboolean sel_test_unregister    (SelBaseSelector  *selector,
                                 int               fd,
                                 GError          **error);

G_END_DECLS
