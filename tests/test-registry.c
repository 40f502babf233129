/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/sel-registry-private.h"
#include "fake-selector.h"

/* The registry room over a scripted update (). */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE

/* Descriptors that only the script knows. */
#define A 700
#define B 64
#define C 5000

typedef struct
{
  FakeSelector *fake;
  SelCore *core;
  int errors[4];             /* what each update () since fail_updates() fails with; 0: it succeeds */
  guint n_updates;
  guint32 tag;               /* what the last update () has seen */
  gboolean arm_wakeup;       /* each update () adds the selector's own descriptor again */
  int n_destroyed[2];        /* the calls of count_call () */
} Fixture;

/* --- The fixture --- */

static void
in_update (FakeSelector *fake,
           gpointer      user_data)
{
  Fixture *fixture = user_data;
  SelCore *core = fixture->core;

  g_assert_true (sel_state_in_vfunc (core));
  g_assert_false (g_mutex_trylock (&core->state.lock));
  fixture->tag = sel_registry_get_tag (core);

  if (fixture->n_updates < G_N_ELEMENTS (fixture->errors) && fixture->errors[fixture->n_updates] != 0)
    fake_selector_fail (fake, FAKE_UPDATE, SEL_OS_ERROR, fixture->errors[fixture->n_updates]);
  fixture->n_updates++;

  if (fixture->arm_wakeup)
    {
      g_autoptr(GError) error = NULL;

      g_assert_true (sel_registry_arm_wakeup (core, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (sel_registry_get_tag (core), ==, fixture->tag);
      g_assert_true (sel_state_in_vfunc (core));
    }
}

/* Scripts the results of the next update () calls. */
static void
fail_updates (Fixture *fixture,
              int      first,
              int      second,
              int      third)
{
  fixture->errors[0] = first;
  fixture->errors[1] = second;
  fixture->errors[2] = third;
  fixture->n_updates = 0;
}

/* An open selector on which a thread waits, so that what the registry tells that thread can be seen. The test has the
 * lock. */
static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  fixture->fake = fake_selector_new ();
  fixture->core = sel_core (fixture->fake);
  fake_selector_set_update_func (fixture->fake, in_update, fixture);
  g_assert_true (sel_base_selector_reinit (SEL_BASE_SELECTOR (fixture->fake), &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);
  sel_state_lock (fixture->core);
  sel_state_set (fixture->core, SEL_STATE_WAITING);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  g_assert_cmpuint (sel_registry_get_tag (fixture->core), ==, 0);
  g_assert_null (sel_state_get_vfunc_thread (fixture->core));
  g_assert_cmpuint (fixture->core->state.lock_depth, ==, 0);
  g_assert_false (g_mutex_trylock (&fixture->core->state.lock));
  sel_state_unset (fixture->core, SEL_STATE_IN_WAIT);
  sel_state_unlock (fixture->core);
  fail_updates (fixture, 0, 0, 0);
  g_assert_finalize_object (G_OBJECT (fixture->fake));
}

/* The waiting thread was told about a change of @fd. */
static void
assert_told (Fixture *fixture,
             int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (fixture->core, fd);

  g_assert_true (sel_notify_drain_wakeup (fixture->core));
  g_assert_true (sel_state_has (fixture->core, SEL_STATE_CHANGED));
  g_assert_true (slot == NULL || slot->changed_in_wait);
  sel_registry_clear_changed (fixture->core);
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_CHANGED));
  g_assert_true (slot == NULL || !slot->changed_in_wait);
}

static void
assert_not_told (Fixture *fixture)
{
  g_assert_false (sel_notify_drain_wakeup (fixture->core));
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_CHANGED));
}

static const SelRegistration no_data;

/* Registers @fd, and forgets what came with it. */
static SelKeySlot *
add (Fixture               *fixture,
     int                    fd,
     SelEventMask           events,
     const SelRegistration *registration)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_add (fixture->core, fd, events, registration, NULL, &error));
  g_assert_no_error (error);
  assert_told (fixture, fd);
  fake_selector_clear_log (fixture->fake);
  fail_updates (fixture, 0, 0, 0);

  return sel_registry_lookup (fixture->core, fd);
}

/* Registers @fd so that the kernel finds that it is always ready. */
static SelKeySlot *
add_always_ready (Fixture *fixture,
                  int      fd)
{
  fail_updates (fixture, EPIPE, 0, 0);

  return add (fixture, fd, READ, &no_data);
}

static void
assert_slot (SelKeySlot   *slot,
             SelEventMask  registered,
             SelEventMask  active,
             SelEventMask  armed,
             gboolean      always_ready)
{
  g_assert_nonnull (slot);
  g_assert_cmpuint (slot->registered, ==, registered);
  g_assert_cmpuint (slot->active, ==, active);
  g_assert_cmpuint (slot->armed, ==, armed);
  g_assert_cmpint (slot->always_ready, ==, always_ready);
}

static void
assert_always_ready (Fixture   *fixture,
                     const int *expected,
                     guint      n_expected)
{
  const int *fds;
  guint n_fds;

  g_assert_cmpint (sel_state_has (fixture->core, SEL_STATE_ALWAYS_READY), ==, n_expected > 0);
  fds = sel_registry_get_always_ready (fixture->core, &n_fds);
  g_assert_cmpmem (fds, n_fds * sizeof *fds, expected, n_expected * sizeof *expected);
}

static SelSelectorKey *
peek_key (SelKeySlot *slot,
          int         fd)
{
  return sel_key_slot_get_key (slot, fd);
}

static void
count_call (gpointer data)
{
  (*(int *) data)++;
}

/* --- Adding --- */

