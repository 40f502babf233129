/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"

/* Functions of a selector that are called while another function of the same selector is running: from destroy
 * notifies, log handlers and virtual functions. */

static gboolean
count_call (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  ++*(guint *) user_data;

  return G_SOURCE_CONTINUE;
}

/* --- A callback that waits itself --- */

typedef struct
{
  SelBaseSelector *selector;
  guint n_called;    /* callbacks that found something to read */
  guint n_stale;     /* callbacks that found nothing */
} OwnWait;

static gboolean
wait_and_read (SelBaseSelector *selector,
               SelSelectorKey  *key,
               SelEventMask     events,
               gpointer         user_data)
{
  OwnWait *wait = user_data;
  SelReadyEvent ready[8];
  gssize n;
  char byte;

  if (read (sel_selector_key_get_fd (key), &byte, 1) != 1)
    {
      wait->n_stale++;
      return G_SOURCE_CONTINUE;
    }

  wait->n_called++;
  n = sel_base_selector_select_ready (wait->selector, 0, ready, G_N_ELEMENTS (ready), NULL, NULL);
  for (gssize i = 0; i < n; i++)
    g_assert_cmpint (read (ready[i].fd, &byte, 1), ==, 1);

  return G_SOURCE_CONTINUE;
}

/* The descriptors that the callback has found to be ready, and has read, are not dispatched in the rest of the turn. */
static void
test_callback_waits (BackendFixture *fixture)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  OwnWait wait = { .selector = fixture->selector };
  GError *error = NULL;
  int fds[4][2];

  for (guint i = 0; i < 4; i++)
    {
      open_pipe (fds[i]);
      sel_base_selector_register_callback (fixture->selector, fds[i][0], SEL_EVENT_READ, wait_and_read, &wait, NULL,
                                           &error);
      g_assert_no_error (error);
    }
  sel_base_selector_attach (fixture->selector, context, 0, NULL, NULL, NULL);

  for (guint turn = 1; turn <= 3; turn++)
    {
      for (guint i = 0; i < 4; i++)
        g_assert_cmpint (write (fds[i][1], "x", 1), ==, 1);
      while (wait.n_called < turn)
        g_main_context_iteration (context, TRUE);
      while (g_main_context_iteration (context, FALSE))
        ;
      g_assert_cmpuint (wait.n_called, ==, turn);
    }
  g_assert_cmpuint (wait.n_stale, ==, 0);

  sel_base_selector_close (fixture->selector);
  while (g_main_context_iteration (context, FALSE))
    ;
  for (guint i = 0; i < 4; i++)
    close_pair (fds[i]);
}

typedef struct
{
  guint n_calls;
  guint n_told;      /* by the select (0) of a callback */
} Busy;

static gboolean
ask_for_one (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  Busy *self = user_data;
  SelReadyEvent ready;

  self->n_calls++;
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &ready, 1, NULL, NULL), ==, 1);
  self = ready.data;
  self->n_told++;

  return G_SOURCE_CONTINUE;
}

/* If the array is too small for all, only those that it tells are left out in the rest of the turn. Each one gets its
 * turn. */
static void
test_callback_asks_for_one (BackendFixture *fixture)
{
  enum { N = 8, N_TURNS = 40 };
  g_autoptr(GMainContext) context = g_main_context_new ();
  guint n_calls = 0;
  Busy busy[N] = { 0 };
  int fds[N][2];

  for (guint i = 0; i < N; i++)
    {
      open_pipe (fds[i]);
      put_byte (fds[i][1]);
      g_assert_true (sel_base_selector_register_callback (fixture->selector, fds[i][0], SEL_EVENT_READ, ask_for_one,
                                                          &busy[i], NULL, NULL));
      g_assert_true (sel_base_selector_modify (fixture->selector, fds[i][0], SEL_EVENT_READ, &busy[i], NULL, NULL));
    }
  sel_base_selector_attach (fixture->selector, context, 0, NULL, NULL, NULL);

  for (guint turn = 0; turn < N_TURNS; turn++)
    g_main_context_iteration (context, FALSE);
  for (guint i = 0; i < N; i++)
    {
      g_test_message ("%u calls, told %u times", busy[i].n_calls, busy[i].n_told);
      g_assert_cmpuint (busy[i].n_calls + busy[i].n_told, >=, N_TURNS / 2);
      n_calls += busy[i].n_calls;
    }
  g_assert_cmpuint (n_calls, >=, N_TURNS * N / 4);

  sel_base_selector_close (fixture->selector);
  while (g_main_context_iteration (context, FALSE))
    ;
  for (guint i = 0; i < N; i++)
    close_pair (fds[i]);
}

