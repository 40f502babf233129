/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/sel-backend-private.h"
#include "room-fixture.h"
#include "sel-base-selector-private.h"
#include "system-facts.h"

static gboolean
ensure_open (SelCore  *core,
             GError  **error)
{
  gboolean success;

  sel_state_lock (core);
  success = sel_lifecycle_ensure_open (core, error);
  sel_state_unlock (core);

  return success;
}

/* Gives the kernel's objects back, as if the program had closed the selector. */
static void
release (SelCore *core)
{
  sel_state_lock (core);
  sel_state_set (core, SEL_STATE_CLOSED);
  sel_lifecycle_release_if_unused (core);
  sel_state_unset (core, SEL_STATE_CLOSED);
  sel_state_unlock (core);
}

typedef gboolean (*OpenFunc) (SelCore  *core,
                              GError  **error);

/* All functions that open the selector. */
static const OpenFunc open_funcs[] = { ensure_open, sel_lifecycle_ensure_open_locking, sel_lifecycle_reinit };

static void
assert_open_fails (SelCore  *core,
                   OpenFunc  func,
                   GQuark    domain,
                   int       code)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (func (core, &error));
  assert_unlocked (core);
  g_assert_error (error, domain, code);
}

static void
assert_opens (SelCore  *core,
              OpenFunc  func)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (func (core, &error));
  g_assert_no_error (error);
  assert_unlocked (core);
  g_assert_true (sel_state_is_usable (core));
}

/* --- Opening --- */

static void
test_open (Room          *room,
           gconstpointer  data)
{
  assert_state (room->core, 0);
  assert_opens (room->core, sel_lifecycle_ensure_open_locking);
  assert_state (room->core, SEL_STATE_OPEN);
  g_assert_cmpint (sel_notify_get_fd (room->core), ==, fake_selector_get_wake_fd (room->fake));
  g_assert_cmpint (sel_notify_get_fd (room->core), >=, 0);
  fake_selector_assert_log (room->fake, "open");

  assert_opens (room->core, sel_lifecycle_ensure_open_locking);
  assert_opens (room->core, ensure_open);
  assert_no_calls (room);
}

static void
test_open_notifies (Room          *room,
                    gconstpointer  data)
{
  for (guint i = 0; i < G_N_ELEMENTS (open_funcs); i++)
    {
      Watcher watcher = { 0 };

      watcher_add (&watcher, room);
      assert_opens (room->core, open_funcs[i]);
      watcher_assert_log (&watcher, "changed(-1)");
      watcher_remove (&watcher);
      release (room->core);
    }
}

/* The slow path, while the selector is open. */
static void
test_open_already (Room          *room,
                   gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_WOKEN);
  assert_opens (room->core, ensure_open);
  assert_opens (room->core, sel_lifecycle_ensure_open_locking);
  assert_no_calls (room);
}

static void
test_open_fails (Room          *room,
                 gconstpointer  data)
{
  for (guint i = 0; i < G_N_ELEMENTS (open_funcs); i++)
    {
      fake_selector_fail (room->fake, FAKE_OPEN, SEL_OS_ERROR, EPROTO);
      assert_open_fails (room->core, open_funcs[i], SEL_OS_ERROR, EPROTO);
      assert_state (room->core, 0);
      fake_selector_assert_log (room->fake, "open");

      fake_selector_fail (room->fake, FAKE_OPEN, SEL_OS_ERROR, EPROTO);
      g_assert_false (sel_lifecycle_reinit (room->core, NULL));
      fake_selector_assert_log (room->fake, "open");

      assert_opens (room->core, sel_lifecycle_reinit);
      release (room->core);
      fake_selector_clear_log (room->fake);
    }
}

