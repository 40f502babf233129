/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each system call of the library fails once, at each place where it is made.
 *
 * The linker puts the functions below between the library and the system (--wrap). A case uses all functions of a
 * selector in many runs: in run n the call n of a function fails, until there is no such call. This is repeated for
 * every error that the manual page of the function lists, and once with all calls from call n on failing. The
 * selector must always report the failure as documented, keep its registrations, work again afterwards, and leak
 * nothing.
 */

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/* The fault to inject. */
static struct
{
  const char *function;
  int errnum;                /* 0: a short write instead of an error */
  int nth;                   /* this many calls until the fault, counted down */
  gboolean lasting;          /* all later calls fail, too */
  gboolean watching;         /* inside a call of the library */
  gboolean struck;
  guint depth;               /* inside a simulator, whose calls do not count */
  guint n_calls;
  guint n_strikes;
} fault;

/* Instead of the name of a function: every function with which a backend waits. */
#define ANY_WAIT "any wait"

static gboolean
fault_is_meant (const char *function)
{
  static const char *const waits[] = {
    "epoll_pwait2", "epoll_wait", "kevent", "poll", "ppoll", "pselect", "sim_devpoll_ioctl", NULL
  };

  if (fault.function == NULL)
    return FALSE;

  return strcmp (fault.function, function) == 0 ||
         (strcmp (fault.function, ANY_WAIT) == 0 && g_strv_contains (waits, function));
}

static gboolean
fault_strikes (const char *function)
{
  if (!fault.watching || fault.depth > 0)
    return FALSE;

  fault.n_calls++;
  if (!fault_is_meant (function) || --fault.nth > 0 || (fault.nth < 0 && !fault.lasting))
    return FALSE;

  fault.struck = TRUE;
  fault.n_strikes++;
  if (fault.errnum != 0)
    errno = fault.errnum;

  return TRUE;
}

/* The parameters with their types, then the names of the parameters. */
#define WRAP(type, function, parameters, arguments)        \
  type __real_##function parameters;                       \
  type __wrap_##function parameters;                       \
                                                           \
  type                                                     \
  __wrap_##function parameters                             \
  {                                                        \
    type result;                                           \
                                                           \
    if (fault_strikes (#function))                         \
      return -1;                                           \
                                                           \
    fault.depth++;                                         \
    result = __real_##function arguments;                  \
    fault.depth--;                                         \
                                                           \
    return result;                                         \
  }

WRAP (int, dup3, (int fd, int to, int flags), (fd, to, flags))
WRAP (int, epoll_create1, (int flags), (flags))
WRAP (int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event), (set, op, fd, event))
WRAP (int, epoll_pwait2, (int set, struct epoll_event *events, int n, const struct timespec *timeout,
                          const sigset_t *mask), (set, events, n, timeout, mask))
WRAP (int, epoll_wait, (int set, struct epoll_event *events, int n, int timeout), (set, events, n, timeout))
WRAP (int, eventfd, (unsigned int value, int flags), (value, flags))
WRAP (int, fcntl64, (int fd, int command, void *argument), (fd, command, argument))
WRAP (int, fstat64, (int fd, void *status), (fd, status))
WRAP (int, getrlimit64, (int resource, void *limit), (resource, limit))
WRAP (int, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))
WRAP (int, kevent, (int queue, const struct kevent *changes, int n_changes, struct kevent *events, int n_events,
                    const struct timespec *timeout), (queue, changes, n_changes, events, n_events, timeout))
