/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "core/sel-backend-private.h"
#include "core/sel-pause-private.h"
#include "registry-fixture.h"

/* Unit tests of the pause room. They do not wait: a test sets the time at which the pauses end. */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE
#define MAX_RESUMED (SEL_MAX_DISPATCH / SEL_PAUSE_RESUMED_SHARE)

/* Addresses that stand for functions. They are only compared. */
static const char function_a[1];
static const char function_b[1];

/* Registers @fd, and stores the event that a wait would find. */
static SelKeySlot *
add_with_event (RegistryFixture *fixture,
                int              fd,
                SelEventMask     events,
                SelReadyEvent   *event)
{
  SelKeySlot *slot = add (fixture, fd, events, &no_data);

  *event = (SelReadyEvent) { .fd = fd, .events = events, .generation = slot->generation };

  return slot;
}

static guint
get_n_pauses (RegistryFixture *fixture)
{
  return fixture->core->pauses.list != NULL ? fixture->core->pauses.list->len : 0;
}

/* Checks the length of the list of pauses, and PAUSED, which is set while the list is not empty. */
static void
assert_n_pauses (RegistryFixture *fixture,
                 guint            n)
{
  g_assert_cmpuint (get_n_pauses (fixture), ==, n);
  g_assert_cmpint (sel_state_has (fixture->core, SEL_STATE_PAUSED), ==, n > 0);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, n > 0 ? fixture->core->pauses.until : -1);
}

static void
assert_paused (RegistryFixture     *fixture,
               SelKeySlot          *slot,
               const SelReadyEvent *event)
{
  g_assert_true (sel_key_slot_is_paused (slot));
  g_assert_cmpuint (slot->active, ==, 0);
  g_assert_cmpuint (slot->registered, ==, event->events);
  g_assert_cmpuint (slot->armed, ==, 0);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, event->fd), ==, 0);
}

/* The slot is armed and has another generation than @event, which takes the new one. */
static void
assert_resumed (RegistryFixture *fixture,
                SelKeySlot      *slot,
                SelReadyEvent   *event)
{
  g_assert_false (sel_key_slot_is_paused (slot));
  g_assert_cmpuint (slot->active, ==, event->events);
  g_assert_cmpuint (slot->registered, ==, event->events);
  g_assert_cmpuint (slot->armed, ==, event->events);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, event->fd), ==, event->events);
  g_assert_cmpuint (slot->generation, !=, event->generation);
  event->generation = slot->generation;
}

/* --- Beginning --- */

static void
test_begin (RegistryFixture *fixture,
            gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ | WRITE, &event);
  gint64 before;
  gint64 after;

  assert_n_pauses (fixture, 0);
  before = g_get_monotonic_time ();
  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  after = g_get_monotonic_time ();

  /* PAUSED is set before the kernel forgets the descriptor, so that a wait that begins now is not on the fast path. */
  g_assert_cmphex (fixture->word & SEL_STATE_PAUSED, !=, 0);
  fake_selector_assert_log (fixture->fake, "update(%d,3,0)", A);
  assert_paused (fixture, slot, &event);
  g_assert_cmpuint (slot->generation, ==, event.generation);
  assert_told (fixture, A);
  assert_n_pauses (fixture, 1);
  g_assert_cmpint (fixture->core->pauses.until, >=, before + SEL_PAUSE_INTERVAL);
  g_assert_cmpint (fixture->core->pauses.until, <=, after + SEL_PAUSE_INTERVAL);
}

/* A report of a descriptor that the kernel watches for changes ends its pause, and removes it from the list, unless the
 * report says only that the descriptor has ended. */
static void
test_ring (RegistryFixture *fixture,
           gconstpointer    data)
{
  int fd = fixture->a[0];
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, fd, READ, &event);

  fixture->core->settings[SEL_SETTING_HANGUP_POLICY] = SEL_HANGUP_POLICY_ONCE;
  sel_registry_set_has_alarms (fixture->core, FALSE);
  sel_registry_set_poll_fd (fixture->core, fd);
  for (guint i = 0; i < 2; i++)
    {
      sel_pause_begin_ended (fixture->core, &event, READ);
      g_assert_true (slot->alarm);
      g_assert_true (sel_key_slot_is_paused (slot));
      assert_n_pauses (fixture, 1);
      g_assert_cmpint (sel_pause_get_next (fixture->core), ==, G_MAXINT64);
      if (i == 1)
        break;

      put_byte (fixture->a[1]);
      g_assert_true (sel_ready_list_report_tagged (fixture->core, fd, slot->generation, READ, SEL_READ_END));
      g_assert_false (slot->alarm);
      assert_resumed (fixture, slot, &event);
      assert_n_pauses (fixture, 0);
      drain (fd);
    }

  close (fixture->a[1]);
  fixture->a[1] = -1;
  sel_pause_ring (fixture->core, fd, slot, READ, SEL_READ_END);
  g_assert_true (slot->alarm);
  assert_n_pauses (fixture, 1);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, G_MAXINT64);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* The first pause is so short that the kernel need not watch for changes: that would be one more system call. */
