/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Behaviour of the kernels of the BSDs, macOS, Solaris 11 and illumos that Linux does not have. The other programs run
 * over the flavours of the simulators as well; here are the cases that need a setting of their own. */

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "simulators/sim-devpoll.h"
#include "simulators/sim-kqueue.h"
#include "simulators/sim-system.h"

#define BOTH (SEL_EVENT_READ | SEL_EVENT_WRITE)

/* A selector that another thread waits for. The thread ends when one descriptor is ready. */

static gpointer
wait_for_one (gpointer data)
{
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  ready = sel_base_selector_select (data, SEL_WAIT_FOREVER, NULL, &error);
  g_assert_no_error (error);

  return GUINT_TO_POINTER (ready->len);
}

/* Returns when the thread is in DP_POLL. */
static GThread *
start_wait (SelBaseSelector *selector)
{
  unsigned int n = sim_devpoll_n_polls ();
  GThread *thread = g_thread_new ("wait", wait_for_one, selector);

  while (sim_devpoll_n_polls () == n)
    g_thread_yield ();

  return thread;
}

static void
test_blocked_write (BackendFixture *fixture)
{
  int fds[2];
  int other[2];
  GThread *thread;

  sim_devpoll_set_flavour (SIM_SOLARIS11);
  open_pipe (fds);
  open_pipe (other);
  thread = start_wait (fixture->selector);

  /* Add, change and remove: none of these ends the wait, or waits for its end. */
  watch (fixture->selector, other[0], SEL_EVENT_READ);
  rewatch (fixture->selector, other[0], SEL_EVENT_READ | SEL_EVENT_WRITE);
  unwatch (fixture->selector, other[0]);

  put_byte (fds[1]);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (thread)), ==, 1);

  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
  close_pair (other);
  sim_devpoll_reset ();
}

static void
on_signal (int signal_number)
{
}

static gpointer
wait_until_closed (gpointer data)
{
  SelReadyEvent event;
  gssize n;

  do
    n = sel_base_selector_select_ready (data, SEL_WAIT_FOREVER, &event, 1, NULL, NULL);
  while (n >= 0);

  return NULL;
}

/* Signals come while writes wait for a thread that leaves DP_POLL. Only the main thread takes them. */
static void
test_signals_in_writes (BackendFixture *fixture)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct sigaction old;
  struct itimerval timer = { .it_interval.tv_usec = 200, .it_value.tv_usec = 200 };
  struct itimerval none = { 0 };
  int set = fixture->backend->get_fd (fixture->selector, NULL);
  sigset_t alarm_only;
  GThread *thread;
  int fds[2];

  sigemptyset (&alarm_only);
  sigaddset (&alarm_only, SIGALRM);
  pthread_sigmask (SIG_BLOCK, &alarm_only, NULL);
  sim_devpoll_set_flavour (SIM_SOLARIS11);
  open_pipe (fds);
  thread = g_thread_new ("wait", wait_until_closed, fixture->selector);
  g_assert_no_errno (sigaction (SIGALRM, &action, &old));
  pthread_sigmask (SIG_UNBLOCK, &alarm_only, NULL);
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));

  while (sim_devpoll_n_blocked () < 50)
    {
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
      g_assert_cmpint (sim_devpoll_find (set, fds[0]), ==, POLLIN);
      unwatch (fixture->selector, fds[0]);
      g_assert_cmpint (sim_devpoll_find (set, fds[0]), ==, -1);
    }

  g_assert_no_errno (setitimer (ITIMER_REAL, &none, NULL));
  g_assert_no_errno (sigaction (SIGALRM, &old, NULL));
  sel_base_selector_close (fixture->selector);
  g_thread_join (thread);
  close_pair (fds);
  sim_devpoll_reset ();
}

/* Signals interrupt the write more often than it may stall. */
static void
test_interrupted_write (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  sim_devpoll_fail_writes (0, 1000, EINTR);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);

  sim_devpoll_fail_writes (0, 1000, EINTR);
  unwatch (fixture->selector, fds[0]);
  sim_devpoll_reset ();
  close_pair (fds);
}

static void
set_limit (const struct rlimit *saved,
           rlim_t               n_files)
{
  struct rlimit limit = { .rlim_cur = n_files, .rlim_max = saved->rlim_max };

  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
}