/* --- close () that drops the last reference --- */

static void
test_close_source_owns (BackendFixture *fixture)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  SelBaseSelector *selector = fixture->selector;
  guint n_calls = 0;

  g_assert_cmpuint (sel_base_selector_attach (selector, context, 0, count_call, &n_calls, NULL), >, 0);
  g_object_add_weak_pointer (G_OBJECT (selector), (gpointer *) &fixture->selector);
  g_object_unref (selector);

  sel_base_selector_close (selector);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_assert_null (fixture->selector);
}

static void
test_close_callback_owns (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  GError *error = NULL;
  int fds[2];

  open_pipe (fds);
  sel_base_selector_register_callback (selector, fds[0], SEL_EVENT_READ, count_call, selector, g_object_unref, &error);
  g_assert_no_error (error);
  g_object_add_weak_pointer (G_OBJECT (selector), (gpointer *) &fixture->selector);

  sel_base_selector_close (selector);
  g_assert_null (fixture->selector);
  close_pair (fds);
}

static void
test_close_data_owns (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  GError *error = NULL;
  int fds[2];

  open_pipe (fds);
  sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, selector, g_object_unref, &error);
  g_assert_no_error (error);
  g_object_add_weak_pointer (G_OBJECT (selector), (gpointer *) &fixture->selector);

  sel_base_selector_close (selector);
  g_assert_null (fixture->selector);
  close_pair (fds);
}

static void
test_close_context_owns (BackendFixture *fixture)
{
  GMainContext *context = g_main_context_new ();
  SelBaseSelector *first, *second;
  GError *error = NULL;

  first = sel_main_context_get_selector (context, &error);
  g_assert_no_error (error);
  g_object_add_weak_pointer (G_OBJECT (first), (gpointer *) &first);
  sel_base_selector_close (first);

  second = sel_main_context_get_selector (context, &error);
  g_assert_no_error (error);
  g_assert_nonnull (second);
  g_assert_false (sel_base_selector_is_closed (second));
  g_main_context_unref (context);
}

/* --- close () of several sources --- */

typedef struct
{
  GSource *other; /* which the destroy notify frees */
  guint    n_notified;
} OwnedSource;

static void
free_other_source (gpointer user_data)
{
  OwnedSource *owned = user_data;
  GSource *other = g_steal_pointer (&owned->other);

  owned->n_notified++;
  if (other != NULL)
    {
      g_source_destroy (other);
      g_source_unref (other);
    }
}

/* The destroy notify of one source frees the other one, in both orders. */
static void
test_close_frees_source (BackendFixture *fixture)
{
  for (guint first = 0; first < 2; first++)
    {
      g_autoptr(GMainContext) context = g_main_context_new ();
      OwnedSource owned[2] = { 0 };
      GSource *sources[2];
      guint n_calls = 0;

      fixture_renew_selector (fixture);
      for (guint i = 0; i < 2; i++)
        {
          sources[i] = sel_base_selector_create_dispatch_source (fixture->selector, count_call, &n_calls, NULL);
          g_source_set_callback (sources[i], (GSourceFunc) (void (*) (void)) count_call, &owned[i], free_other_source);
          g_source_attach (sources[i], context);
          if (i != first)
            owned[first].other = sources[i];
        }
      g_source_unref (sources[first]);

      sel_base_selector_close (fixture->selector);
      g_assert_null (owned[first].other);
      g_assert_cmpuint (owned[0].n_notified, ==, 1);
      g_assert_cmpuint (owned[1].n_notified, ==, 1);
    }
}

