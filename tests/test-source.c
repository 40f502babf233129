/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "source-fixture.h"
#include "system-facts.h"

/* A selector in a main context: which events a source reports, and when. */

/* Ready or not */

static void
test_ready (BackendFixture *fixture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (attach_funcs); i++)
    {
      State state;

      state_open (&state, fixture);
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      attach_funcs[i] (&state);

      expect_nothing (&state);
      put_byte (state.a[1]);
      expect (&state, "a:R ");
      put_byte (state.b[1]);
      expect (&state, "b:R ");

      state_close (&state);
      g_assert_cmpint (state.n_notified, ==, 1);
    }
}

static void
test_ready_before_attach (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  put_byte (state.a[1]);

  state_attach (&state);

  expect (&state, "a:R ");
  state_close (&state);
}

static gboolean
on_ready_with_object (SelBaseSelector *selector,
                      SelSelectorKey  *key,
                      SelEventMask     events,
                      gpointer         user_data)
{
  GSocket *socket = user_data;
  g_autoptr (SelSelectorKey) same_key = NULL;

  g_assert_true (sel_selector_key_get_fileobj (key) == G_OBJECT (socket));
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, g_socket_get_fd (socket));
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, ALL_EVENTS);
  g_assert_true (sel_selector_key_get_data (key) == socket);
  g_assert_cmpuint (events, ==, SEL_EVENT_WRITE);

  same_key = sel_base_selector_get_key (selector, g_socket_get_fd (socket), NULL);
  g_assert_true (same_key == key);

  return G_SOURCE_REMOVE;
}

/* The callback receives the key and the events that select () would return. */
static void
test_key (BackendFixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  State state;
  GSource *source;

  state_open (&state, fixture);
  socket = g_socket_new_from_fd (dup (state.a[0]), &error);
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_register_object (state.selector, G_OBJECT (socket), ALL_EVENTS,
                                                    socket, NULL, &error));
  g_assert_no_error (error);

  source = sel_base_selector_create_dispatch_source (state.selector, on_ready_with_object, socket,
                                                     NULL);
  g_source_attach (source, state.context);
  while (!g_source_is_destroyed (source))
    g_main_context_iteration (state.context, TRUE);
  g_source_unref (source);

  state_close (&state);
}

static const struct
{
  SelEventMask interest;
  gboolean     with_data;
  gboolean     filled;
  const char  *expected;
}
masks[] =
{
  { SEL_EVENT_READ, TRUE, FALSE, "a:R " },
  { SEL_EVENT_WRITE, TRUE, FALSE, "a:W " },
  { ALL_EVENTS, TRUE, FALSE, "a:RW " },
  { ALL_EVENTS, FALSE, FALSE, "a:W " },
  { ALL_EVENTS, TRUE, TRUE, "a:R " },
  { SEL_EVENT_READ, FALSE, FALSE, "" },
  { SEL_EVENT_WRITE, TRUE, TRUE, "" },
};

static void
test_masks (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = unwatch_fd;
  state_attach (&state);

  for (gsize i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      g_test_message ("case %" G_GSIZE_FORMAT, i);
      if (masks[i].with_data)
        put_byte (state.a[1]);
      if (masks[i].filled)
        fill (state.a[0]);

      state_watch (&state, masks[i].interest, 0);
      if (masks[i].expected[0] != '\0')
        expect (&state, masks[i].expected);
      else
        {
          expect_nothing (&state);
          unwatch (state.selector, state.a[0]);
        }

      drain (state.a[0]);
      drain (state.a[1]);
    }

  state_close (&state);
}

/* A callback that does not read is called in every iteration, once for each ready descriptor. */
static void
test_level (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.keeps_data = TRUE;
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  put_byte (state.a[1]);
  state_attach (&state);

  for (guint i = 0; i < 5; i++)
    {
      g_assert_true (g_main_context_iteration (state.context, FALSE));
      assert_trace (&state, "a:R ");
    }

  state_close (&state);
}

static void
test_plain_once (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  put_byte (state.a[1]);
  put_byte (state.b[1]);
  state_attach_plain (&state);

  while (state.n_calls == 0)
    g_main_context_iteration (state.context, TRUE);
  settle (&state);
  g_assert_cmpuint (state.n_calls, ==, 1);
  g_assert_cmpuint (state.trace->len, ==, strlen ("a:R b:R "));

  state_close (&state);
}