static void
test_first_alarm (RegistryFixture *fixture,
                  gconstpointer    data)
{
  int fd = fixture->a[0];
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, fd, READ, &event);

  sel_registry_set_has_alarms (fixture->core, FALSE);
  sel_registry_set_poll_fd (fixture->core, fd);
  sel_pause_begin_ended (fixture->core, &event, READ);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", fd);
  g_assert_false (slot->alarm);

  sel_pause_resume_now (fixture->core);
  slot->hangup.pause = 1;
  assert_resumed (fixture, slot, &event);
  sel_pause_begin_ended (fixture->core, &event, READ);
  g_assert_true (slot->alarm);
  sel_registry_set_poll_fd (fixture->core, -1);
}

/* Such a pause ends when the descriptor is modified. It does not end by itself. */
static void
test_until_modified (RegistryFixture *fixture,
                     gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  sel_pause_begin (fixture->core, &event, SEL_PAUSE_UNTIL_MODIFIED);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0)", A);
  assert_paused (fixture, slot, &event);
  assert_told (fixture, A);
  assert_n_pauses (fixture, 0);

  sel_pause_resume_now (fixture->core);
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_paused (fixture, slot, &event);
  assert_not_told (fixture);

  g_assert_true (sel_registry_modify (fixture->core, A, READ, NULL, NULL, &removed, &error));
  g_assert_no_error (error);
  assert_resumed (fixture, slot, &event);
}

/* An event of an earlier registration has no effect. */
static void
test_begin_stale (RegistryFixture *fixture,
                  gconstpointer    data)
{
  SelReadyEvent event;
  SelReadyEvent stale;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  for (guint i = 0; i < 4; i++)
    {
      SelPauseKind kind = i % 2 == 0 ? SEL_PAUSE_FOR_A_WHILE : SEL_PAUSE_UNTIL_MODIFIED;

      stale = event;
      if (i < 2)
        stale.generation--;
      else
        stale.fd = B;
      sel_pause_begin (fixture->core, &stale, kind);
      sel_pause_defer (fixture->core, &stale, function_a);
      sel_pause_rearm (fixture->core, &stale);
      g_assert_false (sel_key_slot_is_paused (slot));
      g_assert_cmpuint (slot->generation, ==, event.generation);
      assert_n_pauses (fixture, 0);
    }
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_not_told (fixture);
}

static void
test_begin_forked (RegistryFixture *fixture,
                   gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  sel_state_set (fixture->core, SEL_STATE_FORKED);
  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &event, SEL_PAUSE_UNTIL_MODIFIED);
  sel_pause_defer (fixture->core, &event, function_a);
  sel_pause_rearm (fixture->core, &event);
  g_assert_false (sel_key_slot_is_paused (slot));
  g_assert_cmpuint (slot->armed, ==, READ);
  g_assert_cmpuint (slot->generation, ==, event.generation);
  assert_n_pauses (fixture, 0);
  assert_not_told (fixture);
}

/* No pause begins while a thread waits. */
static void
test_begin_in_wait (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelReadyEvent events[2];
  SelKeySlot *slot = add_with_event (fixture, A, READ, &events[0]);

  add_with_event (fixture, B, READ, &events[1]);
  sel_state_unset (fixture->core, SEL_STATE_POLLING);
  sel_state_set (fixture->core, SEL_STATE_WAITING);
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_UNTIL_MODIFIED);
  sel_pause_defer (fixture->core, &events[0], function_a);
  g_assert_false (sel_key_slot_is_paused (slot));
  assert_n_pauses (fixture, 0);
  assert_not_told (fixture);
  fake_selector_assert_log (fixture->fake, "%s", "");

  /* Existing pauses stay. */
  sel_state_unset (fixture->core, SEL_STATE_WAITING);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_FOR_A_WHILE);
  sel_state_set (fixture->core, SEL_STATE_WAITING);
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  g_assert_false (sel_key_slot_is_paused (slot));
  assert_n_pauses (fixture, 1);
}

/* If no wait is in progress, the wake-up descriptor is not written to. */
static void
test_begin_idle (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  sel_state_unset (fixture->core, SEL_STATE_POLLING);
  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  assert_paused (fixture, slot, &event);
  assert_n_pauses (fixture, 1);
  assert_not_told (fixture);
}

/* Each pause has an end of its own; the next one is the earliest. */
static void
test_own_end (RegistryFixture *fixture,
              gconstpointer    data)
{
  SelReadyEvent events[3];
  SelKeySlot *slots[3] = {
    add_with_event (fixture, A, READ, &events[0]),
    add_with_event (fixture, B, WRITE, &events[1]),
    add_with_event (fixture, C, READ, &events[2]),
  };

  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  room_set_pause_end (fixture, 12345);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[2], SEL_PAUSE_UNTIL_MODIFIED);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, 12345);
  assert_n_pauses (fixture, 2);
  fake_selector_clear_log (fixture->fake);

  sel_pause_resume_due (fixture->core);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_resumed (fixture, slots[0], &events[0]);
  assert_paused (fixture, slots[1], &events[1]);
  assert_paused (fixture, slots[2], &events[2]);
  assert_n_pauses (fixture, 1);
  g_assert_cmpint (sel_pause_get_next (fixture->core), >, 12345);
}

