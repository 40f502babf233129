/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#endif

#include "allocations.h"
#include "contestant.h"
#include "syscalls.h"

/*
 * Does the same work with each contestant, in alternation with a bare epoll loop, and prints one line for each work
 * and contestant, with tabs between the columns. report.py makes tables and plots from the output.
 */

ContestantStats contestant_stats;

void
contestant_consume (int fd)
{
  guint64 value;

  if (read (fd, &value, sizeof value) != sizeof value)
    g_error ("A descriptor that was reported could not be read: %s", g_strerror (errno));
}

/* --- Descriptors --- */

static int
benchmark_event_fd (guint value)
{
  int fd = eventfd (value, EFD_CLOEXEC | EFD_NONBLOCK);

  if (fd < 0)
    g_error ("Could not make a descriptor: %s", g_strerror (errno));

  return fd;
}

/* Opens a descriptor that becomes ready when data is written to *@write_fd, which is the same eventfd or the other
 * end of a socket pair. */
static int
benchmark_active_fd (gboolean  is_socket,
                     int      *write_fd)
{
  int fds[2];

  if (!is_socket)
    return *write_fd = benchmark_event_fd (0);

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    g_error ("Could not make a socket: %s", g_strerror (errno));

  *write_fd = fds[1];

  return fds[0];
}

/* Descriptors that all contestants of a work register. */
typedef struct
{
  GArray *fds;
  guint value;                 /* 0: never ready; 1: always */
} Pool;

static Pool idle_pool = { NULL, 0 };
static Pool ready_pool = { NULL, 1 };

static const int *
pool_get (Pool  *pool,
          guint  n)
{
  if (pool->fds == NULL)
    pool->fds = g_array_new (FALSE, FALSE, sizeof (int));

  while (pool->fds->len < n)
    {
      int fd = benchmark_event_fd (pool->value);

      g_array_append_val (pool->fds, fd);
    }

  return (const int *) (void *) pool->fds->data;
}

static void
pool_clear (Pool *pool)
{
  for (guint i = 0; pool->fds != NULL && i < pool->fds->len; i++)
    close (g_array_index (pool->fds, int, i));
  g_clear_pointer (&pool->fds, g_array_unref);
}

/* Ends of pipes that are never ready, not even for writing. */
#define N_PIPES 100

static const int *
benchmark_get_pipes (void)
{
  static int fds[N_PIPES];

  for (int i = 0; fds[N_PIPES - 1] == 0 && i < N_PIPES; i++)
    {
      int ends[2];

      if (pipe2 (ends, O_CLOEXEC | O_NONBLOCK) < 0)
        g_error ("Could not make a pipe: %s", g_strerror (errno));
      fds[i] = ends[0];
    }

  return fds;
}

/* --- Works --- */

typedef struct _Work Work;

/* A contestant with the state of one work. */
typedef struct
{
  const Contestant *contestant;
  const Work *work;
  gpointer self;
  int *active_fds;             /* of this contestant only, for works that consume data */
  int *write_fds;              /* writing to these makes them ready */
  gdouble estimate;            /* nanoseconds of one repetition */
  GArray *ratios;
  GArray *times;
} Entry;

struct _Work
{
  const char *name;
  const char *unit;
  guint n_idle;
  guint n_ready;
  enum
  {
    LEAVE,                     /* ready descriptors stay ready */
    CONSUME,                   /* the data is written and then read */
    CONSUME_SOCKET
  } handling;
  /* Returns the number of units. */
  gsize (*run) (Entry *entry,
                guint  n_repetitions);
};

static gsize
work_run_turns (Entry *entry,
                guint  n_repetitions)
{
  const Contestant *contestant = entry->contestant;
  const Work *work = entry->work;
  guint64 one = 1;
  gsize n = 0;

  contestant_stats.consume = work->handling != LEAVE;
  for (guint i = 0; i < n_repetitions; i++)
    {
      for (guint j = 0; work->handling != LEAVE && j < work->n_ready; j++)
        {
          if (write (entry->write_fds[j], &one, sizeof one) != sizeof one)
            g_error ("Could not write: %s", g_strerror (errno));
        }

      contestant_stats.n_events = 0;
      while (contestant_stats.n_events < work->n_ready)
        contestant->turn (entry->self, TRUE);
      n += contestant_stats.n_events;
    }

  return n;
}

