/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

G_BEGIN_DECLS

/* A selector whose kernel is a script. It records what the core asks of it, keeps a model
 * of the kernel's set, fails when told to, and never blocks.
 *
 * The core's own descriptor, the first one added after open(), stays out of the log and of
 * the model, and behaves like a real one: wait() reports it whenever it can be read. */

#define FAKE_TYPE_SELECTOR (fake_selector_get_type ())

G_DECLARE_FINAL_TYPE (FakeSelector, fake_selector, FAKE, SELECTOR, SelBaseSelector)

/* Ends the arguments of fake_selector_push(). */
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

/* The next such call fails; with a domain of 0 it sets no error. FAKE_WAKE is the update()
 * that adds the core's own descriptor. A failing wait() is a step of the script. */
void          fake_selector_fail            (FakeSelector *self,
                                             FakeCall      call,
                                             GQuark        domain,
                                             int           code);

/* The script: what one wait() after the other does. A step without reports is a wait that
 * returns early. Past the end of the script a wait without an end aborts. */
void          fake_selector_push            (FakeSelector *self,
                                             ...);
void          fake_selector_push_call       (FakeSelector *self,
                                             FakeFunc      func,
                                             gpointer      user_data);
void          fake_selector_push_error      (FakeSelector *self,
                                             GQuark        domain,
                                             int           code);
guint         fake_selector_get_n_steps     (FakeSelector *self);

/* Runs inside each update() of a descriptor that is not the core's own. */
void          fake_selector_set_update_func (FakeSelector *self,
                                             FakeFunc      func,
                                             gpointer      user_data);

/* The log has words like "open", "update(5,0,1)", "wait" and "release(0)". Asserting takes
 * it away. */
void          fake_selector_assert_log      (FakeSelector *self,
                                             const char   *format,
                                             ...) G_GNUC_PRINTF (2, 3);
void          fake_selector_clear_log       (FakeSelector *self);
const char   *fake_selector_get_log         (FakeSelector *self);

/* The time-outs of all calls of wait() since the last clearing of the log. */
guint         fake_selector_get_n_waits     (FakeSelector *self);
gdouble       fake_selector_get_timeout     (FakeSelector *self,
                                             guint         index);

/* The model: what the kernel waits for on @fd, 0 if it does not know it. */
SelEventMask  fake_selector_get_mask        (FakeSelector *self,
                                             int           fd);
guint         fake_selector_get_n_watched   (FakeSelector *self);
int           fake_selector_get_wake_fd     (FakeSelector *self);

/* Of all fake selectors together, because a selector cannot be asked once it is gone. */
guint         fake_selector_get_n_releases  (void);

G_END_DECLS
