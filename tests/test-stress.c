/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <string.h>

#include "backends.h"

/* Five threads use one selector, which is closed and replaced again and again. Each thread does a fixed number of
 * operations, which a random seed chooses; nothing depends on time. SEL_TEST_LOAD=long in the environment multiplies
 * the operations by 20. GLib prints the seed; --seed chooses the same operations again, though the threads may run in
 * another order. */

#ifdef __has_feature
#if __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifdef SANITIZED
#define N_OPERATIONS 500
#else
#define N_OPERATIONS 2000
#endif

#define N_PIPES 6

typedef struct
{
  BackendFixture  *fixture;
  GMutex           lock;        /* of the next members */
  SelBaseSelector *selector;
  GCancellable    *cancellable;
  GMainContext    *context;     /* of a source that any thread may destroy, or NULL */
  GSource         *source;

  int              pipes[N_PIPES][2];
  int              ready[2];    /* there is a byte in it, and each selector watches it: no wait lasts long */

  /* Atomic: */
  int              n_notifies_due;
  int              n_notifies;
  int              n_async_due;
  int              n_async;
  int              n_calls;
} Stress;

/* --- Data of callbacks --- */

typedef struct
{
  Stress *stress;
  int     n_running; /* atomic */
} Data;

static Data *
data_new (Stress *stress)
{
  Data *data = g_new0 (Data, 1);

  data->stress = stress;
  g_atomic_int_inc (&stress->n_notifies_due);

  return data;
}

/* Called once, and not while the callback runs. */
static void
data_free (gpointer user_data)
{
  Data *data = user_data;

  g_assert_cmpint (g_atomic_int_get (&data->n_running), ==, 0);
  g_atomic_int_inc (&data->stress->n_notifies);
  memset (data, 0xaa, sizeof *data);
  g_free (data);
}

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  Data *data = user_data;

  g_atomic_int_inc (&data->n_running);
  g_assert_cmpint (sel_selector_key_get_fd (key), >=, 0);
  g_thread_yield ();
  g_assert_cmpint (g_atomic_int_add (&data->n_running, -1), >, 0);
  g_atomic_int_inc (&data->stress->n_calls);

  return G_SOURCE_CONTINUE;
}

/* --- The selector of the moment --- */

static SelBaseSelector *
selector_new (Stress *stress)
{
  SelBaseSelector *selector = stress->fixture->backend->new_selector (NULL);

  g_assert_nonnull (selector);
  sel_base_selector_set_force_mirrored (selector, stress->fixture->mirrored);
  watch (selector, stress->ready[0], SEL_EVENT_READ);

  return selector;
}

static SelBaseSelector *
ref_selector (Stress *stress)
{
  SelBaseSelector *selector;

  g_mutex_lock (&stress->lock);
  selector = g_object_ref (stress->selector);
  g_mutex_unlock (&stress->lock);

  return selector;
}

static GCancellable *
ref_cancellable (Stress *stress)
{
  GCancellable *cancellable;

  g_mutex_lock (&stress->lock);
  cancellable = g_object_ref (stress->cancellable);
  g_mutex_unlock (&stress->lock);

  return cancellable;
}

/* Every error that an operation may meet when other threads are in the middle of something. */
static void
check_error (GError *error)
{
  if (error != NULL &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED) &&
      !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_error ("unexpected error: %s", error->message);
  g_clear_error (&error);
}

/* --- Registrations --- */

static void
do_modify (Stress          *stress,
           SelBaseSelector *selector,
           int              fd,
           GError         **error)
{
  Data *data = data_new (stress);

  if (!sel_base_selector_modify (selector, fd, SEL_EVENT_READ | SEL_EVENT_WRITE, data, data_free, error))
    data_free (data);
}

static void
do_look_up (SelBaseSelector *selector,
            int              fd)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GPtrArray) keys = NULL;

  if (map == NULL)
    return;

  key = sel_selector_mapping_lookup (map, fd);
  if (key != NULL)
    g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, <=, 2 * N_PIPES + 1);
}

