/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends.h"
#include "core/sel-state-private.h"
#include "interleave.h"

/* Two threads with one operation each, in all orders of their steps; see interleave.h. */

/* --- The world of a run --- */

typedef struct _World World;

typedef enum
{
  OPERATION_ENDS_WAITS = 1 << 0,   /* a wait of the other thread has to end */
  OPERATION_WAITS = 1 << 1,        /* no descriptor is ready, so that it really waits */
  OPERATION_NEEDS_SOURCE = 1 << 2, /* a source is in the context before the run */
  OPERATION_NEEDS_CONTEXT = 1 << 3,
  OPERATION_DROPS_CONTEXT = 1 << 4,
  OPERATION_NO_REFERENCE = 1 << 5, /* the thread has no reference to the selector of its own */
  OPERATION_FORKS = 1 << 6
} OperationFlags;

typedef struct
{
  const char     *name;
  void          (*run) (World *world,
                        guint  thread);
  OperationFlags  flags;
} Operation;

#define N_THREADS 2

/* So many turns of a main loop that a descriptor with an ignored hang-up is paused in one of the next turns. */
#define N_TURNS_BEFORE_PAUSE 6

struct _World
{
  const Backend   *backend;
  gboolean         mirrored;
  const Operation *operations[N_THREADS];
  OperationFlags   flags;              /* of all operations */
  void           (*set_up)    (World *world); /* nullable: more than usual, after the selector and the source exist */
  void           (*tear_down) (World *world); /* nullable: called first, before the references of the run are dropped */

  int              fds[4][2];          /* pipes; a byte is in each unless an operation waits */
  guint            n_open;

  SelBaseSelector *selector;           /* each thread has a reference */
  gboolean         finalized;
  GMainContext    *context;
  GSource         *source;
  GCancellable    *cancellable;
  GMainContext    *async_contexts[N_THREADS];
  int              extra_fd;           /* of a case with a set_up () of its own */
  SelBaseSelector *extra_reference;

  /* Atomic: */
  int              n_notifies_due;     /* callbacks that were given to the library */
  int              n_notifies;
  int              n_async_due;
  int              n_async;
};

/* The data of a callback, or of a registration. It is freed exactly once, and not while the callback runs. */
typedef struct
{
  World *world;
  int    n_running; /* atomic */
} CallbackData;

static CallbackData *
callback_data_new (World *world)
{
  CallbackData *data = g_new0 (CallbackData, 1);

  data->world = world;
  g_atomic_int_inc (&world->n_notifies_due);

  return data;
}

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  CallbackData *data = user_data;

  g_atomic_int_inc (&data->n_running);
  interleave_point ("test-callback");
  g_assert_cmpint (sel_selector_key_get_fd (key), >=, 0);
  g_atomic_int_add (&data->n_running, -1);

  return G_SOURCE_CONTINUE;
}

static void
on_notify (gpointer user_data)
{
  CallbackData *data = user_data;

  g_assert_cmpint (g_atomic_int_get (&data->n_running), ==, 0);
  interleave_point ("test-notify");
  g_assert_cmpint (g_atomic_int_get (&data->n_running), ==, 0);
  g_atomic_int_inc (&data->world->n_notifies);
  g_free (data);
}

static gboolean
register_callback (World   *world,
                   int      fd,
                   GError **error)
{
  return sel_base_selector_register_callback (world->selector, fd, SEL_EVENT_READ, on_ready,
                                              callback_data_new (world), on_notify, error);
}

static guint
attach (World        *world,
        GMainContext *context)
{
  return sel_base_selector_attach (world->selector, context, G_PRIORITY_DEFAULT, on_ready, callback_data_new (world),
                                   on_notify);
}

static GSource *
create_source (World *world)
{
  return sel_base_selector_create_dispatch_source (world->selector, on_ready, callback_data_new (world), on_notify);
}

static int
poll_with_points (GPollFD *fds,
                  guint    n_fds,
                  int      timeout)
{
  int n_ready;

  interleave_point ("test-poll");
  n_ready = g_poll (fds, n_fds, timeout);
  interleave_point ("test-polled");

  return n_ready;
}

/* GLib tests whether a source is destroyed before it takes its lock. If another thread destroys the source just then,
 * GLib logs a critical message, but nothing else happens. */
static gboolean
is_fatal (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        user_data)
{
  return strstr (message, "SOURCE_DESTROYED (source)") == NULL;
}

static gboolean
has_operation (World      *world,
               const char *name)
{
  for (guint i = 0; i < N_THREADS; i++)
    {
      if (strcmp (world->operations[i]->name, name) == 0)
        return TRUE;
    }

  return FALSE;
}

