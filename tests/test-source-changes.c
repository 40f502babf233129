/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "source-fixture.h"

/* Callbacks of a source that change registrations, end the source or run a nested loop, and the order of sources. */

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

  /* Register the descriptor again. Its data has not been read yet. */
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

/* Two descriptors are ready. The callback of each one does something after which the other one must not be
 * dispatched. The kernel chooses which descriptor comes first. */

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

/* The events of the current batch do not apply to the new file. */
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

  /* A source with a higher priority is dispatched first, although the selector's source is ready, too. */
  put_byte (state.a[1]);
  add_idle (&state, 0, "urgent ");
  add_idle (&state, 2, "end ");
  expect (&state, "urgent a:R end ");

  state_close (&state);
}

/* A source that is always ready does not starve other sources of the same priority. */
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

  raise_fd_limit ();
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

  /* Dispatching one descriptor per iteration is enough, if each one gets its turn. */
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

  /* After the nested loop the source works as before. */
  state.act = NULL;
  put_byte (state.a[1]);
  expect (&state, "a:R ");

  state_close (&state);
}

/* The outer loop must not use memory that the nested loop has freed. */
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

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  /* GLib creates the default context when a thread gets a context of its own. Its descriptor would count as a leak. */
  g_main_context_default ();

  backend_add_both_modes ("source/changes", test_changes);
  backend_add_both_modes ("source/modify-in-callback", test_modify_in_callback);
  backend_add_both_modes ("source/register-in-callback", test_register_in_callback);
  backend_add_both_modes ("source/unregister-in-callback", test_unregister_in_callback);
  backend_add_both_modes ("source/other-is-not-told", test_other_is_not_told);
  backend_add_both_modes ("source/drop-in-callback", test_drop_in_callback);
  backend_add_both_modes ("source/priority", test_priority);
  backend_add_both_modes ("source/fairness", test_fairness);
  backend_add_both_modes ("source/many-ready", test_many_ready);
  backend_add_both_modes ("source/recursive", test_recursive);
  backend_add_both_modes ("source/recursive-close", test_recursive_close);
  backend_add_both_modes ("source/not-recursive", test_not_recursive);

  return g_test_run ();
}
