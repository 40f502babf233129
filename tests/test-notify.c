/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/sel-notify-private.h"
#include "sel-error.h"

/* The notify room with the state room below it. There is no selector around the core; the wake-up descriptor is a real
 * one. */

typedef struct
{
  SelCore core;
  int read_fd;
} Fixture;

static gboolean
is_locked (SelCore *core)
{
  if (!g_mutex_trylock (&core->state.lock))
    return TRUE;

  g_mutex_unlock (&core->state.lock);

  return FALSE;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static void
forked (SelCore *core)
{
  sel_notify_forked (core);
}

static const SelStateFuncs funcs = { .forked = forked };

static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  sel_state_init (&fixture->core);
  sel_notify_init (&fixture->core);
  g_assert_cmpint (sel_notify_get_fd (&fixture->core), ==, -1);
  g_assert_true (sel_notify_open_wakeup (&fixture->core, &error));
  g_assert_no_error (error);
  fixture->read_fd = sel_notify_get_fd (&fixture->core);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  if (fixture->core.notify.wakeup != NULL)
    {
      g_assert_cmpint (fixture->core.notify.wakeup->in_use, ==, 0);
      sel_notify_close_wakeup (&fixture->core);
      sel_notify_clear (&fixture->core);
    }
  g_assert_null (fixture->core.notify.observers);
  g_assert_false (is_locked (&fixture->core));
  g_assert_false (is_open (fixture->read_fd));
  sel_state_clear (&fixture->core);
}

static gboolean
is_readable (int fd)
{
  GPollFD poll_fd = { .fd = fd, .events = G_IO_IN };

  return g_poll (&poll_fd, 1, 0) > 0 && (poll_fd.revents & G_IO_IN) != 0;
}

/* Returns: TRUE if the kernel's wait would have been ended */
static gboolean
take_wakeup (Fixture *fixture)
{
  gboolean readable = is_readable (fixture->read_fd);

  g_assert_cmpint (sel_notify_drain_wakeup (&fixture->core), ==, readable);
  g_assert_false (is_readable (fixture->read_fd));

  return readable;
}

/* --- The wake-up descriptor --- */