static void
world_set_up (gpointer data)
{
  World *world = data;

  if (world->n_open == 0)
    world->n_open = count_open_fds ();
  world->selector = world->backend->new_selector (NULL);
  g_assert_nonnull (world->selector);
  sel_base_selector_set_force_mirrored (world->selector, world->mirrored);
  world->finalized = FALSE;
  world->cancellable = g_cancellable_new ();
  world->n_notifies_due = world->n_notifies = world->n_async_due = world->n_async = 0;
  g_assert_true (register_callback (world, world->fds[0][0], NULL));
  g_assert_true (register_callback (world, world->fds[1][0], NULL));

  world->context = g_main_context_new ();
  g_main_context_set_poll_func (world->context, poll_with_points);
  if ((world->flags & OPERATION_NEEDS_SOURCE) != 0)
    {
      world->source = create_source (world);
      g_source_attach (world->source, world->context);
      if (!has_operation (world, "source-destroy"))
        g_clear_pointer (&world->source, g_source_unref);
    }
  if (world->set_up != NULL)
    world->set_up (world);

  /* From now on the references belong to the threads. */
  g_object_weak_ref (G_OBJECT (world->selector), (GWeakNotify) (void (*) (void)) g_atomic_int_inc, &world->finalized);
  for (guint i = 0; i < N_THREADS; i++)
    {
      if ((world->operations[i]->flags & OPERATION_NO_REFERENCE) == 0)
        g_object_ref (world->selector);
      if ((world->operations[i]->flags & (OPERATION_NEEDS_CONTEXT | OPERATION_DROPS_CONTEXT)) != 0)
        g_main_context_ref (world->context);
      world->async_contexts[i] = g_main_context_new ();
    }
  g_object_unref (world->selector);
  if ((world->flags & OPERATION_DROPS_CONTEXT) != 0)
    g_main_context_unref (world->context);
}

static void
world_run (gpointer data,
           guint    thread)
{
  World *world = data;
  const Operation *operation = world->operations[thread];

  operation->run (world, thread);
  if ((operation->flags & OPERATION_NEEDS_CONTEXT) != 0)
    g_main_context_unref (world->context);
  if ((operation->flags & OPERATION_NO_REFERENCE) == 0)
    g_object_unref (world->selector);
}

static gboolean
world_rescue (gpointer data)
{
  World *world = data;

  if ((world->flags & OPERATION_ENDS_WAITS) != 0 || (world->flags & OPERATION_WAITS) == 0)
    return FALSE;

  sel_base_selector_wakeup (world->selector);

  return TRUE;
}

/* Completes the asynchronous waits. If an operation ends waits, they complete by themselves. */
static void
world_finish_async (World *world)
{
  gboolean wake = (world->flags & OPERATION_ENDS_WAITS) == 0 && world->n_async < world->n_async_due;

  for (guint n_turns = 0; n_turns < 10; n_turns++)
    {
      /* The task has a reference to the selector. */
      if (wake && world->n_async < world->n_async_due)
        sel_base_selector_wakeup (world->selector);
      for (guint i = 0; i < N_THREADS; i++)
        g_main_context_iteration (world->async_contexts[i], FALSE);
    }

  g_assert_cmpint (world->n_async, ==, world->n_async_due);
}

/* The next turn of the main loop destroys all sources, and frees the memory that is left to them. */
static void
world_check_closed (World *world)
{
  g_main_context_iteration (world->context, FALSE);
  g_assert_cmpint (world->n_notifies, ==, world->n_notifies_due);
}

static void
world_tear_down (gpointer data)
{
  World *world = data;

  if (world->tear_down != NULL)
    world->tear_down (world);
  world_finish_async (world);
  /* A destroyed source is told nothing as long as the program has a reference to it. */
  if (has_operation (world, "close") && world->source == NULL && (world->flags & OPERATION_DROPS_CONTEXT) == 0)
    world_check_closed (world);
  for (guint i = 0; i < N_THREADS; i++)
    g_clear_pointer (&world->async_contexts[i], g_main_context_unref);
  if ((world->flags & OPERATION_DROPS_CONTEXT) == 0)
    g_main_context_unref (world->context);
  g_clear_pointer (&world->source, g_source_unref);
  g_clear_object (&world->cancellable);

  g_assert_cmpint (world->finalized, ==, 1);
  g_assert_cmpint (world->n_notifies, ==, world->n_notifies_due);
  g_assert_cmpuint (count_open_fds (), ==, world->n_open);
}

/* --- Operations --- */

