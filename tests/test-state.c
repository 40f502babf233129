/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <signal.h>
#include <sys/time.h>

#include "core/sel-state-private.h"
#include "sel-error.h"

/* The state room alone: the state word, the lock, virtual functions and forks. There is no selector around the core. */

#define OPEN SEL_STATE_OPEN
#define CLOSED SEL_STATE_CLOSED
#define FORKED SEL_STATE_FORKED
#define WAITING SEL_STATE_WAITING
#define POLLING SEL_STATE_POLLING
#define IN_WAIT SEL_STATE_IN_WAIT
#define ASYNC_PENDING SEL_STATE_ASYNC_PENDING
#define SOURCE_BLOCKED SEL_STATE_SOURCE_BLOCKED

#define N_FLAGS 11
#define N_WORDS (1u << N_FLAGS)
#define ALL (N_WORDS - 1)

typedef struct
{
  SelCore core;
  guint n_forked;
  guint n_closed;
} Fixture;

/* The functions that the class gives to the state have no user data. */
static Fixture *current;

static gboolean
is_locked (SelCore *core)
{
  if (!g_mutex_trylock (&core->state.lock))
    return TRUE;

  g_mutex_unlock (&core->state.lock);

  return FALSE;
}

static void
set_word (SelCore *core,
          guint    word)
{
  g_atomic_int_set (&core->state.word, word);
}

static guint
get_word (SelCore *core)
{
  return (guint) g_atomic_int_get (&core->state.word);
}

/* fork_count is set last: a function that sees the new one without the lock relies on the rest of the state. */
static void
forked (SelCore *core)
{
  g_assert_true (core == &current->core);
  g_assert_true (sel_state_is_new_process (core));
  g_assert_false (is_locked (core));
  g_assert_null (sel_state_get_vfunc_thread (core));
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  g_assert_false (sel_state_has (core, IN_WAIT | SOURCE_BLOCKED));
  g_assert_cmpint (sel_state_has (core, FORKED), ==, sel_state_has (core, OPEN));
  current->n_forked++;
}

static void
finish_close (SelCore *core)
{
  g_assert_true (core == &current->core);
  g_assert_false (is_locked (core));
  current->n_closed++;
}

static const SelStateFuncs funcs = { forked, finish_close };

static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  current = fixture;
  sel_state_init (&fixture->core);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  g_assert_false (is_locked (&fixture->core));
  g_assert_cmpuint (fixture->core.state.lock_depth, ==, 0);
  g_assert_null (sel_state_get_vfunc_thread (&fixture->core));
  sel_state_clear (&fixture->core);
  current = NULL;
}

/* --- The transitions of the state word --- */

typedef struct _Transition Transition;

/* Calls the operation. Returns its result, or TRUE if it has none. */
typedef gboolean (*Operation) (SelCore          *core,
                               const Transition *transition);

/* The result of an operation, and the bits that it sets and unsets, if the bits @mask of the word are @value. */
struct _Transition
{
  Operation operation;
  guint flags;
  guint busy;
  guint mask;
  guint value;
  gboolean result;
  guint set;
  guint unset;
};

static gboolean
call_set (SelCore          *core,
          const Transition *transition)
{
  sel_state_set (core, transition->flags);

  return TRUE;
}

static gboolean
call_unset (SelCore          *core,
            const Transition *transition)
{
  sel_state_unset (core, transition->flags);

  return TRUE;
}

static gboolean
call_has (SelCore          *core,
          const Transition *transition)
{
  return sel_state_has (core, transition->flags);
}

static gboolean
call_is_usable (SelCore          *core,
                const Transition *transition)
{
  return sel_state_is_usable (core);
}

static gboolean
call_is_fast (SelCore          *core,
              const Transition *transition)
{
  return sel_state_is_fast (core);
}

static gboolean
call_try_claim (SelCore          *core,
                const Transition *transition)
{
  return sel_state_try_claim (core, transition->flags);
}

static gboolean
call_try_claim_in_vfunc (SelCore          *core,
                         const Transition *transition)
{
  gpointer outer = sel_state_enter_vfunc (core);
  gboolean result = sel_state_try_claim (core, transition->flags);

  sel_state_leave_vfunc (core, outer);

  return result;
}

static gboolean
call_try_claim_in_child (SelCore          *core,
                         const Transition *transition)
{
  gboolean result;

  sel_fork_begin_child ();
  result = sel_state_try_claim (core, transition->flags);
  core->state.fork_count = sel_fork_count;

  return result;
}

