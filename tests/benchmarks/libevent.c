/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <event2/event.h>

#include "contestant.h"

typedef struct
{
  struct event_base *base;
  int n_fds;                   /* one more than the highest */
} Libevent;

static struct event *libevent_events[CONTESTANT_MAX_FD];

static gpointer
libevent_open (const Contestant *contestant)
{
  Libevent *self = g_new0 (Libevent, 1);

  self->base = event_base_new ();

  return self;
}

static void
libevent_ready (evutil_socket_t fd,
                short           events,
                void           *user_data)
{
  contestant_handle ((int) fd);
}

static short
libevent_events_from (BenchmarkEvents events)
{
  return EV_PERSIST | (events == BENCHMARK_READ ? EV_READ : EV_WRITE);
}

static gboolean
libevent_add (gpointer        data,
              int             fd,
              BenchmarkEvents events)
{
  Libevent *self = data;

  self->n_fds = MAX (self->n_fds, fd + 1);
  if (libevent_events[fd] == NULL)
    libevent_events[fd] = event_new (self->base, fd, libevent_events_from (events), libevent_ready, NULL);

  return event_add (libevent_events[fd], NULL) == 0;
}

static gboolean
libevent_modify (gpointer        data,
                 int             fd,
                 BenchmarkEvents events)
{
  Libevent *self = data;

  event_del (libevent_events[fd]);
  event_assign (libevent_events[fd], self->base, fd, libevent_events_from (events), libevent_ready, NULL);

  return event_add (libevent_events[fd], NULL) == 0;
}

static void
libevent_remove (gpointer self,
                 int      fd)
{
  event_del (libevent_events[fd]);
}

static void
libevent_turn (gpointer data,
               gboolean block)
{
  Libevent *self = data;

  event_base_loop (self->base, block ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
}

static void
libevent_close (gpointer data)
{
  Libevent *self = data;

  for (int i = 0; i < self->n_fds; i++)
    g_clear_pointer (&libevent_events[i], event_free);
  event_base_free (self->base);
  g_free (self);
}

const Contestant libevent_contestants[] = {
  {
    .name = "libevent",
    .open = libevent_open,
    .add = libevent_add,
    .modify = libevent_modify,
    .remove = libevent_remove,
    .turn = libevent_turn,
    .close = libevent_close,
  },
  { 0 },
};
