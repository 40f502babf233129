/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backends.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
backend_epoll_get_fd (SelBaseSelector  *selector,
                      GError          **error)
{
  return sel_epoll_selector_get_fd (SEL_EPOLL_SELECTOR (selector), error);
}

static int
backend_devpoll_get_fd (SelBaseSelector  *selector,
                        GError          **error)
{
  return sel_devpoll_selector_get_fd (SEL_DEVPOLL_SELECTOR (selector), error);
}

static int
backend_kqueue_get_fd (SelBaseSelector  *selector,
                       GError          **error)
{
  return sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (selector), error);
}

const Backend backends[N_BACKENDS] =
{
  {
    .name = "select",
    .get_type = sel_select_selector_get_type,
    .new_selector = sel_select_selector_new,
    .is_supported = sel_select_selector_is_supported,
    .preference = 5,
  },
  {
    .name = "poll",
    .get_type = sel_poll_selector_get_type,
    .new_selector = sel_poll_selector_new,
    .is_supported = sel_poll_selector_is_supported,
    .preference = 4,
    .fails_above_limit = TRUE,
  },
  {
    .name = "epoll",
    .get_type = sel_epoll_selector_get_type,
    .new_selector = sel_epoll_selector_new,
    .is_supported = sel_epoll_selector_is_supported,
    .get_fd = backend_epoll_get_fd,
    .preference = 2,
    .identity = BACKEND_BY_FILE,
    .can_poll_fd = TRUE,
    .refuses_regular_files = TRUE,
  },
  {
    .name = "devpoll",
    .get_type = sel_devpoll_selector_get_type,
    .new_selector = sel_devpoll_selector_new,
    .is_supported = sel_devpoll_selector_is_supported,
    .get_fd = backend_devpoll_get_fd,
    .preference = 3,
  },
  {
    .name = "kqueue",
    .get_type = sel_kqueue_selector_get_type,
    .new_selector = sel_kqueue_selector_new,
    .is_supported = sel_kqueue_selector_is_supported,
    .get_fd = backend_kqueue_get_fd,
    .preference = 1,
    .identity = BACKEND_BY_DESCRIPTOR,
    .can_poll_fd = TRUE,
    .refuses_regular_files = TRUE,
    .refuses_broken_pipes = TRUE,
    .devices_vary = TRUE,
    .splits_events = TRUE,
  },
};

typedef struct
{
  const Backend *backend;
  BackendFunc    func;
  gboolean       mirrored;
} BackendCase;

void
fixture_renew_selector (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;

  if (fixture->selector != NULL && !sel_base_selector_is_closed (fixture->selector))
    return;

  if (fixture->selector != NULL)
    g_assert_finalize_object (G_OBJECT (fixture->selector));

  fixture->selector = fixture->backend->new_selector (&error);
  g_assert_no_error (error);
  g_assert_true (SEL_IS_BASE_SELECTOR (fixture->selector));
  sel_base_selector_set_force_mirrored (fixture->selector, fixture->mirrored);
}

static void
backend_run (gconstpointer data)
{
  const BackendCase *test_case = data;
  BackendFixture fixture = { .backend = test_case->backend, .mirrored = test_case->mirrored };

  if (!test_case->backend->is_supported ())
    {
      g_autofree char *reason = g_strdup_printf ("this system has no %s", test_case->backend->name);

      g_test_skip (reason);
      return;
    }

  fixture.n_open = count_open_fds ();
  fixture_renew_selector (&fixture);

  test_case->func (&fixture);

  if (fixture.selector != NULL)
    g_assert_finalize_object (G_OBJECT (fixture.selector));

  g_assert_cmpuint (count_open_fds (), ==, fixture.n_open);
}

gboolean
backend_is_wanted (const Backend *backend)
{
  const char *names = g_getenv ("SEL_TEST_BACKENDS");
  g_auto (GStrv) list = NULL;

  if (names == NULL)
    return TRUE;

  list = g_strsplit (names, ",", -1);

  return g_strv_contains ((const char *const *) list, backend->name);
}

