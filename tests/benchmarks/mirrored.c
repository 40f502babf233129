/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The processor time of one turn of a main loop that polls each descriptor, with one active descriptor among idle
 * ones: a selector with callbacks, with a plain source and with asynchronous waits, against one g_unix_fd_add () source
 * for each descriptor. Prints microseconds, and the ratio to g_unix_fd_add (). */

#include <glib-unix.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sel-glib/sel-glib.h>

#define N_TURNS 50
#define N_ROUNDS 10

typedef enum
{
  UNIX_FD,
  CALLBACKS,
  PLAIN,
  ASYNC,
  N_KINDS
} Kind;

static const char *const kind_names[N_KINDS] = { "g_unix_fd_add", "callbacks", "plain source", "asynchronous" };

typedef struct
{
  GMainContext *context;
  SelBaseSelector *selector;
  int active[2];
  guint n_calls;
} Loop;

static void
consume (Loop *loop)
{
  char byte;

  if (read (loop->active[0], &byte, 1) != 1)
    abort ();
  loop->n_calls++;
}

static gboolean
on_unix_fd (int          fd,
            GIOCondition condition,
            gpointer     user_data)
{
  consume (user_data);

  return G_SOURCE_CONTINUE;
}

static gboolean
on_callback (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  consume (user_data);

  return G_SOURCE_CONTINUE;
}

static gboolean
on_plain (gpointer user_data)
{
  Loop *loop = user_data;
  SelReadyEvent events[8];

  if (sel_base_selector_select_ready (loop->selector, 0, events, G_N_ELEMENTS (events), NULL, NULL) == 1)
    consume (loop);

  return G_SOURCE_CONTINUE;
}

static void
on_selected (GObject      *object,
             GAsyncResult *result,
             gpointer      user_data)
{
  Loop *loop = user_data;
  g_autoptr (GPtrArray) events = sel_base_selector_select_finish (loop->selector, result, NULL);

  if (events != NULL && events->len == 1)
    consume (loop);
}

static void
loop_watch (Loop *loop,
            Kind  kind,
            int   fd)
{
  if (kind == UNIX_FD)
    {
      g_autoptr (GSource) source = g_unix_fd_source_new (fd, G_IO_IN);

      g_source_set_callback (source, (GSourceFunc) (void (*) (void)) on_unix_fd, loop, NULL);
      g_source_attach (source, loop->context);
    }
  else if (kind == CALLBACKS)
    {
      sel_base_selector_register_callback (loop->selector, fd, SEL_EVENT_READ, on_callback, loop, NULL, NULL);
    }
  else
    {
      sel_base_selector_register (loop->selector, fd, SEL_EVENT_READ, NULL, NULL, NULL);
    }
}

/* Processor time in microseconds, which other programs disturb less than the time of the clock. */
static gdouble
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return (gdouble) now.tv_sec * 1e6 + (gdouble) now.tv_nsec / 1e3;
}

/* One turn for each byte. The turn that begins an asynchronous wait belongs to it. */
static gdouble
loop_run (Loop *loop,
          Kind  kind)
{
  gdouble start = get_time ();

  for (guint i = 1; i <= N_TURNS; i++)
    {
      if (write (loop->active[1], "x", 1) != 1)
        abort ();
      if (kind == ASYNC)
        sel_base_selector_select_async (loop->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, NULL, on_selected, loop);
      while (loop->n_calls % N_TURNS != i % N_TURNS)
        g_main_context_iteration (loop->context, TRUE);
    }

  return (get_time () - start) / N_TURNS;
}

/* Returns the best time of a turn, in microseconds. */
static gdouble
measure (Kind       kind,
         const int *fds,
         guint      n_fds)
{
  Loop loop = { .context = g_main_context_new () };
  gdouble best = G_MAXDOUBLE;

  g_main_context_push_thread_default (loop.context);
  loop.selector = sel_default_selector_new (NULL);
  sel_base_selector_set_force_mirrored (loop.selector, TRUE);
  if (!g_unix_open_pipe (loop.active, FD_CLOEXEC, NULL))
    abort ();
  for (guint i = 0; i < n_fds; i++)
    loop_watch (&loop, kind, fds[i]);
  loop_watch (&loop, kind, loop.active[0]);
  if (kind == CALLBACKS)
    sel_base_selector_attach (loop.selector, loop.context, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  if (kind == PLAIN)
    {
      g_autoptr (GSource) source = sel_base_selector_create_source (loop.selector);

      g_source_set_callback (source, on_plain, &loop, NULL);
      g_source_attach (source, loop.context);
    }

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      gdouble time = loop_run (&loop, kind);

      best = MIN (best, time);
    }

  sel_base_selector_close (loop.selector);
  g_object_unref (loop.selector);
  g_main_context_pop_thread_default (loop.context);
  g_main_context_unref (loop.context);
  close (loop.active[0]);
  close (loop.active[1]);

  return best;
}

int
main (int   argc,
      char *argv[])
{
  static const guint sizes[] = { 1000, 10000 };
  g_autoptr (GTask) task = NULL;
  struct rlimit limit;

  /* The first one starts a thread of GLib, and Linux looks descriptors up faster while a process has one thread only.
   * The others would have this advantage over the asynchronous waits. */
  task = g_task_new (NULL, NULL, NULL, NULL);

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree int *fds = g_new (int, sizes[i]);
      gdouble yardstick = 0;
      int idle[2];

      if (!g_unix_open_pipe (idle, FD_CLOEXEC, NULL))
        abort ();
      for (guint j = 0; j < sizes[i]; j++)
        {
          fds[j] = dup (idle[0]);
          if (fds[j] < 0)
            {
              g_print ("%u descriptors are more than this process may have\n", sizes[i]);
              return 77;
            }
        }
      for (Kind kind = UNIX_FD; kind < N_KINDS; kind++)
        {
          gdouble time = measure (kind, fds, sizes[i]);

          if (kind == UNIX_FD)
            yardstick = time;
          g_print ("%5u descriptors, %-14s %9.1f us, %.2f\n", sizes[i], kind_names[kind], time, time / yardstick);
        }
      for (guint j = 0; j < sizes[i]; j++)
        close (fds[j]);
      close (idle[0]);
      close (idle[1]);
    }

  return 0;
}