static gsize
work_run_empty (Entry *entry,
                guint  n_repetitions)
{
  for (guint i = 0; i < n_repetitions; i++)
    entry->contestant->turn (entry->self, FALSE);

  return n_repetitions;
}

static gsize
work_run_register (Entry *entry,
                   guint  n_repetitions)
{
  const Contestant *contestant = entry->contestant;
  const int *fds = benchmark_get_pipes ();

  for (guint i = 0; i < n_repetitions; i++)
    {
      for (int j = 0; j < N_PIPES; j++)
        contestant->add (entry->self, fds[j], BENCHMARK_READ);
      if (contestant->changes_wait)
        contestant->turn (entry->self, FALSE);
      for (int j = 0; j < N_PIPES; j++)
        contestant->remove (entry->self, fds[j]);
      if (contestant->changes_wait)
        contestant->turn (entry->self, FALSE);
    }

  return n_repetitions * N_PIPES;
}

/* The descriptors have been registered before. */
static gsize
work_run_modify (Entry *entry,
                 guint  n_repetitions)
{
  const Contestant *contestant = entry->contestant;
  const int *fds = benchmark_get_pipes ();

  for (guint i = 0; i < 2 * n_repetitions; i++)
    {
      for (int j = 0; j < N_PIPES; j++)
        contestant->modify (entry->self, fds[j], i % 2 == 0 ? BENCHMARK_WRITE : BENCHMARK_READ);
      if (contestant->changes_wait)
        contestant->turn (entry->self, FALSE);
    }

  return 2 * n_repetitions * N_PIPES;
}

static gsize
work_run_start_up (Entry *entry,
                   guint  n_repetitions)
{
  const Contestant *contestant = entry->contestant;
  int fd = benchmark_get_pipes ()[0];

  for (guint i = 0; i < n_repetitions; i++)
    {
      gpointer self = contestant->open (contestant);

      contestant->add (self, fd, BENCHMARK_READ);
      contestant->turn (self, FALSE);
      contestant->remove (self, fd);
      contestant->close (self);
    }

  return n_repetitions;
}

#define ONE_ACTIVE(n) { "1 active, " #n " idle", "turn", n, 1, CONSUME, work_run_turns }
#define ONE_READY(n)  { "1 ready, " #n " idle", "event", n, 1, LEAVE, work_run_turns }

/* The data of "active" descriptors is written before and read by the handler. "ready" descriptors stay ready. */
static const Work works[] = {
  ONE_ACTIVE (10),
  ONE_ACTIVE (100),
  ONE_ACTIVE (1000),
  ONE_ACTIVE (10000),
  ONE_ACTIVE (100000),
  { "1 active socket, 10000 idle", "turn", 10000, 1, CONSUME_SOCKET, work_run_turns },
  ONE_READY (10),
  ONE_READY (100),
  ONE_READY (1000),
  ONE_READY (10000),
  ONE_READY (100000),
  { "100 active, 900 idle", "event", 900, 100, CONSUME, work_run_turns },
  { "1000 of 1000 ready", "event", 0, 1000, LEAVE, work_run_turns },
  { "register + unregister, 100 idle", "pair", 100, 0, LEAVE, work_run_register },
  { "register + unregister, 10000 idle", "pair", 10000, 0, LEAVE, work_run_register },
  { "modify, 100 idle", "change", 100, 0, LEAVE, work_run_modify },
  { "modify, 10000 idle", "change", 10000, 0, LEAVE, work_run_modify },
  { "empty poll, 100 idle", "poll", 100, 0, LEAVE, work_run_empty },
  { "start-up", "selector", 0, 0, LEAVE, work_run_start_up },
};