/* TRUE if the selector belongs to a parent process, or is taken for one that does. */
static gboolean is_inherited;

/* Each error that an operation may meet when another thread is in the middle of something. */
static void
check_error (GError *error)
{
  if (error != NULL &&
      !(is_inherited && g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED)) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED) &&
      !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_error ("unexpected error: %s", error->message);
  g_clear_error (&error);
}

static void
run_register (World *world,
              guint  thread)
{
  GError *error = NULL;

  register_callback (world, world->fds[2][0], &error);
  check_error (error);
}

/* New events, and new data, which the selector frees. */
static void
run_modify (World *world,
            guint  thread)
{
  CallbackData *data = callback_data_new (world);
  GError *error = NULL;

  if (!sel_base_selector_modify (world->selector, world->fds[0][0], SEL_EVENT_READ | SEL_EVENT_WRITE, data,
                                 on_notify, &error))
    on_notify (data);
  check_error (error);
}

static void
unregister (World *world,
            int    fd)
{
  GError *error = NULL;

  sel_base_selector_unregister (world->selector, fd, &error);
  check_error (error);
}

static void
run_unregister (World *world,
                guint  thread)
{
  unregister (world, world->fds[0][0]);
}

static void
run_refresh (World *world,
             guint  thread)
{
  GError *error = NULL;

  sel_base_selector_refresh (world->selector, world->fds[0][0], &error);
  check_error (error);
}

static void
run_get_key (World *world,
             guint  thread)
{
  GError *error = NULL;
  g_autoptr(SelSelectorKey) key = sel_base_selector_get_key (world->selector, world->fds[0][0], &error);

  interleave_point ("test-key");
  if (key != NULL)
    g_assert_cmpint (sel_selector_key_get_fd (key), ==, world->fds[0][0]);
  check_error (error);
}

static void
run_get_map (World *world,
             guint  thread)
{
  SelSelectorMapping *map = sel_base_selector_get_map (world->selector);

  if (map == NULL)
    return;

  g_object_ref (map);
  interleave_point ("test-map");
  g_assert_cmpuint (sel_selector_mapping_get_size (map), <=, 3);
  interleave_point ("test-map");
  g_object_unref (map);
}

static void
check_events (GPtrArray *events,
              GError    *error)
{
  g_assert_true ((events != NULL) == (error == NULL));
  if (events != NULL)
    g_ptr_array_unref (events);
  check_error (error);
}

static void
run_select_0 (World *world,
              guint  thread)
{
  GError *error = NULL;
  GPtrArray *events = sel_base_selector_select (world->selector, 0, NULL, &error);

  check_events (events, error);
}

static void
run_select_ready (World *world,
                  guint  thread)
{
  GError *error = NULL;
  SelReadyEvent events[1];

  sel_base_selector_select_ready (world->selector, 0, events, G_N_ELEMENTS (events), NULL, &error);
  check_error (error);
}

static void
run_select_fds (World *world,
                guint  thread)
{
  g_autofree int *fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds, n_masks;
  GError *error = NULL;

  sel_base_selector_select_fds (world->selector, 0, NULL, &fds, &n_fds, &masks, &n_masks, &error);
  check_error (error);
}

static void
run_select_forever (World *world,
                    guint  thread)
{
  GError *error = NULL;
  GPtrArray *events = sel_base_selector_select (world->selector, SEL_WAIT_FOREVER, world->cancellable, &error);

  check_events (events, error);
}

static void
on_selected (GObject      *object,
             GAsyncResult *result,
             gpointer      user_data)
{
  World *world = user_data;
  GError *error = NULL;
  GPtrArray *events = sel_base_selector_select_finish (SEL_BASE_SELECTOR (object), result, &error);

  check_events (events, error);
  g_atomic_int_inc (&world->n_async);
}

static void
run_select_async (World *world,
                  guint  thread)
{
  GMainContext *context = world->async_contexts[thread];

  g_main_context_push_thread_default (context);
  g_atomic_int_inc (&world->n_async_due);
  sel_base_selector_select_async (world->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, world->cancellable,
                                  on_selected, world);
  g_main_context_iteration (context, FALSE);
  g_main_context_pop_thread_default (context);
}

static void
run_wakeup (World *world,
            guint  thread)
{
  sel_base_selector_wakeup (world->selector);
}

static void
run_cancel (World *world,
            guint  thread)
{
  g_cancellable_cancel (world->cancellable);
}

static void
run_attach (World *world,
            guint  thread)
{
  attach (world, world->context);
}

static void
run_iterate (World *world,
             guint  thread)
{
  g_main_context_iteration (world->context, FALSE);
}

