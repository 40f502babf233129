/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listeners.h"
#include "system-facts.h"

/* Some systems do not have it. */
#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

/*
 * Situations in which a callback ignores that its descriptor has ended: the policy says how often it may be called. The
 * others do not wait for it.
 */

/* A descriptor that stays writable: only calls that tell the end of the other direction count. */
static void
forget_writing (Situation    *self,
                SelEventMask  events)
{
  if (events == WRITE)
    self->n_calls--;
}

static const Situation ignorers[] = {
  { "pipe, writer gone", READ, open_ended_pipe },
  { "the same, watched for writing", WRITE, open_ended_pipe },
  { "full pipe, reader gone", WRITE, open_broken_pipe },
  { "socket, peer closed", READ, open_closed_socket },
  { "the same, WRITE", WRITE, open_closed_socket },
  { "the same, both", BOTH, open_closed_socket },
  { "socket, peer half-closed", READ, open_half_closed },
  { "the same, and stays writable", BOTH, open_half_closed, NULL, forget_writing },
  { "packets, peer closed", READ, open_closed_packets },
  { "TCP, peer closed", READ, open_closed_tcp },
  { "TCP, reset", READ, open_reset_tcp },
  { "TCP, reset, both", BOTH, open_reset_tcp },
  { "listening socket after shutdown", READ, open_shut_listener },
  { "socket, never connected", BOTH, open_unconnected },
  { "FIFO, writer gone", READ, open_fifo },
  { "terminal, other side closed", READ, open_terminal },
  { "the same, and stays writable", BOTH, open_terminal, NULL, forget_writing },
};

/* The part of the program that calls select (0) in each turn, or does something else between asynchronous waits. */
typedef enum
{
  NOBODY_ASKS,
  CALLBACK_ASKS,             /* that of the active pair */
  OTHERS_ASK,                /* a callback of the main loop that is not one of the selector, or another thread */
  WAITS_REST                 /* nobody asks, and the next wait begins some turns after the last one */
} Asker;

/* All of them in one loop, beside an active pair. */
typedef struct
{
  SelBaseSelector *selector;
  GMainContext *context;
  GSource      *source;
  GCancellable *cancellable;
  Listener      listener;
  Situation     rows[G_N_ELEMENTS (ignorers)];
  gboolean      is_open[G_N_ELEMENTS (ignorers)];
  Situation     active;
  Asker         asker;
} Ignorance;

/* The callback of a plain source is told of all of them at once. */
static gboolean
on_any (gpointer user_data)
{
  SelReadyEvent events[G_N_ELEMENTS (ignorers) + 1];
  gssize n = sel_base_selector_select_ready (user_data, 0, events, G_N_ELEMENTS (events), NULL, NULL);

  for (gssize i = 0; i < n; i++)
    situation_on_ready (user_data, NULL, events[i].events, events[i].data);

  return G_SOURCE_CONTINUE;
}

static gboolean ignorance_begin_wait (gpointer user_data);

static void
on_any_selected (GObject      *object,
                 GAsyncResult *result,
                 gpointer      user_data)
{
  Ignorance *self = user_data;
  g_autoptr (GPtrArray) events = sel_base_selector_select_finish (self->selector, result, NULL);

  if (events == NULL)
    return;

  for (guint i = 0; i < events->len; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (events, i);

      situation_on_ready (self->selector, NULL, sel_selector_event_get_events (event),
                          sel_selector_key_get_data (sel_selector_event_get_key (event)));
    }

  if (self->asker == WAITS_REST)
    {
      g_autoptr (GSource) idle = g_idle_source_new ();

      g_source_set_callback (idle, ignorance_begin_wait, self, NULL);
      g_source_attach (idle, self->context);
    }
  else
    {
      ignorance_begin_wait (self);
    }
}

