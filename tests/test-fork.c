/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/wait.h>
#include <unistd.h>

#include "backends.h"
#include "system-facts.h"

/* A child process inherits a selector. Its calls affect only the child, until it calls reinit (). */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

/* A child in which an assertion fails is killed by a signal. The parent then fails as well. */
#define CHILD_IS_DONE 42

typedef struct
{
  BackendFixture  *backend;
  SelBaseSelector *selector;
  int              idle[2];
  int              active[2];
} ForkFixture;

typedef void (*ForkFunc) (ForkFixture *fixture);

static void
run_child (ForkFixture *fixture,
           ForkFunc     func)
{
  pid_t pid = fork ();
  int status = 0;

  g_assert_no_errno (pid);

  if (pid == 0)
    {
      func (fixture);
      end_child (CHILD_IS_DONE);
    }

  while (waitpid (pid, &status, 0) != pid)
    ;

  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, CHILD_IS_DONE);
}

static void
fork_fixture_open (ForkFixture    *fixture,
                   BackendFixture *backend)
{
  fixture->backend = backend;
  fixture->selector = backend->selector;
  open_pipe (fixture->idle);
  open_one_way (fixture->active);
  watch (fixture->selector, fixture->idle[0], SEL_EVENT_READ);
  watch (fixture->selector, fixture->active[0], SEL_EVENT_READ);
}

static void
fork_fixture_close (ForkFixture *fixture)
{
  unwatch (fixture->selector, fixture->idle[0]);
  unwatch (fixture->selector, fixture->active[0]);
  close_pair (fixture->idle);
  close_pair (fixture->active);
}

/* Both descriptors are still registered for the same events. */
static void
assert_undisturbed (ForkFixture *fixture)
{
  assert_ready (fixture->selector, 0, -1);

  put_byte (fixture->active[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->active[0], SEL_EVENT_READ, -1);
  drain (fixture->active[0]);

  put_byte (fixture->idle[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->idle[0], SEL_EVENT_READ, -1);
  drain (fixture->idle[0]);

  assert_quiet (fixture->selector, 0.002);
}

/* Calls of the child on its copy of the selector */

static void
child_unregisters (ForkFixture *fixture)
{
  unwatch (fixture->selector, fixture->idle[0]);
  unwatch (fixture->selector, fixture->active[0]);
}

static void
child_closes (ForkFixture *fixture)
{
  sel_base_selector_close (fixture->selector);
  g_assert_true (sel_base_selector_is_closed (fixture->selector));
  g_assert_null (sel_base_selector_get_map (fixture->selector));
}

static void
child_finalizes (ForkFixture *fixture)
{
  g_assert_finalize_object (G_OBJECT (fixture->selector));
}

static void
child_does_everything (ForkFixture *fixture)
{
  unwatch (fixture->selector, fixture->idle[0]);
  child_closes (fixture);
  child_finalizes (fixture);
}

static void
child_closes_descriptors (ForkFixture *fixture)
{
  unwatch (fixture->selector, fixture->active[0]);
  close_pair (fixture->active);
  close_pair (fixture->idle);
  child_finalizes (fixture);
}

static void
child_wakes (ForkFixture *fixture)
{
  sel_base_selector_wakeup (fixture->selector);
}

static void
child_wakes_and_closes (ForkFixture *fixture)
{
  child_wakes (fixture);
  child_closes (fixture);
  child_wakes (fixture);
}

#define assert_forked(failed)                                                        \
  G_STMT_START                                                                       \
    {                                                                                \
      g_assert_true (failed);                                                        \
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED);         \
    }                                                                                \
  G_STMT_END

static void
child_is_refused (ForkFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autofree int *fds = NULL;
  g_autofree guint8 *masks = NULL;
  g_autoptr (GError) error = NULL;
  SelReadyEvent event;
  gsize n_fds, n_masks;
  int pair[2];

  open_pipe (pair);
  assert_forked (!sel_base_selector_register (selector, pair[0], SEL_EVENT_READ, NULL, NULL,
                                              &error));
  assert_forked (!sel_base_selector_modify (selector, fixture->idle[0], ALL_EVENTS, NULL, NULL,
                                            &error));
  assert_forked (!sel_base_selector_modify_events (selector, fixture->idle[0], SEL_EVENT_WRITE,
                                                   &error));
  assert_forked (!sel_base_selector_refresh (selector, fixture->idle[0], &error));

  assert_forked (sel_base_selector_select (selector, 0, NULL, &error) == NULL);
  assert_forked (sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error) == NULL);
  assert_forked (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, &event, 1, NULL,
                                                 &error) == -1);
  assert_forked (!sel_base_selector_select_fds (selector, SEL_WAIT_FOREVER, NULL, &fds, &n_fds,
                                                &masks, &n_masks, &error));

  /* modify () fails with FORKED and not because the kernel refuses it, so both keys are still there. */
  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector)), ==, 2);
}

