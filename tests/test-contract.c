/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requirements of SelBaseSelectorClass that a new backend easily violates, and that other programs do not test. */

#include "backends.h"
#include "system-facts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <time.h>
#include <unistd.h>

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/*
 * --- A signal in the first wait after a change ---
 */

/* A thread that sends one signal to the waiting thread, and then optionally makes a descriptor ready. */
typedef struct
{
  pthread_t waiter;
  char     *stat_path;  /* shows the state of the waiter, or NULL */
  int       is_waiting; /* atomic: the waiter is about to wait */
  int       fd;         /* where to write a byte after the signal, or -1 */
} Interrupter;

static int n_signals;  /* atomic */

static void
on_signal (int number)
{
  g_atomic_int_inc (&n_signals);
}

/* TRUE if the waiter sleeps, as it does inside a waiting system call, or if its state is unknown. */
static gboolean
interrupter_sees_sleep (Interrupter *self)
{
  char text[512] = "";
  const char *end;
  FILE *file;

  if (self->stat_path == NULL || (file = fopen (self->stat_path, "re")) == NULL)
    return TRUE;

  if (fgets (text, sizeof text, file) == NULL)
    text[0] = '\0';
  fclose (file);
  end = strrchr (text, ')');

  return end == NULL || end[1] == '\0' || end[2] == 'S';
}

static void
interrupter_await_sleep (Interrupter *self)
{
  while (!interrupter_sees_sleep (self))
    g_thread_yield ();
}

static gpointer
interrupter_run (gpointer user_data)
{
  Interrupter *self = user_data;

  while (!g_atomic_int_get (&self->is_waiting))
    g_thread_yield ();
  interrupter_await_sleep (self);
  g_assert_cmpint (pthread_kill (self->waiter, SIGUSR1), ==, 0);
  while (g_atomic_int_get (&n_signals) == 0)
    g_thread_yield ();
  interrupter_await_sleep (self);
  if (self->fd >= 0)
    put_byte (self->fd);

  return NULL;
}

static void
assert_interrupted_wait (SelBaseSelector *selector,
                         int              fds[2],
                         gboolean         becomes_ready)
{
  struct sigaction action = { .sa_handler = on_signal };
  Interrupter interrupter = { .waiter = pthread_self (), .fd = becomes_ready ? fds[1] : -1 };
  struct sigaction before;
  GThread *thread;

#ifdef __linux__
  interrupter.stat_path = g_strdup_printf ("/proc/self/task/%ld/stat", (long) syscall (SYS_gettid));
#endif
  g_atomic_int_set (&n_signals, 0);
  g_assert_no_errno (sigaction (SIGUSR1, &action, &before));
  thread = g_thread_new ("interrupter", interrupter_run, &interrupter);

  g_atomic_int_set (&interrupter.is_waiting, TRUE);
  if (becomes_ready)
    assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  else
    assert_quiet (selector, 0.03);

  g_thread_join (thread);
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 1);
  g_assert_no_errno (sigaction (SIGUSR1, &before, NULL));
  g_free (interrupter.stat_path);
}

static void
register_first (SelBaseSelector *selector,
                int              fd)
{
  watch (selector, fd, SEL_EVENT_READ);
}

static void
register_later (SelBaseSelector *selector,
                int              fd)
{
  assert_ready (selector, 0, -1);
  watch (selector, fd, SEL_EVENT_READ);
}

static void
register_and_modify (SelBaseSelector *selector,
                     int              fd)
{
  watch (selector, fd, BOTH);
  assert_ready (selector, 0, -1);
  rewatch (selector, fd, SEL_EVENT_READ);
}

static void
register_twice (SelBaseSelector *selector,
                int              fd)
{
  watch (selector, fd, SEL_EVENT_READ);
  assert_ready (selector, 0, -1);
  unwatch (selector, fd);
  watch (selector, fd, SEL_EVENT_READ);
}

/* A single signal interrupts the first wait after a change. The wait goes on with the remaining time, and reports a
 * descriptor that becomes ready. A backend that submits changes together with the wait must not lose them. */
static void
test_interrupted_after_change (BackendFixture *fixture)
{
  static void (*const changes[]) (SelBaseSelector *, int) = {
    register_first, register_later, register_and_modify, register_twice,
  };

  if (skip_signals_of_select (fixture))
    return;

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    for (guint becomes_ready = 0; becomes_ready < 2; becomes_ready++)
      {
        int fds[2];

        g_clear_object (&fixture->selector);
        fixture_renew_selector (fixture);
        open_one_way (fds);
        changes[i] (fixture->selector, fds[0]);
        assert_interrupted_wait (fixture->selector, fds, becomes_ready);
        unwatch (fixture->selector, fds[0]);
        close_pair (fds);
      }
}

/*
 * --- Waits with nothing ready ---
 */

