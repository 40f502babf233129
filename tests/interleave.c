/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEL_TEST_POINTS 1

/* From <linux/futex.h>, which musl's compiler does not find. */
#ifndef FUTEX_WAIT_PRIVATE
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129
#endif
#include "core/sel-point-private.h"
#include "interleave.h"

/* A run that is longer than this does not end. */
#define MAX_STEPS 4000

/* The scheduler must not order what the library does not order itself. For ThreadSanitizer, a relaxed operation orders
 * nothing; it does not look into a system call either. */
#ifdef __SANITIZE_THREAD__
#define ORDER __ATOMIC_RELAXED
#else
#define ORDER __ATOMIC_SEQ_CST
#endif

typedef enum
{
  WORKER_DONE,
  WORKER_RUNNING,
  WORKER_STOPPED
} WorkerState;

typedef struct
{
  guint       index;
  int         start;      /* atomic: a run begins */
  int         go;         /* atomic: continue after a point; a futex */
  int         state;      /* atomic: WorkerState */
  const char *point;      /* atomic: where it has stopped */
  gboolean    spins;      /* it has stopped at a point in a loop, and no other thread has made a step since */
  int         stat_fd;
  int         schedstat_fd;
  char        sleeping[64]; /* the content of schedstat when the thread was seen asleep */
} Worker;

/* One choice of the scheduler. */
typedef struct
{
  guint       enabled;      /* bits of the threads that could continue */
  guint       chosen;
  guint       previous;     /* the thread that was chosen before */
  guint       n_preemptions; /* before this choice */
} Choice;

static Worker workers[INTERLEAVE_MAX_THREADS];
static guint n_workers;
static const Interleave *current;
static __thread Worker *this_worker;

static Choice choices[MAX_STEPS];
static guint n_choices;
static const char *trace[MAX_STEPS];

/* --- Failures --- */

static void
write_text (const char *text)
{
  if (write (STDERR_FILENO, text, strlen (text)) < 0)
    return;
}

/* Called in signal handlers, too. */
static void
print_run (void)
{
  char digit[] = "0";

  write_text ("# the run so far: ");
  for (guint i = 0; i < n_choices; i++)
    {
      digit[0] = (char) ('0' + choices[i].chosen);
      write_text (digit);
      write_text (":");
      write_text (trace[i]);
      write_text (" ");
    }
  write_text ("\n# SEL_TEST_SCHEDULE=");
  for (guint i = 0; i < n_choices; i++)
    {
      digit[0] = (char) ('0' + choices[i].chosen);
      write_text (digit);
    }
  write_text ("\n");
}

static void
on_fatal_signal (int signum)
{
  print_run ();
  signal (signum, SIG_DFL);
  raise (signum);
}

G_NORETURN static void
fail (const char *reason)
{
  write_text ("# ");
  write_text (reason);
  write_text ("\n");
  abort ();
}

/* --- Threads --- */

