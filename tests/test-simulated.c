/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kernel behaviour that is rare on Linux: the simulators of kqueue and /dev/poll, and for epoll replaced functions of
 * the C library. */

#include "config.h"

#include "backends.h"
#include "epoll-sets.h"
#include "simulators/sim-devpoll.h"
#include "simulators/sim-kqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const SelEventMask BOTH = SEL_EVENT_READ | SEL_EVENT_WRITE;

#define QUIET 0.02

static gboolean
is_registered (SelBaseSelector *selector,
               int              fd)
{
  return sel_selector_mapping_contains (sel_base_selector_get_map (selector), fd);
}

static int
get_own_fd (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  int fd = fixture->backend->get_fd (fixture->selector, &error);

  g_assert_no_error (error);
  return fd;
}

static void
assert_refused (SelBaseSelector *selector,
                int              fd,
                SelEventMask     events,
                int              errnum)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (sel_base_selector_register (selector, fd, events, NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, errnum);
  g_assert_false (is_registered (selector, fd));
}

/* Limits the number of calls of the backend's wait (), so that a descriptor that is reported again and again ends the
 * program, and not an infinite loop. */

static gboolean (*real_wait) (SelBaseSelector *, gdouble, GError **);
static guint n_waits_left;

static gboolean
limited_wait (SelBaseSelector  *selector,
              gdouble           timeout,
              GError          **error)
{
  g_assert_cmpuint (n_waits_left, >, 0);
  n_waits_left--;

  return real_wait (selector, timeout, error);
}

static void
limit_waits (SelBaseSelector *selector,
             guint            n_waits)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (selector);

  g_assert_null (real_wait);
  real_wait = klass->wait;
  klass->wait = limited_wait;
  n_waits_left = n_waits;
}

static void
unlimit_waits (SelBaseSelector *selector)
{
  SEL_BASE_SELECTOR_GET_CLASS (selector)->wait = g_steal_pointer (&real_wait);
}

/* Checks that no queue or set is left open, and resets the simulators for the next case. */

static void
kqueue_end (void)
{
  sim_kqueue_reset ();
}

static void
devpoll_end (void)
{
  sim_devpoll_reset ();
}

/* kqueue */

/* The kernel refuses a change: it keeps no part of the registration. */
static void
test_kqueue_register_fails (BackendFixture *fixture)
{
  static const struct
    {
      short filter;
      int   errnum;
    }
  failures[] =
    {
      { EVFILT_READ, ENOMEM },
      { EVFILT_WRITE, ENOMEM },
      { EVFILT_WRITE, EINVAL },
      { EVFILT_READ, EOPNOTSUPP },
    };
  SelBaseSelector *selector = fixture->selector;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_kqueue_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);

  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      sim_kqueue_fail_changes (failures[i].filter, EV_ADD, 0, 1, failures[i].errnum);
      assert_refused (selector, fds[0], BOTH, failures[i].errnum);
      g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
      assert_ready (selector, 0, -1);
      sim_kqueue_reset ();
      watch (selector, fds[0], BOTH);
      assert_ready (selector, 0, fds[0], BOTH, -1);
      unwatch (selector, fds[0]);
      g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
    }

  close_pair (fds);
}

/* The same for modify (), which then ends the registration. */
static void
test_kqueue_modify_fails (BackendFixture *fixture)
{
  static const struct
    {
      SelEventMask from;
      SelEventMask to;
      short        filter;
    }
  failures[] =
    {
      { SEL_EVENT_READ, BOTH, EVFILT_WRITE },
      { SEL_EVENT_READ, SEL_EVENT_WRITE, EVFILT_WRITE },
      { SEL_EVENT_WRITE, BOTH, EVFILT_READ },
      { SEL_EVENT_WRITE, SEL_EVENT_READ, EVFILT_READ },
    };
  SelBaseSelector *selector = fixture->selector;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_kqueue_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);

  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      g_autoptr (GError) error = NULL;

      watch (selector, fds[0], failures[i].from);
      sim_kqueue_fail_changes (failures[i].filter, EV_ADD, 0, 1, ENOMEM);
      g_assert_false (sel_base_selector_modify_events (selector, fds[0], failures[i].to, &error));
      assert_failed (&error, SEL_OS_ERROR, ENOMEM);
      g_assert_false (is_registered (selector, fds[0]));
      g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
      assert_ready (selector, 0, -1);
      sim_kqueue_reset ();
    }

  close_pair (fds);
}

