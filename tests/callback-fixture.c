/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "callback-fixture.h"

gboolean
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

      /* The arguments of the callback are valid until it returns, also after act. */
      g_assert_cmpint (g_atomic_int_get (&pair->n_notified), ==, n_notified);
      g_assert_true (SEL_IS_BASE_SELECTOR (selector));
      g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
    }

  return pair->result;
}

void
on_own_notify (gpointer user_data)
{
  Pair *pair = user_data;

  pair->notified_by = g_thread_self ();
  g_atomic_int_inc (&pair->n_notified);
}

void
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

void
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

void
loop_attach (Loop            *loop,
             SelSelectorFunc  func)
{
  loop->source = sel_base_selector_create_dispatch_source (loop->selector, func, loop, NULL);
  g_source_attach (loop->source, loop->context);
}

void
loop_detach (Loop *loop)
{
  if (loop->source != NULL)
    g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);
}

void
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

guint
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

void
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

void
close_selector (Loop *loop,
                guint self)
{
  sel_base_selector_close (loop->selector);
}

void
destroy_source (Loop *loop,
                guint self)
{
  g_source_destroy (loop->source);
}
