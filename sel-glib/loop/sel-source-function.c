/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "loop/sel-source-data-private.h"

const guint sel_source_function_unknown = TRUE;

static void
sel_source_function_ref (gpointer data)
{
  SelSourceFunction *self = data;

  g_atomic_int_inc (&self->ref_count);
}

static void
sel_source_function_unref (gpointer data)
{
  SelSourceFunction *self = data;

  /* This comes first, because another thread may drop the last reference at any time after the next line. */
  __atomic_store_n (&self->is_dropped, TRUE, __ATOMIC_RELEASE);
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  if (self->notify != NULL)
    self->notify (self->user_data);
  g_free (self);
}

/* GLib calls this before each dispatch (), in the same thread. */
static void
sel_source_function_get (gpointer     data,
                         GSource     *source,
                         GSourceFunc *func,
                         gpointer    *user_data)
{
  SelSourceFunction *self = data;

  ((SelSource *) source)->function = self;
  *func = (GSourceFunc) (void (*) (void)) self->func;
  *user_data = self->user_data;
}

static GSourceCallbackFuncs sel_source_function_funcs = {
  .ref = sel_source_function_ref,
  .unref = sel_source_function_unref,
  .get = sel_source_function_get,
};

static SelSourceFunction *
sel_source_function_new (SelSelectorFunc func,
                         gpointer        user_data,
                         GDestroyNotify  notify)
{
  SelSourceFunction *self = g_new0 (SelSourceFunction, 1);

  self->ref_count = 1;
  self->func = func;
  self->user_data = user_data;
  self->notify = notify;

  return self;
}

void
sel_source_function_set (GSource         *source,
                         SelSelectorFunc  func,
                         gpointer         user_data,
                         GDestroyNotify   notify)
{
  g_source_set_callback_indirect (source, sel_source_function_new (func, user_data, notify),
                                  &sel_source_function_funcs);
}