/* If thousands of pauses are due, not all of them end in one turn. */
static void
test_many_due (RegistryFixture *fixture,
               gconstpointer    data)
{
  const guint n = 2 * MAX_RESUMED + 3;
  SelReadyEvent event;
  guint n_left;

  for (guint i = 0; i < n; i++)
    {
      add_with_event (fixture, A + (int) i, READ, &event);
      sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
    }
  room_set_pause_end (fixture, 1);
  for (n_left = n; n_left > MAX_RESUMED; )
    {
      sel_pause_resume_due (fixture->core);
      n_left -= MAX_RESUMED;
      assert_n_pauses (fixture, n_left);
      g_assert_cmpint (sel_pause_get_next (fixture->core), ==, 1);

      /* The first ones come first. */
      g_assert_false (sel_key_slot_is_paused (sel_registry_lookup (fixture->core, A + (int) (n - n_left) - 1)));
      g_assert_true (sel_key_slot_is_paused (sel_registry_lookup (fixture->core, A + (int) (n - n_left))));
    }

  /* It ends sooner if nobody is left who would end it. */
  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  sel_pause_resume_now (fixture->core);
  assert_n_pauses (fixture, 0);
}

/* --- Hang-ups --- */

/* The directions of a socket end one after the other. */
static void
test_ended (RegistryFixture *fixture,
            gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ | WRITE, &event);
  gint64 before = g_get_monotonic_time ();

  sel_pause_begin_ended (fixture->core, &event, READ);
  fake_selector_assert_log (fixture->fake, "update(%d,3,2)", A);
  g_assert_cmpuint (slot->active, ==, WRITE);
  g_assert_cmpuint (slot->armed, ==, WRITE);
  g_assert_cmpuint (slot->generation, ==, event.generation);
  g_assert_cmpuint (slot->hangup.pause, ==, 1);
  assert_n_pauses (fixture, 1);
  g_assert_cmpint (sel_pause_get_next (fixture->core), >=, before + 1000);
  g_assert_cmpint (sel_pause_get_next (fixture->core), <, before + 100 * G_USEC_PER_SEC);

  sel_pause_begin_ended (fixture->core, &event, WRITE);
  fake_selector_assert_log (fixture->fake, "update(%d,2,0)", A);
  assert_n_pauses (fixture, 1);
  assert_paused (fixture, slot, &event);

  /* The next call has to be useless, too, before there is another pause. */
  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  fake_selector_assert_log (fixture->fake, "update(%d,0,3)", A);
  assert_resumed (fixture, slot, &event);
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS - 1);

  /* One direction is resumed. */
  sel_pause_begin_ended (fixture->core, &event, READ);
  room_set_pause_end (fixture, 0);
  fake_selector_clear_log (fixture->fake);
  sel_pause_resume_due (fixture->core);
  fake_selector_assert_log (fixture->fake, "update(%d,2,3)", A);
  assert_resumed (fixture, slot, &event);

  /* The callbacks of the next source are called once, too. */
  sel_pause_begin_ended (fixture->core, &event, READ | WRITE);
  sel_pause_resume_now (fixture->core);
  assert_resumed (fixture, slot, &event);
  g_assert_cmpuint (slot->hangup.n_useless, ==, SEL_HANGUP_MAX_USELESS - 1);
  g_assert_cmpuint (slot->hangup.pause, ==, 4);
}

/* A direction has ended, and the callback is deferred for the other one. Each pause ends by itself. */
static void
test_ended_and_deferred (RegistryFixture *fixture,
                         gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ | WRITE, &event);

  for (guint i = 0; i < 2; i++)
    {
      gboolean defers_first = i == 1;

      sel_pause_begin_ended (fixture->core, &event, READ);
      sel_pause_defer (fixture->core, &event, function_a);
      room_set_pause_end (fixture, G_MAXINT64);
      assert_n_pauses (fixture, 2);
      assert_paused (fixture, slot, &event);
      fake_selector_clear_log (fixture->fake);

      if (defers_first)
        {
          sel_pause_resume_deferred (fixture->core, function_a);
          fake_selector_assert_log (fixture->fake, "update(%d,0,2)", A);
          g_assert_cmpuint (slot->active, ==, WRITE);
          g_assert_cmpuint (slot->generation, !=, event.generation);
          event.generation = slot->generation;
          assert_n_pauses (fixture, 1);
          room_set_pause_end (fixture, 0);
          sel_pause_resume_due (fixture->core);
        }
      else
        {
          g_array_index (fixture->core->pauses.list, SelPause, 0).until = 0;
          fixture->core->pauses.until = 0;
          sel_pause_resume_due (fixture->core);
          fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
          g_assert_cmpuint (slot->active, ==, READ);
          event.generation = slot->generation;
          assert_n_pauses (fixture, 1);
          sel_pause_resume_deferred (fixture->core, function_a);
        }
      assert_resumed (fixture, slot, &event);
      assert_n_pauses (fixture, 0);
    }

  /* Both end in one call. */
  sel_pause_begin_ended (fixture->core, &event, READ);
  sel_pause_defer (fixture->core, &event, function_a);
  sel_pause_resume_now (fixture->core);
  assert_resumed (fixture, slot, &event);
  assert_n_pauses (fixture, 0);

  /* If the kernel refuses now, everything is tried again later. */
  sel_pause_begin_ended (fixture->core, &event, READ);
  sel_pause_defer (fixture->core, &event, function_a);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_n_pauses (fixture, 2);
  g_assert_cmpuint (slot->active, ==, 0);
  event.generation = slot->generation - 1;
  sel_pause_resume_now (fixture->core);
  assert_resumed (fixture, slot, &event);
  assert_n_pauses (fixture, 0);
}

