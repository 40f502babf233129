/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "backends.h"

/* Selectors in a main context. Each case has a context of its own, and what a callback saw is told
 * as text: "a:R b:W " says that a could be read, then b be written. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct _State State;

struct _State
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;
  int              a[2];
  int              b[2];
  GString         *trace;

  /* What the callback does besides telling. */
  gboolean         keeps_data;
  void           (*act) (State *state,
                         int    fd);
  gboolean         result;

  guint            n_calls;
  int              n_notified;  /* atomic */
  int              file;        /* of a case that has one */
};

static void
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

static gboolean
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

  /* Whatever was done, what belongs to the callback lives until it returns. */
  g_assert_cmpint (g_atomic_int_get (&state->n_notified), ==, 0);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  g_assert_true (SEL_IS_BASE_SELECTOR (selector));

  return state->result;
}

/* The callback of a plain source looks itself what is ready. */
static gboolean
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

static void
state_open (State          *state,
            BackendFixture *fixture)
{
  *state = (State) { .fixture = fixture, .selector = fixture->selector, .result = TRUE };

  state->context = g_main_context_new ();
  state->trace = g_string_new (NULL);
  open_socketpair (state->a);
  open_socketpair (state->b);
}

static void
state_detach (State *state)
{
  if (state->source == NULL)
    return;

  g_source_destroy (state->source);
  g_clear_pointer (&state->source, g_source_unref);
}

static void
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

/* Leaves the selector to the fixture, if the case has not dropped it. */
static void
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

static void
state_attach (State *state)
{
  state->source = sel_base_selector_create_dispatch_source (state->selector, on_ready, state,
                                                            on_notify);
  g_source_attach (state->source, state->context);
}

static void
state_attach_plain (State *state)
{
  state->source = sel_base_selector_create_source (state->selector);
  g_source_set_callback (state->source, on_plain_ready, state, on_notify);
  g_source_attach (state->source, state->context);
}

typedef void (*AttachFunc) (State *state);

static const AttachFunc attach_funcs[] = { state_attach, state_attach_plain };

static void
state_watch (State        *state,
             SelEventMask  a_events,
             SelEventMask  b_events)
{
  if (a_events != 0)
    watch (state->selector, state->a[0], a_events);
  if (b_events != 0)
    watch (state->selector, state->b[0], b_events);
}

/* Turns of the loop until it has nothing to do any more, which has to be soon. */
static void
settle (State *state)
{
  for (guint quiet = 0, n = 0; quiet < 3; n++)
    {
      if (!g_main_context_iteration (state->context, FALSE))
        quiet++;
      g_assert_cmpuint (n, <, 100);
    }
}

static void
assert_trace (State      *state,
              const char *expected)
{
  g_assert_cmpstr (state->trace->str, ==, expected);
  g_string_truncate (state->trace, 0);
}

/* Something will happen, and nothing more than that. */
static void
expect (State      *state,
        const char *expected)
{
  while (state->trace->len == 0)
    g_main_context_iteration (state->context, TRUE);

  settle (state);
  assert_trace (state, expected);
}

static void
expect_nothing (State *state)
{
  settle (state);
  assert_trace (state, "");
}

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

/* The callback gets what select() would give. */
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
unwatch_fd (State *state,
            int    fd)
{
  unwatch (state->selector, fd);
}

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

/* A callback that does not read is called in each turn, once for each descriptor. */
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

/* A time that was set is told like something that is ready, and again until it is set anew. */
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

