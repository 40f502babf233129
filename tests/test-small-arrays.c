/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "listeners.h"

/* Plain sources whose callback asks for a few descriptors at a time, although many are ready: each of them gets its
 * turn, and no end counts as told before the callback has taken it. */

#define N_ENDED 40
#define N_TURNS 60

typedef struct _Asking Asking;

struct _Asking
{
  SelBaseSelector *selector;
  GMainContext    *context;
  Situation        rows[N_ENDED];
  gsize            n_events;                 /* the room of the next array; 0: a list */
  gsize            n_more;                   /* how much larger the one after it is */
  gsize            n_told;                   /* in all turns */
  guint            depth;                    /* how many main loops of callbacks run */
  void           (*begin) (Asking *self);    /* the callback, before it asks, or NULL */
};

static gssize
asking_ask_list (Asking *self)
{
  g_autoptr (GPtrArray) all = sel_base_selector_select (self->selector, 0, NULL, NULL);

  for (guint i = 0; all != NULL && i < all->len; i++)
    {
      SelSelectorKey *key = sel_selector_event_get_key (all->pdata[i]);

      ((Situation *) sel_selector_key_get_data (key))->n_calls++;
    }

  return all != NULL ? (gssize) all->len : -1;
}

static gssize
asking_ask (Asking *self,
            gsize   n_events)
{
  SelReadyEvent events[N_ENDED];
  gssize n = sel_base_selector_select_ready (self->selector, 0, events, n_events, NULL, NULL);

  for (gssize i = 0; i < n; i++)
    ((Situation *) events[i].data)->n_calls++;

  return n;
}

static gboolean
on_ready_ask (gpointer user_data)
{
  Asking *self = user_data;
  gssize n;

  if (self->begin != NULL)
    self->begin (self);
  n = self->n_events == 0 ? asking_ask_list (self) : asking_ask (self, self->n_events);
  g_assert_cmpint (n, >=, 0);
  self->n_told += (gsize) n;
  if (self->n_events > 0)
    self->n_events = (self->n_events + self->n_more - 1) % N_ENDED + 1;

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
  self->context = context;
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
      g_test_message ("row %u: %u calls", i, self->rows[i].n_calls);
      g_assert_cmpuint (self->rows[i].n_calls, >=, n_min);
      g_assert_cmpuint (self->rows[i].n_calls, <=, n_max);
    }
}

static void
check_once_with (BackendFixture  *fixture,
                 void           (*begin) (Asking *self),
                 gsize            n_events,
                 gsize            n_more)
{
  Asking self = { fixture->selector, .begin = begin, .n_events = n_events, .n_more = n_more };

  asking_run (&self, SEL_HANGUP_POLICY_ONCE, open_closed_socket, SEL_EVENT_READ, N_TURNS);
  asking_assert_each (&self, 1, 1);
  asking_run (&self, SEL_HANGUP_POLICY_ONCE, open_ended_pipe, SEL_EVENT_READ, N_TURNS);
  asking_assert_each (&self, 1, 1);
}

static void
check_once (BackendFixture *fixture,
            gsize           n_events,
            gsize           n_more)
{
  check_once_with (fixture, NULL, n_events, n_more);
}

static void
check_once_few_and_all (BackendFixture  *fixture,
                        void           (*begin) (Asking *self))
{
  check_once_with (fixture, begin, 3, 0);
  check_once_with (fixture, begin, N_ENDED, 0);
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

static void
ask_one (Asking *self)
{
  asking_ask (self, 1);
}

/* The callback asks twice. */
static void
test_once_twice (BackendFixture *fixture)
{
  check_once_few_and_all (fixture, ask_one);
}

static void
run_main_loop (Asking *self)
{
  if (self->depth > 0)
    return;

  self->depth++;
  g_main_context_iteration (self->context, FALSE);
  self->depth--;
}

/* A main loop in the callback dispatches before the callback asks. */
static void
test_once_nested (BackendFixture *fixture)
{
  check_once_few_and_all (fixture, run_main_loop);
  sel_base_selector_set_can_recurse (fixture->selector, TRUE);
  check_once_few_and_all (fixture, run_main_loop);
}

static gpointer
select_in_thread (gpointer user_data)
{
  g_autoptr (GPtrArray) events = sel_base_selector_select (user_data, 0, NULL, NULL);

  g_assert_nonnull (events);

  return NULL;
}

static void
wait_elsewhere (Asking *self)
{
  g_thread_join (g_thread_new ("waiter", select_in_thread, self->selector));
}

/* What the turn has found is out of date when the callback asks, as another thread has waited meanwhile. */
static void
test_once_other_wait (BackendFixture *fixture)
{
  check_once_with (fixture, wait_elsewhere, 3, 0);
}

static void
change_another (Asking *self)
{
  int fds[2];

  open_pipe (fds);
  watch (self->selector, fds[0], SEL_EVENT_READ);
  unwatch (self->selector, fds[0]);
  close_pair (fds);
}

/* The kernel has to be asked, too, as the callback has registered a descriptor. */
static void
test_once_change (BackendFixture *fixture)
{
  check_once_few_and_all (fixture, change_another);
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

  self.n_events = 1;
  asking_run (&self, policy, open_one, events, 10 * N_ENDED);
  g_assert_cmpuint (self.n_told, ==, 10 * N_ENDED);
  asking_assert_each (&self, 9, 11);
}

static gboolean
open_connected (Situation *self)
{
  return open_sockets (self, SOCK_STREAM);
}

static gboolean
open_every_second_ended (Situation *self)
{
  static guint n;

  return n++ % 2 == 0 ? open_closed_socket (self) : open_connected (self);
}

/* Those that have ended wait for the others, but each of them is told. */
static void
test_beside_ready (BackendFixture *fixture)
{
  Asking self = { fixture->selector, .n_events = 5 };

  sel_base_selector_set_max_dispatch (fixture->selector, N_ENDED / 2);
  asking_run (&self, SEL_HANGUP_POLICY_THROTTLE, open_every_second_ended, SEL_EVENT_READ | SEL_EVENT_WRITE,
              10 * N_ENDED);
  asking_assert_each (&self, 4, 10 * N_ENDED);
}

static gboolean
open_file_or_socket (Situation *self)
{
  static guint n;

  if (n++ % 4 != 0)
    return open_connected (self);

  self->fd = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  return self->fd >= 0;
}

/* Files that are always ready, and sockets. */
static void
test_beside_files (BackendFixture *fixture)
{
  Asking self = { fixture->selector, .n_events = 1 };

  sel_base_selector_set_emulate_always_ready (fixture->selector, TRUE);
  asking_run (&self, SEL_HANGUP_POLICY_THROTTLE, open_file_or_socket, SEL_EVENT_WRITE | SEL_EVENT_READ,
              10 * N_ENDED);
  g_assert_cmpuint (self.n_told, ==, 10 * N_ENDED);
  asking_assert_each (&self, 4, 10 * N_ENDED);
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
  backend_add_both_modes ("small-arrays/once-twice", test_once_twice);
  backend_add_both_modes ("small-arrays/once-nested", test_once_nested);
  backend_add_both_modes ("small-arrays/once-other-wait", test_once_other_wait);
  backend_add_both_modes ("small-arrays/once-change", test_once_change);
  backend_add_both_modes ("small-arrays/beside-ready", test_beside_ready);
  backend_add_both_modes ("small-arrays/beside-files", test_beside_files);
  backend_add_both_modes ("small-arrays/throttle", test_throttle);
  backend_add_both_modes ("small-arrays/turns", test_turns);

  return g_test_run ();
}
