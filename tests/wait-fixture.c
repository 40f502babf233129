/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "wait-fixture.h"

char *
wait_for_text (Room                  *room,
               const WaitParameters  *parameters,
               GError               **error)
{
  SelReadyEvent events[8];
  const SelReadyEvent *found = events;
  GString *text;
  gssize n;

  n = sel_wait_run (room->core, parameters->timeout, parameters->n_events > 0 ? events : NULL, NULL,
                    parameters->n_events, parameters->flags, parameters->cancellable, error);
  if (n < 0)
    {
      assert_unlocked (room->core);
      g_assert_false (sel_ready_list_is_open (room->core));
      return NULL;
    }

  if (parameters->n_events == 0)
    found = room->core->wait.list.events;

  text = g_string_new (NULL);
  for (gssize i = 0; i < n; i++)
    {
      const char *name = found[i].fd == room->a[0] ? "a" : found[i].fd == room->b[0] ? "b" : "c";

      g_string_append_printf (text, "%s%s:%u", i > 0 ? " " : "", name, found[i].events);
    }
  if (parameters->n_events == 0 || (parameters->flags & SEL_WAIT_DISPATCH) != 0)
    {
      assert_locked (room->core);
      sel_wait_end (room->core);
    }
  assert_unlocked (room->core);
  g_assert_false (sel_ready_list_is_open (room->core));
  g_assert_false (sel_state_has (room->core, SEL_STATE_IN_WAIT));

  return g_string_free (text, FALSE);
}

void
assert_timeout (Room    *room,
                guint    i,
                gdouble  expected)
{
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), <=, expected);
  g_assert_cmpfloat (fake_selector_get_timeout (room->fake, i), >=, expected);
}

void
let_time_pass (FakeSelector *fake,
               gpointer      user_data)
{
  gint64 end = g_get_monotonic_time () + 2000;

  while (g_get_monotonic_time () < end)
    ;
}

gboolean
wake_is_pending (Room *room)
{
  GPollFD poll_fd = { .fd = sel_notify_get_fd (room->core), .events = G_IO_IN };

  return g_poll (&poll_fd, 1, 0) > 0;
}