static gboolean
call_claim (SelCore          *core,
            const Transition *transition)
{
  guint word = get_word (core);
  g_autoptr(GError) error = NULL;

  if (sel_state_claim (core, transition->flags, transition->busy, &error))
    {
      g_assert_no_error (error);
      return TRUE;
    }

  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_cmpint (g_str_has_prefix (error->message, "An asynchronous select"), ==, (word & ASYNC_PENDING) != 0);
  g_assert_cmpint (g_str_has_prefix (error->message, "Another thread"), ==, (word & ASYNC_PENDING) == 0);

  return FALSE;
}

static gboolean
call_take_open (SelCore          *core,
                const Transition *transition)
{
  guint word = get_word (core);
  guint old_word = ~0u;
  gboolean result = sel_state_take_open (core, &old_word);

  g_assert_cmphex (old_word, ==, result ? word : ~0u);

  return result;
}

static gboolean
call_notice_fork (SelCore          *core,
                  const Transition *transition)
{
  guint n_forked = current->n_forked;

  sel_fork_begin_child ();
  sel_state_notice_fork (core);
  g_assert_cmpuint (current->n_forked, ==, n_forked + 1);

  /* Another thread has noticed it meanwhile. */
  sel_state_notice_fork (core);
  g_assert_cmpuint (current->n_forked, ==, n_forked + 1);
  g_assert_false (sel_state_is_new_process (core));

  return TRUE;
}

/* The rows of an operation follow each other. The first row that applies to a word counts. */
static const Transition transitions[] = {
  /* The fast path begins with OPEN alone only. */
  { call_try_claim, WAITING, 0, ALL, OPEN, TRUE, WAITING, 0 },
  { call_try_claim, WAITING, 0, 0, 0, FALSE, 0, 0 },
  { call_try_claim, POLLING, 0, ALL, OPEN, TRUE, POLLING, 0 },
  { call_try_claim, POLLING, 0, 0, 0, FALSE, 0, 0 },
  { call_try_claim_in_vfunc, WAITING, 0, 0, 0, FALSE, 0, 0 },
  { call_try_claim_in_child, WAITING, 0, 0, 0, FALSE, 0, 0 },

  /* The sets that the wait room uses, and none. */
  { call_claim, WAITING, IN_WAIT | ASYNC_PENDING, IN_WAIT | ASYNC_PENDING, 0, TRUE, WAITING, 0 },
  { call_claim, WAITING, IN_WAIT | ASYNC_PENDING, 0, 0, FALSE, 0, 0 },
  { call_claim, POLLING, IN_WAIT, IN_WAIT, 0, TRUE, POLLING, 0 },
  { call_claim, POLLING, IN_WAIT, 0, 0, FALSE, 0, 0 },
  { call_claim, ASYNC_PENDING, ASYNC_PENDING | WAITING, ASYNC_PENDING | WAITING, 0, TRUE, ASYNC_PENDING, 0 },
  { call_claim, ASYNC_PENDING, ASYNC_PENDING | WAITING, 0, 0, FALSE, 0, 0 },
  { call_claim, WAITING, 0, 0, 0, TRUE, WAITING, 0 },

  { call_take_open, 0, 0, IN_WAIT, 0, TRUE, 0, OPEN },
  { call_take_open, 0, 0, 0, 0, FALSE, 0, 0 },

  { call_notice_fork, 0, 0, OPEN, OPEN, TRUE, FORKED, IN_WAIT | SOURCE_BLOCKED },
  { call_notice_fork, 0, 0, 0, 0, TRUE, 0, IN_WAIT | SOURCE_BLOCKED },

  { call_is_usable, 0, 0, OPEN | FORKED, OPEN, TRUE, 0, 0 },
  { call_is_usable, 0, 0, 0, 0, FALSE, 0, 0 },
  { call_is_fast, 0, 0, ALL & ~IN_WAIT, OPEN, TRUE, 0, 0 },
  { call_is_fast, 0, 0, 0, 0, FALSE, 0, 0 },

  { call_set, WAITING | CLOSED, 0, 0, 0, TRUE, WAITING | CLOSED, 0 },
  { call_unset, OPEN | POLLING, 0, 0, 0, TRUE, 0, OPEN | POLLING },
  { call_has, IN_WAIT, 0, IN_WAIT, 0, FALSE, 0, 0 },
  { call_has, IN_WAIT, 0, 0, 0, TRUE, 0, 0 },
};

