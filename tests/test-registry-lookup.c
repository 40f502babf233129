/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "registry-fixture.h"

/* Unit tests of the registry room: arming, always-ready descriptors, looking up, reserved numbers, identities. */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE

static SelSelectorKey *
peek_key (SelKeySlot *slot,
          int         fd)
{
  return sel_key_slot_get_key (slot, fd);
}

/* --- Descriptors that are always ready --- */

static void
test_always_ready (RegistryFixture *fixture,
                   gconstpointer    data)
{
  SelKeyExtra removed = { 0 };
  SelKeySlot *slots[3];
  g_autoptr(GError) error = NULL;

  /* EPIPE needs no emulation. */
  slots[0] = add_always_ready (fixture, A);
  assert_slot (slots[0], READ, READ, 0, TRUE);
  assert_always_ready (fixture, (const int[]) { A }, 1);

  /* EPERM needs emulation. */
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

  /* A descriptor is in the list once. */
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
test_always_ready_closed (RegistryFixture *fixture,
                          gconstpointer    data)
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
test_arm_slot (RegistryFixture *fixture,
               gconstpointer    data)
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
  slot->armed = READ;
  slot->hangup = (SelHangupCount) { .n_useless = 5, .pause = 2 };
  g_assert_true (sel_registry_arm_slot (fixture->core, A, slot, FALSE, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_slot (slot, READ, READ, READ, FALSE);
  g_assert_cmpuint (slot->generation, ==, generation);
  g_assert_cmpuint (fixture->tag, ==, generation);
  g_assert_cmpuint (slot->hangup.n_useless, ==, 5);
  g_assert_cmpuint (slot->hangup.pause, ==, 2);

  /* A new registration. */
  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_clear_log (fixture->fake);
  g_assert_true (sel_registry_arm_slot (fixture->core, A, slot, TRUE, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  g_assert_cmpuint (slot->generation, !=, generation);
  g_assert_cmpuint (slot->generation, ==, fixture->tag);

  /* On failure the kernel does not wait for the descriptor. The generation is a new one nevertheless. */
  generation = slot->generation;
  sel_registry_disarm (fixture->core, A, slot);
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

  /* The wake-up descriptor stays readable while a descriptor is always ready. A wait may have reported another file
   * with this number. */
  assert_told (fixture, A);
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
test_arm_wakeup (RegistryFixture *fixture,
                 gconstpointer    data)
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
test_disarm_forked (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelKeySlot *slot = add (fixture, A, READ, &no_data);

  sel_state_set (fixture->core, SEL_STATE_FORKED);
  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_assert_log (fixture->fake, "%s", "");
  g_assert_cmpuint (slot->armed, ==, 0);
}

/* --- Changes during a wait --- */

static void
test_changed (RegistryFixture *fixture,
              gconstpointer    data)
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

  /* Clearing skips descriptors that were removed. */
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
test_clear_changed_first (RegistryFixture *fixture,
                          gconstpointer    data)
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
test_foreach (RegistryFixture *fixture,
              gconstpointer    data)
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
test_get_armed (RegistryFixture *fixture,
                gconstpointer    data)
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
test_find_event (RegistryFixture *fixture,
                 gconstpointer    data)
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
test_look_up (RegistryFixture *fixture,
              gconstpointer    data)
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

  sel_state_unset (core, SEL_STATE_IN_WAIT);
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
test_look_up_locks (RegistryFixture *fixture,
                    gconstpointer    data)
{
  g_autoptr(GObject) fileobj = g_object_new (G_TYPE_OBJECT, NULL);
  SelCore *core = fixture->core;

  sel_state_unlock (core);

  sel_fork_begin_child ();
  g_assert_null (sel_registry_ref_key (core, A));
  g_assert_false (sel_state_is_new_process (core));
  assert_unlocked (core);

  sel_fork_begin_child ();
  g_assert_cmpint (sel_registry_find_object (core, fileobj), ==, -1);
  g_assert_false (sel_state_is_new_process (core));
  assert_unlocked (core);

  sel_fork_begin_child ();
  g_ptr_array_unref (sel_registry_get_keys (core));
  g_assert_false (sel_state_is_new_process (core));
  assert_unlocked (core);

  sel_state_lock (core);
}

static void
test_poll_fd (RegistryFixture *fixture,
              gconstpointer    data)
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

static guint n_calls;

/* Called for each element of the array when that is freed. */
static void
count_call (gpointer element)
{
  n_calls++;
}

static void
test_reserve_numbers (RegistryFixture *fixture,
                      gconstpointer    data)
{
  int fds[3];
  gboolean zero_is_open;
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
  close (fds[1]);

  reserved = sel_registry_reserve_numbers (fixture->core);
  g_assert_cmpuint (reserved->len, ==, 3);
  source = g_array_index (reserved, int, 0);
  g_assert_true (is_open (source));
  g_assert_cmpint (g_array_index (reserved, int, 1), ==, fds[0]);
  g_assert_cmpint (g_array_index (reserved, int, 2), ==, fds[1]);
  for (guint i = 0; i < reserved->len; i++)
    g_assert_cmpint (fcntl (g_array_index (reserved, int, i), F_GETFD), ==, FD_CLOEXEC);

  /* Each of them is closed once, and nothing else. */
  g_array_set_clear_func (reserved, count_call);
  zero_is_open = is_open (0);
  errno = 0;
  sel_registry_unreserve_numbers (reserved);
  g_assert_cmpuint (n_calls, ==, 3);
  g_assert_cmpint (errno, ==, 0);
  g_assert_cmpint (is_open (0), ==, zero_is_open);
  g_assert_false (is_open (source));
  g_assert_false (is_open (fds[0]));
  g_assert_false (is_open (fds[1]));
  g_assert_true (is_open (fds[2]));
  close (fds[2]);
}

/* 0 is a number like others. */
static void
test_reserve_zero (RegistryFixture *fixture,
                   gconstpointer    data)
{
  int saved = fcntl (0, F_DUPFD_CLOEXEC, 3);
  GArray *reserved;

  add (fixture, 0, READ, &no_data);
  close (0);
  reserved = sel_registry_reserve_numbers (fixture->core);
  g_assert_nonnull (reserved);
  g_assert_true (is_open (0));
  sel_registry_unreserve_numbers (reserved);
  g_assert_false (is_open (0));

  if (saved >= 0)
    {
      dup2 (saved, 0);
      close (saved);
    }
}

/* A bell does not get the number of a registered descriptor that was closed. */
static void
test_open_bell (RegistryFixture *fixture,
                gconstpointer    data)
{
  SelWakeup bell = SEL_WAKEUP_INIT;
  int lowest = dup (STDOUT_FILENO);

  add (fixture, lowest, READ, &no_data);
  close (lowest);
  sel_registry_open_bell (fixture->core, &bell);
  g_assert_cmpint (bell.read_fd, >, lowest);
  g_assert_false (is_open (lowest));
  sel_wakeup_signal (&bell);
  g_assert_true (sel_wakeup_drain (&bell));
  sel_wakeup_close (&bell);
}

/* Without free numbers nothing is reserved. */
static void
test_reserve_limit (RegistryFixture *fixture,
                    gconstpointer    data)
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

/* --- Clearing --- */

static void
test_clear (RegistryFixture *fixture,
            gconstpointer    data)
{
  SelCore core = { 0 };

  sel_registry_init (&core);
  g_assert_cmpint (core.registry.poll_fd, ==, -1);
  sel_registry_clear (&core);

  core.registry.changed_in_wait = g_array_new (FALSE, FALSE, sizeof (int));
  core.registry.always_ready = g_array_new (FALSE, FALSE, sizeof (int));
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  core.registry.identities = sel_fd_identities_new ();
  g_unsetenv ("SEL_DEBUG");
  g_assert_nonnull (core.registry.identities);
  sel_registry_clear (&core);
  g_assert_null (core.registry.changed_in_wait);
  g_assert_null (core.registry.always_ready);
  g_assert_null (core.registry.identities);
}

/* --- Identities --- */

static void
test_identities_off (RegistryFixture *fixture,
                     gconstpointer    data)
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
  sel_state_unlock (core);
  sel_registry_check_identity (core, fd);
  sel_state_lock (core);
  g_test_assert_expected_messages ();
}

static void
test_identities (RegistryFixture *unused,
                 gconstpointer    data)
{
  RegistryFixture fixture = { 0 };
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;
  int files[2];
  int fd;

  files[0] = open ("/", O_RDONLY);
  files[1] = open ("/dev/null", O_RDONLY);
  fd = dup (files[0]);
  g_setenv ("SEL_DEBUG", "fd", TRUE);
  registry_set_up (&fixture, NULL);
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

  registry_tear_down (&fixture, NULL);
  close (fd);
  close (files[0]);
  close (files[1]);
}

int
main (int   argc,
      char *argv[])
{
  static const RegistryCase cases[] = {
    { "/registry/always-ready", test_always_ready },
    { "/registry/always-ready-closed", test_always_ready_closed },
    { "/registry/arm-slot", test_arm_slot },
    { "/registry/arm-wakeup", test_arm_wakeup },
    { "/registry/changed", test_changed },
    { "/registry/clear", test_clear },
    { "/registry/clear-changed-first", test_clear_changed_first },
    { "/registry/disarm-forked", test_disarm_forked },
    { "/registry/find-event", test_find_event },
    { "/registry/foreach", test_foreach },
    { "/registry/get-armed", test_get_armed },
    { "/registry/identities", test_identities },
    { "/registry/identities-off", test_identities_off },
    { "/registry/look-up", test_look_up },
    { "/registry/look-up-locks", test_look_up_locks },
    { "/registry/open-bell", test_open_bell },
    { "/registry/poll-fd", test_poll_fd },
    { "/registry/reserve-limit", test_reserve_limit },
    { "/registry/reserve-numbers", test_reserve_numbers },
    { "/registry/reserve-zero", test_reserve_zero },
  };

  g_unsetenv ("SEL_DEBUG");
  g_test_init (&argc, &argv, NULL);
  registry_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
