/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

/* The iterations of a main context while an event loop runs it. They do what g_main_context_iteration () does, except
 * that a busy loop polls less often.
 *
 * If the selector was ready in an iteration, it is often ready in the next one, too. The next iteration may guess so:
 * it dispatches the source of the selector without poll (), and that source asks the kernel. All sources are prepared,
 * checked and dispatched as in any iteration, but other descriptors of the context are not looked at. A wrong guess
 * costs one system call, and the next iteration polls.
 *
 * If a turn is due at once, poll () would not wait, and a wrong guess costs no more than poll (). */

/* How many iterations in a row may guess, and for how long, in microseconds. */
#define MAX_GUESSES 15
#define MAX_GUESS_TIME 1000

/* After wrong guesses in a row, so many iterations poll before the next guess. */
#define MAX_INTERVAL 64

/* Contexts with more descriptors need memory for each iteration. */
#define MAX_FDS_ON_STACK 64

static gboolean
accel_guess_make (AccelGuess   *guess,
                  GMainContext *context)
{
  if (guess->n_made == MAX_GUESSES)
    return FALSE;
  if (!guess->is_free)
    {
      if (!guess->was_ready)
        return FALSE;
      if (guess->n_polls_left > 0)
        {
          guess->n_polls_left--;
          return FALSE;
        }
    }

  /* A program that replaces poll () wants to see each call. */
  return g_get_monotonic_time () - guess->poll_time < MAX_GUESS_TIME &&
         g_main_context_get_poll_func (context) == g_poll;
}

static void
accel_guess_begin (AccelSource *source)
{
  AccelGuess *guess = &source->guess;

  guess->is_free = source->ready_time == 0;
  guess->is_made = accel_guess_make (guess, source->context);
  guess->n_made = guess->is_made ? guess->n_made + 1 : 0;
  guess->was_ready = FALSE;
}

static void
accel_guess_end (AccelGuess *guess)
{
  gboolean was_made = guess->is_made;

  guess->is_made = FALSE;
  if (!was_made || guess->is_free)
    return;

  if (guess->was_ready)
    {
      guess->interval /= 2;
    }
  else
    {
      guess->interval = MIN (2 * guess->interval + 1, MAX_INTERVAL);
      guess->n_polls_left = guess->interval;
    }
}

static void
accel_poll (AccelGuess   *guess,
            GMainContext *context,
            GPollFD      *fds,
            int           n_fds,
            int           timeout)
{
  g_main_context_get_poll_func (context) (fds, (guint) n_fds, timeout);
  guess->poll_time = g_get_monotonic_time ();
}

/* Returns: TRUE if this iteration has polled */
static gboolean
accel_iterate_context (AccelSource *source)
{
  GMainContext *context = source->context;
  AccelGuess *guess = &source->guess;
  GPollFD fds_on_stack[MAX_FDS_ON_STACK];
  g_autofree GPollFD *fds_in_heap = NULL;
  GPollFD *fds = fds_on_stack;
  int priority, timeout, n_fds, n_allocated = MAX_FDS_ON_STACK;
  gboolean has_polled;

  accel_guess_begin (source);

  /* What is not polled has no results: g_main_context_query () sets them to 0. */
  g_main_context_prepare (context, &priority);
  while ((n_fds = g_main_context_query (context, priority, &timeout, fds, n_allocated)) > n_allocated)
    {
      g_free (fds_in_heap);
      fds = fds_in_heap = g_new (GPollFD, n_fds);
      n_allocated = n_fds;
    }
  has_polled = !guess->is_made;
  if (has_polled)
    accel_poll (guess, context, fds, n_fds, timeout);
  if (g_main_context_check (context, priority, fds, n_fds))
    g_main_context_dispatch (context);

  accel_guess_end (guess);

  return has_polled;
}

/* Runs iterations of the main context of a running loop, which may block: at most as many as do without poll (), and
 * one more. */
PyObject *
accel_iterate (PyObject *module,
               PyObject *loop)
{
  AccelSource *source = accel_get_source (loop, accel_names._running_source);
  int status;

  if (source == NULL)
    {
      if (!PyErr_Occurred ())
        PyErr_SetString (PyExc_RuntimeError, "The event loop does not run");
      return NULL;
    }

  /* The turns that these iterations take look for signals, too. */
  Py_BEGIN_ALLOW_THREADS
  while (!accel_iterate_context (source) && !source->has_ended && source->loop != NULL)
    ;
  Py_END_ALLOW_THREADS

  status = PyErr_CheckSignals ();
  Py_DECREF (source);

  return status == 0 ? Py_NewRef (Py_None) : NULL;
}