static void
backend_add_one (const Backend *backend,
                 const char    *case_name,
                 BackendFunc    func,
                 gboolean       mirrored)
{
  g_autofree char *path = g_strdup_printf ("/selector/%s%s/%s", backend->name, mirrored ? "-mirrored" : "",
                                           case_name);
  BackendCase *test_case;

  if (!backend_is_wanted (backend))
    return;

  test_case = g_new (BackendCase, 1);
  *test_case = (BackendCase) { backend, func, mirrored };
  g_test_add_data_func_full (path, test_case, backend_run, g_free);
}

void
backend_add (const char  *case_name,
             BackendFunc  func)
{
  for (guint i = 0; i < N_BACKENDS; i++)
    backend_add_one (&backends[i], case_name, func, FALSE);
}

void
backend_add_both_modes (const char  *case_name,
                        BackendFunc  func)
{
  backend_add (case_name, func);
  for (guint i = 0; i < N_BACKENDS; i++)
    if (backends[i].can_poll_fd)
      backend_add_one (&backends[i], case_name, func, TRUE);
}

void
backend_add_for (const char  *backend_name,
                 const char  *case_name,
                 BackendFunc  func)
{
  for (guint i = 0; i < N_BACKENDS; i++)
    if (g_str_equal (backends[i].name, backend_name))
      {
        backend_add_one (&backends[i], case_name, func, FALSE);
        return;
      }

  g_assert_not_reached ();
}

gboolean
backend_is (BackendFixture *fixture,
            const char     *backend_name)
{
  return g_str_equal (fixture->backend->name, backend_name);
}

gboolean
skip_signals_of_select (BackendFixture *fixture)
{
  const char *preload = g_getenv ("LD_PRELOAD");

  if (!backend_is (fixture, "select") || preload == NULL || strstr (preload, "vgpreload") == NULL)
    return FALSE;

  g_test_skip ("valgrind cannot interrupt pselect ()");
  return TRUE;
}

static void
set_nonblocking (int fds[2])
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 2; i++)
    {
      g_unix_set_fd_nonblocking (fds[i], TRUE, &error);
      g_assert_no_error (error);
    }
}

#ifdef WITH_COVERAGE
extern void __gcov_dump (void);
#endif

void
end_child (int status)
{
#ifdef WITH_COVERAGE
  __gcov_dump ();
#endif
  _exit (status);
}

void
open_glib_descriptors (void)
{
  g_main_context_default ();
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));
}

void
open_pipe (int fds[2])
{
  g_autoptr (GError) error = NULL;

  g_unix_open_pipe (fds, FD_CLOEXEC, &error);
  g_assert_no_error (error);
  set_nonblocking (fds);
}

void
open_socketpair (int fds[2])
{
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));

  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (fcntl (fds[i], F_SETFD, FD_CLOEXEC));

  set_nonblocking (fds);
}

void
prepare_fd (int fd)
{
  g_assert_no_errno (fcntl (fd, F_SETFD, FD_CLOEXEC));
  g_assert_no_errno (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) | O_NONBLOCK));
}

int
open_socket (int      domain,
             gboolean nonblocking)
{
  int fd = socket (domain, SOCK_STREAM, 0);

  g_assert_no_errno (fd);
  if (nonblocking)
    prepare_fd (fd);
  else
    g_assert_no_errno (fcntl (fd, F_SETFD, FD_CLOEXEC));

  return fd;
}

void
close_pair (int fds[2])
{
  close (fds[0]);
  close (fds[1]);
}

guint
raise_fd_limit (void)
{
  const rlim_t wanted = 4096;
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));

  if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max)
    {
      limit.rlim_cur = MIN (limit.rlim_max, wanted);
      (void) setrlimit (RLIMIT_NOFILE, &limit);
      g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
    }

  return (guint) MIN (limit.rlim_cur, G_MAXINT);
}

