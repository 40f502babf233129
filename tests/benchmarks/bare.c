/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "contestant.h"

/* Hand-written loops, which are the lower bound for every library. */

/* --- epoll --- */

typedef struct
{
  int epoll_fd;
  struct epoll_event events[BENCHMARK_BATCH];
} BareEpoll;

static gpointer
bare_epoll_open (const Contestant *contestant)
{
  BareEpoll *self = g_new (BareEpoll, 1);

  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);

  return self;
}

static gboolean
bare_epoll_control (BareEpoll       *self,
                    int              op,
                    int              fd,
                    BenchmarkEvents  events)
{
  struct epoll_event event = { .events = events == BENCHMARK_READ ? EPOLLIN : EPOLLOUT, .data.fd = fd };

  return epoll_ctl (self->epoll_fd, op, fd, &event) == 0;
}

static gboolean
bare_epoll_add (gpointer        self,
                int             fd,
                BenchmarkEvents events)
{
  return bare_epoll_control (self, EPOLL_CTL_ADD, fd, events);
}

static gboolean
bare_epoll_modify (gpointer        self,
                   int             fd,
                   BenchmarkEvents events)
{
  return bare_epoll_control (self, EPOLL_CTL_MOD, fd, events);
}

static void
bare_epoll_remove (gpointer self,
                   int      fd)
{
  bare_epoll_control (self, EPOLL_CTL_DEL, fd, BENCHMARK_READ);
}

static void
bare_epoll_turn (gpointer data,
                 gboolean block)
{
  BareEpoll *self = data;
  int n = epoll_wait (self->epoll_fd, self->events, BENCHMARK_BATCH, block ? -1 : 0);

  for (int i = 0; i < n; i++)
    contestant_handle (self->events[i].data.fd);
}

static void
bare_epoll_close (gpointer data)
{
  BareEpoll *self = data;

  close (self->epoll_fd);
  g_free (self);
}

/* --- epoll in a source, the lower bound for libraries that work in GLib's main loop --- */

typedef struct
{
  BareEpoll bare;
  GMainContext *context;
} BareSource;

typedef struct
{
  GSource source;
  BareEpoll *bare;
} BareGSource;

