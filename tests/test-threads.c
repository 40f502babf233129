/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "backends.h"

/* One thread waits while others use the selector. No case sleeps: select () fails with BUSY in another thread when
 * one waits already. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

/* One select () with an infinite timeout, in a thread of its own. */
typedef struct
{
  SelBaseSelector *selector;
  GCancellable    *cancellable;
  GThread         *thread;
  pthread_t        id;
  GPtrArray       *ready;
  GError          *error;
  int              is_done;  /* atomic */
} Waiter;

static gpointer
waiter_run (gpointer user_data)
{
  Waiter *waiter = user_data;

  waiter->id = pthread_self ();

  /* await_busy () may have called select () first. */
  for (;;)
    {
      waiter->ready = sel_base_selector_select (waiter->selector, SEL_WAIT_FOREVER,
                                                waiter->cancellable, &waiter->error);
      if (!g_error_matches (waiter->error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
        break;

      g_clear_error (&waiter->error);
      g_thread_yield ();
    }
  g_atomic_int_set (&waiter->is_done, TRUE);

  return NULL;
}

/* Blocks until another thread waits. No descriptor may be ready before that. */
static void
await_busy (SelBaseSelector *selector)
{
  for (;;)
    {
      g_autoptr (GPtrArray) ready = NULL;
      g_autoptr (GError) error = NULL;

      ready = sel_base_selector_select (selector, 0, NULL, &error);
      if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY))
        return;

      g_assert_no_error (error);
      g_assert_cmpuint (ready->len, ==, 0);
      g_thread_yield ();
    }
}

static void
waiter_start (Waiter          *waiter,
              SelBaseSelector *selector)
{
  waiter->selector = selector;
  waiter->thread = g_thread_new ("waiter", waiter_run, waiter);
  await_busy (selector);
}

static void
waiter_assert_ready (Waiter       *waiter,
                     int           fd,
                     SelEventMask  events)
{
  SelSelectorEvent *event;

  g_thread_join (waiter->thread);
  g_assert_no_error (waiter->error);
  g_assert_cmpuint (waiter->ready->len, ==, 1);

  event = g_ptr_array_index (waiter->ready, 0);
  g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (event)), ==, fd);
  g_assert_cmpuint (sel_selector_event_get_events (event), ==, events);
  g_ptr_array_unref (waiter->ready);
}

static void
waiter_assert_woken (Waiter *waiter)
{
  g_thread_join (waiter->thread);
  g_assert_no_error (waiter->error);
  g_assert_cmpuint (waiter->ready->len, ==, 0);
  g_ptr_array_unref (waiter->ready);
}

static void
waiter_assert_failed (Waiter *waiter,
                      GQuark  domain,
                      int     code)
{
  g_thread_join (waiter->thread);
  g_assert_null (waiter->ready);
  assert_failed (&waiter->error, domain, code);
}

/* A wait that only its timeout ends: earlier calls left no wake-up. */
static void
assert_not_woken (SelBaseSelector *selector)
{
  gint64 start = g_get_monotonic_time ();

  assert_ready (selector, 0.005, -1);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 5000);
}