static void
futex_wait (int *word,
            int  value)
{
  syscall (SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void
futex_wake (int *word)
{
  syscall (SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Stops until the scheduler chooses the thread. */
static void
stop_at (const char *name)
{
  Worker *self = this_worker;

  if (self == NULL)
    return;

  __atomic_store_n (&self->point, name, ORDER);
  __atomic_store_n (&self->state, WORKER_STOPPED, ORDER);
  while (__atomic_load_n (&self->go, ORDER) == 0)
    futex_wait (&self->go, 0);
  __atomic_store_n (&self->go, 0, ORDER);
}

static const char *
get_point (Worker *worker)
{
  return __atomic_load_n (&worker->point, ORDER);
}

void
interleave_point (const char *name)
{
  stop_at (name);
}

void
interleave_forget_threads (void)
{
  this_worker = NULL;
  __atomic_store_n (&sel_point_func, NULL, __ATOMIC_SEQ_CST);
}

static int
open_proc (const char *name)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%ld/%s", (long) syscall (SYS_gettid), name);

  return open (path, O_RDONLY | O_CLOEXEC);
}

static gpointer
worker_main (gpointer data)
{
  Worker *self = data;

  this_worker = self;
  self->stat_fd = open_proc ("stat");
  self->schedstat_fd = open_proc ("schedstat");
  __atomic_store_n (&self->state, WORKER_DONE, __ATOMIC_RELEASE);

  for (;;)
    {
      while (__atomic_load_n (&self->start, __ATOMIC_ACQUIRE) == 0)
        futex_wait (&self->start, 0);
      __atomic_store_n (&self->start, 0, ORDER);

      stop_at ("begin");
      current->run (current->data, self->index);
      __atomic_store_n (&self->state, WORKER_DONE, __ATOMIC_RELEASE);
    }

  return NULL;
}

static void
use_one_processor (void)
{
  int cpu = sched_getcpu ();
  cpu_set_t set;

  if (cpu < 0)
    return;

  CPU_ZERO (&set);
  CPU_SET ((gsize) cpu, &set);
  sched_setaffinity (0, sizeof set, &set);
}

static void
add_workers (guint n)
{
  static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGTRAP };

  for (guint i = 0; n_workers == 0 && i < G_N_ELEMENTS (signals); i++)
    signal (signals[i], on_fatal_signal);

  /* Only one thread runs at a time: on one processor the next one continues at once. */
  if (n_workers == 0)
    use_one_processor ();

  for (; n_workers < n; n_workers++)
    {
      Worker *worker = &workers[n_workers];

      worker->index = n_workers;
      worker->state = WORKER_RUNNING;
      g_thread_unref (g_thread_new ("interleaved", worker_main, worker));
      while (__atomic_load_n (&worker->state, __ATOMIC_ACQUIRE) == WORKER_RUNNING)
        sched_yield ();
    }
}

gboolean
interleave_is_supported (void)
{
  return access ("/proc/self/task", F_OK) == 0;
}

/* --- Blocked threads --- */

/* Reads the number of times that the thread got a processor. */
static gboolean
is_asleep (Worker *worker,
           char   *buffer,
           gsize   size)
{
  char stat[256];
  const char *state;
  gssize n;

  n = pread (worker->stat_fd, stat, sizeof stat - 1, 0);
  if (n <= 0)
    fail ("cannot read the state of a thread");
  stat[n] = '\0';
  state = strrchr (stat, ')');
  if (state == NULL || state[1] != ' ' || state[2] != 'S')
    return FALSE;

  n = pread (worker->schedstat_fd, buffer, size - 1, 0);
  buffer[MAX (n, 0)] = '\0';

  return TRUE;
}

/* TRUE if all threads of @running, a set of bits, sleep and none of them has run between two looks: then nothing but
 * another thread can make them continue. FALSE if one of them has stopped or ended meanwhile. */
static gboolean
all_are_blocked (guint running)
{
  for (guint pass = 0; pass < 2; pass++)
    {
      for (guint i = 0; i < current->n_threads; i++)
        {
          Worker *worker = &workers[i];
          char now[sizeof worker->sleeping];

          if ((running & (1u << i)) == 0)
            continue;
          if (!is_asleep (worker, now, sizeof now))
            return FALSE;
          if (pass == 0)
            strcpy (worker->sleeping, now);
          else if (strcmp (worker->sleeping, now) != 0 || __atomic_load_n (&worker->state, ORDER) != WORKER_RUNNING)
            return FALSE;
        }
    }

  return TRUE;
}

/* Waits until no thread runs: each has stopped, has ended, or is blocked. Returns: FALSE if all have ended */
static gboolean
settle (void)
{
  for (guint n_looks = 0;; n_looks++)
    {
      guint running = 0, n_stopped = 0;

      for (guint i = 0; i < current->n_threads; i++)
        {
          int state = __atomic_load_n (&workers[i].state, __ATOMIC_ACQUIRE);

          if (state == WORKER_RUNNING)
            running |= 1u << i;
          n_stopped += state == WORKER_STOPPED;
        }
      if (running == 0)
        return n_stopped > 0;
      if (n_looks >= 10 && all_are_blocked (running))
        return TRUE;
      sched_yield ();
    }
}

/* --- The scheduler --- */

static guint
get_enabled (void)
{
  guint n_threads = MIN (current->n_threads, G_N_ELEMENTS (workers)); /* without MIN() gcc -O3 warns */
  guint enabled = 0, spinning = 0;

  for (guint i = 0; i < n_threads; i++)
    {
      if (__atomic_load_n (&workers[i].state, ORDER) != WORKER_STOPPED)
        continue;
      if (workers[i].spins)
        spinning |= 1u << i;
      else
        enabled |= 1u << i;
    }

  return enabled != 0 ? enabled : spinning;
}

/* The threads in the order in which they are tried: first the one that goes on without a preemption. */
static guint
nth_candidate (const Choice *choice,
               guint         n)
{
  guint first = choice->previous;

  if ((choice->enabled & (1u << first)) == 0)
    first = (guint) g_bit_nth_lsf (choice->enabled, -1);
  if (n == 0)
    return first;

  for (guint i = 0; i < INTERLEAVE_MAX_THREADS; i++)
    {
      if (i != first && (choice->enabled & (1u << i)) != 0 && --n == 0)
        return i;
    }

  return INTERLEAVE_MAX_THREADS;
}

static guint
count_preemptions (const Choice *choice)
{
  gboolean could_continue = (choice->enabled & (1u << choice->previous)) != 0;

  return choice->n_preemptions + (could_continue && choice->chosen != choice->previous);
}

/* Takes another choice at the last place where there is one left. Returns: FALSE if all orders were tried */
static gboolean
choose_next (void)
{
  while (n_choices > 0)
    {
      Choice *choice = &choices[n_choices - 1];
      guint n = 0;

      while (nth_candidate (choice, n) != choice->chosen)
        n++;
      choice->chosen = nth_candidate (choice, n + 1);
      if (choice->chosen < INTERLEAVE_MAX_THREADS && count_preemptions (choice) <= current->max_preemptions)
        return TRUE;

      n_choices--;
    }

  return FALSE;
}

/* Makes a thread continue. */
static void
step (guint thread)
{
  Worker *worker = &workers[thread];

  for (guint i = 0; i < current->n_threads; i++)
    workers[i].spins = FALSE;
  __atomic_store_n (&worker->state, WORKER_RUNNING, ORDER);
  __atomic_store_n (&worker->go, 1, ORDER);
  futex_wake (&worker->go);
}

/* Records where the thread that made the last step has stopped. */
static void
note_stop (guint            thread,
           InterleaveStats *stats)
{
  Worker *worker = &workers[thread];

  if (__atomic_load_n (&worker->state, ORDER) == WORKER_STOPPED)
    worker->spins = g_str_has_prefix (get_point (worker), "spin-");
  for (guint i = 0; i < current->n_threads; i++)
    {
      if (__atomic_load_n (&workers[i].state, ORDER) == WORKER_STOPPED)
        g_hash_table_add (stats->points, (gpointer) get_point (&workers[i]));
    }
}

/* One run: repeats the first @n_fixed choices. */
static void
run_once (guint            n_fixed,
          InterleaveStats *stats)
{
  const char *schedule = g_getenv ("SEL_TEST_SCHEDULE");
  guint previous = INTERLEAVE_MAX_THREADS, n_preemptions = 0, n = 0; /* the first choice is no preemption */

  n_choices = 0;
  current->set_up (current->data);
  for (guint i = 0; i < current->n_threads; i++)
    {
      workers[i].spins = FALSE;
      __atomic_store_n (&workers[i].state, WORKER_RUNNING, ORDER);
      __atomic_store_n (&workers[i].start, 1, __ATOMIC_RELEASE);
      futex_wake (&workers[i].start);
    }

  while (settle ())
    {
      guint enabled = get_enabled ();
      Choice *choice = &choices[n];

      if (enabled == 0)
        {
          if (!current->rescue (current->data))
            fail ("no thread can continue");
          /* The threads that were woken are not asleep any more. */
          continue;
        }

      if (n < n_fixed && choice->enabled != enabled)
        {
          n_fixed = n;
          stats->n_diverged++;
        }
      if (n >= n_fixed)
        {
          *choice = (Choice) { .enabled = enabled, .previous = previous, .n_preemptions = n_preemptions };
          choice->chosen = nth_candidate (choice, 0);
          if (schedule != NULL && schedule[0] != '\0')
            {
              guint wanted = (guint) (*schedule++ - '0');

              if (wanted < INTERLEAVE_MAX_THREADS && (enabled & (1u << wanted)) != 0)
                choice->chosen = wanted;
            }
        }
      trace[n] = get_point (&workers[choice->chosen]);
      n_choices = ++n;
      if (n == MAX_STEPS)
        fail ("the run does not end");

      previous = choice->chosen;
      n_preemptions = count_preemptions (choice);
      step (previous);
      settle ();
      note_stop (previous, stats);
    }

  current->tear_down (current->data);
  stats->n_runs++;
  stats->n_steps += n;
}

void
interleave_run_all (const Interleave *interleave,
                    InterleaveStats  *stats)
{
  if (stats->points == NULL)
    stats->points = g_hash_table_new (g_str_hash, g_str_equal);

  current = interleave;
  add_workers (interleave->n_threads);
  __atomic_store_n (&sel_point_func, stop_at, __ATOMIC_SEQ_CST);
  n_choices = 0;
  do
    run_once (n_choices, stats);
  while (g_getenv ("SEL_TEST_SCHEDULE") == NULL && choose_next ());
  n_choices = 0;
  __atomic_store_n (&sel_point_func, NULL, __ATOMIC_SEQ_CST);
}
