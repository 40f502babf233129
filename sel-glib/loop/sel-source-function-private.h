/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-source.h"

G_BEGIN_DECLS

/*
 * May the source be destroyed? A source that calls the callbacks of many descriptors has to know it before each of
 * them. GLib drops its reference to the function of a source when the source is destroyed, before g_source_destroy()
 * returns. So as long as nobody has dropped a reference, the source still exists, and GLib need not be asked.
 */
typedef struct
{
  int ref_count;             /* atomic */
  guint is_dropped;          /* atomic: a reference was dropped since sel_source_function_begin() */
  SelSelectorFunc func;
  gpointer user_data;
  GDestroyNotify notify;
} SelSourceFunction;

/* Makes a source that was made by sel_source_new_dispatch() call @func. */
void               sel_source_function_set   (GSource           *source,
                                              SelSelectorFunc    func,
                                              gpointer           user_data,
                                              GDestroyNotify     notify);

/* What sel_source_function_begin() returns if the program has set another function. */
extern const guint sel_source_function_unknown;

/* In dispatch (), during which GLib has a reference. @self is NULL if the program has set another function. Returns: a
 * flag, see sel_source_function_is_dropped() */
static inline const guint *
sel_source_function_begin (SelSourceFunction *self)
{
  if (G_UNLIKELY (self == NULL))
    return &sel_source_function_unknown;

  __atomic_store_n (&self->is_dropped, FALSE, __ATOMIC_SEQ_CST);

  return &self->is_dropped;
}

/* FALSE: the source was not destroyed since sel_source_function_begin(), nor in another thread before the flag was
 * read. */
static inline gboolean
sel_source_function_is_dropped (const guint *is_dropped)
{
  return __atomic_load_n (is_dropped, __ATOMIC_ACQUIRE) != 0;
}

G_END_DECLS
