/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-wait-private.h"
#include "room-fixture.h"

/* Functions of the test-wait*.c programs, which test the wait room. */

typedef struct
{
  gdouble        timeout;
  SelWaitFlags   flags;
  gsize          n_events;     /* the size of the array; 0: the list of the selector */
  GCancellable  *cancellable;
} WaitParameters;

/* Waits with an array of the caller, or into the list of the selector. Returns the result as "a:1 b:3". Checks that
 * the lock is free after that, and that no wait is in progress. */
char    *wait_for_text    (Room                  *room,
                           const WaitParameters  *parameters,
                           GError               **error);

/* assert_wait (room, "a:1", timeout, flags, n_events, cancellable) compares the result. The last parameters may be left
 * out. */
#define assert_wait(room, expected, ...)                                                        \
  G_STMT_START                                                                                  \
    {                                                                                           \
      const WaitParameters parameters_ = { __VA_ARGS__ };                                       \
      g_autoptr(GError) error_ = NULL;                                                          \
      g_autofree char *text_ = wait_for_text (room, &parameters_, &error_);                     \
      g_assert_no_error (error_);                                                               \
      g_assert_cmpstr (text_, ==, expected);                                                    \
    }                                                                                           \
  G_STMT_END

/* The same for a wait that fails. */
#define assert_wait_fails(room, domain, code, ...)                                              \
  G_STMT_START                                                                                  \
    {                                                                                           \
      const WaitParameters parameters_ = { __VA_ARGS__ };                                       \
      g_autoptr(GError) error_ = NULL;                                                          \
      g_autofree char *text_ = wait_for_text (room, &parameters_, &error_);                     \
      g_assert_error (error_, domain, code);                                                    \
      g_assert_null (text_);                                                                    \
    }                                                                                           \
  G_STMT_END

/* Compares the time of the i-th wait in the kernel since the log was cleared. */
void     assert_timeout   (Room                  *room,
                           guint                  i,
                           gdouble                expected);

/* A step of the script: lets at least 2 milliseconds of the monotonic clock pass. */
void     let_time_pass    (FakeSelector          *fake,
                           gpointer               user_data);

/* TRUE if the selector's own descriptor is readable. */
gboolean wake_is_pending  (Room                  *room);
