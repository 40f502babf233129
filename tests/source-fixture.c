/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <unistd.h>

#include "source-fixture.h"

void
on_notify (gpointer user_data)
{
  State *state = user_data;

  g_atomic_int_inc (&state->n_notified);
  if (state->context != NULL)
    g_main_context_wakeup (state->context);
}

static void
state_tell (State        *state,
            int           fd,
            SelEventMask  events)
{
  g_assert_cmpuint (events, !=, 0);

  g_string_append_printf (state->trace, "%s:%s%s ",
                          fd == state->a[0] ? "a" : fd == state->b[0] ? "b" : "other",
                          (events & SEL_EVENT_READ) != 0 ? "R" : "",
                          (events & SEL_EVENT_WRITE) != 0 ? "W" : "");

  if ((events & SEL_EVENT_READ) != 0 && !state->keeps_data)
    drain (fd);
}

gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  State *state = user_data;
  int fd = sel_selector_key_get_fd (key);

  g_assert_true (SEL_IS_BASE_SELECTOR (selector));
  state->n_calls++;
  state_tell (state, fd, events);
  g_assert_cmpint (g_atomic_int_get (&state->n_notified), ==, 0);

  if (state->act != NULL)
    state->act (state, fd);

  /* The arguments of the callback are valid until it returns, also after act. */
  g_assert_cmpint (g_atomic_int_get (&state->n_notified), ==, 0);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  g_assert_true (SEL_IS_BASE_SELECTOR (selector));

  return state->result;
}

gboolean
on_plain_ready (gpointer user_data)
{
  State *state = user_data;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  state->n_calls++;
  ready = sel_base_selector_select (state->selector, 0, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, >, 0);

  for (guint i = 0; i < ready->len; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (ready, i);
      SelSelectorKey *key = sel_selector_event_get_key (event);

      state_tell (state, sel_selector_key_get_fd (key), sel_selector_event_get_events (event));
    }

  if (state->act != NULL)
    state->act (state, -1);

  return state->result;
}

void
state_open (State          *state,
            BackendFixture *fixture)
{
  *state = (State) { .fixture = fixture, .selector = fixture->selector, .result = TRUE };

  state->context = g_main_context_new ();
  state->trace = g_string_new (NULL);
  open_socketpair (state->a);
  open_socketpair (state->b);
}

void
state_detach (State *state)
{
  if (state->source == NULL)
    return;

  g_source_destroy (state->source);
  g_clear_pointer (&state->source, g_source_unref);
}

void
unwatch_all (SelBaseSelector *selector)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (GPtrArray) keys = NULL;

  if (map == NULL)
    return;

  keys = sel_selector_mapping_get_keys (map);
  for (guint i = 0; i < keys->len; i++)
    unwatch (selector, sel_selector_key_get_fd (g_ptr_array_index (keys, i)));
}

void
state_close (State *state)
{
  state_detach (state);
  if (state->fixture->selector != NULL)
    unwatch_all (state->fixture->selector);

  g_clear_pointer (&state->context, g_main_context_unref);
  g_string_free (state->trace, TRUE);
  close_pair (state->a);
  close_pair (state->b);
}

void
state_attach (State *state)
{
  state->source = sel_base_selector_create_dispatch_source (state->selector, on_ready, state,
                                                            on_notify);
  g_source_attach (state->source, state->context);
}

void
state_attach_plain (State *state)
{
  state->source = sel_base_selector_create_source (state->selector);
  g_source_set_callback (state->source, on_plain_ready, state, on_notify);
  g_source_attach (state->source, state->context);
}

const AttachFunc attach_funcs[2] = { state_attach, state_attach_plain };

void
state_watch (State        *state,
             SelEventMask  a_events,
             SelEventMask  b_events)
{
  if (a_events != 0)
    watch (state->selector, state->a[0], a_events);
  if (b_events != 0)
    watch (state->selector, state->b[0], b_events);
}

void
settle (State *state)
{
  for (guint quiet = 0, n = 0; quiet < 3; n++)
    {
      if (!g_main_context_iteration (state->context, FALSE))
        quiet++;
      g_assert_cmpuint (n, <, 100);
    }
}

void
assert_trace (State      *state,
              const char *expected)
{
  g_assert_cmpstr (state->trace->str, ==, expected);
  g_string_truncate (state->trace, 0);
}

void
expect (State      *state,
        const char *expected)
{
  while (state->trace->len == 0)
    g_main_context_iteration (state->context, TRUE);

  settle (state);
  assert_trace (state, expected);
}

void
expect_nothing (State *state)
{
  settle (state);
  assert_trace (state, "");
}

void
unwatch_fd (State *state,
            int    fd)
{
  unwatch (state->selector, fd);
}

void
replace_pair (int fds[2])
{
  int pair[2];

  open_socketpair (pair);
  g_assert_cmpint (dup2 (pair[0], fds[0]), ==, fds[0]);
  g_assert_cmpint (dup2 (pair[1], fds[1]), ==, fds[1]);
  close_pair (pair);
}