/* It is remembered until reinit () tries again. */
static void
test_open_error_stays (Room          *room,
                       gconstpointer  data)
{
  fake_selector_fail (room->fake, FAKE_OPEN, SEL_OS_ERROR, EPROTO);
  assert_open_fails (room->core, ensure_open, SEL_OS_ERROR, EPROTO);
  fake_selector_assert_log (room->fake, "open");
  assert_open_fails (room->core, sel_lifecycle_ensure_open_locking, SEL_OS_ERROR, EPROTO);
  assert_open_fails (room->core, ensure_open, SEL_OS_ERROR, EPROTO);
  assert_no_calls (room);
  g_assert_cmpint (sel_notify_get_fd (room->core), ==, -1);

  /* Another error takes its place. */
  fake_selector_fail (room->fake, FAKE_OPEN, SEL_OS_ERROR, ENOMEM);
  g_assert_false (sel_lifecycle_reinit (room->core, NULL));
  assert_open_fails (room->core, ensure_open, SEL_OS_ERROR, ENOMEM);
  fake_selector_assert_log (room->fake, "open");

  assert_opens (room->core, sel_lifecycle_reinit);
  assert_opens (room->core, ensure_open);
  fake_selector_assert_log (room->fake, "open");
}

static void
test_open_sets_no_error (Room          *room,
                         gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  fake_selector_fail (room->fake, FAKE_OPEN, 0, 0);
  g_assert_false (ensure_open (room->core, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "FakeSelector.open ()"));
}

static gboolean
open_with_error (HookSelector  *self,
                 GError       **error)
{
  g_set_error_literal (error, SEL_OS_ERROR, EPROTO, "An error in spite of success");

  return TRUE;
}

static void
test_open_sets_error_on_success (void)
{
  HookSelector *hook = hook_selector_new ();

  hook->open = open_with_error;
  assert_opens (sel_core (hook), ensure_open);
  g_assert_finalize_object (G_OBJECT (hook));
}

static void
test_wakeup_fails (Room          *room,
                   gconstpointer  data)
{
  guint n_open = count_open_fds ();
  struct rlimit saved;

  forbid_open (&saved);
  assert_open_fails (room->core, ensure_open, SEL_OS_ERROR, EMFILE);
  allow_open (&saved);
  fake_selector_assert_log (room->fake, "open release(0)");
  assert_state (room->core, 0);
  g_assert_cmpuint (count_open_fds (), ==, n_open);

  assert_opens (room->core, sel_lifecycle_reinit);
}

static void
test_arming_wakeup_fails (Room          *room,
                          gconstpointer  data)
{
  Watcher watcher = { 0 };
  guint n_open;

  watcher_add (&watcher, room);
  n_open = count_open_fds ();
  sel_registry_set_poll_fd (room->core, 5);
  fake_selector_fail (room->fake, FAKE_WAKE, SEL_OS_ERROR, ENOSPC);
  assert_open_fails (room->core, ensure_open, SEL_OS_ERROR, ENOSPC);
  fake_selector_assert_log (room->fake, "open release(0)");
  assert_state (room->core, 0);
  g_assert_cmpuint (count_open_fds (), ==, n_open);
  g_assert_cmpint (sel_notify_get_fd (room->core), ==, -1);
  g_assert_cmpint (sel_registry_get_poll_fd (room->core), ==, -1);
  watcher_assert_log (&watcher, "");
  watcher_remove (&watcher);
}

static void
test_ensure_open_refuses (Room          *room,
                          gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);

  sel_state_set (room->core, SEL_STATE_FORKED);
  assert_open_fails (room->core, ensure_open, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED);
  assert_open_fails (room->core, sel_lifecycle_ensure_open_locking, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED);
  assert_no_calls (room);

  sel_base_selector_close (room->selector);
  for (guint i = 0; i < G_N_ELEMENTS (open_funcs); i++)
    assert_open_fails (room->core, open_funcs[i], SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  fake_selector_assert_log (room->fake, "release(1)");
  assert_state (room->core, SEL_STATE_CLOSED);
}