/* Deleting a filter that is gone already succeeds. */
static void
test_kqueue_delete_fails (BackendFixture *fixture)
{
  static const int errnums[] = { ENOENT, EBADF, EINVAL };
  SelBaseSelector *selector = fixture->selector;

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      int fds[2];

      open_socketpair (fds);
      watch (selector, fds[0], BOTH);
      sim_kqueue_fail_changes (0, EV_DELETE, 0, -1, errnums[i]);
      rewatch (selector, fds[0], SEL_EVENT_READ);
      unwatch (selector, fds[0]);
      g_assert_false (is_registered (selector, fds[0]));
      close_pair (fds);
      sim_kqueue_reset ();
      assert_quiet (selector, QUIET);
    }
}

/* A signal interrupts a change. */
static void
test_kqueue_change_interrupted (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);
  sim_kqueue_fail_changes (0, EV_ADD, 1, 1, EINTR);
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, fds[0], BOTH, -1);
  kqueue_end ();
  close_pair (fds);
}

/* The reading end of the pipe is closed, and the kernel refuses to watch the writing end. */
static void
check_dead_pipe (SelBaseSelector *selector,
                 int              errnum)
{
  int fds[2];

  sim_kqueue_set_pipe_errno (errnum);
  open_pipe (fds);
  close (fds[0]);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_WRITE, -1);
  rewatch (selector, fds[1], BOTH);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[1], BOTH, -1);
  rewatch (selector, fds[1], SEL_EVENT_READ);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_READ, -1);
  unwatch (selector, fds[1]);
  assert_quiet (selector, QUIET);
  close (fds[1]);
  kqueue_end ();
}

static void
test_kqueue_dead_pipe (BackendFixture *fixture)
{
  check_dead_pipe (fixture->selector, EPIPE);
  check_dead_pipe (fixture->selector, 0);
}

/* NetBSD fails with EBADF, although the descriptor is open. */
static void
test_kqueue_dead_pipe_netbsd (BackendFixture *fixture)
{
  check_dead_pipe (fixture->selector, EBADF);
}

/* A descriptor that is registered for reading and writing gives one event. If the array is too small for all, the two
 * halves of a key may come in different calls, but at most once in each call, and all halves come soon. */
static void
test_kqueue_two_filters (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[8][2];

  for (guint i = 0; i < 8; i++)
    {
      open_socketpair (fds[i]);
      put_byte (fds[i][1]);
      watch (selector, fds[i][0], BOTH);
    }

  for (gsize size = 1; size <= 8; size++)
    {
      g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

      for (guint i = 0; i < 40; i++)
        {
          SelReadyEvent events[8];
          gssize n = sel_base_selector_select_ready (selector, 0, events, size, NULL, NULL);

          g_assert_cmpint (n, >, 0);
          g_assert_cmpint (n, <=, size);

          for (gssize j = 0; j < n; j++)
            {
              if (size == 8)
                g_assert_cmpuint (events[j].events, ==, BOTH);

              for (gssize k = 0; k < j; k++)
                g_assert_cmpint (events[k].fd, !=, events[j].fd);

              for (SelEventMask mask = SEL_EVENT_READ; mask <= SEL_EVENT_WRITE; mask++)
                if ((events[j].events & mask) != 0)
                  g_hash_table_add (seen, GINT_TO_POINTER (4 * events[j].fd + mask));
            }

          if (size == 8)
            g_assert_cmpint (n, ==, 8);
        }

      g_assert_cmpuint (g_hash_table_size (seen), ==, 16);
    }

  for (guint i = 0; i < 8; i++)
    close_pair (fds[i]);
}

