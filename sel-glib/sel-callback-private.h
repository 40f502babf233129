/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* A function to call for a registered descriptor, and what belongs to it: shared by the table and by
 * the call that goes on. */
typedef struct _SelCallback SelCallback;

SelCallback    *sel_callback_new           (GCallback       func,
                                            gpointer        user_data,
                                            GDestroyNotify  notify);
SelCallback    *sel_callback_ref           (SelCallback    *callback);

/* May call foreign code. Takes NULL. */
void            sel_callback_unref         (SelCallback    *callback);

GCallback       sel_callback_get_func      (SelCallback    *callback);
gpointer        sel_callback_get_user_data (SelCallback    *callback);

/* How often the function runs now: more than once if it runs a main loop of its own. Atomic. */
int            *sel_callback_get_running   (SelCallback    *callback);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelCallback, sel_callback_unref)

G_END_DECLS
