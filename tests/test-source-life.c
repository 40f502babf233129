/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <unistd.h>

#include "source-fixture.h"

/* The life of a source: references, notify functions, close (), attach () and the descriptor of the selector. */

/* References */

static void
test_source_keeps_selector (BackendFixture *fixture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (attach_funcs); i++)
    {
      gpointer weak;
      State state;

      fixture_renew_selector (fixture);
      state_open (&state, fixture);
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      attach_funcs[i] (&state);

      weak = fixture->selector;
      g_object_add_weak_pointer (weak, &weak);
      g_clear_object (&fixture->selector);
      g_assert_nonnull (weak);

      put_byte (state.a[1]);
      expect (&state, "a:R ");

      state_detach (&state);
      g_assert_null (weak);
      g_assert_cmpint (state.n_notified, ==, 1);
      state_close (&state);
    }
}

static void
test_never_attached (BackendFixture *fixture)
{
  GSource *source;
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);

  source = sel_base_selector_create_source (state.selector);
  g_source_unref (source);

  source = sel_base_selector_create_dispatch_source (state.selector, on_ready, &state, on_notify);
  g_assert_cmpint (state.n_notified, ==, 0);
  g_source_unref (source);
  g_assert_cmpint (state.n_notified, ==, 1);

  /* Close the selector before the source is released. */
  source = sel_base_selector_create_dispatch_source (state.selector, on_ready, &state, on_notify);
  sel_base_selector_close (state.selector);
  g_source_unref (source);
  g_assert_cmpint (state.n_notified, ==, 2);

  state_close (&state);
}

/* The source owns the user data even if it has no function. */
static void
test_notify_without_func (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  g_assert_cmpuint (sel_base_selector_attach (state.selector, state.context, G_PRIORITY_DEFAULT, NULL, &state,
                                              on_notify), >, 0);
  g_assert_cmpint (state.n_notified, ==, 0);
  sel_base_selector_close (state.selector);
  g_assert_cmpint (state.n_notified, ==, 1);

  g_assert_cmpuint (sel_base_selector_attach (state.selector, state.context, G_PRIORITY_DEFAULT, NULL, &state,
                                              on_notify), ==, 0);
  g_assert_cmpint (state.n_notified, ==, 2);

  state_close (&state);
}

static void
test_source_of_closed (BackendFixture *fixture)
{
  GSource *source;
  State state;

  state_open (&state, fixture);
  sel_base_selector_close (state.selector);

  source = sel_base_selector_create_dispatch_source (state.selector, on_ready, &state, on_notify);
  g_assert_nonnull (source);
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);
  g_assert_cmpint (state.n_notified, ==, 1);

  state_close (&state);
}

static void
test_close_destroys (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  expect_nothing (&state);
  put_byte (state.a[1]);

  sel_base_selector_close (state.selector);

  g_assert_true (g_source_is_destroyed (state.source));
  g_assert_cmpint (state.n_notified, ==, 1);
  expect_nothing (&state);

  state_close (&state);
  g_assert_cmpint (state.n_notified, ==, 1);
}

/* attach() */

static void
test_attach (BackendFixture *fixture)
{
  GSource *source;
  State state;
  guint id;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);

  id = sel_base_selector_attach (state.selector, state.context, 7, on_ready, &state, on_notify);
  g_assert_cmpuint (id, >, 0);
  source = g_main_context_find_source_by_id (state.context, id);
  g_assert_nonnull (source);
  g_assert_cmpint (g_source_get_priority (source), ==, 7);

  put_byte (state.a[1]);
  expect (&state, "a:R ");

  g_source_destroy (source);
  g_assert_cmpint (state.n_notified, ==, 1);
  put_byte (state.a[1]);
  expect_nothing (&state);

  state_close (&state);
}

static gpointer
run_in_thread (gpointer user_data)
{
  State *state = user_data;

  g_main_context_push_thread_default (state->context);
  g_assert_cmpuint (sel_base_selector_attach (state->selector, NULL, G_PRIORITY_DEFAULT, on_ready,
                                              state, on_notify), >, 0);
  expect (state, "a:R ");
  g_main_context_pop_thread_default (state->context);

  return NULL;
}