/* Events that do not belong to a registration. */
static void
test_kqueue_strange_events (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int own_fd = get_own_fd (fixture);
  struct kevent events[4];
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_READ);

  /* An unknown descriptor, a number that is too high, an earlier registration of the number, and an event that was
   * not registered. */
  EV_SET (&events[0], fds[1], EVFILT_READ, 0, 0, 1, NULL);
  EV_SET (&events[1], UINT16_MAX, EVFILT_WRITE, 0, 0, 1, NULL);
  EV_SET (&events[2], fds[0], EVFILT_READ, 0, 0, 1, NULL);
  g_assert_true (sim_kqueue_find (own_fd, fds[0], EVFILT_READ, &events[3]));
  events[3].filter = EVFILT_WRITE;

  for (guint i = 0; i < G_N_ELEMENTS (events); i++)
    {
      g_assert_cmpint (sim_kqueue_inject (own_fd, &events[i]), ==, 0);
      assert_ready (selector, 0, -1);
      g_assert_cmpint (sim_kqueue_inject (own_fd, &events[i]), ==, 0);
      assert_quiet (selector, QUIET);
    }

  close_pair (fds);
}

static void
test_kqueue_wait_fails (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);
  sim_kqueue_fail_waits (1, EINTR);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  sim_kqueue_fail_waits (1, ENOMEM);
  g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  kqueue_end ();
  close_pair (fds);
}

/* Darwin refuses very long timeouts. */
static void
test_kqueue_max_timeout (BackendFixture *fixture)
{
  static const gdouble timeouts[] = { 1e6, 1e7, 1e10, 1e300 };

  sim_kqueue_set_max_timeout (1000000);

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      sel_base_selector_wakeup (fixture->selector);
      assert_ready (fixture->selector, timeouts[i], -1);
    }

  kqueue_end ();
}

/* A device that cannot be polled. */
static void
test_kqueue_device (BackendFixture *fixture)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  g_assert_no_errno (fd);
  assert_refused (fixture->selector, fd, SEL_EVENT_READ, EINVAL);
  assert_refused (fixture->selector, fd, BOTH, EINVAL);
  assert_ready (fixture->selector, 0, -1);
  close (fd);
}

/* A modify () with the same events does not call the kernel. A closed descriptor does not make a wait spin. */
static void
test_kqueue_calls (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  char data[] = "data";
  guint n_changes;
  guint n_waits;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], BOTH);
  n_changes = sim_kqueue_n_changes ();
  sel_base_selector_modify (selector, fds[0], BOTH, data, NULL, NULL);
  rewatch (selector, fds[0], BOTH);
  g_assert_cmpuint (sim_kqueue_n_changes (), ==, n_changes);

  close (fds[0]);
  n_waits = sim_kqueue_n_waits ();
  assert_quiet (selector, QUIET);
  g_assert_cmpuint (sim_kqueue_n_waits () - n_waits, <=, 4);
  close (fds[1]);
}

/* Deleting a filter fails. When the filter is reported, the wait tries again to delete it. */
static void
test_kqueue_leftover (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_kqueue_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);

  for (SelEventMask events = SEL_EVENT_READ; events <= BOTH; events++)
    {
      watch (selector, fds[0], events);
      sim_kqueue_fail_changes (0, EV_DELETE, 0, -1, ENOMEM);
      unwatch (selector, fds[0]);
      g_assert_cmpint (sim_kqueue_count (own_fd), >, n_before);
      limit_waits (selector, 5);
      g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
      assert_failed (&error, SEL_OS_ERROR, ENOMEM);

      sim_kqueue_reset ();
      assert_quiet (selector, QUIET);
      unlimit_waits (selector);
      g_assert_cmpint (sim_kqueue_count (own_fd), ==, n_before);
    }

  close_pair (fds);
}

static void
assert_new_fails (const Backend *backend,
                  GQuark         domain,
                  int            code)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) lazy = g_object_new (backend->get_type (), NULL);
  guint n_open = count_open_fds ();

  g_assert_null (backend->new_selector (&error));
  assert_failed (&error, domain, code);
  g_assert_false (backend->is_supported ());
  g_assert_true (sel_default_selector_type () != backend->get_type ());

  /* each method fails with an error, and none crashes */
  g_assert_null (sel_base_selector_select (lazy, 0, NULL, &error));
  assert_failed (&error, domain, code);
  g_assert_false (sel_base_selector_register (lazy, 0, SEL_EVENT_READ, NULL, NULL, &error));
  assert_failed (&error, domain, code);
  g_assert_cmpint (backend->get_fd (lazy, &error), ==, -1);
  assert_failed (&error, domain, code);
  sel_base_selector_wakeup (lazy);
  sel_base_selector_close (lazy);

  g_assert_cmpuint (count_open_fds (), ==, n_open);
}