/* The new limit is the first free number, and no less, because poll () refuses more descriptors than the limit. */
void
forbid_open (struct rlimit *saved)
{
  struct rlimit none;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, saved));
  none = *saved;
  for (none.rlim_cur = 3; none.rlim_cur < saved->rlim_cur; none.rlim_cur++)
    if (fcntl ((int) none.rlim_cur, F_GETFD) < 0)
      break;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));
}

void
allow_open (const struct rlimit *saved)
{
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, saved));
}

int
closed_fd (void)
{
  int pipe_fds[2];
  int fd;

  raise_fd_limit ();
  open_pipe (pipe_fds);
  fd = fcntl (pipe_fds[0], F_DUPFD_CLOEXEC, 500);
  g_assert_no_errno (fd);
  close (fd);
  close_pair (pipe_fds);

  return fd;
}

guint
count_open_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  guint n = 0;

  if (dir == NULL)
    dir = opendir ("/dev/fd");

  g_assert_nonnull (dir);

  while (readdir (dir) != NULL)
    n++;

  closedir (dir);
  return n;
}

void
put_byte (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

void
fill (int fd)
{
  static const char bytes[4096] = "";

  while (write (fd, bytes, sizeof bytes) > 0)
    ;

  g_assert_cmpint (errno, ==, EAGAIN);

  while (write (fd, bytes, 1) > 0)
    ;

  g_assert_cmpint (errno, ==, EAGAIN);
}

void
drain (int fd)
{
  char bytes[4096];
  gssize n;

  do
    n = read (fd, bytes, sizeof bytes);
  while (n > 0);

  if (n < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
}

void
watch (SelBaseSelector *selector,
       int              fd,
       SelEventMask     events)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  ok = sel_base_selector_register (selector, fd, events, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
}

void
unwatch (SelBaseSelector *selector,
         int              fd)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  ok = sel_base_selector_unregister (selector, fd, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
}

void
rewatch (SelBaseSelector *selector,
         int              fd,
         SelEventMask     events)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  ok = sel_base_selector_modify_events (selector, fd, events, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
}

void
assert_quiet (SelBaseSelector *selector,
              gdouble          timeout)
{
  gint64 start = g_get_monotonic_time ();

  assert_ready (selector, timeout, -1);

  /* The clock returns whole microseconds, but the wait may use nanoseconds: allow for the rounding. */
  g_assert_cmpint (g_get_monotonic_time () - start + 1, >=, (gint64) (timeout * 1e6));
}

typedef struct
{
  int          fd;
  SelEventMask events;
} FdEvents;

static int
fd_events_compare (gconstpointer a,
                   gconstpointer b)
{
  return ((const FdEvents *) a)->fd - ((const FdEvents *) b)->fd;
}

static char *
fd_events_to_string (GArray *array)
{
  GString *text = g_string_new (NULL);

  g_array_sort (array, fd_events_compare);

  for (guint i = 0; i < array->len; i++)
    {
      const FdEvents *entry = &g_array_index (array, FdEvents, i);

      g_string_append_printf (text, "%s%d:%s%s", i > 0 ? " " : "", entry->fd,
                              (entry->events & SEL_EVENT_READ) != 0 ? "R" : "",
                              (entry->events & SEL_EVENT_WRITE) != 0 ? "W" : "");
    }

  return g_string_free (text, FALSE);
}

char *
ready_to_string (SelBaseSelector *selector,
                 gdouble          timeout)
{
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof (FdEvents));
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  ready = sel_base_selector_select (selector, timeout, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (ready);

  for (guint i = 0; i < ready->len; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (ready, i);
      FdEvents entry =
        {
          sel_selector_key_get_fd (sel_selector_event_get_key (event)),
          sel_selector_event_get_events (event)
        };

      g_array_append_val (array, entry);
    }

  return fd_events_to_string (array);
}

char *
expected_to_string (int first_fd,
                    ...)
{
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof (FdEvents));
  va_list args;

  va_start (args, first_fd);

  for (int fd = first_fd; fd >= 0; fd = va_arg (args, int))
    {
      FdEvents entry = { fd, va_arg (args, int) };

      g_array_append_val (array, entry);
    }

  va_end (args);
  return fd_events_to_string (array);
}
