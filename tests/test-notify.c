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
  g_assert_null (fixture->core.notify.watchers);
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

  g_assert_cmpint (sel_wakeup_drain (fixture->core.notify.wakeup), ==, readable);
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
  SelWakeup *wakeup = fixture->core.notify.wakeup;

  g_atomic_int_inc (&wakeup->in_use);
  sel_fork_begin_child ();
  sel_notify_forked (&fixture->core);
  sel_notify_close_wakeup (&fixture->core);
  g_assert_true (sel_notify_open_wakeup (&fixture->core, NULL));
  g_assert_cmpint (wakeup->in_use, ==, 0);
  sel_notify_wake (&fixture->core);
  g_assert_true (sel_notify_drain_wakeup (&fixture->core));
}

/* The child shares the descriptor with the parent, and a handler of a cancellable knows nothing else. */
static void
test_forked_wakes_no_parent (Fixture       *fixture,
                             gconstpointer  data)
{
  SelWakeup *wakeup = fixture->core.notify.wakeup;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  gulong id = sel_notify_connect_cancellable (&fixture->core, cancellable);

  sel_fork_begin_child ();
  g_cancellable_cancel (cancellable);
  sel_notify_wake (&fixture->core);
  g_assert_false (is_readable (wakeup->read_fd));
  g_assert_cmpint (wakeup->in_use, ==, 0);
  g_cancellable_disconnect (cancellable, id);
}

