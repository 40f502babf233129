/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-callback-private.h"

struct _SelCallback
{
  GCallback func;
  gpointer user_data;
  GDestroyNotify notify;
  int running;
};

SelCallback *
sel_callback_new (GCallback       func,
                  gpointer        user_data,
                  GDestroyNotify  notify)
{
  SelCallback *callback = g_atomic_rc_box_new (SelCallback);

  *callback = (SelCallback) { func, user_data, notify, 0 };

  return callback;
}

SelCallback *
sel_callback_ref (SelCallback *callback)
{
  return g_atomic_rc_box_acquire (callback);
}

static void
sel_callback_clear (gpointer data)
{
  SelCallback *callback = data;

  if (callback->notify != NULL)
    callback->notify (callback->user_data);
}

void
sel_callback_unref (SelCallback *callback)
{
  if (callback != NULL)
    g_atomic_rc_box_release_full (callback, sel_callback_clear);
}

GCallback
sel_callback_get_func (SelCallback *callback)
{
  return callback->func;
}

gpointer
sel_callback_get_user_data (SelCallback *callback)
{
  return callback->user_data;
}

int *
sel_callback_get_running (SelCallback *callback)
{
  return &callback->running;
}
