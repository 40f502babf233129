/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "registry-fixture.h"

static void
in_update (FakeSelector *fake,
           gpointer      user_data)
{
  RegistryFixture *fixture = user_data;
  SelCore *core = fixture->core;
  gboolean interrupted = fixture->n_updates > 0 && fixture->n_updates <= G_N_ELEMENTS (fixture->errors) &&
                         fixture->errors[fixture->n_updates - 1] == EINTR;

  g_assert_true (sel_state_in_vfunc (core));
  assert_locked (core);

  /* A waiting thread was woken before the change, because the kernel may refuse changes until it has returned. */
  if (sel_state_has (core, SEL_STATE_IN_WAIT) && !interrupted)
    g_assert_cmpint (sel_wakeup_drain (core->notify.wakeup), ==, !core->notify.wait_sees_updates);

  fixture->tag = sel_registry_get_tag (core);
  fixture->word = (guint) g_atomic_int_get (&core->state.word);

  if (fixture->n_updates < G_N_ELEMENTS (fixture->errors) && fixture->errors[fixture->n_updates] != 0)
    fake_selector_fail (fake, FAKE_UPDATE, SEL_OS_ERROR, fixture->errors[fixture->n_updates]);
  fixture->n_updates++;
}

void
fail_updates (RegistryFixture *fixture,
              int              first,
              int              second,
              int              third)
{
  fixture->errors[0] = first;
  fixture->errors[1] = second;
  fixture->errors[2] = third;
  fixture->errors[3] = 0;
  fixture->n_updates = 0;
}

void
registry_set_up (RegistryFixture *fixture,
                 gconstpointer    data)
{
  g_autoptr(GError) error = NULL;

  room_set_up (fixture, data);
  fake_selector_set_update_func (fixture->fake, in_update, fixture);
  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);
  sel_state_lock (fixture->core);
  sel_state_set (fixture->core, SEL_STATE_POLLING);
}

void
registry_tear_down (RegistryFixture *fixture,
                    gconstpointer    data)
{
  g_assert_null (sel_state_get_vfunc_thread (fixture->core));
  g_assert_cmpuint (fixture->core->state.lock_depth, ==, 0);
  assert_locked (fixture->core);
  sel_state_unset (fixture->core, SEL_STATE_IN_WAIT);
  sel_state_unlock (fixture->core);
  fail_updates (fixture, 0, 0, 0);
  room_tear_down (fixture, data);
}

void
assert_told (RegistryFixture *fixture,
             int              fd)
{
  SelKeySlot *slot = sel_registry_lookup (fixture->core, fd);

  g_assert_true (sel_wakeup_drain (fixture->core->notify.wakeup));
  g_assert_true (sel_state_has (fixture->core, SEL_STATE_CHANGED));
  g_assert_true (slot == NULL || slot->changed_in_wait);
  sel_registry_clear_changed (fixture->core);
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_CHANGED));
  g_assert_true (slot == NULL || !slot->changed_in_wait);
}

void
assert_not_told (RegistryFixture *fixture)
{
  g_assert_false (sel_wakeup_drain (fixture->core->notify.wakeup));
  g_assert_false (sel_state_has (fixture->core, SEL_STATE_CHANGED));
}

const SelRegistration no_data;

SelKeySlot *
add (RegistryFixture       *fixture,
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

SelKeySlot *
add_always_ready (RegistryFixture *fixture,
                  int              fd)
{
  fail_updates (fixture, EPIPE, 0, 0);

  return add (fixture, fd, SEL_EVENT_READ, &no_data);
}

void
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

void
assert_always_ready (RegistryFixture *fixture,
                     const int       *expected,
                     guint            n_expected)
{
  const int *fds;
  guint n_fds;

  g_assert_cmpint (sel_state_has (fixture->core, SEL_STATE_ALWAYS_READY), ==, n_expected > 0);
  fds = sel_registry_get_always_ready (fixture->core, &n_fds);
  g_assert_cmpmem (fds, n_fds * sizeof *fds, expected, n_expected * sizeof *expected);
}

void
registry_add_cases (const RegistryCase *cases,
                    guint               n_cases)
{
  for (guint i = 0; i < n_cases; i++)
    g_test_add (cases[i].path, RegistryFixture, NULL, registry_set_up, cases[i].test, registry_tear_down);
}