/* CLOSED comes before FORKED. */
static void
test_ensure_open_order (Room          *room,
                        gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  sel_state_set (room->core, SEL_STATE_FORKED | SEL_STATE_CLOSED);
  for (guint i = 0; i < G_N_ELEMENTS (open_funcs); i++)
    assert_open_fails (room->core, open_funcs[i], SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  sel_state_unset (room->core, SEL_STATE_CLOSED);
}

/* --- Virtual functions --- */

static void
assert_busy (SelCore *core)
{
  static const OpenFunc locking[] = { sel_lifecycle_ensure_open_locking, sel_lifecycle_reinit };
  SelBaseSelector *selector = sel_core_get_selector (core);
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_state_in_vfunc (core));
  for (guint i = 0; i < G_N_ELEMENTS (locking); i++)
    {
      g_assert_false (locking[i] (core, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
    }
  g_assert_false (sel_base_selector_register (selector, 0, SEL_EVENT_READ, NULL, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  /* Functions that change nothing work. */
  g_assert_cmpint (sel_base_selector_is_closed (selector), ==, sel_state_has (core, SEL_STATE_CLOSED));
  g_assert_null (sel_base_selector_get_key (selector, 0, NULL));
}

static gboolean
open_and_assert_busy (HookSelector  *self,
                      GError       **error)
{
  assert_busy (sel_core (self));

  return TRUE;
}

static void
release_and_assert_busy (HookSelector *self,
                         gboolean      forked)
{
  assert_busy (sel_core (self));
}

static void
test_vfuncs_are_busy (void)
{
  HookSelector *hook = hook_selector_new ();
  SelCore *core = sel_core (hook);

  hook->open = open_and_assert_busy;
  hook->release = release_and_assert_busy;
  assert_opens (core, ensure_open);
  g_assert_null (sel_state_get_vfunc_thread (core));
  release (core);
  g_assert_null (sel_state_get_vfunc_thread (core));
  assert_unlocked (core);
  g_assert_cmpuint (hook->n_releases, ==, 1);

  hook->release = NULL;
  g_assert_finalize_object (G_OBJECT (hook));
}

static gboolean
open_and_close (HookSelector  *self,
                GError       **error)
{
  sel_base_selector_close (SEL_BASE_SELECTOR (self));
  g_assert_true (sel_base_selector_is_closed (SEL_BASE_SELECTOR (self)));
  g_assert_cmpuint (self->n_releases, ==, 0);

  return TRUE;
}

/* The selector is closed when open () has returned. */
static void
test_close_in_open (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (open_funcs); i++)
    {
      HookSelector *hook = hook_selector_new ();
      SelCore *core = sel_core (hook);

      hook->open = open_and_close;
      open_funcs[i] (core, NULL);
      assert_unlocked (core);
      assert_state (core, SEL_STATE_CLOSED);
      g_assert_cmpuint (hook->n_releases, ==, 1);
      g_assert_finalize_object (G_OBJECT (hook));
    }
}

/* --- Releasing --- */

static void
test_release_once (Room          *room,
                   gconstpointer  data)
{
  guint n_open = count_open_fds ();

  release (room->core);
  assert_no_calls (room);

  assert_opens (room->core, ensure_open);
  sel_registry_set_poll_fd (room->core, 5);
  sel_state_set (room->core, SEL_STATE_WOKEN);
  fake_selector_clear_log (room->fake);
  release (room->core);
  fake_selector_assert_log (room->fake, "release(0)");
  assert_state (room->core, SEL_STATE_WOKEN);
  g_assert_cmpint (sel_notify_get_fd (room->core), ==, -1);
  g_assert_cmpint (sel_registry_get_poll_fd (room->core), ==, -1);
  g_assert_cmpuint (count_open_fds (), ==, n_open);

  release (room->core);
  assert_no_calls (room);
}

static void
test_release_forked (Room          *room,
                     gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_FORKED);
  release (room->core);
  fake_selector_assert_log (room->fake, "release(1)");
  assert_state (room->core, 0);
}

/* --- Opening again --- */

static void
test_reinit (Room          *room,
             gconstpointer  data)
{
  assert_opens (room->core, sel_lifecycle_reinit);
  fake_selector_assert_log (room->fake, "open");
  assert_opens (room->core, sel_lifecycle_reinit);
  fake_selector_assert_log (room->fake, "release(0) open");
  assert_state (room->core, SEL_STATE_OPEN);
}

/* The new wake-up descriptor is readable while a descriptor is always ready. */
static void
test_reinit_always_ready (Room          *room,
                          gconstpointer  data)
{
  GPollFD poll_fd = { .events = G_IO_IN };

  room_watch_always_ready (room, room->a[0], SEL_EVENT_READ);
  fake_selector_fail (room->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);
  assert_opens (room->core, sel_lifecycle_reinit);
  g_assert_true (room_get_slot (room, room->a[0])->always_ready);
  poll_fd.fd = sel_notify_get_fd (room->core);
  g_assert_cmpint (g_poll (&poll_fd, 1, 0), ==, 1);
}

static void
test_reinit_busy (Room          *room,
                  gconstpointer  data)
{
  static const SelStateFlags waits[] = { SEL_STATE_WAITING, SEL_STATE_POLLING };

  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  for (guint i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      sel_state_set (room->core, waits[i]);
      assert_open_fails (room->core, sel_lifecycle_reinit, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
      assert_state (room->core, SEL_STATE_OPEN | waits[i]);
      sel_state_unset (room->core, waits[i]);
    }
  assert_no_calls (room);
}

static void
test_reinit_forked (Room          *room,
                    gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_fork_begin_child ();
  assert_opens (room->core, sel_lifecycle_reinit);
  fake_selector_assert_log (room->fake, "release(1) open");
  assert_state (room->core, SEL_STATE_OPEN);
}

/* A fork while another thread opens the selector: the child has an object that is not open yet. */
static void
test_forked_in_open (Room          *room,
                     gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  sel_state_unset (room->core, SEL_STATE_OPEN);
  fake_selector_clear_log (room->fake);
  sel_fork_begin_child ();
  assert_open_fails (room->core, ensure_open, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED);
  assert_opens (room->core, sel_lifecycle_reinit);
  fake_selector_assert_log (room->fake, "release(1) open");

  /* There is no object before open () has returned, nor after release (). */
  release (room->core);
  sel_state_unset (room->core, SEL_STATE_OPEN);
  room->core->lifecycle.has_object = FALSE;
  fake_selector_clear_log (room->fake);
  sel_fork_begin_child ();
  assert_opens (room->core, ensure_open);
  fake_selector_assert_log (room->fake, "open");
}

static void
release_and_wake (HookSelector *self,
                  gboolean      forked)
{
  SelCore *core = sel_core (self);

  g_assert_true (forked);
  sel_base_selector_wakeup (SEL_BASE_SELECTOR (self));
  g_assert_true (sel_state_has (core, SEL_STATE_WOKEN));
  g_assert_false (sel_notify_drain_wakeup (core));
}

/* Until the child has a wake-up descriptor of its own, sel_base_selector_wakeup() leaves that of the parent alone. */
static void
test_reinit_wakes_no_parent (void)
{
  HookSelector *hook = hook_selector_new ();
  SelCore *core = sel_core (hook);

  hook->release = release_and_wake;
  assert_opens (core, ensure_open);
  sel_fork_begin_child ();
  assert_opens (core, sel_lifecycle_reinit);
  g_assert_cmpuint (hook->n_releases, ==, 1);
  assert_state (core, SEL_STATE_OPEN | SEL_STATE_WOKEN);

  hook->release = NULL;
  g_assert_finalize_object (G_OBJECT (hook));
}

/* A selector that is made in a child process belongs to it. */
static void
test_made_in_child (Room          *room,
                    gconstpointer  data)
{
  HookSelector *hook;

  sel_fork_begin_child ();
  hook = hook_selector_new ();
  g_assert_false (sel_state_is_new_process (sel_core (hook)));
  assert_opens (sel_core (hook), ensure_open);
  g_assert_finalize_object (G_OBJECT (hook));
}

/* The new kernel object is told about each registration; pauses end. */
static void
test_reinit_registrations (Room          *room,
                           gconstpointer  data)
{
  guint32 generation;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->a[1], SEL_EVENT_WRITE);
  room_pause (room, room->a[1], TRUE);
  room_watch (room, room->b[1], SEL_EVENT_WRITE);
  room_pause (room, room->b[1], FALSE);
  generation = room_get_slot (room, room->a[0])->generation;

  assert_opens (room->core, sel_lifecycle_reinit);
  g_assert_cmpuint (fake_selector_get_mask (room->fake, room->a[0]), ==, SEL_EVENT_READ);
  g_assert_cmpuint (fake_selector_get_mask (room->fake, room->a[1]), ==, SEL_EVENT_WRITE);
  g_assert_cmpuint (fake_selector_get_mask (room->fake, room->b[1]), ==, SEL_EVENT_WRITE);
  g_assert_false (room_is_paused (room, room->a[1]));
  g_assert_false (room_is_paused (room, room->b[1]));
  g_assert_cmpuint (room_get_slot (room, room->a[0])->generation, ==, generation);
  assert_state (room->core, SEL_STATE_OPEN);
}

/* A backend has made its kernel object anew: it is told about everything, and so are the watchers. */
static void
test_rearm_all (Room          *room,
                gconstpointer  data)
{
  g_autoptr(GError) error = NULL;
  Watcher watcher = { 0 };

  room_watch (room, room->a[0], SEL_EVENT_READ);
  room_watch (room, room->b[0], SEL_EVENT_READ);
  room_pause (room, room->b[0], FALSE);
  watcher_add (&watcher, room);
  fake_selector_forget (room->fake, room->a[0]);
  sel_state_lock (room->core);
  g_assert_true (sel_backend_rearm_all (room->selector, &error));
  sel_state_unlock (room->core);
  g_assert_no_error (error);
  fake_selector_assert_log (room->fake, "update(%d,0,1)", room->a[0]);
  watcher_assert_log (&watcher, "changed(-1)");
  watcher_remove (&watcher);
}

/* A registered number whose descriptor was closed does not become one of the selector's own. */
static void
test_reinit_keeps_numbers_free (Room          *room,
                                gconstpointer  data)
{
  guint n_open = count_open_fds ();
  int fd = room->a[0];

  room_watch (room, fd, SEL_EVENT_READ);
  close (fd);
  assert_opens (room->core, sel_lifecycle_reinit);
  g_assert_cmpint (fcntl (fd, F_GETFD), <, 0);

  unwatch (room->selector, fd);
  room->a[0] = -1;
  g_assert_cmpuint (count_open_fds (), ==, n_open - 1 + system_count_wakeup_fds ());
}

/* --- Closing: the part of the class --- */

static void
assert_not_released (FakeSelector *fake,
                     gpointer      user_data)
{
  g_assert_null (strstr (fake_selector_get_log (fake), "release"));
  g_assert_true (sel_base_selector_is_closed (SEL_BASE_SELECTOR (fake)));
}

static gboolean
never_called (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  g_assert_not_reached ();
}

typedef struct
{
  Room  *room;
  guint  n_calls;
} Notified;

/* A destroy notify is called without the lock, while the selector is alive. */
static void
on_notify (gpointer user_data)
{
  Notified *notified = user_data;

  notified->n_calls++;
  assert_unlocked (notified->room->core);
  g_assert_true (SEL_IS_BASE_SELECTOR (notified->room->selector));
  g_assert_true (sel_base_selector_is_closed (notified->room->selector));
  g_assert_cmpuint (G_OBJECT (notified->room->selector)->ref_count, >, 1);
}

static void
test_close (Room          *room,
            gconstpointer  data)
{
  Watcher watcher = { .on_closed = assert_not_released };
  Notified of_callback = { room, 0 };
  Notified of_data = { room, 0 };

  watcher_add (&watcher, room);
  g_assert_true (sel_base_selector_register_callback (room->selector, room->a[0], SEL_EVENT_READ, never_called,
                                                      &of_callback, on_notify, NULL));
  g_assert_true (sel_base_selector_register (room->selector, room->b[0], SEL_EVENT_READ, &of_data, on_notify, NULL));
  fake_selector_clear_log (room->fake);
  g_array_set_size (watcher.watcher.changed_fds, 0);
  watcher.watcher.changed_all = FALSE;
  watcher.watcher.flags = 0;

  sel_base_selector_close (room->selector);
  watcher_assert_log (&watcher, "closed");
  fake_selector_assert_log (room->fake, "release(0)");
  assert_state (room->core, SEL_STATE_CLOSED);
  g_assert_cmpuint (of_callback.n_calls, ==, 1);
  g_assert_cmpuint (of_data.n_calls, ==, 1);
  g_assert_cmpuint (sel_registry_get_n_keys (room->core), ==, 0);

  sel_base_selector_close (room->selector);
  assert_no_calls (room);
  watcher_assert_log (&watcher, "");
  watcher_remove (&watcher);
}

/* A closed selector takes no watchers. */
static void
test_close_watchers (Room          *room,
                     gconstpointer  data)
{
  SelWatcher watcher = { 0 };

  sel_base_selector_close (room->selector);
  g_assert_false (sel_notify_add_watcher (room->core, &watcher));
}

static void
count_free (gpointer user_data)
{
  ++*(guint *) user_data;
}

/* The watcher of another thread is told; the kernel's objects are given back when it leaves. */
static void
test_close_foreign_watcher (Room          *room,
                            gconstpointer  data)
{
  Watcher watcher = { .is_foreign = TRUE };
  guint n_freed = 0;

  assert_opens (room->core, ensure_open);
  watcher_add (&watcher, room);
  g_assert_true (sel_base_selector_register_callback (room->selector, room->a[0], SEL_EVENT_READ, never_called,
                                                      &n_freed, count_free, NULL));
  fake_selector_clear_log (room->fake);
  g_array_set_size (watcher.watcher.changed_fds, 0);
  watcher.watcher.flags = 0;

  sel_base_selector_close (room->selector);
  assert_no_calls (room);
  g_assert_cmpuint (n_freed, ==, 0);
  watcher_assert_log (&watcher, "garbage told");
  g_assert_cmpuint (n_freed, ==, 1);

  watcher_remove (&watcher);
  release (room->core);
  fake_selector_assert_log (room->fake, "release(0)");
}

/* The waiting thread gives the kernel's objects back. */
static void
test_close_in_wait (Room          *room,
                    gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_WAITING);
  sel_base_selector_close (room->selector);
  assert_no_calls (room);
  assert_state (room->core, SEL_STATE_OPEN | SEL_STATE_CLOSED | SEL_STATE_WAITING);
  g_assert_true (sel_notify_drain_wakeup (room->core));

  sel_state_unset (room->core, SEL_STATE_WAITING);
  release (room->core);
}

static void
drop_reference (gpointer user_data)
{
  g_object_unref (user_data);
}

/* A destroy notify may drop the last reference. */
static void
test_close_drops_itself (void)
{
  FakeSelector *fake = fake_selector_new ();
  SelBaseSelector *selector = SEL_BASE_SELECTOR (fake);
  gpointer weak = fake;
  int fds[2];

  open_pipe (fds);
  g_object_add_weak_pointer (G_OBJECT (fake), &weak);
  g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, fake, drop_reference, NULL));
  sel_base_selector_close (selector);
  g_assert_null (weak);
  close_pair (fds);
}