static void
run_source_destroy (World *world,
                    guint  thread)
{
  g_source_destroy (world->source);
}

static void
run_context_unref (World *world,
                   guint  thread)
{
  g_main_context_unref (world->context);
}

static void
run_reinit (World *world,
            guint  thread)
{
  GError *error = NULL;

  sel_base_selector_reinit (world->selector, &error);
  check_error (error);
}

static void
run_close (World *world,
           guint  thread)
{
  sel_base_selector_close (world->selector);
}

/* The caller drops the reference. */
static void
run_unref (World *world,
           guint  thread)
{
}

/* --- Fork --- */

/* A child that does not end in this time, in seconds, has a deadlock. */
#define CHILD_LIMIT 120

#define CHILD_IS_DONE 42

/* A child that fails is killed by a signal. */
static void
wait_for_child (pid_t pid)
{
  int status;
  pid_t done;

  /* The scheduler lets the other thread go on if this one sleeps. */
  while ((done = waitpid (pid, &status, WNOHANG)) == 0)
    sched_yield ();

  g_assert_cmpint (done, ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, CHILD_IS_DONE);
}

/* Everything fails with FORKED, or works if the parent has not opened the selector, or was closing it. */
static void
child_use_inherited (World *world)
{
  run_get_key (world, 0);
  run_get_map (world, 0);
  run_select_ready (world, 0);
  run_register (world, 0);
  run_modify (world, 0);
  run_unregister (world, 0);
  run_wakeup (world, 0);
  run_iterate (world, 0);
}

/* The selector works, unless the parent was closing it. If an asynchronous wait of the other thread is in progress, it
 * stays so, because the library cannot know that no thread will run its context. */
static void
child_use_own (World *world)
{
  GError *error = NULL;
  SelReadyEvent events[1];
  gssize n_events;
  int fds[2];

  is_inherited = FALSE;
  if (!sel_base_selector_reinit (world->selector, &error))
    {
      g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
      g_error_free (error);
      return;
    }

  open_pipe (fds);
  put_byte (fds[1]);
  watch (world->selector, fds[0], SEL_EVENT_READ);
  sel_base_selector_wakeup (world->selector);
  do
    n_events = sel_base_selector_select_ready (world->selector, 0, events, 1, NULL, &error);
  while (n_events == 0);
  if (!has_operation (world, "select-async"))
    g_assert_no_error (error);
  check_error (error);
  run_iterate (world, 0);
  unwatch (world->selector, fds[0]);
}

static void
child_use_all (World *world)
{
  is_inherited = TRUE;
  child_use_inherited (world);
  child_use_own (world);
  run_iterate (world, 0);
  sel_base_selector_close (world->selector);
  g_assert_true (sel_base_selector_is_closed (world->selector));
  run_iterate (world, 0);
  g_main_context_unref (world->context);
  g_object_unref (world->selector);
}

/* In the child, only this thread exists. The other one has stopped in the middle of its operation. */
static void
run_child (World *world,
           void (*func) (World *world))
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      interleave_forget_threads ();
      alarm (CHILD_LIMIT);
      func (world);
      end_child (CHILD_IS_DONE);
    }
  wait_for_child (pid);
}

static void
run_fork (World *world,
          guint  thread)
{
  run_child (world, child_use_all);
}

static const Operation operations[] = {
  { "register", run_register, 0 },
  { "modify", run_modify, 0 },
  { "unregister", run_unregister, 0 },
  { "refresh", run_refresh, 0 },
  { "get-key", run_get_key, 0 },
  { "get-map", run_get_map, 0 },
  { "select-0", run_select_0, 0 },
  { "select-ready", run_select_ready, 0 },
  { "select-fds", run_select_fds, 0 },
  { "select-forever", run_select_forever, OPERATION_WAITS },
  { "select-async", run_select_async, OPERATION_WAITS },
  { "wakeup", run_wakeup, OPERATION_ENDS_WAITS },
  { "cancel", run_cancel, OPERATION_ENDS_WAITS },
  { "attach", run_attach, OPERATION_NEEDS_CONTEXT },
  { "iterate", run_iterate, OPERATION_NEEDS_SOURCE | OPERATION_NEEDS_CONTEXT },
  /* With a reference to the context: GLib's g_source_destroy () uses the context after it has given up its lock. */
  { "source-destroy", run_source_destroy, OPERATION_NEEDS_SOURCE | OPERATION_NEEDS_CONTEXT },
  { "context-unref", run_context_unref, OPERATION_NEEDS_SOURCE | OPERATION_DROPS_CONTEXT },
  { "reinit", run_reinit, 0 },
  { "close", run_close, OPERATION_ENDS_WAITS },
  { "unref", run_unref, 0 },
  { "fork", run_fork, OPERATION_NEEDS_CONTEXT | OPERATION_FORKS },
};