static const Backend *
find_backend (const char *name)
{
  for (guint i = 0; i < N_BACKENDS; i++)
    if (g_str_equal (backends[i].name, name))
      return &backends[i];

  g_assert_not_reached ();
}

static void
test_kqueue_unusable (void)
{
  const Backend *backend = find_backend ("kqueue");

  g_unsetenv ("SEL_SELECTOR");

  sim_kqueue_set_open_errno (EMFILE);
  assert_new_fails (backend, SEL_OS_ERROR, EMFILE);
  sim_kqueue_reset ();

  /* A kqueue that accepts invalid descriptors cannot be used. */
  sim_kqueue_set_broken (true);
  assert_new_fails (backend, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
  sim_kqueue_reset ();

  g_assert_true (backend->is_supported ());
  g_assert_cmpuint (sim_kqueue_n_open (), ==, 0);
}

/* /dev/poll */

/* The driver adds new bits to the old mask, so a smaller mask needs two records. */
static void
test_devpoll_narrow (BackendFixture *fixture)
{
  static const SelEventMask masks[] = { 3, 1, 2, 3, 2, 1, 3 };
  static const short want[] = { 0, POLLIN, POLLOUT, POLLIN | POLLOUT };
  SelBaseSelector *selector = fixture->selector;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_devpoll_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_WRITE);

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      guint n_writes = sim_devpoll_n_writes ();

      rewatch (selector, fds[0], masks[i]);
      g_assert_cmpint (sim_devpoll_find (own_fd, fds[0]), ==, want[masks[i]]);
      g_assert_cmpuint (sim_devpoll_n_writes () - n_writes, ==, 1);
      assert_ready (selector, 0, fds[0], masks[i], -1);
    }

  unwatch (selector, fds[0]);
  g_assert_cmpint (sim_devpoll_find (own_fd, fds[0]), ==, -1);
  g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);
  close_pair (fds);
}

/* A write stops after any number of bytes, once and several times. */
static void
test_devpoll_short_writes (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_devpoll_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);

  for (gsize size = 0; size <= 2 * sizeof (struct pollfd); size++)
    for (int count = 1; count <= 3; count++)
      {
        sim_devpoll_short_writes (0, count, size);
        watch (selector, fds[0], BOTH);
        sim_devpoll_reset ();
        g_assert_cmpint (sim_devpoll_find (own_fd, fds[0]), ==, POLLIN | POLLOUT);

        sim_devpoll_short_writes (0, count, size);
        rewatch (selector, fds[0], SEL_EVENT_READ);
        sim_devpoll_reset ();
        g_assert_cmpint (sim_devpoll_find (own_fd, fds[0]), ==, POLLIN);
        assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);

        sim_devpoll_short_writes (0, count, size);
        unwatch (selector, fds[0]);
        sim_devpoll_reset ();
        g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);
      }

  close_pair (fds);
}

static void
test_devpoll_write_fails (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_devpoll_count (own_fd);
  int fds[2];

  open_socketpair (fds);

  sim_devpoll_fail_writes (0, 3, EINTR);
  watch (selector, fds[0], SEL_EVENT_WRITE);
  assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);

  sim_devpoll_fail_writes (0, 1, ENOMEM);
  g_assert_false (sel_base_selector_modify_events (selector, fds[0], BOTH, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  g_assert_false (is_registered (selector, fds[0]));
  g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);
  assert_ready (selector, 0, -1);

  sim_devpoll_fail_writes (0, 1, ENOMEM);
  assert_refused (selector, fds[0], BOTH, ENOMEM);
  g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);

  devpoll_end ();
  close_pair (fds);
}