/* A ready time that the user sets dispatches the source as a ready descriptor does, until it is set to another
 * value. */
static gboolean
on_due (gpointer user_data)
{
  State *state = user_data;

  state->n_calls++;
  assert_quiet (state->selector, 0);
  if (state->n_calls == 2)
    g_source_set_ready_time (state->source, -1);

  return G_SOURCE_CONTINUE;
}

static void
test_plain_ready_time (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach_plain (&state);
  g_source_set_callback (state.source, on_due, &state, NULL);
  g_source_set_ready_time (state.source, G_MAXINT64);
  settle (&state);
  g_assert_cmpuint (state.n_calls, ==, 0);

  g_source_set_ready_time (state.source, 0);
  settle (&state);
  g_assert_cmpuint (state.n_calls, ==, 2);

  state_close (&state);
}

/* Pausing a descriptor after an unhandled hang-up does not change the ready time that the user has set. */
static void
test_plain_ready_time_kept (BackendFixture *fixture)
{
  /* GLib 2.90 shortens times that are further away than some centuries. */
  gint64 time = g_get_monotonic_time () + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC;
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach_plain (&state);
  g_source_set_ready_time (state.source, time);

  close (state.a[1]);
  state.a[1] = -1;
  /* The descriptor is paused once and then polled again. */
  while (state.n_calls < 9)
    {
      g_main_context_iteration (state.context, TRUE);
      g_assert_cmpint (g_source_get_ready_time (state.source), ==, time);
    }

  state_close (&state);
}

static void
test_wakeup (BackendFixture *fixture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (attach_funcs); i++)
    {
      State state;

      state_open (&state, fixture);
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      sel_base_selector_wakeup (state.selector);
      attach_funcs[i] (&state);
      expect_nothing (&state);

      for (guint j = 0; j < 10; j++)
        {
          sel_base_selector_wakeup (state.selector);
          expect_nothing (&state);
        }
      g_assert_cmpuint (state.n_calls, ==, 0);

      /* The wake-up ends the next wait, and only that one. */
      assert_ready (state.selector, SEL_WAIT_FOREVER, -1);
      assert_quiet (state.selector, 0.001);

      put_byte (state.b[1]);
      sel_base_selector_wakeup (state.selector);
      expect (&state, "b:R ");

      state_close (&state);
    }
}

/* Hang-ups */

static void
test_hang_up (BackendFixture *fixture)
{
  static const struct
  {
    SelEventMask interest;
    const char  *expected;
  }
  hang_ups[] =
  {
    { SEL_EVENT_READ, "a:R " },
    { SEL_EVENT_WRITE, "a:W " },
    { ALL_EVENTS, "a:RW " },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (hang_ups); i++)
    {
      State state;

      state_open (&state, fixture);
      state.act = unwatch_fd;
      state_watch (&state, hang_ups[i].interest, 0);
      if (hang_ups[i].interest == SEL_EVENT_READ)
        {
          state_attach (&state);
          expect_nothing (&state);
        }

      close (state.a[1]);
      if (state.source == NULL)
        state_attach (&state);
      expect (&state, hang_ups[i].expected);

      state.a[1] = -1;
      state_close (&state);
    }
}

/* The read end of a pipe without a writer stays ready for ever, even if it is registered for writing only. */
static void
test_hang_up_of_pipe (BackendFixture *fixture)
{
  State state;

  if (system_has_two_way_pipes ())
    {
      g_test_skip ("on this system a read end is writable");
      return;
    }

  state_open (&state, fixture);
  close_pair (state.a);
  open_pipe (state.a);
  state_watch (&state, SEL_EVENT_WRITE, 0);
  state_attach (&state);
  expect_nothing (&state);

  close (state.a[1]);
  state.act = unwatch_fd;
  expect (&state, "a:W ");

  state.a[1] = -1;
  state_close (&state);
}

/* Closed descriptors */