/* The loop of a program that awaits. */
static gboolean
ignorance_begin_wait (gpointer user_data)
{
  Ignorance *self = user_data;

  sel_base_selector_select_async (self->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, self->cancellable,
                                  on_any_selected, self);

  return G_SOURCE_REMOVE;
}

static void
ignorance_register (Ignorance       *self,
                    Situation       *row,
                    SelBaseSelector *selector)
{
  if (self->listener != BY_CALLBACK)
    g_assert_true (sel_base_selector_register (selector, row->fd, row->events, row, NULL, NULL));
  else
    situation_register (row, selector);
}

static void
read_byte_and_ask (Situation    *situation,
                   SelEventMask  events)
{
  Ignorance *self = (Ignorance *) (void *) ((char *) situation - G_STRUCT_OFFSET (Ignorance, active));
  SelReadyEvent event;

  read_byte (situation, events);
  g_assert_cmpint (sel_base_selector_select_ready (self->selector, 0, &event, 1, NULL, NULL), >=, 0);
}

static void
ignorance_open (Ignorance       *self,
                SelBaseSelector *selector,
                Listener         listener,
                Asker            asker)
{
  const Situation active = { "active", READ, NULL, NULL, asker == CALLBACK_ASKS ? read_byte_and_ask : read_byte };

  *self = (Ignorance) { .selector = selector, .context = g_main_context_new (), .listener = listener, .asker = asker,
                        .cancellable = g_cancellable_new () };
  g_main_context_push_thread_default (self->context);
  if (listener == BY_PLAIN_SOURCE)
    {
      self->source = sel_base_selector_create_source (selector);
      g_source_set_callback (self->source, on_any, selector, NULL);
    }
  else if (listener == BY_CALLBACK)
    {
      self->source = sel_base_selector_create_dispatch_source (selector, NULL, NULL, NULL);
    }
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    {
      self->rows[i] = ignorers[i];
      self->rows[i].fd = self->rows[i].peer = -1;
      self->is_open[i] = self->rows[i].open (&self->rows[i]);
      if (self->is_open[i] && system_poll (self->rows[i].fd) == 0)
        {
          g_test_message ("%s: never ready on this system", self->rows[i].name);
          self->is_open[i] = FALSE;
        }
      if (self->is_open[i])
        ignorance_register (self, &self->rows[i], selector);
    }
  situation_open (&self->active, &active);
  ignorance_register (self, &self->active, selector);
  if (self->source != NULL)
    g_source_attach (self->source, self->context);
  else
    ignorance_begin_wait (self);
}

static void
ignorance_close (Ignorance       *self,
                 SelBaseSelector *selector)
{
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  g_cancellable_cancel (self->cancellable);
  while (g_main_context_iteration (self->context, FALSE))
    ;
  g_object_unref (self->cancellable);
  g_main_context_pop_thread_default (self->context);
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    {
      if (self->is_open[i])
        unwatch (selector, self->rows[i].fd);
      situation_close (&self->rows[i]);
    }
  unwatch (selector, self->active.fd);
  situation_close (&self->active);
  g_main_context_unref (self->context);
}

static gboolean
ignorance_has_calls (Ignorance *self,
                     guint      n_calls)
{
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    if (self->is_open[i] && self->rows[i].n_calls < n_calls)
      return FALSE;

  return TRUE;
}

/* A thread is told everything, also what is paused for the callbacks. */
static void
ignorance_ask (Ignorance *self)
{
  SelReadyEvent events[G_N_ELEMENTS (ignorers) + 1];
  gssize n_ended = 0;

  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    n_ended += self->is_open[i] != FALSE;
  g_assert_cmpint (sel_base_selector_select_ready (self->selector, 0, events, G_N_ELEMENTS (events), NULL, NULL), ==,
                   n_ended);
}

/* Turns the loop for @ms milliseconds, and longer if the machine is busy, or until each callback was called @n_calls
 * times. Returns the time in milliseconds. */