/* Sets the given limit, or else the highest one that is allowed for this process. Returns the limit. */
static guint
benchmark_set_limit (int n_files)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  if (n_files > 0)
    {
      limit.rlim_cur = (rlim_t) n_files;
    }
  else
    {
      struct rlimit higher = { 250000, MAX (limit.rlim_max, 250000) };

      if (limit.rlim_max >= 250000 || setrlimit (RLIMIT_NOFILE, &higher) == 0)
        limit = higher;
      else
        limit.rlim_cur = limit.rlim_max;
    }
  setrlimit (RLIMIT_NOFILE, &limit);
  getrlimit (RLIMIT_NOFILE, &limit);

  return (guint) MIN (limit.rlim_cur, CONTESTANT_MAX_FD);
}

static gboolean
work_fits (const Work *work,
           guint       limit)
{
  guint own = work->n_idle + 40 * work->n_ready;

  /* All contestants share descriptors that are always ready. */
  if (work->handling == LEAVE)
    own = work->n_idle + work->n_ready;

  return own + 2 * N_PIPES + 100 <= limit;
}

static void
entry_free (Entry *entry)
{
  if (entry->self != NULL)
    entry->contestant->close (entry->self);
  for (guint i = 0; entry->active_fds != NULL && i < entry->work->n_ready; i++)
    {
      close (entry->active_fds[i]);
      if (entry->write_fds[i] != entry->active_fds[i])
        close (entry->write_fds[i]);
    }
  g_free (entry->active_fds);
  g_free (entry->write_fds);
  g_array_unref (entry->ratios);
  g_array_unref (entry->times);
  g_free (entry);
}

static gboolean
entry_add_all (Entry     *entry,
               const int *fds,
               guint      n)
{
  for (guint i = 0; i < n; i++)
    {
      if (!entry->contestant->add (entry->self, fds[i], BENCHMARK_READ))
        return FALSE;
    }

  return TRUE;
}

/* Returns NULL, and prints a message, if the contestant cannot do the work. */
static Entry *
entry_new (const Contestant *contestant,
           const Work       *work)
{
  Entry *entry;

  if (contestant->max_fds != 0 && work->n_idle > contestant->max_fds)
    {
      g_print ("missing\t%s\t%s\tsetting up alone takes minutes\n", work->name, contestant->name);
      return NULL;
    }

  entry = g_new0 (Entry, 1);
  entry->contestant = contestant;
  entry->work = work;
  entry->self = contestant->open (contestant);
  entry->ratios = g_array_new (FALSE, FALSE, sizeof (gdouble));
  entry->times = g_array_new (FALSE, FALSE, sizeof (gdouble));

  if (entry->self != NULL && work->handling != LEAVE)
    {
      entry->active_fds = g_new (int, work->n_ready);
      entry->write_fds = g_new (int, work->n_ready);
      for (guint i = 0; i < work->n_ready; i++)
        entry->active_fds[i] = benchmark_active_fd (work->handling == CONSUME_SOCKET, &entry->write_fds[i]);
    }

  if (entry->self == NULL ||
      !entry_add_all (entry, pool_get (&idle_pool, work->n_idle), work->n_idle) ||
      !entry_add_all (entry, benchmark_get_pipes (), work->run == work_run_modify ? N_PIPES : 0) ||
      !entry_add_all (entry, work->handling != LEAVE ? entry->active_fds : pool_get (&ready_pool, work->n_ready),
                      work->n_ready))
    {
      g_print ("missing\t%s\t%s\t%s\n", work->name, contestant->name, g_strerror (errno));
      entry_free (entry);
      return NULL;
    }

  /* The first run applies pending changes, and makes allocations that happen at first use. */
  work->run (entry, 2);

  return entry;
}

/* --- Time --- */

/* The processor time of this process, so that other processes disturb less. Nothing here ever sleeps. */
static gdouble
benchmark_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return (gdouble) now.tv_sec * 1e9 + (gdouble) now.tv_nsec;
}

/* The first repetitions are not counted: the processor's caches still belong to the previous contestant, which is
 * more often the bare loop. */
static gdouble
entry_time (Entry   *entry,
            guint    n_repetitions,
            gdouble *per_unit)
{
  gdouble start, elapsed;
  gsize n_units;

  entry->work->run (entry, n_repetitions / 8 + 1);
  start = benchmark_now ();
  n_units = entry->work->run (entry, n_repetitions);
  elapsed = benchmark_now () - start;

  *per_unit = elapsed / (gdouble) n_units;

  return elapsed;
}

