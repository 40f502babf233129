/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends.h"

/* Callbacks of single descriptors, and what a main loop does with those that are ready for ever. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct _Loop Loop;

/* A descriptor with a callback of its own. */
typedef struct
{
  Loop        *loop;
  int          fds[2];
  guint        n_calls;
  SelEventMask events;     /* of the last call */
  gboolean     ignores;    /* the callback does not read */
  gboolean     result;
  void       (*act) (Loop *loop,
                     guint self);
  int          n_notified; /* atomic */
  GThread     *notified_by;
} Pair;

struct _Loop
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;
  Pair             pairs[2];
  guint            n_calls;   /* of the function of the source */
};

static gboolean
on_own_ready (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  Pair *pair = user_data;
  Loop *loop = pair->loop;
  int fd = sel_selector_key_get_fd (key);

  g_assert_cmpint (fd, ==, pair->fds[0]);
  g_assert_cmpuint (events, !=, 0);
  g_assert_cmpuint (events & ~(guint) sel_selector_key_get_events (key), ==, 0);
  g_assert_null (sel_selector_key_get_data (key));
  pair->n_calls++;
  pair->events = events;
  if (!pair->ignores)
    drain (fd);

  if (pair->act != NULL)
    {
      int n_notified = g_atomic_int_get (&pair->n_notified);

      pair->act (loop, (guint) (pair - loop->pairs));

      /* Whatever was done, what belongs to the callback lives until it returns. */
      g_assert_cmpint (g_atomic_int_get (&pair->n_notified), ==, n_notified);
      g_assert_true (SEL_IS_BASE_SELECTOR (selector));
      g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
    }

  return pair->result;
}

static void
on_own_notify (gpointer user_data)
{
  Pair *pair = user_data;

  pair->notified_by = g_thread_self ();
  g_atomic_int_inc (&pair->n_notified);
}

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

static void
loop_open (Loop           *loop,
           BackendFixture *fixture)
{
  *loop = (Loop) { .fixture = fixture };

  fixture_renew_selector (fixture);
  loop->selector = fixture->selector;
  loop->context = g_main_context_new ();
  for (guint i = 0; i < 2; i++)
    {
      loop->pairs[i] = (Pair) { .loop = loop, .result = TRUE };
      open_socketpair (loop->pairs[i].fds);
    }
}

static void
loop_register (Loop         *loop,
               guint         i,
               SelEventMask  events)
{
  g_autoptr (GError) error = NULL;
  Pair *pair = &loop->pairs[i];
  gboolean ok;

  ok = sel_base_selector_register_callback (loop->selector, pair->fds[0], events, on_own_ready, pair,
                                            on_own_notify, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
}

static void
loop_attach (Loop            *loop,
             SelSelectorFunc  func)
{
  loop->source = sel_base_selector_create_dispatch_source (loop->selector, func, loop, NULL);
  g_source_attach (loop->source, loop->context);
}

static void
loop_detach (Loop *loop)
{
  if (loop->source != NULL)
    g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);
}

static void
loop_close (Loop *loop)
{
  loop_detach (loop);
  if (loop->fixture->selector != NULL && !sel_base_selector_is_closed (loop->fixture->selector))
    {
      g_autoptr (GPtrArray) keys =
        sel_selector_mapping_get_keys (sel_base_selector_get_map (loop->fixture->selector));

      for (guint i = 0; i < keys->len; i++)
        unwatch (loop->fixture->selector, sel_selector_key_get_fd (keys->pdata[i]));
    }
  for (guint i = 0; i < 2; i++)
    close_pair (loop->pairs[i].fds);
  g_main_context_unref (loop->context);
}

/* Turns until there is nothing to do any more. Returns how many did something. */
static guint
loop_settle (Loop *loop)
{
  guint n = 0;

  for (guint quiet = 0; quiet < 3;)
    {
      if (g_main_context_iteration (loop->context, FALSE))
        n++;
      else
        quiet++;
      g_assert_cmpuint (n, <, 100);
    }

  return n;
}

static void
loop_expect (Loop  *loop,
             guint  n_first,
             guint  n_second)
{
  guint first = loop->pairs[0].n_calls + n_first;
  guint second = loop->pairs[1].n_calls + n_second;

  while (loop->pairs[0].n_calls < first || loop->pairs[1].n_calls < second)
    g_main_context_iteration (loop->context, TRUE);

  loop_settle (loop);
  g_assert_cmpuint (loop->pairs[0].n_calls, ==, first);
  g_assert_cmpuint (loop->pairs[1].n_calls, ==, second);
}