static void
test_add (Fixture       *fixture,
          gconstpointer  data)
{
  g_autoptr(SelSelectorKey) key = NULL;
  g_autoptr(GObject) fileobj = g_object_new (G_TYPE_OBJECT, NULL);
  SelCallback *callback = sel_callback_new (NULL, NULL, NULL);
  SelRegistration registration = {
    .fileobj = fileobj, .data = fixture->n_destroyed, .destroy = count_call, .callback = callback,
  };
  SelKeyExtra removed = { 0 };
  SelKeyExtra *extra;
  SelKeySlot *slot;
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_add (fixture->core, A, READ, &registration, &key, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_told (fixture, A);

  slot = sel_registry_find (fixture->core, A, &error);
  g_assert_no_error (error);
  assert_slot (slot, READ, READ, READ, FALSE);
  g_assert_cmpuint (slot->generation, !=, 0);
  g_assert_cmpuint (slot->generation, ==, fixture->tag);
  g_assert_true (slot->data == fixture->n_destroyed);
  g_assert_true (peek_key (slot, A) == key);
  g_assert_true (sel_selector_key_get_data (key) == fixture->n_destroyed);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, READ);
  extra = sel_key_slot_get_extra (slot, A);
  g_assert_true (extra->callback == callback);
  g_assert_true (sel_attachment_get_fileobj (extra->attachment) == fileobj);
  g_assert_true (sel_attachment_has_data (extra->attachment, count_call, NULL));

  /* Everything moves out of the table. */
  g_clear_object (&key);
  g_assert_true (sel_registry_remove (fixture->core, A, &key, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  assert_told (fixture, A);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  g_assert_true (removed.key == key);
  g_assert_true (removed.callback == callback);
  g_assert_nonnull (removed.attachment);
  g_assert_cmpint (fixture->n_destroyed[0], ==, 0);
  sel_key_extra_clear (&removed);
  g_clear_object (&key);
  g_assert_cmpint (fixture->n_destroyed[0], ==, 1);
}

static void
test_add_value (Fixture       *fixture,
                gconstpointer  data)
{
  GValue value = G_VALUE_INIT;
  SelRegistration registration = { .value = &value };
  SelKeySlot *slot;

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, "value");
  slot = add (fixture, A, WRITE, &registration);
  g_assert_cmpstr (g_value_get_string (sel_attachment_get_value (sel_key_slot_get_extra (slot, A)->attachment)), ==,
                   "value");
  g_value_unset (&value);
}

static void
test_add_twice (Fixture       *fixture,
                gconstpointer  data)
{
  int wake_fd = fake_selector_get_wake_fd (fixture->fake);
  const int fds[] = { A, wake_fd };
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  guint32 generation = slot->generation;

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      SelSelectorKey *key = NULL;
      g_autoptr(GError) error = NULL;

      g_assert_false (sel_registry_add (fixture->core, fds[i], WRITE, &no_data, &key, &error));
      g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
      g_assert_null (key);
    }
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_not_told (fixture);
  assert_slot (slot, READ, READ, READ, FALSE);
  g_assert_cmpuint (slot->generation, ==, generation);
  g_assert_cmpuint (sel_registry_get_n_keys (fixture->core), ==, 1);
}

/* If the kernel refuses, nothing is changed. EPERM says that a file is always ready, but the program has not asked for
 * emulation. */
static void
test_add_refused (Fixture       *fixture,
                  gconstpointer  data)
{
  static const int codes[] = { ENOMEM, EPERM, EBADF };

  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    {
      SelSelectorKey *key = NULL;
      g_autoptr(GError) error = NULL;

      fail_updates (fixture, codes[i], 0, 0);
      g_assert_false (sel_registry_add (fixture->core, A, READ, &no_data, &key, &error));
      g_assert_error (error, SEL_OS_ERROR, codes[i]);
      g_assert_null (key);
      g_assert_null (sel_registry_lookup (fixture->core, A));
      g_assert_cmpuint (sel_registry_get_n_keys (fixture->core), ==, 0);
      fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
      assert_not_told (fixture);

      fail_updates (fixture, codes[i], 0, 0);
      g_assert_false (sel_registry_add (fixture->core, A, READ, &no_data, NULL, NULL));
      fake_selector_clear_log (fixture->fake);
    }
  fail_updates (fixture, 0, 0, 0);
}

static void
test_interrupted (Fixture       *fixture,
                  gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  fail_updates (fixture, EINTR, EINTR, 0);
  g_assert_true (sel_registry_add (fixture->core, A, READ, &no_data, NULL, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1) update(%d,0,1) update(%d,0,1)", A, A, A);
  assert_told (fixture, A);

  fail_updates (fixture, EINTR, ENOMEM, 0);
  g_assert_false (sel_registry_add (fixture->core, B, READ, &no_data, NULL, &error));
  g_assert_error (error, SEL_OS_ERROR, ENOMEM);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1) update(%d,0,1)", B, B);
  assert_not_told (fixture);
}

static gboolean
update_with_error (SelBaseSelector  *selector,
                   int               fd,
                   SelEventMask      old_events,
                   SelEventMask      new_events,
                   GError          **error)
{
  g_set_error_literal (error, SEL_OS_ERROR, EIO, "an error in spite of success");

  return TRUE;
}