static gboolean
bare_source_dispatch (GSource     *source,
                      GSourceFunc  callback,
                      gpointer     user_data)
{
  bare_epoll_turn (((BareGSource *) source)->bare, FALSE);

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs bare_source_funcs = { .dispatch = bare_source_dispatch };

static gpointer
bare_source_open (const Contestant *contestant)
{
  BareSource *self = g_new (BareSource, 1);
  g_autoptr(GSource) source = g_source_new (&bare_source_funcs, sizeof (BareGSource));

  self->bare.epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  self->context = g_main_context_new ();
  ((BareGSource *) source)->bare = &self->bare;
  g_source_set_can_recurse (source, TRUE); /* otherwise GLib makes three more system calls per iteration */
  g_source_add_unix_fd (source, self->bare.epoll_fd, G_IO_IN);
  g_source_attach (source, self->context);

  return self;
}

static void
bare_source_turn (gpointer data,
                  gboolean block)
{
  BareSource *self = data;

  g_main_context_iteration (self->context, block);
}

static void
bare_source_close (gpointer data)
{
  BareSource *self = data;

  g_main_context_unref (self->context);
  bare_epoll_close (self);
}

/* --- poll --- */

typedef struct
{
  struct pollfd *entries;
  int *index;                  /* of the entry of each descriptor */
  nfds_t n_entries;
  nfds_t size;
  int index_size;
} BarePoll;

static gpointer
bare_poll_open (const Contestant *contestant)
{
  return g_new0 (BarePoll, 1);
}

static gboolean
bare_poll_add (gpointer        data,
               int             fd,
               BenchmarkEvents events)
{
  BarePoll *self = data;

  if (self->n_entries == self->size)
    {
      self->size = MAX (64, 2 * self->size);
      self->entries = g_renew (struct pollfd, self->entries, self->size);
    }
  if (fd >= self->index_size)
    {
      self->index_size = MAX (fd + 1, 2 * self->index_size);
      self->index = g_renew (int, self->index, self->index_size);
    }

  self->index[fd] = (int) self->n_entries;
  self->entries[self->n_entries++] =
    (struct pollfd) { .fd = fd, .events = events == BENCHMARK_READ ? POLLIN : POLLOUT };

  return TRUE;
}

static gboolean
bare_poll_modify (gpointer        data,
                  int             fd,
                  BenchmarkEvents events)
{
  BarePoll *self = data;

  self->entries[self->index[fd]].events = events == BENCHMARK_READ ? POLLIN : POLLOUT;

  return TRUE;
}

static void
bare_poll_remove (gpointer data,
                  int      fd)
{
  BarePoll *self = data;
  struct pollfd last = self->entries[--self->n_entries];

  self->entries[self->index[fd]] = last;
  self->index[last.fd] = self->index[fd];
}

static void
bare_poll_turn (gpointer data,
                gboolean block)
{
  BarePoll *self = data;
  int n = poll (self->entries, self->n_entries, block ? -1 : 0);

  for (nfds_t i = 0; n > 0 && i < self->n_entries; i++)
    {
      if (self->entries[i].revents != 0)
        {
          contestant_handle (self->entries[i].fd);
          n--;
        }
    }
}

static void
bare_poll_close (gpointer data)
{
  BarePoll *self = data;

  g_free (self->entries);
  g_free (self->index);
  g_free (self);
}

/* --- select, with sets as large as needed, which Linux allows --- */

#define BITS (8 * (int) sizeof (gulong))

typedef struct
{
  gulong *sets[2];             /* for reading, for writing */
  gulong *results[2];
  int n_words;
  int n_fds;
} BareSelect;

static gpointer
bare_select_open (const Contestant *contestant)
{
  return g_new0 (BareSelect, 1);
}

static gboolean
bare_select_modify (gpointer        data,
                    int             fd,
                    BenchmarkEvents events)
{
  BareSelect *self = data;

  for (int i = 0; i < 2; i++)
    {
      self->sets[i][fd / BITS] &= ~(1ul << fd % BITS);
      if (events == (i == 0 ? BENCHMARK_READ : BENCHMARK_WRITE))
        self->sets[i][fd / BITS] |= 1ul << fd % BITS;
    }

  return TRUE;
}

static gboolean
bare_select_add (gpointer        data,
                 int             fd,
                 BenchmarkEvents events)
{
  BareSelect *self = data;

  while (self->n_words <= fd / BITS)
    {
      for (int i = 0; i < 2; i++)
        {
          self->sets[i] = g_renew (gulong, self->sets[i], self->n_words + 16);
          self->results[i] = g_renew (gulong, self->results[i], self->n_words + 16);
          memset (self->sets[i] + self->n_words, 0, 16 * sizeof (gulong));
        }
      self->n_words += 16;
    }

  self->n_fds = MAX (self->n_fds, fd + 1);

  return bare_select_modify (self, fd, events);
}

static void
bare_select_remove (gpointer self,
                    int      fd)
{
  bare_select_modify (self, fd, 0);
}

static void
bare_select_turn (gpointer data,
                  gboolean block)
{
  BareSelect *self = data;
  struct timeval zero = { 0, 0 };
  gsize n_words = ((gsize) self->n_fds + BITS - 1) / BITS;
  int n;

  for (int i = 0; i < 2; i++)
    memcpy (self->results[i], self->sets[i], n_words * sizeof (gulong));

  n = select (self->n_fds, (fd_set *) self->results[0], (fd_set *) self->results[1], NULL, block ? NULL : &zero);

  for (gsize word = 0; n > 0 && word < n_words; word++)
    {
      gulong bits = self->results[0][word] | self->results[1][word];

      for (; bits != 0; bits &= bits - 1)
        {
          contestant_handle ((int) word * BITS + __builtin_ctzl (bits));
          n--;
        }
    }
}

static void
bare_select_close (gpointer data)
{
  BareSelect *self = data;

  for (int i = 0; i < 2; i++)
    {
      g_free (self->sets[i]);
      g_free (self->results[i]);
    }
  g_free (self);
}

const Contestant bare_contestants[] = {
  {
    .name = "epoll",
    .open = bare_epoll_open,
    .add = bare_epoll_add,
    .modify = bare_epoll_modify,
    .remove = bare_epoll_remove,
    .turn = bare_epoll_turn,
    .close = bare_epoll_close,
  },
  {
    .name = "epoll in a source",
    .open = bare_source_open,
    .add = bare_epoll_add,
    .modify = bare_epoll_modify,
    .remove = bare_epoll_remove,
    .turn = bare_source_turn,
    .close = bare_source_close,
  },
  {
    .name = "poll",
    .open = bare_poll_open,
    .add = bare_poll_add,
    .modify = bare_poll_modify,
    .remove = bare_poll_remove,
    .turn = bare_poll_turn,
    .close = bare_poll_close,
  },
  {
    .name = "select",
    .open = bare_select_open,
    .add = bare_select_add,
    .modify = bare_select_modify,
    .remove = bare_select_remove,
    .turn = bare_select_turn,
    .close = bare_select_close,
  },
  { 0 },
};
