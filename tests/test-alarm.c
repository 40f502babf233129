/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <unistd.h>

#include "core/sel-pause-private.h"
#include "registry-fixture.h"

/* Unit tests of the pause room: reports of the alarm of a descriptor that has ended, and stays in this state. */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE

/* Pauses a descriptor that has ended for both directions, with the policy @policy. */
static SelKeySlot *
pause_with_alarm (RegistryFixture *fixture,
                  SelHangupPolicy  policy,
                  gboolean         splits_events,
                  SelReadyEvent   *event)
{
  int fd = fixture->a[0];
  SelKeySlot *slot = add (fixture, fd, READ | WRITE, &no_data);

  *event = (SelReadyEvent) { .fd = fd, .events = READ | WRITE, .generation = slot->generation };
  close (fixture->a[1]);
  fixture->a[1] = -1;
  fixture->core->settings[SEL_SETTING_HANGUP_POLICY] = policy;
  sel_registry_set_has_alarms (fixture->core, splits_events);
  sel_registry_set_poll_fd (fixture->core, fd);
  slot->hangup.pause = 1; /* not the first pause, which needs no alarm */
  sel_pause_begin_ended (fixture->core, event, READ | WRITE);
  g_assert_true (slot->alarm);

  return slot;
}

/* The pause is over after @max_length at the latest. Returns: the time at which it ends */
static gint64
assert_next_within (RegistryFixture *fixture,
                    gint64           max_length)
{
  gint64 next = sel_pause_get_next (fixture->core);

  g_assert_cmpint (next, <=, g_get_monotonic_time () + max_length + max_length / SEL_PAUSE_GRID);

  return next;
}

/* The kernel reports the present state of a new alarm first. What it reports after that is the next hang-up, which is
 * told, also if the descriptor is in the same state as before. */
static void
test_echo (RegistryFixture *fixture,
           gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, FALSE, &event);
  gint64 next = sel_pause_get_next (fixture->core);

  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);

  /* A new alarm has an echo of its own. */
  sel_registry_disarm (fixture->core, event.fd, slot);
  g_assert_true (sel_registry_arm_alarm (fixture->core, event.fd, slot));
  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);

  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_true (slot->alarm);
  next = assert_next_within (fixture, 2 * SEL_HANGUP_MIN_PAUSE);

  /* The next ones until then are told together with it. */
  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);

  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  g_assert_false (sel_key_slot_is_paused (slot));
  g_assert_false (slot->alarm);

  /* The callback is called once, as the pause begins before that. It would be longer for the hang-up after that. */
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS - 1);
  g_assert_cmpuint (slot->hangup.pause, ==, 2);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* The alarm was armed after the kernel was asked, so that the echo is still to come. */
static void
test_late_alarm (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent event;
  guint n_alarms = sel_registry_get_n_alarms (fixture->core);
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, FALSE, &event);
  gint64 next = sel_pause_get_next (fixture->core);

  sel_registry_end_echoes (fixture->core, n_alarms);
  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* The state has changed before the kernel was asked, so that there was no echo. */
static void
test_no_echo (RegistryFixture *fixture,
              gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, FALSE, &event);
  gint64 next = sel_pause_get_next (fixture->core);

  sel_registry_end_echoes (fixture->core, sel_registry_get_n_alarms (fixture->core));
  sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (assert_next_within (fixture, 2 * SEL_HANGUP_MIN_PAUSE), <, next);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* kqueue has an echo for each filter. */
static void
test_echo_of_filters (RegistryFixture *fixture,
                      gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, TRUE, &event);
  gint64 next = sel_pause_get_next (fixture->core);

  sel_pause_ring (fixture->core, event.fd, slot, WRITE, SEL_WRITE_END);
  sel_pause_ring (fixture->core, event.fd, slot, READ, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);

  sel_pause_ring (fixture->core, event.fd, slot, WRITE, SEL_WRITE_END);
  g_assert_cmpint (assert_next_within (fixture, 2 * SEL_HANGUP_MIN_PAUSE), <, next);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* With THROTTLE, the time of the pause tells the next hang-up. */
