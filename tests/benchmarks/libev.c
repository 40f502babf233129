/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ev.h>

#include "contestant.h"

typedef struct
{
  struct ev_loop *loop;
  int n_fds;                   /* one more than the highest */
} Libev;

static ev_io *libev_watchers[CONTESTANT_MAX_FD];

static gpointer
libev_open (const Contestant *contestant)
{
  Libev *self = g_new0 (Libev, 1);

  self->loop = ev_loop_new (EVBACKEND_EPOLL);

  return self;
}

static void
libev_ready (struct ev_loop *loop,
             ev_io          *watcher,
             int             revents)
{
  contestant_handle (watcher->fd);
}

static void
libev_set (ev_io           *watcher,
           int              fd,
           BenchmarkEvents  events)
{
  ev_io_set (watcher, fd, events == BENCHMARK_READ ? EV_READ : EV_WRITE);
}

static gboolean
libev_add (gpointer        data,
           int             fd,
           BenchmarkEvents events)
{
  Libev *self = data;

  self->n_fds = MAX (self->n_fds, fd + 1);
  if (libev_watchers[fd] == NULL)
    {
      libev_watchers[fd] = g_new (ev_io, 1);
      ev_init (libev_watchers[fd], libev_ready);
    }
  libev_set (libev_watchers[fd], fd, events);
  ev_io_start (self->loop, libev_watchers[fd]);

  return TRUE;
}

static gboolean
libev_modify (gpointer        data,
              int             fd,
              BenchmarkEvents events)
{
  Libev *self = data;

  ev_io_stop (self->loop, libev_watchers[fd]);
  libev_set (libev_watchers[fd], fd, events);
  ev_io_start (self->loop, libev_watchers[fd]);

  return TRUE;
}

static void
libev_remove (gpointer data,
              int      fd)
{
  Libev *self = data;

  ev_io_stop (self->loop, libev_watchers[fd]);
}

static void
libev_turn (gpointer data,
            gboolean block)
{
  Libev *self = data;

  ev_run (self->loop, block ? EVRUN_ONCE : EVRUN_NOWAIT);
}

static void
libev_close (gpointer data)
{
  Libev *self = data;

  ev_loop_destroy (self->loop);
  for (int i = 0; i < self->n_fds; i++)
    g_clear_pointer (&libev_watchers[i], g_free);
  g_free (self);
}

const Contestant libev_contestants[] = {
  {
    .name = "libev",
    .open = libev_open,
    .add = libev_add,
    .modify = libev_modify,
    .remove = libev_remove,
    .turn = libev_turn,
    .changes_wait = TRUE,
    .close = libev_close,
  },
  { 0 },
};