static gboolean (*real_wait) (SelBaseSelector *, gdouble, GError **);
static guint n_waits;

static gboolean
counting_wait (SelBaseSelector  *selector,
               gdouble           timeout,
               GError          **error)
{
  n_waits++;

  return real_wait (selector, timeout, error);
}

static gdouble
get_processor_time (void)
{
  struct timespec time;

  g_assert_no_errno (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time));

  return (gdouble) time.tv_sec + (gdouble) time.tv_nsec / 1e9;
}

/* select () waits until the timeout, and neither calls the backend in a loop nor lets the backend loop. Normally there
 * are few calls and some microseconds of processor time, so the limits do not depend on the load of the machine. */
static void
assert_idle (SelBaseSelector *selector)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (selector);
  gdouble processor_time;
  gint64 start;

  /* The first call may load symbols. */
  assert_quiet (selector, 0.001);

  real_wait = klass->wait;
  klass->wait = counting_wait;
  n_waits = 0;
  start = g_get_monotonic_time ();
  processor_time = get_processor_time ();
  assert_quiet (selector, 0.05);
  processor_time = get_processor_time () - processor_time;
  klass->wait = real_wait;

  g_assert_cmpuint (n_waits, >=, 1);
  g_assert_cmpuint (n_waits, <=, 20);
  g_assert_cmpfloat (processor_time * 2, <, (gdouble) (g_get_monotonic_time () - start) / G_USEC_PER_SEC);
}

enum
{
  FULL = 1 << 0,            /* the buffer for writing is full */
  UNREAD = 1 << 1,          /* there is unread data */
  PEER_ENDED = 1 << 2,      /* the peer has shut down its sending side */
  ENDED = 1 << 3            /* this end has shut down its sending side */
};

/* Conditions that are not registered must not end the backend's wait: select () would call it again and again until the
 * timeout. */
static void
test_idle (BackendFixture *fixture)
{
  static const struct
  {
    SelEventMask events;
    guint state;
  } cases[] = {
    { SEL_EVENT_WRITE, FULL },
    { SEL_EVENT_WRITE, FULL | UNREAD },
    { SEL_EVENT_WRITE, FULL | PEER_ENDED },
    { SEL_EVENT_WRITE, FULL | UNREAD | PEER_ENDED },
    { SEL_EVENT_READ, 0 },
    { SEL_EVENT_READ, FULL },
    { SEL_EVENT_READ, ENDED },
    { BOTH, FULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      int fds[2];

      open_socketpair (fds);
      if ((cases[i].state & FULL) != 0)
        fill (fds[0]);
      if ((cases[i].state & UNREAD) != 0)
        put_byte (fds[1]);
      if ((cases[i].state & PEER_ENDED) != 0)
        g_assert_no_errno (shutdown (fds[1], SHUT_WR));
      if ((cases[i].state & ENDED) != 0)
        g_assert_no_errno (shutdown (fds[0], SHUT_WR));
      g_test_message ("case %u", i);
      watch (fixture->selector, fds[0], cases[i].events);
      assert_idle (fixture->selector);

      /* The descriptor is reported when there is room. */
      if (cases[i].events == SEL_EVENT_WRITE)
        {
          drain (fds[1]);
          assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_WRITE, -1);
        }
      unwatch (fixture->selector, fds[0]);
      close_pair (fds);
    }
}

/* A descriptor that was unregistered, and is open and ready, does not end a wait. */
static void
test_idle_after_unregister (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, fds[0], BOTH, -1);
  rewatch (fixture->selector, fds[0], SEL_EVENT_READ);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  unwatch (fixture->selector, fds[0]);
  assert_idle (fixture->selector);
  close_pair (fds);
}

/*
 * --- Release of files ---
 */

static void
leave_unused (SelBaseSelector *selector,
              int              fd)
{
}

static void
use_once (SelBaseSelector *selector,
          int              fd)
{
  assert_ready (selector, 0, fd, SEL_EVENT_WRITE, -1);
}

static void
use_and_modify (SelBaseSelector *selector,
                int              fd)
{
  use_once (selector, fd);
  rewatch (selector, fd, SEL_EVENT_READ);
  assert_ready (selector, 0, -1);
  rewatch (selector, fd, BOTH);
  use_once (selector, fd);
}

static void
use_and_wait (SelBaseSelector *selector,
              int              fd)
{
  rewatch (selector, fd, SEL_EVENT_READ);
  assert_quiet (selector, 0.001);
}

/* The backend does not keep a file open after unregister () or close (): when the program closes the descriptor, the
 * peer reads the end of the file at once. */
