/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One thread waits without a main loop, and another thread ends the wait with a GCancellable. The GCancellable uses no
 * descriptor, and no event is lost. */

#include <glib-unix.h>
#include <unistd.h>

#include "echo-common.h"

typedef struct
{
  SelBaseSelector *selector;
  GCancellable *cancellable;
  GError *error;
  guint n_bytes;
} Worker;

/* Reads until it is cancelled. */
static gpointer
worker_run (gpointer user_data)
{
  Worker *worker = user_data;
  SelReadyEvent events[16];
  gssize n;

  while ((n = sel_base_selector_select_ready (worker->selector, SEL_WAIT_FOREVER, events, G_N_ELEMENTS (events),
                                              worker->cancellable, &worker->error)) >= 0)
    {
      for (gssize i = 0; i < n; i++)
        {
          char buffer[64];
          gssize n_read = read (events[i].fd, buffer, sizeof buffer);

          if (n_read > 0)
            worker->n_bytes += (guint) n_read;
        }
    }

  return NULL;
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Worker worker = { .cancellable = cancellable };
  int seconds = 1;
  const GOptionEntry options[] = {
    { "seconds", 's', 0, G_OPTION_ARG_INT, &seconds, "Cancel the wait after so many seconds", "SECONDS" },
    { NULL }
  };
  GThread *thread;
  gboolean cancelled;
  int fds[2];

  echo_parse_arguments ("- cancel a wait in another thread", options, &argc, &argv);

  worker.selector = selector = sel_default_selector_new (&error);
  if (selector == NULL || !g_unix_open_pipe (fds, FD_CLOEXEC, &error)
      || !sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, NULL, NULL, &error))
    {
      g_printerr ("cancel: %s\n", error->message);
      return 1;
    }

  g_print ("A thread waits; it will be cancelled in %d s (try: cancel --seconds=5).\n", seconds);
  thread = g_thread_new ("worker", worker_run, &worker);

  for (int i = 0; i < seconds * 10; i++)
    {
      if (write (fds[1], "tick", 4) != 4)
        break;
      g_usleep (G_USEC_PER_SEC / 10);
    }
  g_cancellable_cancel (cancellable);
  g_thread_join (thread);

  cancelled = g_error_matches (worker.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_print ("It read %u bytes and ended with: %s\n", worker.n_bytes, worker.error->message);

  g_clear_error (&worker.error);
  sel_base_selector_close (selector);
  close (fds[0]);
  close (fds[1]);

  return cancelled ? 0 : 1;
}
