/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib-unix.h>

#include "contestant.h"

/* One source of GLib's own for each descriptor. */

typedef struct
{
  GMainContext *context;
} PlainGlib;

static GSource *plain_glib_sources[CONTESTANT_MAX_FD];

static gpointer
plain_glib_open (const Contestant *contestant)
{
  PlainGlib *self = g_new (PlainGlib, 1);

  self->context = g_main_context_new ();

  return self;
}

static gboolean
plain_glib_ready (int          fd,
                  GIOCondition condition,
                  gpointer     user_data)
{
  contestant_handle (fd);

  return G_SOURCE_CONTINUE;
}

/* As g_unix_fd_add (), but for another context than the default one. */
static gboolean
plain_glib_add (gpointer        data,
                int             fd,
                BenchmarkEvents events)
{
  PlainGlib *self = data;
  GSource *source = g_unix_fd_source_new (fd, events == BENCHMARK_READ ? G_IO_IN : G_IO_OUT);

  g_source_set_callback (source, (GSourceFunc) (void (*) (void)) plain_glib_ready, NULL, NULL);
  g_source_attach (source, self->context);
  plain_glib_sources[fd] = source;

  return TRUE;
}

static void
plain_glib_remove (gpointer self,
                   int      fd)
{
  g_source_destroy (plain_glib_sources[fd]);
  g_clear_pointer (&plain_glib_sources[fd], g_source_unref);
}

/* The conditions of such a source cannot be changed. */
static gboolean
plain_glib_modify (gpointer        self,
                   int             fd,
                   BenchmarkEvents events)
{
  plain_glib_remove (self, fd);

  return plain_glib_add (self, fd, events);
}

static void
plain_glib_turn (gpointer data,
                 gboolean block)
{
  PlainGlib *self = data;

  g_main_context_iteration (self->context, block);
}

static void
plain_glib_close (gpointer data)
{
  PlainGlib *self = data;

  g_main_context_unref (self->context);
  g_free (self);
}

const Contestant glib_contestants[] = {
  {
    .name = "GLib, a source per descriptor",
    .max_fds = 20000,
    .open = plain_glib_open,
    .add = plain_glib_add,
    .modify = plain_glib_modify,
    .remove = plain_glib_remove,
    .turn = plain_glib_turn,
    .close = plain_glib_close,
  },
  { 0 },
};
