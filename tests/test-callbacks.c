/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <unistd.h>

#include "callback-fixture.h"

/* Callbacks of single descriptors. */

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  Loop *loop = user_data;

  loop->n_calls++;
  drain (sel_selector_key_get_fd (key));

  return G_SOURCE_CONTINUE;
}

/* A callback for each descriptor */

static void
test_ready (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_register (&loop, 1, ALL_EVENTS);
  loop.pairs[1].act = NULL;
  fill (loop.pairs[1].fds[0]);

  loop_expect (&loop, 0, 0);
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);
  g_assert_cmpuint (loop.pairs[0].events, ==, SEL_EVENT_READ);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 1);
  g_assert_cmpuint (loop.pairs[1].events, ==, SEL_EVENT_READ);

  put_byte (loop.pairs[0].fds[1]);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 1, 1);

  loop_close (&loop);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);
  g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);
}

/* A descriptor without a callback is dispatched to the function of the source. */
static void
test_beside_func (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  watch (loop.selector, loop.pairs[1].fds[0], SEL_EVENT_READ);
  loop_attach (&loop, on_ready);

  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);
  g_assert_cmpuint (loop.n_calls, ==, 0);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 0);
  g_assert_cmpuint (loop.n_calls, ==, 1);

  /* Exchange the two, which needs no system call. */
  g_assert_true (sel_base_selector_set_callback (loop.selector, loop.pairs[0].fds[0], NULL, NULL, NULL,
                                                 &error));
  g_assert_no_error (error);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);
  g_assert_true (sel_base_selector_set_callback (loop.selector, loop.pairs[1].fds[0], on_own_ready,
                                                 &loop.pairs[1], on_own_notify, &error));
  g_assert_no_error (error);

  put_byte (loop.pairs[0].fds[1]);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 1);
  g_assert_cmpuint (loop.n_calls, ==, 2);

  loop_close (&loop);
  g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);
}

static void
test_remove (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_register (&loop, 1, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop.pairs[0].result = FALSE;

  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);
  g_assert_false (sel_selector_mapping_contains (sel_base_selector_get_map (loop.selector), loop.pairs[0].fds[0]));

  put_byte (loop.pairs[0].fds[1]);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 1);

  loop_close (&loop);
}

static void
reregister (Loop *loop,
            guint self)
{
  loop->pairs[self].act = NULL;
  unwatch (loop->selector, loop->pairs[self].fds[0]);
  loop_register (loop, self, SEL_EVENT_READ);
}

/* The return value of a callback applies to its own registration, not to a registration that has replaced it. */
static void
test_reregister_and_remove (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop.pairs[0].act = reregister;
  loop.pairs[0].result = FALSE;

  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);

  loop.pairs[0].result = TRUE;
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);

  loop_close (&loop);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 2);
}

/* Two descriptors are ready. The callback of each one acts on the other one, on itself, or on both. The kernel
 * chooses which descriptor comes first. */

static void
unregister_other (Loop *loop,
                  guint self)
{
  unwatch (loop->selector, loop->pairs[!self].fds[0]);
}

static void
unregister_both (Loop *loop,
                 guint self)
{
  unwatch (loop->selector, loop->pairs[self].fds[0]);
  unwatch (loop->selector, loop->pairs[!self].fds[0]);
}

static void
modify_other (Loop *loop,
              guint self)
{
  fill (loop->pairs[!self].fds[0]);
  rewatch (loop->selector, loop->pairs[!self].fds[0], SEL_EVENT_WRITE);
}

static void
replace_other_file (Loop *loop,
                    guint self)
{
  int *fds = loop->pairs[!self].fds;
  int pair[2];

  unwatch (loop->selector, fds[0]);
  open_socketpair (pair);
  g_assert_cmpint (dup2 (pair[0], fds[0]), ==, fds[0]);
  g_assert_cmpint (dup2 (pair[1], fds[1]), ==, fds[1]);
  close_pair (pair);
  loop_register (loop, !self, SEL_EVENT_READ);
}