static void
do_registration (Stress *stress,
                 GRand  *rand)
{
  g_autoptr (SelBaseSelector) selector = ref_selector (stress);
  int fd = stress->pipes[g_rand_int_range (rand, 0, N_PIPES)][g_rand_int_range (rand, 0, 4) == 0];
  GError *error = NULL;

  switch (g_rand_int_range (rand, 0, 7))
    {
    case 0:
    case 1:
      sel_base_selector_register_callback (selector, fd, SEL_EVENT_READ, on_ready, data_new (stress), data_free,
                                           &error);
      break;
    case 2:
      do_modify (stress, selector, fd, &error);
      break;
    case 3:
      sel_base_selector_set_callback (selector, fd, on_ready, data_new (stress), data_free, &error);
      break;
    case 4:
      do_look_up (selector, fd);
      break;
    case 5:
      sel_base_selector_modify_events (selector, fd, SEL_EVENT_READ, &error);
      break;
    default:
      sel_base_selector_unregister (selector, fd, &error);
    }
  check_error (error);
}

/* --- Waits --- */

static void
do_wait (Stress *stress,
         GRand  *rand)
{
  g_autoptr (SelBaseSelector) selector = ref_selector (stress);
  g_autoptr (GCancellable) cancellable = ref_cancellable (stress);
  g_autoptr (GPtrArray) events = NULL;
  SelReadyEvent ready[2];
  GError *error = NULL;

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      events = sel_base_selector_select (selector, 0, NULL, &error);
      break;
    case 1:
      events = sel_base_selector_select (selector, SEL_WAIT_FOREVER, cancellable, &error);
      break;
    case 2:
      sel_base_selector_select_ready (selector, 1000, ready, G_N_ELEMENTS (ready), cancellable, &error);
      break;
    default:
      sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, ready, G_N_ELEMENTS (ready), NULL, &error);
    }
  check_error (error);
}

/* --- Ends of waits, and sources that are destroyed in another thread --- */

static void
do_cancel (Stress *stress)
{
  g_autoptr (GCancellable) cancellable = NULL;

  g_mutex_lock (&stress->lock);
  cancellable = g_steal_pointer (&stress->cancellable);
  stress->cancellable = g_cancellable_new ();
  g_mutex_unlock (&stress->lock);

  g_cancellable_cancel (cancellable);
}

/* With a reference to the context, because g_source_destroy () uses it after it has given up its lock. */
static void
do_destroy_source (Stress *stress)
{
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (GSource) source = NULL;

  g_mutex_lock (&stress->lock);
  context = g_steal_pointer (&stress->context);
  source = g_steal_pointer (&stress->source);
  g_mutex_unlock (&stress->lock);

  if (source != NULL)
    g_source_destroy (source);
}

static void
do_end (Stress *stress,
        GRand  *rand)
{
  g_autoptr (SelBaseSelector) selector = ref_selector (stress);

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      do_cancel (stress);
      break;
    case 1:
      do_destroy_source (stress);
      break;
    default:
      sel_base_selector_wakeup (selector);
    }
}

/* --- Main loops --- */

static void
on_selected (GObject      *object,
             GAsyncResult *result,
             gpointer      user_data)
{
  Stress *stress = user_data;
  g_autoptr (GPtrArray) events = NULL;
  GError *error = NULL;

  events = sel_base_selector_select_finish (SEL_BASE_SELECTOR (object), result, &error);
  g_assert_true ((events != NULL) == (error == NULL));
  check_error (error);
  g_atomic_int_inc (&stress->n_async);
}

/* The wait ends by itself, because a descriptor is ready. */
static void
loop_select (Stress          *stress,
             SelBaseSelector *selector,
             GMainContext    *context)
{
  g_autoptr (GCancellable) cancellable = ref_cancellable (stress);

  g_main_context_push_thread_default (context);
  g_atomic_int_inc (&stress->n_async_due);
  sel_base_selector_select_async (selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, cancellable, on_selected, stress);
  while (g_atomic_int_get (&stress->n_async) < g_atomic_int_get (&stress->n_async_due))
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
}

static void
loop_publish (Stress       *stress,
              GMainContext *context,
              GSource      *source)
{
  do_destroy_source (stress);

  g_mutex_lock (&stress->lock);
  stress->context = g_main_context_ref (context);
  stress->source = g_source_ref (source);
  g_mutex_unlock (&stress->lock);
}