/* The thread in update () is told that the selector is closed; the selector finishes that later. */
static void
close_from_update (FakeSelector *fake,
                   gpointer      user_data)
{
  sel_base_selector_close (SEL_BASE_SELECTOR (fake));
  assert_not_released (fake, user_data);
}

static void
test_close_in_update (Room          *room,
                      gconstpointer  data)
{
  Notified notified = { room, 0 };

  fake_selector_set_update_func (room->fake, close_from_update, NULL);
  sel_base_selector_register (room->selector, room->a[0], SEL_EVENT_READ, &notified, on_notify, NULL);
  fake_selector_assert_log (room->fake, "open update(%d,0,1) release(0)", room->a[0]);
  assert_state (room->core, SEL_STATE_CLOSED);
  g_assert_cmpuint (notified.n_calls, ==, 1);
}

/* The first function that is called in a child process: the kernel's objects are the parent's. */
static void
test_close_in_child (Room          *room,
                     gconstpointer  data)
{
  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_fork_begin_child ();
  sel_base_selector_close (room->selector);
  fake_selector_assert_log (room->fake, "release(1)");
}

/* The fork came between the first step of close () in a thread of the parent and the release. */
static void
test_close_half_done_in_child (Room          *room,
                               gconstpointer  data)
{
  guint n_open = count_open_fds ();

  assert_opens (room->core, ensure_open);
  fake_selector_clear_log (room->fake);
  sel_state_set (room->core, SEL_STATE_CLOSED | SEL_STATE_WAITING);
  sel_fork_begin_child ();
  sel_base_selector_close (room->selector);
  fake_selector_assert_log (room->fake, "release(1)");
  assert_state (room->core, SEL_STATE_CLOSED);
  g_assert_cmpuint (count_open_fds (), ==, n_open);

  sel_base_selector_close (room->selector);
  assert_no_calls (room);
}