static void
entry_calibrate (Entry *entry)
{
  gdouble elapsed = 0, per_unit;
  guint n;

  for (n = 1; n < 1u << 20; n *= 2)
    {
      elapsed = entry_time (entry, n, &per_unit);
      if (elapsed > 2e5)
        break;
    }

  entry->estimate = elapsed / n;
}

static guint
entry_get_repetitions (const Entry *entry,
                       gdouble      nanoseconds)
{
  return (guint) CLAMP (nanoseconds / entry->estimate, 1, 1e6);
}

static int
compare_doubles (gconstpointer a,
                 gconstpointer b)
{
  gdouble x = *(const gdouble *) a;
  gdouble y = *(const gdouble *) b;

  return (x > y) - (x < y);
}

static gdouble
quantile (GArray  *values,
          gdouble  fraction)
{
  gdouble position = fraction * (values->len - 1);
  guint below = (guint) position;
  gdouble rest = position - below;

  g_array_sort (values, compare_doubles);
  if (below + 1 == values->len)
    return g_array_index (values, gdouble, below);

  return (1 - rest) * g_array_index (values, gdouble, below) + rest * g_array_index (values, gdouble, below + 1);
}

static void
benchmark_print_time (Entry *entry)
{
  g_print ("time\t%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.1f\n",
           entry->work->name, entry->contestant->name, entry->work->unit,
           quantile (entry->ratios, 0.25), quantile (entry->ratios, 0.5), quantile (entry->ratios, 0.75),
           quantile (entry->times, 0.5));
}

/* Each batch of a contestant runs between two batches of the bare loop. */
static void
benchmark_time (const Work *work,
                GPtrArray  *contestants,
                guint       n_rounds)
{
  g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify) entry_free);
  Entry *bare;
  guint n_bare;

  for (guint i = 0; i < contestants->len; i++)
    {
      Entry *entry = entry_new (g_ptr_array_index (contestants, i), work);

      if (entry != NULL)
        {
          entry_calibrate (entry);
          g_ptr_array_add (entries, entry);
        }
    }

  bare = g_ptr_array_index (entries, 0);
  n_bare = entry_get_repetitions (bare, 1e6);

  for (guint round = 0; round < n_rounds; round++)
    {
      for (guint i = 0; i < entries->len; i++)
        {
          Entry *entry = g_ptr_array_index (entries, (round + i) % entries->len);
          gdouble before, per_unit, after, ratio;

          /* Slow works need fewer rounds. */
          if (entry->estimate > 1e7 && round % 8 != 0)
            continue;

          entry_time (bare, n_bare, &before);
          entry_time (entry, entry_get_repetitions (entry, 1e6), &per_unit);
          entry_time (bare, n_bare, &after);
          ratio = 2 * per_unit / (before + after);
          g_array_append_val (entry->ratios, ratio);
          g_array_append_val (entry->times, per_unit);
        }
    }

  g_ptr_array_foreach (entries, (GFunc) (void (*) (void)) benchmark_print_time, NULL);
}

/* --- System calls --- */

typedef struct
{
  const Contestant *contestant;
  const Work *work;
  guint n_repetitions;
} Task;

static void
benchmark_traced (gconstpointer data)
{
  const Task *task = data;
  Entry *entry = entry_new (task->contestant, task->work);
  gsize n_units;

  if (entry == NULL)
    return;

  syscalls_begin ();
  n_units = task->work->run (entry, task->n_repetitions);
  syscalls_end ((gint64) n_units);
}

/* Enough turns to include the closer check that a contestant makes at every eighth event. */
#define N_COUNTED 64

static void
benchmark_count_syscalls (const Work *work,
                          GPtrArray  *contestants,
                          guint       n_rounds)
{
  for (guint i = 0; i < contestants->len; i++)
    {
      Task task = { g_ptr_array_index (contestants, i), work, N_COUNTED };
      const char *reason;
      SyscallCount count;

      if (syscalls_count (benchmark_traced, &task, &count, &reason))
        g_print ("syscalls\t%s\t%s\t%s\t%.3f\n", work->name, task.contestant->name, work->unit,
                 (gdouble) count.n_calls / (gdouble) count.n_units);
      else
        g_print ("missing\t%s\t%s\tsystem calls: %s\n", work->name, task.contestant->name, reason);
    }
}