static void
test_wakeup (Fixture       *fixture,
             gconstpointer  data)
{
  g_assert_cmpint (fixture->read_fd, >=, 0);
  g_assert_true (is_open (fixture->read_fd));
  g_assert_cmpint (fcntl (fixture->read_fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (fixture->read_fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_cmpint (fcntl (fixture->core.notify.wakeup->write_fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_false (take_wakeup (fixture));

  sel_notify_wake (&fixture->core);
  g_assert_true (take_wakeup (fixture));
  g_assert_false (take_wakeup (fixture));

  /* More wake-ups than one are drained at once, also more than one read would take from a pipe. */
  for (guint i = 0; i < 200; i++)
    sel_notify_wake (&fixture->core);
  g_assert_true (take_wakeup (fixture));
  g_assert_false (take_wakeup (fixture));
}

/* Each descriptor is closed once: a second time could hit one that another thread has just opened. */
static void
test_close (Fixture       *fixture,
            gconstpointer  data)
{
  int write_fd = fixture->core.notify.wakeup->write_fd;
  g_autoptr(GError) error = NULL;

  errno = 0;
  sel_notify_close_wakeup (&fixture->core);
  g_assert_cmpint (errno, ==, 0);
  g_assert_false (is_open (fixture->read_fd));
  g_assert_false (is_open (write_fd));
  g_assert_cmpint (sel_notify_get_fd (&fixture->core), ==, -1);
  g_assert_cmpint (fixture->core.notify.wakeup->write_fd, ==, -1);

  errno = 0;
  sel_notify_close_wakeup (&fixture->core);
  g_assert_cmpint (errno, ==, 0);

  /* After a second opening it works again. */
  g_assert_true (sel_notify_open_wakeup (&fixture->core, &error));
  g_assert_no_error (error);
  fixture->read_fd = sel_notify_get_fd (&fixture->core);
  g_assert_false (take_wakeup (fixture));
  sel_notify_wake (&fixture->core);
  g_assert_true (take_wakeup (fixture));
}

static void
test_wake_after_close (Fixture       *fixture,
                       gconstpointer  data)
{
  sel_notify_close_wakeup (&fixture->core);
  errno = EDOM;
  sel_notify_wake (&fixture->core);
  g_assert_cmpint (errno, ==, EDOM);
  g_assert_cmpint (fixture->core.notify.wakeup->in_use, ==, 0);
  g_assert_false (sel_notify_drain_wakeup (&fixture->core));
}

/* A wake-up in a signal handler must not change errno, and does not rely on its old value. */
static void
test_wake_errno (Fixture       *fixture,
                 gconstpointer  data)
{
  errno = EINTR;
  sel_notify_wake (&fixture->core);
  g_assert_cmpint (errno, ==, EINTR);
  g_assert_true (take_wakeup (fixture));
}

/* errno stays also if the kernel refuses because the descriptor is full. */
static void
test_wake_full (Fixture       *fixture,
                gconstpointer  data)
{
  guint64 most = G_MAXUINT64 - 1;

  g_assert_cmpint (write (fixture->core.notify.wakeup->write_fd, &most, sizeof most), ==, sizeof most);
  errno = EDOM;
  sel_notify_wake (&fixture->core);
  g_assert_cmpint (errno, ==, EDOM);
  g_assert_cmpint (fixture->core.notify.wakeup->in_use, ==, 0);
  g_assert_true (take_wakeup (fixture));
}

static void
test_open_fails (Fixture       *fixture,
                 gconstpointer  data)
{
  struct rlimit saved;
  struct rlimit none;
  g_autoptr(GError) error = NULL;
  gboolean refused;
  int probe;

  sel_notify_close_wakeup (&fixture->core);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  none = saved;
  none.rlim_cur = 0;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));
  probe = dup (STDOUT_FILENO);
  refused = !sel_notify_open_wakeup (&fixture->core, &error);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));

  if (probe >= 0)
    {
      close (probe);
      g_test_skip ("the limit has no effect");
      return;
    }

  g_assert_true (refused);
  g_assert_error (error, SEL_OS_ERROR, EMFILE);
  g_assert_true (g_str_has_prefix (error->message, "Waiting is not possible"));
  g_assert_cmpint (sel_notify_get_fd (&fixture->core), ==, -1);
  g_assert_cmpint (fixture->core.notify.wakeup->write_fd, ==, -1);
}

/* 0 is a number like others: a daemon may have closed its standard input. */
static void
test_number_zero (Fixture       *fixture,
                  gconstpointer  data)
{
  int saved = fcntl (0, F_DUPFD_CLOEXEC, 3);
  g_autoptr(GError) error = NULL;

  sel_notify_close_wakeup (&fixture->core);
  close (0);
  g_assert_true (sel_notify_open_wakeup (&fixture->core, &error));
  g_assert_no_error (error);
  fixture->read_fd = sel_notify_get_fd (&fixture->core);
  g_assert_cmpint (fixture->read_fd, ==, 0);
  sel_notify_wake (&fixture->core);
  g_assert_true (take_wakeup (fixture));
  sel_notify_close_wakeup (&fixture->core);
  g_assert_false (is_open (0));

  if (saved >= 0)
    {
      dup2 (saved, 0);
      close (saved);
      fixture->read_fd = -1;
    }
}

typedef struct
{
  Fixture *fixture;
  int closed; /* atomic */
} Closing;

static gpointer
close_in_thread (gpointer user_data)
{
  Closing *closing = user_data;

  sel_notify_close_wakeup (&closing->fixture->core);
  g_atomic_int_set (&closing->closed, TRUE);

  return NULL;
}

/* Closing waits for a thread that is about to write. */
static void
test_close_in_use (Fixture       *fixture,
                   gconstpointer  data)
{
  SelWakeup *wakeup = fixture->core.notify.wakeup;
  Closing closing = { fixture, FALSE };
  GThread *thread;

  g_atomic_int_inc (&wakeup->in_use);
  thread = g_thread_new ("close", close_in_thread, &closing);
  while (g_atomic_int_get (&wakeup->write_fd) >= 0)
    g_thread_yield ();
  for (guint i = 0; i < 1000; i++)
    {
      g_thread_yield ();
      g_assert_false (g_atomic_int_get (&closing.closed));
      g_assert_true (is_open (fixture->read_fd));
    }
  g_atomic_int_add (&wakeup->in_use, -1);
  g_thread_join (thread);
  g_assert_false (is_open (fixture->read_fd));
}

/* A thread that was about to write does not exist in a child process: closing does not wait for it. */
static void
test_forked (Fixture       *fixture,
             gconstpointer  data)
{
  g_atomic_int_inc (&fixture->core.notify.wakeup->in_use);
  sel_notify_forked (&fixture->core);
  g_assert_cmpint (fixture->core.notify.wakeup->in_use, ==, 0);
}

/* --- Cancellables --- */

static void
test_cancellable (Fixture       *fixture,
                  gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  gulong id = sel_notify_connect_cancellable (&fixture->core, cancellable);

  g_assert_cmpuint (id, !=, 0);
  g_assert_false (take_wakeup (fixture));
  g_cancellable_cancel (cancellable);
  g_assert_true (take_wakeup (fixture));
  g_cancellable_disconnect (cancellable, id);

  /* It is cancelled already. */
  g_assert_cmpuint (sel_notify_connect_cancellable (&fixture->core, cancellable), ==, 0);
  g_assert_true (take_wakeup (fixture));

  g_cancellable_reset (cancellable);
  id = sel_notify_connect_cancellable (&fixture->core, cancellable);
  g_cancellable_disconnect (cancellable, id);
  g_cancellable_cancel (cancellable);
  g_assert_false (take_wakeup (fixture));
}

static guint n_cleared;

static void
clear_wakeup (gpointer wakeup)
{
  n_cleared++;
}

/* The handler keeps the wake-up, also after the selector was finalized. */
static void
test_cancellable_after_clear (Fixture       *fixture,
                              gconstpointer  data)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  SelWakeup *wakeup = g_atomic_rc_box_acquire (fixture->core.notify.wakeup);
  gulong id = sel_notify_connect_cancellable (&fixture->core, cancellable);

  sel_notify_close_wakeup (&fixture->core);
  sel_notify_clear (&fixture->core);
  fixture->core.notify.wakeup = NULL;

  g_cancellable_cancel (cancellable);
  g_assert_cmpint (wakeup->in_use, ==, 0);
  g_assert_cmpint (wakeup->write_fd, ==, -1);
  g_cancellable_disconnect (cancellable, id);

  /* The last reference is that of the test. */
  g_atomic_rc_box_release_full (wakeup, clear_wakeup);
  g_assert_cmpuint (n_cleared, ==, 1);
}