WRAP (int, kqueue, (void), ())
WRAP (int, poll, (struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout))
WRAP (int, ppoll, (struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
      (fds, n, timeout, mask))
WRAP (ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP (ssize_t, write, (int fd, const void *buffer, size_t size), (fd, buffer, size))
WRAP (int, sim_devpoll_getrlimit, (int resource, struct rlimit *limit), (resource, limit))
WRAP (int, sim_devpoll_ioctl, (int fd, int request, void *argument), (fd, request, argument))
WRAP (int, sim_devpoll_open, (const char *path, int flags), (path, flags))

/* The first argument of the last pselect (). */
static int n_selected;

int __real_pselect (int n, fd_set *reading, fd_set *writing, fd_set *others, const struct timespec *timeout,
                    const sigset_t *mask);
int __wrap_pselect (int n, fd_set *reading, fd_set *writing, fd_set *others, const struct timespec *timeout,
                    const sigset_t *mask);

int
__wrap_pselect (int                    n,
                fd_set                *reading,
                fd_set                *writing,
                fd_set                *others,
                const struct timespec *timeout,
                const sigset_t        *mask)
{
  int result;

  n_selected = n;
  if (fault_strikes ("pselect"))
    return -1;

  fault.depth++;
  result = __real_pselect (n, reading, writing, others, timeout, mask);
  fault.depth--;

  return result;
}

/* After a short write, the library has to write the rest. */
ssize_t __real_sim_devpoll_pwrite (int fd, const void *buffer, size_t size, off_t offset);
ssize_t __wrap_sim_devpoll_pwrite (int fd, const void *buffer, size_t size, off_t offset);

ssize_t
__wrap_sim_devpoll_pwrite (int         fd,
                           const void *buffer,
                           size_t      size,
                           off_t       offset)
{
  ssize_t result;

  if (fault_strikes ("sim_devpoll_pwrite"))
    {
      if (fault.errnum != 0)
        return -1;
      size /= 2;
    }

  fault.depth++;
  result = size % sizeof (struct pollfd) == 0 && size > 0 ? __real_sim_devpoll_pwrite (fd, buffer, size, offset)
                                                          : (ssize_t) size;
  fault.depth--;

  return result;
}

/* The descriptor is closed even if close () fails. The library must not close a number twice: the number may belong to
 * another file by then. */
#define WRAP_CLOSE(function)                               \
  int __real_##function (int fd);                          \
  int __wrap_##function (int fd);                          \
                                                           \
  int                                                      \
  __wrap_##function (int fd)                               \
  {                                                        \
    gboolean strikes = fault_strikes (#function);          \
    int result;                                            \
                                                           \
    fault.depth++;                                         \
    result = __real_##function (fd);                       \
    fault.depth--;                                         \
    if (fault.watching && fault.depth == 0)                \
      g_assert_cmpint (result, ==, 0);                     \
    if (strikes)                                           \
      errno = fault.errnum;                                \
                                                           \
    return strikes ? -1 : result;                          \
  }

WRAP_CLOSE (close)
WRAP_CLOSE (sim_devpoll_close)

#define END 0

/* The errors that the manual pages list. EFAULT is left out, because it is a mistake of the caller. */
static const struct
{
  const char *function;
  int errnums[12];
} functions[] = {
  { "close", { EINTR, EIO, ENOSPC, EDQUOT, EBADF, END } },
  { "dup3", { EBADF, EBUSY, EINTR, EINVAL, EMFILE, END } },
  { "epoll_create1", { EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS, END } },
  { "epoll_ctl", { EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM, EINTR, END } },
  /* ENOSYS is last, because the library remembers it. */
  { "epoll_pwait2", { EBADF, EINTR, EINVAL, ENOSYS, END } },
  { "epoll_wait", { EBADF, EINTR, EINVAL, END } },
  { "eventfd", { EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, END } },
  { "fcntl64", { EBADF, EACCES, EAGAIN, EINVAL, EINTR, END } },
  { "fstat64", { EBADF, EACCES, ENOMEM, EOVERFLOW, EIO, END } },
  { "getrlimit64", { EINVAL, EPERM, END } },
  { "ioctl", { EBADF, EINVAL, ENOTTY, END } },
  { "kevent", { EACCES, EBADF, EINTR, EINVAL, ENOENT, ENOMEM, ESRCH, EPERM, EPIPE, END } },
  { "kqueue", { EMFILE, ENFILE, ENOMEM, ENOSYS, END } },
  { "poll", { EAGAIN, EINTR, EINVAL, ENOMEM, END } },
  { "ppoll", { EAGAIN, EINTR, EINVAL, ENOMEM, END } },
  { "pselect", { EBADF, EINTR, EINVAL, ENOMEM, END } },
  { "read", { EAGAIN, EINTR, EIO, EBADF, END } },
  { "sim_devpoll_close", { EINTR, EIO, EBADF, END } },
  { "sim_devpoll_getrlimit", { EINVAL, EPERM, END } },
  { "sim_devpoll_ioctl", { EACCES, EBADF, EFAULT, EINTR, EINVAL, ENOMEM, END } },
  { "sim_devpoll_open", { EACCES, EINTR, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENXIO, END } },
  /* A list without errors runs once, with short writes. */
  { "sim_devpoll_pwrite", { EACCES, EBADF, EINTR, EINVAL, ENOMEM, ENXIO, EIO, END } },
  { "sim_devpoll_pwrite", { END } },
  { "write", { EAGAIN, EINTR, EIO, EBADF, END } },
};

/* Evaluates an expression with fault injection. */
#define FAULTY(expression)                                 \
  G_STMT_START                                             \
    {                                                      \
      fault.watching = TRUE;                               \
      expression;                                          \
      fault.watching = FALSE;                              \
    }                                                      \
  G_STMT_END

enum
{
  READY,                     /* a pipe with a byte in it */
  WRITABLE,
  IDLE,
  N_CASES
};

typedef struct
{
  SelBaseSelector *selector;
  int pipes[N_CASES][2];
  int fds[N_CASES];
  int n_data;                /* given to the selector */
} Run;

static int n_data_freed;

static void
free_data (gpointer data)
{
  n_data_freed++;
}

/* Any error must be a system error, or NOT_SUPPORTED, and must follow an injected fault. */
static void
assert_documented (GError *error)
{
  g_assert_nonnull (error);
  g_assert_true (fault.struck);
  g_assert_true (error->domain == SEL_OS_ERROR ||
                 g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED));
  g_assert_cmpstr (error->message, !=, "");
}

static gboolean
run_has (Run *run,
         int  fd)
{
  return sel_selector_mapping_contains (sel_base_selector_get_map (run->selector), fd);
}

static void
run_register (Run          *run,
              int           fd,
              SelEventMask  events)
{
  g_autoptr (GError) error = NULL;
  int n_before = n_data_freed;
  gboolean success;

  if (run_has (run, fd))
    return;

  FAULTY (success = sel_base_selector_register (run->selector, fd, events, run, free_data, &error));
  g_assert_cmpint (n_data_freed, ==, n_before);
  g_assert_cmpint (run_has (run, fd), ==, success);
  if (success)
    run->n_data++;
  else
    assert_documented (error);
}

static void
run_modify (Run          *run,
            int           fd,
            SelEventMask  events)
{
  g_autoptr (GError) error = NULL;
  gboolean success;

  if (!run_has (run, fd))
    return;

  /* If the kernel refuses the change, the key is removed, as documented. */
  FAULTY (success = sel_base_selector_modify_events (run->selector, fd, events, &error));
  g_assert_cmpint (run_has (run, fd), ==, success);
  if (!success)
    assert_documented (error);
}

static void
run_refresh (Run *run,
             int  fd)
{
  g_autoptr (GError) error = NULL;
  gboolean success;

  if (!run_has (run, fd))
    return;

  FAULTY (success = sel_base_selector_refresh (run->selector, fd, &error));
  g_assert_cmpint (run_has (run, fd), ==, success);
  if (!success)
    assert_documented (error);
}

static void
run_unregister (Run *run,
                int  fd)
{
  g_autoptr (GError) error = NULL;
  gboolean had = run_has (run, fd);
  gboolean success;

  FAULTY (success = sel_base_selector_unregister (run->selector, fd, &error));
  g_assert_cmpint (success, ==, had);
  g_assert_false (run_has (run, fd));
}

/* Returns the ready descriptors as text, or NULL after an error. */
static char *
run_select (Run     *run,
            gdouble  timeout,
            gsize    room)
{
  guint size = sel_selector_mapping_get_size (sel_base_selector_get_map (run->selector));
  g_autoptr (GError) error = NULL;
  SelReadyEvent events[16];
  g_autoptr (GString) text = g_string_new (NULL);
  gssize n;

  FAULTY (n = sel_base_selector_select_ready (run->selector, timeout, events, room, NULL, &error));
  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (run->selector)), ==, size);
  if (n < 0)
    {
      assert_documented (error);
      return NULL;
    }

  for (int fd = 0; fd < 1024; fd++)
    for (gssize i = 0; i < n; i++)
      if (events[i].fd == fd)
        g_string_append_printf (text, "%d:%u ", fd, events[i].events);

  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* A descriptor that is closed before it is unregistered, while a duplicate keeps its file open. */
static void
run_stale (Run *run)
{
  int fds[2];
  int copy;

  open_pipe (fds);
  put_byte (fds[1]);
  run_register (run, fds[0], SEL_EVENT_READ);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  close (fds[0]);
  run_unregister (run, fds[0]);
  g_free (run_select (run, 0, 16));
  g_free (run_select (run, 1e-4, 1));
  close (copy);
  close (fds[1]);
}

static void
run_closed (Run *run)
{
  g_autoptr (GPtrArray) closed = NULL;
  int fds[2];

  open_pipe (fds);
  run_register (run, fds[0], SEL_EVENT_READ);
  run_register (run, fds[1], SEL_EVENT_READ);
  close_pair (fds);
  g_free (run_select (run, 0, 16));
  FAULTY (closed = sel_base_selector_check (run->selector, NULL));
  g_assert_nonnull (closed);
  run_unregister (run, fds[0]);
  run_unregister (run, fds[1]);
}

static void
run_always_ready (Run *run)
{
  int fd = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  sel_base_selector_set_emulate_always_ready (run->selector, TRUE);
  run_register (run, fd, SEL_EVENT_READ);
  g_free (run_select (run, 0.01, 16));
  close (fd);
  g_free (run_select (run, 0, 16));
  run_unregister (run, fd);
  sel_base_selector_set_emulate_always_ready (run->selector, FALSE);
}

static gboolean
ignore_ready (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  return G_SOURCE_CONTINUE;
}

static void
run_done (GObject      *object,
          GAsyncResult *result,
          gpointer      user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;

  fault.watching = FALSE;
  ready = sel_base_selector_select_finish (SEL_BASE_SELECTOR (object), result, &error);
  if (ready == NULL)
    assert_documented (error);
  *(gboolean *) user_data = TRUE;
}

static void
run_main_loop (Run      *run,
               gboolean  mirrored)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  gboolean done = FALSE;
  guint id;

  g_main_context_push_thread_default (context);
  g_object_set (run->selector, "force-mirrored", mirrored, NULL);
  id = sel_base_selector_attach (run->selector, context, G_PRIORITY_DEFAULT, ignore_ready, NULL, NULL);
  g_assert_cmpuint (id, !=, 0);

  /* After eight calls the selector checks the callback's descriptor for a hang-up. */
  for (guint i = 0; i < 10; i++)
    FAULTY (g_main_context_iteration (context, FALSE));
  if (g_main_context_find_source_by_id (context, id) != NULL)
    g_source_destroy (g_main_context_find_source_by_id (context, id));

  sel_base_selector_select_async (run->selector, 0.001, G_PRIORITY_DEFAULT, NULL, run_done, &done);
  while (!done)
    FAULTY (g_main_context_iteration (context, TRUE));

  g_object_set (run->selector, "force-mirrored", FALSE, NULL);
  g_main_context_pop_thread_default (context);
}