static void
drop_selector (Loop *loop,
               guint self)
{
  g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);
  g_clear_object (&loop->fixture->selector);
}

static gpointer
destroy_in_thread (gpointer user_data)
{
  g_source_destroy (user_data);

  return NULL;
}

static void
destroy_source_elsewhere (Loop *loop,
                          guint self)
{
  g_thread_join (g_thread_new ("destroy", destroy_in_thread, loop->source));
}

static void
set_function (Loop *loop,
              guint self)
{
  g_source_set_callback (loop->source, (GSourceFunc) (void (*) (void)) on_ready, loop, NULL);
}

static void
set_function_and_destroy (Loop *loop,
                          guint self)
{
  set_function (loop, self);
  destroy_source (loop, self);
}

static gboolean
is_destroyed (Loop *loop)
{
  return loop->source != NULL && g_source_is_destroyed (loop->source);
}

static void
test_other_is_not_called (BackendFixture *fixture)
{
  static const struct
  {
    const char *name;
    void      (*act) (Loop *loop,
                      guint self);
    int         n_notified;  /* of both pairs together, before the end */
  }
  actions[] =
  {
    { "unregister-other", unregister_other, 1 },
    { "unregister-both", unregister_both, 2 },
    { "modify-other", modify_other, 0 },
    { "replace-other", replace_other_file, 1 },
    { "close-selector", close_selector, 2 },
    { "drop-selector", drop_selector, 2 },
    { "destroy-source", destroy_source, 0 },
    { "destroy-source-elsewhere", destroy_source_elsewhere, 0 },
    { "set-function-and-destroy", set_function_and_destroy, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (actions); i++)
    for (guint result = 0; result < 2; result++)
      {
        gboolean destroyed;
        Loop loop;

        g_test_message ("%s, result %u", actions[i].name, result);
        loop_open (&loop, fixture);
        loop_attach (&loop, NULL);
        for (guint j = 0; j < 2; j++)
          {
            loop.pairs[j].act = actions[i].act;
            loop.pairs[j].result = (gboolean) result;
            loop_register (&loop, j, SEL_EVENT_READ);
            put_byte (loop.pairs[j].fds[1]);
          }

        while (loop.pairs[0].n_calls + loop.pairs[1].n_calls == 0)
          g_main_context_iteration (loop.context, TRUE);
        loop_settle (&loop);
        g_assert_cmpuint (loop.pairs[0].n_calls + loop.pairs[1].n_calls, ==, 1);
        g_assert_cmpint (loop.pairs[0].n_notified + loop.pairs[1].n_notified, >=, actions[i].n_notified);

        destroyed = is_destroyed (&loop) && !sel_base_selector_is_closed (loop.selector);
        loop_close (&loop);
        if (actions[i].act == replace_other_file)
          g_assert_cmpint (loop.pairs[0].n_notified + loop.pairs[1].n_notified, ==, 3);
        else if (!destroyed)
          {
            g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);
            g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);
          }
      }
}

/* The program sets another function of the source, in a callback or before. This changes nothing for the other
 * callbacks; and after the source was destroyed, none of them is called. */
static void
test_function_is_set (BackendFixture *fixture)
{
  for (guint n_expected = 1; n_expected <= 2; n_expected++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      loop_attach (&loop, on_ready);
      if (n_expected == 1)
        set_function (&loop, 0);
      for (guint j = 0; j < 2; j++)
        {
          loop.pairs[j].act = n_expected == 1 ? destroy_source : set_function;
          loop_register (&loop, j, SEL_EVENT_READ);
          put_byte (loop.pairs[j].fds[1]);
        }

      while (loop.pairs[0].n_calls + loop.pairs[1].n_calls == 0)
        g_main_context_iteration (loop.context, TRUE);
      loop_settle (&loop);
      g_assert_cmpuint (loop.pairs[0].n_calls + loop.pairs[1].n_calls, ==, n_expected);
      loop_close (&loop);
    }
}

/* Nested loops in callbacks: other callbacks are called, a running callback is not called again, and no loop spins. */