/* Each its own */

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

/* Those that have none are the source's. */
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

  /* And the other way round, without asking the kernel. */
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

/* What a callback returns is about itself, not about its successor. */
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

/* When notify is called */

static void
test_notify (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  Loop loop;
  Pair *pair = &loop.pairs[0];
  int fd;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  fd = pair->fds[0];

  rewatch (loop.selector, fd, ALL_EVENTS);
  g_assert_true (sel_base_selector_modify (loop.selector, fd, SEL_EVENT_READ, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_refresh (loop.selector, fd, &error));
  g_assert_no_error (error);
  g_assert_cmpint (pair->n_notified, ==, 0);

  /* Not registered, it is given back at once. */
  g_assert_false (sel_base_selector_register_callback (loop.selector, fd, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  g_assert_cmpint (pair->n_notified, ==, 1);
  g_assert_false (sel_base_selector_register_callback (loop.selector, -1, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (pair->n_notified, ==, 2);
  g_assert_false (sel_base_selector_set_callback (loop.selector, pair->fds[1], on_own_ready, pair, on_own_notify,
                                                  &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_cmpint (pair->n_notified, ==, 3);

  unwatch (loop.selector, fd);
  g_assert_cmpint (pair->n_notified, ==, 4);

  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_register (&loop, 1, SEL_EVENT_READ);
  sel_base_selector_close (loop.selector);
  g_assert_cmpint (pair->n_notified, ==, 5);
  g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);

  g_assert_false (sel_base_selector_register_callback (loop.selector, fd, SEL_EVENT_READ, on_own_ready, pair,
                                                       on_own_notify, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  g_assert_cmpint (pair->n_notified, ==, 6);

  loop_close (&loop);
}

/* Two are ready, and the callback of either does something to the other, to itself, or to all. Which comes
 * first is the kernel's choice. */

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
close_selector (Loop *loop,
                guint self)
{
  sel_base_selector_close (loop->selector);
}

static void
drop_selector (Loop *loop,
               guint self)
{
  g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);
  g_clear_object (&loop->fixture->selector);
}

static void
destroy_source (Loop *loop,
                guint self)
{
  g_source_destroy (loop->source);
}

static void
test_other_is_not_called (BackendFixture *fixture)
{
  static const struct
  {
    const char *name;
    void      (*act) (Loop *loop,
                      guint self);
    int         n_notified;  /* of both together, before the end */
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
  };

  for (gsize i = 0; i < G_N_ELEMENTS (actions); i++)
    for (guint result = 0; result < 2; result++)
      {
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

        loop_close (&loop);
        if (actions[i].act == replace_other_file)
          g_assert_cmpint (loop.pairs[0].n_notified + loop.pairs[1].n_notified, ==, 3);
        else if (actions[i].act != destroy_source)
          {
            g_assert_cmpint (loop.pairs[0].n_notified, ==, 1);
            g_assert_cmpint (loop.pairs[1].n_notified, ==, 1);
          }
      }
}

/* Loops in callbacks: the others are called, what runs is not, and nothing spins. */

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

  /* The first to come is called again when it has returned, for what came meanwhile. The other one, which was
   * ready together with it, was called by the inner loop and is not called twice. */
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

/* Nobody is responsible. */
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

  /* Then somebody is. */
  g_assert_true (sel_base_selector_set_callback (loop.selector, loop.pairs[0].fds[0], on_own_ready,
                                                 &loop.pairs[0], NULL, NULL));
  rewatch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop_expect (&loop, 1, 0);

  loop_close (&loop);
}

/* How many are called in one turn */

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
run_turn (Loop *loop,
          guint self)
{
  g_main_context_iteration (loop->context, FALSE);
}

typedef struct
{
  Loop *loop;
  void (*act) (Loop *loop,
               guint self);
} Ending;

static Ending ending;

static void
on_ending_notify (gpointer user_data)
{
  Ending now = ending;

  ending.act = NULL;
  if (now.act != NULL)
    now.act (now.loop, 0);
}

/* What is done where a callback's data is freed holds for those that would be called next. */
static void
test_notify_acts (BackendFixture *fixture)
{
  static const struct
  {
    void (*act) (Loop *loop,
                 guint self);
    guint  n_calls; /* of both together */
  }
  cases[] = { { close_selector, 1 }, { destroy_source, 1 }, { run_turn, 2 } };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      loop_attach (&loop, NULL);
      for (guint j = 0; j < 2; j++)
        {
          loop.pairs[j].result = FALSE;
          put_byte (loop.pairs[j].fds[1]);
          g_assert_true (sel_base_selector_register_callback (loop.selector, loop.pairs[j].fds[0], SEL_EVENT_READ,
                                                              on_own_ready, &loop.pairs[j], on_ending_notify, NULL));
        }
      ending = (Ending) { &loop, cases[i].act };

      loop_settle (&loop);

      g_assert_cmpuint (loop.pairs[0].n_calls, <=, 1);
      g_assert_cmpuint (loop.pairs[1].n_calls, <=, 1);
      g_assert_cmpuint (loop.pairs[0].n_calls + loop.pairs[1].n_calls, ==, cases[i].n_calls);
      ending.act = NULL;
      loop_close (&loop);
    }
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
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 256);
  sel_base_selector_set_max_dispatch (loop.selector, 0);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 1);
  sel_base_selector_set_max_dispatch (loop.selector, 1000);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (loop.selector), ==, 256);
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

  /* All are always ready. Each gets its turn, and so does the other source. */
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

/* Hang-ups that nobody takes care of */

typedef enum
{
  PIPE_READ,        /* the writer is gone */
  PIPE_READ_WRITE,  /* the same, and writing is asked for, which is never possible */
  PIPE_WRITE,       /* the reader is gone */
  SOCKET,           /* the other end is closed */
  SOCKET_HALF       /* the other end does not send any more */
} HangUp;

#define N_HANG_UPS (SOCKET_HALF + 1)

static void
loop_hang_up (Loop   *loop,
              HangUp  hang_up)
{
  int *fds = loop->pairs[0].fds;

  if (hang_up <= PIPE_WRITE)
    {
      close_pair (fds);
      open_pipe (fds);
    }

  switch (hang_up)
    {
    case PIPE_READ:
    case PIPE_READ_WRITE:
      loop_register (loop, 0, hang_up == PIPE_READ ? SEL_EVENT_READ : SEL_EVENT_WRITE);
      close (fds[1]);
      break;

    case PIPE_WRITE:
      {
        int reader = fds[0];

        fds[0] = fds[1];
        fill (fds[0]);
        loop_register (loop, 0, SEL_EVENT_WRITE);
        close (reader);
      }
      break;

    case SOCKET:
      loop_register (loop, 0, SEL_EVENT_READ);
      close (fds[1]);
      break;

    case SOCKET_HALF:
      loop_register (loop, 0, SEL_EVENT_READ);
      g_assert_no_errno (shutdown (fds[1], SHUT_WR));
      return;
    }

  fds[1] = -1;
}

static void
test_hang_up_throttled (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      gint64 start;
      Loop loop;
      guint n;

      g_test_message ("hang-up %d", (int) hang_up);
      loop_open (&loop, fixture);
      g_assert_cmpint (sel_base_selector_get_hangup_policy (loop.selector), ==, SEL_HANGUP_POLICY_THROTTLE);

      /* With and without reading to the end. */
      loop.pairs[0].ignores = hang_up % 2 == 0;
      loop_hang_up (&loop, hang_up);
      loop_register (&loop, 1, SEL_EVENT_READ);
      loop_attach (&loop, NULL);

      /* A handful of calls, and there is peace, unless a slow machine has had the time for more, ... */
      start = g_get_monotonic_time ();
      loop_settle (&loop);
      n = loop.pairs[0].n_calls;
      g_assert_cmpuint (n, >, 0);
      g_assert_cmpuint (n, <=, 8 + (g_get_monotonic_time () - start) / (100 * 1000));

      /* ... others go on, ... */
      put_byte (loop.pairs[1].fds[1]);
      while (loop.pairs[1].n_calls == 0)
        g_main_context_iteration (loop.context, TRUE);

      /* ... but it is not forgotten: one call for each rest. */
      n = loop.pairs[0].n_calls;
      start = g_get_monotonic_time ();
      while (loop.pairs[0].n_calls < n + 3)
        g_main_context_iteration (loop.context, TRUE);
      g_assert_cmpint (g_get_monotonic_time () - start, >=, 150 * 1000);

      loop_close (&loop);
    }
}

static void
turn_once (Loop  *loop,
           guint  self)
{
  g_main_context_iteration (loop->context, FALSE);
}

/* A callback that runs a loop of its own has to wait for itself, which is not as if somebody took care of it. */
static void
test_hang_up_in_loops (BackendFixture *fixture)
{
  for (SelHangupPolicy policy = SEL_HANGUP_POLICY_THROTTLE; policy <= SEL_HANGUP_POLICY_ONCE; policy += 2)
    {
      gint64 start = g_get_monotonic_time ();
      guint limit = policy == SEL_HANGUP_POLICY_ONCE ? 1 : 8;
      Loop loop;

      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, policy);
      for (guint i = 0; i < 2; i++)
        {
          loop.pairs[i].act = turn_once;
          loop_register (&loop, i, SEL_EVENT_READ);
          close (loop.pairs[i].fds[1]);
          loop.pairs[i].fds[1] = -1;
        }
      loop_attach (&loop, NULL);
      loop_settle (&loop);

      for (guint i = 0; i < 2; i++)
        {
          g_assert_cmpuint (loop.pairs[i].n_calls, >, 0);
          g_assert_cmpuint (loop.pairs[i].n_calls, <=, limit + (g_get_monotonic_time () - start) / (100 * 1000));
        }

      loop_close (&loop);
    }
}

/* What was of use for long. */
static void
loop_serve (Loop  *loop,
            guint  n_calls)
{
  for (guint i = 1; i <= n_calls; i++)
    {
      put_byte (loop->pairs[0].fds[1]);
      while (loop->pairs[0].n_calls < i)
        g_main_context_iteration (loop->context, TRUE);
    }
}

static void
test_hang_up_late (BackendFixture *fixture)
{
  gint64 start;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_serve (&loop, 600);

  start = g_get_monotonic_time ();
  close (loop.pairs[0].fds[1]);
  loop.pairs[0].fds[1] = -1;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, >, 600);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, 608 + (g_get_monotonic_time () - start) / (100 * 1000));

  loop_close (&loop);
}