/* --- Reported faults --- */

static void
run_attach_and_destroy (World *world,
                        guint  thread)
{
  GSource *source = create_source (world);

  g_source_attach (source, world->context);
  interleave_point ("test-attached");
  g_source_destroy (source);
  g_source_unref (source);
}

static void
run_context_life (World *world,
                  guint  thread)
{
  GMainContext *context = g_main_context_new ();

  g_main_context_set_poll_func (context, poll_with_points);
  attach (world, context);
  g_main_context_iteration (context, FALSE);
  g_main_context_unref (context);
}

static void
run_register_and_unregister (World *world,
                             guint  thread)
{
  run_register (world, thread);
  unregister (world, world->fds[2][0]);
}

static void
run_close_context_selector (World *world,
                            guint  thread)
{
  GMainContext *context = world->async_contexts[0];

  sel_base_selector_close (sel_main_context_get_selector (context, NULL));
}

/* The result is not used: another thread closes it. */
static void
run_get_context_selector (World *world,
                          guint  thread)
{
  g_assert_nonnull (sel_main_context_get_selector (world->async_contexts[0], NULL));
}

static void
run_iterate_often (World *world,
                   guint  thread)
{
  for (guint i = 0; i < 4; i++)
    g_main_context_iteration (world->context, FALSE);
}

/* The change rings the bell of the wait where the context polls each descriptor, and the cancellation rings again. */
static void
run_register_and_cancel (World *world,
                         guint  thread)
{
  run_register (world, thread);
  run_cancel (world, thread);
}

static void
run_select_async_often (World *world,
                        guint  thread)
{
  run_select_async (world, thread);
  for (guint i = 0; i < 2; i++)
    g_main_context_iteration (world->async_contexts[thread], FALSE);
}

static const Operation register_and_cancel = {
  "register-and-cancel", run_register_and_cancel, OPERATION_ENDS_WAITS
};
static const Operation select_async_often = { "select-async-often", run_select_async_often, OPERATION_WAITS };
static const Operation attach_and_destroy = { "attach-and-destroy", run_attach_and_destroy, OPERATION_NEEDS_CONTEXT };
static const Operation context_life = { "context-life", run_context_life, 0 };
static const Operation register_and_unregister = { "register-and-unregister", run_register_and_unregister, 0 };
static const Operation close_context_selector = { "close-context-selector", run_close_context_selector, 0 };
static const Operation get_context_selector = { "get-context-selector", run_get_context_selector, 0 };
static const Operation iterate_often = {
  "iterate-often", run_iterate_often, OPERATION_NEEDS_SOURCE | OPERATION_NEEDS_CONTEXT | OPERATION_ENDS_WAITS
};

/* The source, or the data of a callback, has the only reference to the selector. */
static const Operation close_unowned = { "close-unowned", run_close, OPERATION_ENDS_WAITS | OPERATION_NO_REFERENCE };
static const Operation iterate_unowned = {
  "iterate-unowned", run_iterate, OPERATION_NEEDS_SOURCE | OPERATION_NEEDS_CONTEXT | OPERATION_NO_REFERENCE
};

static void
set_up_self_owned (World *world)
{
  g_assert_true (sel_base_selector_register_callback (world->selector, world->fds[2][0], SEL_EVENT_READ, on_ready,
                                                      g_object_ref (world->selector), g_object_unref, NULL));
}

/* A registered descriptor is closed, and the library opens its own descriptors anew. The closed number is lower than
 * those of the library, so that it is the next one that the kernel gives. */
static void
set_up_reused_number (World *world)
{
  watch (world->selector, world->fds[3][0], SEL_EVENT_READ);
  watch (world->selector, world->fds[3][1], SEL_EVENT_WRITE);
  close_pair (world->fds[3]);
  g_assert_true (sel_base_selector_reinit (world->selector, NULL));
  sel_base_selector_unregister (world->selector, world->fds[3][0], NULL);
  sel_base_selector_unregister (world->selector, world->fds[3][1], NULL);
}

static void
tear_down_reused_number (World *world)
{
  open_pipe (world->fds[3]);
}

