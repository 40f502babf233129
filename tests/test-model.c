/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Random operations on every backend, compared with a simple model.
 *
 * Without arguments the program does a short run that prints TAP, or a run of SEL_TEST_MODEL_SECONDS seconds, if this
 * is set in the environment. --seconds=N or --operations=N starts a long run, with seeds from --seed=N on.
 * --backends=epoll,poll, or SEL_TEST_BACKENDS in the environment, limits the run to these backends. --replay=HEX
 * repeats a sequence that an earlier failure has printed.
 */

#include "model.h"

#include "backends.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_PER_SEQUENCE 400
#define MAX_BYTES (MODEL_HEADER_SIZE + STEPS_PER_SEQUENCE * MODEL_STEP_SIZE)

/* Shared by the supervising process and the running one, which may crash. */
typedef struct
{
  guint64 seed;
  ModelCount count;
  gboolean failed;
  gsize n_steps_done;
  char difference[512];
  char wait[MODEL_WAIT_SIZE];
} Progress;

/* In seconds. A sequence takes some milliseconds, and a hundred times as long under the slowest tool. */
#define MAX_SEQUENCE_TIME 60

static Progress *progress;
static guint used_backends;

/* Generates the bytes of a seed, the same on every system (xorshift64*). */
static void
fill_sequence (guint64 seed,
               guint8  bytes[MAX_BYTES])
{
  guint64 x = (seed + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  for (gsize i = 0; i < MAX_BYTES; i++)
    {
      x ^= x >> 12;
      x ^= x << 25;
      x ^= x >> 27;
      bytes[i] = (guint8) ((x * G_GUINT64_CONSTANT (0x2545f4914f6cdd1d)) >> 56);
    }
}

static void
run_and_tell (const guint8 *bytes,
              gsize         n_bytes)
{
  g_autofree char *difference = model_run (bytes, n_bytes, used_backends, &progress->count, &progress->n_steps_done);

  if (difference == NULL)
    return;

  progress->failed = TRUE;
  g_strlcpy (progress->difference, difference, sizeof progress->difference);
}

/* Runs in a child process, because the sequence may crash or hang. Returns TRUE if it failed. */
static gboolean
fails (const guint8 *bytes,
       gsize         n_bytes)
{
  int status;
  pid_t pid;

  progress->failed = FALSE;
  progress->difference[0] = progress->wait[0] = '\0';
  progress->n_steps_done = n_bytes;
  fflush (NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      alarm (10);
      run_and_tell (bytes, n_bytes);
      _exit (0);
    }

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  if (WIFSIGNALED (status))
    g_snprintf (progress->difference, sizeof progress->difference, "%s %s", g_strsignal (WTERMSIG (status)),
                progress->wait);

  return progress->failed || !WIFEXITED (status) || WEXITSTATUS (status) != 0;
}

/* Removes parts that the failure does not need, in smaller and smaller pieces. */
static gsize
shrink (guint8 *bytes,
        gsize   n_bytes)
{
  g_autofree guint8 *shorter = g_malloc (n_bytes);

  for (gsize piece = n_bytes / MODEL_STEP_SIZE / 2; piece > 0; piece /= 2)
    {
      gsize size = piece * MODEL_STEP_SIZE;
      gsize start = MODEL_HEADER_SIZE;

      while (start + size <= n_bytes)
        {
          memcpy (shorter, bytes, start);
          memcpy (shorter + start, bytes + start + size, n_bytes - start - size);
          if (fails (shorter, n_bytes - size))
            {
              n_bytes -= size;
              memcpy (bytes, shorter, n_bytes);
            }
          else
            {
              start += size;
            }
        }
    }

  return n_bytes;
}

static void
explain (guint8 *bytes,
         gsize   n_bytes)
{
  g_autoptr (GString) hex = g_string_new (NULL);
  g_autofree char *words = NULL;

  if (!fails (bytes, n_bytes))
    {
      g_printerr ("# it does not fail again\n");
      return;
    }

  n_bytes = shrink (bytes, n_bytes);
  fails (bytes, n_bytes);
  words = model_describe (bytes, n_bytes);
  for (gsize i = 0; i < n_bytes; i++)
    g_string_append_printf (hex, "%02x", bytes[i]);

  g_printerr ("%s\n%s--replay=%s\n", progress->difference, words, hex->str);
}

typedef struct
{
  guint64 first_seed;
  guint64 n_operations;
  gint64 end;
} Limits;

static void
run_sequences (const Limits *limits)
{
  guint8 bytes[MAX_BYTES];

  progress->failed = FALSE;
  for (progress->seed = limits->first_seed;; progress->seed++)
    {
      fill_sequence (progress->seed, bytes);
      alarm (MAX_SEQUENCE_TIME);
      run_and_tell (bytes, sizeof bytes);
      alarm (0);
      if (progress->failed || progress->count.n_operations >= limits->n_operations ||
          g_get_monotonic_time () >= limits->end)
        return;
    }
}

/* Returns TRUE on success. */
static gboolean
run (const Limits *limits)
{
  guint8 bytes[MAX_BYTES];
  int status;
  pid_t pid;

  fflush (NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      run_sequences (limits);
      _exit (progress->failed);
    }

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_print ("# %" G_GUINT64_FORMAT " steps, %" G_GUINT64_FORMAT " operations over the backends, seeds %"
           G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT "\n", progress->count.n_steps, progress->count.n_operations,
           limits->first_seed, progress->seed);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;

  g_printerr ("# seed %" G_GUINT64_FORMAT " went wrong%s%s\n", progress->seed, WIFSIGNALED (status) ? ": " : "",
              WIFSIGNALED (status) ? g_strsignal (WTERMSIG (status)) : "");
  fill_sequence (progress->seed, bytes);
  explain (bytes, sizeof bytes);

  return FALSE;
}

static gboolean
replay (const char *hex)
{
  gsize n = strlen (hex) / 2;
  g_autofree guint8 *bytes = g_malloc (n + 1);
  g_autofree char *words = NULL;
  gboolean failed;

  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) (g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));

  words = model_describe (bytes, n);
  g_print ("%s", words);
  failed = fails (bytes, n);
  g_print ("%s\n", failed ? progress->difference : "no difference");

  return !failed;
}