/* No hang-up, but also a descriptor that is of no use any more; nothing tells of it but a look. */
static void
test_closed_late (BackendFixture *fixture)
{
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_serve (&loop, 600);

  duplicate = dup (loop.pairs[0].fds[0]);
  loop.pairs[0].ignores = TRUE;
  put_byte (loop.pairs[0].fds[1]);
  close (loop.pairs[0].fds[0]);
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, 600 + 128);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

static void
test_hang_up_once (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      g_autoptr (GError) error = NULL;
      Loop loop;
      int fd;

      g_test_message ("hang-up %d", (int) hang_up);
      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_ONCE);
      loop.pairs[0].ignores = TRUE;
      loop_hang_up (&loop, hang_up);
      fd = loop.pairs[0].fds[0];
      loop_attach (&loop, NULL);
      loop_expect (&loop, 1, 0);

      g_assert_true (sel_base_selector_refresh (loop.selector, fd, &error));
      g_assert_no_error (error);
      loop_expect (&loop, 1, 0);
      rewatch (loop.selector, fd, loop.pairs[0].events);
      loop_expect (&loop, 1, 0);

      loop_close (&loop);
    }
}

/* A duplicate of a closed descriptor makes epoll build its set anew: what is muted remains so. */
static void
test_muted_during_rebuild (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  guint rebuild_count;
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_ONCE);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET);
  loop_register (&loop, 1, SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_expect (&loop, 1, 0);

  duplicate = dup (loop.pairs[1].fds[0]);
  close (loop.pairs[1].fds[0]);
  unwatch (loop.selector, loop.pairs[1].fds[0]);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 0);
  assert_ready (loop.selector, 0, -1);
  g_object_get (loop.selector, "rebuild-count", &rebuild_count, NULL);
  g_assert_cmpuint (rebuild_count, ==, 1);

  /* Not after asking for everything anew. */
  g_assert_true (sel_base_selector_reinit (loop.selector, &error));
  g_assert_no_error (error);
  loop_expect (&loop, 1, 0);

  close (duplicate);
  loop.pairs[1].fds[0] = -1;
  loop_close (&loop);
}