/* The driver takes so many records at once, too. */
static void
test_no_limit_left_for_changes (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  struct rlimit saved;
  int fds[2];

  open_pipe (fds);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  set_limit (&saved, 1);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  rewatch (fixture->selector, fds[0], BOTH);
  unwatch (fixture->selector, fds[0]);

  set_limit (&saved, 0);
  g_assert_false (sel_base_selector_register (fixture->selector, fds[0], SEL_EVENT_READ, NULL, NULL, &error));
  set_limit (&saved, saved.rlim_cur);
  g_assert_nonnull (g_strstr_len (error->message, -1, "RLIMIT_NOFILE"));
  assert_failed (&error, SEL_OS_ERROR, EINVAL);

  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  put_byte (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

static void
test_no_limit_left (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  struct rlimit saved;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));

  for (rlim_t limit = 0; limit < 2; limit++)
    {
      SelReadyEvent event;

      set_limit (&saved, limit);
      g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, &error), ==, -1);
      set_limit (&saved, saved.rlim_cur);
      g_assert_nonnull (g_strstr_len (error->message, -1, "RLIMIT_NOFILE"));
      assert_failed (&error, SEL_OS_ERROR, EINVAL);
    }

  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

/* The driver accepts few reports at once, but a list has all descriptors. */
static void
test_complete_list (BackendFixture *fixture)
{
  enum { N = 30 };
  int fds[N][2];

  for (guint i = 0; i < N; i++)
    {
      open_pipe (fds[i]);
      watch (fixture->selector, fds[i][1], SEL_EVENT_WRITE);
    }

  for (rlim_t limit = 2; limit <= N + 2; limit += 7)
    {
      g_autoptr (GPtrArray) ready = NULL;
      struct rlimit saved, low;

      g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
      low = saved;
      low.rlim_cur = limit;
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
      ready = sel_base_selector_select (fixture->selector, 0, NULL, NULL);
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));
      g_assert_nonnull (ready);
      g_assert_cmpuint (ready->len, ==, N);
    }

  for (guint i = 0; i < N; i++)
    {
      unwatch (fixture->selector, fds[i][1]);
      close_pair (fds[i]);
    }
}

/* The kernel tells once that the reader is gone. A selector tells it until the program does something about it. */
static void
test_pipe_ends_once (BackendFixture *fixture)
{
  int fds[2];

  sim_kqueue_set_flavour (SIM_FREEBSD);
  open_pipe (fds);
  fill (fds[1]);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (fixture->selector, 0, -1);

  close (fds[0]);
  for (int i = 0; i < 3; i++)
    assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_WRITE, -1);
  rewatch (fixture->selector, fds[1], SEL_EVENT_READ | SEL_EVENT_WRITE);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_READ | SEL_EVENT_WRITE, -1);

  unwatch (fixture->selector, fds[1]);
  assert_ready (fixture->selector, 0, -1);
  close (fds[1]);
  sim_kqueue_reset ();
}

/* OpenBSD forgets the write filter of a full pipe, and opens both ends of a pipe for reading and writing. */
static void
test_two_way_pipe (BackendFixture *fixture)
{
  int own_fd = sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (fixture->selector), NULL);
  struct kevent event;
  int fds[2];

  sim_kqueue_set_forgets_pipes (true);
  sim_system_set_two_way_pipes (true);
  open_pipe (fds);
  fill (fds[1]);

  for (int i = 0; i < 2; i++)
    {
      watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
      assert_ready (fixture->selector, 0, -1);
      rewatch (fixture->selector, fds[1], SEL_EVENT_READ | SEL_EVENT_WRITE);
      assert_ready (fixture->selector, 0, -1);
      rewatch (fixture->selector, fds[1], SEL_EVENT_WRITE);

      /* Data from the other end is not waited for, and is reported once at most. */
      g_assert_true (sim_kqueue_find (own_fd, (uintptr_t) fds[1], EVFILT_READ, &event));
      g_assert_cmpint (event.flags & EV_CLEAR, !=, 0);
      g_assert_cmpint (sim_kqueue_inject (own_fd, &event), ==, 0);
      assert_ready (fixture->selector, 0, -1);

      if (i == 0)
        unwatch (fixture->selector, fds[1]);
    }

  close (fds[0]);
  for (int i = 0; i < 3; i++)
    assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_WRITE, -1);
  rewatch (fixture->selector, fds[1], SEL_EVENT_READ);
  for (int i = 0; i < 3; i++)
    assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[1]);
  assert_ready (fixture->selector, 0, -1);
  close (fds[1]);
  sim_kqueue_reset ();
}