static void
test_closed_descriptor (BackendFixture *fixture)
{
  for (guint attached_before = 0; attached_before < 2; attached_before++)
    for (gsize i = 0; i < G_N_ELEMENTS (attach_funcs); i++)
      {
        State state;

        state_open (&state, fixture);
        state_watch (&state, ALL_EVENTS, SEL_EVENT_READ);
        fill (state.a[0]);
        if (attached_before)
          {
            attach_funcs[i] (&state);
            expect_nothing (&state);
          }

        close_pair (state.a);
        if (!attached_before)
          attach_funcs[i] (&state);

        expect_nothing (&state);
        put_byte (state.b[1]);
        expect (&state, "b:R ");
        expect_nothing (&state);

        /* The key is still registered and can be unregistered. */
        unwatch (state.selector, state.a[0]);
        state.a[0] = state.a[1] = -1;
        put_byte (state.b[1]);
        expect (&state, "b:R ");

        state_close (&state);
      }
}

static void
test_refresh (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach (&state);
  expect_nothing (&state);

  replace_pair (state.a);
  expect_nothing (&state);

  g_assert_true (sel_base_selector_refresh (state.selector, state.a[0], &error));
  g_assert_no_error (error);
  expect_nothing (&state);
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

/* A plain source without a callback is destroyed when a descriptor is ready. The event is not lost. */
static void
test_plain_without_callback (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  state.source = sel_base_selector_create_source (state.selector);
  g_source_attach (state.source, state.context);
  put_byte (state.a[1]);

  while (!g_source_is_destroyed (state.source))
    g_main_context_iteration (state.context, TRUE);
  assert_ready (state.selector, 0, state.a[0], SEL_EVENT_READ, -1);

  state_close (&state);
}

static void
act_unwatch_both (State *state,
                  int    fd)
{
  unwatch_all (state->selector);
}

static void
test_plain_unregister (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach_plain (&state);
  state.keeps_data = TRUE;
  state.act = act_unwatch_both;
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_watch (&state, SEL_EVENT_READ, 0);
  expect (&state, "a:R ");
  g_assert_cmpuint (state.n_calls, ==, 2);

  state_close (&state);
}

/* Files that are always ready */

static void
test_always_ready (BackendFixture *fixture)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  State state;
  int fd;

  state_open (&state, fixture);
  fd = g_file_open_tmp (NULL, &name, &error);
  g_assert_no_error (error);
  sel_base_selector_set_emulate_always_ready (state.selector, TRUE);

  state_attach (&state);
  expect_nothing (&state);
  watch (state.selector, fd, ALL_EVENTS);

  for (guint i = 0; i < 5; i++)
    {
      while (state.n_calls == i)
        g_main_context_iteration (state.context, TRUE);
      assert_trace (&state, "other:RW ");
    }

  unwatch (state.selector, fd);
  g_string_truncate (state.trace, 0);
  expect_nothing (&state);

  g_unlink (name);
  close (fd);
  state_close (&state);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GLib creates the default context when a thread gets a context of its own. Its descriptor would count as a leak. */
  g_main_context_default ();

  backend_add_both_modes ("source/ready", test_ready);
  backend_add_both_modes ("source/ready-before-attach", test_ready_before_attach);
  backend_add_both_modes ("source/key", test_key);
  backend_add_both_modes ("source/masks", test_masks);
  backend_add_both_modes ("source/level", test_level);
  backend_add_both_modes ("source/plain-once", test_plain_once);
  backend_add_both_modes ("source/plain-ready-time", test_plain_ready_time);
  backend_add_both_modes ("source/plain-ready-time-kept", test_plain_ready_time_kept);
  backend_add_both_modes ("source/plain-without-callback", test_plain_without_callback);
  backend_add_both_modes ("source/plain-unregister", test_plain_unregister);
  backend_add_both_modes ("source/wakeup", test_wakeup);
  backend_add_both_modes ("source/hang-up", test_hang_up);
  backend_add_both_modes ("source/hang-up-of-pipe", test_hang_up_of_pipe);
  backend_add_both_modes ("source/closed-descriptor", test_closed_descriptor);
  backend_add_both_modes ("source/refresh", test_refresh);
  backend_add_both_modes ("source/always-ready", test_always_ready);

  return g_test_run ();
}