/* The destroy notify of the source has the last reference to the context. */
static void
test_close_frees_context (BackendFixture *fixture)
{
  GMainContext *context = g_main_context_new ();

  g_assert_cmpuint (sel_base_selector_attach (fixture->selector, context, 0, count_call, context,
                                              (GDestroyNotify) g_main_context_unref), >, 0);
  while (g_main_context_iteration (context, FALSE))
    ;
  sel_base_selector_close (fixture->selector);
}

static void
close_and_unref (gpointer data)
{
  sel_base_selector_close (data);
  g_object_unref (data);
}

/* A context that is freed destroys its sources. GLib does not free a source that is destroyed by others meanwhile. */
static void
test_close_in_freed_context (BackendFixture *fixture)
{
  GMainContext *context = g_main_context_new ();

  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (sel_base_selector_attach (fixture->selector, context, 0, count_call,
                                                g_object_ref (fixture->selector), close_and_unref), >, 0);
  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_unref (context);
  g_assert_finalize_object (g_steal_pointer (&fixture->selector));
}

/* --- The mapping --- */

static void
test_map_after_close (BackendFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 1);

  /* The mapping is borrowed: it has to live as long as the selector. */
  sel_base_selector_close (fixture->selector);
  g_assert_true (SEL_IS_SELECTOR_MAPPING (map));
  g_assert_null (sel_base_selector_get_map (fixture->selector));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (map, fds[0]));
  close_pair (fds);
}

static void
test_map_outlives (BackendFixture *fixture)
{
  g_autoptr(SelSelectorMapping) map = g_object_ref (sel_base_selector_get_map (fixture->selector));
  g_autoptr(GObject) object = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr(GPtrArray) keys = NULL;

  g_assert_finalize_object (g_steal_pointer (&fixture->selector));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_null (sel_selector_mapping_lookup (map, 0));
  g_assert_null (sel_selector_mapping_lookup_object (map, object));
  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 0);
}

