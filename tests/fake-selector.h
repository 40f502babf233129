/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

G_BEGIN_DECLS

/* A selector whose kernel is scripted. It records the calls of the core, models the kernel's set of descriptors,
 * fails on request, and never blocks.
 *
 * The core's own descriptor is the first one that is added after open (). It is neither logged nor part of the
 * model, and it behaves like a real one: wait () reports it whenever it is readable. */

#define FAKE_TYPE_SELECTOR (fake_selector_get_type ())

G_DECLARE_FINAL_TYPE (FakeSelector, fake_selector, FAKE, SELECTOR, SelBaseSelector)

/* Ends the arguments of fake_selector_push (). */
#define FAKE_END G_MININT

typedef enum
{
  FAKE_OPEN,
  FAKE_WAKE,
  FAKE_UPDATE,
  FAKE_N_CALLS
} FakeCall;

typedef void (*FakeFunc) (FakeSelector *self,
                          gpointer      user_data);

FakeSelector *fake_selector_new             (void);

/* Makes the next call of this kind fail. With a domain of 0 it sets no error. FAKE_WAKE is the update () that adds
 * the core's own descriptor. A failing wait () is a step of the script. */
void          fake_selector_fail            (FakeSelector *self,
                                             FakeCall      call,
                                             GQuark        domain,
                                             int           code);

/* Appends a step to the script: the reports of one wait (). A step without reports is a wait that returns early. A
 * wait with an infinite timeout aborts after the end of the script. */
void          fake_selector_push            (FakeSelector *self,
                                             ...);
void          fake_selector_push_call       (FakeSelector *self,
                                             FakeFunc      func,
                                             gpointer      user_data);
void          fake_selector_push_error      (FakeSelector *self,
                                             GQuark        domain,
                                             int           code);
guint         fake_selector_get_n_steps     (FakeSelector *self);

/* Sets a function that runs inside each update () of a descriptor other than the core's own. */
void          fake_selector_set_update_func (FakeSelector *self,
                                             FakeFunc      func,
                                             gpointer      user_data);

/* Compares the log, which has words such as "open", "update(5,0,1)", "wait" and "release(0)", and empties it. */
void          fake_selector_assert_log      (FakeSelector *self,
                                             const char   *format,
                                             ...) G_GNUC_PRINTF (2, 3);
void          fake_selector_clear_log       (FakeSelector *self);
const char   *fake_selector_get_log         (FakeSelector *self);

/* The timeouts of all wait () calls since the log was last emptied. */
guint         fake_selector_get_n_waits     (FakeSelector *self);
gdouble       fake_selector_get_timeout     (FakeSelector *self,
                                             guint         index);

/* The events of @fd in the model of the kernel's set, or 0 if @fd is not in the set. */
SelEventMask  fake_selector_get_mask        (FakeSelector *self,
                                             int           fd);

/* Changes the model, as if the kernel had forgotten @fd. */
void          fake_selector_forget          (FakeSelector *self,
                                             int           fd);
guint         fake_selector_get_n_watched   (FakeSelector *self);
int           fake_selector_get_wake_fd     (FakeSelector *self);

/* Counts for all fake selectors together, because a finalized selector cannot be asked. */
guint         fake_selector_get_n_releases  (void);

G_END_DECLS