/* After any fault, everything works again. */
static void
run_recover (Run *run)
{
  g_autofree char *expected = NULL;
  g_autofree char *got = NULL;
  g_autofree char *idle = NULL;

  fault.function = NULL;

  /* After these errors the selector had to treat a descriptor as closed, or as one that cannot be polled. */
  if (fault.struck && (fault.errnum == EBADF || fault.errnum == EPERM || fault.errnum == EPIPE))
    for (guint i = 0; i < N_CASES; i++)
      run_refresh (run, run->fds[i]);

  for (guint i = 0; i < N_CASES; i++)
    run_register (run, run->fds[i], i == WRITABLE ? SEL_EVENT_WRITE : SEL_EVENT_READ);
  for (guint i = 0; i < N_CASES; i++)
    run_modify (run, run->fds[i], i == WRITABLE ? SEL_EVENT_WRITE : SEL_EVENT_READ);

  got = ready_to_string (run->selector, 1);
  expected = expected_to_string (run->fds[READY], SEL_EVENT_READ, run->fds[WRITABLE], SEL_EVENT_WRITE, -1);
  g_assert_cmpstr (got, ==, expected);

  /* When no descriptor is ready, a wait blocks and does not call the kernel again and again. */
  run_unregister (run, run->fds[READY]);
  run_unregister (run, run->fds[WRITABLE]);
  fault.n_calls = 0;
  idle = run_select (run, 0.002, 16);
  g_assert_cmpstr (idle, ==, "");
  g_assert_cmpuint (fault.n_calls, <, 12);
}

