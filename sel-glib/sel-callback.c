/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-callback-private.h"

/* There may be one for each descriptor, so it is kept smaller than g_atomic_rc_box_new() could. */
struct _SelCallback
{
  gatomicrefcount ref_count;
  int running;
  GCallback func;
  gpointer user_data;
  GDestroyNotify notify;
};

SelCallback *
sel_callback_new (GCallback       func,
                  gpointer        user_data,
                  GDestroyNotify  notify)
{
  SelCallback *callback = g_new0 (SelCallback, 1);

  g_atomic_ref_count_init (&callback->ref_count);
  callback->func = func;
  callback->user_data = user_data;
  callback->notify = notify;

  return callback;
}

SelCallback *
sel_callback_ref (SelCallback *callback)
{
  g_atomic_ref_count_inc (&callback->ref_count);

  return callback;
}

void
sel_callback_unref (SelCallback *callback)
{
  if (callback == NULL || !g_atomic_ref_count_dec (&callback->ref_count))
    return;

  if (callback->notify != NULL)
    callback->notify (callback->user_data);
  g_free (callback);
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