/* --- Observers --- */

typedef struct
{
  SelObserver observer;
  SelCore *core;
  GString *log;
} TestObserver;

static void
observer_poll_set_changed (SelObserver *observer,
                           int          fd)
{
  TestObserver *self = (TestObserver *) observer;

  g_assert_true (is_locked (self->core));
  g_string_append_printf (self->log, "changed(%d) ", fd);
}

static void
observer_ref (SelObserver *observer)
{
  g_string_append (((TestObserver *) observer)->log, "ref ");
}

static void
observer_invoke (SelObserver    *observer,
                 GDestroyNotify  func,
                 gpointer        data)
{
  g_string_append (((TestObserver *) observer)->log, "invoke ");
  func (data);
}

static void
observer_closed (SelObserver *observer)
{
  g_string_append (((TestObserver *) observer)->log, "closed ");
}

/* The array of observers was freed. */
static void
note_freed (gpointer observer)
{
  g_string_append (((TestObserver *) observer)->log, "freed ");
}

static const SelObserverFuncs observer_funcs = {
  observer_poll_set_changed, observer_ref, observer_invoke, observer_closed,
};

static void
test_observer_init (TestObserver *observer,
                    Fixture      *fixture)
{
  observer->observer.funcs = &observer_funcs;
  observer->core = &fixture->core;
  observer->log = g_string_new (NULL);
}

static void
assert_log (TestObserver *observer,
            const char   *expected)
{
  g_assert_cmpstr (observer->log->str, ==, expected);
  g_string_truncate (observer->log, 0);
}

static void
count_call (gpointer data)
{
  (*(int *) data)++;
}

static void
test_observers (Fixture       *fixture,
                gconstpointer  data)
{
  SelCore *core = &fixture->core;
  GPtrArray *observers;
  TestObserver a;
  TestObserver b;
  int n_calls = 0;

  test_observer_init (&a, fixture);
  test_observer_init (&b, fixture);
  g_assert_null (sel_notify_ref_observer (core));
  sel_notify_remove_observer (core, &a.observer);
  g_assert_true (sel_notify_add_observer (core, &a.observer));
  g_assert_true (sel_notify_add_observer (core, &b.observer));

  sel_state_lock (core);
  sel_notify_changed (core, 7);
  sel_notify_observers (core, -1);
  assert_log (&a, "changed(7) changed(-1) ");
  assert_log (&b, "changed(7) changed(-1) ");
  g_assert_true (sel_notify_ref_observer (core) == &a.observer);
  assert_log (&a, "ref ");
  sel_state_unlock (core);

  sel_notify_free_callbacks (&a.observer, count_call, &n_calls);
  assert_log (&a, "invoke ");
  sel_notify_free_callbacks (NULL, count_call, &n_calls);
  g_assert_cmpint (n_calls, ==, 2);

  /* Another observer is told if there are pauses that the removed one would have ended. */
  sel_notify_remove_observer (core, &a.observer);
  assert_log (&b, "");
  g_assert_true (sel_notify_add_observer (core, &a.observer));
  sel_state_set (core, SEL_STATE_PAUSED);
  sel_notify_remove_observer (core, &b.observer);
  assert_log (&a, "changed(-1) ");
  assert_log (&b, "");

  sel_state_lock (core);
  observers = sel_notify_steal_observers (core);
  sel_notify_changed (core, 7);
  g_assert_null (sel_notify_steal_observers (core));
  g_assert_null (core->notify.observers);
  sel_state_unlock (core);
  assert_log (&a, "ref ");
  g_ptr_array_set_free_func (observers, note_freed);
  sel_notify_close_observers (observers);
  assert_log (&a, "closed freed ");
  sel_notify_close_observers (NULL);

  sel_state_set (core, SEL_STATE_CLOSED);
  g_assert_false (sel_notify_add_observer (core, &a.observer));
  sel_notify_observers (core, -1);
  assert_log (&a, "");
  assert_log (&b, "");
  g_string_free (a.log, TRUE);
  g_string_free (b.log, TRUE);
}