static void
test_value_without_type (BackendFixture *fixture)
{
  GValue value = G_VALUE_INIT;
  GError *error = NULL;
  int fds[2];

  open_pipe (fds);
  g_assert_null (sel_base_selector_register_value (fixture->selector, fds[0], SEL_EVENT_READ, &value, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_null (sel_base_selector_modify_value (fixture->selector, fds[0], SEL_EVENT_READ, &value, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
  unwatch (fixture->selector, fds[0]);
  close_pair (fds);
}

/* --- Virtual functions that call back in --- */

typedef enum
{
  IN_OPEN,
  IN_UPDATE,
  IN_WAIT,
  IN_RELEASE,
  N_PLACES
} Place;

typedef void (*Act) (SelBaseSelector *selector,
                     int              fd);

/* A selector whose virtual functions call a function, once, and otherwise do nothing. */
#define REENTRANT_TYPE_SELECTOR (reentrant_selector_get_type ())
G_DECLARE_FINAL_TYPE (ReentrantSelector, reentrant_selector, REENTRANT, SELECTOR, SelBaseSelector)

struct _ReentrantSelector
{
  SelBaseSelector parent;
  Place place;
  Act act;
  int fd;
  guint n_acts;
};

G_DEFINE_FINAL_TYPE (ReentrantSelector, reentrant_selector, SEL_TYPE_BASE_SELECTOR)

static void
reentrant_selector_act (SelBaseSelector *selector,
                        Place            place)
{
  ReentrantSelector *self = REENTRANT_SELECTOR (selector);
  Act act = self->act;

  if (act == NULL || self->place != place)
    return;

  self->act = NULL;
  self->n_acts++;
  act (selector, self->fd);
}

static gboolean
reentrant_selector_open (SelBaseSelector  *selector,
                         GError          **error)
{
  reentrant_selector_act (selector, IN_OPEN);

  return TRUE;
}

static gboolean
reentrant_selector_update (SelBaseSelector  *selector,
                           int               fd,
                           SelEventMask      old_events,
                           SelEventMask      new_events,
                           GError          **error)
{
  if (fd == REENTRANT_SELECTOR (selector)->fd)
    reentrant_selector_act (selector, IN_UPDATE);

  return TRUE;
}

static gboolean
reentrant_selector_wait (SelBaseSelector  *selector,
                         gdouble           timeout,
                         GError          **error)
{
  reentrant_selector_act (selector, IN_WAIT);

  return TRUE;
}

static void
reentrant_selector_release (SelBaseSelector *selector,
                            gboolean         forked)
{
  reentrant_selector_act (selector, IN_RELEASE);
}

static void
reentrant_selector_class_init (ReentrantSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  selector_class->open = reentrant_selector_open;
  selector_class->update = reentrant_selector_update;
  selector_class->wait = reentrant_selector_wait;
  selector_class->release = reentrant_selector_release;
}

static void
reentrant_selector_init (ReentrantSelector *self)
{
}

/* Calls that change or wait: BUSY in open () and update (), CLOSED once the selector is closed. */
static GError *last_error;

static void
keep_error (GError *error)
{
  g_clear_error (&last_error);
  last_error = error;
}

static void
act_register (SelBaseSelector *selector,
              int              fd)
{
  GError *error = NULL;

  sel_base_selector_register (selector, fd, SEL_EVENT_READ, NULL, NULL, &error);
  keep_error (error);
}

static void
act_unregister (SelBaseSelector *selector,
                int              fd)
{
  GError *error = NULL;

  sel_base_selector_unregister (selector, fd, &error);
  keep_error (error);
}

static void
act_modify (SelBaseSelector *selector,
            int              fd)
{
  GError *error = NULL;

  sel_base_selector_modify_events (selector, fd, SEL_EVENT_READ | SEL_EVENT_WRITE, &error);
  keep_error (error);
}

static void
act_refresh (SelBaseSelector *selector,
             int              fd)
{
  GError *error = NULL;

  sel_base_selector_refresh (selector, fd, &error);
  keep_error (error);
}

static void
act_set_callback (SelBaseSelector *selector,
                  int              fd)
{
  static guint n_calls;
  GError *error = NULL;

  sel_base_selector_set_callback (selector, fd, count_call, &n_calls, NULL, &error);
  keep_error (error);
}

static void
act_select (SelBaseSelector *selector,
            int              fd)
{
  g_autoptr(GPtrArray) events = NULL;
  GError *error = NULL;

  events = sel_base_selector_select (selector, 0, NULL, &error);
  keep_error (error);
}

static void
act_reinit (SelBaseSelector *selector,
            int              fd)
{
  GError *error = NULL;

  sel_base_selector_reinit (selector, &error);
  keep_error (error);
}

static const Act changes[] = {
  act_register, act_unregister, act_modify, act_refresh, act_set_callback, act_select, act_reinit,
};

/* Runs all virtual functions once. */
static void
run_all (SelBaseSelector *selector,
         int              fd)
{
  g_autoptr(GPtrArray) events = NULL;

  sel_base_selector_register (selector, fd, SEL_EVENT_READ, NULL, NULL, NULL);
  sel_base_selector_modify_events (selector, fd, SEL_EVENT_WRITE, NULL);
  events = sel_base_selector_select (selector, 0, NULL, NULL);
  sel_base_selector_unregister (selector, fd, NULL);
}

static void
test_vfunc_busy (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      for (Place place = IN_OPEN; place <= IN_UPDATE; place++)
        {
          ReentrantSelector *self = g_object_new (REENTRANT_TYPE_SELECTOR, NULL);
          SelBaseSelector *selector = SEL_BASE_SELECTOR (self);

          g_test_message ("function %u in virtual function %d", i, (int) place);
          self->place = place;
          self->act = changes[i];
          self->fd = 700;
          run_all (selector, 700);
          g_assert_cmpuint (self->n_acts, ==, 1);
          assert_failed (&last_error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

          g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector)), ==, 0);
          g_assert_true (sel_base_selector_register (selector, 701, SEL_EVENT_READ, NULL, NULL, NULL));
          g_assert_true (sel_base_selector_unregister (selector, 701, NULL));
          g_assert_finalize_object (selector);
        }
    }
}

/* An update () that is asked to remove a descriptor, and removes it itself. */
static void
act_in_removal (SelBaseSelector *selector,
                int              fd)
{
  act_unregister (selector, fd);
}

static void
test_vfunc_busy_in_removal (void)
{
  ReentrantSelector *self = g_object_new (REENTRANT_TYPE_SELECTOR, NULL);
  SelBaseSelector *selector = SEL_BASE_SELECTOR (self);

  self->fd = 700;
  self->place = IN_UPDATE;
  g_assert_true (sel_base_selector_register (selector, 700, SEL_EVENT_READ, NULL, NULL, NULL));
  self->act = act_in_removal;
  g_assert_true (sel_base_selector_unregister (selector, 700, NULL));
  assert_failed (&last_error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_finalize_object (selector);
}

static void
act_look_up (SelBaseSelector *selector,
             int              fd)
{
  G_GNUC_UNUSED g_autoptr(SelSelectorKey) key = sel_base_selector_get_key (selector, 702, NULL);
  G_GNUC_UNUSED g_autoptr(GPtrArray) keys = sel_selector_mapping_get_keys (sel_base_selector_get_map (selector));

  g_assert_false (sel_base_selector_is_closed (selector));
  sel_base_selector_wakeup (selector);
  sel_base_selector_set_interruptible (selector, TRUE);
}

static void
test_vfunc_look_up (void)
{
  for (Place place = IN_OPEN; place < N_PLACES; place++)
    {
      ReentrantSelector *self = g_object_new (REENTRANT_TYPE_SELECTOR, NULL);

      self->place = place == IN_RELEASE ? IN_WAIT : place;
      self->act = act_look_up;
      self->fd = 700;
      run_all (SEL_BASE_SELECTOR (self), 700);
      g_assert_cmpuint (self->n_acts, ==, 1);
      g_assert_finalize_object (SEL_BASE_SELECTOR (self));
    }
}

static void
act_close (SelBaseSelector *selector,
           int              fd)
{
  sel_base_selector_close (selector);
  g_assert_true (sel_base_selector_is_closed (selector));
}

/* close () inside a virtual function is finished by the call that has called the virtual function. */
static void
test_vfunc_close (void)
{
  for (Place place = IN_OPEN; place < N_PLACES; place++)
    {
      ReentrantSelector *self = g_object_new (REENTRANT_TYPE_SELECTOR, NULL);
      SelBaseSelector *selector = SEL_BASE_SELECTOR (self);
      GError *error = NULL;
      guint n_destroyed = 0;

      self->fd = 700;
      self->place = place;
      self->act = act_close;
      sel_base_selector_register (selector, 702, SEL_EVENT_READ, &n_destroyed, NULL, NULL);
      run_all (selector, 700);
      if (place == IN_RELEASE)
        sel_base_selector_reinit (selector, NULL);
      g_assert_cmpuint (self->n_acts, ==, 1);

      g_assert_true (sel_base_selector_is_closed (selector));
      g_assert_null (sel_base_selector_get_map (selector));
      g_assert_null (sel_base_selector_get_key (selector, 702, NULL));
      g_assert_false (sel_base_selector_register (selector, 701, SEL_EVENT_READ, NULL, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
      g_assert_finalize_object (selector);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  backend_add_both_modes ("reentrancy/callback-waits", test_callback_waits);
  backend_add_both_modes ("reentrancy/callback-asks-for-one", test_callback_asks_for_one);
  backend_add ("reentrancy/close/callback-owns", test_close_callback_owns);
  backend_add ("reentrancy/close/context-owns", test_close_context_owns);
  backend_add ("reentrancy/close/data-owns", test_close_data_owns);
  backend_add_both_modes ("reentrancy/close/frees-context", test_close_frees_context);
  backend_add_both_modes ("reentrancy/close/in-freed-context", test_close_in_freed_context);
  backend_add_both_modes ("reentrancy/close/frees-source", test_close_frees_source);
  backend_add ("reentrancy/close/source-owns", test_close_source_owns);
  backend_add ("reentrancy/map/after-close", test_map_after_close);
  backend_add ("reentrancy/map/outlives", test_map_outlives);
  backend_add ("reentrancy/value-without-type", test_value_without_type);
  g_test_add_func ("/reentrancy/vfunc/busy", test_vfunc_busy);
  g_test_add_func ("/reentrancy/vfunc/busy-in-removal", test_vfunc_busy_in_removal);
  g_test_add_func ("/reentrancy/vfunc/close", test_vfunc_close);
  g_test_add_func ("/reentrancy/vfunc/look-up", test_vfunc_look_up);

  return g_test_run ();
}