/* The kernel forgets the write filter of a full pipe. */
static void
test_full_pipe (BackendFixture *fixture)
{
  sim_kqueue_set_flavour (SIM_NETBSD);

  for (SelEventMask events = SEL_EVENT_WRITE; events <= (SEL_EVENT_READ | SEL_EVENT_WRITE); events++)
    {
      int own_fd = sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (fixture->selector), NULL);
      int n_before = sim_kqueue_count (own_fd);
      int fds[2];

      open_pipe (fds);
      fill (fds[1]);
      watch (fixture->selector, fds[1], events);
      assert_ready (fixture->selector, 0, -1);
      close (fds[0]);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[1], events, -1);

      /* No filter is left over. */
      unwatch (fixture->selector, fds[1]);
      g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
      close (fds[1]);
    }

  sim_kqueue_reset ();
}

static void
open_fifo (int fds[2])
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);
  g_autofree char *path = g_build_filename (directory, "fifo", NULL);

  g_assert_no_errno (mkfifo (path, 0600));
  fds[0] = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fds[1] = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (fds[0]);
  g_assert_no_errno (fds[1]);
  g_unlink (path);
  g_rmdir (directory);
}

/* One end of a pipe, in which nothing is to be done, is registered. Then the other end goes. */
static void
check_end (SelBaseSelector *selector,
           void           (*open_fds) (int fds[2]),
           guint            end,
           SelEventMask     events)
{
  int own_fd = sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (selector), NULL);
  int n_before = sim_kqueue_count (own_fd);
  int fds[2];

  open_fds (fds);
  fill (fds[1]);
  if (end == 0)
    while (read (fds[0], (char[4096]) { 0 }, 4096) > 0)
      ;
  watch (selector, fds[end], events);
  if (!sim_system_is_two_way_read_end (fds[end]))
    assert_ready (selector, 0, -1);

  close (fds[1 - end]);
  for (guint i = 0; i < 3; i++)
    assert_ready (selector, SEL_WAIT_FOREVER, fds[end], events, -1);

  /* The end is there for other events, too, and no filter is left over. */
  rewatch (selector, fds[end], events == BOTH ? SEL_EVENT_READ : BOTH & ~events);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[end], events == BOTH ? SEL_EVENT_READ : BOTH & ~events, -1);
  unwatch (selector, fds[end]);
  g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
  close (fds[end]);
}

/* The end of a pipe or of a named pipe is reported, whichever events its other end is registered for. */
static void
test_pipe_end (BackendFixture *fixture)
{
  for (SimKqueueFlavour flavour = SIM_MANUAL; flavour < SIM_N_FLAVOURS; flavour++)
    {
      sim_kqueue_set_flavour (flavour);
      for (guint end = 0; end < 2; end++)
        for (SelEventMask events = SEL_EVENT_READ; events <= BOTH; events++)
          {
            g_test_message ("flavour %d, end %u, events %u", flavour, end, events);
            check_end (fixture->selector, open_pipe, end, events);
            check_end (fixture->selector, open_fifo, end, events);
          }
    }

  sim_kqueue_reset ();
}

/* Bytes that a writer has not yet got rid of are nothing to read for it, although some kernels say so. */
static void
test_writer_reads_nothing (BackendFixture *fixture)
{
  int own_fd = sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (fixture->selector), NULL);
  struct kevent event;
  int fds[2];

  sim_kqueue_set_flavour (SIM_MACOS);
  open_fifo (fds);
  watch (fixture->selector, fds[1], SEL_EVENT_READ);
  for (short filter = EVFILT_READ; filter >= EVFILT_WRITE; filter--)
    {
      g_assert_true (sim_kqueue_find (own_fd, (uintptr_t) fds[1], filter, &event));
      g_assert_cmpint (sim_kqueue_inject (own_fd, &event), ==, 0);
      assert_ready (fixture->selector, 0, -1);
      g_assert_true (sim_kqueue_find (own_fd, (uintptr_t) fds[1], filter, NULL));
    }

  unwatch (fixture->selector, fds[1]);
  close_pair (fds);
  sim_kqueue_reset ();
}