static void
test_echo_throttled (RegistryFixture *fixture,
                     gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_THROTTLE, FALSE, &event);
  gint64 next = sel_pause_get_next (fixture->core);

  for (guint i = 0; i < 3; i++)
    sel_pause_ring (fixture->core, event.fd, slot, READ | WRITE, SEL_READ_END);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, next);
  g_assert_cmpuint (slot->hangup.pause, ==, 2);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* The kernel refuses the alarm when it has to be told everything again. Then the descriptor is looked at from time to
 * time. */
static void
test_refused_again (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, FALSE, &event);
  g_autoptr(GError) error = NULL;

  /* A new object of the kernel. Only the alarm would have ended the pause. */
  sel_registry_disarm (fixture->core, event.fd, slot);
  slot->alarm = TRUE;
  room_set_pause_end (fixture, G_MAXINT64);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);
  g_assert_true (sel_pause_arm_all (fixture->core, &error));
  g_assert_no_error (error);
  g_assert_false (slot->alarm);
  assert_next_within (fixture, SEL_PAUSE_INTERVAL);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* Only one direction has ended. The other one is paused for another reason, and will be waited for again: that would
 * end an alarm. */
static void
test_one_direction (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_THROTTLE, FALSE, &event);

  sel_pause_resume_now (fixture->core);
  event.generation = slot->generation;
  sel_pause_begin_ended (fixture->core, &event, READ);
  room_set_pause_end (fixture, 0);
  sel_pause_defer (fixture->core, &event, fixture);
  g_array_index (fixture->core->pauses.list, SelPause, 1).until = G_MAXINT64;
  sel_pause_resume_due (fixture->core);
  g_assert_cmpuint (slot->active, ==, READ);

  event.generation = slot->generation;
  sel_pause_begin_ended (fixture->core, &event, READ);
  g_assert_cmpuint (slot->active, ==, 0);
  g_assert_cmpuint (slot->armed, ==, 0);
  g_assert_false (slot->alarm);
  sel_pause_resume_deferred (fixture->core, fixture);
  g_assert_cmpuint (slot->armed, ==, WRITE);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* The program removes each descriptor whose end it was told. */
static void
test_out_of_date (RegistryFixture *fixture,
                  gconstpointer    data)
{
  SelReadyEvent event;
  SelKeyExtra removed = { 0 };
  SelKeySlot *slot = pause_with_alarm (fixture, SEL_HANGUP_POLICY_ONCE, FALSE, &event);

  for (guint i = 0; i < 1000; i++)
    {
      g_assert_true (sel_registry_remove (fixture->core, event.fd, NULL, &removed, NULL));
      slot = add (fixture, event.fd, READ | WRITE, &no_data);
      event.generation = slot->generation;
      slot->hangup.pause = 1;
      sel_pause_begin_ended (fixture->core, &event, READ | WRITE);
      g_assert_cmpuint (fixture->core->pauses.list->len, <=, SEL_PAUSE_MIN_TIDY_UP);
    }
  g_assert_true (sel_key_slot_is_paused (slot));
  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  g_assert_cmpint (sel_pause_get_next (fixture->core), >, 0);
  sel_registry_set_poll_fd (fixture->core, -1);
}

int
main (int    argc,
      char **argv)
{
  static const RegistryCase cases[] = {
    { "/alarm/echo", test_echo },
    { "/alarm/late", test_late_alarm },
    { "/alarm/no-echo", test_no_echo },
    { "/alarm/echo-of-filters", test_echo_of_filters },
    { "/alarm/echo-throttled", test_echo_throttled },
    { "/alarm/refused-again", test_refused_again },
    { "/alarm/one-direction", test_one_direction },
    { "/alarm/out-of-date", test_out_of_date },
  };

  g_test_init (&argc, &argv, NULL);
  registry_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