/* Descriptors that rest because nobody takes care of them have a time of their own. */
static void
test_plain_ready_time_kept (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach_plain (&state);
  g_source_set_ready_time (state.source, G_MAXINT64);

  close (state.a[1]);
  state.a[1] = -1;
  /* It rests once and is tried again. */
  while (state.n_calls < 9)
    {
      g_main_context_iteration (state.context, TRUE);
      g_assert_cmpint (g_source_get_ready_time (state.source), ==, G_MAXINT64);
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

      /* It ends the next wait, once. */
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

/* The read end of a pipe without a writer, watched for writing only, is ready for ever. */
static void
test_hang_up_of_pipe (BackendFixture *fixture)
{
  State state;

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

        /* The key stays, and can be given back. */
        unwatch (state.selector, state.a[0]);
        state.a[0] = state.a[1] = -1;
        put_byte (state.b[1]);
        expect (&state, "b:R ");

        state_close (&state);
      }
}

/* Other files under the same numbers. */
static void
replace_pair (int fds[2])
{
  int pair[2];

  open_socketpair (pair);
  g_assert_cmpint (dup2 (pair[0], fds[0]), ==, fds[0]);
  g_assert_cmpint (dup2 (pair[1], fds[1]), ==, fds[1]);
  close_pair (pair);
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

/* Changes while the source is attached */

static void
test_changes (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_attach (&state);
  expect_nothing (&state);

  put_byte (state.a[1]);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  expect (&state, "a:R ");

  rewatch (state.selector, state.a[0], ALL_EVENTS);
  while (state.trace->len == 0)
    g_main_context_iteration (state.context, TRUE);
  g_assert_true (g_str_has_prefix (state.trace->str, "a:W "));
  rewatch (state.selector, state.a[0], SEL_EVENT_READ);
  g_string_truncate (state.trace, 0);
  expect_nothing (&state);

  put_byte (state.a[1]);
  put_byte (state.b[1]);
  unwatch (state.selector, state.a[0]);
  expect (&state, "b:R ");

  /* Back again, with what is still to be read. */
  watch (state.selector, state.a[0], SEL_EVENT_READ);
  expect (&state, "a:R ");

  state_close (&state);
}

static void
swap_interest (State *state,
               int    fd)
{
  state->act = NULL;
  rewatch (state->selector, fd, SEL_EVENT_READ);
}

static void
test_modify_in_callback (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = swap_interest;
  state_watch (&state, SEL_EVENT_WRITE, 0);
  state_attach (&state);

  expect (&state, "a:W ");
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

static void
watch_other (State *state,
             int    fd)
{
  state->act = NULL;
  g_assert_cmpint (fd, ==, state->a[0]);
  put_byte (state->b[1]);
  watch (state->selector, state->b[0], SEL_EVENT_READ);
}

static void
test_register_in_callback (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = watch_other;
  state_watch (&state, SEL_EVENT_READ, 0);
  state_attach (&state);
  put_byte (state.a[1]);

  expect (&state, "a:R b:R ");

  state_close (&state);
}

static void
test_unregister_in_callback (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.keeps_data = TRUE;
  state.act = unwatch_fd;
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  put_byte (state.a[1]);

  expect (&state, "a:R ");

  state_close (&state);
}

/* Two are ready, and the callback of either does something that keeps the other from being
 * told. Which comes first is the kernel's choice. */

static int
state_get_other (State *state,
                 int    fd)
{
  return fd == state->a[0] ? state->b[0] : state->a[0];
}

static void
unwatch_other (State *state,
               int    fd)
{
  unwatch (state->selector, state_get_other (state, fd));
}

static void
close_selector (State *state,
                int    fd)
{
  (void) fd;
  sel_base_selector_close (state->selector);
  g_assert_true (g_source_is_destroyed (state->source));
}

static void
destroy_source (State *state,
                int    fd)
{
  (void) fd;
  g_assert_true (g_main_current_source () == state->source);
  g_source_destroy (state->source);
}

static void
do_nothing (State *state,
            int    fd)
{
  (void) state;
  (void) fd;
}

/* What the batch knows is not about the new file. */
static void
replace_other (State *state,
               int    fd)
{
  int *other = fd == state->a[0] ? state->b : state->a;

  unwatch (state->selector, other[0]);
  replace_pair (other);
  watch (state->selector, other[0], SEL_EVENT_READ);
}

static void
close_and_unwatch_other (State *state,
                         int    fd)
{
  int *other = fd == state->a[0] ? state->b : state->a;

  unwatch (state->selector, other[0]);
  close_pair (other);
  open_socketpair (other);
}

static const struct
{
  const char *name;
  void      (*act) (State *state,
                    int    fd);
  gboolean    result;
  gboolean    ends_source;
}
symmetric[] =
{
  { "unregister", unwatch_other, TRUE, FALSE },
  { "close-and-unregister", close_and_unwatch_other, TRUE, FALSE },
  { "replace", replace_other, TRUE, FALSE },
  { "close-selector", close_selector, TRUE, TRUE },
  { "destroy-source", destroy_source, TRUE, TRUE },
  { "remove", do_nothing, FALSE, TRUE },
  { "destroy-and-remove", destroy_source, FALSE, TRUE },
  { "close-and-remove", close_selector, FALSE, TRUE },
};

static void
test_other_is_not_told (BackendFixture *fixture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (symmetric); i++)
    {
      State state;

      g_test_message ("%s", symmetric[i].name);
      fixture_renew_selector (fixture);
      state_open (&state, fixture);
      state.act = symmetric[i].act;
      state.result = symmetric[i].result;
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      put_byte (state.a[1]);
      put_byte (state.b[1]);
      state_attach (&state);

      while (state.n_calls == 0)
        g_main_context_iteration (state.context, TRUE);
      settle (&state);
      g_assert_cmpuint (state.n_calls, ==, 1);

      g_assert_cmpint (g_source_is_destroyed (state.source), ==, symmetric[i].ends_source);
      g_assert_cmpint (state.n_notified, ==, symmetric[i].ends_source ? 1 : 0);

      state_close (&state);
      g_assert_cmpint (state.n_notified, ==, 1);
    }
}

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
drop_selector (State *state,
               int    fd)
{
  (void) fd;
  g_clear_object (&state->fixture->selector);
}

static void
drop_selector_and_source (State *state,
                          int    fd)
{
  destroy_source (state, fd);
  g_clear_pointer (&state->source, g_source_unref);
  drop_selector (state, fd);
}

static void
test_drop_in_callback (BackendFixture *fixture)
{
  static const struct
  {
    void   (*act) (State *state,
                   int    fd);
    gboolean result;
  }
  drops[] =
  {
    { drop_selector, FALSE },
    { drop_selector_and_source, TRUE },
    { drop_selector_and_source, FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (drops); i++)
    {
      gpointer weak;
      State state;

      fixture_renew_selector (fixture);
      state_open (&state, fixture);
      state.act = drops[i].act;
      state.result = drops[i].result;
      state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
      state_attach (&state);
      weak = state.selector;
      g_object_add_weak_pointer (weak, &weak);

      put_byte (state.a[1]);
      put_byte (state.b[1]);
      while (state.n_calls == 0)
        g_main_context_iteration (state.context, TRUE);
      settle (&state);
      g_assert_cmpuint (state.n_calls, ==, 1);

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

  /* The other end first. */
  source = sel_base_selector_create_dispatch_source (state.selector, on_ready, &state, on_notify);
  sel_base_selector_close (state.selector);
  g_source_unref (source);
  g_assert_cmpint (state.n_notified, ==, 2);

  state_close (&state);
}

/* The user data belongs to the source, also if there is no function. */
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

  sel_base_selector_close (state.selector);
  g_assert_cmpint (state.n_notified, ==, 1);
  state_close (&state);
}

/* Order */

typedef struct
{
  State      *state;
  const char *word;
} Word;

static gboolean
on_idle (gpointer user_data)
{
  Word *word = user_data;

  if (g_str_equal (word->word, "write "))
    put_byte (word->state->a[1]);
  g_string_append (word->state->trace, word->word);

  return G_SOURCE_REMOVE;
}

static void
add_idle (State      *state,
          int         priority,
          const char *word)
{
  GSource *source = g_idle_source_new ();
  Word *data = g_new (Word, 1);

  *data = (Word) { .state = state, .word = word };
  g_source_set_priority (source, priority);
  g_source_set_callback (source, on_idle, data, g_free);
  g_source_attach (source, state->context);
  g_source_unref (source);
}

static void
test_priority (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, 0);
  g_assert_cmpuint (sel_base_selector_attach (state.selector, state.context, 1, on_ready, &state,
                                              NULL), >, 0);

  add_idle (&state, 2, "quiet ");
  add_idle (&state, 3, "write ");
  add_idle (&state, 4, "end ");
  expect (&state, "quiet write a:R end ");

  /* What is more urgent than the source comes first, although the source is ready. */
  put_byte (state.a[1]);
  add_idle (&state, 0, "urgent ");
  add_idle (&state, 2, "end ");
  expect (&state, "urgent a:R end ");

  state_close (&state);
}

/* A source that is always ready leaves their turns to others of its priority. */
static void
test_fairness (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_WRITE, SEL_EVENT_WRITE);
  state_attach (&state);
  add_idle (&state, G_PRIORITY_DEFAULT, "idle ");

  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (state.context, FALSE);

  g_assert_nonnull (strstr (state.trace->str, "idle "));
  g_assert_nonnull (strstr (state.trace->str, "a:W "));
  g_assert_nonnull (strstr (state.trace->str, "b:W "));

  state_close (&state);
}

#define N_MANY 300

static gboolean
on_many_ready (SelBaseSelector *selector,
               SelSelectorKey  *key,
               SelEventMask     events,
               gpointer         user_data)
{
  guint *n_missing = user_data;
  guint *n_calls = sel_selector_key_get_data (key);

  g_assert_cmpuint (events, ==, SEL_EVENT_WRITE);
  if ((*n_calls)++ == 0)
    (*n_missing)--;
  if (*n_calls == 2)
    unwatch (selector, sel_selector_key_get_fd (key));

  return G_SOURCE_CONTINUE;
}

static void
test_many_ready (BackendFixture *fixture)
{
  guint n_calls[N_MANY] = { 0 };
  guint n_missing = N_MANY;
  int fds[N_MANY];
  State state;

  state_open (&state, fixture);

  for (guint i = 0; i < N_MANY; i += 2)
    open_socketpair (&fds[i]);

  for (guint i = 0; i < N_MANY; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (sel_base_selector_register (state.selector, fds[i], SEL_EVENT_WRITE,
                                                 &n_calls[i], NULL, &error));
      g_assert_no_error (error);
    }

  state.source = sel_base_selector_create_dispatch_source (state.selector, on_many_ready,
                                                           &n_missing, NULL);
  g_source_attach (state.source, state.context);

  /* Even one at a time would do, if each gets its turn. */
  for (guint i = 0; i < N_MANY && n_missing > 0; i++)
    g_assert_true (g_main_context_iteration (state.context, FALSE));
  g_assert_cmpuint (n_missing, ==, 0);

  for (guint i = 0; i < N_MANY && g_main_context_iteration (state.context, FALSE); i++)
    ;
  for (guint i = 0; i < N_MANY; i++)
    g_assert_cmpuint (n_calls[i], ==, 2);

  for (guint i = 0; i < N_MANY; i += 2)
    close_pair (&fds[i]);
  state_close (&state);
}

/* Nested loops */

static void
write_and_recurse (State *state,
                   int    fd)
{
  if (fd != state->a[0])
    return;

  put_byte (state->b[1]);
  while (state->n_calls == 1)
    g_main_context_iteration (state->context, TRUE);
}

static void
test_recursive (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = write_and_recurse;
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  sel_base_selector_set_can_recurse (state.selector, TRUE);

  put_byte (state.a[1]);
  expect (&state, "a:R b:R ");

  /* Afterwards everything is as before. */
  state.act = NULL;
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

/* What the nested loop frees is not used by the outer one. */
static void
recurse_and_close (State *state,
                   int    fd)
{
  if (state->n_calls == 1)
    {
      put_byte (state_get_other (state, fd) == state->a[0] ? state->a[1] : state->b[1]);
      while (state->n_calls == 1)
        g_main_context_iteration (state->context, TRUE);
    }
  else
    sel_base_selector_close (state->selector);
}

static void
test_recursive_close (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = recurse_and_close;
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  sel_base_selector_set_can_recurse (state.selector, TRUE);
  put_byte (state.a[1]);
  put_byte (state.b[1]);

  while (state.n_calls == 0)
    g_main_context_iteration (state.context, TRUE);
  settle (&state);

  g_assert_cmpuint (state.n_calls, ==, 2);
  g_assert_true (g_source_is_destroyed (state.source));
  g_assert_cmpint (state.n_notified, ==, 1);
  state_close (&state);
}

static void
write_and_settle (State *state,
                  int    fd)
{
  if (fd != state->a[0])
    return;

  put_byte (state->b[1]);
  settle (state);
  g_assert_cmpuint (state->n_calls, ==, 1);
}

static void
test_not_recursive (BackendFixture *fixture)
{
  State state;

  state_open (&state, fixture);
  state.act = write_and_settle;
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  g_assert_false (sel_base_selector_get_can_recurse (state.selector));

  put_byte (state.a[1]);
  expect (&state, "a:R b:R ");

  state_close (&state);
}

/* Closures, the form of languages other than C */

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

/* Another thread changes something while the loop polls. That it does is known from the poll
 * function. */

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

/* However much another thread changes, the loop gets on. */

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

/* More than one */

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

static gpointer
wait_elsewhere (gpointer user_data)
{
  State *state = user_data;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  /* BUSY is the loop's turn. */
  do
    {
      g_clear_error (&error);
      ready = sel_base_selector_select (state->selector, SEL_WAIT_FOREVER, NULL, &error);
    }
  while (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY));

  g_assert_no_error (error);

  return NULL;
}

/* A thread that waits and a loop get in each other's way, but both are served. */
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

/* The time of a source comes while another thread waits, and gets what is ready. */
static gpointer
wait_until_woken (gpointer data)
{
  State *state = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;

  /* Who looks whether it waits already may have come first. */
  while ((ready = sel_base_selector_select (state->selector, SEL_WAIT_FOREVER, NULL, &error)) == NULL)
    assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  g_assert_cmpuint (ready->len, ==, 0);

  return NULL;
}

/* A second wait is refused as soon as there is a first. */
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

/* Nobody has said what to call. */
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

/* Somebody closes it behind the selector's back: a bug that is told once, and costs no time. */
static void
test_own_descriptor_closed (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  State state;
  int fd;

  state_open (&state, fixture);
  state_watch (&state, SEL_EVENT_READ, SEL_EVENT_READ);
  state_attach (&state);
  expect_nothing (&state);

  fd = fixture->backend->get_fd (state.selector, &error);
  g_assert_no_error (error);
  g_assert_no_errno (close (fd));

  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "*");
  expect_nothing (&state);
  g_test_assert_expected_messages ();

  g_assert_true (g_source_is_destroyed (state.source));
  g_assert_cmpint (state.n_notified, ==, 1);
  expect_nothing (&state);

  /* Not the number that the selector will close. */
  g_clear_pointer (&state.source, g_source_unref);
  g_assert_cmpint (dup2 (state.a[0], fd), ==, fd);
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

static gpointer
register_file_elsewhere (gpointer user_data)
{
  State *state = user_data;

  await_polling ();
  watch (state->selector, state->file, SEL_EVENT_READ);

  return NULL;
}

/* The kernel has nothing to wait for, so that the main loop must be told. */
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

  /* GLib makes it when a thread gets a context of its own, and its descriptor would be counted. */
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
  backend_add_both_modes ("source/due-beside-waiter", test_due_beside_waiter);
  backend_add_both_modes ("source/wakeup", test_wakeup);
  backend_add_both_modes ("source/hang-up", test_hang_up);
  backend_add_both_modes ("source/hang-up-of-pipe", test_hang_up_of_pipe);
  backend_add_both_modes ("source/closed-descriptor", test_closed_descriptor);
  backend_add_both_modes ("source/refresh", test_refresh);
  backend_add_both_modes ("source/changes", test_changes);
  backend_add_both_modes ("source/modify-in-callback", test_modify_in_callback);
  backend_add_both_modes ("source/register-in-callback", test_register_in_callback);
  backend_add_both_modes ("source/unregister-in-callback", test_unregister_in_callback);
  backend_add_both_modes ("source/other-is-not-told", test_other_is_not_told);
  backend_add_both_modes ("source/keeps-selector", test_source_keeps_selector);
  backend_add_both_modes ("source/drop-in-callback", test_drop_in_callback);
  backend_add_both_modes ("source/never-attached", test_never_attached);
  backend_add_both_modes ("source/of-closed", test_source_of_closed);
  backend_add_both_modes ("source/notify-without-func", test_notify_without_func);
  backend_add_both_modes ("source/close-destroys", test_close_destroys);
  backend_add_both_modes ("source/attach", test_attach);
  backend_add_both_modes ("source/thread-default", test_thread_default);
  backend_add_both_modes ("source/priority", test_priority);
  backend_add_both_modes ("source/fairness", test_fairness);
  backend_add_both_modes ("source/many-ready", test_many_ready);
  backend_add_both_modes ("source/recursive", test_recursive);
  backend_add_both_modes ("source/recursive-close", test_recursive_close);
  backend_add_both_modes ("source/not-recursive", test_not_recursive);
  backend_add_both_modes ("source/closure", test_closure);
  backend_add_both_modes ("source/other-thread", test_other_thread);
  backend_add_both_modes ("source/other-thread-ends", test_other_thread_ends);
  backend_add_both_modes ("source/churn", test_churn);
  backend_add_both_modes ("source/two-selectors", test_two_selectors);
  backend_add_both_modes ("source/waiter-elsewhere", test_waiter_elsewhere);
  backend_add_both_modes ("source/opened-late", test_opened_late);
  backend_add_both_modes ("source/reinit", test_reinit);
  backend_add_both_modes ("source/always-ready", test_always_ready);
  backend_add_both_modes ("source/always-ready-elsewhere", test_always_ready_elsewhere);
  backend_add_for ("epoll", "source/own-descriptor-closed", test_own_descriptor_closed);
  backend_add_for ("kqueue", "source/own-descriptor-closed", test_own_descriptor_closed);

  return g_test_run ();
}