/* The driver accepts no complete record in many writes: the update fails. */
static void
test_devpoll_stalls (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_devpoll_count (own_fd);
  int fds[2];

  open_socketpair (fds);

  for (gsize size = 0; size < sizeof (struct pollfd); size += sizeof (struct pollfd) - 1)
    {
      sim_devpoll_short_writes (0, -1, size);
      assert_refused (selector, fds[0], SEL_EVENT_WRITE, EIO);
      sim_devpoll_reset ();
      g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);

      /* Fewer short writes are no error. */
      sim_devpoll_short_writes (0, 98, size);
      watch (selector, fds[0], SEL_EVENT_WRITE);
      sim_devpoll_reset ();
      assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);

      sim_devpoll_short_writes (0, -1, size);
      g_assert_false (sel_base_selector_modify_events (selector, fds[0], BOTH, &error));
      assert_failed (&error, SEL_OS_ERROR, EIO);
      sim_devpoll_reset ();
      assert_quiet (selector, QUIET);
    }

  devpoll_end ();
  close_pair (fds);
}

/* Removing a descriptor fails. When the descriptor is reported, the wait tries again to remove it. */
static void
test_devpoll_leftover (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int own_fd = get_own_fd (fixture);
  int n_before = sim_devpoll_count (own_fd);
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_WRITE);
  sim_devpoll_fail_writes (0, -1, ENOMEM);
  unwatch (selector, fds[0]);
  g_assert_cmpint (sim_devpoll_count (own_fd), >, n_before);
  limit_waits (selector, 5);
  g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);

  sim_devpoll_reset ();
  assert_quiet (selector, QUIET);
  unlimit_waits (selector);
  g_assert_cmpint (sim_devpoll_count (own_fd), ==, n_before);

  devpoll_end ();
  close_pair (fds);
}

/* An old driver limits the total of all bytes that were ever written. */
static void
test_devpoll_offset (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  sim_devpoll_set_offset_limit (10 * sizeof (struct pollfd));

  for (guint i = 0; i < 20; i++)
    {
      watch (fixture->selector, fds[0], SEL_EVENT_READ);
      rewatch (fixture->selector, fds[0], BOTH);
      assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_WRITE, -1);
      unwatch (fixture->selector, fds[0]);
    }

  devpoll_end ();
  close_pair (fds);
}

static void
test_devpoll_poll_fails (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);
  sim_devpoll_fail_polls (2, EINTR);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  sim_devpoll_fail_polls (1, ENOMEM);
  g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  devpoll_end ();
  close_pair (fds);
}

/* The limit of open files is lowered. A poll may not ask for more events than that, and every descriptor is still
 * reported. */
static void
test_devpoll_limit (BackendFixture *fixture)
{
  static const rlim_t limits[] = { 10, 3, 2, 21, 5 };
  SelBaseSelector *selector = fixture->selector;
  int fds[20][2];

  for (guint i = 0; i < 20; i++)
    {
      open_pipe (fds[i]);
      watch (selector, fds[i][1], SEL_EVENT_WRITE);
    }

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

      sim_devpoll_reset ();
      sim_devpoll_set_nofile (limits[i]);

      for (guint j = 0; j < 100 && g_hash_table_size (seen) < 20; j++)
        {
          g_autoptr (GError) error = NULL;
          SelReadyEvent events[30];
          gssize n = sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, events, 30, NULL,
                                                     &error);

          g_assert_no_error (error);
          g_assert_cmpint (n, >, 0);

          for (gssize k = 0; k < n; k++)
            g_hash_table_add (seen, GINT_TO_POINTER (events[k].fd));
        }

      g_assert_cmpuint (g_hash_table_size (seen), ==, 20);
      g_assert_cmpuint (sim_devpoll_max_nfds (), <, limits[i]);
    }

  devpoll_end ();

  for (guint i = 0; i < 20; i++)
    close_pair (fds[i]);
}

/* No array is as large as the limit. */
static void
test_devpoll_no_limit (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) selector = NULL;
  int fds[2];

  sim_devpoll_reset ();
  sim_devpoll_set_nofile (RLIM_INFINITY);
  selector = fixture->backend->new_selector (NULL);
  open_pipe (fds);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_WRITE, -1);
  g_assert_cmpuint (sim_devpoll_max_nfds (), <=, 1024);
  g_assert_cmpuint (sim_devpoll_max_records (), <=, 256);
  devpoll_end ();
  close_pair (fds);
}

