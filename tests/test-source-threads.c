/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib/gstdio.h>
#include <unistd.h>

#include "source-fixture.h"

/* Another thread registers, modifies, waits or closes while a main loop polls the selector. */

/* Another thread changes something while the loop polls. It knows from the poll function that the loop polls. */

static int is_polling;  /* atomic */

static int
poll_and_tell (GPollFD *fds,
               guint    n_fds,
               int      timeout)
{
  int result;

  if (timeout != 0)
    g_atomic_int_set (&is_polling, TRUE);
  result = g_poll (fds, n_fds, timeout);
  g_atomic_int_set (&is_polling, FALSE);

  return result;
}

static void
await_polling (void)
{
  while (!g_atomic_int_get (&is_polling))
    g_thread_yield ();
}

static gpointer
register_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  watch (state->selector, state->a[0], SEL_EVENT_READ);
  await_polling ();
  put_byte (state->a[1]);

  return NULL;
}

static gpointer
register_ready_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  put_byte (state->a[1]);
  watch (state->selector, state->a[0], SEL_EVENT_READ);

  return NULL;
}

static gpointer
modify_elsewhere (gpointer user_data)
{
  State *state = user_data;

  watch (state->selector, state->a[0], SEL_EVENT_WRITE);
  fill (state->a[0]);
  await_polling ();
  rewatch (state->selector, state->a[0], SEL_EVENT_READ);
  await_polling ();
  put_byte (state->a[1]);

  return NULL;
}

static gpointer
unregister_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  unwatch (state->selector, state->b[0]);
  put_byte (state->b[1]);
  await_polling ();
  watch (state->selector, state->a[0], SEL_EVENT_READ);
  put_byte (state->a[1]);

  return NULL;
}

static void
test_other_thread (BackendFixture *fixture)
{
  static const struct
  {
    GThreadFunc  func;
    SelEventMask b_events;
    gboolean     fills_a;
  }
  threads[] =
  {
    { register_elsewhere, 0, FALSE },
    { register_ready_elsewhere, 0, FALSE },
    { modify_elsewhere, 0, TRUE },
    { unregister_elsewhere, SEL_EVENT_READ, FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      GThread *thread;
      State state;

      g_test_message ("case %" G_GSIZE_FORMAT, i);
      state_open (&state, fixture);
      g_main_context_set_poll_func (state.context, poll_and_tell);
      state_watch (&state, 0, threads[i].b_events);
      if (threads[i].fills_a)
        fill (state.a[0]);
      state_attach (&state);

      thread = g_thread_new ("other", threads[i].func, &state);
      expect (&state, "a:R ");
      g_thread_join (thread);

      state_close (&state);
    }
}

static gpointer
close_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  sel_base_selector_close (state->selector);

  return NULL;
}

static gpointer
destroy_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  g_source_destroy (state->source);

  return NULL;
}

static void
test_other_thread_ends (BackendFixture *fixture)
{
  static const GThreadFunc funcs[] = { destroy_elsewhere, close_elsewhere };

  for (gsize i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      GThread *thread;
      State state;

      state_open (&state, fixture);
      g_main_context_set_poll_func (state.context, poll_and_tell);
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      state_attach (&state);

      thread = g_thread_new ("other", funcs[i], &state);
      while (g_atomic_int_get (&state.n_notified) == 0)
        g_main_context_iteration (state.context, TRUE);
      g_thread_join (thread);

      g_assert_true (g_source_is_destroyed (state.source));
      put_byte (state.a[1]);
      expect_nothing (&state);
      g_assert_cmpint (state.n_notified, ==, 1);

      state_close (&state);
    }
}

/* The loop makes progress, however often another thread changes registrations or sources. */

#define N_CHANGES 500
#define N_EVENTS  100

static gpointer
churn_registrations (gpointer user_data)
{
  State *state = user_data;

  for (guint i = 0; i < N_CHANGES; i++)
    {
      watch (state->selector, state->b[0], SEL_EVENT_READ);
      rewatch (state->selector, state->b[0], ALL_EVENTS);
      rewatch (state->selector, state->b[0], SEL_EVENT_READ);
      unwatch (state->selector, state->b[0]);
    }

  return NULL;
}

static gboolean
on_never (gpointer user_data)
{
  (void) user_data;
  g_assert_not_reached ();
}

static gpointer
churn_sources (gpointer user_data)
{
  State *state = user_data;

  for (guint i = 0; i < N_CHANGES; i++)
    {
      GSource *source = g_timeout_source_new_seconds (3600);

      g_source_set_callback (source, on_never, NULL, NULL);
      g_source_attach (source, state->context);
      g_source_destroy (source);
      g_source_unref (source);
    }

  return NULL;
}