static guint
ignorance_run (Ignorance *self,
               guint      ms,
               guint      n_calls)
{
  gint64 start = g_get_monotonic_time ();

  while (g_get_monotonic_time () - start < (gint64) ms * 1000 || !ignorance_has_calls (self, n_calls))
    {
      if (self->asker == CALLBACK_ASKS)
        put_byte (self->active.peer);
      else if (self->asker == OTHERS_ASK)
        ignorance_ask (self);
      g_main_context_iteration (self->context, FALSE);
    }

  return (guint) ((g_get_monotonic_time () - start) / 1000);
}

typedef struct
{
  SelBaseSelector *selector;
  int ended;
  gulong time;               /* how long a call takes, in microseconds */
  guint n_told;
} SlowCallback;

/* All pauses are over when a slow call asks. */
static gboolean
ask_after_pauses (gpointer user_data)
{
  SlowCallback *self = user_data;
  SelReadyEvent events[3];
  gssize n;

  g_usleep (self->time);
  n = sel_base_selector_select_ready (self->selector, 0, events, G_N_ELEMENTS (events), NULL, NULL);
  for (gssize i = 0; i < n; i++)
    self->n_told += events[i].fd == self->ended;

  return G_SOURCE_CONTINUE;
}

/* The callback of a plain source is slow, so that pauses end while it runs. It is told of the ended descriptor once
 * before each pause, and not in addition by the select () that it calls. */
static void
test_slow_callback (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_source (fixture->selector);
  SlowCallback slow = { .selector = fixture->selector };
  int busy[2];
  int ended[2];

  open_socketpair (busy);
  open_socketpair (ended);
  put_byte (busy[1]);
  close (ended[1]);
  slow.ended = ended[0];
  watch (fixture->selector, busy[0], READ);
  watch (fixture->selector, ended[0], READ);
  g_source_set_callback (source, ask_after_pauses, &slow, NULL);
  g_source_attach (source, context);

  /* Before the first pause. */
  for (guint i = 0; i < 8; i++)
    g_main_context_iteration (context, FALSE);

  /* The next three pauses last for 1 to 8 milliseconds. */
  slow.n_told = 0;
  slow.time = 20 * 1000;
  for (guint i = 0; i < 6; i++)
    g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (slow.n_told, >=, 2);
  g_assert_cmpuint (slow.n_told, <=, 3);

  g_source_destroy (source);
  unwatch (fixture->selector, busy[0]);
  unwatch (fixture->selector, ended[0]);
  close_pair (busy);
  close (ended[0]);
}

static void
check_ignored (BackendFixture *fixture,
               Listener        listener,
               Asker           asker)
{
  Ignorance self;
  guint ms;

  ignorance_open (&self, fixture->selector, listener, asker);
  /* Pauses grow with each call. After 16 calls they have their full length, also if the loop had few turns. */
  ms = ignorance_run (&self, 100, 16);
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    {
      g_test_message ("%s: %u calls in %u ms", ignorers[i].name, self.rows[i].n_calls, ms);
      g_assert_cmpuint (self.rows[i].n_calls, <=, 20 + (ms - 100) / 100);
    }

  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    self.rows[i].n_calls = 0;

  ms = ignorance_run (&self, 300, 0);
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    {
      g_test_message ("%s: %u calls in %u ms", ignorers[i].name, self.rows[i].n_calls, ms);
      g_assert_cmpuint (self.rows[i].n_calls, <=, 2 + ms / 100);
    }

  /* The others do not wait for them. */
  self.active.n_done = 0;
  for (guint n = 1; n <= 50; n++)
    {
      g_assert_cmpint (send (self.active.peer, "x", 1, 0), ==, 1);
      for (guint turn = 0; turn < 3; turn++)
        g_main_context_iteration (self.context, FALSE);
      g_assert_cmpuint (self.active.n_done, ==, n);
    }
  ignorance_close (&self, fixture->selector);
}

static void
test_ignored (BackendFixture *fixture)
{
  check_ignored (fixture, BY_CALLBACK, NOBODY_ASKS);
}