static guint n_faults;

/* Makes every system call of the library. */
static void
run_all (const Backend *backend)
{
  guint n_open = count_open_fds ();
  g_autoptr (GError) error = NULL;
  gboolean success;
  Run run = { 0 };

  n_data_freed = 0;
  for (guint i = 0; i < N_CASES; i++)
    {
      open_pipe (run.pipes[i]);
      run.fds[i] = run.pipes[i][i == WRITABLE];
    }
  put_byte (run.pipes[READY][1]);

  FAULTY (run.selector = backend->new_selector (&error));
  if (run.selector == NULL)
    {
      assert_documented (error);
      goto out;
    }

  run_register (&run, run.fds[READY], SEL_EVENT_READ);
  run_register (&run, run.fds[WRITABLE], SEL_EVENT_WRITE);
  run_register (&run, run.fds[IDLE], SEL_EVENT_READ);
  g_free (run_select (&run, 0, 16));
  run_modify (&run, run.fds[READY], BOTH);
  run_modify (&run, run.fds[WRITABLE], SEL_EVENT_READ);
  run_modify (&run, run.fds[IDLE], SEL_EVENT_WRITE);
  g_free (run_select (&run, 1e-4, 1));
  run_modify (&run, run.fds[WRITABLE], SEL_EVENT_WRITE);
  run_modify (&run, run.fds[READY], SEL_EVENT_READ);
  run_modify (&run, run.fds[IDLE], SEL_EVENT_READ);
  run_refresh (&run, run.fds[READY]);
  run_unregister (&run, run.fds[READY]);
  run_unregister (&run, run.fds[WRITABLE]);
  g_free (run_select (&run, 1e-4, 16));
  run_register (&run, run.fds[READY], SEL_EVENT_READ);
  FAULTY (sel_base_selector_wakeup (run.selector));
  g_free (run_select (&run, 1, 16));

  run_stale (&run);
  run_closed (&run);
  run_always_ready (&run);
  run_main_loop (&run, FALSE);
  run_main_loop (&run, TRUE);

  FAULTY (success = sel_base_selector_reinit (run.selector, &error));
  if (!success)
    {
      assert_documented (error);
      g_clear_error (&error);
      g_assert_true (sel_base_selector_reinit (run.selector, &error));
      g_assert_no_error (error);
    }
  g_free (run_select (&run, 0, 16));

  run_recover (&run);

  FAULTY (sel_base_selector_close (run.selector));
  g_assert_finalize_object (G_OBJECT (run.selector));

out:
  for (guint i = 0; i < N_CASES; i++)
    close_pair (run.pipes[i]);
  g_assert_cmpint (n_data_freed, ==, run.n_data);

  /* The first run is left out, because GLib opens some descriptors once. */
  if (n_faults > 0)
    g_assert_cmpuint (count_open_fds (), ==, n_open);
}

