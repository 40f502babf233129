/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/* The callback of one descriptor. */
typedef struct
{
  GCallback func;            /* a SelSelectorFunc */
  gpointer user_data;
  GDestroyNotify notify;
} SelCallback;

SelCallback    *sel_callback_new           (GCallback       func,
                                            gpointer        user_data,
                                            GDestroyNotify  notify);

/* Calls the destroy notify, which is foreign code. @callback may be NULL. */
void            sel_callback_free          (SelCallback    *callback);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SelCallback, sel_callback_free)

G_END_DECLS