/* --- Instructions --- */

/* Callgrind writes a file for each work and contestant. The label names them. */
static void
benchmark_count_instructions (const Work *work,
                              GPtrArray  *contestants,
                              guint       n_rounds)
{
#ifdef HAVE_CALLGRIND
  for (guint i = 0; i < contestants->len; i++)
    {
      const Contestant *contestant = g_ptr_array_index (contestants, i);
      Entry *entry = entry_new (contestant, work);
      g_autofree char *label = NULL;
      gsize n_units;

      if (entry == NULL)
        continue;

      CALLGRIND_START_INSTRUMENTATION;
      CALLGRIND_ZERO_STATS;
      n_units = work->run (entry, N_COUNTED);
      CALLGRIND_STOP_INSTRUMENTATION;
      label = g_strdup_printf ("%s\t%s\t%s\t%" G_GSIZE_FORMAT, work->name, contestant->name, work->unit, n_units);
      CALLGRIND_DUMP_STATS_AT (label);
      entry_free (entry);
    }
#else
  g_print ("missing\t%s\t\tinstructions: built without valgrind/callgrind.h\n", work->name);
#endif
}

/* --- Allocations --- */

static void
benchmark_count_allocations (const Work *work,
                             GPtrArray  *contestants,
                             guint       n_rounds)
{
  for (guint i = 0; i < contestants->len; i++)
    {
      Entry *entry = entry_new (g_ptr_array_index (contestants, i), work);
      gsize n_before, n_units;

      if (entry == NULL)
        continue;

      n_before = allocations_count ();
      n_units = work->run (entry, N_COUNTED);
      g_print ("allocations\t%s\t%s\t%s\t%.3f\n", work->name, entry->contestant->name, work->unit,
               (gdouble) (allocations_count () - n_before) / (gdouble) n_units);
      entry_free (entry);
    }
}

/* --- Memory --- */

static gdouble
benchmark_get_heap (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return (gdouble) info.uordblks + (gdouble) info.hblkhd;
}

/* G_SLICE=always-malloc makes all of GLib's memory visible. */
static void
benchmark_measure_memory (const Contestant *contestant,
                          guint             n)
{
  const int *fds = pool_get (&idle_pool, n);
  gdouble empty, one, full;
  gpointer self;

  if (contestant->max_fds != 0 && n > contestant->max_fds)
    return;

  /* Run once before, for allocations that are made only once. */
  self = contestant->open (contestant);
  if (self == NULL)
    return;
  contestant->add (self, fds[0], BENCHMARK_READ);
  contestant->turn (self, FALSE);
  contestant->close (self);

  empty = benchmark_get_heap ();
  self = contestant->open (contestant);
  contestant->add (self, fds[0], BENCHMARK_READ);
  contestant->turn (self, FALSE);
  one = benchmark_get_heap ();
  for (guint i = 1; i < n; i++)
    contestant->add (self, fds[i], BENCHMARK_READ);
  contestant->turn (self, FALSE);
  full = benchmark_get_heap ();

  g_print ("memory\t%u\t%s\t%.1f\t%.0f\n", n, contestant->name, (full - one) / (n - 1), one - empty);
  contestant->close (self);
}

/* --- Selection of works and contestants --- */

typedef void (*ModeFunc) (const Work *work,
                          GPtrArray  *contestants,
                          guint       n_rounds);

static const struct
{
  const char *name;
  ModeFunc func;
  gboolean counted;            /* of works that do nothing else */
} modes[] = {
  { "time", benchmark_time, FALSE },
  { "syscalls", benchmark_count_syscalls, TRUE },
  { "allocations", benchmark_count_allocations, TRUE },
  { "instructions", benchmark_count_instructions, TRUE },
};

static void
benchmark_choose_from (GPtrArray        *chosen,
                       const Contestant *contestants,
                       const char       *pattern)
{
  for (; contestants->name != NULL; contestants++)
    {
      if (pattern == NULL || g_pattern_match_simple (pattern, contestants->name))
        g_ptr_array_add (chosen, (gpointer) contestants);
    }
}