static void
child_looks_up (ForkFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GPtrArray) closed = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (fixture->selector, fixture->idle[0], &error);
  g_assert_no_error (error);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fixture->idle[0]);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, SEL_EVENT_READ);

  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 2);
  unwatch (fixture->selector, fixture->idle[0]);
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 1);
  g_assert_false (sel_selector_mapping_contains (map, fixture->idle[0]));

  close (fixture->active[0]);
  closed = sel_base_selector_check (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (closed->len, ==, 1);
}

static void
child_is_closed (ForkFixture *fixture)
{
  g_autoptr (GError) error = NULL;

  sel_base_selector_close (fixture->selector);

  /* CLOSED takes precedence over FORKED: reinit () does not help any more. */
  g_assert_null (sel_base_selector_select (fixture->selector, 0, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  g_assert_false (sel_base_selector_reinit (fixture->selector, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
}

static const struct
{
  const char *name;
  ForkFunc    func;
}
harmless[] =
{
  { "unregister", child_unregisters },
  { "close", child_closes },
  { "finalize", child_finalizes },
  { "everything", child_does_everything },
  { "close-descriptors", child_closes_descriptors },
  { "wakeup", child_wakes },
  { "wakeup-and-close", child_wakes_and_closes },
  { "refused", child_is_refused },
  { "look-up", child_looks_up },
  { "closed", child_is_closed },
};

static void
test_harmless (BackendFixture *backend)
{
  ForkFixture fixture = { 0 };

  fork_fixture_open (&fixture, backend);

  for (gsize i = 0; i < G_N_ELEMENTS (harmless); i++)
    {
      g_test_message ("child: %s", harmless[i].name);
      run_child (&fixture, harmless[i].func);
      assert_undisturbed (&fixture);
    }

  fork_fixture_close (&fixture);
}

/* The child's own selector */

static void
reinit (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_reinit (selector, &error));
  g_assert_no_error (error);
}

static void
child_reinits (ForkFixture *fixture)
{
  int pair[2];

  reinit (fixture->selector);
  assert_undisturbed (fixture);

  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  assert_quiet (fixture->selector, 0.002);

  open_pipe (pair);
  watch (fixture->selector, pair[1], SEL_EVENT_WRITE);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, pair[1], SEL_EVENT_WRITE, -1);
  unwatch (fixture->selector, pair[1]);
  close_pair (pair);

  rewatch (fixture->selector, fixture->idle[0], ALL_EVENTS);
  unwatch (fixture->selector, fixture->active[0]);
  child_finalizes (fixture);
}

static void
child_reinits_after_unregister (ForkFixture *fixture)
{
  unwatch (fixture->selector, fixture->idle[0]);
  reinit (fixture->selector);

  put_byte (fixture->idle[1]);
  put_byte (fixture->active[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->active[0], SEL_EVENT_READ, -1);
  drain (fixture->idle[0]);
  drain (fixture->active[0]);
}

/* A second call in the same process does no harm. */
static void
child_reinits_twice (ForkFixture *fixture)
{
  reinit (fixture->selector);
  reinit (fixture->selector);
  assert_undisturbed (fixture);
}

static void
child_loses_no_descriptors (ForkFixture *fixture)
{
  /* The number of a simulated kqueue stays open in the child. A real kqueue is closed by fork (). */
  guint n_left = backend_is (fixture->backend, "kqueue") ? 1 : 0;

  /* The pipes stay open. All descriptors of the selector are closed. */
  reinit (fixture->selector);
  child_finalizes (fixture);
  g_assert_cmpuint (count_open_fds (), <=, fixture->backend->n_open + 4 + n_left);
}

static const struct
{
  const char *name;
  ForkFunc    func;
}
reinits[] =
{
  { "reinit", child_reinits },
  { "after unregister", child_reinits_after_unregister },
  { "twice", child_reinits_twice },
  { "descriptors", child_loses_no_descriptors },
};

static void
test_reinit (BackendFixture *backend)
{
  ForkFixture fixture = { 0 };

  fork_fixture_open (&fixture, backend);

  for (gsize i = 0; i < G_N_ELEMENTS (reinits); i++)
    {
      g_test_message ("child: %s", reinits[i].name);
      run_child (&fixture, reinits[i].func);
      assert_undisturbed (&fixture);
    }

  fork_fixture_close (&fixture);
}

/* Children of children */

static void
child_with_own_selector (ForkFixture *fixture)
{
  reinit (fixture->selector);

  run_child (fixture, child_is_refused);
  assert_undisturbed (fixture);
  run_child (fixture, child_does_everything);
  assert_undisturbed (fixture);
  run_child (fixture, child_reinits);
  assert_undisturbed (fixture);
}

static void
child_with_parents_selector (ForkFixture *fixture)
{
  run_child (fixture, child_is_refused);
  run_child (fixture, child_does_everything);
  run_child (fixture, child_reinits);

  child_is_refused (fixture);
}

/* The child does not use the selector before it forks again. */
static void
child_with_parents_selector_reinits (ForkFixture *fixture)
{
  run_child (fixture, child_reinits);
  child_reinits (fixture);
}

static void
test_grandchild (BackendFixture *backend)
{
  static const ForkFunc children[] =
  {
    child_with_own_selector,
    child_with_parents_selector,
    child_with_parents_selector_reinits
  };
  ForkFixture fixture = { 0 };

  fork_fixture_open (&fixture, backend);

  for (gsize i = 0; i < G_N_ELEMENTS (children); i++)
    {
      run_child (&fixture, children[i]);
      assert_undisturbed (&fixture);
    }

  fork_fixture_close (&fixture);
}

/* Both processes run: events and changes of the child do not affect the parent, and the reverse. */

static void
child_works_beside_parent (ForkFixture *fixture)
{
  int pair[2];

  reinit (fixture->selector);

  /* The parent has written, so the same pipe is ready in both processes. */
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->active[0], SEL_EVENT_READ, -1);
  rewatch (fixture->selector, fixture->active[0], SEL_EVENT_WRITE);
  assert_ready (fixture->selector, 0, -1);

  open_pipe (pair);
  watch (fixture->selector, pair[0], SEL_EVENT_READ);
  put_byte (pair[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, pair[0], SEL_EVENT_READ, -1);
}

static void
test_both_receive (BackendFixture *backend)
{
  ForkFixture fixture = { 0 };

  fork_fixture_open (&fixture, backend);
  put_byte (fixture.active[1]);

  run_child (&fixture, child_works_beside_parent);

  assert_ready (fixture.selector, SEL_WAIT_FOREVER, fixture.active[0], SEL_EVENT_READ, -1);
  drain (fixture.active[0]);
  assert_undisturbed (&fixture);
  fork_fixture_close (&fixture);
}

/* A selector that the parent has never used has no state that a child could affect. */

static void
child_opens (ForkFixture *fixture)
{
  watch (fixture->selector, fixture->active[0], SEL_EVENT_READ);
  put_byte (fixture->active[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->active[0], SEL_EVENT_READ, -1);
  drain (fixture->active[0]);
  child_finalizes (fixture);
}

static void
test_not_opened (BackendFixture *backend)
{
  ForkFixture fixture = { .backend = backend };

  fixture.selector = g_object_new (backend->backend->get_type (), NULL);
  open_pipe (fixture.idle);
  open_pipe (fixture.active);

  run_child (&fixture, child_opens);
  child_opens (&fixture);

  close_pair (fixture.idle);
  close_pair (fixture.active);
}

/* A pending wakeup () of the parent does not affect the child. */

static void
child_reinits_and_is_quiet (ForkFixture *fixture)
{
  reinit (fixture->selector);
  assert_ready (fixture->selector, 0, -1);
  assert_quiet (fixture->selector, 0.002);
}

static void
test_pending_wakeup (BackendFixture *backend)
{
  ForkFixture fixture = { 0 };

  fork_fixture_open (&fixture, backend);
  sel_base_selector_wakeup (fixture.selector);

  run_child (&fixture, child_reinits_and_is_quiet);

  assert_ready (fixture.selector, SEL_WAIT_FOREVER, -1);
  fork_fixture_close (&fixture);
}

/* The main loop of the parent */

typedef struct
{
  ForkFixture   fixture;
  GMainContext *context;
  guint         n_calls;
} Loop;

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  Loop *loop = user_data;

  g_assert_true (selector == loop->fixture.selector);
  g_assert_cmpuint (events, ==, SEL_EVENT_READ);
  drain (sel_selector_key_get_fd (key));
  loop->n_calls++;

  return G_SOURCE_CONTINUE;
}

static void
loop_assert_receives (Loop *loop)
{
  guint n_calls = loop->n_calls;

  put_byte (loop->fixture.active[1]);
  while (loop->n_calls == n_calls)
    g_main_context_iteration (loop->context, TRUE);

  while (g_main_context_iteration (loop->context, FALSE))
    ;
  g_assert_cmpuint (loop->n_calls, ==, n_calls + 1);
}

/* The parent's source in the child: it dispatches nothing and does not spin, until the child calls reinit (). */
static void
child_reinits_in_loop (ForkFixture *fixture)
{
  Loop *loop = (Loop *) fixture;
  guint n_calls = loop->n_calls;
  guint n_turns = 0;

  put_byte (fixture->active[1]);
  while (g_main_context_iteration (loop->context, FALSE))
    g_assert_cmpuint (++n_turns, <, 20);
  g_assert_cmpuint (loop->n_calls, ==, n_calls);

  reinit (fixture->selector);
  while (loop->n_calls == n_calls)
    g_main_context_iteration (loop->context, TRUE);
  loop_assert_receives (loop);
}

/* The child's use of the selector, and of its copy of the parent's main loop, must not disarm the parent's source. */
static void
test_source (BackendFixture *backend)
{
  static const ForkFunc children[] = { child_closes, child_unregisters, child_reinits_in_loop };
  Loop loop = { .context = g_main_context_new () };

  fork_fixture_open (&loop.fixture, backend);
  g_assert_cmpuint (sel_base_selector_attach (backend->selector, loop.context,
                                              G_PRIORITY_DEFAULT, on_ready, &loop, NULL), >, 0);
  loop_assert_receives (&loop);

  for (gsize i = 0; i < G_N_ELEMENTS (children); i++)
    {
      run_child (&loop.fixture, children[i]);
      loop_assert_receives (&loop);
    }

  fork_fixture_close (&loop.fixture);
  sel_base_selector_close (backend->selector);
  g_main_context_unref (loop.context);
}

/* The first call of a child is wakeup (). The child shares the wake-up descriptor with its parent, and must not make it
 * readable: that would wake the parent's main loop. */

/* The number of ready descriptors among those that the context polls. */
static int
count_ready (GMainContext *context)
{
  GPollFD fds[16];
  int priority = G_MAXINT;
  int timeout;
  int n_fds, n_ready;

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n_fds = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (n_fds, >, 0);
  g_assert_cmpint (n_fds, <=, G_N_ELEMENTS (fds));
  n_ready = g_poll (fds, (guint) n_fds, 0);
  g_main_context_check (context, priority, fds, n_fds);
  g_main_context_dispatch (context);
  g_main_context_release (context);

  return n_ready;
}

static void
child_looks_up_and_wakes (ForkFixture *fixture)
{
  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (fixture->selector)), ==, 2);
  child_wakes (fixture);
}

static void
test_wakeup_first (BackendFixture *backend)
{
  Loop loop = { .context = g_main_context_new () };

  fork_fixture_open (&loop.fixture, backend);
  g_assert_cmpuint (sel_base_selector_attach (backend->selector, loop.context, G_PRIORITY_DEFAULT, on_ready, &loop,
                                              NULL), >, 0);
  while (g_main_context_iteration (loop.context, FALSE))
    ;
  g_assert_cmpint (count_ready (loop.context), ==, 0);

  run_child (&loop.fixture, child_wakes);
  g_assert_cmpint (count_ready (loop.context), ==, 0);
  run_child (&loop.fixture, child_looks_up_and_wakes);
  g_assert_cmpint (count_ready (loop.context), ==, 0);
  loop_assert_receives (&loop);

  fork_fixture_close (&loop.fixture);
  sel_base_selector_close (backend->selector);
  g_main_context_unref (loop.context);
}

/* A callback forks while another thread runs a callback of the same selector. In the child, only the thread of the fork
 * exists, so only its callback is still running. */

enum
{
  MINE,
  THEIRS,
  N_RUNS
};

typedef struct _Inside Inside;

typedef struct
{
  Inside        *inside;
  GMainContext  *context;
  int            pair[2];
  int            has_entered; /* atomic */
  int            n_notified;  /* atomic */
} Run;

struct _Inside
{
  ForkFixture    fixture;
  gboolean       mine_is_first;
  Run            runs[N_RUNS];
  GThread       *thread;      /* runs the loop of the other callback */
  int            may_return;  /* atomic: lets the other callback return */
  gboolean       has_forked;
};

static void
on_run_notify (gpointer user_data)
{
  g_atomic_int_inc (&((Run *) user_data)->n_notified);
}

static gboolean
on_run_ready (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data);

static void
run_until_entered (Run *run)
{
  while (!g_atomic_int_get (&run->has_entered))
    g_main_context_iteration (run->context, TRUE);
}

static gpointer
run_in_thread (gpointer user_data)
{
  run_until_entered (user_data);

  return NULL;
}

static void
enter_other_callback (Inside *inside)
{
  put_byte (inside->runs[THEIRS].pair[1]);
  inside->thread = g_thread_new ("other", run_in_thread, &inside->runs[THEIRS]);
  while (!g_atomic_int_get (&inside->runs[THEIRS].has_entered))
    g_thread_yield ();
}

/* Runs inside the callback. A limit on processor time ends the child if it loops without end. */
static void
child_goes_on (ForkFixture *fixture)
{
  Inside *inside = (Inside *) fixture;
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_CPU, &limit));
  limit.rlim_cur = MIN (limit.rlim_max, 20);
  g_assert_no_errno (setrlimit (RLIMIT_CPU, &limit));

  /* The callback of the other thread is not running here, so its data is freed at once. */
  unwatch (fixture->selector, inside->runs[THEIRS].pair[0]);
  g_assert_cmpint (inside->runs[THEIRS].n_notified, ==, 1);

  /* The data of this callback is freed after the callback returns. */
  unwatch (fixture->selector, inside->runs[MINE].pair[0]);
  g_assert_cmpint (inside->runs[MINE].n_notified, ==, 0);

  /* The memory of the other thread is lost. exec () hides this from leak detectors. */
  execlp ("sh", "sh", "-c", "exit " G_STRINGIFY (CHILD_IS_DONE), NULL);
  g_assert_not_reached ();
}