static int told_fds[2];
static guint n_told;

static void
note_told (SelCore      *core,
           int           fd,
           SelKeySlot   *slot,
           SelEventMask  ended)
{
  g_assert_true (sel_registry_lookup (core, fd) == slot);
  g_assert_cmpuint (ended, ==, READ);
  g_assert_cmpuint (n_told, <, G_N_ELEMENTS (told_fds));
  told_fds[n_told++] = fd;
}

static void
assert_told_ended (RegistryFixture *fixture,
                   guint            turn,
                   int              first,
                   int              second)
{
  n_told = 0;
  sel_pause_foreach_ended (fixture->core, turn, note_told);
  g_assert_cmpuint (n_told, ==, (first >= 0) + (second >= 0));
  g_assert_cmpint (first >= 0 ? told_fds[0] : -1, ==, first);
  g_assert_cmpint (second >= 0 ? told_fds[1] : -1, ==, second);
}

/* A thread that waits is told the ends that are paused. What has not ended is resumed, also if it comes back. */
static void
test_ended_and_told (RegistryFixture *fixture,
                     gconstpointer    data)
{
  int a = fixture->a[0], b = fixture->b[0];
  SelReadyEvent first, second, other;
  SelKeySlot *first_slot = add_with_event (fixture, a, READ, &first);
  SelKeySlot *second_slot = add_with_event (fixture, b, READ, &second);
  SelKeySlot *other_slot;
  int fds[2];

  open_socketpair (fds);
  other_slot = add_with_event (fixture, fds[0], READ, &other);
  g_assert_false (sel_pause_resume_changed (fixture->core));
  assert_told_ended (fixture, 0, -1, -1);

  close (fixture->a[1]);
  close (fixture->b[1]);
  fixture->a[1] = fixture->b[1] = -1;
  sel_pause_begin_ended (fixture->core, &first, READ);
  sel_pause_begin_ended (fixture->core, &second, READ);
  sel_pause_begin_ended (fixture->core, &other, READ);
  g_assert_true (sel_pause_resume_changed (fixture->core));
  assert_paused (fixture, first_slot, &first);
  assert_paused (fixture, second_slot, &second);
  assert_resumed (fixture, other_slot, &other);
  assert_told_ended (fixture, 0, a, b);
  assert_told_ended (fixture, 1, b, a);
  assert_told_ended (fixture, 2, a, b);

  /* A pause of another kind goes on only if the kernel refuses. */
  other.generation = other_slot->generation;
  sel_pause_begin (fixture->core, &other, SEL_PAUSE_FOR_A_WHILE);
  fail_updates (fixture, ENOMEM, 0, 0);
  g_assert_true (sel_pause_resume_changed (fixture->core));
  assert_n_pauses (fixture, 3);
  assert_told_ended (fixture, 0, a, b);
  sel_pause_resume_now (fixture->core);
  assert_n_pauses (fixture, 0);
  other.generation = other_slot->generation;
  sel_pause_begin (fixture->core, &other, SEL_PAUSE_FOR_A_WHILE);
  fail_updates (fixture, ENOMEM, 0, 0);
  g_assert_false (sel_pause_resume_changed (fixture->core));
  assert_n_pauses (fixture, 1);
  close_pair (fds);
}

/* If the kernel refuses to wait for the other direction, none is waited for until the pause ends. */
static void
test_ended_refused (RegistryFixture *fixture,
                    gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ | WRITE, &event);

  fail_updates (fixture, ENOMEM, 0, 0);
  sel_pause_begin_ended (fixture->core, &event, READ);
  fake_selector_assert_log (fixture->fake, "update(%d,3,2) update(%d,3,0)", A, A);
  assert_paused (fixture, slot, &event);
  assert_n_pauses (fixture, 1);
}

