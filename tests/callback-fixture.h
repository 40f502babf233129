/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"

/* The fixture of the tests of callbacks for single descriptors: a main context with a source that has two
 * descriptors. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct _Loop Loop;

/* A pair of descriptors. The first one is registered with a callback of its own. */
typedef struct
{
  Loop        *loop;
  int          fds[2];
  guint        n_calls;
  SelEventMask events;     /* of the last call */
  gboolean     ignores;    /* the callback does not read */
  gboolean     result;     /* the return value of the callback */
  void       (*act) (Loop *loop,
                     guint self);  /* called by the callback with the index of the pair, or NULL */
  int          n_notified; /* atomic */
  GThread     *notified_by;
} Pair;

struct _Loop
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;
  Pair             pairs[2];
  guint            n_calls;   /* of the function of the source */
};

/* The callback of a pair. It checks that its arguments stay valid while act runs. */
gboolean on_own_ready   (SelBaseSelector *selector,
                         SelSelectorKey  *key,
                         SelEventMask     events,
                         gpointer         user_data);

/* The GDestroyNotify of a pair. It counts the calls and records the thread. */
void     on_own_notify  (gpointer         user_data);

void     loop_open      (Loop            *loop,
                         BackendFixture  *fixture);
void     loop_register  (Loop            *loop,
                         guint            i,
                         SelEventMask     events);
void     loop_attach    (Loop            *loop,
                         SelSelectorFunc  func);
void     loop_detach    (Loop            *loop);
void     loop_close     (Loop            *loop);

/* Iterates the context until nothing is left to dispatch. Returns the number of iterations that dispatched a source.
 * Fails after 100 of them. */
guint    loop_settle    (Loop            *loop);

/* Iterates until the callbacks have been called as many times more, settles, and checks that there were no other
 * calls. */
void     loop_expect    (Loop            *loop,
                         guint            n_first,
                         guint            n_second);

/* Actions for a callback. */
void     close_selector (Loop            *loop,
                         guint            self);
void     destroy_source (Loop            *loop,
                         guint            self);
