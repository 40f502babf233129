/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"

/* Functions and types of the test-backend-*.c programs. */

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/* The time in seconds that a test waits to see that no descriptor becomes ready. */
#define QUIET 0.02

typedef struct
{
  const char  *name;
  BackendFunc  func;
} BackendTest;

/* Adds the cases, each for every backend. */
void        backend_add_cases (const BackendTest *cases,
                               gsize              n_cases);

/* Makes @number a duplicate of @fd, as if @number had been closed and the next open () had returned it. */
void        reuse             (int                fd,
                               int                number);

gboolean    is_registered     (SelBaseSelector   *selector,
                               int                fd);

/* Checks that @fd, a closed descriptor, is registered but not reported, that a wait does not end early because of it,
 * and that check () returns it and no other descriptor. */
void        assert_dead       (BackendFixture    *fixture,
                               int                fd);

/* Returns the index of @fd, which must be in @fds. */
guint       find_fd           (const int         *fds,
                               guint              n_fds,
                               int                fd);

/* "-", "R", "W" or "RW" */
const char *mask_to_string    (SelEventMask       mask);