/* The new file has the number of the wake-up descriptor if that is closed. */
static void
run_close_and_reuse (World *world,
                     guint  thread)
{
  sel_base_selector_close (world->selector);
  world->extra_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static const Operation close_and_reuse = { "close-and-reuse", run_close_and_reuse, OPERATION_ENDS_WAITS };

static void
tear_down_close_and_reuse (World *world)
{
  guint64 value;

  /* Nobody has written to it. */
  g_assert_cmpint (read (world->extra_fd, &value, sizeof value), ==, -1);
  close (world->extra_fd);
}

/* A registration that epoll can only remove by a rebuild, and another epoll set that watches the selector. */
static void
set_up_outer_set (World *world)
{
  struct epoll_event event = { .events = EPOLLIN };
  int fd = dup (world->fds[2][0]);

  world->extra_reference = g_object_ref (world->selector);
  world->extra_fd = epoll_create1 (EPOLL_CLOEXEC);
  g_assert_cmpint (epoll_ctl (world->extra_fd, EPOLL_CTL_ADD,
                              sel_epoll_selector_get_fd (SEL_EPOLL_SELECTOR (world->selector), NULL), &event), ==, 0);
  watch (world->selector, fd, SEL_EVENT_READ);
  close (fd);
  sel_base_selector_unregister (world->selector, fd, NULL);
}

static void
tear_down_outer_set (World *world)
{
  struct epoll_event event;

  /* A descriptor of the inner set is ready. */
  g_assert_cmpint (epoll_wait (world->extra_fd, &event, 1, 0), ==, 1);
  close (world->extra_fd);
  g_clear_object (&world->extra_reference);
}

/* A descriptor that is hung up, and a callback that ignores it: the source pauses it during the run. */
static void
set_up_hang_up (World *world)
{
  int fds[2];

  open_pipe (fds);
  close (fds[1]);
  world->extra_fd = fds[0];
  g_assert_true (register_callback (world, fds[0], NULL));
  for (guint i = 0; i < N_TURNS_BEFORE_PAUSE; i++)
    g_main_context_iteration (world->context, FALSE);
}

static void
tear_down_hang_up (World *world)
{
  close (world->extra_fd);
}

/* The world has a reference to the selector, so that it lives as long as the threads use it. */
static void
set_up_reference (World *world)
{
  world->extra_reference = g_object_ref (world->selector);
}

static void
tear_down_reference (World *world)
{
  g_clear_object (&world->extra_reference);
}

static void
run_look_up_in_map (World *world,
                    guint  thread)
{
  g_autoptr(SelSelectorKey) key = NULL;

  key = sel_selector_mapping_lookup (sel_base_selector_get_map (world->selector), world->fds[0][0]);
  g_assert_nonnull (key);
}

/* The other thread, which has no reference, does not exist here. */
static void
child_finalize (World *world)
{
  tear_down_reference (world);
  g_object_unref (world->selector);
  g_assert_cmpint (world->finalized, ==, 1);
}

static void
run_fork_and_finalize (World *world,
                       guint  thread)
{
  run_child (world, child_finalize);
}

static void
child_get_context_selector (World *world)
{
  run_get_context_selector (world, 0);
}

static void
run_fork_and_get_context_selector (World *world,
                                   guint  thread)
{
  run_child (world, child_get_context_selector);
}

static const Operation look_up_in_map = { "look-up-in-map", run_look_up_in_map, OPERATION_NO_REFERENCE };
static const Operation fork_and_finalize = { "fork-and-finalize", run_fork_and_finalize, OPERATION_FORKS };
static const Operation fork_and_get_context_selector = {
  "fork-and-get-context-selector", run_fork_and_get_context_selector, OPERATION_FORKS
};

/* Each thread is the first one of a child process that uses the selector: as if the process had just begun. */
static void
set_up_new_process (World *world)
{
  is_inherited = TRUE;
  sel_fork_begin_child ();
}

static void
tear_down_new_process (World *world)
{
  is_inherited = FALSE;
}

typedef struct
{
  const char      *name;
  const Operation *operations[N_THREADS];
  void           (*set_up)    (World *world);
  void           (*tear_down) (World *world);
  const char      *backend;      /* NULL: all */
  guint            max_preemptions;
} Fault;

static const Operation *
find_operation (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      if (strcmp (operations[i].name, name) == 0)
        return &operations[i];
    }

  g_assert_not_reached ();
}

/* --- Cases --- */

typedef struct
{
  World world;
  guint max_preemptions;
} PairCase;

static InterleaveStats total;
static guint n_pairs;

static void
world_open_pipes (World *world)
{
  for (guint i = 0; i < G_N_ELEMENTS (world->fds); i++)
    {
      open_pipe (world->fds[i]);
      if ((world->flags & OPERATION_WAITS) == 0)
        put_byte (world->fds[i][1]);
    }
}