/* Classes that break the rules of update (), or have none. */
static void
test_bad_update (Fixture       *fixture,
                 gconstpointer  data)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (fixture->fake);
  gboolean (*update) (SelBaseSelector *, int, SelEventMask, SelEventMask, GError **) = klass->update;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  klass->update = update_with_error;
  g_assert_true (sel_registry_add (fixture->core, A, READ, &no_data, NULL, &error));
  g_assert_no_error (error);
  assert_slot (sel_registry_lookup (fixture->core, A), READ, READ, READ, FALSE);
  g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));

  klass->update = NULL;
  g_assert_false (sel_registry_add (fixture->core, A, READ, &no_data, NULL, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  g_assert_nonnull (g_strstr_len (error->message, -1, "FakeSelector.update ()"));
  g_assert_null (sel_registry_lookup (fixture->core, A));

  klass->update = update;
  g_clear_error (&error);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, 0, 0);
  g_assert_false (sel_registry_add (fixture->core, A, READ, &no_data, NULL, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  sel_notify_drain_wakeup (fixture->core);
}

static void
test_complete_error (Fixture       *fixture,
                     gconstpointer  data)
{
  GError *error = NULL;

  g_assert_true (sel_registry_complete_error (fixture->core, "open", TRUE, &error));
  g_assert_no_error (error);

  g_set_error_literal (&error, SEL_OS_ERROR, EIO, "test");
  g_assert_false (sel_registry_complete_error (fixture->core, "open", FALSE, &error));
  g_assert_error (error, SEL_OS_ERROR, EIO);

  g_assert_true (sel_registry_complete_error (fixture->core, "open", TRUE, &error));
  g_assert_no_error (error);

  g_assert_false (sel_registry_complete_error (fixture->core, "open", FALSE, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  g_assert_nonnull (g_strstr_len (error->message, -1, "FakeSelector.open ()"));
  g_clear_error (&error);
}

/* A call of update () inside another one leaves that its tag. */
static void
test_tag (Fixture       *fixture,
          gconstpointer  data)
{
  SelKeySlot *slot;

  g_assert_cmpuint (sel_registry_get_tag (fixture->core), ==, 0);
  fixture->arm_wakeup = TRUE;
  slot = add (fixture, A, READ, &no_data);
  fixture->arm_wakeup = FALSE;
  g_assert_cmpuint (fixture->tag, ==, slot->generation);
  g_assert_cmpuint (sel_registry_get_tag (fixture->core), ==, 0);

  sel_registry_disarm (fixture->core, A, slot);
  g_assert_cmpuint (fixture->tag, ==, 0);
}

/* --- Modifying --- */

static void
test_modify_events (Fixture       *fixture,
                    gconstpointer  data)
{
  SelRegistration registration = { .data = fixture->n_destroyed, .destroy = count_call };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  guint32 generation = slot->generation;
  g_autoptr(SelSelectorKey) old_key = g_object_ref (peek_key (slot, A));
  g_autoptr(SelSelectorKey) key = NULL;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  slot->hangup.maybe_hung_up = TRUE;
  g_assert_true (sel_registry_modify (fixture->core, A, READ | WRITE, NULL, &key, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,3)", A);
  assert_told (fixture, A);
  assert_slot (slot, READ | WRITE, READ | WRITE, READ | WRITE, FALSE);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_cmpuint (slot->generation, ==, fixture->tag);
  g_assert_false (slot->hangup.maybe_hung_up);
  g_assert_true (slot->data == fixture->n_destroyed);

  g_assert_true (key != old_key);
  g_assert_true (peek_key (slot, A) == key);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, READ | WRITE);
  g_assert_true (sel_selector_key_get_data (key) == fixture->n_destroyed);
  g_assert_true (removed.key == old_key);
  g_assert_null (removed.attachment);
  g_assert_null (removed.callback);
  sel_key_extra_clear (&removed);
  g_assert_cmpint (fixture->n_destroyed[0], ==, 0);

  /* The events and the data at once: the old key is given once. */
  g_set_object (&old_key, key);
  g_clear_object (&key);
  generation = slot->generation;
  g_assert_true (sel_registry_modify (fixture->core, A, WRITE, &no_data, &key, &removed, &error));
  fake_selector_assert_log (fixture->fake, "update(%d,3,2)", A);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_true (removed.key == old_key);
  g_assert_nonnull (removed.attachment);
  g_assert_null (slot->data);
  g_assert_null (sel_selector_key_get_data (key));
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, WRITE);
  assert_told (fixture, A);
  sel_key_extra_clear (&removed);
  g_clear_object (&old_key);
  g_assert_cmpint (fixture->n_destroyed[0], ==, 1);
}

static void
test_modify_nothing (Fixture       *fixture,
                     gconstpointer  data)
{
  SelRegistration registration = { .data = fixture->n_destroyed, .destroy = count_call };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  guint32 generation = slot->generation;
  SelSelectorKey *old_key = peek_key (slot, A);
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(SelSelectorKey) key = NULL;

      g_assert_true (sel_registry_modify (fixture->core, A, READ, i == 0 ? NULL : &registration, &key, &removed,
                                          &error));
      g_assert_no_error (error);
      g_assert_true (key == old_key);
      g_assert_true (peek_key (slot, A) == old_key);
    }
  g_assert_true (sel_registry_modify (fixture->core, A, READ, NULL, NULL, &removed, &error));
  g_assert_null (removed.key);
  g_assert_null (removed.attachment);
  g_assert_cmpuint (slot->generation, ==, generation);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_not_told (fixture);
}

/* Data are compared by identity: the pointer, its function, and the value. A change of them is no concern of the kernel. */
static void
test_modify_data (Fixture       *fixture,
                  gconstpointer  data)
{
  g_autoptr(GObject) fileobj = g_object_new (G_TYPE_OBJECT, NULL);
  GValue value = G_VALUE_INIT;
  SelRegistration registrations[] = {
    { .fileobj = fileobj, .data = &fixture->n_destroyed[0], .destroy = count_call },
    { .data = &fixture->n_destroyed[1], .destroy = count_call },
    { .data = &fixture->n_destroyed[1] },
    { .data = &fixture->n_destroyed[1], .value = &value },
    { .value = &value },
    { 0 },
  };
  SelKeySlot *slot = add (fixture, A, READ, &registrations[0]);
  guint32 generation = slot->generation;

  g_value_init (&value, G_TYPE_INT);
  for (guint i = 1; i < G_N_ELEMENTS (registrations); i++)
    {
      g_autoptr(SelSelectorKey) old_key = g_object_ref (peek_key (slot, A));
      SelAttachment *old_attachment = sel_key_slot_get_extra (slot, A)->attachment;
      g_autoptr(SelSelectorKey) key = NULL;
      SelKeyExtra removed = { 0 };
      g_autoptr(GError) error = NULL;
      SelAttachment *attachment;

      g_assert_true (sel_registry_modify (fixture->core, A, READ, &registrations[i], &key, &removed, &error));
      g_assert_no_error (error);
      g_assert_true (key != old_key);
      g_assert_true (removed.key == old_key);
      g_assert_true (removed.attachment == old_attachment);
      g_assert_true (slot->data == registrations[i].data);
      attachment = sel_key_slot_get_extra (slot, A)->attachment;
      g_assert_true (sel_attachment_has_data (attachment, registrations[i].destroy, registrations[i].value));
      g_assert_true (sel_attachment_get_fileobj (attachment) == fileobj);
      sel_key_extra_clear (&removed);
    }
  g_assert_cmpint (fixture->n_destroyed[0], ==, 1);
  g_assert_cmpint (fixture->n_destroyed[1], ==, 1);
  g_assert_cmpuint (slot->generation, ==, generation);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_not_told (fixture);
}

/* A key that nobody has asked for is not there to be replaced. */
static void
test_modify_without_key (Fixture       *fixture,
                         gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  SelRegistration registration = { .data = fixture };
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_modify (fixture->core, A, WRITE, &registration, NULL, &removed, &error));
  g_assert_no_error (error);
  g_assert_null (removed.key);
  g_assert_null (removed.attachment);
  g_assert_true (slot->data == fixture);
  g_assert_null (sel_key_slot_get_extra (slot, A)->key);
  assert_told (fixture, A);
}

/* Modifying to the same events ends a pause. The key stays. */
static void
test_modify_paused (Fixture       *fixture,
                    gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  guint32 generation = slot->generation;
  SelSelectorKey *old_key = peek_key (slot, A);
  g_autoptr(SelSelectorKey) key = NULL;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  sel_registry_disarm (fixture->core, A, slot);
  sel_key_slot_set_paused (slot, TRUE);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  assert_slot (slot, READ, 0, 0, FALSE);

  g_assert_true (sel_registry_modify (fixture->core, A, READ, NULL, &key, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_slot (slot, READ, READ, READ, FALSE);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_true (key == old_key);
  g_assert_null (removed.key);
  assert_told (fixture, A);
}

/* The kernel leaves a descriptor as it was if it refuses a change. It is unregistered then. */
static void
test_modify_refused (Fixture       *fixture,
                     gconstpointer  data)
{
  SelCallback *callback = sel_callback_new (NULL, NULL, NULL);
  SelRegistration registration = { .data = fixture, .callback = callback };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  g_autoptr(SelSelectorKey) old_key = g_object_ref (peek_key (slot, A));
  SelSelectorKey *key = NULL;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  fail_updates (fixture, EPERM, EBADF, 0);
  g_assert_false (sel_registry_modify (fixture->core, A, WRITE, &no_data, &key, &removed, &error));
  g_assert_error (error, SEL_OS_ERROR, EPERM);
  fake_selector_assert_log (fixture->fake, "update(%d,1,2) update(%d,1,0)", A, A);
  g_assert_null (key);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  g_assert_true (removed.key == old_key);
  g_assert_true (removed.callback == callback);
  assert_told (fixture, A);
  sel_key_extra_clear (&removed);
}

/* --- Removing --- */

static void
test_remove_errors (Fixture       *fixture,
                    gconstpointer  data)
{
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  /* The kernel's answer does not matter: it has forgotten descriptors that are closed. */
  add (fixture, A, READ, &no_data);
  fail_updates (fixture, EBADF, 0, 0);
  g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  g_assert_null (removed.key);
  assert_told (fixture, A);

  /* Nothing that the kernel knows: nothing to be told. */
  sel_registry_disarm (fixture->core, A, add (fixture, A, READ, &no_data));
  fake_selector_clear_log (fixture->fake);
  g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_told (fixture, A);

  /* The kernel's object belongs to the parent process. */
  add (fixture, A, READ, &no_data);
  sel_state_set (fixture->core, SEL_STATE_FORKED);
  g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_told (fixture, A);
}

static void
check_missing (Fixture *fixture,
               int      fd,
               int      code)
{
  for (guint i = 0; i < 6; i++)
    {
      SelKeyExtra removed = { 0 };
      SelSelectorKey *key = NULL;
      g_autoptr(GError) error = NULL;
      gboolean success = TRUE;

      switch (i)
        {
        case 0:
          success = sel_registry_remove (fixture->core, fd, &key, &removed, &error);
          break;
        case 1:
          success = sel_registry_modify (fixture->core, fd, READ, NULL, &key, &removed, &error);
          break;
        case 2:
          success = sel_registry_refresh (fixture->core, fd, &removed, &error);
          break;
        case 3:
          success = sel_registry_set_callback (fixture->core, fd, NULL, &removed, &error);
          break;
        case 4:
          success = sel_registry_find (fixture->core, fd, &error) != NULL;
          break;
        default:
          g_assert_false (sel_registry_remove (fixture->core, fd, NULL, &removed, NULL));
          continue;
        }
      g_assert_false (success);
      g_assert_error (error, SEL_SELECTOR_ERROR, code);
      g_assert_null (key);
      g_assert_null (removed.key);
    }
}

static void
test_missing (Fixture       *fixture,
              gconstpointer  data)
{
  add (fixture, A, READ, &no_data);
  check_missing (fixture, B, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  check_missing (fixture, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  check_missing (fixture, -1, SEL_SELECTOR_ERROR_INVALID_FILE);
  sel_state_set (fixture->core, SEL_STATE_CLOSED);
  check_missing (fixture, B, SEL_SELECTOR_ERROR_CLOSED);
  check_missing (fixture, -1, SEL_SELECTOR_ERROR_CLOSED);
  sel_state_unset (fixture->core, SEL_STATE_CLOSED);
  assert_not_told (fixture);
  fake_selector_assert_log (fixture->fake, "%s", "");
}

/* --- Refreshing --- */

static void
test_refresh (Fixture       *fixture,
              gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ | WRITE, &no_data);
  SelSelectorKey *key = peek_key (slot, A);
  guint32 generation = slot->generation;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_refresh (fixture->core, A, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,3,0) update(%d,0,3)", A, A);
  assert_slot (slot, READ | WRITE, READ | WRITE, READ | WRITE, FALSE);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_true (peek_key (slot, A) == key);
  g_assert_null (removed.key);
  assert_told (fixture, A);

  /* The kernel has forgotten it, as it was closed. */
  fail_updates (fixture, EBADF, 0, 0);
  g_assert_true (sel_registry_refresh (fixture->core, A, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,3,0) update(%d,0,3)", A, A);
  assert_told (fixture, A);

  fail_updates (fixture, 0, EBADF, 0);
  g_assert_false (sel_registry_refresh (fixture->core, A, &removed, &error));
  g_assert_error (error, SEL_OS_ERROR, EBADF);
  fake_selector_assert_log (fixture->fake, "update(%d,3,0) update(%d,0,3)", A, A);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  g_assert_true (removed.key == key);
  assert_told (fixture, A);
  sel_key_extra_clear (&removed);
}

/* --- Callbacks --- */

static void
test_callbacks (Fixture       *fixture,
                gconstpointer  data)
{
  SelCallback *first = sel_callback_new (NULL, NULL, NULL);
  SelCallback *second = sel_callback_new (NULL, NULL, NULL);
  SelRegistration registration = { .callback = first };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  guint32 generation = slot->generation;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_set_callback (fixture->core, A, second, &removed, &error));
  g_assert_no_error (error);
  g_assert_true (removed.callback == first);
  g_assert_true (sel_key_slot_get_extra (slot, A)->callback == second);
  sel_key_extra_clear (&removed);

  /* A callback that was replaced removes nothing. */
  sel_registry_remove_callback (fixture->core, A, first, &removed);
  sel_registry_remove_callback (fixture->core, B, NULL, &removed);
  g_assert_null (removed.callback);
  g_assert_true (sel_registry_lookup (fixture->core, A) == slot);
  g_assert_cmpuint (slot->generation, ==, generation);
  assert_not_told (fixture);
  fake_selector_assert_log (fixture->fake, "%s", "");

  sel_registry_remove_callback (fixture->core, A, second, &removed);
  g_assert_true (removed.callback == second);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  assert_told (fixture, A);
  sel_key_extra_clear (&removed);
}

/* --- Taking all --- */

static void
test_take_all (Fixture       *fixture,
               gconstpointer  data)
{
  int n_freed = 0;
  SelRegistration registration = { .callback = sel_callback_new (NULL, &n_freed, count_call) };
  SelKeyTable taken;
  GPtrArray *callbacks;

  add (fixture, A, READ, &registration);
  add (fixture, B, READ, &no_data);
  registration.callback = sel_callback_new (NULL, &n_freed, count_call);
  add (fixture, C, READ, &registration);
  add_always_ready (fixture, B + 1);

  sel_registry_take_all (fixture->core, &taken);
  fake_selector_assert_log (fixture->fake, "%s", "");
  g_assert_cmpuint (sel_registry_get_n_keys (fixture->core), ==, 0);
  g_assert_null (sel_registry_lookup (fixture->core, A));
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_ALWAYS_READY));
  g_assert_false (sel_registry_check_always_ready (fixture->core));
  g_assert_cmpuint (taken.n_keys, ==, 4);
  g_assert_nonnull (sel_key_table_lookup (&taken, C));

  /* The callbacks leave the table, so that they can be freed elsewhere. */
  callbacks = sel_key_table_steal_callbacks (&taken);
  g_assert_cmpuint (callbacks->len, ==, 2);
  sel_key_table_clear (&taken);
  g_assert_cmpint (n_freed, ==, 0);
  g_ptr_array_unref (callbacks);
  g_assert_cmpint (n_freed, ==, 2);

  /* The registry works as before. The kernel, which was not told, still has the others. */
  add_always_ready (fixture, C + 1);
  assert_always_ready (fixture, (const int[]) { C + 1 }, 1);
}

/* --- Descriptors that are always ready --- */

static void
test_always_ready (Fixture       *fixture,
                   gconstpointer  data)
{
  SelKeyExtra removed = { 0 };
  SelKeySlot *slots[3];
  g_autoptr(GError) error = NULL;

  /* EPIPE needs no emulation. */
  slots[0] = add_always_ready (fixture, A);
  assert_slot (slots[0], READ, READ, 0, TRUE);
  assert_always_ready (fixture, (const int[]) { A }, 1);

  /* EPERM does. */
  __atomic_store_n (&fixture->core->settings[SEL_SETTING_EMULATE_ALWAYS_READY], TRUE, __ATOMIC_RELAXED);
  fail_updates (fixture, EPERM, 0, 0);
  slots[1] = add (fixture, B, READ | WRITE, &no_data);
  assert_slot (slots[1], READ | WRITE, READ | WRITE, 0, TRUE);
  fail_updates (fixture, ENOMEM, 0, 0);
  g_assert_false (sel_registry_add (fixture->core, C, READ, &no_data, NULL, &error));
  g_assert_error (error, SEL_OS_ERROR, ENOMEM);
  g_clear_error (&error);
  slots[2] = add_always_ready (fixture, C);
  assert_always_ready (fixture, (const int[]) { A, B, C }, 3);
  fake_selector_clear_log (fixture->fake);

  /* The kernel is asked anew when the events change, and may accept. */
  g_assert_true (sel_registry_modify (fixture->core, A, WRITE, NULL, NULL, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,2)", A);
  assert_slot (slots[0], WRITE, WRITE, WRITE, FALSE);
  assert_always_ready (fixture, (const int[]) { C, B }, 2);
  assert_told (fixture, A);

  /* A descriptor that the kernel knows may become always ready. */
  fail_updates (fixture, EPIPE, 0, 0);
  g_assert_true (sel_registry_modify (fixture->core, A, READ | WRITE, NULL, NULL, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,2,3) update(%d,2,0)", A, A);
  assert_slot (slots[0], READ | WRITE, READ | WRITE, 0, TRUE);
  assert_always_ready (fixture, (const int[]) { C, B, A }, 3);
  assert_told (fixture, A);

  /* It is not entered twice. */
  fail_updates (fixture, EPIPE, 0, 0);
  g_assert_true (sel_registry_refresh (fixture->core, A, &removed, &error));
  assert_always_ready (fixture, (const int[]) { C, B, A }, 3);
  assert_told (fixture, A);

  sel_registry_disarm (fixture->core, B, slots[1]);
  assert_slot (slots[1], READ | WRITE, READ | WRITE, 0, FALSE);
  assert_always_ready (fixture, (const int[]) { C, A }, 2);
  g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
  assert_always_ready (fixture, (const int[]) { C }, 1);
  assert_told (fixture, A);
  g_assert_true (sel_registry_remove (fixture->core, C, NULL, &removed, &error));
  assert_always_ready (fixture, NULL, 0);
  fake_selector_clear_log (fixture->fake);
}

static void
test_always_ready_closed (Fixture       *fixture,
                          gconstpointer  data)
{
  int fds[4];
  SelKeySlot *slots[4];

  g_assert_false (sel_registry_check_always_ready (fixture->core));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = dup (STDOUT_FILENO);
      slots[i] = add_always_ready (fixture, fds[i]);
    }
  g_assert_true (sel_registry_check_always_ready (fixture->core));
  assert_always_ready (fixture, fds, 4);

  close (fds[0]);
  close (fds[3]);
  g_assert_true (sel_registry_check_always_ready (fixture->core));
  assert_always_ready (fixture, (const int[]) { fds[2], fds[1] }, 2);
  assert_slot (slots[0], READ, READ, 0, FALSE);
  assert_slot (slots[1], READ, READ, 0, TRUE);

  close (fds[1]);
  close (fds[2]);
  g_assert_false (sel_registry_check_always_ready (fixture->core));
  assert_always_ready (fixture, NULL, 0);
  g_assert_false (sel_registry_check_always_ready (fixture->core));
  g_assert_cmpuint (sel_registry_get_n_keys (fixture->core), ==, 4);
  assert_slot (slots[3], READ, READ, 0, FALSE);
}

/* --- Arming --- */

static void
test_arm_slot (Fixture       *fixture,
               gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  guint32 generation = slot->generation;
  g_autoptr(GError) error = NULL;

  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  assert_slot (slot, READ, READ, 0, FALSE);
  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_assert_log (fixture->fake, "%s", "");

  /* The same registration, for a kernel that has forgotten everything. */
  sel_key_slot_set_paused (slot, TRUE);
  slot->armed = READ;
  slot->hangup.maybe_hung_up = TRUE;
  g_assert_true (sel_registry_arm_slot (fixture->core, A, slot, FALSE, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_slot (slot, READ, READ, READ, FALSE);
  g_assert_cmpuint (slot->generation, ==, generation);
  g_assert_cmpuint (fixture->tag, ==, generation);
  g_assert_false (slot->hangup.maybe_hung_up);

  /* A new one. */
  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_clear_log (fixture->fake);
  g_assert_true (sel_registry_arm_slot (fixture->core, A, slot, TRUE, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_cmpuint (slot->generation, ==, fixture->tag);

  /* On failure, the kernel does not wait for it, and it counts as a new registration all the same. */
  generation = slot->generation;
  sel_registry_disarm (fixture->core, A, slot);
  sel_key_slot_set_paused (slot, TRUE);
  fail_updates (fixture, ENOMEM, 0, 0);
  g_assert_false (sel_registry_arm_slot (fixture->core, A, slot, TRUE, &error));
  g_assert_error (error, SEL_OS_ERROR, ENOMEM);
  assert_slot (slot, READ, READ, 0, FALSE);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_clear_error (&error);

  slot->armed = READ;
  fail_updates (fixture, ENOMEM, 0, 0);
  g_assert_false (sel_registry_arm_slot (fixture->core, A, slot, FALSE, &error));
  g_assert_cmpuint (slot->armed, ==, 0);
  g_clear_error (&error);

  fail_updates (fixture, EPIPE, 0, 0);
  g_assert_true (sel_registry_arm_slot (fixture->core, A, slot, FALSE, &error));
  assert_slot (slot, READ, READ, 0, TRUE);
  fake_selector_clear_log (fixture->fake);

  /* Only the callers tell the waiting thread. */
  assert_not_told (fixture);
}

static gboolean
update_wakeup (SelBaseSelector  *selector,
               int               fd,
               SelEventMask      old_events,
               SelEventMask      new_events,
               GError          **error)
{
  SelCore *core = sel_core (selector);

  g_assert_cmpint (fd, ==, sel_notify_get_fd (core));
  g_assert_cmpuint (old_events, ==, 0);
  g_assert_cmpuint (new_events, ==, READ);
  g_assert_cmpuint (sel_registry_get_tag (core), ==, 0);

  return FALSE;
}

static void
test_arm_wakeup (Fixture       *fixture,
                 gconstpointer  data)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (fixture->fake);
  gboolean (*update) (SelBaseSelector *, int, SelEventMask, SelEventMask, GError **) = klass->update;
  g_autoptr(GError) error = NULL;

  g_assert_true (sel_registry_arm_wakeup (fixture->core, &error));
  g_assert_no_error (error);

  klass->update = update_wakeup;
  g_assert_false (sel_registry_arm_wakeup (fixture->core, &error));
  klass->update = update;
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
}

static void
test_disarm_forked (Fixture       *fixture,
                    gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);

  sel_state_set (fixture->core, SEL_STATE_FORKED);
  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_assert_log (fixture->fake, "%s", "");
  g_assert_cmpuint (slot->armed, ==, 0);
}

/* --- Changes during a wait --- */

static void
test_changed (Fixture       *fixture,
              gconstpointer  data)
{
  SelCore *core = fixture->core;
  SelKeySlot *slots[2] = { add (fixture, A, READ, &no_data), add (fixture, B, READ, &no_data) };
  SelKeyExtra removed = { 0 };

  /* No wait is in progress. */
  sel_state_unset (core, SEL_STATE_IN_WAIT);
  sel_registry_mark_changed (core, A, slots[0]);
  sel_registry_mark_changed (core, C, NULL);
  g_assert_false (sel_state_has (core, SEL_STATE_CHANGED));
  g_assert_false (slots[0]->changed_in_wait);

  sel_state_set (core, SEL_STATE_POLLING);
  sel_registry_mark_changed (core, A, slots[0]);
  sel_registry_mark_changed (core, A, slots[0]);
  g_assert_true (sel_state_has (core, SEL_STATE_CHANGED));
  g_assert_true (slots[0]->changed_in_wait);
  g_assert_false (slots[1]->changed_in_wait);
  g_assert_cmpuint (core->registry.changed_in_wait->len, ==, 1);
  sel_registry_mark_changed (core, B, slots[1]);

  /* What was removed meanwhile is no longer marked. */
  g_assert_true (sel_registry_remove (core, A, NULL, &removed, NULL));
  sel_registry_clear_changed (core);
  g_assert_false (sel_state_has (core, SEL_STATE_CHANGED));
  g_assert_false (slots[1]->changed_in_wait);
  g_assert_cmpuint (core->registry.changed_in_wait->len, ==, 0);

  sel_registry_mark_changed (core, C, NULL);
  g_assert_true (sel_state_has (core, SEL_STATE_CHANGED));
  g_assert_cmpuint (core->registry.changed_in_wait->len, ==, 0);
  sel_registry_clear_changed (core);
  g_assert_false (sel_state_has (core, SEL_STATE_CHANGED));
}

/* Clearing works before anything was marked. */
static void
test_clear_changed_first (Fixture       *fixture,
                          gconstpointer  data)
{
  g_assert_null (fixture->core->registry.changed_in_wait);
  sel_state_set (fixture->core, SEL_STATE_CHANGED);
  sel_registry_clear_changed (fixture->core);
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_CHANGED));
}

/* --- Looking up --- */

static void
append_fd (gpointer fd,
           gpointer user_data)
{
  g_string_append_printf (user_data, "%d ", GPOINTER_TO_INT (fd));
}

static void
append_slot (int         fd,
             SelKeySlot *slot,
             gpointer    user_data)
{
  g_assert_cmpuint (slot->registered, !=, 0);
  append_fd (GINT_TO_POINTER (fd), user_data);
}

static void
test_foreach (Fixture       *fixture,
              gconstpointer  data)
{
  int wake_fd = fake_selector_get_wake_fd (fixture->fake);
  g_autofree char *armed = g_strdup_printf ("%d %d %d ", wake_fd, B, A);
  g_autofree char *registered = g_strdup_printf ("%d %d ", B, A);
  g_autoptr(GString) log = g_string_new (NULL);

  add (fixture, A, READ, &no_data);
  add (fixture, B, WRITE, &no_data);
  sel_registry_foreach (fixture->core, append_slot, log);
  g_assert_cmpstr (log->str, ==, registered);

  g_string_truncate (log, 0);
  sel_registry_foreach_armed (fixture->core, append_fd, log);
  g_assert_cmpstr (log->str, ==, armed);

  g_string_truncate (log, 0);
  sel_state_unset (fixture->core, SEL_STATE_OPEN);
  sel_registry_foreach_armed (fixture->core, append_fd, log);
  g_assert_cmpstr (log->str, ==, registered);
  sel_state_set (fixture->core, SEL_STATE_OPEN);
}

static void
test_get_armed (Fixture       *fixture,
                gconstpointer  data)
{
  SelCore *core = fixture->core;
  int wake_fd = fake_selector_get_wake_fd (fixture->fake);
  SelKeySlot *slot = add (fixture, A, WRITE, &no_data);

  add_always_ready (fixture, B);
  g_assert_cmpuint (sel_registry_get_armed (core, A), ==, WRITE);
  g_assert_cmpuint (sel_registry_get_armed (core, B), ==, 0);
  g_assert_cmpuint (sel_registry_get_armed (core, C), ==, 0);
  g_assert_cmpuint (sel_registry_get_armed (core, wake_fd), ==, READ);

  sel_state_set (core, SEL_STATE_FORKED);
  g_assert_cmpuint (sel_registry_get_armed (core, A), ==, 0);
  g_assert_cmpuint (sel_registry_get_armed (core, wake_fd), ==, 0);
  sel_state_unset (core, SEL_STATE_FORKED);

  sel_registry_disarm (core, A, slot);
  g_assert_cmpuint (sel_registry_get_armed (core, A), ==, 0);
}

static void
test_find_event (Fixture       *fixture,
                 gconstpointer  data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  SelReadyEvent event = { .fd = A, .events = READ, .generation = slot->generation };

  g_assert_true (sel_registry_find_event (fixture->core, &event) == slot);
  event.generation++;
  g_assert_null (sel_registry_find_event (fixture->core, &event));
  event.generation = slot->generation;
  event.fd = B;
  g_assert_null (sel_registry_find_event (fixture->core, &event));
}

/* Also after closing, which leaves the table empty. */
static void
test_look_up (Fixture       *fixture,
              gconstpointer  data)
{
  g_autoptr(GObject) fileobj = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr(GObject) other = g_object_new (G_TYPE_OBJECT, NULL);
  SelRegistration registration = { .fileobj = fileobj };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  SelCore *core = fixture->core;
  g_autoptr(SelSelectorKey) key = NULL;
  g_autoptr(GPtrArray) keys = NULL;

  /* Of two descriptors with the same object, the one that was registered first is found. */
  add (fixture, B, READ, &registration);
  add (fixture, C, READ, &registration);
  sel_state_unlock (core);

  key = sel_registry_ref_key (core, A);
  g_assert_true (key == peek_key (slot, A));
  g_assert_null (sel_registry_ref_key (core, A + 1));
  g_assert_cmpint (sel_registry_find_object (core, fileobj), ==, A);
  g_assert_cmpint (sel_registry_find_object (core, other), ==, -1);
  g_assert_cmpuint (sel_registry_get_n_keys (core), ==, 3);
  keys = sel_registry_get_keys (core);
  g_assert_cmpuint (keys->len, ==, 3);
  g_assert_true (g_ptr_array_index (keys, 0) == key);
  g_clear_pointer (&keys, g_ptr_array_unref);

  sel_state_unset (core, SEL_STATE_WAITING);
  sel_base_selector_close (SEL_BASE_SELECTOR (fixture->fake));
  g_assert_null (sel_registry_ref_key (core, A));
  g_assert_cmpint (sel_registry_find_object (core, fileobj), ==, -1);
  g_assert_cmpuint (sel_registry_get_n_keys (core), ==, 0);
  keys = sel_registry_get_keys (core);
  g_assert_cmpuint (keys->len, ==, 0);
  sel_state_lock (core);
}

/* The first function that takes the lock in a child process notices the fork. */
static void
test_look_up_locks (Fixture       *fixture,
                    gconstpointer  data)
{
  g_autoptr(GObject) fileobj = g_object_new (G_TYPE_OBJECT, NULL);
  SelCore *core = fixture->core;

  sel_state_unlock (core);

  sel_state_count_fork ();
  g_assert_null (sel_registry_ref_key (core, A));
  g_assert_false (sel_state_is_new_process (core));
  g_assert_true (g_mutex_trylock (&core->state.lock));
  g_mutex_unlock (&core->state.lock);

  sel_state_count_fork ();
  g_assert_cmpint (sel_registry_find_object (core, fileobj), ==, -1);
  g_assert_false (sel_state_is_new_process (core));
  g_assert_true (g_mutex_trylock (&core->state.lock));
  g_mutex_unlock (&core->state.lock);

  sel_state_count_fork ();
  g_ptr_array_unref (sel_registry_get_keys (core));
  g_assert_false (sel_state_is_new_process (core));
  g_assert_true (g_mutex_trylock (&core->state.lock));
  g_mutex_unlock (&core->state.lock);

  sel_state_lock (core);
}

static void
test_poll_fd (Fixture       *fixture,
              gconstpointer  data)
{
  SelCore *core = fixture->core;
  guint *force_mirrored = &core->settings[SEL_SETTING_FORCE_MIRRORED];

  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, -1);
  sel_registry_set_poll_fd (core, 0);
  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, 0);

  sel_state_set (core, SEL_STATE_FORKED);
  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, -1);
  sel_state_unset (core, SEL_STATE_FORKED);
  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, 0);

  __atomic_store_n (force_mirrored, TRUE, __ATOMIC_RELAXED);
  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, -1);
  __atomic_store_n (force_mirrored, FALSE, __ATOMIC_RELAXED);
  g_assert_cmpint (sel_registry_get_poll_fd (core), ==, 0);
  sel_registry_set_poll_fd (core, -1);
}