static void
test_observers_none_left (Fixture       *fixture,
                          gconstpointer  data)
{
  TestObserver observer;

  test_observer_init (&observer, fixture);
  g_assert_true (sel_notify_add_observer (&fixture->core, &observer.observer));
  sel_notify_remove_observer (&fixture->core, &observer.observer);
  g_assert_null (sel_notify_ref_observer (&fixture->core));
  assert_log (&observer, "");
  g_string_free (observer.log, TRUE);
}

/* Adding and removing takes the lock: the first call in a child process notices the fork by that. */
static void
test_observers_lock (Fixture       *fixture,
                     gconstpointer  data)
{
  SelCore *core = &fixture->core;
  TestObserver observer;

  test_observer_init (&observer, fixture);
  sel_state_count_fork ();
  g_assert_true (sel_notify_add_observer (core, &observer.observer));
  g_assert_false (sel_state_is_new_process (core));
  sel_state_count_fork ();
  sel_notify_remove_observer (core, &observer.observer);
  g_assert_false (sel_state_is_new_process (core));
  g_string_free (observer.log, TRUE);
}

/* --- Changes --- */

/* A waiting thread is woken unless the kernel's wait sees the change. It never sees a change of a descriptor that is
 * always ready. */
static void
test_changed (Fixture       *fixture,
              gconstpointer  data)
{
  static const struct
  {
    guint word;
    gboolean wait_sees_updates;
    gboolean wakes;
  } cases[] = {
    { SEL_STATE_OPEN, FALSE, FALSE },
    { SEL_STATE_OPEN, TRUE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY, FALSE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY, TRUE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_ASYNC_PENDING, FALSE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_WAITING, FALSE, TRUE },
    { SEL_STATE_OPEN | SEL_STATE_WAITING, TRUE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_WAITING | SEL_STATE_ALWAYS_READY, FALSE, TRUE },
    { SEL_STATE_OPEN | SEL_STATE_WAITING | SEL_STATE_ALWAYS_READY, TRUE, TRUE },
    { SEL_STATE_OPEN | SEL_STATE_POLLING, FALSE, TRUE },
    { SEL_STATE_OPEN | SEL_STATE_POLLING, TRUE, FALSE },
    { SEL_STATE_OPEN | SEL_STATE_POLLING | SEL_STATE_ALWAYS_READY, TRUE, TRUE },
  };
  SelCore *core = &fixture->core;
  TestObserver observer;

  test_observer_init (&observer, fixture);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++)
    {
      gboolean observed = i >= G_N_ELEMENTS (cases);

      if (i == G_N_ELEMENTS (cases))
        g_assert_true (sel_notify_add_observer (core, &observer.observer));

      sel_state_lock (core);
      g_atomic_int_set (&core->state.word, cases[i % G_N_ELEMENTS (cases)].word);
      sel_notify_set_wait_sees_updates (core, cases[i % G_N_ELEMENTS (cases)].wait_sees_updates);
      sel_notify_changed (core, 3);
      g_assert_cmpint (take_wakeup (fixture), ==, cases[i % G_N_ELEMENTS (cases)].wakes);
      assert_log (&observer, observed ? "changed(3) " : "");
      sel_state_unlock (core);
    }
  sel_notify_remove_observer (core, &observer.observer);
  g_string_free (observer.log, TRUE);
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
    { "/notify/cancellable", test_cancellable },
    { "/notify/cancellable-after-clear", test_cancellable_after_clear },
    { "/notify/changed", test_changed },
    { "/notify/close", test_close },
    { "/notify/close-in-use", test_close_in_use },
    { "/notify/forked", test_forked },
    { "/notify/number-zero", test_number_zero },
    { "/notify/observers", test_observers },
    { "/notify/observers-lock", test_observers_lock },
    { "/notify/observers-none-left", test_observers_none_left },
    { "/notify/open-fails", test_open_fails },
    { "/notify/wake-after-close", test_wake_after_close },
    { "/notify/wake-errno", test_wake_errno },
    { "/notify/wake-full", test_wake_full },
    { "/notify/wakeup", test_wakeup },
  };

  g_test_init (&argc, &argv, NULL);
  sel_state_set_funcs (&funcs);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);

  return g_test_run ();
}