static gboolean
on_ready_again (SelBaseSelector *selector,
                SelSelectorKey  *key,
                SelEventMask     events,
                gpointer         user_data)
{
  State *state = user_data;

  (void) selector;
  (void) events;
  if (sel_selector_key_get_fd (key) == state->a[0])
    {
      drain (state->a[0]);
      put_byte (state->a[1]);
      state->n_calls++;
    }

  return G_SOURCE_CONTINUE;
}

static void
test_churn (BackendFixture *fixture)
{
  static const GThreadFunc funcs[] = { churn_registrations, churn_sources };

  for (gsize i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      GThread *thread;
      State state;

      state_open (&state, fixture);
      state_watch (&state, SEL_EVENT_READ, 0);
      put_byte (state.a[1]);
      state.source = sel_base_selector_create_dispatch_source (state.selector, on_ready_again,
                                                               &state, NULL);
      g_source_attach (state.source, state.context);

      thread = g_thread_new ("churn", funcs[i], &state);
      while (state.n_calls < N_EVENTS)
        g_main_context_iteration (state.context, TRUE);
      g_thread_join (thread);

      state_close (&state);
    }
}

static gpointer
wait_elsewhere (gpointer user_data)
{
  State *state = user_data;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  /* BUSY: the main loop uses the selector at this moment. */
  do
    {
      g_clear_error (&error);
      ready = sel_base_selector_select (state->selector, SEL_WAIT_FOREVER, NULL, &error);
    }
  while (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY));

  g_assert_no_error (error);

  return NULL;
}

/* A waiting thread and a main loop compete for the selector. Both receive events. */
static void
test_waiter_elsewhere (BackendFixture *fixture)
{
  GThread *thread;
  State state;

  state_open (&state, fixture);
  state.keeps_data = TRUE;
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach (&state);

  thread = g_thread_new ("waiter", wait_elsewhere, &state);
  put_byte (state.a[1]);
  while (state.n_calls == 0)
    g_main_context_iteration (state.context, TRUE);
  g_assert_false (g_source_is_destroyed (state.source));
  g_thread_join (thread);

  drain (state.a[0]);
  state_close (&state);
}

/* The ready time of the source expires while another thread waits. The source stays attached, and dispatches events
 * after the wait has ended. */
static gpointer
wait_until_woken (gpointer data)
{
  State *state = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;

  /* await_waiter () may have called select () first. */
  while ((ready = sel_base_selector_select (state->selector, SEL_WAIT_FOREVER, NULL, &error)) == NULL)
    assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_cmpuint (ready->len, ==, 0);

  return NULL;
}

/* Waits until another thread waits: from then on a second select () fails with BUSY. */
static void
await_waiter (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;

  while (error == NULL)
    {
      g_autoptr (GPtrArray) ready G_GNUC_UNUSED = sel_base_selector_select (selector, 0, NULL, &error);
    }
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
}

static void
test_due_beside_waiter (BackendFixture *fixture)
{
  GThread *thread;
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach (&state);
  thread = g_thread_new ("waiter", wait_until_woken, &state);
  await_waiter (state.selector);

  g_source_set_ready_time (state.source, 0);
  for (guint i = 0; i < 3; i++)
    g_assert_true (g_main_context_iteration (state.context, FALSE));
  g_assert_false (g_source_is_destroyed (state.source));
  assert_trace (&state, "");

  g_source_set_ready_time (state.source, -1);
  sel_base_selector_wakeup (state.selector);
  g_thread_join (thread);
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

static gpointer
register_file_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  watch (state->selector, state->file, SEL_EVENT_READ);

  return NULL;
}

/* The kernel does not wait for a regular file, so registering one must wake up the main loop. */
static void
test_always_ready_elsewhere (BackendFixture *fixture)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread;
  State state;

  state_open (&state, fixture);
  state.file = g_file_open_tmp (NULL, &name, &error);
  g_assert_no_error (error);
  sel_base_selector_set_emulate_always_ready (state.selector, TRUE);
  g_main_context_set_poll_func (state.context, poll_and_tell);
  state_attach (&state);

  thread = g_thread_new ("other", register_file_elsewhere, &state);
  while (state.n_calls == 0)
    g_main_context_iteration (state.context, TRUE);
  g_thread_join (thread);
  assert_trace (&state, "other:R ");

  unwatch (state.selector, state.file);
  g_unlink (name);
  close (state.file);
  state_close (&state);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GLib creates the default context when a thread gets a context of its own. Its descriptor would count as a leak. */
  g_main_context_default ();

  backend_add_both_modes ("source/due-beside-waiter", test_due_beside_waiter);
  backend_add_both_modes ("source/other-thread", test_other_thread);
  backend_add_both_modes ("source/other-thread-ends", test_other_thread_ends);
  backend_add_both_modes ("source/churn", test_churn);
  backend_add_both_modes ("source/waiter-elsewhere", test_waiter_elsewhere);
  backend_add_both_modes ("source/always-ready-elsewhere", test_always_ready_elsewhere);

  return g_test_run ();
}
