/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What may a main loop inside of a plain source's callback do? See sel-source-run-private.h. */

#include "config.h"

#include "loop/sel-source-run-private.h"

gboolean
sel_source_run_call (SelSourceRun *self,
                     GSource      *source,
                     gboolean      can_recurse,
                     GSourceFunc   callback,
                     gpointer      user_data)
{
  gboolean goes_on;

  self->is_running = !can_recurse;
  goes_on = callback (user_data);
  self->is_running = FALSE;

  /* A time that the function has set counts instead. */
  if (self->has_ready_time && g_source_get_ready_time (source) < 0)
    g_source_set_ready_time (source, self->ready_time);
  self->has_ready_time = FALSE;

  return goes_on;
}

void
sel_source_run_end (SelSourceRun *self)
{
  self->is_running = FALSE;
  self->has_ready_time = FALSE;
}

gboolean
sel_source_run_hold_ready_time (SelSourceRun *self,
                                GSource      *source)
{
  self->ready_time = g_source_get_ready_time (source);
  self->has_ready_time = TRUE;
  g_source_set_ready_time (source, -1);

  return G_SOURCE_CONTINUE;
}