/* A hang-up that is told once: when the time is over, the descriptor is looked at. It is resumed if it has changed. */
static void
test_ended_once (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot;
  int fds[2], other[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  slot = add_with_event (fixture, fds[0], READ, &event);
  close (fds[1]);
  sel_state_unlock (fixture->core);
  sel_base_selector_set_hangup_policy (SEL_BASE_SELECTOR (fixture->fake), SEL_HANGUP_POLICY_ONCE);
  sel_state_lock (fixture->core);
  sel_pause_begin_ended (fixture->core, &event, READ);
  for (guint i = 0; i < 3; i++)
    {
      room_set_pause_end (fixture, 0);
      sel_pause_resume_due (fixture->core);
      assert_paused (fixture, slot, &event);
      assert_n_pauses (fixture, 1);
      g_assert_cmpint (sel_pause_get_next (fixture->core), >, g_get_monotonic_time ());
    }

  g_assert_cmpint (pipe (other), ==, 0);
  g_assert_cmpint (dup2 (other[0], fds[0]), ==, fds[0]);
  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  assert_resumed (fixture, slot, &event);
  assert_n_pauses (fixture, 0);
  close (other[0]);
  close (other[1]);
  close (fds[0]);
}

/* Each of these costs system calls: a turn does not look at thousands of them, and they are not due again at once. */
static void
test_many_once (RegistryFixture *fixture,
                gconstpointer    data)
{
  const guint n = MAX_RESUMED + 1;
  gint64 before;
  GArray *list;
  int *fds = g_new (int, n);

  sel_state_unlock (fixture->core);
  sel_base_selector_set_hangup_policy (SEL_BASE_SELECTOR (fixture->fake), SEL_HANGUP_POLICY_ONCE);
  sel_state_lock (fixture->core);
  for (guint i = 0; i < n; i++)
    {
      SelReadyEvent event;
      int pair[2];

      g_assert_cmpint (pipe (pair), ==, 0);
      close (pair[1]);
      fds[i] = pair[0];
      add_with_event (fixture, fds[i], READ, &event);
      sel_pause_begin_ended (fixture->core, &event, READ);
    }
  list = fixture->core->pauses.list;

  room_set_pause_end (fixture, 1);
  before = g_get_monotonic_time ();
  sel_pause_resume_due (fixture->core);
  assert_n_pauses (fixture, n);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, 1);
  for (guint i = 0; i < MAX_RESUMED; i++)
    g_assert_cmpint (g_array_index (list, SelPause, i).until, >, before + SEL_PAUSE_INTERVAL);

  for (guint i = 0; i < n; i++)
    close (fds[i]);
  g_free (fds);
}

/* --- Replacing --- */

static void
test_replace (RegistryFixture *fixture,
              gconstpointer    data)
{
  SelReadyEvent events[3];
  SelKeySlot *slots[3] = {
    add_with_event (fixture, A, READ, &events[0]),
    add_with_event (fixture, B, READ, &events[1]),
    add_with_event (fixture, C, READ, &events[2]),
  };

  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[2], SEL_PAUSE_FOR_A_WHILE);
  assert_n_pauses (fixture, 3);
  fake_selector_clear_log (fixture->fake);

  /* By a pause of the same kind. */
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  assert_n_pauses (fixture, 3);

  /* By a pause that does not end by itself. */
  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_UNTIL_MODIFIED);
  assert_n_pauses (fixture, 2);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_paused (fixture, slots[0], &events[0]);
  sel_pause_resume_now (fixture->core);
  assert_paused (fixture, slots[0], &events[0]);
  assert_resumed (fixture, slots[1], &events[1]);
  assert_resumed (fixture, slots[2], &events[2]);

  /* The list becomes empty. */
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_UNTIL_MODIFIED);
  assert_n_pauses (fixture, 0);

  /* A deferred pause is replaced by one that the function does not end. */
  sel_pause_defer (fixture->core, &events[2], function_a);
  sel_pause_begin (fixture->core, &events[2], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_paused (fixture, slots[2], &events[2]);
  assert_n_pauses (fixture, 1);
}

/* --- Resuming --- */

static void
test_resume_due (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  /* Without a pause, nothing is resumed. */
  sel_pause_resume_due (fixture->core);
  sel_pause_resume_now (fixture->core);
  assert_not_told (fixture);

  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  assert_told (fixture, A);
  fake_selector_clear_log (fixture->fake);
  room_set_pause_end (fixture, G_MAXINT64);
  sel_pause_resume_due (fixture->core);
  assert_paused (fixture, slot, &event);
  assert_n_pauses (fixture, 1);
  assert_not_told (fixture);

  slot->hangup = (SelHangupCount) { .n_useless = 3, .pause = 2 };
  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  assert_resumed (fixture, slot, &event);
  assert_told (fixture, A);
  assert_n_pauses (fixture, 0);

  /* This was no pause because of a hang-up. */
  g_assert_cmpuint (slot->hangup.n_useless, ==, 3);
  g_assert_cmpuint (slot->hangup.pause, ==, 2);

  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  room_set_pause_end (fixture, G_MAXINT64);
  sel_pause_resume_now (fixture->core);
  assert_resumed (fixture, slot, &event);
  assert_n_pauses (fixture, 0);
}