static void
run_pair (gconstpointer data)
{
  const PairCase *pair = data;
  World world = pair->world;
  Interleave interleave = {
    .n_threads = N_THREADS,
    .max_preemptions = pair->max_preemptions,
    .set_up = world_set_up,
    .tear_down = world_tear_down,
    .run = world_run,
    .rescue = world_rescue,
    .data = &world,
  };
  guint64 n_runs = total.n_runs;

  if (!world.backend->is_supported ())
    {
      g_test_skip ("not supported");
      return;
    }

  for (guint i = 0; i < N_THREADS; i++)
    world.flags |= world.operations[i]->flags;
  g_test_log_set_fatal_handler (is_fatal, NULL);
  world_open_pipes (&world);
  interleave_run_all (&interleave, &total);
  for (guint i = 0; i < G_N_ELEMENTS (world.fds); i++)
    close_pair (world.fds[i]);

  n_pairs++;
  g_test_message ("%" G_GUINT64_FORMAT " orders", total.n_runs - n_runs);
}

static void
add_pair (const PairCase *pair,
          const char     *name)
{
  g_autofree char *path = g_strdup_printf ("/interleavings/%s%s/%s", pair->world.backend->name,
                                           pair->world.mirrored ? "-mirrored" : "", name);

  g_test_add_data_func_full (path, g_memdup2 (pair, sizeof *pair), run_pair, g_free);
}

/* The fork is one step, so that one preemption is enough for all orders. ThreadSanitizer has nothing to find, as the
 * child has one thread. */
static void
add_fork_pair (const PairCase *pair,
               const char     *name)
{
#ifndef __SANITIZE_THREAD__
  PairCase fork_pair = *pair;

  fork_pair.max_preemptions = 1;
  add_pair (&fork_pair, name);
#endif
}

static void
add_pairs (PairCase   *pair,
           const char *prefix)
{
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      for (guint j = i; j < G_N_ELEMENTS (operations); j++)
        {
          g_autofree char *name = g_strdup_printf ("%s%s,%s", prefix, operations[i].name, operations[j].name);

          pair->world.operations[0] = &operations[i];
          pair->world.operations[1] = &operations[j];
          if (((operations[i].flags | operations[j].flags) & OPERATION_FORKS) != 0)
            add_fork_pair (pair, name);
          else
            add_pair (pair, name);
        }
    }
}