static gboolean
same_operation (const Transition *a,
                const Transition *b)
{
  return a->operation == b->operation && a->flags == b->flags && a->busy == b->busy;
}

static void
check_transition (SelCore          *core,
                  const Transition *transition,
                  guint             word)
{
  set_word (core, word);
  g_assert_cmpint (transition->operation (core, transition), ==, transition->result);
  g_assert_cmphex (get_word (core), ==, (word | transition->set) & ~transition->unset);
}

/* FORKED comes with OPEN only. One thread waits at a time, and none during an asynchronous wait. */
static gboolean
can_occur (guint word)
{
  return (word & (OPEN | FORKED)) != FORKED && (word & IN_WAIT) != IN_WAIT &&
         (word & (WAITING | ASYNC_PENDING)) != (WAITING | ASYNC_PENDING);
}

/* Every operation with every word that can occur. */
static void
test_transitions (Fixture       *fixture,
                  gconstpointer  data)
{
  guint n_operations = 1;
  guint n_words = 0;
  guint n_checked = 0;

  for (guint i = 1; i < G_N_ELEMENTS (transitions); i++)
    {
      if (!same_operation (&transitions[i - 1], &transitions[i]))
        n_operations++;
    }

  for (guint word = 0; word < N_WORDS; word++)
    {
      const Transition *done = NULL;

      if (!can_occur (word))
        continue;

      n_words++;
      for (guint i = 0; i < G_N_ELEMENTS (transitions); i++)
        {
          const Transition *transition = &transitions[i];

          if ((done != NULL && same_operation (done, transition)) || (word & transition->mask) != transition->value)
            continue;

          check_transition (&fixture->core, transition, word);
          done = transition;
          n_checked++;
        }
    }
  g_assert_cmpuint (n_words, ==, N_WORDS * 3 / 4 * 5 / 8);
  g_assert_cmpuint (n_checked, ==, n_operations * n_words);
}

/* Each flag is a bit of its own, and an operation with one changes no other. */
static void
test_flags (Fixture       *fixture,
            gconstpointer  data)
{
  static const SelStateFlags flags[] = {
    SEL_STATE_OPEN, SEL_STATE_CLOSED, SEL_STATE_FORKED, SEL_STATE_WAITING, SEL_STATE_POLLING, SEL_STATE_ASYNC_PENDING,
    SEL_STATE_CHANGED, SEL_STATE_WOKEN, SEL_STATE_PAUSED, SEL_STATE_ALWAYS_READY, SEL_STATE_SOURCE_BLOCKED,
  };
  guint all = 0;

  G_STATIC_ASSERT (G_N_ELEMENTS (flags) == N_FLAGS);
  for (guint i = 0; i < N_FLAGS; i++)
    {
      Transition set = { call_set, flags[i], 0, 0, 0, TRUE, flags[i], 0 };
      Transition unset = { call_unset, flags[i], 0, 0, 0, TRUE, 0, flags[i] };

      g_assert_cmpuint (g_bit_nth_msf (flags[i], -1), ==, g_bit_nth_lsf (flags[i], -1));
      all |= flags[i];
      for (guint word = 0; word < N_WORDS; word++)
        {
          Transition has = { call_has, flags[i], 0, 0, 0, (word & flags[i]) != 0, 0, 0 };

          check_transition (&fixture->core, &set, word);
          check_transition (&fixture->core, &unset, word);
          check_transition (&fixture->core, &has, word);
        }
    }
  g_assert_cmphex (all, ==, ALL);
}

static void
test_claim_without_error (Fixture       *fixture,
                          gconstpointer  data)
{
  set_word (&fixture->core, OPEN | WAITING);
  g_assert_false (sel_state_claim (&fixture->core, POLLING, IN_WAIT, NULL));
}

/* --- Races --- */

/* Signals interrupt the operations so often that some come between the reading and the writing of the word. One
 * processor is enough for that. */
#define N_INTERRUPTIONS 500
#define INTERRUPTION_USEC 100

static SelCore *interrupted_core; /* atomic */
static guint n_interruptions;     /* atomic */
static guint n_lost;              /* atomic */

/* Changes a bit that the interrupted operations leave alone. */
static void
toggle_woken (int signum)
{
  gboolean expected = g_atomic_int_get (&n_interruptions) % 2 != 0;
  SelCore *core = g_atomic_pointer_get (&interrupted_core);

  /* The last signal may come late. */
  if (core == NULL)
    return;

  if (sel_state_has (core, SEL_STATE_WOKEN) != expected)
    g_atomic_int_inc (&n_lost);

  if (expected)
    sel_state_unset (core, SEL_STATE_WOKEN);
  else
    sel_state_set (core, SEL_STATE_WOKEN);
  g_atomic_int_inc (&n_interruptions);
}