static void
test_deferred (RegistryFixture *fixture,
               gconstpointer    data)
{
  SelReadyEvent events[4];
  SelKeySlot *slots[4];

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    slots[i] = add_with_event (fixture, A + (int) i, READ, &events[i]);

  sel_pause_resume_deferred (fixture->core, function_a);
  sel_pause_defer (fixture->core, &events[0], function_a);
  sel_pause_defer (fixture->core, &events[1], function_b);
  sel_pause_defer (fixture->core, &events[2], function_a);
  sel_pause_begin (fixture->core, &events[3], SEL_PAUSE_FOR_A_WHILE);
  assert_n_pauses (fixture, 4);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    assert_paused (fixture, slots[i], &events[i]);
  sel_notify_drain_wakeup (fixture->core);
  sel_registry_clear_changed (fixture->core);
  fake_selector_clear_log (fixture->fake);

  sel_pause_resume_deferred (fixture->core, function_a);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1) update(%d,0,1)", A + 2, A);
  assert_resumed (fixture, slots[0], &events[0]);
  assert_paused (fixture, slots[1], &events[1]);
  assert_resumed (fixture, slots[2], &events[2]);
  assert_paused (fixture, slots[3], &events[3]);
  assert_n_pauses (fixture, 2);
  assert_told (fixture, A);

  sel_pause_resume_deferred (fixture->core, function_a);
  assert_n_pauses (fixture, 2);
  assert_not_told (fixture);

  sel_pause_resume_deferred (fixture->core, function_b);
  assert_resumed (fixture, slots[1], &events[1]);
  assert_n_pauses (fixture, 1);

  /* A deferred pause also ends when its time is over. */
  sel_pause_defer (fixture->core, &events[0], function_a);
  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  assert_resumed (fixture, slots[0], &events[0]);
  assert_resumed (fixture, slots[3], &events[3]);
  assert_n_pauses (fixture, 0);

  /* The list becomes empty. */
  sel_pause_defer (fixture->core, &events[0], function_a);
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_resumed (fixture, slots[0], &events[0]);
  assert_n_pauses (fixture, 0);
}

/* Changes the registration of A in one of the ways that make its pause stale. */
static void
make_stale (RegistryFixture *fixture,
            guint            how,
            SelReadyEvent   *event)
{
  SelKeyExtra removed = { 0 };
  g_autoptr(GError) error = NULL;

  switch (how)
    {
    case 0:
      g_assert_true (sel_registry_modify (fixture->core, A, READ, NULL, NULL, &removed, &error));
      break;
    case 1:
      g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
      break;
    case 2:
      g_assert_true (sel_registry_remove (fixture->core, A, NULL, &removed, &error));
      add_with_event (fixture, A, READ, event);
      sel_pause_begin (fixture->core, event, SEL_PAUSE_UNTIL_MODIFIED);
      break;
    default:
      sel_key_slot_resume (sel_registry_lookup (fixture->core, A), SEL_ALL_EVENTS);
      break;
    }
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);
  sel_notify_drain_wakeup (fixture->core);
  sel_registry_clear_changed (fixture->core);
}

static void
test_stale (RegistryFixture *fixture,
            gconstpointer    data)
{
  for (guint i = 0; i < 8; i++)
    {
      SelReadyEvent event;
      SelKeyExtra removed = { 0 };

      add_with_event (fixture, A, READ, &event);
      sel_pause_defer (fixture->core, &event, function_a);
      make_stale (fixture, i % 4, &event);
      assert_n_pauses (fixture, 1);

      if (i < 4)
        sel_pause_resume_now (fixture->core);
      else
        sel_pause_resume_deferred (fixture->core, function_b);
      fake_selector_assert_log (fixture->fake, "%s", "");
      assert_not_told (fixture);
      assert_n_pauses (fixture, 0);

      sel_registry_remove (fixture->core, A, NULL, &removed, NULL);
      sel_notify_drain_wakeup (fixture->core);
      sel_registry_clear_changed (fixture->core);
      fail_updates (fixture, 0, 0, 0);
    }
}

static void
test_resume_all (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
  sel_state_set (fixture->core, SEL_STATE_FORKED);
  g_assert_cmpint (sel_pause_get_next (fixture->core), ==, -1);
  sel_state_unlock (fixture->core);
  sel_pause_resume_all (fixture->core);
  sel_state_lock (fixture->core);
  assert_paused (fixture, slot, &event);
  sel_state_unset (fixture->core, SEL_STATE_FORKED);
  assert_n_pauses (fixture, 1);

  sel_state_unlock (fixture->core);
  sel_pause_resume_all (fixture->core);
  assert_unlocked (fixture->core);

  /* It takes the lock: the first call in a child process notices the fork by that. */
  sel_fork_begin_child ();
  sel_pause_resume_all (fixture->core);
  g_assert_false (sel_state_is_new_process (fixture->core));
  sel_state_lock (fixture->core);
  assert_resumed (fixture, slot, &event);
}

/* --- Errors --- */

/* A descriptor that was closed, or that the kernel cannot wait for, keeps its key. */
static void
test_resume_refused (RegistryFixture *fixture,
                     gconstpointer    data)
{
  static const int codes[] = { EBADF, EPERM };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (codes); i++)
    {
      SelReadyEvent event;
      SelKeySlot *slot = add_with_event (fixture, A + (int) i, READ, &event);

      if (i < G_N_ELEMENTS (codes))
        sel_pause_begin (fixture->core, &event, SEL_PAUSE_FOR_A_WHILE);
      else
        sel_pause_defer (fixture->core, &event, function_a);
      assert_told (fixture, event.fd);
      fake_selector_clear_log (fixture->fake);
      fail_updates (fixture, codes[i % G_N_ELEMENTS (codes)], 0, 0);
      if (i < G_N_ELEMENTS (codes))
        sel_pause_resume_now (fixture->core);
      else
        sel_pause_resume_deferred (fixture->core, function_a);

      fake_selector_assert_log (fixture->fake, "update(%d,0,1)", event.fd);
      g_assert_true (sel_registry_lookup (fixture->core, event.fd) == slot);
      g_assert_cmpuint (slot->registered, ==, READ);
      g_assert_false (sel_key_slot_is_paused (slot));
      g_assert_cmpuint (slot->armed, ==, 0);
      assert_n_pauses (fixture, 0);
      assert_told (fixture, event.fd);
    }
}