static void
run_inner_loop (Loop *loop,
                guint self)
{
  Pair *own = &loop->pairs[self];
  Pair *other = &loop->pairs[!self];
  guint n_calls = own->n_calls;

  own->act = other->act = NULL;
  put_byte (own->fds[1]);
  while (other->n_calls == 0)
    g_main_context_iteration (loop->context, TRUE);
  loop_settle (loop);

  g_assert_cmpuint (own->n_calls, ==, n_calls);
  g_assert_cmpuint (other->n_calls, ==, 1);
}

static void
test_inner_loop (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  for (guint i = 0; i < 2; i++)
    {
      loop_register (&loop, i, SEL_EVENT_READ);
      loop.pairs[i].act = run_inner_loop;
      put_byte (loop.pairs[i].fds[1]);
    }
  loop_attach (&loop, NULL);

  /* The first callback is called again after it has returned, for the data that came meanwhile. The other descriptor,
   * which was ready at the same time, was dispatched by the nested loop and is not dispatched twice. */
  while (loop.pairs[0].n_calls + loop.pairs[1].n_calls < 3)
    g_main_context_iteration (loop.context, TRUE);
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls + loop.pairs[1].n_calls, ==, 3);

  loop_close (&loop);
}

static void
call_self_in_inner_loop (Loop *loop,
                         guint self)
{
  Pair *own = &loop->pairs[self];

  own->act = NULL;
  put_byte (own->fds[1]);
  while (own->n_calls == 1)
    g_main_context_iteration (loop->context, TRUE);
  g_assert_cmpuint (own->n_calls, ==, 2);
}

static void
test_can_recurse (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  g_assert_false (sel_base_selector_get_can_recurse (loop.selector));
  sel_base_selector_set_can_recurse (loop.selector, TRUE);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop.pairs[0].act = call_self_in_inner_loop;

  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 2, 0);

  loop_close (&loop);
}

/* File objects */

static gboolean
on_object_ready (SelBaseSelector *selector,
                 SelSelectorKey  *key,
                 SelEventMask     events,
                 gpointer         user_data)
{
  GObject **seen = user_data;

  g_assert_cmpuint (events, ==, SEL_EVENT_READ);
  *seen = sel_selector_key_get_fileobj (key);

  return G_SOURCE_REMOVE;
}

static void
test_objects (BackendFixture *fixture)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GInputStream) stream = NULL;
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  GObject *objects[3];
  GObject *seen = NULL;
  Loop loop;

  loop_open (&loop, fixture);
  loop_attach (&loop, NULL);
  put_byte (loop.pairs[0].fds[1]);
  socket = g_socket_new_from_fd (dup (loop.pairs[0].fds[0]), &error);
  g_assert_no_error (error);
  connection = g_socket_connection_factory_create_connection (socket);
  stream = g_unix_input_stream_new (dup (loop.pairs[0].fds[0]), TRUE);
  objects[0] = G_OBJECT (socket);
  objects[1] = G_OBJECT (connection);
  objects[2] = G_OBJECT (stream);

  for (gsize i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      g_assert_true (sel_base_selector_register_object_callback (loop.selector, objects[i], SEL_EVENT_READ,
                                                                 on_object_ready, &seen, NULL, &error));
      g_assert_no_error (error);
      seen = NULL;
      while (seen == NULL)
        g_main_context_iteration (loop.context, TRUE);
      g_assert_true (seen == objects[i]);
    }

  g_socket_close (socket, NULL);
  g_assert_false (sel_base_selector_register_object_callback (loop.selector, objects[0], SEL_EVENT_READ,
                                                              on_own_ready, &loop.pairs[0], on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);

  loop_close (&loop);
}

/* Neither the descriptor nor the source has a function. The selector warns once. */
static void
test_no_callback (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop_attach (&loop, NULL);
  watch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop_register (&loop, 1, SEL_EVENT_READ);
  put_byte (loop.pairs[0].fds[1]);
  put_byte (loop.pairs[1].fds[1]);

  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "Descriptor * is ready, but*");
  loop_expect (&loop, 0, 1);
  g_test_assert_expected_messages ();
  loop_expect (&loop, 0, 0);

  /* Give the descriptor a callback. */
  g_assert_true (sel_base_selector_set_callback (loop.selector, loop.pairs[0].fds[0], on_own_ready,
                                                 &loop.pairs[0], NULL, NULL));
  rewatch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop_expect (&loop, 1, 0);

  loop_close (&loop);
}