/* Returns the number of places at which the function was called. */
static guint
inject (const Backend *backend,
        const char    *function,
        int            errnum,
        gboolean       lasting)
{
  for (int n = 1;; n++)
    {
      memset (&fault, 0, sizeof fault);
      fault.lasting = lasting;
      fault.function = function;
      fault.errnum = errnum;
      fault.nth = n;
      run_all (backend);
      if (!fault.struck)
        return (guint) n - 1;
      n_faults++;
    }
}

static void
test_faults (gconstpointer data)
{
  const Backend *backend = data;
  guint n_before = n_faults;

  memset (&fault, 0, sizeof fault);
  run_all (backend);

  for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
    {
      const int *errnums = functions[i].errnums;
      gboolean has_lasted = FALSE;
      guint j = 0;

      do
        {
          guint n = inject (backend, functions[i].function, errnums[j], FALSE);

          if (n > 0)
            g_test_message ("%s: %s, %s: %u calls", backend->name, functions[i].function, g_strerror (errnums[j]), n);
          if (n == 0)
            break;

          /* A lasting fault has the same effect with every error, apart from errors after which the library retries
           * the call or treats a descriptor as closed. One error is enough. */
          if (!has_lasted && errnums[j] != EINTR && errnums[j] != EAGAIN && errnums[j] != EBADF)
            {
              inject (backend, functions[i].function, errnums[j], TRUE);
              has_lasted = TRUE;
            }
        }
      while (errnums[++j] != END && errnums[j - 1] != END);
    }

  g_assert_cmpuint (n_faults - n_before, >, 100);
  g_test_message ("%u faults in %s", n_faults - n_before, backend->name);
}

/*
 * --- A main loop continues after a fault has ended ---
 */