/* After other errors, the descriptor is paused again. */
static void
test_resume_delayed (RegistryFixture *fixture,
                     gconstpointer    data)
{
  SelReadyEvent events[2];
  SelKeySlot *slots[2] = {
    add_with_event (fixture, A, READ, &events[0]),
    add_with_event (fixture, B, READ, &events[1]),
  };
  gint64 before;

  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_FOR_A_WHILE);
  fake_selector_clear_log (fixture->fake);
  room_set_pause_end (fixture, 0);
  before = g_get_monotonic_time ();
  fail_updates (fixture, ENOMEM, ENOSPC, 0);
  sel_pause_resume_due (fixture->core);

  fake_selector_assert_log (fixture->fake, "update(%d,0,1) update(%d,0,1)", A, B);
  assert_n_pauses (fixture, 2);
  g_assert_cmpint (fixture->core->pauses.until, >=, before + SEL_PAUSE_INTERVAL);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    {
      assert_paused (fixture, slots[i], &events[i]);
      g_assert_cmpuint (slots[i]->generation, !=, events[i].generation);
      events[i].generation = slots[i]->generation;
    }

  room_set_pause_end (fixture, 0);
  fail_updates (fixture, 0, ENOMEM, 0);
  sel_pause_resume_due (fixture->core);
  assert_resumed (fixture, slots[0], &events[0]);
  assert_paused (fixture, slots[1], &events[1]);
  assert_n_pauses (fixture, 1);
  events[1].generation = slots[1]->generation;

  /* The new pause is not a deferred one. */
  sel_pause_defer (fixture->core, &events[1], function_a);
  fail_updates (fixture, ENOMEM, 0, 0);
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_paused (fixture, slots[1], &events[1]);
  assert_n_pauses (fixture, 1);
  events[1].generation = slots[1]->generation;
  sel_pause_resume_deferred (fixture->core, function_a);
  assert_paused (fixture, slots[1], &events[1]);

  room_set_pause_end (fixture, 0);
  sel_pause_resume_due (fixture->core);
  assert_resumed (fixture, slots[1], &events[1]);
  assert_n_pauses (fixture, 0);
}

/* --- Arming again --- */

static void
test_rearm (RegistryFixture *fixture,
            gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);

  sel_pause_rearm (fixture->core, &event);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0) update(%d,0,1)", A, A);
  assert_resumed (fixture, slot, &event);
  assert_told (fixture, A);
  assert_n_pauses (fixture, 0);

  /* The kernel has forgotten the descriptor, and then lacks memory. */
  fail_updates (fixture, EBADF, ENOMEM, 0);
  sel_pause_rearm (fixture->core, &event);
  fake_selector_assert_log (fixture->fake, "update(%d,1,0) update(%d,0,1)", A, A);
  assert_paused (fixture, slot, &event);
  assert_n_pauses (fixture, 1);
  assert_told (fixture, A);
  event.generation = slot->generation;

  sel_pause_rearm (fixture->core, &event);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_paused (fixture, slot, &event);
  assert_not_told (fixture);
}

/* A thread that waits does not know that it has to try again after a while, even if it sees the change of the
 * descriptor. */
static void
test_rearm_fails_in_wait (RegistryFixture *fixture,
                          gconstpointer    data)
{
  static const struct
  {
    SelStateFlags waits;
    int           error;
    gboolean      wakes;
  } cases[] = {
    { SEL_STATE_WAITING, ENOMEM, TRUE },
    { SEL_STATE_WAITING, 0, FALSE },
    { SEL_STATE_WAITING, EBADF, FALSE },
    { SEL_STATE_POLLING, ENOMEM, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      SelReadyEvent event;

      g_test_message ("%u", i);
      add_with_event (fixture, A + (int) i, READ, &event);
      sel_notify_set_wait_sees_updates (fixture->core, TRUE);
      sel_state_unset (fixture->core, SEL_STATE_IN_WAIT);
      sel_state_set (fixture->core, cases[i].waits);
      fail_updates (fixture, 0, cases[i].error, 0);
      sel_pause_rearm (fixture->core, &event);
      g_assert_cmpint (sel_notify_drain_wakeup (fixture->core), ==, cases[i].wakes);
      sel_notify_set_wait_sees_updates (fixture->core, FALSE);
      sel_registry_clear_changed (fixture->core);
    }
}

static void
test_forget_all (RegistryFixture *fixture,
                 gconstpointer    data)
{
  SelReadyEvent events[3];
  SelKeySlot *slots[3] = {
    add_with_event (fixture, A, READ, &events[0]),
    add_with_event (fixture, B, WRITE, &events[1]),
    add_with_event (fixture, C, READ, &events[2]),
  };

  sel_pause_begin (fixture->core, &events[0], SEL_PAUSE_FOR_A_WHILE);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_UNTIL_MODIFIED);
  fake_selector_clear_log (fixture->fake);
  sel_pause_forget_all (fixture->core);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    {
      g_assert_cmpuint (slots[i]->active, ==, events[i].events);
      g_assert_cmpuint (slots[i]->generation, ==, events[i].generation);
    }
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_n_pauses (fixture, 0);
  g_assert_null (fixture->core->pauses.list);

  sel_pause_forget_all (fixture->core);
  assert_n_pauses (fixture, 0);
}