/* Programs that poll the descriptor of the mechanism see that a wait would end at once. */
static void
test_drain (Fixture       *fixture,
            gconstpointer  data)
{
  SelCore *core = &fixture->core;

  g_assert_false (sel_notify_drain_wakeup (core));
  sel_notify_wake (core);
  sel_state_set (core, SEL_STATE_ALWAYS_READY);
  g_assert_false (sel_notify_drain_wakeup (core));
  g_assert_true (is_readable (fixture->read_fd));
  sel_state_unset (core, SEL_STATE_ALWAYS_READY);
  g_assert_true (sel_notify_drain_wakeup (core));
  g_assert_false (is_readable (fixture->read_fd));
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

/* --- Watchers --- */

/* A pointer that is no thread: the watcher belongs to another thread. */
static int other_thread;

/* Adds a watcher with an open bell. It belongs to another thread, so that its bell is rung. */
static void
add_watcher (Fixture    *fixture,
             SelWatcher *watcher,
             gboolean    mirrored)
{
  *watcher = (SelWatcher) { .mirrored = mirrored };
  g_assert_true (sel_notify_add_watcher (&fixture->core, watcher));
  g_assert_true (sel_wakeup_open (watcher->bell, NULL));
  g_assert_true (sel_watcher_begin_sync (watcher, FALSE));
  watcher->changed_all = FALSE;
  watcher->thread = &other_thread;
}

static void
remove_watcher (Fixture    *fixture,
                SelWatcher *watcher)
{
  sel_notify_remove_watcher (&fixture->core, watcher);
  sel_watcher_clear (watcher);
  g_assert_null (watcher->bell);
  g_assert_null (watcher->changed_fds);
  g_assert_null (watcher->garbage);
}

/* Checks the flags and the bell, and resets them. */
static void
assert_watcher (SelWatcher *watcher,
                guint       flags,
                gboolean    rung)
{
  g_assert_cmphex (watcher->flags, ==, flags);
  g_assert_cmpint (watcher->is_rung, ==, rung);
  g_assert_cmpint (is_readable (watcher->bell->read_fd), ==, rung);
  sel_wakeup_drain (watcher->bell);
  watcher->is_rung = FALSE;
  watcher->flags = 0;
}

static void
test_add_watcher (Fixture       *fixture,
                  gconstpointer  data)
{
  SelCore *core = &fixture->core;
  SelWatcher watchers[2] = { { 0 } };

  g_assert_false (sel_notify_has_watchers (core));
  sel_notify_remove_watcher (core, &watchers[0]);
  g_assert_true (sel_notify_add_watcher (core, &watchers[0]));
  g_assert_true (sel_notify_has_watchers (core));
  g_assert_cmphex (watchers[0].flags, ==, SEL_WATCHER_SYNC);
  g_assert_true (watchers[0].changed_all);
  g_assert_true (sel_watcher_is_own (&watchers[0]));
  g_assert_cmpint (watchers[0].bell->read_fd, ==, -1);

  /* The bell has to be opened. */
  watchers[0].thread = &other_thread;
  g_assert_false (sel_watcher_begin_sync (&watchers[0], FALSE));
  g_assert_true (sel_watcher_is_own (&watchers[0]));
  g_assert_cmphex (watchers[0].flags, ==, 0);

  /* Who rings a bell that is not open has to ring it again when it is open, and may have been missed. */
  watchers[0].thread = &other_thread;
  watchers[0].was_rung = FALSE;
  sel_notify_changed (core, -1);
  g_assert_true (watchers[0].is_rung);
  g_assert_false (sel_watcher_begin_sync (&watchers[0], FALSE));
  g_assert_false (watchers[0].is_rung);
  g_assert_true (watchers[0].was_rung);

  /* 0 is the number of an open bell. Nothing is drained here. */
  watchers[0].bell->read_fd = 0;
  g_assert_true (sel_watcher_begin_sync (&watchers[0], FALSE));
  watchers[0].bell->read_fd = -1;

  sel_state_set (core, SEL_STATE_CLOSED);
  g_assert_false (sel_notify_add_watcher (core, &watchers[1]));
  g_assert_null (watchers[1].bell);
  sel_watcher_clear (&watchers[1]);
  remove_watcher (fixture, &watchers[0]);
  g_assert_false (sel_notify_has_watchers (core));
}

/* Adding takes the lock: the first call in a child process notices the fork by that. */
static void
test_add_watcher_locks (Fixture       *fixture,
                        gconstpointer  data)
{
  SelWatcher watcher = { 0 };

  sel_fork_begin_child ();
  g_assert_true (sel_notify_add_watcher (&fixture->core, &watcher));
  g_assert_false (sel_state_is_new_process (&fixture->core));
  g_assert_false (is_locked (&fixture->core));
  remove_watcher (fixture, &watcher);
}

/* If a watcher is removed, the others have to end the pauses that it would have ended. */
static void
test_remove_watcher (Fixture       *fixture,
                     gconstpointer  data)
{
  SelCore *core = &fixture->core;
  SelWatcher watchers[2];

  add_watcher (fixture, &watchers[0], FALSE);
  add_watcher (fixture, &watchers[1], FALSE);
  remove_watcher (fixture, &watchers[1]);
  assert_watcher (&watchers[0], 0, FALSE);

  add_watcher (fixture, &watchers[1], FALSE);
  sel_state_set (core, SEL_STATE_PAUSED);
  remove_watcher (fixture, &watchers[1]);
  assert_watcher (&watchers[0], SEL_WATCHER_SYNC, TRUE);

  /* It is not in the list. */
  sel_notify_remove_watcher (core, &watchers[1]);
  assert_watcher (&watchers[0], 0, FALSE);
  remove_watcher (fixture, &watchers[0]);
}

/* A change of one descriptor rings the bell only if the context has to poll something else, or if no kernel waits. */
static void
test_watcher_change (Fixture       *fixture,
                     gconstpointer  data)
{
  static const struct
  {
    guint word;
    gboolean mirrored;
    int fd;
    gboolean rings;
    gboolean all;
    guint n_fds;
  } cases[] = {
    { SEL_STATE_OPEN, FALSE, 3, FALSE, FALSE, 0 },
    { SEL_STATE_OPEN, FALSE, 0, FALSE, FALSE, 0 },
    { SEL_STATE_OPEN, FALSE, -1, TRUE, TRUE, 0 },
    { SEL_STATE_OPEN, TRUE, 3, TRUE, FALSE, 1 },
    { SEL_STATE_OPEN, TRUE, 0, TRUE, FALSE, 1 },
    { SEL_STATE_OPEN, TRUE, -1, TRUE, TRUE, 0 },
    { SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY, FALSE, 3, TRUE, FALSE, 0 },
    { SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY | SEL_STATE_FORKED, FALSE, 3, FALSE, FALSE, 0 },
    { SEL_STATE_OPEN | SEL_STATE_ALWAYS_READY, TRUE, 3, TRUE, FALSE, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      SelWatcher watcher;

      add_watcher (fixture, &watcher, cases[i].mirrored);
      g_atomic_int_set (&fixture->core.state.word, cases[i].word);
      sel_notify_changed (&fixture->core, cases[i].fd);
      assert_watcher (&watcher, SEL_WATCHER_SYNC, cases[i].rings);
      g_assert_cmpint (watcher.changed_all, ==, cases[i].all);
      g_assert_cmpuint (watcher.changed_fds->len, ==, cases[i].n_fds);
      if (cases[i].n_fds > 0)
        g_assert_cmpint (g_array_index (watcher.changed_fds, int, 0), ==, cases[i].fd);
      remove_watcher (fixture, &watcher);
    }
}

/* The list of changes does not grow without end while the context is not run. */
static void
test_watcher_many (Fixture       *fixture,
                   gconstpointer  data)
{
  SelWatcher watcher;

  add_watcher (fixture, &watcher, TRUE);
  for (int fd = 0; fd < 4096; fd++)
    sel_notify_watchers (&fixture->core, fd);
  g_assert_false (watcher.changed_all);
  g_assert_cmpuint (watcher.changed_fds->len, ==, 4096);
  for (int fd = 0; fd < 10; fd++)
    sel_notify_watchers (&fixture->core, fd);
  g_assert_true (watcher.changed_all);
  g_assert_cmpuint (watcher.changed_fds->len, ==, 4096);

  g_array_set_size (watcher.changed_fds, 0);
  sel_notify_watchers (&fixture->core, 3);
  g_assert_cmpuint (watcher.changed_fds->len, ==, 0);
  assert_watcher (&watcher, SEL_WATCHER_SYNC, TRUE);
  remove_watcher (fixture, &watcher);
}

/* The thread of the watcher sees the flags itself, unless it is about to poll. A bell is rung once. */
static void
test_watcher_own (Fixture       *fixture,
                  gconstpointer  data)
{
  SelWatcher watcher;

  add_watcher (fixture, &watcher, TRUE);
  watcher.thread = sel_thread_self ();
  sel_notify_changed (&fixture->core, 3);
  assert_watcher (&watcher, SEL_WATCHER_SYNC, FALSE);

  watcher.is_prepared = TRUE;
  sel_notify_changed (&fixture->core, 3);
  g_assert_true (is_readable (watcher.bell->read_fd));
  sel_wakeup_drain (watcher.bell);
  sel_notify_changed (&fixture->core, 3);
  g_assert_false (is_readable (watcher.bell->read_fd));

  /* The beginning of a synchronization drains a bell that was rung, or that the context has found readable. */
  sel_wakeup_signal (watcher.bell);
  watcher.was_rung = FALSE;
  g_assert_true (sel_watcher_begin_sync (&watcher, FALSE));
  assert_watcher (&watcher, 0, FALSE);
  g_assert_true (watcher.was_rung);
  sel_wakeup_signal (watcher.bell);
  watcher.was_rung = FALSE;
  g_assert_true (sel_watcher_begin_sync (&watcher, TRUE));
  assert_watcher (&watcher, 0, FALSE);
  g_assert_true (watcher.was_rung);
  watcher.was_rung = FALSE;
  g_assert_true (sel_watcher_begin_sync (&watcher, TRUE));
  g_assert_false (watcher.was_rung);
  sel_wakeup_signal (watcher.bell);
  g_assert_true (sel_watcher_begin_sync (&watcher, FALSE));
  g_assert_true (is_readable (watcher.bell->read_fd));
  remove_watcher (fixture, &watcher);
}

/* In a child process the bell is that of the parent. */
static void
test_watcher_forked (Fixture       *fixture,
                     gconstpointer  data)
{
  SelWatcher watcher;

  add_watcher (fixture, &watcher, TRUE);
  sel_wakeup_signal (watcher.bell);
  watcher.is_rung = TRUE;
  sel_notify_forked (&fixture->core);
  g_assert_true (watcher.is_inherited);
  g_assert_false (watcher.is_rung);
  g_assert_cmphex (watcher.flags, ==, SEL_WATCHER_SYNC);

  g_assert_false (sel_watcher_begin_sync (&watcher, TRUE));
  g_assert_true (is_readable (watcher.bell->read_fd));
  sel_wakeup_drain (watcher.bell);
  watcher.thread = &other_thread;
  sel_notify_changed (&fixture->core, 3);
  assert_watcher (&watcher, SEL_WATCHER_SYNC, FALSE);
  remove_watcher (fixture, &watcher);
}

static void
count_call (gpointer data)
{
  (*(int *) data)++;
}

/* Callbacks are freed by the thread that calls them. */
static void
test_garbage (Fixture       *fixture,
              gconstpointer  data)
{
  SelCore *core = &fixture->core;
  int n_freed = 0;
  SelCallback *callbacks[3];
  GPtrArray *garbage;
  SelWatcher watcher;

  for (guint i = 0; i < G_N_ELEMENTS (callbacks); i++)
    callbacks[i] = sel_callback_new (NULL, &n_freed, count_call);
  g_assert_false (sel_notify_give_garbage (core, callbacks[0]));

  add_watcher (fixture, &watcher, FALSE);
  watcher.thread = sel_thread_self ();
  g_assert_false (sel_notify_give_garbage (core, callbacks[0]));
  assert_watcher (&watcher, 0, FALSE);

  watcher.thread = &other_thread;
  g_assert_true (sel_notify_give_garbage (core, callbacks[0]));
  g_assert_true (sel_notify_give_garbage (core, callbacks[1]));
  g_assert_cmphex (watcher.flags, ==, SEL_WATCHER_GARBAGE);
  g_assert_true (is_readable (watcher.bell->read_fd));
  garbage = sel_watcher_steal_garbage (&watcher);
  assert_watcher (&watcher, 0, TRUE);
  g_assert_null (sel_watcher_steal_garbage (&watcher));
  g_assert_cmpuint (garbage->len, ==, 2);
  g_assert_cmpint (n_freed, ==, 0);
  g_ptr_array_unref (garbage);
  g_assert_cmpint (n_freed, ==, 2);

  g_assert_true (sel_notify_give_garbage (core, callbacks[2]));
  remove_watcher (fixture, &watcher);
  g_assert_cmpint (n_freed, ==, 3);
}

static gboolean
return_true (SelWatcher *watcher)
{
  return TRUE;
}

/* A destroyed source frees nothing while the program has a reference to it. */
static void
test_garbage_of_destroyed (Fixture       *fixture,
                           gconstpointer  data)
{
  SelCore *core = &fixture->core;
  int n_freed = 0;
  SelCallback *callbacks[5];
  SelWatcher watchers[3];
  GPtrArray *garbage;

  for (guint i = 0; i < G_N_ELEMENTS (callbacks); i++)
    callbacks[i] = sel_callback_new (NULL, &n_freed, count_call);
  g_assert_null (sel_notify_take_garbage (core));
  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    add_watcher (fixture, &watchers[i], FALSE);

  g_assert_true (sel_notify_give_garbage (core, callbacks[0]));
  g_assert_null (sel_notify_take_garbage (core));
  watchers[0].is_destroyed = return_true;
  g_assert_true (sel_notify_give_garbage (core, callbacks[1]));
  g_assert_cmpuint (watchers[0].garbage->len, ==, 1);
  g_assert_cmpuint (watchers[1].garbage->len, ==, 1);
  g_assert_true (sel_notify_give_garbage (core, callbacks[2]));
  watchers[1].is_destroyed = return_true;
  g_assert_true (sel_notify_give_garbage (core, callbacks[3]));

  garbage = sel_notify_take_garbage (core);
  g_assert_cmpuint (garbage->len, ==, 3);
  g_ptr_array_unref (garbage);
  g_assert_cmpint (n_freed, ==, 3);
  g_assert_null (sel_notify_take_garbage (core));

  watchers[2].is_destroyed = return_true;
  g_assert_false (sel_notify_give_garbage (core, callbacks[4]));
  sel_callback_free (callbacks[4]);
  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    remove_watcher (fixture, &watchers[i]);
  g_assert_cmpint (n_freed, ==, 5);
}

/* The watchers of the closing thread are given to it. The threads of the others are told. */
static void
test_close_watchers (Fixture       *fixture,
                     gconstpointer  data)
{
  SelCore *core = &fixture->core;
  SelWatcher watchers[3];
  GPtrArray *own;

  g_assert_null (sel_notify_close_watchers (core));
  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    add_watcher (fixture, &watchers[i], FALSE);
  watchers[0].thread = watchers[2].thread = sel_thread_self ();

  own = sel_notify_close_watchers (core);
  g_assert_cmpuint (own->len, ==, 2);
  g_assert_true (g_ptr_array_find (own, &watchers[0], NULL));
  g_assert_true (g_ptr_array_find (own, &watchers[2], NULL));
  g_ptr_array_unref (own);
  assert_watcher (&watchers[0], SEL_WATCHER_CLOSED, FALSE);
  assert_watcher (&watchers[1], SEL_WATCHER_CLOSED, TRUE);
  assert_watcher (&watchers[2], SEL_WATCHER_CLOSED, FALSE);
  g_assert_true (sel_notify_has_watchers (core));
  sel_notify_watchers (core, -1);
  assert_watcher (&watchers[0], 0, FALSE);
  assert_watcher (&watchers[1], SEL_WATCHER_SYNC, TRUE);

  watchers[1].thread = sel_thread_self ();
  own = sel_notify_close_watchers (core);
  g_assert_cmpuint (own->len, ==, 1);
  g_ptr_array_unref (own);
  g_assert_false (sel_notify_has_watchers (core));
  for (guint i = 0; i < G_N_ELEMENTS (watchers); i++)
    sel_watcher_clear (&watchers[i]);
}

static void
test_clear (Fixture       *fixture,
            gconstpointer  data)
{
  SelCore core = { 0 };

  sel_notify_init (&core);
  core.notify.watchers = g_ptr_array_new ();
  sel_notify_clear (&core);
  g_assert_null (core.notify.watchers);
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
  SelWatcher watcher;

  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++)
    {
      gboolean watched = i >= G_N_ELEMENTS (cases);

      if (i == G_N_ELEMENTS (cases))
        add_watcher (fixture, &watcher, TRUE);

      sel_state_lock (core);
      g_atomic_int_set (&core->state.word, cases[i % G_N_ELEMENTS (cases)].word);
      sel_notify_set_wait_sees_updates (core, cases[i % G_N_ELEMENTS (cases)].wait_sees_updates);
      sel_notify_changed (core, 3);
      g_assert_cmpint (take_wakeup (fixture), ==, cases[i % G_N_ELEMENTS (cases)].wakes);
      if (watched)
        assert_watcher (&watcher, SEL_WATCHER_SYNC, TRUE);
      sel_state_unlock (core);
    }
  remove_watcher (fixture, &watcher);
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
    { "/notify/add-watcher", test_add_watcher },
    { "/notify/add-watcher-locks", test_add_watcher_locks },
    { "/notify/cancellable", test_cancellable },
    { "/notify/cancellable-after-clear", test_cancellable_after_clear },
    { "/notify/changed", test_changed },
    { "/notify/clear", test_clear },
    { "/notify/close", test_close },
    { "/notify/close-in-use", test_close_in_use },
    { "/notify/close-watchers", test_close_watchers },
    { "/notify/drain", test_drain },
    { "/notify/forked", test_forked },
    { "/notify/forked-wakes-no-parent", test_forked_wakes_no_parent },
    { "/notify/garbage", test_garbage },
    { "/notify/garbage-of-destroyed", test_garbage_of_destroyed },
    { "/notify/number-zero", test_number_zero },
    { "/notify/open-fails", test_open_fails },
    { "/notify/remove-watcher", test_remove_watcher },
    { "/notify/wake-after-close", test_wake_after_close },
    { "/notify/wake-errno", test_wake_errno },
    { "/notify/wake-full", test_wake_full },
    { "/notify/wakeup", test_wakeup },
    { "/notify/watcher-change", test_watcher_change },
    { "/notify/watcher-forked", test_watcher_forked },
    { "/notify/watcher-many", test_watcher_many },
    { "/notify/watcher-own", test_watcher_own },
  };

  g_test_init (&argc, &argv, NULL);
  sel_state_set_funcs (&funcs);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);

  return g_test_run ();
}
