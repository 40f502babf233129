/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <sys/socket.h>

#include "listeners.h"

/* Plain sources whose callback asks for a few descriptors at a time, although many are ready: each of them gets its
 * turn, and no end counts as told before the callback has taken it. */

#define N_ENDED 40
#define N_TURNS 60

typedef struct
{
  SelBaseSelector *selector;
  Situation        rows[N_ENDED];
  gsize            n_events;                 /* the room of the next array; 0: a list */
  gsize            n_more;                   /* how much larger the one after it is */
  gsize            n_told;                   /* in all turns */
} Asking;

static gboolean
on_ready_ask (gpointer user_data)
{
  Asking *self = user_data;
  SelReadyEvent events[N_ENDED];
  gssize n;

  if (self->n_events == 0)
    {
      g_autoptr (GPtrArray) all = sel_base_selector_select (self->selector, 0, NULL, NULL);

      for (n = 0; all != NULL && n < (gssize) all->len; n++)
        {
          SelSelectorKey *key = sel_selector_event_get_key (all->pdata[n]);

          ((Situation *) sel_selector_key_get_data (key))->n_calls++;
        }
    }
  else
    {
      n = sel_base_selector_select_ready (self->selector, 0, events, self->n_events, NULL, NULL);
      for (gssize i = 0; i < n; i++)
        ((Situation *) events[i].data)->n_calls++;
      self->n_events = (self->n_events + self->n_more - 1) % N_ENDED + 1;
    }
  g_assert_cmpint (n, >=, 0);
  self->n_told += (gsize) n;

  return G_SOURCE_CONTINUE;
}

/* Takes turns, each of which finds all descriptors that it may look at. */
static void
asking_run (Asking            *self,
            SelHangupPolicy    policy,
            gboolean         (*open_one) (Situation *self),
            SelEventMask       events,
            guint              n_turns)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_source (self->selector);

  sel_base_selector_set_hangup_policy (self->selector, policy);
  self->n_told = 0;
  for (guint i = 0; i < N_ENDED; i++)
    {
      self->rows[i] = (Situation) { "one of many", events, open_one, .fd = -1, .peer = -1 };
      g_assert_true (self->rows[i].open (&self->rows[i]));
      g_assert_true (sel_base_selector_register (self->selector, self->rows[i].fd, events, &self->rows[i], NULL, NULL));
    }
  g_source_set_callback (source, on_ready_ask, self, NULL);
  g_source_attach (source, context);

  for (guint i = 0; i < n_turns; i++)
    g_main_context_iteration (context, FALSE);

  g_source_destroy (source);
  for (guint i = 0; i < N_ENDED; i++)
    {
      unwatch (self->selector, self->rows[i].fd);
      situation_close (&self->rows[i]);
    }
}

static void
asking_assert_each (Asking *self,
                    guint   n_min,
                    guint   n_max)
{
  for (guint i = 0; i < N_ENDED; i++)
    {
      g_assert_cmpuint (self->rows[i].n_calls, >=, n_min);
      g_assert_cmpuint (self->rows[i].n_calls, <=, n_max);
    }
}

static void
check_once (BackendFixture *fixture,
            gsize           n_events,
            gsize           n_more)
{
  Asking self = { fixture->selector, .n_events = n_events, .n_more = n_more };

  asking_run (&self, SEL_HANGUP_POLICY_ONCE, open_closed_socket, SEL_EVENT_READ, N_TURNS);
  asking_assert_each (&self, 1, 1);
  asking_run (&self, SEL_HANGUP_POLICY_ONCE, open_ended_pipe, SEL_EVENT_READ, N_TURNS);
  asking_assert_each (&self, 1, 1);
}

/* Each is told once, also those that were ready in earlier turns, for which there was no room. */
static void
test_once (BackendFixture *fixture)
{
  check_once (fixture, 3, 0);
  check_once (fixture, 1, 0);
}

/* The callback has more room than in the turn before, or less. */
static void
test_once_changing (BackendFixture *fixture)
{
  check_once (fixture, 1, 1);
  check_once (fixture, 2, 7);
  check_once (fixture, N_ENDED, N_ENDED - 3);
}

/* The callback gets a list, but the turn may look at a few only. */
static void
test_once_few (BackendFixture *fixture)
{
  sel_base_selector_set_max_dispatch (fixture->selector, 3);
  check_once (fixture, 0, 0);
  check_once (fixture, 8, 0);
}

/* Those for which there is no room do not wait longer than the others. A pause may be over in the last turns. */
static void
test_throttle (BackendFixture *fixture)
{
  Asking self = { fixture->selector, .n_events = 4 };

  asking_run (&self, SEL_HANGUP_POLICY_THROTTLE, open_closed_socket, SEL_EVENT_READ, 5 * N_ENDED / 4);
  g_assert_cmpuint (self.n_told, ==, 5 * N_ENDED);
  asking_assert_each (&self, 4, 6);
}

/* Descriptors that stay ready take turns. */
static void
check_turns (BackendFixture  *fixture,
             SelHangupPolicy  policy,
             gboolean       (*open_one) (Situation *self),
             SelEventMask     events)
{
  Asking self = { fixture->selector, .n_events = 5 };

  asking_run (&self, policy, open_one, events, 10 * N_ENDED / 5);
  g_assert_cmpuint (self.n_told, ==, 10 * N_ENDED);
  asking_assert_each (&self, 9, 11);
}

static gboolean
open_connected (Situation *self)
{
  return open_sockets (self, SOCK_STREAM);
}

static void
test_turns (BackendFixture *fixture)
{
  check_turns (fixture, SEL_HANGUP_POLICY_THROTTLE, open_connected, SEL_EVENT_WRITE);
  check_turns (fixture, SEL_HANGUP_POLICY_REPORT, open_closed_socket, SEL_EVENT_READ);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_glib_descriptors ();

  backend_add_both_modes ("small-arrays/once", test_once);
  backend_add_both_modes ("small-arrays/once-changing", test_once_changing);
  backend_add_both_modes ("small-arrays/once-few", test_once_few);
  backend_add_both_modes ("small-arrays/throttle", test_throttle);
  backend_add_both_modes ("small-arrays/turns", test_turns);

  return g_test_run ();
}