/* --- Numbers of closed descriptors --- */

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static void
test_reserve_numbers (Fixture       *fixture,
                      gconstpointer  data)
{
  int fds[3];
  GArray *reserved;
  int source;

  g_assert_null (sel_registry_reserve_numbers (fixture->core));
  sel_registry_unreserve_numbers (NULL);

  /* Numbers that are not the lowest free ones, which the kernel would give anyway. */
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = fcntl (STDOUT_FILENO, F_DUPFD, 200);
      g_assert_cmpint (fds[i], >=, 200);
      add (fixture, fds[i], READ, &no_data);
    }
  close (fds[0]);
  close (fds[2]);

  reserved = sel_registry_reserve_numbers (fixture->core);
  g_assert_cmpuint (reserved->len, ==, 3);
  source = g_array_index (reserved, int, 0);
  g_assert_true (is_open (source));
  g_assert_cmpint (g_array_index (reserved, int, 1), ==, fds[0]);
  g_assert_cmpint (g_array_index (reserved, int, 2), ==, fds[2]);
  for (guint i = 0; i < reserved->len; i++)
    g_assert_cmpint (fcntl (g_array_index (reserved, int, i), F_GETFD), ==, FD_CLOEXEC);

  sel_registry_unreserve_numbers (reserved);
  g_assert_false (is_open (source));
  g_assert_false (is_open (fds[0]));
  g_assert_true (is_open (fds[1]));
  g_assert_false (is_open (fds[2]));
  close (fds[1]);
}