static guint n_warnings;

typedef struct
{
  const Backend *backend;
  gboolean mirrored;
} LoopCase;

static gboolean
count_ready (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  (*(guint *) user_data)++;

  return G_SOURCE_CONTINUE;
}

/* No fault yet. @context gets a source that counts in @n_ready, and a byte is in the pipe @fds. */
static GSource *
loop_case_start (const LoopCase  *loop_case,
                 SelBaseSelector *selector,
                 GMainContext    *context,
                 int              fds[2],
                 guint           *n_ready)
{
  GSource *source;

  memset (&fault, 0, sizeof fault);
  n_warnings = 0;
  sel_base_selector_set_force_mirrored (selector, loop_case->mirrored);
  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);
  source = sel_base_selector_create_dispatch_source (selector, count_ready, n_ready, NULL);
  g_source_attach (source, context);

  return source;
}

static void
run_trouble (const LoopCase *loop_case,
             int             errnum,
             gboolean        goes_away)
{
  g_autoptr (SelBaseSelector) selector = loop_case->backend->new_selector (NULL);
  g_autoptr (GMainContext) context = g_main_context_new ();
  GSource *source;
  guint n_ready = 0;
  guint n_tenths;
  gint64 start;
  int fds[2];

  source = loop_case_start (loop_case, selector, context, fds, &n_ready);
  g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (n_ready, ==, 1);

  fault.function = ANY_WAIT;
  fault.errnum = errnum;
  fault.lasting = TRUE;
  start = g_get_monotonic_time ();
  for (guint i = 0; i < 100; i++)
    FAULTY (g_main_context_iteration (context, FALSE));
  n_tenths = (guint) ((g_get_monotonic_time () - start) / (G_USEC_PER_SEC / 10));
  g_assert_cmpuint (n_ready, ==, 1);
  g_assert_cmpuint (fault.n_strikes, >=, 1);
  g_assert_cmpuint (fault.n_strikes, <=, 1 + n_tenths);
  g_assert_cmpuint (n_warnings, >=, 1);
  g_assert_cmpuint (n_warnings, <=, 1 + n_tenths / 10);
  g_assert_cmpint (g_source_is_destroyed (source), ==, !goes_away);

  fault.function = NULL;
  if (goes_away)
    {
      int more[2];

      /* Changes that were made during the fault are applied, too. */
      open_pipe (more);
      put_byte (more[1]);
      watch (selector, more[0], SEL_EVENT_READ);
      unwatch (selector, fds[0]);
      while (n_ready < 3)
        g_main_context_iteration (context, TRUE);
      unwatch (selector, more[0]);
      close_pair (more);
    }

  g_source_destroy (source);
  g_source_unref (source);
  close_pair (fds);
}

/* A main loop polls one descriptor of epoll and of kqueue. */
static gboolean
is_mirrored (const Backend *backend)
{
  return !g_str_equal (backend->name, "epoll") && !g_str_equal (backend->name, "kqueue");
}

/* The context polls each descriptor, and the mechanism is not asked. Only the check for hang-ups calls poll (). */
static void
test_untroubled (gconstpointer data)
{
  const LoopCase *loop_case = data;
  g_autoptr (SelBaseSelector) selector = loop_case->backend->new_selector (NULL);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = NULL;
  guint n_ready = 0;
  int fds[2];

  source = loop_case_start (loop_case, selector, context, fds, &n_ready);
  fault.function = ANY_WAIT;
  fault.errnum = EIO;
  fault.lasting = TRUE;
  for (guint i = 0; i < 100; i++)
    FAULTY (g_main_context_iteration (context, FALSE));
  g_assert_cmpuint (n_ready, ==, 100);
  g_assert_cmpuint (n_warnings, ==, 0);

  fault.function = NULL;
  g_source_destroy (source);
  close_pair (fds);
}

static void
test_trouble (gconstpointer data)
{
  static const int transient[] = { EAGAIN, ENOMEM, ENOBUFS, EMFILE, ENFILE, ENOSPC };
  static const int lasting[] = { EINVAL, EIO, ENXIO };

  for (guint i = 0; i < G_N_ELEMENTS (transient); i++)
    run_trouble (data, transient[i], TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (lasting); i++)
    run_trouble (data, lasting[i], FALSE);
}

