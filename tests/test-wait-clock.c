/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <time.h>

#include "wait-fixture.h"

/* The wait room with a clock of the test: a time may come between any two readings of the clock. */

/* The time of the readings before the end of a pause, and the step of those after it. */
#define BEFORE (1000 * G_USEC_PER_SEC)
#define STEP (50 * 1000)

/* More readings than a wait makes. */
#define MAX_READINGS 8

static gboolean clock_is_set;
static guint n_readings_before; /* so many readings are before the end of the pause, and the others after it */
static guint n_readings_after;

/* Replaces that of GLib for the library. */
gint64
g_get_monotonic_time (void)
{
  struct timespec now;

  if (!clock_is_set)
    {
      clock_gettime (CLOCK_MONOTONIC, &now);
      return (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
    }

  if (n_readings_before == 0)
    return BEFORE + SEL_PAUSE_INTERVAL + STEP * ++n_readings_after;

  n_readings_before--;

  return BEFORE;
}

/* Returns: FALSE if the wait has made fewer readings */
static gboolean
wait_with_clock (Room         *room,
                 guint         n_readings,
                 gdouble       timeout,
                 SelWaitFlags  flags)
{
  gboolean was_reached;
  guint n_waits;

  clock_is_set = TRUE;
  n_readings_before = n_readings;
  n_readings_after = 0;
  assert_wait (room, "", timeout, flags, 8);
  was_reached = n_readings_before == 0;
  clock_is_set = FALSE;

  n_waits = fake_selector_get_n_waits (room->fake);
  g_assert_cmpuint (n_waits, >=, 1);
  for (guint i = 0; i < n_waits; i++)
    {
      g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), >=, 0);
      g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), <=, timeout);
    }
  fake_selector_clear_log (room->fake);

  return was_reached;
}

/* A main loop asks, and meanwhile the pause ends. */
static void
test_pause_ends_in_turn (Room          *room,
                         gconstpointer  data)
{
  guint n = 0;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  do
    {
      room_pause (room, room->a[0], TRUE);
      room_set_pause_end (room, BEFORE + SEL_PAUSE_INTERVAL);
      g_assert_cmpuint (n, <, MAX_READINGS);
    }
  while (wait_with_clock (room, n++, 0, SEL_WAIT_DISPATCH));
  g_assert_cmpuint (n, >, 2);
}

/* The pause cannot end, because the kernel has no memory for the descriptor, and so its time limits the wait of
 * a thread. The time of the wait is longer than that. */
static gboolean
wait_without_memory (Room  *room,
                     guint  n_readings)
{
  room_pause (room, room->a[0], TRUE);
  fake_selector_fail (room->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);

  return wait_with_clock (room, n_readings, 3 * (gdouble) SEL_PAUSE_INTERVAL / G_USEC_PER_SEC, 0);
}

static void
test_pause_ends_in_wait (Room          *room,
                         gconstpointer  data)
{
  guint n = 0;

  room_watch (room, room->a[0], SEL_EVENT_READ);
  while (n < MAX_READINGS && wait_without_memory (room, n))
    n++;
  g_assert_cmpuint (n, ==, MAX_READINGS);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  room_add ("/wait/clock/pause-ends-in-turn", test_pause_ends_in_turn);
  room_add ("/wait/clock/pause-ends-in-wait", test_pause_ends_in_wait);

  return g_test_run ();
}