static void
test_ignored_plain (BackendFixture *fixture)
{
  check_ignored (fixture, BY_PLAIN_SOURCE, NOBODY_ASKS);
}

static void
test_ignored_async (BackendFixture *fixture)
{
  check_ignored (fixture, BY_ASYNC_WAIT, NOBODY_ASKS);
  check_ignored (fixture, BY_ASYNC_WAIT, WAITS_REST);
}

/* A select (0) in a callback is part of the turn, and does not end pauses. */
static void
test_ignored_asking (BackendFixture *fixture)
{
  check_ignored (fixture, BY_CALLBACK, CALLBACK_ASKS);
}

/* A select (0) of another part of the program tells what is paused, and does not end pauses either. */
static void
test_ignored_asked (BackendFixture *fixture)
{
  check_ignored (fixture, BY_CALLBACK, OTHERS_ASK);
}

static void
test_ignored_asked_plain (BackendFixture *fixture)
{
  check_ignored (fixture, BY_PLAIN_SOURCE, OTHERS_ASK);
}

/* Callbacks that are known to ignore an end leave room for others: these need not wait for their turn. Few descriptors
 * and a small room stand for thousands and the room of usual programs. */
#define N_CROWD 160
#define CROWD_ROOM 16
#define CROWD_SHARE 2

static guint
crowd_get_n_calls (const Situation *crowd)
{
  guint n = 0;

  for (guint i = 0; i < N_CROWD; i++)
    n += crowd[i].n_calls;

  return n;
}

static void
crowd_open (Situation       *crowd,
            SelBaseSelector *selector,
            gboolean       (*open_one) (Situation *self))
{
  for (guint i = 0; i < N_CROWD; i++)
    {
      crowd[i] = (Situation) { "crowd", READ, open_one, .fd = -1, .peer = -1 };
      g_assert_true (crowd[i].open (&crowd[i]));
      situation_register (&crowd[i], selector);
    }
}

/* TRUE if the context polls each descriptor, and poll () tells the ends. Then the others come first. */
static gboolean
crowd_is_told_by_poll (const Situation      *crowd,
                       const BackendFixture *fixture)
{
  struct pollfd entry = { .fd = crowd[0].fd, .events = POLLIN | POLLRDHUP };

  g_assert_cmpint (poll (&entry, 1, 0), ==, 1);

  return (fixture->mirrored || !fixture->backend->can_poll_fd) &&
         (entry.revents & (POLLHUP | POLLRDHUP)) != 0;
}

static void
crowd_close (Situation       *crowd,
             SelBaseSelector *selector)
{
  for (guint i = 0; i < N_CROWD; i++)
    {
      unwatch (selector, crowd[i].fd);
      situation_close (&crowd[i]);
    }
}

static void
test_crowd (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_dispatch_source (fixture->selector, NULL, NULL, NULL);
  const Situation row = { "active", READ, NULL, NULL, read_byte };
  Situation crowd[N_CROWD];
  Situation active;
  gboolean is_known = FALSE;
  guint n_limit = N_CROWD / CROWD_ROOM + 2;

  sel_base_selector_set_max_dispatch (fixture->selector, CROWD_ROOM);
  crowd_open (crowd, fixture->selector, open_closed_socket);
  if (crowd_is_told_by_poll (crowd, fixture))
    n_limit = 1;
  situation_open (&active, &row);
  situation_register (&active, fixture->selector);
  g_source_attach (source, context);

  for (guint n = 1; n <= 100 || !is_known; n++)
    {
      guint n_before = crowd_get_n_calls (crowd);
      guint turn;

      g_assert_cmpint (send (active.peer, "x", 1, 0), ==, 1);
      for (turn = 0; turn < n_limit && active.n_done < n; turn++)
        g_main_context_iteration (context, FALSE);
      g_assert_cmpuint (active.n_done, ==, n);

      /* Those that are not known yet fill the room. When all are known, select () and poll () find the active one at
       * once. Other kernels may return only what there is room for, in turn. */
      is_known |= crowd_get_n_calls (crowd) - n_before <= turn * CROWD_SHARE;
      if (is_known && fixture->backend->get_fd == NULL)
        n_limit = 1;
    }

  g_source_destroy (source);
  crowd_close (crowd, fixture->selector);
  unwatch (fixture->selector, active.fd);
  situation_close (&active);
}