/* The word without the bit that changes at any time. */
static guint
get_stable_word (SelCore *core)
{
  return get_word (core) & ~(guint) SEL_STATE_WOKEN;
}

static void
claim_and_take_open (SelCore *core)
{
  guint old_word;

  if (!sel_state_try_claim (core, POLLING))
    g_assert_true (sel_state_claim (core, POLLING, IN_WAIT, NULL));
  g_assert_cmphex (get_stable_word (core), ==, OPEN | POLLING);
  sel_state_unset (core, POLLING);

  g_assert_true (sel_state_claim (core, WAITING, IN_WAIT, NULL));
  g_assert_cmphex (get_stable_word (core), ==, OPEN | WAITING);
  g_assert_false (sel_state_take_open (core, &old_word));
  sel_state_unset (core, WAITING);

  g_assert_true (sel_state_take_open (core, &old_word));
  g_assert_cmphex (old_word & ~(guint) SEL_STATE_WOKEN, ==, OPEN);
  g_assert_cmphex (get_stable_word (core), ==, 0);
  sel_state_set (core, OPEN);
}

static void
test_interrupted (Fixture       *fixture,
                  gconstpointer  data)
{
  struct itimerval interval = { { 0, INTERRUPTION_USEC }, { 0, INTERRUPTION_USEC } };
  struct itimerval none = { 0 };
  struct sigaction action = { .sa_handler = toggle_woken, .sa_flags = SA_RESTART };

  g_atomic_pointer_set (&interrupted_core, &fixture->core);
  set_word (&fixture->core, OPEN);
  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &interval, NULL));
  while (g_atomic_int_get (&n_interruptions) < N_INTERRUPTIONS)
    claim_and_take_open (&fixture->core);
  g_assert_no_errno (setitimer (ITIMER_REAL, &none, NULL));
  g_atomic_pointer_set (&interrupted_core, NULL);

  g_assert_cmpuint (n_lost, ==, 0);
  g_assert_cmphex (get_stable_word (&fixture->core), ==, OPEN);
}

#define N_ROUNDS 50000

/* If several threads claim the same bit, one of them gets it. */
static gpointer
claim_and_count (gpointer user_data)
{
  SelCore *core = user_data;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      if (sel_state_try_claim (core, WAITING) || sel_state_claim (core, WAITING, IN_WAIT, NULL))
        {
          core->wait.turn++;
          sel_state_unset (core, WAITING);
        }
      else
        {
          i--;
          g_thread_yield ();
        }
    }

  return NULL;
}

static void
test_exclusive (Fixture       *fixture,
                gconstpointer  data)
{
  GThread *thread;

  set_word (&fixture->core, OPEN);
  thread = g_thread_new ("claim", claim_and_count, &fixture->core);
  claim_and_count (&fixture->core);
  g_thread_join (thread);

  g_assert_cmpuint (fixture->core.wait.turn, ==, 2 * N_ROUNDS);
  g_assert_cmphex (get_word (&fixture->core), ==, OPEN);
}

/* --- The lock, and virtual functions --- */

static void
test_lock (Fixture       *fixture,
           gconstpointer  data)
{
  SelCore *core = &fixture->core;
  g_autoptr(GError) error = NULL;

  g_assert_false (sel_state_is_new_process (core));
  g_assert_false (sel_state_in_vfunc (core));

  sel_state_lock (core);
  g_assert_true (is_locked (core));
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  sel_state_unlock (core);
  g_assert_false (is_locked (core));

  g_assert_true (sel_state_lock_to_change (core, &error));
  g_assert_no_error (error);
  g_assert_true (is_locked (core));
  sel_state_unlock (core);
  g_assert_false (is_locked (core));
  g_assert_cmpuint (fixture->n_forked, ==, 0);
}