static void
test_devpoll_calls (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  char data[] = "data";
  guint n_writes;
  guint n_polls;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], BOTH);
  n_writes = sim_devpoll_n_writes ();
  sel_base_selector_modify (selector, fds[0], BOTH, data, NULL, NULL);
  rewatch (selector, fds[0], BOTH);
  g_assert_cmpuint (sim_devpoll_n_writes (), ==, n_writes);

  close (fds[0]);
  n_polls = sim_devpoll_n_polls ();
  assert_quiet (selector, QUIET);
  assert_quiet (selector, QUIET);
  g_assert_cmpuint (sim_devpoll_n_polls () - n_polls, <=, 6);
  close (fds[1]);
}

static void
test_devpoll_unusable (void)
{
  static const int missing[] = { ENOENT, ENODEV, EACCES };
  const Backend *backend = find_backend ("devpoll");

  g_unsetenv ("SEL_SELECTOR");

  for (guint i = 0; i < G_N_ELEMENTS (missing); i++)
    {
      sim_devpoll_set_open_errno (missing[i]);
      assert_new_fails (backend, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
    }

  sim_devpoll_set_open_errno (ENXIO);
  assert_new_fails (backend, SEL_OS_ERROR, ENXIO);
  sim_devpoll_reset ();
  g_assert_true (backend->is_supported ());
  g_assert_cmpuint (sim_devpoll_n_open (), ==, 0);
}

/* epoll: functions of the C library that fail on request, and otherwise call the original. */

static int pwait2_errno;
static guint n_pwait2;
static int ctl_errno;
static int ctl_op;
static void (*ctl_hook) (void);       /* called once, before the next epoll_ctl () */
static void (*wait_hook) (void);      /* called once, after an epoll_wait () that reports events */

#ifdef HAVE_EPOLL_PWAIT2
int
epoll_pwait2 (int                    epfd,
              struct epoll_event    *events,
              int                    maxevents,
              const struct timespec *timeout,
              const sigset_t        *sigmask)
{
  n_pwait2++;

  if (pwait2_errno == 0)
    return syscall (SYS_epoll_pwait2, epfd, events, maxevents, timeout, sigmask, _NSIG / 8);

  errno = pwait2_errno;
  return -1;
}
#endif

int
epoll_ctl (int                 epfd,
           int                 op,
           int                 fd,
           struct epoll_event *event)
{
  void (*hook) (void) = g_steal_pointer (&ctl_hook);

  if (hook != NULL)
    hook ();

  if (ctl_errno == 0 || op != ctl_op)
    return syscall (SYS_epoll_ctl, epfd, op, fd, event);

  errno = ctl_errno;
  return -1;
}

int
epoll_wait (int                 epfd,
            struct epoll_event *events,
            int                 maxevents,
            int                 timeout)
{
  int n = syscall (SYS_epoll_pwait, epfd, events, maxevents, timeout, NULL, _NSIG / 8);
  void (*hook) (void) = n > 0 ? g_steal_pointer (&wait_hook) : NULL;

  if (hook != NULL)
    hook ();

  return n;
}

static void
check_without_pwait2 (int errnum)
{
  g_autoptr (SelBaseSelector) selector = sel_epoll_selector_new (NULL);
  int fds[2];

  pwait2_errno = errnum;
  n_pwait2 = 0;
  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  assert_quiet (selector, 0.0021);
  assert_quiet (selector, QUIET);
  put_byte (fds[1]);
  assert_ready (selector, 10, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpuint (n_pwait2, <=, 1);
  close_pair (fds);
}

/* epoll_pwait2 () is missing or forbidden: epoll_wait () is used instead. The library remembers this until the
 * process ends, so each error is tested in a process of its own. */
static void
test_epoll_pwait2_missing (BackendFixture *fixture)
{
  static const int errnums[] = { ENOSYS, EPERM, ENOTSUP };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      pid_t child = fork ();
      int status;

      g_assert_no_errno (child);

      if (child == 0)
        {
          check_without_pwait2 (errnums[i]);
          end_child (0);
        }

      g_assert_cmpint (waitpid (child, &status, 0), ==, child);
      g_assert_cmpint (status, ==, 0);
    }
}

/* The kernel has no memory or watches left. */
static void
test_epoll_ctl_fails (BackendFixture *fixture)
{
  static const int errnums[] = { ENOSPC, ENOMEM };
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  open_pipe (fds);

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      g_autoptr (GError) error = NULL;

      ctl_errno = errnums[i];
      ctl_op = EPOLL_CTL_ADD;
      assert_refused (selector, fds[1], SEL_EVENT_WRITE, errnums[i]);
      ctl_errno = 0;
      assert_ready (selector, 0, -1);

      watch (selector, fds[1], SEL_EVENT_WRITE);
      ctl_errno = errnums[i];
      ctl_op = EPOLL_CTL_MOD;
      g_assert_false (sel_base_selector_modify_events (selector, fds[1], BOTH, &error));
      assert_failed (&error, SEL_OS_ERROR, errnums[i]);
      ctl_errno = 0;
      g_assert_false (is_registered (selector, fds[1]));
      assert_quiet (selector, QUIET);
    }

  close_pair (fds);
}