/* Whoever modifies a descriptor while it rests has ended the rest. */
static void
test_modify_during_rest (BackendFixture *fixture)
{
  Loop loop;
  guint n;

  loop_open (&loop, fixture);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET_HALF);
  fill (loop.pairs[0].fds[0]);
  loop_attach (&loop, NULL);
  loop_settle (&loop);

  rewatch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_WRITE);
  n = loop.pairs[0].n_calls;
  for (gint64 end = g_get_monotonic_time () + 150 * 1000; g_get_monotonic_time () < end;)
    g_main_context_iteration (loop.context, FALSE);
  g_assert_cmpuint (loop.pairs[0].n_calls, ==, n);

  drain (loop.pairs[0].fds[1]);
  while (loop.pairs[0].n_calls == n)
    g_main_context_iteration (loop.context, TRUE);
  g_assert_cmpuint (loop.pairs[0].events, ==, SEL_EVENT_WRITE);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (loop.pairs[0].fds[0]);
  loop_settle (&loop);
  assert_ready (loop.selector, 0, -1);

  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

static void
test_hang_up_reported (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  sel_base_selector_set_hangup_policy (loop.selector, SEL_HANGUP_POLICY_REPORT);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, PIPE_READ);
  loop_attach (&loop, NULL);

  while (loop.pairs[0].n_calls < 200)
    g_assert_true (g_main_context_iteration (loop.context, TRUE));

  loop_close (&loop);
}