static void
add_faults (PairCase *pair)
{
  const Fault faults[] = {
    { "destroy-attached-source", { &iterate_unowned, &attach_and_destroy }, .max_preemptions = 2 },
    { "close-while-source-owns", { &close_unowned, &iterate_unowned }, .max_preemptions = 2 },
    { "close-while-callback-owns", { &close_unowned, find_operation ("get-key") }, set_up_self_owned,
      .max_preemptions = 2 },
    { "close-context-selector", { &close_context_selector, &get_context_selector }, .max_preemptions = 2 },
    { "map-while-closed", { find_operation ("get-map"), find_operation ("close") }, .max_preemptions = 3 },
    { "free-context-while-changed", { &context_life, &register_and_unregister }, .max_preemptions = 2 },
    { "free-context-while-closed", { &context_life, find_operation ("close") }, .max_preemptions = 2 },
    { "async-while-closed", { find_operation ("select-async"), find_operation ("close") }, .max_preemptions = 3 },
    { "async-cancelled-after-change", { &select_async_often, &register_and_cancel }, .max_preemptions = 2 },
    { "attach-while-closed", { find_operation ("attach"), find_operation ("close") }, .max_preemptions = 3 },
    { "reused-number-wakeup", { find_operation ("select-forever"), find_operation ("wakeup") }, set_up_reused_number,
      tear_down_reused_number, .max_preemptions = 2 },
    { "reused-number-cancel", { find_operation ("select-forever"), find_operation ("cancel") }, set_up_reused_number,
      tear_down_reused_number, .max_preemptions = 2 },
    { "reused-number-close", { find_operation ("select-forever"), find_operation ("close") }, set_up_reused_number,
      tear_down_reused_number, .max_preemptions = 2 },
    { "wakeup-while-closed", { find_operation ("wakeup"), &close_and_reuse }, NULL, tear_down_close_and_reuse,
      .max_preemptions = 2 },
    { "outer-set-select", { find_operation ("select-0"), find_operation ("select-0") },
      set_up_outer_set, tear_down_outer_set, "epoll", .max_preemptions = 2 },
    { "outer-set-modify", { find_operation ("select-0"), find_operation ("modify") },
      set_up_outer_set, tear_down_outer_set, "epoll", .max_preemptions = 2 },
    { "outer-set-register", { find_operation ("select-0"), find_operation ("register") },
      set_up_outer_set, tear_down_outer_set, "epoll", .max_preemptions = 2 },
    { "fork-while-map-is-used", { &look_up_in_map, &fork_and_finalize }, set_up_reference,
      tear_down_reference, .max_preemptions = 1 },
    { "fork-while-context-selector-is-made", { &get_context_selector, &fork_and_get_context_selector },
      .max_preemptions = 1 },
    { "first-in-child-look-up", { find_operation ("get-key"), find_operation ("select-0") }, set_up_new_process,
      tear_down_new_process, "epoll", .max_preemptions = 3 },
    { "first-in-child-change", { find_operation ("unregister"), find_operation ("wakeup") }, set_up_new_process,
      tear_down_new_process, "epoll", .max_preemptions = 3 },
    { "first-in-child-close", { find_operation ("close"), find_operation ("select-0") }, set_up_new_process,
      tear_down_new_process, "epoll", .max_preemptions = 3 },
    { "first-in-child-reinit", { find_operation ("reinit"), find_operation ("reinit") }, set_up_new_process,
      tear_down_new_process, "epoll", .max_preemptions = 3 },
    { "first-in-child-loop", { find_operation ("iterate"), find_operation ("reinit") }, set_up_new_process,
      tear_down_new_process, "epoll", .max_preemptions = 2 },
    { "wait-while-paused", { find_operation ("select-forever"), &iterate_often }, set_up_hang_up, tear_down_hang_up,
      .max_preemptions = 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *name = g_strconcat ("faults/", faults[i].name, NULL);
      PairCase fault = *pair;

#ifdef __SANITIZE_THREAD__
      if (((faults[i].operations[0]->flags | faults[i].operations[1]->flags) & OPERATION_FORKS) != 0)
        continue;
#endif
      if (faults[i].backend != NULL &&
          (strcmp (faults[i].backend, pair->world.backend->name) != 0 || pair->world.mirrored))
        continue;

      fault.world.flags = 0;
      memcpy (fault.world.operations, faults[i].operations, sizeof fault.world.operations);
      fault.world.set_up = faults[i].set_up;
      fault.world.tear_down = faults[i].tear_down;
      fault.max_preemptions = MAX (pair->max_preemptions, faults[i].max_preemptions);
      add_pair (&fault, name);
    }
}

/* The pairs of poll and epoll with two preemptions, as their kernels differ most for the library; everything else with
 * one. If SEL_TEST_PAIRS in the environment names a backend, the others have only their faults. */
static void
add_cases (const Backend *backend,
           gboolean       is_long)
{
  const char *pairs = g_getenv ("SEL_TEST_PAIRS");
  gboolean is_main = strcmp (backend->name, "epoll") == 0 || strcmp (backend->name, "poll") == 0;
  PairCase pair = {
    .world.backend = backend,
    .max_preemptions = is_long ? 3 : is_main ? 2 : 1,
  };

  add_faults (&pair);
  if (pairs != NULL && strcmp (backend->name, pairs) != 0 && !is_long)
    return;

  add_pairs (&pair, "");

  pair.max_preemptions = is_long ? 2 : 1;
  if (is_main || is_long)
    {
      pair.world.flags = OPERATION_NEEDS_SOURCE;
      add_pairs (&pair, "with-source/");
    }
  if (backend->can_poll_fd && (is_main || is_long))
    {
      pair.world.mirrored = TRUE;
      add_faults (&pair);
      add_pairs (&pair, "with-source/");
    }
}

int
main (int    argc,
      char **argv)
{
  gboolean is_long = g_strcmp0 (g_getenv ("SEL_TEST_LOAD"), "long") == 0;
  int status;

  g_test_init (&argc, &argv, NULL);

  /* GLib opens descriptors for these and keeps them. */
  g_main_context_default ();
  g_type_ensure (G_TYPE_TASK);

  if (interleave_is_supported ())
    {
      for (guint i = 0; i < N_BACKENDS; i++)
        if (backend_is_wanted (&backends[i]))
          add_cases (&backends[i], is_long);
    }

  status = g_test_run ();
  if (total.points != NULL)
    g_print ("# %u pairs, %u points, %" G_GUINT64_FORMAT " interleavings, %" G_GUINT64_FORMAT " steps; %"
             G_GUINT64_FORMAT " got a lock in another order\n",
             n_pairs, g_hash_table_size (total.points), total.n_runs, total.n_steps, total.n_diverged);

  return status;
}