/* The errors of EPOLL_CTL_DEL when the kernel has already forgotten the descriptor. */
static void
test_epoll_delete_fails (BackendFixture *fixture)
{
  static const int errnums[] = { EBADF, ENOENT, EPERM };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      int fds[2];

      open_pipe (fds);
      watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
      ctl_errno = errnums[i];
      ctl_op = EPOLL_CTL_DEL;
      unwatch (fixture->selector, fds[1]);
      ctl_errno = 0;
      g_assert_false (is_registered (fixture->selector, fds[1]));
      close_pair (fds);
      assert_quiet (fixture->selector, QUIET);
    }
}

/* Closes a descriptor before it is unregistered, while the duplicate @copy stays open: the kernel reports the
 * descriptor until the epoll set is replaced. */
static void
make_stale (SelBaseSelector *selector,
            int             *copy)
{
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_WRITE);
  *copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  g_assert_no_errno (*copy);
  close (fds[0]);
  unwatch (selector, fds[0]);
  close (fds[1]);
}

/* The wait fails if the set cannot be replaced. The next wait tries again. */
static void
test_epoll_rebuild_fails (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  struct rlimit saved;
  guint n_sets;
  int copy;

  make_stale (selector, &copy);
  limit_waits (selector, 10);
  forbid_open (&saved);
  g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
  allow_open (&saved);
  assert_failed (&error, SEL_OS_ERROR, EMFILE);

  n_sets = count_epoll_sets ();
  assert_quiet (selector, QUIET);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);
  assert_quiet (selector, QUIET);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);
  unlimit_waits (selector);
  close (copy);
}

/* Replaces the set by an incomplete one: adding a descriptor to the new set fails. */
static void
make_incomplete (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  int copy;

  make_stale (selector, &copy);
  ctl_errno = ENOMEM;
  ctl_op = EPOLL_CTL_ADD;
  g_assert_null (sel_base_selector_select (selector, 0, NULL, &error));
  ctl_errno = 0;
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  close (copy);
}

static SelBaseSelector *other_selector;
static int other_fd;
static GThread *other_thread;
static int other_has_started;  /* atomic */
static int other_has_ended;    /* atomic */

static gpointer
unregister_in_thread (gpointer user_data)
{
  g_atomic_int_set (&other_has_started, TRUE);
  unwatch (other_selector, other_fd);
  g_atomic_int_set (&other_has_ended, TRUE);

  return NULL;
}

static void
unregister_meanwhile (void)
{
  other_thread = g_thread_new ("other", unregister_in_thread, NULL);
  while (!g_atomic_int_get (&other_has_started))
    g_thread_yield ();
  for (guint i = 0; i < 1000 && !g_atomic_int_get (&other_has_ended); i++)
    g_thread_yield ();
  g_assert_false (g_atomic_int_get (&other_has_ended));
}