static void
test_register (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int pair[2];

  open_pipe (pair);
  put_byte (pair[1]);
  waiter_start (&waiter, fixture->selector);

  watch (fixture->selector, pair[0], SEL_EVENT_READ);

  waiter_assert_ready (&waiter, pair[0], SEL_EVENT_READ);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

/* The descriptor is not ready when it is registered, and becomes ready while the other thread still waits. */
static void
test_register_then_write (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int pair[2];

  open_pipe (pair);
  waiter_start (&waiter, fixture->selector);

  watch (fixture->selector, pair[0], SEL_EVENT_READ);
  await_busy (fixture->selector);
  put_byte (pair[1]);

  waiter_assert_ready (&waiter, pair[0], SEL_EVENT_READ);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

static void
test_modify (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  Waiter waiter = { 0 };
  int pair[2];

  open_socketpair (pair);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  g_assert_true (sel_base_selector_modify (fixture->selector, pair[0], ALL_EVENTS, NULL, NULL,
                                           &error));
  g_assert_no_error (error);

  waiter_assert_ready (&waiter, pair[0], SEL_EVENT_WRITE);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

/* The reverse: an event that is no longer registered does not end the wait. */
static void
test_modify_away (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  Waiter waiter = { 0 };
  int pair[2];

  open_socketpair (pair);
  fill (pair[0]);
  watch (fixture->selector, pair[0], ALL_EVENTS);
  waiter_start (&waiter, fixture->selector);

  g_assert_true (sel_base_selector_modify_events (fixture->selector, pair[0], SEL_EVENT_READ,
                                                  &error));
  g_assert_no_error (error);
  drain (pair[1]);
  await_busy (fixture->selector);
  put_byte (pair[1]);

  waiter_assert_ready (&waiter, pair[0], SEL_EVENT_READ);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

static void
test_unregister (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int gone[2], kept[2];

  open_pipe (gone);
  open_pipe (kept);
  watch (fixture->selector, gone[0], SEL_EVENT_READ);
  watch (fixture->selector, kept[0], SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  unwatch (fixture->selector, gone[0]);
  put_byte (gone[1]);
  await_busy (fixture->selector);
  put_byte (kept[1]);

  waiter_assert_ready (&waiter, kept[0], SEL_EVENT_READ);
  unwatch (fixture->selector, kept[0]);
  close_pair (gone);
  close_pair (kept);
}

/* As a server does it: unregister and close a descriptor while the other thread waits for it. */
static void
test_unregister_and_close (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int gone[2], kept[2];

  open_pipe (kept);
  open_pipe (gone);
  watch (fixture->selector, gone[0], SEL_EVENT_READ);
  watch (fixture->selector, kept[0], SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  unwatch (fixture->selector, gone[0]);
  close_pair (gone);
  await_busy (fixture->selector);
  put_byte (kept[1]);

  waiter_assert_ready (&waiter, kept[0], SEL_EVENT_READ);
  unwatch (fixture->selector, kept[0]);
  close_pair (kept);
}

/* A new descriptor gets the number of a closed one during the wait. */
static void
test_reuse_number (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int old[2], new[2];
  int fd;

  open_pipe (old);
  open_pipe (new);
  fd = old[0];
  watch (fixture->selector, fd, SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  unwatch (fixture->selector, fd);
  g_assert_cmpint (dup2 (new[0], fd), ==, fd);
  watch (fixture->selector, fd, SEL_EVENT_READ);
  await_busy (fixture->selector);
  put_byte (new[1]);

  waiter_assert_ready (&waiter, fd, SEL_EVENT_READ);
  unwatch (fixture->selector, fd);
  close_pair (old);
  close_pair (new);
}

/* The kernel does not report a regular file as ready. The selector has to do so. */
static void
test_register_always_ready (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp (NULL, &path, &error);

  g_assert_no_error (error);
  sel_base_selector_set_emulate_always_ready (fixture->selector, TRUE);
  waiter_start (&waiter, fixture->selector);

  watch (fixture->selector, fd, SEL_EVENT_READ);

  waiter_assert_ready (&waiter, fd, SEL_EVENT_READ);
  unwatch (fixture->selector, fd);
  close (fd);
  unlink (path);
}

static void
test_wakeup_before (BackendFixture *fixture)
{
  int pair[2];

  open_pipe (pair);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);

  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  assert_not_woken (fixture->selector);

  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

static void
test_wakeup_during (BackendFixture *fixture)
{
  for (guint i = 0; i < 100; i++)
    {
      Waiter waiter = { 0 };

      waiter_start (&waiter, fixture->selector);
      sel_base_selector_wakeup (fixture->selector);
      waiter_assert_woken (&waiter);
    }

  assert_not_woken (fixture->selector);
}

static void
test_wakeup_coalesced (BackendFixture *fixture)
{
  for (guint i = 0; i < 1000; i++)
    sel_base_selector_wakeup (fixture->selector);

  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  assert_not_woken (fixture->selector);
}

static void
test_wakeup_with_ready (BackendFixture *fixture)
{
  int pair[2];

  open_pipe (pair);
  put_byte (pair[1]);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);

  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, pair[0], SEL_EVENT_READ, -1);

  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

#define N_WAKERS  4
#define N_WAKEUPS 500

typedef struct
{
  SelBaseSelector *selector;
  int              n_wakeups;  /* atomic */
} Wakers;

static gpointer
waker_run (gpointer user_data)
{
  Wakers *wakers = user_data;

  for (guint i = 0; i < N_WAKEUPS; i++)
    {
      g_atomic_int_inc (&wakers->n_wakeups);
      sel_base_selector_wakeup (wakers->selector);
    }

  return NULL;
}

/* No wakeup () may be lost: the last call follows the last change of the counter. */
static void
test_wakeup_from_threads (BackendFixture *fixture)
{
  Wakers wakers = { .selector = fixture->selector };
  GThread *threads[N_WAKERS];

  for (guint i = 0; i < N_WAKERS; i++)
    threads[i] = g_thread_new ("waker", waker_run, &wakers);

  while (g_atomic_int_get (&wakers.n_wakeups) < N_WAKERS * N_WAKEUPS)
    assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);

  for (guint i = 0; i < N_WAKERS; i++)
    g_thread_join (threads[i]);
}

static SelBaseSelector *signalled_selector;

static void
on_signal (int signum)
{
  (void) signum;
  sel_base_selector_wakeup (signalled_selector);
}

static void
test_wakeup_from_signal (BackendFixture *fixture)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct sigaction old_action;
  Waiter other_thread = { 0 }, same_thread = { 0 };

  if (skip_signals_of_select (fixture))
    return;

  signalled_selector = fixture->selector;
  g_assert_no_errno (sigaction (SIGUSR1, &action, &old_action));

  raise (SIGUSR1);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);

  waiter_start (&other_thread, fixture->selector);
  raise (SIGUSR1);
  waiter_assert_woken (&other_thread);

  waiter_start (&same_thread, fixture->selector);
  pthread_kill (same_thread.id, SIGUSR1);
#ifdef __SANITIZE_THREAD__
  /* ThreadSanitizer delays a signal that arrives just before a system call until the call returns. */
  while (!g_atomic_int_get (&same_thread.is_done))
    {
      g_thread_yield ();
      pthread_kill (same_thread.id, SIGUSR1);
    }
#endif
  waiter_assert_woken (&same_thread);

  g_assert_no_errno (sigaction (SIGUSR1, &old_action, NULL));
  signalled_selector = NULL;
}

static void
test_close (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  int pair[2];

  open_pipe (pair);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  sel_base_selector_close (fixture->selector);

  waiter_assert_failed (&waiter, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  close_pair (pair);
}

/* Two threads use the selector: one of them closes it, and both find it closed. */
static gpointer
close_run (gpointer selector)
{
  sel_base_selector_close (selector);
  g_assert_true (sel_base_selector_is_closed (selector));
  g_assert_null (sel_base_selector_get_map (selector));

  return NULL;
}

static void
test_close_twice (BackendFixture *fixture)
{
  Waiter waiter = { 0 };
  GThread *threads[2];

  waiter_start (&waiter, fixture->selector);

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("closer", close_run, fixture->selector);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);

  waiter_assert_failed (&waiter, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
}

static void
test_second_waiter (BackendFixture *fixture)
{
  SelReadyEvent events[1];
  g_autofree int *fds = NULL;
  g_autofree guint8 *masks = NULL;
  g_autoptr (GError) error = NULL;
  Waiter waiter = { 0 };
  gsize n_fds, n_masks;
  int pair[2];

  open_pipe (pair);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);
  waiter_start (&waiter, fixture->selector);

  g_assert_null (sel_base_selector_select (fixture->selector, SEL_WAIT_FOREVER, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, SEL_WAIT_FOREVER, events, 1,
                                                   NULL, &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_false (sel_base_selector_select_fds (fixture->selector, SEL_WAIT_FOREVER, NULL, &fds,
                                                &n_fds, &masks, &n_masks, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  /* The first wait still waits for the same descriptor. */
  put_byte (pair[1]);
  waiter_assert_ready (&waiter, pair[0], SEL_EVENT_READ);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

static void
test_cancel (BackendFixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Waiter waiter = { .cancellable = cancellable };

  waiter_start (&waiter, fixture->selector);
  g_cancellable_cancel (cancellable);

  waiter_assert_failed (&waiter, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_not_woken (fixture->selector);
}

/* After unregister () has returned, no new select () reports the descriptor. */

typedef struct
{
  SelBaseSelector *selector;
  int              n_rounds;      /* atomic */
  int              unregistered;  /* atomic */
} Rounds;

static gpointer
rounds_run (gpointer user_data)
{
  Rounds *rounds = user_data;
  gboolean unregistered;

  do
    {
      g_autoptr (GError) error = NULL;
      SelReadyEvent event;
      gssize n;

      unregistered = g_atomic_int_get (&rounds->unregistered);
      n = sel_base_selector_select_ready (rounds->selector, unregistered ? 0 : SEL_WAIT_FOREVER,
                                          &event, 1, NULL, &error);
      g_assert_no_error (error);
      if (unregistered)
        g_assert_cmpint (n, ==, 0);
      g_atomic_int_inc (&rounds->n_rounds);
    }
  while (!unregistered);

  return NULL;
}

static void
count_destroyed (gpointer data)
{
  g_atomic_int_inc ((int *) data);
}

static void
test_unregister_then_no_more (BackendFixture *fixture)
{
  int pair[2];

  open_pipe (pair);
  put_byte (pair[1]);

  for (guint i = 0; i < 50; i++)
    {
      Rounds rounds = { .selector = fixture->selector };
      g_autoptr (GError) error = NULL;
      int n_destroyed = 0;
      GThread *thread;

      g_assert_true (sel_base_selector_register (fixture->selector, pair[0], SEL_EVENT_READ,
                                                 &n_destroyed, count_destroyed, &error));
      g_assert_no_error (error);

      thread = g_thread_new ("waiter", rounds_run, &rounds);
      while (g_atomic_int_get (&rounds.n_rounds) < 5)
        g_thread_yield ();

      unwatch (fixture->selector, pair[0]);
      g_atomic_int_set (&rounds.unregistered, TRUE);
      sel_base_selector_wakeup (fixture->selector);

      g_thread_join (thread);
      g_assert_cmpint (g_atomic_int_get (&n_destroyed), ==, 1);

      /* The thread may not have consumed the wake-up. */
      assert_ready (fixture->selector, 0, -1);
    }

  close_pair (pair);
}

/* Four threads change registrations at random, each with descriptors of its own, while one thread waits and handles
 * the events. */

#define N_MUTATORS   4
#define N_SLOTS      6
#define N_OPERATIONS 1000

typedef struct
{
  int          pair[2];
  SelEventMask events;  /* 0: not registered */
  gboolean     has_data;
} Slot;

typedef struct
{
  SelBaseSelector *selector;
  guint32          seed;
  Slot             slots[N_SLOTS];
} Mutator;

typedef struct
{
  SelBaseSelector *selector;
  int              is_done;  /* atomic */
} Taker;

static gpointer
taker_run (gpointer user_data)
{
  Taker *taker = user_data;

  while (!g_atomic_int_get (&taker->is_done))
    {
      g_autoptr (GPtrArray) ready = NULL;
      g_autoptr (GError) error = NULL;

      ready = sel_base_selector_select (taker->selector, SEL_WAIT_FOREVER, NULL, &error);
      g_assert_no_error (error);

      for (guint i = 0; i < ready->len; i++)
        {
          SelSelectorEvent *event = g_ptr_array_index (ready, i);
          SelSelectorKey *key = sel_selector_event_get_key (event);
          SelEventMask events = sel_selector_event_get_events (event);

          g_assert_cmpint (sel_selector_key_get_fd (key), >=, 0);
          g_assert_cmpuint (events, !=, 0);
          g_assert_cmpuint (events & ~ALL_EVENTS, ==, 0);
        }
    }

  return NULL;
}

static void
mutator_change_slot (Mutator *mutator,
                     Slot    *slot,
                     GRand   *rand)
{
  SelEventMask events = g_rand_int_range (rand, SEL_EVENT_READ, ALL_EVENTS + 1);
  g_autoptr (GError) error = NULL;

  switch (g_rand_int_range (rand, 0, 6))
    {
    case 0:
    case 1:
      if (slot->events == 0)
        watch (mutator->selector, slot->pair[0], events);
      else
        sel_base_selector_modify (mutator->selector, slot->pair[0], events, NULL, NULL, &error);
      g_assert_no_error (error);
      slot->events = events;
      break;

    case 2:
      if (slot->events != 0)
        unwatch (mutator->selector, slot->pair[0]);
      slot->events = 0;
      break;

    case 3:
      if (!slot->has_data)
        put_byte (slot->pair[1]);
      slot->has_data = TRUE;
      break;

    case 4:
      drain (slot->pair[0]);
      slot->has_data = FALSE;
      break;

    case 5:
      if (slot->events != 0)
        unwatch (mutator->selector, slot->pair[0]);
      close_pair (slot->pair);
      open_socketpair (slot->pair);
      slot->events = 0;
      slot->has_data = FALSE;
      break;

    default:
      g_assert_not_reached ();
    }
}

static gpointer
mutator_run (gpointer user_data)
{
  Mutator *mutator = user_data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (mutator->seed);

  for (guint i = 0; i < N_OPERATIONS; i++)
    mutator_change_slot (mutator, &mutator->slots[g_rand_int_range (rand, 0, N_SLOTS)], rand);

  return NULL;
}

static char *
mutators_expect (Mutator *mutators,
                 guint   *n_registered)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);

  *n_registered = 0;

  /* In the order of descriptors, as in ready_to_string (). */
  for (int fd = 0; fd < 1024; fd++)
    for (guint i = 0; i < N_MUTATORS * N_SLOTS; i++)
      {
        Slot *slot = &mutators[i / N_SLOTS].slots[i % N_SLOTS];
        SelEventMask ready = slot->events & (SEL_EVENT_WRITE
                                             | (slot->has_data ? SEL_EVENT_READ : 0));

        if (slot->pair[0] != fd || slot->events == 0)
          continue;

        (*n_registered)++;
        if (ready != 0)
          g_ptr_array_add (lines, expected_to_string (fd, ready, -1));
      }

  g_ptr_array_add (lines, NULL);

  return g_strjoinv (" ", (char **) lines->pdata);
}

static void
mutators_assert_consistent (Mutator         *mutators,
                            SelBaseSelector *selector)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autofree char *expected = NULL;
  g_autofree char *got = NULL;
  guint n_registered;

  expected = mutators_expect (mutators, &n_registered);
  got = ready_to_string (selector, 0);
  g_assert_cmpstr (got, ==, expected);
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, n_registered);

  for (guint i = 0; i < N_MUTATORS * N_SLOTS; i++)
    {
      Slot *slot = &mutators[i / N_SLOTS].slots[i % N_SLOTS];
      g_autoptr (SelSelectorKey) key = sel_selector_mapping_lookup (map, slot->pair[0]);

      if (slot->events == 0)
        g_assert_null (key);
      else
        g_assert_cmpuint (sel_selector_key_get_events (key), ==, slot->events);
    }
}

static void
test_mutators (BackendFixture *fixture)
{
  Taker taker = { .selector = fixture->selector };
  Mutator mutators[N_MUTATORS] = { 0 };
  GThread *threads[N_MUTATORS];
  GThread *taker_thread;

  for (guint i = 0; i < N_MUTATORS; i++)
    {
      mutators[i].selector = fixture->selector;
      mutators[i].seed = g_test_rand_int ();
      for (guint j = 0; j < N_SLOTS; j++)
        open_socketpair (mutators[i].slots[j].pair);
    }

  taker_thread = g_thread_new ("taker", taker_run, &taker);
  for (guint i = 0; i < N_MUTATORS; i++)
    threads[i] = g_thread_new ("mutator", mutator_run, &mutators[i]);
  for (guint i = 0; i < N_MUTATORS; i++)
    g_thread_join (threads[i]);

  g_atomic_int_set (&taker.is_done, TRUE);
  sel_base_selector_wakeup (fixture->selector);
  g_thread_join (taker_thread);

  mutators_assert_consistent (mutators, fixture->selector);

  for (guint i = 0; i < N_MUTATORS * N_SLOTS; i++)
    {
      Slot *slot = &mutators[i / N_SLOTS].slots[i % N_SLOTS];

      if (slot->events != 0)
        unwatch (fixture->selector, slot->pair[0]);
      close_pair (slot->pair);
    }
}

/* Several threads try to wait at the same time: one waits, the others get BUSY. */

#define N_POLLERS 3
#define N_POLLS 2000

typedef struct
{
  SelBaseSelector *selector;
  int              fd;        /* the only descriptor that may be ready */
  gboolean         endless;
} Poller;

/* Returns FALSE and sets an error, or checks the reported event. */
static gboolean
poller_poll (Poller  *poller,
             guint    i,
             GError **error)
{
  SelReadyEvent event;
  gssize n;

  if (i % 2 == 0)
    {
      g_autoptr (GPtrArray) ready = sel_base_selector_select (poller->selector, 0, NULL, error);

      if (ready == NULL)
        return FALSE;

      g_assert_cmpuint (ready->len, <=, 1);
      if (ready->len == 1)
        g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (g_ptr_array_index (ready, 0))), ==,
                         poller->fd);

      return TRUE;
    }

  n = sel_base_selector_select_ready (poller->selector, 0, &event, 1, NULL, error);
  if (n == 1)
    {
      g_assert_cmpint (event.fd, ==, poller->fd);
      g_assert_true (event.data == poller);
    }

  return n >= 0;
}

static gpointer
poller_run (gpointer user_data)
{
  Poller *poller = user_data;

  for (guint i = 0; i < N_POLLS || poller->endless; i++)
    {
      g_autoptr (GError) error = NULL;

      if (poller_poll (poller, i, &error))
        continue;

      if (poller->endless && g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
        return NULL;
      g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
    }

  return NULL;
}

static void
pollers_start (Poller  *poller,
               int      pair[2],
               GThread *threads[N_POLLERS])
{
  g_autoptr (GError) error = NULL;

  open_socketpair (pair);
  poller->fd = pair[0];
  sel_base_selector_register (poller->selector, pair[0], ALL_EVENTS, poller, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N_POLLERS; i++)
    threads[i] = g_thread_new ("poller", poller_run, poller);
}

static void
test_pollers (BackendFixture *fixture)
{
  Poller poller = { .selector = fixture->selector };
  GThread *threads[N_POLLERS];
  int pair[2];

  pollers_start (&poller, pair, threads);
  for (guint i = 0; i < N_POLLS / 10; i++)
    {
      g_autoptr (GError) error = NULL;

      sel_base_selector_modify_events (fixture->selector, pair[0], i % 2 == 0 ? SEL_EVENT_WRITE : ALL_EVENTS, &error);
      g_assert_no_error (error);
      if (!sel_base_selector_reinit (fixture->selector, &error))
        g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
    }
  for (guint i = 0; i < N_POLLERS; i++)
    g_thread_join (threads[i]);

  assert_ready (fixture->selector, 0, pair[0], SEL_EVENT_WRITE, -1);
  unwatch (fixture->selector, pair[0]);
  close_pair (pair);
}

static void
test_pollers_and_close (BackendFixture *fixture)
{
  Poller poller = { .selector = fixture->selector, .endless = TRUE };
  GThread *threads[N_POLLERS];
  int pair[2];

  pollers_start (&poller, pair, threads);
  sel_base_selector_close (fixture->selector);
  for (guint i = 0; i < N_POLLERS; i++)
    g_thread_join (threads[i]);

  close_pair (pair);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  backend_add ("threads/register", test_register);
  backend_add ("threads/register-then-write", test_register_then_write);
  backend_add ("threads/register-always-ready", test_register_always_ready);
  backend_add ("threads/modify", test_modify);
  backend_add ("threads/modify-away", test_modify_away);
  backend_add ("threads/unregister", test_unregister);
  backend_add ("threads/unregister-and-close", test_unregister_and_close);
  backend_add ("threads/unregister-then-no-more", test_unregister_then_no_more);
  backend_add ("threads/reuse-number", test_reuse_number);
  backend_add ("threads/wakeup-before", test_wakeup_before);
  backend_add ("threads/wakeup-during", test_wakeup_during);
  backend_add ("threads/wakeup-coalesced", test_wakeup_coalesced);
  backend_add ("threads/wakeup-with-ready", test_wakeup_with_ready);
  backend_add ("threads/wakeup-from-threads", test_wakeup_from_threads);
  backend_add ("threads/wakeup-from-signal", test_wakeup_from_signal);
  backend_add ("threads/close", test_close);
  backend_add ("threads/close-twice", test_close_twice);
  backend_add ("threads/second-waiter", test_second_waiter);
  backend_add ("threads/cancel", test_cancel);
  backend_add ("threads/mutators", test_mutators);
  backend_add ("threads/pollers", test_pollers);
  backend_add ("threads/pollers-and-close", test_pollers_and_close);

  return g_test_run ();
}