/* The number of callbacks in one iteration */

#define N_MANY 10

static gboolean
count_call (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  ++*(guint *) user_data;

  return G_SOURCE_CONTINUE;
}

static gboolean
count_idle (gpointer user_data)
{
  ++*(guint *) user_data;

  return G_SOURCE_CONTINUE;
}

static void
test_max_dispatch (BackendFixture *fixture)
{
  g_autoptr (GSource) idle = g_idle_source_new ();
  int pairs[N_MANY][2];
  guint n_calls[N_MANY] = { 0 };
  guint n_idle = 0;
  Loop loop;

  loop_open (&loop, fixture);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 1024);
  sel_base_selector_set_max_dispatch (loop.selector, 0);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 1);
  sel_base_selector_set_max_dispatch (loop.selector, 5000);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 1024);
  g_object_set (loop.selector, "max-dispatch", 2, NULL);

  for (guint i = 0; i < N_MANY; i++)
    {
      open_socketpair (pairs[i]);
      put_byte (pairs[i][1]);
      g_assert_true (sel_base_selector_register_callback (loop.selector, pairs[i][0], SEL_EVENT_READ, count_call,
                                                          &n_calls[i], NULL, NULL));
    }
  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, count_idle, &n_idle, NULL);
  g_source_attach (idle, loop.context);
  loop_attach (&loop, NULL);

  /* All descriptors are always ready. Each one gets its turn, and so does the other source. */
  for (guint turn = 1; turn <= 5 * N_MANY; turn++)
    {
      guint sum = 0;

      g_main_context_iteration (loop.context, FALSE);
      for (guint i = 0; i < N_MANY; i++)
        sum += n_calls[i];
      g_assert_cmpuint (sum, <=, 2 * turn);
      g_assert_cmpuint (n_idle, ==, turn);
    }
  for (guint i = 0; i < N_MANY; i++)
    g_assert_cmpuint (n_calls[i], >=, 5);

  g_source_destroy (idle);
  loop_close (&loop);
  for (guint i = 0; i < N_MANY; i++)
    close_pair (pairs[i]);
}

static void
test_switch_mode (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  for (guint i = 0; i < 6; i++)
    {
      sel_base_selector_set_force_mirrored (loop.selector, i % 2 == 0);
      g_assert_cmpint (sel_base_selector_get_force_mirrored (loop.selector), ==, i % 2 == 0);
      put_byte (loop.pairs[0].fds[1]);
      loop_expect (&loop, 1, 0);
      loop_expect (&loop, 0, 0);
    }

  /* After unregistering, the context polls the descriptor in neither mode. */
  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (loop.pairs[0].fds[0]);
  loop_expect (&loop, 0, 0);

  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();

  backend_add_both_modes ("callbacks/ready", test_ready);
  backend_add_both_modes ("callbacks/beside-func", test_beside_func);
  backend_add_both_modes ("callbacks/remove", test_remove);
  backend_add_both_modes ("callbacks/reregister-and-remove", test_reregister_and_remove);
  backend_add_both_modes ("callbacks/other-is-not-called", test_other_is_not_called);
  backend_add_both_modes ("callbacks/function-is-set", test_function_is_set);
  backend_add_both_modes ("callbacks/inner-loop", test_inner_loop);
  backend_add_both_modes ("callbacks/can-recurse", test_can_recurse);
  backend_add_both_modes ("callbacks/objects", test_objects);
  backend_add_both_modes ("callbacks/no-callback", test_no_callback);
  backend_add_both_modes ("callbacks/max-dispatch", test_max_dispatch);
  backend_add_both_modes ("callbacks/switch-mode", test_switch_mode);

  return g_test_run ();
}
