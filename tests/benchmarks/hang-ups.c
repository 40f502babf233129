/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib-unix.h>
#include <sel-glib/sel-glib.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * Prints how the hang-up policy keeps its budgets: how often a callback that ignores a hang-up is called, and how long
 * an active descriptor waits beside thousands of ignored ones.
 *
 * Usage: hang-ups [N_IGNORED]
 */

#define N_MESSAGES 200

/* So long, in milliseconds, messages are measured while the callbacks are not known yet to ignore the hang-up. */
#define BEGINNING 3000

typedef struct
{
  guint  n_calls;     /* of callbacks that ignore the hang-up */
  gint64 heard;       /* the time of the last call of the active one */
} Counters;

static gboolean
on_hang_up (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  ((Counters *) user_data)->n_calls++;

  return TRUE;
}

static gboolean
on_message (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  char byte;

  if (read (sel_selector_key_get_fd (key), &byte, 1) == 1)
    ((Counters *) user_data)->heard = g_get_monotonic_time ();

  return TRUE;
}

static void
open_pair (int fds[2])
{
  if (socketpair (AF_UNIX, SOCK_STREAM, 0, fds) < 0)
    g_error ("socketpair () failed");
}

static void
run_for (guint ms)
{
  gint64 end = g_get_monotonic_time () + (gint64) ms * 1000;

  while (g_get_monotonic_time () < end)
    {
      if (!g_main_context_iteration (NULL, FALSE))
        g_usleep (100);
    }
}

static int
compare_times (gconstpointer a,
               gconstpointer b)
{
  gint64 first = *(const gint64 *) a, second = *(const gint64 *) b;

  return (first > second) - (first < second);
}

/* Processor time in microseconds, which other programs disturb less than the time of the clock. */
static gint64
get_processor_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* Returns how long a message from @peer waits, in microseconds. Raises @n_turns to the number of turns it takes. */
static gint64
measure_message (Counters *counters,
                 int       peer,
                 guint    *n_turns)
{
  gint64 start = g_get_monotonic_time ();
  guint n;

  counters->heard = 0;
  if (write (peer, "x", 1) != 1)
    g_error ("write () failed");
  for (n = 0; counters->heard == 0; n++)
    g_main_context_iteration (NULL, TRUE);
  *n_turns = MAX (*n_turns, n);

  return counters->heard - start;
}

/* Messages in the first seconds, until each callback was called often enough to be paused. */
static void
measure_beginning (const char *name,
                   Counters   *counters,
                   guint       n_ignored,
                   int         peer)
{
  gint64 end = g_get_monotonic_time () + BEGINNING * 1000;
  gint64 worst = 0;
  guint n_turns = 0;

  /* The first turn makes the context poll the descriptors, where it polls each of them. */
  g_main_context_iteration (NULL, FALSE);
  while (g_get_monotonic_time () < end || counters->n_calls < 8 * n_ignored)
    {
      gint64 start = get_processor_time ();
      gint64 spent;

      measure_message (counters, peer, &n_turns);
      spent = get_processor_time () - start;
      worst = MAX (worst, spent);
      g_main_context_iteration (NULL, FALSE);
    }
  g_print ("%-16s %5u ignored: in the beginning a message waits %u turns at most, or %.3f ms of the processor\n",
           name, n_ignored, n_turns, (gdouble) worst / 1000);
}