/* Without free numbers nothing is reserved. */
static void
test_reserve_limit (Fixture       *fixture,
                    gconstpointer  data)
{
  struct rlimit saved;
  struct rlimit limit;
  GArray *reserved;

  add (fixture, C, READ, &no_data);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  limit = saved;
  limit.rlim_cur = 100;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  reserved = sel_registry_reserve_numbers (fixture->core);
  g_assert_nonnull (reserved);
  for (guint i = 0; i < reserved->len; i++)
    g_assert_cmpint (g_array_index (reserved, int, i), >=, 0);
  sel_registry_unreserve_numbers (reserved);

  limit.rlim_cur = 0;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  reserved = sel_registry_reserve_numbers (fixture->core);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));
  g_assert_true (reserved == NULL || g_array_index (reserved, int, 0) >= 0);
  sel_registry_unreserve_numbers (reserved);
}

/* --- Identities --- */

static void
test_identities_off (Fixture       *fixture,
                     gconstpointer  data)
{
  g_assert_null (fixture->core->registry.identities);
  add (fixture, A, READ, &no_data);
  sel_registry_check_identity (fixture->core, A);
}

static void
check_identity (SelCore  *core,
                int       fd,
                gboolean  warns)
{
  if (warns)
    g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "Descriptor * stands for another file now*");
  sel_registry_check_identity (core, fd);
  g_test_assert_expected_messages ();
}