/* A report without an event, here of the data that nobody waits for, does not take the place of another one. */
static void
test_room_for_one (BackendFixture *fixture)
{
  SelReadyEvent event;
  int idle[2];
  int fds[2];

  sim_kqueue_set_flavour (SIM_OPENBSD);
  open_pipe (idle);
  open_pipe (fds);
  put_byte (fds[1]);
  watch (fixture->selector, fds[0], SEL_EVENT_WRITE);
  watch (fixture->selector, idle[0], SEL_EVENT_READ);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL), ==, 1);
  g_assert_cmpuint (event.events, ==, SEL_EVENT_WRITE);

  unwatch (fixture->selector, fds[0]);
  unwatch (fixture->selector, idle[0]);
  close_pair (idle);
  close_pair (fds);
  sim_kqueue_reset ();
}

/* poll () of macOS says a hang-up, and nothing else about writing, if one direction of a socket has ended. The other
 * one is not ready. */
static void
test_one_end (BackendFixture *fixture)
{
  int fds[2];

  sim_kqueue_set_flavour (SIM_MACOS);
  open_socketpair (fds);
  fill (fds[0]);
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, -1);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);

  open_socketpair (fds);
  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_WRITE, -1);
  close (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], BOTH, -1);
  unwatch (fixture->selector, fds[0]);
  close (fds[0]);
  sim_kqueue_reset ();
}

static void
attach_callback (SelBaseSelector *selector,
                 GMainContext    *context,
                 int              fd,
                 SelEventMask     events,
                 SelSelectorFunc  func,
                 gpointer         user_data)
{
  g_autoptr (GError) error = NULL;

  sel_base_selector_attach (selector, context, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_assert_true (sel_base_selector_register_callback (selector, fd, events, func, user_data, NULL, &error));
  g_assert_no_error (error);
}

/* The events of each call are added. */
static gboolean
note_events (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  *(SelEventMask *) user_data |= events;

  return G_SOURCE_CONTINUE;
}

static void
test_one_end_in_loop (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  SelEventMask events = 0;
  int fds[2];

  sim_kqueue_set_flavour (SIM_MACOS);
  g_object_set (fixture->selector, "force-mirrored", TRUE, NULL);
  open_socketpair (fds);
  fill (fds[0]);
  attach_callback (fixture->selector, context, fds[0], BOTH, note_events, &events);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (events, ==, SEL_EVENT_READ);

  sel_base_selector_close (fixture->selector);
  close_pair (fds);
  sim_kqueue_reset ();
}

static gboolean
count_call (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  ++*(guint *) user_data;

  return G_SOURCE_REMOVE;
}

static void
test_full_pipe_in_loop (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_calls = 0;
  int fds[2];

  sim_kqueue_set_flavour (SIM_NETBSD);
  open_pipe (fds);
  fill (fds[1]);
  attach_callback (fixture->selector, context, fds[1], SEL_EVENT_WRITE, count_call, &n_calls);
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (n_calls, ==, 0);

  close (fds[0]);
  while (n_calls == 0)
    g_main_context_iteration (context, TRUE);

  sel_base_selector_close (fixture->selector);
  close (fds[1]);
  sim_kqueue_reset ();
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_for ("devpoll", "blocked-write", test_blocked_write);
  backend_add_for ("devpoll", "interrupted-write", test_interrupted_write);
  backend_add_for ("devpoll", "signals-in-writes", test_signals_in_writes);
  backend_add_for ("devpoll", "no-limit-left", test_no_limit_left);
  backend_add_for ("devpoll", "no-limit-left-for-changes", test_no_limit_left_for_changes);
  backend_add_for ("devpoll", "complete-list", test_complete_list);
  backend_add_for ("kqueue", "pipe-ends-once", test_pipe_ends_once);
  backend_add_for ("kqueue", "two-way-pipe", test_two_way_pipe);
  backend_add_for ("kqueue", "full-pipe", test_full_pipe);
  backend_add_for ("kqueue", "pipe-end", test_pipe_end);
  backend_add_for ("kqueue", "writer-reads-nothing", test_writer_reads_nothing);
  backend_add_for ("kqueue", "room-for-one", test_room_for_one);
  backend_add_for ("kqueue", "full-pipe-in-loop", test_full_pipe_in_loop);
  backend_add_for ("kqueue", "one-end", test_one_end);
  backend_add_for ("poll", "one-end", test_one_end);
  backend_add_for ("kqueue", "one-end-in-loop", test_one_end_in_loop);
  backend_add_for ("poll", "one-end-in-loop", test_one_end_in_loop);

  return g_test_run ();
}