/* Whoever does not read yet, but could, is told so in each turn. */
static void
test_hang_up_with_data (BackendFixture *fixture)
{
  static const SelHangupPolicy policies[] = { SEL_HANGUP_POLICY_THROTTLE, SEL_HANGUP_POLICY_ONCE };

  for (gsize i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      sel_base_selector_set_hangup_policy (loop.selector, policies[i]);
      loop.pairs[0].ignores = TRUE;
      put_byte (loop.pairs[0].fds[1]);
      loop_hang_up (&loop, SOCKET);
      loop_attach (&loop, NULL);

      for (guint turn = 0; turn < 40; turn++)
        g_assert_true (g_main_context_iteration (loop.context, TRUE));
      g_assert_cmpuint (loop.pairs[0].n_calls, >=, 30);

      loop_close (&loop);
    }
}

/* select() is for who wants to know everything. */
static void
test_select_during_rest (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET);
  loop_attach (&loop, NULL);
  loop_settle (&loop);

  for (guint i = 0; i < 20; i++)
    assert_ready (loop.selector, 0, loop.pairs[0].fds[0], SEL_EVENT_READ, -1);

  loop_close (&loop);
}

static void
on_async_done (GObject      *source,
               GAsyncResult *result,
               gpointer      user_data)
{
  g_autoptr (GPtrArray) ready = sel_base_selector_select_finish (SEL_BASE_SELECTOR (source), result, NULL);

  *(guint *) user_data = ready->len;
}

static void
test_select_async_during_rest (BackendFixture *fixture)
{
  guint n_ready = 0;
  Loop loop;

  loop_open (&loop, fixture);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, SOCKET);
  loop_attach (&loop, NULL);
  loop_settle (&loop);
  loop_detach (&loop);

  /* No source is there that could end the rest in time. */
  g_main_context_push_thread_default (loop.context);
  sel_base_selector_select_async (loop.selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, NULL, on_async_done, &n_ready);
  while (n_ready == 0)
    g_main_context_iteration (loop.context, TRUE);
  g_main_context_pop_thread_default (loop.context);
  g_assert_cmpuint (n_ready, ==, 1);

  loop_close (&loop);
}

/* A source that comes later does not wait for the one that is gone. */
static void
test_rest_outlives_source (BackendFixture *fixture)
{
  Loop loop;
  guint n;

  loop_open (&loop, fixture);
  loop.pairs[0].ignores = TRUE;
  loop_hang_up (&loop, PIPE_READ);
  loop_attach (&loop, NULL);
  loop_settle (&loop);
  loop_detach (&loop);

  loop_attach (&loop, NULL);
  n = loop.pairs[0].n_calls;
  while (loop.pairs[0].n_calls < n + 2)
    g_main_context_iteration (loop.context, TRUE);

  loop_close (&loop);
}

/* A reader of a FIFO outlives its writers. */
static void
test_next_writer (BackendFixture *fixture)
{
  g_autofree char *directory = g_dir_make_tmp (NULL, NULL);
  g_autofree char *name = g_build_filename (directory, "fifo", NULL);
  Loop loop;
  int writer;

  loop_open (&loop, fixture);
  g_assert_no_errno (mkfifo (name, 0600));
  close_pair (loop.pairs[0].fds);
  loop.pairs[0].fds[0] = open (name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  loop.pairs[0].fds[1] = -1;
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);

  for (guint i = 0; i < 2; i++)
    {
      guint n = loop.pairs[0].n_calls;

      writer = open (name, O_WRONLY | O_CLOEXEC);
      g_assert_no_errno (writer);
      put_byte (writer);
      while (loop.pairs[0].n_calls == n)
        g_main_context_iteration (loop.context, TRUE);
      close (writer);
      loop_settle (&loop);
    }

  loop_close (&loop);
  g_unlink (name);
  g_rmdir (directory);
}