/* The registered descriptors are armed as if the kernel's object were new. */
static void
test_arm_all (RegistryFixture *fixture,
              gconstpointer    data)
{
  SelReadyEvent events[5];
  SelKeySlot *slots[5];
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    slots[i] = add_with_event (fixture, A + (int) i, READ, &events[i]);
  sel_pause_begin (fixture->core, &events[1], SEL_PAUSE_UNTIL_MODIFIED);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    sel_registry_disarm (fixture->core, A + (int) i, slots[i]);
  fake_selector_clear_log (fixture->fake);
  sel_notify_drain_wakeup (fixture->core);
  sel_registry_clear_changed (fixture->core);

  fail_updates (fixture, 0, EBADF, ENOMEM);
  fixture->errors[3] = EPERM;
  g_assert_true (sel_pause_arm_all (fixture->core, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1) update(%d,0,1) update(%d,0,1) update(%d,0,1)",
                            A, A + 2, A + 3, A + 4);
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    {
      g_assert_cmpuint (slots[i]->registered, ==, READ);
      g_assert_cmpuint (slots[i]->generation, ==, events[i].generation);
      g_assert_cmpuint (slots[i]->armed, ==, i == 0 ? READ : 0);
      g_assert_cmpint (sel_key_slot_is_paused (slots[i]), ==, i == 1 || i == 3);
    }
  assert_n_pauses (fixture, 1);
  assert_not_told (fixture);
}

static gboolean
refuse_update (SelBaseSelector  *selector,
               int               fd,
               SelEventMask      old_events,
               SelEventMask      new_events,
               GError          **error)
{
  g_assert_cmpint (fd, ==, sel_notify_get_fd (sel_core (selector)));
  g_set_error_literal (error, SEL_OS_ERROR, ENOMEM, "refused");

  return FALSE;
}

static void
test_arm_all_refused (RegistryFixture *fixture,
                      gconstpointer    data)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (fixture->fake);
  gboolean (*update) (SelBaseSelector *, int, SelEventMask, SelEventMask, GError **) = klass->update;
  SelReadyEvent event;
  g_autoptr(GError) error = NULL;

  add_with_event (fixture, A, READ, &event);
  klass->update = refuse_update;
  g_assert_false (sel_pause_arm_all (fixture->core, &error));
  klass->update = update;
  g_assert_error (error, SEL_OS_ERROR, ENOMEM);
  assert_n_pauses (fixture, 0);
}

/* A backend arms everything again after it has replaced the kernel's object. A waiting thread is woken. */
static void
test_rearm_all (RegistryFixture *fixture,
                gconstpointer    data)
{
  SelReadyEvent event;
  SelKeySlot *slot = add_with_event (fixture, A, READ, &event);
  g_autoptr(GError) error = NULL;

  sel_registry_disarm (fixture->core, A, slot);
  fake_selector_clear_log (fixture->fake);
  g_assert_true (sel_backend_rearm_all (SEL_BASE_SELECTOR (fixture->fake), &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", A);
  g_assert_cmpuint (slot->armed, ==, READ);
  g_assert_true (sel_notify_drain_wakeup (fixture->core));
}

int
main (int   argc,
      char *argv[])
{
  static const RegistryCase cases[] = {
    { "/pause/arm-all", test_arm_all },
    { "/pause/arm-all-refused", test_arm_all_refused },
    { "/pause/begin", test_begin },
    { "/pause/begin-forked", test_begin_forked },
    { "/pause/begin-idle", test_begin_idle },
    { "/pause/begin-in-wait", test_begin_in_wait },
    { "/pause/begin-stale", test_begin_stale },
    { "/pause/deferred", test_deferred },
    { "/pause/forget-all", test_forget_all },
    { "/pause/ended", test_ended },
    { "/pause/ended-and-deferred", test_ended_and_deferred },
    { "/pause/ended-and-told", test_ended_and_told },
    { "/pause/ended-once", test_ended_once },
    { "/pause/many-once", test_many_once },
    { "/pause/ended-refused", test_ended_refused },
    { "/pause/many-due", test_many_due },
    { "/pause/own-end", test_own_end },
    { "/pause/rearm", test_rearm },
    { "/pause/rearm-fails-in-wait", test_rearm_fails_in_wait },
    { "/pause/rearm-all", test_rearm_all },
    { "/pause/replace", test_replace },
    { "/pause/resume-all", test_resume_all },
    { "/pause/resume-delayed", test_resume_delayed },
    { "/pause/resume-due", test_resume_due },
    { "/pause/resume-refused", test_resume_refused },
    { "/pause/stale", test_stale },
    { "/pause/first-alarm", test_first_alarm },
    { "/pause/ring", test_ring },
    { "/pause/until-modified", test_until_modified },
  };

  g_test_init (&argc, &argv, NULL);
  registry_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