static void
test_thread_default (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  put_byte (state.a[1]);

  g_thread_join (g_thread_new ("loop", run_in_thread, &state));

  /* The source belongs to the other thread: it is destroyed in the next turn of its context. */
  sel_base_selector_close (state.selector);
  g_assert_cmpint (state.n_notified, ==, 0);
  g_main_context_iteration (state.context, FALSE);
  g_assert_cmpint (state.n_notified, ==, 1);
  state_close (&state);
}

/* Closures, which language bindings use */

static void
marshal_counting (GClosure     *closure,
                  GValue       *return_value,
                  guint         n_params,
                  const GValue *params,
                  gpointer      hint,
                  gpointer      user_data)
{
  State *state = closure->data;

  if (n_params > 0)
    {
      g_assert_cmpuint (n_params, ==, 3);
      g_assert_true (g_value_get_object (&params[0]) == state->selector);
      g_assert_true (SEL_IS_SELECTOR_KEY (g_value_get_object (&params[1])));
      g_assert_cmpuint (g_value_get_flags (&params[2]), ==, SEL_EVENT_READ);
    }

  state->n_calls++;
  drain (state->a[0]);
  if (return_value != NULL)
    g_value_set_boolean (return_value, TRUE);
}

static void
on_closure_gone (gpointer  user_data,
                 GClosure *closure)
{
  (void) closure;
  on_notify (user_data);
}

static void
test_closure (BackendFixture *fixture)
{
  for (guint dispatching = 0; dispatching < 2; dispatching++)
    {
      GClosure *closure;
      State state;

      state_open (&state, fixture);
      state_watch (&state, SEL_EVENT_READ, 0);
      if (dispatching)
        state.source = sel_base_selector_create_dispatch_source (state.selector, on_ready, &state,
                                                                 NULL);
      else
        state.source = sel_base_selector_create_source (state.selector);

      closure = g_closure_new_simple (sizeof (GClosure), &state);
      g_closure_set_marshal (closure, marshal_counting);
      g_closure_add_finalize_notifier (closure, &state, on_closure_gone);
      g_source_set_closure (state.source, closure);
      g_source_attach (state.source, state.context);

      expect_nothing (&state);
      g_assert_cmpuint (state.n_calls, ==, 0);

      for (guint i = 1; i <= 2; i++)
        {
          put_byte (state.a[1]);
          while (state.n_calls < i)
            g_main_context_iteration (state.context, TRUE);
          settle (&state);
          g_assert_cmpuint (state.n_calls, ==, i);
        }

      state_close (&state);
      g_assert_cmpint (state.n_notified, ==, 1);
    }
}

/* Several selectors in one context */

static void
test_two_selectors (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) second = NULL;
  g_autoptr (GError) error = NULL;
  State state;

  state_open (&state, fixture);
  second = fixture->backend->new_selector (&error);
  g_assert_no_error (error);
  state.keeps_data = TRUE;
  state.result = G_SOURCE_REMOVE;

  watch (state.selector, state.a[0], SEL_EVENT_READ);
  watch (second, state.a[0], SEL_EVENT_READ);
  g_assert_cmpuint (sel_base_selector_attach (state.selector, state.context, 1, on_ready, &state,
                                              NULL), >, 0);
  g_assert_cmpuint (sel_base_selector_attach (second, state.context, 2, on_ready, &state,
                                              NULL), >, 0);

  put_byte (state.a[1]);
  expect (&state, "a:R a:R ");

  state_close (&state);
}

/* The selector's own descriptor */

