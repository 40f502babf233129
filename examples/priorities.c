/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A timer, an idle function and a selector in one main loop, each with its own priority.
 *
 * A long calculation is divided into short steps, which run while the main loop has nothing else to do. Lines from
 * standard input interrupt it, and a clock interrupts both. */

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "echo-common.h"

typedef struct
{
  GMainLoop *loop;
  guint64 candidate;
  guint n_primes;
  guint n_ticks;
} Program;

/* The lowest priority: one step of the calculation in each iteration in which no other source is ready. */
static gboolean
find_primes (gpointer user_data)
{
  Program *program = user_data;

  for (guint i = 0; i < 500; i++, program->candidate++)
    {
      guint64 divisor = 2;

      while (divisor * divisor <= program->candidate && program->candidate % divisor != 0)
        divisor++;
      if (divisor * divisor > program->candidate)
        program->n_primes++;
    }

  return G_SOURCE_CONTINUE;
}

/* The highest priority: the other sources do not delay it. */
static gboolean
tick (gpointer user_data)
{
  Program *program = user_data;

  program->n_ticks++;

  return G_SOURCE_CONTINUE;
}

/* The priority in between: a line of input. */
static gboolean
read_command (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  Program *program = user_data;
  char buffer[256];
  gssize n = read (sel_selector_key_get_fd (key), buffer, sizeof buffer - 1);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;

  if (n > 0)
    {
      buffer[n] = '\0';
      g_print ("%u primes below %" G_GUINT64_FORMAT ", %u ticks of the clock so far; you said: %s\n",
               program->n_primes, program->candidate, program->n_ticks, g_strchomp (buffer));
      if (!g_str_has_prefix (buffer, "quit"))
        return G_SOURCE_CONTINUE;
    }

  g_main_loop_quit (program->loop);

  return G_SOURCE_REMOVE;
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = NULL;
  Program program = { .candidate = 2 };

  echo_parse_arguments ("- a timer, a selector and idle work in one main loop", NULL, &argc, &argv);

  program.loop = g_main_loop_new (NULL, FALSE);
  selector = sel_default_selector_new (&error);
  if (selector == NULL)
    {
      g_printerr ("priorities: %s\n", error->message);
      return 1;
    }

  /* Standard input may be a regular file, which epoll and kqueue refuse. */
  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  if (!sel_base_selector_register_callback (selector, STDIN_FILENO, SEL_EVENT_READ, read_command,
                                            &program, NULL, &error))
    {
      g_printerr ("priorities: %s\n", error->message);
      return 1;
    }

  g_timeout_add_full (G_PRIORITY_HIGH, 10, tick, &program, NULL);
  sel_base_selector_attach (selector, NULL, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_idle_add_full (G_PRIORITY_LOW, find_primes, &program, NULL);

  g_print ("Looking for primes. Type something and press Return, or 'quit'.\n");
  g_main_loop_run (program.loop);

  sel_base_selector_close (selector);
  g_main_loop_unref (program.loop);

  return 0;
}