/* A turn probes only a few of them, as probes take time, and calls the others once more. So the number of calls does
 * not fall at once when all of them are due for a probe. */
static void
test_few_probes (BackendFixture *fixture)
{
  enum { N = 16, N_PROBES = 2 };
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_dispatch_source (fixture->selector, NULL, NULL, NULL);
  Situation rows[N];
  guint n_before = 0;

  sel_base_selector_set_max_dispatch (fixture->selector, N);
  for (guint i = 0; i < N; i++)
    {
      rows[i] = (Situation) { "crowd", READ, open_closed_socket, .fd = -1, .peer = -1 };
      g_assert_true (rows[i].open (&rows[i]));
      situation_register (&rows[i], fixture->selector);
    }
  g_source_attach (source, context);

  for (guint turn = 0; turn < 10; turn++)
    {
      guint n_calls = 0;

      g_main_context_iteration (context, FALSE);
      for (guint i = 0; i < N; i++)
        {
          n_calls += rows[i].n_calls;
          rows[i].n_calls = 0;
        }

      /* As many again may have been called after a pause. */
      g_assert_cmpuint (n_calls + 2 * N_PROBES, >=, n_before);
      n_before = n_calls;
    }

  g_source_destroy (source);
  for (guint i = 0; i < N; i++)
    {
      unwatch (fixture->selector, rows[i].fd);
      situation_close (&rows[i]);
    }
}

/* With the policy ONCE, a callback is not called before its descriptor was probed. The others do not wait for all
 * probes, either. */
static void
check_crowd_once (BackendFixture *fixture,
                  gboolean      (*open_one) (Situation *self))
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_dispatch_source (fixture->selector, NULL, NULL, NULL);
  const Situation row = { "active", READ, NULL, NULL, read_byte };
  Situation crowd[N_CROWD];
  Situation active;
  guint n_calls = 0;
  gboolean is_told;

  sel_base_selector_set_max_dispatch (fixture->selector, CROWD_ROOM);
  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  crowd_open (crowd, fixture->selector, open_one);
  is_told = crowd_is_told_by_poll (crowd, fixture);
  situation_open (&active, &row);
  situation_register (&active, fixture->selector);
  g_source_attach (source, context);

  if (fixture->backend->can_poll_fd && !fixture->mirrored)
    is_told = TRUE;
  for (guint n = 1; n_calls < N_CROWD || n < 100; n++)
    {
      g_assert_cmpint (send (active.peer, "x", 1, 0), ==, 1);
      for (guint turn = 0; active.n_done < n; turn++)
        {
          guint n_before = n_calls;

          g_assert_cmpuint (turn, <, N_CROWD / CROWD_ROOM + 2);
          g_main_context_iteration (context, FALSE);
          n_calls = crowd_get_n_calls (crowd);
          if (is_told)
            g_assert_cmpuint (n_calls - n_before, <=, CROWD_SHARE);
        }
    }
  for (guint i = 0; i < N_CROWD; i++)
    g_assert_cmpuint (crowd[i].n_calls, ==, 1);

  g_source_destroy (source);
  crowd_close (crowd, fixture->selector);
  unwatch (fixture->selector, active.fd);
  situation_close (&active);
}

static void
test_crowd_once (BackendFixture *fixture)
{
  check_crowd_once (fixture, open_closed_socket);
  check_crowd_once (fixture, open_half_closed);
}