static gboolean
on_run_ready (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  Run *run = user_data;
  Inside *inside = run->inside;

  drain (run->pair[0]);
  g_atomic_int_set (&run->has_entered, TRUE);
  if (run == &inside->runs[THEIRS])
    {
      while (!g_atomic_int_get (&inside->may_return))
        g_thread_yield ();
      return G_SOURCE_CONTINUE;
    }

  if (inside->mine_is_first)
    enter_other_callback (inside);
  run_child (&inside->fixture, child_goes_on);
  inside->has_forked = TRUE;

  return G_SOURCE_CONTINUE;
}

static void
test_inside_callbacks (BackendFixture *backend)
{
  for (guint mine_is_first = 0; mine_is_first < 2; mine_is_first++)
    {
      Inside inside = { .mine_is_first = mine_is_first };
      g_autoptr (GError) error = NULL;

      fixture_renew_selector (backend);
      inside.fixture = (ForkFixture) { .backend = backend, .selector = backend->selector };
      for (guint i = 0; i < N_RUNS; i++)
        {
          Run *run = &inside.runs[i];

          run->inside = &inside;
          run->context = g_main_context_new ();
          open_pipe (run->pair);
          g_assert_true (sel_base_selector_register_callback (backend->selector, run->pair[0], SEL_EVENT_READ,
                                                              on_run_ready, run, on_run_notify, &error));
          g_assert_no_error (error);
          g_assert_cmpuint (sel_base_selector_attach (backend->selector, run->context, G_PRIORITY_DEFAULT, NULL, NULL,
                                                      NULL), >, 0);
        }

      if (!mine_is_first)
        enter_other_callback (&inside);
      put_byte (inside.runs[MINE].pair[1]);
      run_until_entered (&inside.runs[MINE]);
      g_assert_true (inside.has_forked);
      g_atomic_int_set (&inside.may_return, TRUE);
      g_thread_join (inside.thread);

      /* The child has changed nothing in the parent. */
      for (guint i = 0; i < N_RUNS; i++)
        {
          g_assert_cmpint (inside.runs[i].n_notified, ==, 0);
          unwatch (backend->selector, inside.runs[i].pair[0]);
          g_assert_cmpint (inside.runs[i].n_notified, ==, 1);
        }
      sel_base_selector_close (backend->selector);
      for (guint i = 0; i < N_RUNS; i++)
        {
          g_main_context_unref (inside.runs[i].context);
          close_pair (inside.runs[i].pair);
        }
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  backend_add ("fork/harmless", test_harmless);
  backend_add ("fork/reinit", test_reinit);
  backend_add ("fork/grandchild", test_grandchild);
  backend_add ("fork/both-receive", test_both_receive);
  backend_add ("fork/not-opened", test_not_opened);
  backend_add ("fork/pending-wakeup", test_pending_wakeup);
  backend_add_both_modes ("fork/source", test_source);
  backend_add_both_modes ("fork/wakeup-first", test_wakeup_first);
  backend_add_both_modes ("fork/inside-callbacks", test_inside_callbacks);

  return g_test_run ();
}