static gboolean
replace_closed (gpointer user_data)
{
  Loop *loop = user_data;
  int fd = loop->pairs[0].fds[0];

  unwatch (loop->selector, fd);
  g_assert_cmpint (dup2 (loop->pairs[1].fds[0], fd), ==, fd);
  loop_register (loop, 0, SEL_EVENT_READ);

  return G_SOURCE_REMOVE;
}

/* The context sees a closed descriptor; before that is told to the selector, the number stands for another file. */
static void
test_closed_and_replaced (BackendFixture *fixture)
{
  GSource *source;
  Loop loop;

  loop_open (&loop, fixture);
  source = g_timeout_source_new_seconds (3600);
  g_source_set_callback (source, replace_closed, &loop, NULL);
  g_source_attach (source, loop.context);
  watch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop_attach (&loop, NULL);
  loop_settle (&loop);

  g_assert_no_errno (close (loop.pairs[0].fds[0]));
  g_source_set_ready_time (source, 0);
  loop_settle (&loop);
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 1, 0);

  g_source_unref (source);
  loop_close (&loop);
}

/* Something is ready, and its callback is called for it, but reads nothing. */
static void
loop_ignore (Loop *loop)
{
  loop->pairs[0].ignores = TRUE;
  loop_register (loop, 0, SEL_EVENT_READ);
  loop_attach (loop, NULL);
  put_byte (loop->pairs[0].fds[1]);
  while (loop->pairs[0].n_calls < 3)
    g_main_context_iteration (loop->context, TRUE);
}

/* Closed, though registered, while a duplicate keeps the file open: nobody should be called for ever. */
static void
test_closed_with_duplicate (BackendFixture *fixture)
{
  Loop loop;
  int duplicate;
  guint n;

  loop_open (&loop, fixture);
  loop_register (&loop, 1, SEL_EVENT_READ);
  loop_ignore (&loop);

  duplicate = dup (loop.pairs[0].fds[0]);
  close (loop.pairs[0].fds[0]);
  n = loop.pairs[0].n_calls;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, n + 9);

  n = loop.pairs[0].n_calls;
  put_byte (loop.pairs[1].fds[1]);
  loop_expect (&loop, 0, 1);
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 0, 0);
  g_assert_cmpuint (loop.pairs[0].n_calls, ==, n);

  /* The key is still there. */
  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop.pairs[0].fds[0] = -1;
  loop_close (&loop);
}

/* The same, and the number stands for another file, which is not ready. */
static void
test_reused_with_duplicate (BackendFixture *fixture)
{
  Loop loop;
  int duplicate;
  guint n;

  loop_open (&loop, fixture);
  loop_ignore (&loop);

  duplicate = dup (loop.pairs[0].fds[0]);
  g_assert_cmpint (dup2 (loop.pairs[1].fds[0], loop.pairs[0].fds[0]), ==, loop.pairs[0].fds[0]);
  n = loop.pairs[0].n_calls;
  loop_settle (&loop);
  g_assert_cmpuint (loop.pairs[0].n_calls, <=, n + 64);
  loop_expect (&loop, 0, 0);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop_close (&loop);
}

/* The same rules for a source whose callback asks the selector itself. */

static gboolean
count_plain (gpointer user_data)
{
  Loop *loop = user_data;
  g_autoptr (GPtrArray) ready = NULL;

  loop->n_calls++;
  ready = sel_base_selector_select (loop->selector, 0, NULL, NULL);
  g_assert_nonnull (ready);

  return G_SOURCE_CONTINUE;
}

static void
test_plain_source (BackendFixture *fixture)
{
  for (HangUp hang_up = 0; hang_up < N_HANG_UPS; hang_up++)
    {
      Loop loop;

      loop_open (&loop, fixture);
      loop_hang_up (&loop, hang_up);
      loop.source = sel_base_selector_create_source (loop.selector);
      g_source_set_callback (loop.source, count_plain, &loop, NULL);
      g_source_attach (loop.source, loop.context);

      loop_settle (&loop);
      g_assert_cmpuint (loop.n_calls, >, 0);

      loop_close (&loop);
    }
}

static void
test_plain_source_reused (BackendFixture *fixture)
{
  int duplicate;
  Loop loop;

  loop_open (&loop, fixture);
  watch (loop.selector, loop.pairs[0].fds[0], SEL_EVENT_READ);
  loop.source = sel_base_selector_create_source (loop.selector);
  g_source_set_callback (loop.source, count_plain, &loop, NULL);
  g_source_attach (loop.source, loop.context);
  put_byte (loop.pairs[0].fds[1]);
  while (loop.n_calls < 3)
    g_main_context_iteration (loop.context, TRUE);

  duplicate = dup (loop.pairs[0].fds[0]);
  g_assert_cmpint (dup2 (loop.pairs[1].fds[0], loop.pairs[0].fds[0]), ==, loop.pairs[0].fds[0]);
  loop_settle (&loop);
  g_assert_cmpuint (loop.n_calls, <=, 3 + 64);

  unwatch (loop.selector, loop.pairs[0].fds[0]);
  close (duplicate);
  loop_close (&loop);
}