static void
test_opened_late (BackendFixture *fixture)
{
  State state;

  g_clear_object (&fixture->selector);
  fixture->selector = g_object_new (fixture->backend->get_type (), NULL);
  state_open (&state, fixture);
  state_attach (&state);
  expect_nothing (&state);

  state_watch (&state, SEL_EVENT_READ, 0);
  expect_nothing (&state);
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

static void
test_reinit (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  g_assert_true (sel_base_selector_reinit (state.selector, &error));
  g_assert_no_error (error);

  expect_nothing (&state);
  put_byte (state.b[1]);
  expect (&state, "b:R ");

  state_close (&state);
}

/* The descriptor that the selector waits with. For epoll, programs get another one. */
static int
get_waiting_fd (BackendFixture  *fixture,
                SelBaseSelector *selector)
{
  if (!SEL_IS_EPOLL_SELECTOR (selector))
    return fixture->backend->get_fd (selector, NULL);

  for (int fd = 0; fd < 1000; fd++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
      g_autofree char *target = g_file_read_link (path, NULL);

      if (g_strcmp0 (target, "anon_inode:[eventpoll]") == 0)
        return fd;
    }

  return -1;
}

/* Other code closes the selector's own descriptor. The selector warns once about this bug, and the loop does not
 * spin. */
static void
test_own_descriptor_closed (BackendFixture *fixture)
{
  State state;
  int fd;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  expect_nothing (&state);

  fd = get_waiting_fd (fixture, state.selector);
  g_assert_cmpint (fd, >=, 0);
  g_assert_no_errno (close (fd));

  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "*");
  expect_nothing (&state);
  g_test_assert_expected_messages ();

  g_assert_true (g_source_is_destroyed (state.source));
  g_assert_cmpint (state.n_notified, ==, 1);
  expect_nothing (&state);

  /* Reuse the number: the selector is going to close it. */
  g_clear_pointer (&state.source, g_source_unref);
  g_assert_cmpint (dup2 (state.a[0], fd), ==, fd);
  state_close (&state);
}

/* --- Destroyed, but with a reference --- */

static gpointer
run_context_once (gpointer data)
{
  g_main_context_iteration (data, FALSE);

  return NULL;
}

/* The thread that unregisters frees the memory that a destroyed source would never free. */
static void
test_destroyed_with_reference (BackendFixture *fixture)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  GSource *source;
  State state;

  state_open (&state, fixture);
  source = sel_base_selector_create_source (state.selector);
  g_source_attach (source, context);
  for (guint i = 0; i < 2; i++)
    g_assert_true (sel_base_selector_register_callback (state.selector, i == 0 ? state.a[0] : state.b[0],
                                                        SEL_EVENT_READ, on_ready, &state, on_notify, NULL));

  /* From now on the callbacks belong to another thread. */
  g_thread_join (g_thread_new ("loop", run_context_once, context));
  g_assert_true (sel_base_selector_unregister (state.selector, state.a[0], NULL));
  g_assert_cmpint (state.n_notified, ==, 0);
  g_source_destroy (source);
  g_assert_true (sel_base_selector_unregister (state.selector, state.b[0], NULL));
  g_assert_cmpint (state.n_notified, ==, 2);

  g_assert_true (sel_base_selector_register_callback (state.selector, state.a[0], SEL_EVENT_READ, on_ready, &state,
                                                      on_notify, NULL));
  sel_base_selector_close (state.selector);
  g_assert_cmpint (state.n_notified, ==, 3);

  g_source_unref (source);
  state_close (&state);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GLib creates the default context when a thread gets a context of its own. Its descriptor would count as a leak. */
  g_main_context_default ();

  backend_add_both_modes ("source/keeps-selector", test_source_keeps_selector);
  backend_add_both_modes ("source/never-attached", test_never_attached);
  backend_add_both_modes ("source/of-closed", test_source_of_closed);
  backend_add_both_modes ("source/notify-without-func", test_notify_without_func);
  backend_add_both_modes ("source/close-destroys", test_close_destroys);
  backend_add_both_modes ("source/attach", test_attach);
  backend_add_both_modes ("source/thread-default", test_thread_default);
  backend_add_both_modes ("source/closure", test_closure);
  backend_add_both_modes ("source/two-selectors", test_two_selectors);
  backend_add_both_modes ("source/opened-late", test_opened_late);
  backend_add_both_modes ("source/reinit", test_reinit);
  backend_add_both_modes ("source/destroyed-with-reference", test_destroyed_with_reference);
  backend_add_for ("epoll", "source/own-descriptor-closed", test_own_descriptor_closed);
  backend_add_for ("kqueue", "source/own-descriptor-closed", test_own_descriptor_closed);

  return g_test_run ();
}