static void
measure (const char      *name,
         SelBaseSelector *selector,
         guint            n_ignored)
{
  g_autofree int *fds = g_new (int, n_ignored);
  Counters counters = { 0 };
  gint64 times[N_MESSAGES];
  int active[2];
  guint n_first, n_turns = 0;

  sel_base_selector_attach (selector, NULL, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  open_pair (active);
  sel_base_selector_register_callback (selector, active[0], SEL_EVENT_READ, on_message, &counters, NULL, NULL);
  for (guint i = 0; i < n_ignored; i++)
    {
      int pair[2];

      open_pair (pair);
      fds[i] = pair[0];
      close (pair[1]);
      sel_base_selector_register_callback (selector, fds[i], SEL_EVENT_READ, on_hang_up, &counters, NULL, NULL);
    }

  if (n_ignored == 1)
    run_for (100);
  n_first = counters.n_calls;
  measure_beginning (name, &counters, n_ignored, active[1]);

  /* Then each of them is paused, and is called once after each pause. */
  run_for (900);
  counters.n_calls = 0;
  for (guint i = 0; i < N_MESSAGES; i++)
    {
      times[i] = measure_message (&counters, active[1], &n_turns);
      run_for (5);
    }

  qsort (times, N_MESSAGES, sizeof times[0], compare_times);
  g_print ("%-16s %5u ignored: %6.1f calls each in the first 100 ms, then %5.1f a second; "
           "a message waits %.3f ms, 95 of 100 at most %.3f ms, the worst %.3f ms\n",
           name, n_ignored, (gdouble) n_first / n_ignored, (gdouble) counters.n_calls / n_ignored,
           (gdouble) times[N_MESSAGES / 2] / 1000, (gdouble) times[N_MESSAGES * 95 / 100] / 1000,
           (gdouble) times[N_MESSAGES - 1] / 1000);

  sel_base_selector_close (selector);
  for (guint i = 0; i < n_ignored; i++)
    close (fds[i]);
  close (active[0]);
  close (active[1]);
}

static gboolean
on_hang_up_plain (int          fd,
                  GIOCondition condition,
                  gpointer     user_data)
{
  return on_hang_up (NULL, NULL, 0, user_data);
}

static gboolean
on_message_plain (int          fd,
                  GIOCondition condition,
                  gpointer     user_data)
{
  char byte;

  if (read (fd, &byte, 1) == 1)
    ((Counters *) user_data)->heard = g_get_monotonic_time ();

  return TRUE;
}

/* The yardstick: how long a message waits in a turn that calls all callbacks. */
static void
measure_plain (guint n_ignored)
{
  g_autofree int *fds = g_new (int, n_ignored);
  g_autofree guint *ids = g_new (guint, n_ignored);
  Counters counters = { 0 };
  guint n_turns = 0, id;
  gint64 worst = 0;
  int active[2];

  open_pair (active);
  id = g_unix_fd_add (active[0], G_IO_IN, on_message_plain, &counters);
  for (guint i = 0; i < n_ignored; i++)
    {
      int pair[2];

      open_pair (pair);
      fds[i] = pair[0];
      close (pair[1]);
      ids[i] = g_unix_fd_add (fds[i], G_IO_IN, on_hang_up_plain, &counters);
    }
  for (guint i = 0; i < 8; i++)
    {
      gint64 start = get_processor_time ();
      gint64 spent;

      measure_message (&counters, active[1], &n_turns);
      spent = get_processor_time () - start;
      worst = MAX (worst, spent);
    }
  g_print ("%-16s %5u ignored: a message waits %u turns at most, or %.3f ms of the processor, in each turn\n",
           "g_unix_fd_add ()", n_ignored, n_turns, (gdouble) worst / 1000);

  g_source_remove (id);
  close (active[0]);
  close (active[1]);
  for (guint i = 0; i < n_ignored; i++)
    {
      g_source_remove (ids[i]);
      close (fds[i]);
    }
}

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char       *name;
    SelBaseSelector *(*new_selector) (GError **error);
    gboolean          mirrored;
  } kinds[] = {
    { "select", sel_select_selector_new, FALSE },
    { "poll", sel_poll_selector_new, FALSE },
    { "epoll", sel_epoll_selector_new, FALSE },
    { "epoll, mirrored", sel_epoll_selector_new, TRUE },
    { "devpoll", sel_devpoll_selector_new, FALSE },
    { "kqueue", sel_kqueue_selector_new, FALSE },
  };
  guint n_ignored = argc > 1 ? (guint) g_ascii_strtoull (argv[1], NULL, 10) : 5000;
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  measure_plain (MAX (n_ignored, 1));
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (SelBaseSelector) selector = kinds[i].new_selector (NULL);

      if (selector == NULL)
        continue;

      sel_base_selector_set_force_mirrored (selector, kinds[i].mirrored);
      measure (kinds[i].name, selector, 1);
      sel_base_selector_close (selector);
      g_object_unref (selector);
      selector = kinds[i].new_selector (NULL);
      sel_base_selector_set_force_mirrored (selector, kinds[i].mirrored);
      measure (kinds[i].name, selector, MAX (n_ignored, 1));
    }

  return 0;
}
