/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "registry-fixture.h"

/* Unit tests of the registry room: the functions that add, change and remove registrations. */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE

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
test_add (RegistryFixture *fixture,
          gconstpointer    data)
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

  /* All that the slot owned moves to @removed. */
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
test_add_value (RegistryFixture *fixture,
                gconstpointer    data)
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
test_add_twice (RegistryFixture *fixture,
                gconstpointer    data)
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
test_add_refused (RegistryFixture *fixture,
                  gconstpointer    data)
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
test_interrupted (RegistryFixture *fixture,
                  gconstpointer    data)
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
  static guint n_calls;

  /* This is not repeated, because it has succeeded. */
  g_assert_cmpuint (n_calls++, <, 2);
  g_set_error_literal (error, SEL_OS_ERROR, EINTR, "an error in spite of success");

  return TRUE;
}

/* Classes that break the rules of update (), or have none. */
static void
test_bad_update (RegistryFixture *fixture,
                 gconstpointer    data)
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
test_complete_error (RegistryFixture *fixture,
                     gconstpointer    data)
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
  g_assert_nonnull (g_strstr_len (error->message, -1, "FakeSelector.open () returned FALSE"));
  g_clear_error (&error);
}

/* In update (), the tag is the generation that the registration gets, or 0 if the kernel is to forget @fd. */
static void
test_tag (RegistryFixture *fixture,
          gconstpointer    data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);

  g_assert_cmpuint (fixture->tag, ==, slot->generation);

  sel_registry_disarm (fixture->core, A, slot);
  g_assert_cmpuint (fixture->tag, ==, 0);
}

/* --- Modifying --- */

static void
test_modify_events (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelRegistration registration = { .data = fixture->n_destroyed, .destroy = count_call };
  SelKeySlot *slot = add (fixture, A, READ, &registration);
  guint32 generation = slot->generation;
  g_autoptr(SelSelectorKey) old_key = g_object_ref (peek_key (slot, A));
  g_autoptr(SelSelectorKey) key = NULL;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  slot->hangup = (SelHangupCount) { .countdown = 5, .n_useless = 6, .pause = 3 };
  g_assert_true (sel_registry_modify (fixture->core, A, READ | WRITE, NULL, &key, &removed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,3)", A);
  assert_told (fixture, A);
  assert_slot (slot, READ | WRITE, READ | WRITE, READ | WRITE, FALSE);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_cmpuint (slot->generation, ==, fixture->tag);
  g_assert_cmpuint (slot->hangup.n_useless, ==, 0);
  g_assert_cmpuint (slot->hangup.pause, ==, 0);
  g_assert_cmpuint (slot->hangup.countdown, ==, 5);
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
test_modify_nothing (RegistryFixture *fixture,
                     gconstpointer    data)
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

/* Data are compared by identity: the pointer, the destroy function and the value. The kernel is not told about a change
 * of data. */
static void
test_modify_data (RegistryFixture *fixture,
                  gconstpointer    data)
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

/* If no key object was made yet, none is replaced. */
static void
test_modify_without_key (RegistryFixture *fixture,
                         gconstpointer    data)
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
test_modify_paused (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);
  guint32 generation = slot->generation;
  SelSelectorKey *old_key = peek_key (slot, A);
  g_autoptr(SelSelectorKey) key = NULL;
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  sel_registry_disarm (fixture->core, A, slot);
  sel_key_slot_pause (slot, SEL_ALL_EVENTS);
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
test_modify_refused (RegistryFixture *fixture,
                     gconstpointer    data)
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
test_remove_errors (RegistryFixture *fixture,
                    gconstpointer    data)
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

  /* The kernel does not know the descriptor, so update () is not called. */
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
check_missing (RegistryFixture *fixture,
               int              fd,
               int              code)
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
test_missing (RegistryFixture *fixture,
              gconstpointer    data)
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
test_refresh (RegistryFixture *fixture,
              gconstpointer    data)
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

  /* The kernel has forgotten the descriptor, because it was closed. */
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
test_callbacks (RegistryFixture *fixture,
                gconstpointer    data)
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
test_take_all (RegistryFixture *fixture,
               gconstpointer    data)
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
  callbacks = g_ptr_array_new_with_free_func ((GDestroyNotify) sel_callback_free);
  sel_key_table_steal_callbacks (&taken, callbacks);
  g_assert_cmpuint (callbacks->len, ==, 2);
  sel_key_table_clear (&taken);
  g_assert_cmpint (n_freed, ==, 0);
  g_ptr_array_unref (callbacks);
  g_assert_cmpint (n_freed, ==, 2);

  /* The registry works as before. The kernel, which was not told, still has the others. */
  add_always_ready (fixture, C + 1);
  assert_always_ready (fixture, (const int[]) { C + 1 }, 1);
}

int
main (int   argc,
      char *argv[])
{
  static const RegistryCase cases[] = {
    { "/registry/add", test_add },
    { "/registry/add-refused", test_add_refused },
    { "/registry/add-twice", test_add_twice },
    { "/registry/add-value", test_add_value },
    { "/registry/bad-update", test_bad_update },
    { "/registry/callbacks", test_callbacks },
    { "/registry/complete-error", test_complete_error },
    { "/registry/interrupted", test_interrupted },
    { "/registry/missing", test_missing },
    { "/registry/modify-data", test_modify_data },
    { "/registry/modify-events", test_modify_events },
    { "/registry/modify-nothing", test_modify_nothing },
    { "/registry/modify-paused", test_modify_paused },
    { "/registry/modify-refused", test_modify_refused },
    { "/registry/modify-without-key", test_modify_without_key },
    { "/registry/refresh", test_refresh },
    { "/registry/remove-errors", test_remove_errors },
    { "/registry/tag", test_tag },
    { "/registry/take-all", test_take_all },
  };

  g_test_init (&argc, &argv, NULL);
  registry_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