/* The bare epoll loop is first, because all others are compared with it. */
static GPtrArray *
benchmark_choose (const char *pattern)
{
  GPtrArray *chosen = g_ptr_array_new ();

  benchmark_choose_from (chosen, bare_contestants, pattern);
  if (chosen->len == 0 || g_ptr_array_index (chosen, 0) != bare_contestants)
    g_ptr_array_insert (chosen, 0, (gpointer) bare_contestants);
  benchmark_choose_from (chosen, sel_contestants, pattern);
  benchmark_choose_from (chosen, glib_contestants, pattern);
#ifdef HAVE_LIBEV
  benchmark_choose_from (chosen, libev_contestants, pattern);
#else
  g_print ("missing\t\tlibev\tnot found when this was built\n");
#endif
#ifdef HAVE_LIBEVENT
  benchmark_choose_from (chosen, libevent_contestants, pattern);
#else
  g_print ("missing\t\tlibevent\tnot found when this was built\n");
#endif
#ifdef HAVE_LIBUV
  benchmark_choose_from (chosen, libuv_contestants, pattern);
#else
  g_print ("missing\t\tlibuv\tnot found when this was built\n");
#endif

  return chosen;
}

static void
benchmark_run_works (guint       mode,
                     GPtrArray  *contestants,
                     const char *pattern,
                     guint       n_rounds,
                     guint       limit)
{
  for (guint i = 0; i < G_N_ELEMENTS (works); i++)
    {
      const Work *work = &works[i];

      if ((pattern != NULL && !g_pattern_match_simple (pattern, work->name)) ||
          (modes[mode].counted && work->handling != LEAVE))
        continue;

      if (work_fits (work, limit))
        modes[mode].func (work, contestants, n_rounds);
      else
        g_print ("missing\t%s\t\tRLIMIT_NOFILE is %u\n", work->name, limit);

      fflush (stdout);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_autofree char *mode = NULL;
  g_autofree char *work_pattern = NULL;
  g_autofree char *contestant_pattern = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) contestants = NULL;
  int n_rounds = 41;
  int n_files = 0;
  int n_memory = 10000;
  guint limit;
  GOptionEntry options[] = {
    { "mode", 'm', 0, G_OPTION_ARG_STRING, &mode,
      "What to measure: time (the default), syscalls, allocations, memory, or, under callgrind, instructions", "MODE" },
    { "work", 'w', 0, G_OPTION_ARG_STRING, &work_pattern, "Only the works that match", "PATTERN" },
    { "contestant", 'c', 0, G_OPTION_ARG_STRING, &contestant_pattern, "Only the contestants that match", "PATTERN" },
    { "rounds", 'r', 0, G_OPTION_ARG_INT, &n_rounds, "How often to time each", "N" },
    { "files", 'f', 0, G_OPTION_ARG_INT, &n_files, "What to set RLIMIT_NOFILE to", "N" },
    { "registered", 'n', 0, G_OPTION_ARG_INT, &n_memory, "How many to register to measure memory", "N" },
    { NULL }
  };
  GOptionContext *context = g_option_context_new ("- compare ways to wait for descriptors");

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || n_rounds < 1 || n_memory < 2)
    {
      g_printerr ("%s\n", error != NULL ? error->message : "A number is too small");
      return 2;
    }
  g_option_context_free (context);

  limit = benchmark_set_limit (n_files);
  contestants = benchmark_choose (contestant_pattern);

  if (g_strcmp0 (mode, "memory") == 0)
    {
      n_memory = MIN (n_memory, (int) limit - 100);
      for (guint i = 0; i < contestants->len; i++)
        benchmark_measure_memory (g_ptr_array_index (contestants, i), (guint) n_memory);
    }
  else
    {
      for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
        {
          if (g_strcmp0 (mode != NULL ? mode : "time", modes[i].name) == 0)
            benchmark_run_works (i, contestants, work_pattern, (guint) n_rounds, limit);
        }
    }

  pool_clear (&idle_pool);
  pool_clear (&ready_pool);

  return 0;
}
