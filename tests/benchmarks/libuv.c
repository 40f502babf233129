/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <uv.h>

#include "contestant.h"

typedef struct
{
  uv_loop_t loop;
  int n_fds;                   /* one more than the highest */
} Libuv;

static uv_poll_t *libuv_handles[CONTESTANT_MAX_FD];

static gpointer
libuv_open (const Contestant *contestant)
{
  Libuv *self = g_new0 (Libuv, 1);

  if (uv_loop_init (&self->loop) == 0)
    return self;

  g_free (self);

  return NULL;
}

static void
libuv_ready (uv_poll_t *handle,
             int        status,
             int        events)
{
  contestant_handle (GPOINTER_TO_INT (handle->data));
}

static gboolean
libuv_modify (gpointer        self,
              int             fd,
              BenchmarkEvents events)
{
  return uv_poll_start (libuv_handles[fd], events == BENCHMARK_READ ? UV_READABLE : UV_WRITABLE, libuv_ready) == 0;
}

static gboolean
libuv_add (gpointer        data,
           int             fd,
           BenchmarkEvents events)
{
  Libuv *self = data;

  self->n_fds = MAX (self->n_fds, fd + 1);
  if (libuv_handles[fd] == NULL)
    {
      libuv_handles[fd] = g_new (uv_poll_t, 1);
      libuv_handles[fd]->data = GINT_TO_POINTER (fd);
      if (uv_poll_init (&self->loop, libuv_handles[fd], fd) != 0)
        {
          g_clear_pointer (&libuv_handles[fd], g_free);
          return FALSE;
        }
    }

  return libuv_modify (self, fd, events);
}

static void
libuv_remove (gpointer self,
              int      fd)
{
  uv_poll_stop (libuv_handles[fd]);
}

static void
libuv_turn (gpointer data,
            gboolean block)
{
  Libuv *self = data;

  uv_run (&self->loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static void
libuv_handle_closed (uv_handle_t *handle)
{
  libuv_handles[GPOINTER_TO_INT (handle->data)] = NULL;
  g_free (handle);
}

static void
libuv_close (gpointer data)
{
  Libuv *self = data;

  for (int i = 0; i < self->n_fds; i++)
    {
      if (libuv_handles[i] != NULL)
        uv_close ((uv_handle_t *) libuv_handles[i], libuv_handle_closed);
    }
  uv_run (&self->loop, UV_RUN_DEFAULT);
  uv_loop_close (&self->loop);
  g_free (self);
}

const Contestant libuv_contestants[] = {
  {
    .name = "libuv",
    .open = libuv_open,
    .add = libuv_add,
    .modify = libuv_modify,
    .remove = libuv_remove,
    .turn = libuv_turn,
    .changes_wait = TRUE,
    .close = libuv_close,
  },
  { 0 },
};