static void
test_file_released (BackendFixture *fixture)
{
  static void (*const uses[]) (SelBaseSelector *, int) = { leave_unused, use_once, use_and_modify, use_and_wait };

  for (guint i = 0; i < G_N_ELEMENTS (uses); i++)
    for (guint is_socket = 0; is_socket < 2; is_socket++)
      for (guint closes = 0; closes < 2; closes++)
        {
          char byte;
          int fds[2];

          fixture_renew_selector (fixture);
          if (is_socket)
            open_socketpair (fds);
          else
            open_pipe (fds);
          watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
          uses[i] (fixture->selector, fds[1]);
          if (closes)
            sel_base_selector_close (fixture->selector);
          else
            unwatch (fixture->selector, fds[1]);
          close (fds[1]);
          g_assert_cmpint (read (fds[0], &byte, 1), ==, 0);
          close (fds[0]);
        }
}

/*
 * --- Numbers of descriptors ---
 */

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

/* If standard input is closed, a descriptor of the selector or of the program can have the number 0. */
static void
test_descriptor_zero (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  int fds[2];
  int saved;

  g_clear_object (&fixture->selector);
  saved = fcntl (0, F_DUPFD_CLOEXEC, 3);
  if (saved >= 0)
    close (0);

  /* The selector opens 0. */
  fixture_renew_selector (fixture);
  g_assert_true (is_open (0));
  g_assert_cmpint (fcntl (0, F_GETFD) & FD_CLOEXEC, !=, 0);
  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  assert_quiet (fixture->selector, 0.001);
  put_byte (fds[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  drain (fds[0]);
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  put_byte (fds[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  sel_base_selector_close (fixture->selector);
  g_assert_false (is_open (0));
  close_pair (fds);

  /* The program registers 0. */
  open_one_way (fds);
  g_assert_cmpint (fds[0], ==, 0);
  fixture_renew_selector (fixture);
  watch (fixture->selector, 0, SEL_EVENT_READ);
  assert_ready (fixture->selector, 0, -1);
  put_byte (fds[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, 0, SEL_EVENT_READ, -1);
  rewatch (fixture->selector, 0, SEL_EVENT_WRITE);
  assert_ready (fixture->selector, 0, -1);
  unwatch (fixture->selector, 0);
  close_pair (fds);

  if (saved >= 0)
    {
      g_assert_no_errno (dup2 (saved, 0));
      close (saved);
    }
}

/* Numbers at the limits of words and pages. The descriptor has the highest number, and is closed before it is
 * unregistered: the backend must not read beyond the end of its tables. */
static void
test_descriptor_numbers (BackendFixture *fixture)
{
  static const int numbers[] = { 63, 64, 127, 128, 191, 192, 255, 256 };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      int fds[2];
      int fd;

      open_pipe (fds);
      fd = fcntl (fds[0], F_DUPFD_CLOEXEC, numbers[i]);
      g_assert_cmpint (fd, >=, numbers[i]);
      close (fds[0]);
      watch (fixture->selector, fd, SEL_EVENT_READ);
      assert_ready (fixture->selector, 0, -1);
      put_byte (fds[1]);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, fd, SEL_EVENT_READ, -1);

      close (fd);
      assert_idle (fixture->selector);
      unwatch (fixture->selector, fd);
      assert_ready (fixture->selector, 0, -1);
      close (fds[1]);
    }
}

/* The program closes the wake-up of the selector by mistake: waits fail, and do not loop. */
static void
test_own_descriptor_closed (BackendFixture *fixture)
{
  static const gdouble timeouts[] = { 0, 0.001, SEL_WAIT_FOREVER };
  g_autoptr (GError) error = NULL;
  gboolean was_open[256];
  guint n_closed = 0;
  int fds[2];

  g_clear_object (&fixture->selector);
  open_pipe (fds);
  put_byte (fds[1]);
  for (int fd = 0; fd < (int) G_N_ELEMENTS (was_open); fd++)
    was_open[fd] = is_open (fd);
  fixture_renew_selector (fixture);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  for (int fd = 0; fd < (int) G_N_ELEMENTS (was_open); fd++)
    if (is_open (fd) && !was_open[fd])
      {
        close (fd);
        n_closed++;
      }
  g_assert_cmpuint (n_closed, ==, system_count_wakeup_fds ());

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      g_assert_null (sel_base_selector_select (fixture->selector, timeouts[i], NULL, &error));
      assert_failed (&error, SEL_OS_ERROR, EBADF);
    }

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add ("contract/interrupted-after-change", test_interrupted_after_change);
  backend_add ("contract/idle", test_idle);
  backend_add ("contract/idle-after-unregister", test_idle_after_unregister);
  backend_add ("contract/file-released", test_file_released);
  backend_add ("contract/descriptor-zero", test_descriptor_zero);
  backend_add ("contract/descriptor-numbers", test_descriptor_numbers);

  /* Other backends have more than one descriptor, and a kernel that removes closed descriptors by itself. */
  backend_add_for ("select", "contract/own-descriptor-closed", test_own_descriptor_closed);
  backend_add_for ("poll", "contract/own-descriptor-closed", test_own_descriptor_closed);

  return g_test_run ();
}