/* Threads */

static gpointer
unregister_in_thread (gpointer user_data)
{
  Pair *pair = user_data;

  unwatch (pair->loop->selector, pair->fds[0]);

  return NULL;
}

static void
unregister_self_in_thread (Loop *loop,
                           guint self)
{
  g_thread_join (g_thread_new ("other", unregister_in_thread, &loop->pairs[self]));
  g_assert_cmpint (g_atomic_int_get (&loop->pairs[self].n_notified), ==, 0);
}

static void
unregister_other_in_thread (Loop *loop,
                            guint self)
{
  g_thread_join (g_thread_new ("other", unregister_in_thread, &loop->pairs[!self]));
}

/* Where another thread runs the loop, notify is called there. */
static void
test_notify_thread (BackendFixture *fixture)
{
  static void (*const actions[]) (Loop *, guint) = { unregister_self_in_thread, unregister_other_in_thread };

  for (gsize i = 0; i < G_N_ELEMENTS (actions); i++)
    {
      Pair *unregistered;
      Loop loop;

      loop_open (&loop, fixture);
      unregistered = &loop.pairs[i];
      loop_register (&loop, 0, SEL_EVENT_READ);
      loop_register (&loop, 1, SEL_EVENT_READ);
      loop_attach (&loop, NULL);
      loop.pairs[0].act = actions[i];
      put_byte (loop.pairs[0].fds[1]);

      loop_expect (&loop, 1, 0);
      g_assert_cmpint (g_atomic_int_get (&unregistered->n_notified), ==, 1);
      g_assert_true (unregistered->notified_by == g_thread_self ());

      loop_close (&loop);
    }
}

/* Where none does, by whoever unregisters. */
static void
test_notify_without_loop (BackendFixture *fixture)
{
  GThread *thread;
  Loop loop;

  loop_open (&loop, fixture);
  loop_register (&loop, 0, SEL_EVENT_READ);
  loop_attach (&loop, NULL);

  thread = g_thread_new ("other", unregister_in_thread, &loop.pairs[0]);
  g_thread_join (thread);
  g_assert_cmpint (g_atomic_int_get (&loop.pairs[0].n_notified), ==, 1);
  g_assert_true (loop.pairs[0].notified_by == thread);

  loop_close (&loop);
}

#define N_MUTATORS 4
#define N_ROUNDS 300

typedef struct
{
  SelBaseSelector *selector;
  int              n_done;      /* atomic */
  int              n_notified;  /* atomic */
  int              n_calls;     /* atomic */
} Churn;

static gboolean
on_churn_ready (SelBaseSelector *selector,
                SelSelectorKey  *key,
                SelEventMask     events,
                gpointer         user_data)
{
  Churn *churn = user_data;

  drain (sel_selector_key_get_fd (key));
  g_atomic_int_inc (&churn->n_calls);

  return G_SOURCE_CONTINUE;
}

static void
on_churn_notify (gpointer user_data)
{
  Churn *churn = user_data;

  g_atomic_int_inc (&churn->n_notified);
}

typedef struct
{
  Churn   *churn;
  GThread *thread;
  int      pair[2];
} Mutator;

static gpointer
mutator_run (gpointer user_data)
{
  Mutator *mutator = user_data;
  Churn *churn = mutator->churn;
  int *pair = mutator->pair;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr (GError) error = NULL;

      sel_base_selector_register_callback (churn->selector, pair[0], SEL_EVENT_READ, on_churn_ready, churn,
                                           on_churn_notify, &error);
      g_assert_no_error (error);
      put_byte (pair[1]);
      rewatch (churn->selector, pair[0], ALL_EVENTS);
      sel_base_selector_set_callback (churn->selector, pair[0], on_churn_ready, churn, on_churn_notify, &error);
      g_assert_no_error (error);
      rewatch (churn->selector, pair[0], SEL_EVENT_READ);
      if (i % 7 == 0)
        sel_base_selector_wakeup (churn->selector);
      unwatch (churn->selector, pair[0]);
      drain (pair[0]);
    }
  g_atomic_int_inc (&churn->n_done);

  return NULL;
}

