/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>
#include <sys/resource.h>

/* Test cases that run over every backend, as /selector/<backend>/<case>. */

typedef struct
{
  const char       *name;
  GType           (*get_type)     (void);
  SelBaseSelector *(*new_selector) (GError **error);
  gboolean        (*is_supported) (void);
  int             (*get_fd)       (SelBaseSelector  *selector,
                                   GError          **error);  /* NULL: it has no descriptor */
} Backend;

#define N_BACKENDS 5

extern const Backend backends[N_BACKENDS];

typedef struct
{
  const Backend   *backend;
  gboolean         mirrored;  /* a main loop is to poll each descriptor */
  SelBaseSelector *selector;  /* a case may drop the last reference itself */
  guint            n_open;    /* descriptors of the process before there was the selector */
} BackendFixture;

typedef void (*BackendFunc) (BackendFixture *fixture);

/* One case for each backend. After @func the selector must have no other reference, and
 * the process as many open descriptors as before. */
void  backend_add       (const char  *case_name,
                         BackendFunc  func);

/* The same once more, as /selector/<backend>-mirrored/<case>, for those that a main loop need not
 * mirror. */
void  backend_add_both_modes (const char  *case_name,
                              BackendFunc  func);

/* One case for the backend called @backend_name only. */
void  backend_add_for   (const char  *backend_name,
                         const char  *case_name,
                         BackendFunc  func);

/* Another selector, if the case has closed or dropped the one it had. */
void  fixture_renew_selector (BackendFixture *fixture);

gboolean backend_is     (BackendFixture *fixture,
                         const char     *backend_name);

/* Whether the case has to be left out, and is, because valgrind 3.19 hands the kernel a wrong
 * pointer after a signal interrupted pselect (). */
gboolean skip_signals_of_select (BackendFixture *fixture);

/* _exit (), after what the child process has done was counted, if that is measured */
G_NORETURN void end_child (int       status);

/* Non-blocking, close-on-exec. fds[0] is read from, fds[1] written to. */
void  open_pipe         (int          fds[2]);
void  open_socketpair   (int          fds[2]);
void  close_pair        (int          fds[2]);

/* Until allow_open () nothing can be opened; what is open works on, in other threads too. */
void  forbid_open       (struct rlimit *saved);
void  allow_open        (const struct rlimit *saved);

/* A number from 500 on that is not a descriptor, and that the next open () does not get. */
int   closed_fd         (void);
guint count_open_fds    (void);

void  put_byte          (int          fd);  /* one byte */
void  fill              (int          fd);  /* until a write would block */
void  drain             (int          fd);  /* until a read would block, or the end */

/* register () that must succeed, without data */
void  watch             (SelBaseSelector *selector,
                         int              fd,
                         SelEventMask     events);
void  unwatch           (SelBaseSelector *selector,
                         int              fd);
/* modify_events () that must succeed */
void  rewatch           (SelBaseSelector *selector,
                         int              fd,
                         SelEventMask     events);

/* select () that reports nothing, and not before @timeout seconds are over */
void  assert_quiet      (SelBaseSelector *selector,
                         gdouble          timeout);

/* What select () tells, and what is expected, as text: "3:R 7:RW", by ascending number. */
char *ready_to_string   (SelBaseSelector *selector,
                         gdouble          timeout);
char *expected_to_string (int             first_fd,
                          ...);

/* assert_ready (selector, 0, fd, SEL_EVENT_READ, fd2, SEL_EVENT_WRITE, -1): exactly these
 * are ready, in any order; assert_ready (selector, 0, -1): nothing is. */
#define assert_ready(selector, timeout, ...)                                 \
  G_STMT_START                                                               \
    {                                                                        \
      g_autofree char *assert_ready_got = ready_to_string (selector, timeout); \
      g_autofree char *assert_ready_want = expected_to_string (__VA_ARGS__); \
      g_assert_cmpstr (assert_ready_got, ==, assert_ready_want);             \
    }                                                                        \
  G_STMT_END

/* assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED): checks and clears */
#define assert_failed(error_p, error_domain, error_code)                     \
  G_STMT_START                                                               \
    {                                                                        \
      g_assert_error (*(error_p), error_domain, (int) (error_code));         \
      g_clear_error (error_p);                                               \
    }                                                                        \
  G_STMT_END