/* The next wait completes the set. Another thread cannot change registrations meanwhile. */
static void
test_epoll_completed_locked (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  other_selector = fixture->selector;
  other_fd = fds[1];
  other_has_started = other_has_ended = FALSE;
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  make_incomplete (fixture->selector);
  ctl_hook = unregister_meanwhile;
  g_free (ready_to_string (fixture->selector, 0));
  g_assert_nonnull (other_thread);
  g_thread_join (g_steal_pointer (&other_thread));
  assert_quiet (fixture->selector, QUIET);
  close_pair (fds);
}

/* reinit () makes a complete set: the next wait does not replace it. */
static void
test_epoll_incomplete_reinit (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  guint n_sets;
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  make_incomplete (fixture->selector);
  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  n_sets = count_epoll_sets ();
  assert_ready (fixture->selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets);

  /* Without reinit (), the next wait replaces the incomplete set once. */
  make_incomplete (fixture->selector);
  n_sets = count_epoll_sets ();
  assert_ready (fixture->selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);
  assert_ready (fixture->selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets + 1);
  close_pair (fds);
}

static void
unregister_now (void)
{
  unwatch (other_selector, other_fd);
}

/* A descriptor is unregistered between epoll_wait () and the lock of the selector: the set is not replaced. */
static void
test_epoll_unregistered_meanwhile (BackendFixture *fixture)
{
  guint n_sets;
  int fds[2];

  open_pipe (fds);
  other_selector = fixture->selector;
  other_fd = fds[1];
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  wait_hook = unregister_now;
  n_sets = count_epoll_sets ();
  assert_ready (fixture->selector, 0, -1);
  g_assert_null (wait_hook);
  g_assert_false (is_registered (fixture->selector, fds[1]));
  g_assert_cmpuint (count_epoll_sets (), ==, n_sets);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
    {
      const char  *backend;
      const char  *name;
      BackendFunc  func;
    }
  cases[] =
    {
      { "kqueue", "register-fails", test_kqueue_register_fails },
      { "kqueue", "modify-fails", test_kqueue_modify_fails },
      { "kqueue", "delete-fails", test_kqueue_delete_fails },
      { "kqueue", "change-interrupted", test_kqueue_change_interrupted },
      { "kqueue", "dead-pipe", test_kqueue_dead_pipe },
      { "kqueue", "dead-pipe-netbsd", test_kqueue_dead_pipe_netbsd },
      { "kqueue", "two-filters", test_kqueue_two_filters },
      { "kqueue", "strange-events", test_kqueue_strange_events },
      { "kqueue", "wait-fails", test_kqueue_wait_fails },
      { "kqueue", "max-timeout", test_kqueue_max_timeout },
      { "kqueue", "device", test_kqueue_device },
      { "kqueue", "calls", test_kqueue_calls },
      { "kqueue", "leftover", test_kqueue_leftover },
      { "devpoll", "narrow", test_devpoll_narrow },
      { "devpoll", "short-writes", test_devpoll_short_writes },
      { "devpoll", "write-fails", test_devpoll_write_fails },
      { "devpoll", "stalls", test_devpoll_stalls },
      { "devpoll", "leftover", test_devpoll_leftover },
      { "devpoll", "offset", test_devpoll_offset },
      { "devpoll", "poll-fails", test_devpoll_poll_fails },
      { "devpoll", "limit", test_devpoll_limit },
      { "devpoll", "no-limit", test_devpoll_no_limit },
      { "devpoll", "calls", test_devpoll_calls },
      { "epoll", "pwait2-missing", test_epoll_pwait2_missing },
      { "epoll", "ctl-fails", test_epoll_ctl_fails },
      { "epoll", "delete-fails", test_epoll_delete_fails },
      { "epoll", "rebuild-fails", test_epoll_rebuild_fails },
      { "epoll", "completed-locked", test_epoll_completed_locked },
      { "epoll", "incomplete-reinit", test_epoll_incomplete_reinit },
      { "epoll", "unregistered-meanwhile", test_epoll_unregistered_meanwhile },
    };

  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  g_test_add_func ("/selectors/kqueue-unusable", test_kqueue_unusable);
  g_test_add_func ("/selectors/devpoll-unusable", test_devpoll_unusable);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    backend_add_for (cases[i].backend, cases[i].name, cases[i].func);

  return g_test_run ();
}