/* After the highest descriptor is unregistered, pselect () gets a lower limit again. */
static void
test_select_range (void)
{
  g_autoptr (SelBaseSelector) selector = sel_select_selector_new (NULL);
  int n_before;
  int fds[2];
  int high;

  memset (&fault, 0, sizeof fault);
  open_pipe (fds);
  high = fcntl (fds[0], F_DUPFD_CLOEXEC, 900);
  g_assert_no_errno (high);
  watch (selector, fds[0], SEL_EVENT_READ);
  assert_ready (selector, 0, -1);
  n_before = n_selected;
  g_assert_cmpint (n_before, >, fds[0]);

  watch (selector, high, SEL_EVENT_READ);
  assert_ready (selector, 0, -1);
  g_assert_cmpint (n_selected, >, high);
  unwatch (selector, high);
  assert_ready (selector, 0, -1);
  g_assert_cmpint (n_selected, ==, n_before);

  close (high);
  close_pair (fds);
}

/* g_source_add_poll () tests whether the source is destroyed before it takes the lock of the context. With this
 * variable, it is destroyed just then, as another thread may do it. */
static gboolean destroys_in_add_poll;

void __real_g_source_add_poll (GSource *source, GPollFD *fd);
void __wrap_g_source_add_poll (GSource *source, GPollFD *fd);

void
__wrap_g_source_add_poll (GSource *source,
                          GPollFD *fd)
{
  if (!destroys_in_add_poll)
    {
      __real_g_source_add_poll (source, fd);
      return;
    }

  g_source_destroy (source);
  g_main_context_add_poll (g_source_get_context (source), fd, g_source_get_priority (source));
}

static guint n_polled;

static int
count_polled (GPollFD *fds,
              guint    n_fds,
              int      timeout)
{
  n_polled = n_fds;

  return g_poll (fds, n_fds, timeout);
}

/* The bell of a source could not be opened at first. When that is possible, the source is destroyed meanwhile. */
static void
test_destroyed_while_polled (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct rlimit saved;
  GSource *source;
  guint n_before;

  g_main_context_set_poll_func (context, count_polled);
  g_main_context_iteration (context, FALSE);
  n_before = n_polled;

  forbid_open (&saved);
  source = sel_base_selector_create_source (selector);
  allow_open (&saved);
  g_source_attach (source, context);

  destroys_in_add_poll = TRUE;
  g_main_context_iteration (context, FALSE);
  destroys_in_add_poll = FALSE;
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);

  g_main_context_iteration (context, FALSE);
  g_assert_cmpuint (n_polled, ==, n_before);
}

static gboolean
is_fatal (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        user_data)
{
  return (level & G_LOG_LEVEL_WARNING) == 0;
}

/* A source whose selector fails is removed from its main loop, or paused, with a warning. */
static void
ignore_warning (const char     *domain,
                GLogLevelFlags  level,
                const char     *message,
                gpointer        user_data)
{
  n_warnings++;
  if (!fault.struck || (strstr (message, "is taken out of the main loop") == NULL &&
                        strstr (message, "tries again") == NULL))
    g_error ("%s", message);
}

int
main (int   argc,
      char *argv[])
{
  /* SEL_DEBUG adds system calls. */
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_test_log_set_fatal_handler (is_fatal, NULL);
  g_log_set_handler ("Sel", G_LOG_LEVEL_WARNING, ignore_warning, NULL);

  for (guint i = 0; i < N_BACKENDS; i++)
    {
      g_autofree char *path = g_strdup_printf ("/faults/%s", backends[i].name);

      if (!backends[i].is_supported () || !backend_is_wanted (&backends[i]))
        continue;

      g_test_add_data_func (path, &backends[i], test_faults);
      for (guint mirrored = 0; mirrored < 2; mirrored++)
        {
          g_autofree char *loop_path = g_strdup_printf ("/faults/%s%s/main-loop", backends[i].name,
                                                        mirrored ? "-mirrored" : "");
          LoopCase *loop_case = g_new (LoopCase, 1);

          *loop_case = (LoopCase) { &backends[i], mirrored };
          g_test_add_data_func_full (loop_path, loop_case,
                                     mirrored || is_mirrored (&backends[i]) ? test_untroubled : test_trouble, g_free);
        }
    }

  g_test_add_func ("/faults/destroyed-while-polled", test_destroyed_while_polled);
  g_test_add_func ("/faults/select/range", test_select_range);

  return g_test_run ();
}
