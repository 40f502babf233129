/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"

/* The fixture of the tests of a selector in a main context. Each case has a main context of its own. The callbacks
 * append each event to a trace: "a:R b:W " means that first a was ready for reading, and then b for writing. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct _State State;

struct _State
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;
  int              a[2];
  int              b[2];
  GString         *trace;

  gboolean         keeps_data;  /* the callback does not read */
  void           (*act) (State *state,
                         int    fd);  /* called by the callback, or NULL */
  gboolean         result;      /* the return value of the callback */

  guint            n_calls;
  int              n_notified;  /* atomic */
  int              file;        /* a file descriptor, for the cases that use one */
};

/* A GDestroyNotify that counts in n_notified. */
void     on_notify           (gpointer         user_data);

/* The callback of a source for dispatching. It checks that its arguments stay valid while act runs. */
gboolean on_ready            (SelBaseSelector *selector,
                              SelSelectorKey  *key,
                              SelEventMask     events,
                              gpointer         user_data);

/* The callback of a plain source. It calls select () itself. */
gboolean on_plain_ready      (gpointer         user_data);

void     state_open          (State           *state,
                              BackendFixture  *fixture);
void     state_detach        (State           *state);

/* Leaves the selector to the fixture, unless the case has dropped it. */
void     state_close         (State           *state);

void     unwatch_all         (SelBaseSelector *selector);

/* An act that unregisters the descriptor of the callback. */
void     unwatch_fd          (State           *state,
                              int              fd);

/* Opens a new socket pair under the same descriptor numbers. */
void     replace_pair        (int              fds[2]);

typedef void (*AttachFunc) (State *state);

/* Attach a source for dispatching, or a plain source; attach_funcs has both. */
void     state_attach        (State           *state);
void     state_attach_plain  (State           *state);

extern const AttachFunc attach_funcs[2];

/* Registers the first end of a and of b, unless the mask is empty. */
void     state_watch         (State           *state,
                              SelEventMask     a_events,
                              SelEventMask     b_events);

/* Iterates the context until nothing is left to dispatch. Fails after 100 iterations. */
void     settle              (State           *state);

/* Compares the trace, and empties it. */
void     assert_trace        (State           *state,
                              const char      *expected);

/* Waits for an event, settles and compares the trace. */
void     expect              (State           *state,
                              const char      *expected);
void     expect_nothing      (State           *state);
