/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>
#include <sys/resource.h>

/* Test cases that run over every backend, as /selector/<backend>/<case>. */

/* How the kernel of a backend recognises a file that it was told to wait for. The kinds differ only if a descriptor is
 * closed before it is unregistered. */
typedef enum
{
  BACKEND_BY_NUMBER,      /* the file that has the number at the time of the wait: select, poll, /dev/poll */
  BACKEND_BY_DESCRIPTOR,  /* the file, until the descriptor is closed: kqueue */
  BACKEND_BY_FILE         /* the file, until the last duplicate of the descriptor is closed: epoll. The selector creates
                           * a new kernel object if it cannot remove a file. */
} BackendIdentity;

/* The tests take the differences between the backends from this table. They do not compare names. A new backend needs
 * one entry; each member that is not set stands for the usual behaviour. */
typedef struct
{
  const char       *name;
  GType           (*get_type)     (void);
  SelBaseSelector *(*new_selector) (GError **error);
  gboolean        (*is_supported) (void);
  int             (*get_fd)       (SelBaseSelector  *selector,
                                   GError          **error);  /* NULL: it has no descriptor */
  guint             preference;             /* place in the order of the default selector, from 1 */
  BackendIdentity   identity;
  gboolean          can_poll_fd;            /* poll () can wait for the descriptor of get_fd () */
  gboolean          refuses_regular_files;  /* register () fails with EPERM for files and directories */
  gboolean          refuses_broken_pipes;   /* WRITE cannot be added for a pipe whose other end is closed */
  gboolean          devices_vary;           /* devices and attributes in sysfs behave differently between systems */
  gboolean          splits_events;          /* the kernel reports READ and WRITE of a descriptor separately */
  gboolean          fails_above_limit;      /* a wait fails with EINVAL for more descriptors than RLIMIT_NOFILE */
} Backend;

#define N_BACKENDS 5

extern const Backend backends[N_BACKENDS];

typedef struct
{
  const Backend   *backend;
  gboolean         mirrored;  /* TRUE if a main loop has to poll each descriptor */
  SelBaseSelector *selector;  /* a case may drop the last reference itself */
  guint            n_open;    /* open descriptors of the process before the selector was created */
} BackendFixture;

typedef void (*BackendFunc) (BackendFixture *fixture);

/* TRUE unless SEL_TEST_BACKENDS=kqueue,poll in the environment limits the run to other backends. backend_add () asks
 * this, too. */
gboolean backend_is_wanted (const Backend *backend);

/* Adds one case for each backend. After @func the fixture must have the only reference to the selector, and the process
 * must have as many open descriptors as before. */
void  backend_add       (const char  *case_name,
                         BackendFunc  func);

/* Like backend_add (), and adds the case once more as /selector/<backend>-mirrored/<case> for the backends whose
 * descriptor a main loop can poll. */
void  backend_add_both_modes (const char  *case_name,
                              BackendFunc  func);

/* Adds one case for the backend called @backend_name only. */
void  backend_add_for   (const char  *backend_name,
                         const char  *case_name,
                         BackendFunc  func);

/* Creates another selector if the case has closed or dropped the one of the fixture. */
void  fixture_renew_selector (BackendFixture *fixture);

gboolean backend_is     (BackendFixture *fixture,
                         const char     *backend_name);

/* Skips the case and returns TRUE for the select backend under valgrind: valgrind 3.19 passes a wrong pointer to the
 * kernel after a signal has interrupted pselect (). */
gboolean skip_signals_of_select (BackendFixture *fixture);

/* Calls _exit (), after it has written the coverage data of the child process in a coverage build. */
G_NORETURN void end_child (int       status);

/* GLib creates the default context when a thread gets a context of its own, and a thread when there is a task. To be
 * called before the descriptors are counted, so that those of GLib do not count as leaks. */
void  open_glib_descriptors (void);

/* The descriptors are non-blocking and close-on-exec. fds[0] is for reading, fds[1] for writing. */
void  open_pipe         (int          fds[2]);
void  open_socketpair   (int          fds[2]);
void  close_pair        (int          fds[2]);

/* A stream socket of @domain, close-on-exec. */
int   open_socket       (int          domain,
                         gboolean     nonblocking);

/* Makes @fd close-on-exec and non-blocking. */
void  prepare_fd        (int          fd);

/* Raises the soft limit of open files to 4096, or to the hard limit if that is lower. Returns the soft limit. */
guint raise_fd_limit    (void);

/* No descriptor can be opened until allow_open (), in any thread. Open descriptors keep working. */
void  forbid_open       (struct rlimit *saved);
void  allow_open        (const struct rlimit *saved);

/* Returns a number of at least 500 that is not a descriptor, and that the next open () does not return. */
int   closed_fd         (void);
guint count_open_fds    (void);

void  put_byte          (int          fd);  /* writes one byte */
void  fill              (int          fd);  /* writes until a write would block */
void  drain             (int          fd);  /* reads until a read would block, or to the end of the file */

/* Calls register () without data, unregister () and modify_events (), which must succeed. */
void  watch             (SelBaseSelector *selector,
                         int              fd,
                         SelEventMask     events);
void  unwatch           (SelBaseSelector *selector,
                         int              fd);
void  rewatch           (SelBaseSelector *selector,
                         int              fd,
                         SelEventMask     events);

/* Checks that select () reports nothing, and does not return before @timeout seconds are over. */
void  assert_quiet      (SelBaseSelector *selector,
                         gdouble          timeout);

/* The result of select () and an expected result as text, "3:R 7:RW", sorted by number. */
char *ready_to_string   (SelBaseSelector *selector,
                         gdouble          timeout);
char *expected_to_string (int             first_fd,
                          ...);

/* assert_ready (selector, 0, fd, SEL_EVENT_READ, fd2, SEL_EVENT_WRITE, -1) checks that exactly these descriptors are
 * ready, in any order; assert_ready (selector, 0, -1) checks that no descriptor is ready. */
#define assert_ready(selector, timeout, ...)                                 \
  G_STMT_START                                                               \
    {                                                                        \
      g_autofree char *assert_ready_got = ready_to_string (selector, timeout); \
      g_autofree char *assert_ready_want = expected_to_string (__VA_ARGS__); \
      g_assert_cmpstr (assert_ready_got, ==, assert_ready_want);             \
    }                                                                        \
  G_STMT_END

/* assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED) checks the error and clears it. */
#define assert_failed(error_p, error_domain, error_code)                     \
  G_STMT_START                                                               \
    {                                                                        \
      g_assert_error (*(error_p), error_domain, (int) (error_code));         \
      g_clear_error (error_p);                                               \
    }                                                                        \
  G_STMT_END