static void
check_once (BackendFixture *fixture,
            Listener        listener,
            Asker           asker)
{
  Ignorance self;

  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  ignorance_open (&self, fixture->selector, listener, asker);
  ignorance_run (&self, 250, 1);
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    {
      g_test_message ("%s: %u calls", ignorers[i].name, self.rows[i].n_calls);
      g_assert_cmpuint (self.rows[i].n_calls, ==, self.is_open[i] ? 1 : 0);
    }
  ignorance_close (&self, fixture->selector);
}

static void
test_once (BackendFixture *fixture)
{
  check_once (fixture, BY_CALLBACK, NOBODY_ASKS);
}

static void
test_once_plain (BackendFixture *fixture)
{
  check_once (fixture, BY_PLAIN_SOURCE, NOBODY_ASKS);
}

static void
test_once_async (BackendFixture *fixture)
{
  check_once (fixture, BY_ASYNC_WAIT, NOBODY_ASKS);
  check_once (fixture, BY_ASYNC_WAIT, WAITS_REST);
}

typedef struct
{
  GMainContext *context;
  guint n_calls;
  guint n_told;
} NestingCallback;

static gboolean
on_ready_nest (SelBaseSelector *selector,
               SelSelectorKey  *key,
               SelEventMask     events,
               gpointer         user_data)
{
  NestingCallback *self = user_data;

  self->n_calls++;
  self->n_told += (events & READ) != 0;
  for (guint turn = 0; turn < 3; turn++)
    g_main_context_iteration (self->context, FALSE);

  return G_SOURCE_CONTINUE;
}

/* A callback that runs a main loop is not called again in it. The descriptor stays writable; the end of the other
 * direction is told once nevertheless. */
static void
test_once_nested (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_dispatch_source (fixture->selector, NULL, NULL, NULL);
  NestingCallback callback = { .context = context };
  Situation row = { "half-closed", BOTH, open_half_closed, .fd = -1, .peer = -1 };

  g_assert_true (row.open (&row));
  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  sel_base_selector_register_callback (fixture->selector, row.fd, BOTH, on_ready_nest, &callback, NULL, NULL);
  g_source_attach (source, context);
  while (callback.n_calls < 30)
    g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (callback.n_told, ==, 1);

  g_source_destroy (source);
  unwatch (fixture->selector, row.fd);
  situation_close (&row);
}

static void
test_report (BackendFixture *fixture)
{
  Ignorance self;

  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_REPORT);
  ignorance_open (&self, fixture->selector, BY_CALLBACK, NOBODY_ASKS);
  for (guint n = 0; n < 200; n++)
    g_main_context_iteration (self.context, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (ignorers); i++)
    if (self.is_open[i])
      g_assert_cmpuint (self.rows[i].n_calls, >=, 150);
  ignorance_close (&self, fixture->selector);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);
  open_glib_descriptors ();

  backend_add_both_modes ("ignored/callbacks", test_ignored);
  backend_add_both_modes ("ignored/plain", test_ignored_plain);
  backend_add_both_modes ("ignored/async", test_ignored_async);
  backend_add_both_modes ("ignored/asking", test_ignored_asking);
  backend_add_both_modes ("ignored/asked", test_ignored_asked);
  backend_add_both_modes ("ignored/asked-plain", test_ignored_asked_plain);
  backend_add_both_modes ("ignored/slow-callback", test_slow_callback);
  backend_add_both_modes ("ignored/crowd", test_crowd);
  backend_add_both_modes ("ignored/crowd-once", test_crowd_once);
  backend_add_both_modes ("ignored/few-probes", test_few_probes);
  backend_add_both_modes ("ignored/once", test_once);
  backend_add_both_modes ("ignored/once-plain", test_once_plain);
  backend_add_both_modes ("ignored/once-async", test_once_async);
  backend_add_both_modes ("ignored/once-nested", test_once_nested);
  backend_add_both_modes ("ignored/report", test_report);

  return g_test_run ();
}