static void
do_loop (Stress *stress,
         GRand  *rand)
{
  g_autoptr (SelBaseSelector) selector = ref_selector (stress);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = NULL;

  source = sel_base_selector_create_dispatch_source (selector, on_ready, data_new (stress), data_free);
  if (g_source_is_destroyed (source)) /* another thread has closed the selector */
    return;

  g_source_attach (source, context);
  for (int n_turns = g_rand_int_range (rand, 1, 6); n_turns > 0; n_turns--)
    g_main_context_iteration (context, FALSE);

  switch (g_rand_int_range (rand, 0, 3))
    {
    case 0:
      loop_publish (stress, context, source);
      break;
    case 1:
      loop_select (stress, selector, context);
      break;
    default:
      g_source_destroy (source);
    }
  g_main_context_iteration (context, FALSE);
}

/* --- Closing and opening --- */

static void
do_replace (Stress *stress,
            GRand  *rand)
{
  g_autoptr (SelBaseSelector) selector = NULL;
  GError *error = NULL;

  if (g_rand_int_range (rand, 0, 3) == 0)
    {
      selector = ref_selector (stress);
      if (!sel_base_selector_reinit (selector, &error))
        check_error (error);
      return;
    }

  g_mutex_lock (&stress->lock);
  selector = g_steal_pointer (&stress->selector);
  stress->selector = selector_new (stress);
  g_mutex_unlock (&stress->lock);

  if (g_rand_boolean (rand))
    sel_base_selector_close (selector);
}

/* --- Threads --- */

typedef struct
{
  Stress  *stress;
  guint32  seed;
  void   (*func) (Stress *stress,
                  GRand  *rand);
  GThread *thread;
} Worker;

static gpointer
worker_run (gpointer data)
{
  Worker *worker = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (worker->seed);
  guint n = g_strcmp0 (g_getenv ("SEL_TEST_LOAD"), "long") == 0 ? 20 * N_OPERATIONS : N_OPERATIONS;

  while (n-- > 0)
    worker->func (worker->stress, rand);

  return NULL;
}

/* g_source_add_poll () and g_source_remove_poll () test whether a source is destroyed before they take the lock. If
 * another thread destroys the source just then, GLib logs a critical message, but nothing else happens. */
static gboolean
is_fatal (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        user_data)
{
  return strstr (message, "_poll: assertion '!SOURCE_DESTROYED (source)'") == NULL;
}

static void
stress_set_up (Stress         *stress,
               BackendFixture *fixture)
{
  stress->fixture = fixture;
  g_mutex_init (&stress->lock);
  for (guint i = 0; i < N_PIPES; i++)
    open_pipe (stress->pipes[i]);
  put_byte (stress->pipes[0][1]);
  open_pipe (stress->ready);
  put_byte (stress->ready[1]);
  stress->selector = selector_new (stress);
  stress->cancellable = g_cancellable_new ();
}

/* Every callback and every piece of data is accounted for, and no selector is left. */
static void
stress_tear_down (Stress *stress)
{
  do_destroy_source (stress);
  g_clear_object (&stress->cancellable);
  g_assert_finalize_object (g_steal_pointer (&stress->selector));
  g_assert_cmpint (stress->n_notifies, ==, stress->n_notifies_due);
  g_assert_cmpint (stress->n_async, ==, stress->n_async_due);
  for (guint i = 0; i < N_PIPES; i++)
    close_pair (stress->pipes[i]);
  close_pair (stress->ready);
  g_mutex_clear (&stress->lock);
}

static void
test_five_threads (BackendFixture *fixture)
{
  Stress stress = { 0 };
  Worker workers[] = {
    { .func = do_registration }, { .func = do_wait }, { .func = do_end }, { .func = do_loop }, { .func = do_replace },
  };

  g_test_log_set_fatal_handler (is_fatal, NULL);
  stress_set_up (&stress, fixture);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    {
      workers[i].stress = &stress;
      workers[i].seed = (guint32) g_test_rand_int ();
      workers[i].thread = g_thread_new ("stress", worker_run, &workers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    g_thread_join (workers[i].thread);

  g_test_message ("%d callbacks, %d asynchronous waits", stress.n_calls, stress.n_async);
  stress_tear_down (&stress);
  g_test_log_set_fatal_handler (NULL, NULL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_glib_descriptors ();

  backend_add_both_modes ("stress/five-threads", test_five_threads);

  return g_test_run ();
}