static guint
parse_backends (const char *names)
{
  g_auto (GStrv) list = g_strsplit (names, ",", -1);
  guint set = 0;

  for (guint i = 0; i < N_BACKENDS; i++)
    if (g_strv_contains ((const char *const *) list, backends[i].name))
      set |= 1u << i;

  return set;
}

static void
test_short (void)
{
  /* One fixed seed, and one seed that changes with each run. */
  const char *seconds = g_getenv ("SEL_TEST_MODEL_SECONDS");
  guint64 n_operations = g_getenv ("SEL_TEST_BACKENDS") == NULL ? 500000 : 100000;
  Limits fixed = { 0, n_operations, G_MAXINT64 };
  Limits changing = { (guint64) g_get_real_time (), n_operations, G_MAXINT64 };

  if (seconds != NULL)
    {
      changing.n_operations = G_MAXUINT64;
      changing.end = g_get_monotonic_time () + g_ascii_strtoll (seconds, NULL, 10) * G_USEC_PER_SEC;
    }

  memset (progress, 0, sizeof *progress);
  g_assert_true (run (&fixed));
  memset (progress, 0, sizeof *progress);
  g_assert_true (run (&changing));
}

static void
test_describe (void)
{
  /* A descriptor that is registered twice, and a ready descriptor. */
  static const guint8 bytes[] = { 0, 49, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 32, 0, 0, 0 };
  g_autofree char *words = model_describe (bytes, sizeof bytes);
  g_autofree char *difference = model_run (bytes, sizeof bytes, used_backends, NULL, NULL);

  g_test_message ("%s", words);
  g_assert_cmpstr (difference, ==, NULL);
}

int
main (int   argc,
      char *argv[])
{
  g_autofree char *backend_names = NULL;
  g_autofree char *hex = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  gint64 seed = 0, operations = 0;
  int seconds = 0;
  const GOptionEntry entries[] = {
    { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "The first sequence", "N" },
    { "operations", 0, 0, G_OPTION_ARG_INT64, &operations, "How many, over all backends", "N" },
    { "seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "For how long", "N" },
    { "backends", 0, 0, G_OPTION_ARG_STRING, &backend_names, "Only these", "NAME,..." },
    { "replay", 0, 0, G_OPTION_ARG_STRING, &hex, "A sequence that failed", "HEX" },
    { NULL }
  };

  signal (SIGPIPE, SIG_IGN);
  progress = mmap (NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (progress != MAP_FAILED);
  model_current_wait = progress->wait;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_ignore_unknown_options (context, TRUE);
  g_option_context_parse (context, &argc, &argv, NULL);
  used_backends = model_supported_backends ();
  if (backend_names == NULL)
    backend_names = g_strdup (g_getenv ("SEL_TEST_BACKENDS"));
  if (backend_names != NULL)
    used_backends &= parse_backends (backend_names);

  if (hex != NULL)
    return replay (hex) ? 0 : 1;

  if (operations > 0 || seconds > 0)
    {
      Limits limits = { (guint64) seed, operations > 0 ? (guint64) operations : G_MAXUINT64,
                        seconds > 0 ? g_get_monotonic_time () + seconds * G_USEC_PER_SEC : G_MAXINT64 };

      return run (&limits) ? 0 : 1;
    }

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/short", test_short);
  g_test_add_func ("/model/describe", test_describe);

  return g_test_run ();
}