/* A function that locks notices that the process has forked. */
static void
test_map_locks (Room          *room,
                gconstpointer  data)
{
  sel_fork_begin_child ();
  g_assert_nonnull (sel_base_selector_get_map (room->selector));
  g_assert_false (sel_state_is_new_process (room->core));
}

static void
test_close_map (Room          *room,
                gconstpointer  data)
{
  SelSelectorMapping *map = sel_base_selector_get_map (room->selector);

  g_assert_nonnull (map);
  g_assert_true (sel_base_selector_get_map (room->selector) == map);
  sel_base_selector_close (room->selector);
  g_assert_null (sel_base_selector_get_map (room->selector));
}

/* Programming errors: a critical warning, and a result that does no harm. */
static void
test_misuse (Room          *room,
             gconstpointer  data)
{
  g_autoptr(GError) error = g_error_new_literal (SEL_OS_ERROR, EPROTO, "An error from before");

  g_test_expect_message ("Sel", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  g_assert_true (sel_base_selector_is_closed (NULL));
  g_test_assert_expected_messages ();

  g_test_expect_message ("Sel", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  g_assert_false (sel_base_selector_reinit (room->selector, &error));
  g_test_assert_expected_messages ();
  assert_no_calls (room);
}

/* --- Settings: the part of the class --- */

static void
test_default_settings (Room          *room,
                       gconstpointer  data)
{
  static const guint defaults[SEL_N_SETTINGS] = {
    [SEL_SETTING_MAX_DISPATCH] = 1024,
    [SEL_SETTING_HANGUP_POLICY] = SEL_HANGUP_POLICY_THROTTLE,
  };

  for (guint i = 0; i < SEL_N_SETTINGS; i++)
    g_assert_cmpuint (sel_core_get_setting (room->core, i), ==, defaults[i]);
}

static void
count_notify (GObject    *object,
              GParamSpec *pspec,
              gpointer    user_data)
{
  g_string_append_printf (user_data, "%s ", pspec->name);
}

static void
test_settings (Room          *room,
               gconstpointer  data)
{
  static const struct
  {
    SelSetting  setting;
    guint       value;
    const char *name;
    const char *log;
  } cases[] = {
    { SEL_SETTING_INTERRUPTIBLE, TRUE, "interruptible ", "" },
    { SEL_SETTING_EMULATE_ALWAYS_READY, TRUE, "emulate-always-ready ", "" },
    { SEL_SETTING_FORCE_MIRRORED, TRUE, "force-mirrored ", "changed(-1)" },
    { SEL_SETTING_CAN_RECURSE, TRUE, "can-recurse ", "" },
    { SEL_SETTING_MAX_DISPATCH, 7, "max-dispatch ", "" },
    { SEL_SETTING_HANGUP_POLICY, SEL_HANGUP_POLICY_ONCE, "hangup-policy ", "" },
  };
  g_autoptr(GString) names = g_string_new (NULL);
  Watcher watcher = { 0 };

  watcher_add (&watcher, room);
  g_signal_connect (room->selector, "notify", G_CALLBACK (count_notify), names);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_test_message ("%s", cases[i].name);
      for (guint j = 0; j < 2; j++)
        {
          sel_base_selector_set_setting (room->selector, cases[i].setting, cases[i].value);
          assert_unlocked (room->core);
          g_assert_cmpuint (sel_core_get_setting (room->core, cases[i].setting), ==, cases[i].value);
          g_assert_cmpstr (names->str, ==, j == 0 ? cases[i].name : "");
          watcher_assert_log (&watcher, j == 0 ? cases[i].log : "");
          g_string_truncate (names, 0);
        }
    }
  watcher_remove (&watcher);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/lifecycle/open/ok", test_open);
  room_add ("/lifecycle/open/notifies", test_open_notifies);
  room_add ("/lifecycle/open/already", test_open_already);
  room_add ("/lifecycle/open/fails", test_open_fails);
  room_add ("/lifecycle/open/error-stays", test_open_error_stays);
  room_add ("/lifecycle/open/sets-no-error", test_open_sets_no_error);
  g_test_add_func ("/lifecycle/open/sets-error-on-success", test_open_sets_error_on_success);
  room_add ("/lifecycle/open/wakeup-fails", test_wakeup_fails);
  room_add ("/lifecycle/open/arming-wakeup-fails", test_arming_wakeup_fails);
  room_add ("/lifecycle/open/refuses", test_ensure_open_refuses);
  room_add ("/lifecycle/open/order-of-errors", test_ensure_open_order);
  g_test_add_func ("/lifecycle/vfunc/busy", test_vfuncs_are_busy);
  g_test_add_func ("/lifecycle/vfunc/close-in-open", test_close_in_open);
  room_add ("/lifecycle/vfunc/close-in-update", test_close_in_update);
  room_add ("/lifecycle/release/once", test_release_once);
  room_add ("/lifecycle/release/forked", test_release_forked);
  room_add ("/lifecycle/reinit/ok", test_reinit);
  room_add ("/lifecycle/reinit/always-ready", test_reinit_always_ready);
  room_add ("/lifecycle/reinit/busy", test_reinit_busy);
  room_add ("/lifecycle/reinit/forked", test_reinit_forked);
  room_add ("/lifecycle/reinit/forked-in-open", test_forked_in_open);
  g_test_add_func ("/lifecycle/reinit/wakes-no-parent", test_reinit_wakes_no_parent);
  room_add ("/lifecycle/reinit/made-in-child", test_made_in_child);
  room_add ("/lifecycle/reinit/registrations", test_reinit_registrations);
  room_add ("/lifecycle/reinit/rearm-all", test_rearm_all);
  room_add ("/lifecycle/reinit/keeps-numbers-free", test_reinit_keeps_numbers_free);
  room_add ("/lifecycle/close/ok", test_close);
  room_add ("/lifecycle/close/foreign-watcher", test_close_foreign_watcher);
  room_add ("/lifecycle/close/watchers", test_close_watchers);
  room_add ("/lifecycle/close/in-wait", test_close_in_wait);
  g_test_add_func ("/lifecycle/close/drops-itself", test_close_drops_itself);
  room_add ("/lifecycle/close/in-child", test_close_in_child);
  room_add ("/lifecycle/close/half-done-in-child", test_close_half_done_in_child);
  room_add ("/lifecycle/close/map", test_close_map);
  room_add ("/lifecycle/close/map-locks", test_map_locks);
  room_add ("/lifecycle/misuse", test_misuse);
  room_add ("/lifecycle/settings/defaults", test_default_settings);
  room_add ("/lifecycle/settings/change", test_settings);

  return g_test_run ();
}
