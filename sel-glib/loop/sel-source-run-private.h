/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * What happens if the GSourceFunc of a source runs a main loop? The source has nothing for that loop. For GLib the
 * source is recursive nevertheless, because otherwise GLib would take all polled descriptors out of the context and
 * back around each call.
 */
typedef struct
{
  gboolean is_running;       /* the function runs, and must not run again inside itself */
  gboolean has_ready_time;   /* the ready time of the source has come in a loop of the function ... */
  gint64 ready_time;         /* ... and was taken away until the function has returned */
} SelSourceRun;

/* Calls the function. */
gboolean sel_source_run_call            (SelSourceRun *self,
                                         GSource      *source,
                                         gboolean      can_recurse,
                                         GSourceFunc   callback,
                                         gpointer      user_data);

/* The function has done its work, and is about to call the program: a loop in there may call it again. */
void     sel_source_run_end             (SelSourceRun *self);

/* GLib has found in a loop of the function that the time of g_source_set_ready_time() has come, and would find it again
 * in each turn. Returns: %G_SOURCE_CONTINUE */
gboolean sel_source_run_hold_ready_time (SelSourceRun *self,
                                         GSource      *source);

G_END_DECLS
