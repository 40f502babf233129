/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "callback-fixture.h"

/* When, and in which thread, the user data of a callback is released. */

/* When notify is called */

static void
test_notify (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  Loop loop;
  Pair *pair = &loop.pairs[0];
  int fd;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  fd = pair->fds[0];

  rewatch (loop.selector, fd, ALL_EVENTS);
  g_assert_true (sel_base_selector_modify (loop.selector, fd, SEL_EVENT_READ, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_refresh (loop.selector, fd, &error));
  g_assert_no_error (error);
  g_assert_cmpint (pair->n_notified, ==, 0);

  /* If the call fails, notify is called at once. */
  g_assert_false (sel_base_selector_register_callback (loop.selector, fd, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  g_assert_cmpint (pair->n_notified, ==, 1);
  g_assert_false (sel_base_selector_register_callback (loop.selector, -1, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (pair->n_notified, ==, 2);
  g_assert_false (sel_base_selector_set_callback (loop.selector, pair->fds[1], on_own_ready, pair, on_own_notify,
                                                  &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_cmpint (pair->n_notified, ==, 3);

  unwatch (loop.selector, fd);
  g_assert_cmpint (pair->n_notified, ==, 4);

  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_register (&loop, 1, SEL_EVENT_READ);
  sel_base_selector_close (loop.selector);
  g_assert_cmpint (pair->n_notified, ==, 5);
  g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);

  g_assert_false (sel_base_selector_register_callback (loop.selector, fd, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  g_assert_cmpint (pair->n_notified, ==, 6);

  loop_close (&loop);
}

static void
run_turn (Loop *loop,
          guint self)
{
  g_main_context_iteration (loop->context, FALSE);
}

typedef struct
{
  Loop *loop;
  void (*act) (Loop *loop,
               guint self);
} Ending;

static Ending ending;

static void
on_ending_notify (gpointer user_data)
{
  Ending now = ending;

  ending.act = NULL;
  if (now.act != NULL)
    now.act (now.loop, 0);
}

/* notify may close the selector, destroy the source or iterate the loop. This applies to the callbacks that would be
 * called next. */
static void
test_notify_acts (BackendFixture *fixture)
{
  static const struct
  {
    void (*act) (Loop *loop,
                 guint self);
    guint  n_calls; /* of both pairs together */
  }
  cases[] = { { close_selector, 1 }, { destroy_source, 1 }, { run_turn, 2 } };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      loop_attach (&loop, NULL);
      for (guint j = 0; j < 2; j++)
        {
          loop.pairs[j].result = FALSE;
          put_byte (loop.pairs[j].fds[1]);
          g_assert_true (sel_base_selector_register_callback (loop.selector, loop.pairs[j].fds[0], SEL_EVENT_READ,
                                                              on_own_ready, &loop.pairs[j], on_ending_notify, NULL));
        }
      ending = (Ending) { &loop, cases[i].act };

      loop_settle (&loop);

      g_assert_cmpuint (loop.pairs[0].n_calls, <=, 1);
      g_assert_cmpuint (loop.pairs[1].n_calls, <=, 1);
      g_assert_cmpuint (loop.pairs[0].n_calls + loop.pairs[1].n_calls, ==, cases[i].n_calls);
      ending.act = NULL;
      loop_close (&loop);
    }
}

/* Threads */

static gpointer
unregister_in_thread (gpointer user_data)
{
  Pair *pair = user_data;

  unwatch (pair->loop->selector, pair->fds[0]);

  return NULL;
}

static void
unregister_self_in_thread (Loop *loop,
                           guint self)
{
  g_thread_join (g_thread_new ("other", unregister_in_thread, &loop->pairs[self]));
  g_assert_cmpint (g_atomic_int_get (&loop->pairs[self].n_notified), ==, 0);
}

static void
unregister_other_in_thread (Loop *loop,
                            guint self)
{
  g_thread_join (g_thread_new ("other", unregister_in_thread, &loop->pairs[!self]));
}

/* If another thread runs the main loop, notify is called in that thread. */
static void
test_notify_thread (BackendFixture *fixture)
{
  static void (*const actions[]) (Loop *, guint) = { unregister_self_in_thread, unregister_other_in_thread };

  for (gsize i = 0; i < G_N_ELEMENTS (actions); i++)
    {
      Pair *unregistered;
      Loop loop;

      loop_open (&loop, fixture);
      unregistered = &loop.pairs[i];
      loop_register (&loop, 0, SEL_EVENT_READ);
      loop_register (&loop, 1, SEL_EVENT_READ);
      loop_attach (&loop, NULL);
      loop.pairs[0].act = actions[i];
      put_byte (loop.pairs[0].fds[1]);

      loop_expect (&loop, 1, 0);
      g_assert_cmpint (g_atomic_int_get (&unregistered->n_notified), ==, 1);
      g_assert_true (unregistered->notified_by == g_thread_self ());

      loop_close (&loop);
    }
}

/* If no thread runs the main loop, notify is called when the loop is run again, or when the source or the selector
 * ends. */
static void
test_notify_without_loop (BackendFixture *fixture)
{
  GThread *thread;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);

  loop_register (&loop, 1, SEL_EVENT_READ);

  thread = g_thread_new ("other", unregister_in_thread, &loop.pairs[0]);
  g_thread_join (thread);
  g_assert_cmpint (g_atomic_int_get (&loop.pairs[0].n_notified), ==, 0);
  while (g_atomic_int_get (&loop.pairs[0].n_notified) == 0)
    g_main_context_iteration (loop.context, TRUE);
  g_assert_true (loop.pairs[0].notified_by == g_thread_self ());

  thread = g_thread_new ("other", unregister_in_thread, &loop.pairs[1]);
  g_thread_join (thread);
  g_assert_cmpint (g_atomic_int_get (&loop.pairs[1].n_notified), ==, 0);

  loop_close (&loop);
  g_assert_cmpint (g_atomic_int_get (&loop.pairs[1].n_notified), ==, 1);
}

#define N_MUTATORS 4
#define N_ROUNDS 300

typedef struct
{
  SelBaseSelector *selector;
  int              n_done;      /* atomic */
  int              n_notified;  /* atomic */
  int              n_calls;     /* atomic */
} Churn;

static gboolean
on_churn_ready (SelBaseSelector *selector,
                SelSelectorKey  *key,
                SelEventMask     events,
                gpointer         user_data)
{
  Churn *churn = user_data;

  drain (sel_selector_key_get_fd (key));
  g_atomic_int_inc (&churn->n_calls);

  return G_SOURCE_CONTINUE;
}

static void
on_churn_notify (gpointer user_data)
{
  Churn *churn = user_data;

  g_atomic_int_inc (&churn->n_notified);
}

typedef struct
{
  Churn   *churn;
  GThread *thread;
  int      pair[2];
} Mutator;

static gpointer
mutator_run (gpointer user_data)
{
  Mutator *mutator = user_data;
  Churn *churn = mutator->churn;
  int *pair = mutator->pair;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr (GError) error = NULL;

      sel_base_selector_register_callback (churn->selector, pair[0], SEL_EVENT_READ, on_churn_ready, churn,
                                           on_churn_notify, &error);
      g_assert_no_error (error);
      put_byte (pair[1]);
      rewatch (churn->selector, pair[0], ALL_EVENTS);
      sel_base_selector_set_callback (churn->selector, pair[0], on_churn_ready, churn, on_churn_notify, &error);
      g_assert_no_error (error);
      rewatch (churn->selector, pair[0], SEL_EVENT_READ);
      if (i % 7 == 0)
        sel_base_selector_wakeup (churn->selector);
      unwatch (churn->selector, pair[0]);
      drain (pair[0]);
    }
  g_atomic_int_inc (&churn->n_done);

  return NULL;
}

/* Four threads register, modify and unregister while this thread runs the loop. A callback may be called shortly
 * after its descriptor was unregistered, so the descriptors stay open until the end. */
static void
test_mutators (BackendFixture *fixture)
{
  Mutator mutators[N_MUTATORS];
  Churn churn = { 0 };
  Loop loop;

  loop_open (&loop, fixture);
  loop_attach (&loop, NULL);
  churn.selector = loop.selector;
  for (guint i = 0; i < N_MUTATORS; i++)
    {
      mutators[i].churn = &churn;
      open_socketpair (mutators[i].pair);
      mutators[i].thread = g_thread_new ("mutator", mutator_run, &mutators[i]);
    }

  while (g_atomic_int_get (&churn.n_done) < N_MUTATORS)
    if (!g_main_context_iteration (loop.context, FALSE))
      g_thread_yield ();

  for (guint i = 0; i < N_MUTATORS; i++)
    g_thread_join (mutators[i].thread);
  loop_settle (&loop);
  for (guint i = 0; i < N_MUTATORS; i++)
    close_pair (mutators[i].pair);
  g_assert_cmpint (churn.n_notified, ==, 2 * N_MUTATORS * N_ROUNDS);

  /* The selector still works. */
  loop_register (&loop, 0, SEL_EVENT_READ);
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);

  loop_close (&loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();

  backend_add_both_modes ("callbacks/notify", test_notify);
  backend_add_both_modes ("callbacks/notify-acts", test_notify_acts);
  backend_add_both_modes ("callbacks/notify-thread", test_notify_thread);
  backend_add_both_modes ("callbacks/notify-without-loop", test_notify_without_loop);
  backend_add_both_modes ("callbacks/mutators", test_mutators);

  return g_test_run ();
}
