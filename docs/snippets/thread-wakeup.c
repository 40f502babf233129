/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A thread that waits for descriptors, and for work from other threads. */

#include <sel-glib/sel-glib.h>

typedef struct
{
  SelBaseSelector *selector;
  GAsyncQueue *work;
} Worker;

static gpointer
worker_run (gpointer data)
{
  Worker *worker = data;
  g_autoptr (GError) error = NULL;

  while (TRUE)
    {
      g_autoptr (GPtrArray) ready = sel_base_selector_select (worker->selector, SEL_WAIT_FOREVER, NULL, &error);
      char *text;

      if (ready == NULL) /* for example SEL_SELECTOR_ERROR_CLOSED */
        return NULL;

      /* ... handle the ready descriptors ... */

      while ((text = g_async_queue_try_pop (worker->work)) != NULL)
        {
          g_print ("work: %s\n", text);
          if (g_str_equal (text, "stop"))
            return NULL;
        }
    }
}

static void
worker_give (Worker     *worker,
             const char *text)
{
  g_async_queue_push (worker->work, (gpointer) text);
  sel_base_selector_wakeup (worker->selector); /* after the push, so that the worker finds the work */
}

int
main (void)
{
  Worker worker = { sel_default_selector_new (NULL), g_async_queue_new () };
  GThread *thread = g_thread_new ("worker", worker_run, &worker);

  worker_give (&worker, "this");
  worker_give (&worker, "that");
  worker_give (&worker, "stop");

  g_thread_join (thread);
  g_object_unref (worker.selector);
  g_async_queue_unref (worker.work);
  return 0;
}
