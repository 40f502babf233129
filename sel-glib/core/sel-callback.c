/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which function does a main loop call for a descriptor? See sel-callback-private.h. */

#include "config.h"

#include "core/sel-callback-private.h"

SelCallback *
sel_callback_new (GCallback       func,
                  gpointer        user_data,
                  GDestroyNotify  notify)
{
  SelCallback *callback = g_new (SelCallback, 1);

  callback->func = func;
  callback->user_data = user_data;
  callback->notify = notify;

  return callback;
}

void
sel_callback_free (SelCallback *callback)
{
  if (callback == NULL)
    return;

  if (callback->notify != NULL)
    callback->notify (callback->user_data);
  g_free (callback);
}