/* The lock is recursive inside a virtual function, to any depth. */
static void
test_recursion (Fixture       *fixture,
                gconstpointer  data)
{
  SelCore *core = &fixture->core;
  gpointer outer;
  gpointer inner;

  sel_state_lock (core);
  outer = sel_state_enter_vfunc (core);
  g_assert_null (outer);
  g_assert_true (sel_state_in_vfunc (core));
  sel_state_lock (core);
  g_assert_cmpuint (core->state.lock_depth, ==, 1);

  inner = sel_state_enter_vfunc (core);
  g_assert_true (inner == sel_thread_self ());
  sel_state_lock (core);
  g_assert_cmpuint (core->state.lock_depth, ==, 2);
  sel_state_unlock (core);
  sel_state_leave_vfunc (core, inner);
  g_assert_true (sel_state_in_vfunc (core));

  g_assert_cmpuint (core->state.lock_depth, ==, 1);
  sel_state_unlock (core);
  g_assert_true (is_locked (core));
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  sel_state_leave_vfunc (core, outer);
  g_assert_false (sel_state_in_vfunc (core));
  sel_state_unlock (core);
  g_assert_false (is_locked (core));
  g_assert_cmpuint (fixture->n_closed, ==, 0);
}

/* A virtual function may not change the registrations. */
static void
test_busy (Fixture       *fixture,
           gconstpointer  data)
{
  SelCore *core = &fixture->core;
  g_autoptr(GError) error = NULL;
  gpointer outer;

  sel_state_lock (core);
  outer = sel_state_enter_vfunc (core);
  g_assert_false (sel_state_lock_to_change (core, NULL));
  g_assert_false (sel_state_lock_to_change (core, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  sel_state_leave_vfunc (core, outer);
  sel_state_unlock (core);
}

/* While another thread is in a virtual function, the lock is not recursive in this one. The other thread does not exist
 * here, and does not hold the lock, so that nothing blocks. */
static void
test_other_vfunc (Fixture       *fixture,
                  gconstpointer  data)
{
  SelCore *core = &fixture->core;
  g_autoptr(GError) error = NULL;

  sel_state_set_vfunc_thread (core, fixture);
  g_assert_false (sel_state_in_vfunc (core));

  sel_state_lock (core);
  g_assert_true (is_locked (core));
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  g_assert_false (sel_state_close_later (core));
  g_assert_cmpuint (core->state.lock_depth, ==, 0);
  sel_state_unlock (core);
  g_assert_false (is_locked (core));

  g_assert_true (sel_state_lock_to_change (core, &error));
  g_assert_no_error (error);
  g_assert_true (is_locked (core));
  sel_state_unlock (core);

  sel_state_set_vfunc_thread (core, NULL);
}

typedef struct
{
  SelCore *core;
  int begun;     /* atomic */
  gboolean done; /* the lock protects it */
} OtherThread;

static gpointer
lock_in_other_thread (gpointer user_data)
{
  OtherThread *other = user_data;

  g_assert_false (sel_state_in_vfunc (other->core));
  g_assert_false (sel_state_try_claim (other->core, WAITING));
  g_atomic_int_set (&other->begun, TRUE);
  g_assert_true (sel_state_lock_to_change (other->core, NULL));
  g_assert_cmpuint (other->core->state.lock_depth, ==, 0);
  other->done = TRUE;
  sel_state_unlock (other->core);

  return NULL;
}

/* Another thread waits until the virtual function has returned. */
static void
test_other_thread (Fixture       *fixture,
                   gconstpointer  data)
{
  SelCore *core = &fixture->core;
  OtherThread other = { core, FALSE, FALSE };
  GThread *thread;
  gpointer outer;

  set_word (core, OPEN);
  sel_state_lock (core);
  outer = sel_state_enter_vfunc (core);
  thread = g_thread_new ("other", lock_in_other_thread, &other);
  while (!g_atomic_int_get (&other.begun))
    g_thread_yield ();
  for (guint i = 0; i < 100; i++)
    {
      sel_state_lock (core);
      g_thread_yield ();
      g_assert_cmpuint (core->state.lock_depth, ==, 1);
      g_assert_false (other.done);
      sel_state_unlock (core);
    }
  sel_state_leave_vfunc (core, outer);
  sel_state_unlock (core);
  g_thread_join (thread);
  g_assert_true (other.done);
}

/* --- Closing in a virtual function --- */

static void
test_close_later (Fixture       *fixture,
                  gconstpointer  data)
{
  SelCore *core = &fixture->core;
  gpointer outer;

  sel_state_lock (core);
  g_assert_false (sel_state_close_later (core));
  sel_state_unlock (core);

  sel_state_lock (core);
  outer = sel_state_enter_vfunc (core);
  sel_state_lock (core);
  sel_state_lock (core);
  g_assert_true (sel_state_close_later (core));
  sel_state_unlock (core);
  sel_state_unlock (core);
  sel_state_lock (core);
  sel_state_unlock (core);
  sel_state_leave_vfunc (core, outer);
  g_assert_true (is_locked (core));
  g_assert_cmpuint (fixture->n_closed, ==, 0);

  sel_state_unlock (core);
  g_assert_cmpuint (fixture->n_closed, ==, 1);
  g_assert_cmpuint (core->state.lock_depth, ==, 0);

  sel_state_lock (core);
  sel_state_unlock (core);
  g_assert_cmpuint (fixture->n_closed, ==, 1);
}

/* --- Forks --- */

static void
test_fork_lock (Fixture       *fixture,
                gconstpointer  data)
{
  SelCore *core = &fixture->core;

  /* Threads of the parent process were in a virtual function, and held the lock. */
  set_word (core, OPEN | WAITING | SOURCE_BLOCKED);
  sel_state_lock (core);
  sel_state_set_vfunc_thread (core, fixture);
  core->state.lock_depth = 3;
  sel_fork_begin_child ();
  g_assert_true (sel_state_is_new_process (core));

  sel_state_lock (core);
  g_assert_cmpuint (fixture->n_forked, ==, 1);
  g_assert_false (sel_state_is_new_process (core));
  g_assert_true (is_locked (core));
  g_assert_cmphex (get_word (core), ==, OPEN | FORKED);
  sel_state_unlock (core);

  sel_state_lock (core);
  sel_state_unlock (core);
  g_assert_cmpuint (fixture->n_forked, ==, 1);
}

/* The child forked in a virtual function of its own thread: it may change registrations nevertheless. */
static void
test_fork_in_vfunc (Fixture       *fixture,
                    gconstpointer  data)
{
  SelCore *core = &fixture->core;
  g_autoptr(GError) error = NULL;

  sel_state_lock (core);
  sel_state_enter_vfunc (core);
  sel_state_lock (core);
  g_assert_true (sel_state_close_later (core));
  sel_fork_begin_child ();

  g_assert_true (sel_state_lock_to_change (core, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (fixture->n_forked, ==, 1);
  g_assert_true (is_locked (core));
  sel_state_unlock (core);
  g_assert_false (is_locked (core));
  g_assert_cmpuint (fixture->n_closed, ==, 0);
}

static gpointer
lock_and_unlock (gpointer user_data)
{
  SelCore *core = user_data;

  sel_state_lock (core);
  g_assert_false (sel_state_is_new_process (core));
  sel_state_unlock (core);

  return NULL;
}

/* Two threads of a child process lock for the first time. One of them notices the fork. */
static void
test_fork_threads (Fixture       *fixture,
                   gconstpointer  data)
{
  for (guint i = 0; i < 100; i++)
    {
      GThread *thread;

      sel_fork_begin_child ();
      thread = g_thread_new ("child", lock_and_unlock, &fixture->core);
      lock_and_unlock (&fixture->core);
      g_thread_join (thread);
      g_assert_cmpuint (fixture->n_forked, ==, i + 1);
    }
}

/* A selector that was made after a fork belongs to the child. */
static void
test_fork_before (Fixture       *fixture,
                  gconstpointer  data)
{
  SelCore core = { 0 };

  sel_fork_begin_child ();
  g_assert_true (sel_state_is_new_process (&fixture->core));
  sel_state_init (&core);
  g_assert_false (sel_state_is_new_process (&core));
  sel_state_lock (&core);
  sel_state_unlock (&core);
  g_assert_cmpuint (fixture->n_forked, ==, 0);
  sel_state_clear (&core);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*test) (Fixture *fixture, gconstpointer data);
  } cases[] = {
    { "/state/busy", test_busy },
    { "/state/claim-without-error", test_claim_without_error },
    { "/state/close-later", test_close_later },
    { "/state/exclusive", test_exclusive },
    { "/state/flags", test_flags },
    { "/state/fork-before", test_fork_before },
    { "/state/fork-in-vfunc", test_fork_in_vfunc },
    { "/state/fork-lock", test_fork_lock },
    { "/state/fork-threads", test_fork_threads },
    { "/state/interrupted", test_interrupted },
    { "/state/lock", test_lock },
    { "/state/other-thread", test_other_thread },
    { "/state/other-vfunc", test_other_vfunc },
    { "/state/recursion", test_recursion },
    { "/state/transitions", test_transitions },
  };

  g_test_init (&argc, &argv, NULL);
  sel_state_set_funcs (&funcs);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);

  return g_test_run ();
}
