/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* A function to call for a registered descriptor, and what belongs to it. */
typedef struct _SelCallback SelCallback;

SelCallback    *sel_callback_new           (GCallback       func,
                                            gpointer        user_data,
                                            GDestroyNotify  notify);

/* May call foreign code. Takes NULL. */
void            sel_callback_free          (SelCallback    *callback);

GCallback       sel_callback_get_func      (SelCallback    *callback);
gpointer        sel_callback_get_user_data (SelCallback    *callback);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelCallback, sel_callback_free)

G_END_DECLS