/* Four threads register, modify and unregister while this one runs the loop. A callback may be about to be
 * called when its descriptor is unregistered, so these stay open until the end. */
static void
test_mutators (BackendFixture *fixture)
{
  Mutator mutators[N_MUTATORS];
  Churn churn = { 0 };
  Loop loop;

  loop_open (&loop, fixture);
  loop_attach (&loop, NULL);
  churn.selector = loop.selector;
  for (guint i = 0; i < N_MUTATORS; i++)
    {
      mutators[i].churn = &churn;
      open_socketpair (mutators[i].pair);
      mutators[i].thread = g_thread_new ("mutator", mutator_run, &mutators[i]);
    }

  while (g_atomic_int_get (&churn.n_done) < N_MUTATORS)
    if (!g_main_context_iteration (loop.context, FALSE))
      g_thread_yield ();

  for (guint i = 0; i < N_MUTATORS; i++)
    g_thread_join (mutators[i].thread);
  loop_settle (&loop);
  for (guint i = 0; i < N_MUTATORS; i++)
    close_pair (mutators[i].pair);
  g_assert_cmpint (churn.n_notified, ==, 2 * N_MUTATORS * N_ROUNDS);

  /* And it works as before. */
  loop_register (&loop, 0, SEL_EVENT_READ);
  put_byte (loop.pairs[0].fds[1]);
  loop_expect (&loop, 1, 0);

  loop_close (&loop);
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

  /* The context has forgotten what it polled before. */
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

  /* GLib makes it when a thread gets a context of its own, and its descriptor would be counted. */
  g_main_context_default ();
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));

  backend_add_both_modes ("callbacks/ready", test_ready);
  backend_add_both_modes ("callbacks/beside-func", test_beside_func);
  backend_add_both_modes ("callbacks/remove", test_remove);
  backend_add_both_modes ("callbacks/reregister-and-remove", test_reregister_and_remove);
  backend_add_both_modes ("callbacks/notify", test_notify);
  backend_add_both_modes ("callbacks/other-is-not-called", test_other_is_not_called);
  backend_add_both_modes ("callbacks/inner-loop", test_inner_loop);
  backend_add_both_modes ("callbacks/can-recurse", test_can_recurse);
  backend_add_both_modes ("callbacks/objects", test_objects);
  backend_add_both_modes ("callbacks/no-callback", test_no_callback);
  backend_add_both_modes ("callbacks/max-dispatch", test_max_dispatch);
  backend_add_both_modes ("callbacks/notify-acts", test_notify_acts);
  backend_add_both_modes ("callbacks/hang-up-throttled", test_hang_up_throttled);
  backend_add_both_modes ("callbacks/hang-up-in-loops", test_hang_up_in_loops);
  backend_add_both_modes ("callbacks/hang-up-late", test_hang_up_late);
  backend_add_both_modes ("callbacks/closed-late", test_closed_late);
  backend_add_both_modes ("callbacks/hang-up-once", test_hang_up_once);
  backend_add_both_modes ("callbacks/modify-during-rest", test_modify_during_rest);
  backend_add_for ("epoll", "callbacks/muted-during-rebuild", test_muted_during_rebuild);
  backend_add_both_modes ("callbacks/hang-up-reported", test_hang_up_reported);
  backend_add_both_modes ("callbacks/hang-up-with-data", test_hang_up_with_data);
  backend_add_both_modes ("callbacks/select-during-rest", test_select_during_rest);
  backend_add_both_modes ("callbacks/select-async-during-rest", test_select_async_during_rest);
  backend_add_both_modes ("callbacks/rest-outlives-source", test_rest_outlives_source);
  backend_add_both_modes ("callbacks/next-writer", test_next_writer);
  backend_add_both_modes ("callbacks/closed-and-replaced", test_closed_and_replaced);
  backend_add_both_modes ("callbacks/closed-with-duplicate", test_closed_with_duplicate);
  backend_add_both_modes ("callbacks/reused-with-duplicate", test_reused_with_duplicate);
  backend_add_both_modes ("callbacks/plain-source-reused", test_plain_source_reused);
  backend_add_both_modes ("callbacks/plain-source", test_plain_source);
  backend_add_both_modes ("callbacks/notify-thread", test_notify_thread);
  backend_add_both_modes ("callbacks/notify-without-loop", test_notify_without_loop);
  backend_add_both_modes ("callbacks/mutators", test_mutators);
  backend_add_both_modes ("callbacks/switch-mode", test_switch_mode);

  return g_test_run ();
}