static void
test_identities (Fixture       *unused,
                 gconstpointer  data)
{
  Fixture fixture = { 0 };
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;
  int files[2];
  int fd;

  files[0] = open ("/", O_RDONLY);
  files[1] = open ("/dev/null", O_RDONLY);
  fd = dup (files[0]);
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  set_up (&fixture, NULL);
  g_unsetenv ("SEL_DEBUG");

  add (&fixture, fd, READ, &no_data);
  check_identity (fixture.core, fd, FALSE);
  dup2 (files[1], fd);
  check_identity (fixture.core, fd, TRUE);
  check_identity (fixture.core, fd, FALSE);

  /* Each arming remembers the file. */
  dup2 (files[0], fd);
  g_assert_true (sel_registry_refresh (fixture.core, fd, &removed, &error));
  check_identity (fixture.core, fd, FALSE);
  dup2 (files[1], fd);
  check_identity (fixture.core, fd, TRUE);

  g_assert_true (sel_registry_refresh (fixture.core, fd, &removed, &error));
  g_assert_true (sel_registry_remove (fixture.core, fd, NULL, &removed, &error));
  dup2 (files[0], fd);
  check_identity (fixture.core, fd, FALSE);

  tear_down (&fixture, NULL);
  close (fd);
  close (files[0]);
  close (files[1]);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*test) (Fixture *fixture, gconstpointer data);
  } cases[] = {
    { "/registry/add", test_add },
    { "/registry/add-refused", test_add_refused },
    { "/registry/add-twice", test_add_twice },
    { "/registry/add-value", test_add_value },
    { "/registry/always-ready", test_always_ready },
    { "/registry/always-ready-closed", test_always_ready_closed },
    { "/registry/arm-slot", test_arm_slot },
    { "/registry/arm-wakeup", test_arm_wakeup },
    { "/registry/bad-update", test_bad_update },
    { "/registry/callbacks", test_callbacks },
    { "/registry/changed", test_changed },
    { "/registry/clear-changed-first", test_clear_changed_first },
    { "/registry/complete-error", test_complete_error },
    { "/registry/disarm-forked", test_disarm_forked },
    { "/registry/find-event", test_find_event },
    { "/registry/foreach", test_foreach },
    { "/registry/get-armed", test_get_armed },
    { "/registry/identities", test_identities },
    { "/registry/identities-off", test_identities_off },
    { "/registry/interrupted", test_interrupted },
    { "/registry/look-up", test_look_up },
    { "/registry/look-up-locks", test_look_up_locks },
    { "/registry/missing", test_missing },
    { "/registry/modify-data", test_modify_data },
    { "/registry/modify-events", test_modify_events },
    { "/registry/modify-nothing", test_modify_nothing },
    { "/registry/modify-paused", test_modify_paused },
    { "/registry/modify-refused", test_modify_refused },
    { "/registry/modify-without-key", test_modify_without_key },
    { "/registry/poll-fd", test_poll_fd },
    { "/registry/refresh", test_refresh },
    { "/registry/remove-errors", test_remove_errors },
    { "/registry/reserve-limit", test_reserve_limit },
    { "/registry/reserve-numbers", test_reserve_numbers },
    { "/registry/tag", test_tag },
    { "/registry/take-all", test_take_all },
  };

  g_unsetenv ("SEL_DEBUG");
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, set_up, cases[i].test, tear_down);

  return g_test_run ();
}
