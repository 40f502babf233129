/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Steps that wait, and the life of a selector. */

#include "epoll-sets.h"
#include "model-private.h"

#include <math.h>
#include <string.h>

char *model_current_wait;

/* Calls one of the three forms of select (). Returns the number of ready descriptors, or -1. */
static gssize
twin_select (Twin          *twin,
             Form           form,
             gdouble        timeout,
             gsize          room,
             GCancellable  *cancellable,
             Ready         *ready,
             GError       **error)
{
  g_autoptr (GPtrArray) list = NULL;
  SelReadyEvent events[N_FDS];
  g_autofree guint8 *masks = NULL;
  g_autofree int *fds = NULL;
  gsize n = 0, n_masks;

  switch (form)
    {
    case LIST:
      list = sel_base_selector_select (twin->selector, timeout, cancellable, error);
      if (list == NULL)
        return -1;
      n = MIN (list->len, N_FDS);
      for (guint i = 0; i < n; i++)
        ready[i] = (Ready) { sel_selector_key_get_fd (sel_selector_event_get_key (list->pdata[i])),
                             sel_selector_event_get_events (list->pdata[i]) };
      return list->len;

    case ARRAY:
      {
        gssize n_events = sel_base_selector_select_ready (twin->selector, timeout, events, room, cancellable, error);

        for (gssize i = 0; i < n_events; i++)
          ready[i] = (Ready) { events[i].fd, events[i].events };
        return n_events;
      }

    default:
      if (!sel_base_selector_select_fds (twin->selector, timeout, cancellable, &fds, &n, &masks, &n_masks, error))
        return -1;
      for (gsize i = 0; i < MIN (n, N_FDS); i++)
        ready[i] = (Ready) { fds[i], (SelEventMask) masks[i] };
      return n == n_masks ? (gssize) n : -2;
    }
}

/* If the selector has created a new kernel object during the wait, the reports may come from the old or the new one.
 * Keys that only the new one knows are reported by the next wait. @n_sets is the number of epoll sets before. */
static void
twin_expect_rebuilt (Model        *model,
                     Twin         *twin,
                     guint         n_sets,
                     SelEventMask  required[N_FDS],
                     SelEventMask  allowed[N_FDS])
{
  SelEventMask required_now[N_FDS], allowed_now[N_FDS];

  if (twin->backend->identity != BACKEND_BY_FILE || count_epoll_sets () == n_sets)
    return;

  if (!twin->may_linger)
    differ (model, twin, "the set was made anew without a reason");

  for (int i = 0; i < N_FDS; i++)
    if (twin->keys[i].stale)
      required[i] = 0;
  twin_rearm_all (twin, &model->world);
  twin_expect (twin, &model->world, required_now, allowed_now);
  for (int i = 0; i < N_FDS; i++)
    {
      required[i] &= required_now[i];
      allowed[i] |= allowed_now[i];
    }
}

/* Returns a descriptor that must end the wait, or -1. If an entry without a key may linger in the kernel, the wait may
 * create a new kernel object, which does not know the stale keys. */
static int
twin_find_end (const Twin         *twin,
               const SelEventMask  required[N_FDS])
{
  for (int i = 0; i < N_FDS; i++)
    if (required[i] != 0 && !(twin->keys[i].stale && twin->may_linger))
      return FIRST_FD + i;

  return -1;
}

/* Notes the expected end of an endless wait, for the message about a wait that does not end. */
static void
twin_note_wait (const Twin *twin,
                int         fd)
{
  if (model_current_wait == NULL)
    return;

  if (fd >= 0)
    g_snprintf (model_current_wait, MODEL_WAIT_SIZE, "%s: select () does not end, but descriptor %d is ready",
                twin->backend->name, fd);
  else
    g_snprintf (model_current_wait, MODEL_WAIT_SIZE, "%s: select () does not end, but wakeup () was called",
                twin->backend->name);
}

static gdouble
step_timeout (Step     step,
              gboolean ends)
{
  static const gdouble none[] = { 0, -0.0, -1, -1e300, -1e-300, -INFINITY };
  static const gdouble endless[] = { INFINITY, 1e300, 1e10, 3e6, 60 };
  static const gdouble short_ones[] = { 1e-9, 1e-6, 2e-5, 1e-300 };

  if (step.b == 255)
    return NAN;
  if (step.b >= 253)
    return short_ones[step.a % G_N_ELEMENTS (short_ones)];
  if (step.b >= 128 && ends)
    return endless[step.b % G_N_ELEMENTS (endless)];

  return none[step.b % G_N_ELEMENTS (none)];
}

void
do_select (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GCancellable) cancellable = NULL;
  SelEventMask required[N_FDS], allowed[N_FDS];
  g_autoptr (GError) error = NULL;
  Form form = step.c % 3;
  gsize room = form == ARRAY && step.c >= 64 ? (gsize) (1 + step.c / 3 % 4) : N_FDS;
  Ready ready[N_FDS];
  Outcome expected = 0;
  gint64 start = 0;
  gdouble timeout;
  gssize n_ready;
  guint n_sets;
  int end;

  twin_expect (twin, &model->world, required, allowed);
  end = twin_find_end (twin, required);
  timeout = step_timeout (step, end >= 0 || twin->wakeup == YES);

  if (twin->closed)
    expected = OWN (CLOSED);
  else if (isnan (timeout))
    expected = OWN (INVALID_TIMEOUT);

  if (step.a >= 240)
    cancellable = g_cancellable_new ();
  if (step.a >= 248)
    {
      g_cancellable_cancel (cancellable);
      if (expected == 0)
        expected = CANCELLED;
    }

  if (timeout > 0)
    start = g_get_monotonic_time ();
  twin_note_wait (twin, end);
  n_sets = count_epoll_sets ();
  n_ready = twin_select (twin, form, timeout, room, cancellable, ready, &error);
  if (model_current_wait != NULL)
    model_current_wait[0] = '\0';

  if (!compare_outcome (model, twin, outcome_of (n_ready >= 0, &error), expected) || expected != 0)
    return;

  twin_expect_rebuilt (model, twin, n_sets, required, allowed);
  compare_ready (model, twin, ready, n_ready, room, required, allowed);
  if (n_ready == 0 && timeout > 0 && twin->wakeup == NO &&
      (gdouble) (g_get_monotonic_time () - start + 1) < timeout * 1e6)
    differ (model, twin, "it did not wait to the end");

  twin->wakeup = NO;
  twin_notice_ends (twin, &model->world);
  twin_notice_closed (twin, &model->world, room == N_FDS);
}

static gboolean
twin_called (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  Ready ready = { sel_selector_key_get_fd (key), events };

  g_array_append_val (user_data, ready);

  return G_SOURCE_CONTINUE;
}

/* One iteration of a main loop. The mode decides which descriptors it polls, so any result is right for stale keys. */
void
do_dispatch (Model *model,
             Twin  *twin,
             Step   step)
{
  SelEventMask required[N_FDS], allowed[N_FDS];
  guint n_sets;

  if (twin->context == NULL)
    return;

  g_array_set_size (twin->called, 0);
  twin_expect (twin, &model->world, required, allowed);
  for (int i = 0; i < N_FDS; i++)
    {
      if (twin->keys[i].stale)
        required[i] = 0;

      /* The context polls the number, whatever file that stands for now. */
      if (model->force_mirrored && twin->keys[i].registered)
        allowed[i] |= world_readiness (&model->world, model->world.numbers[i]) & twin->keys[i].events;
    }

  n_sets = count_epoll_sets ();
  g_main_context_iteration (twin->context, FALSE);

  twin_expect_rebuilt (model, twin, n_sets, required, allowed);
  compare_ready (model, twin, (const Ready *) (void *) twin->called->data, twin->called->len, N_FDS,
                 required, allowed);

  if (twin->wakeup == YES)
    twin->wakeup = MAYBE;
  twin_notice_ends (twin, &model->world);
  for (int i = 0; i < N_FDS; i++)
    {
      Key *key = &twin->keys[i];

      if (!key->stale || !key->registered)
        continue;

      if (key->armed == YES)
        {
          key->armed = MAYBE;
          if (twin->backend->identity == BACKEND_BY_FILE && world_file (&model->world, key->armed_file)->n_refs > 0)
            twin->may_linger = TRUE;
        }
      if (world_file (&model->world, model->world.numbers[i]) == NULL)
        key->always_ready = FALSE;
    }
}

void
do_wakeup (Model *model,
           Twin  *twin,
           Step   step)
{
  sel_base_selector_wakeup (twin->selector);
  twin->wakeup = YES;
}

void
do_set_emulate (Model *model,
                Twin  *twin,
                Step   step)
{
  twin->emulate = step.a % 2 != 0;
  sel_base_selector_set_emulate_always_ready (twin->selector, twin->emulate);
}

void
do_reinit (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  gboolean success = sel_base_selector_reinit (twin->selector, &error);

  if (!compare_outcome (model, twin, outcome_of (success, &error), twin->closed ? OWN (CLOSED) : 0) || twin->closed)
    return;

  /* reinit () also clears the results of the stale checks of a main loop. */
  for (int i = 0; i < N_FDS; i++)
    twin->keys[i].armed = NO;
  twin_rearm_all (twin, &model->world);
}

void
twin_open (Model *model,
           Twin  *twin)
{
  g_autoptr (GError) error = NULL;

  twin->selector = twin->backend->new_selector (&error);
  g_assert_no_error (error);

  if (model->with_loop)
    {
      twin->context = g_main_context_new ();
      g_assert_true (g_main_context_acquire (twin->context));
      g_object_set (twin->selector, "force-mirrored", model->force_mirrored,
                    "hangup-policy", SEL_HANGUP_POLICY_REPORT, NULL);
      sel_base_selector_attach (twin->selector, twin->context, G_PRIORITY_DEFAULT, twin_called, twin->called, NULL);
    }

  memset (twin->keys, 0, sizeof twin->keys);
  twin->closed = twin->emulate = twin->may_linger = FALSE;
  twin->wakeup = NO;
}

void
twin_close (Model *model,
            Twin  *twin)
{
  if (twin->context != NULL)
    g_main_context_release (twin->context);
  g_clear_pointer (&twin->context, g_main_context_unref);

  if (G_OBJECT (twin->selector)->ref_count != 1)
    differ (model, twin, "%u references are left", G_OBJECT (twin->selector)->ref_count);
  g_clear_object (&twin->selector);

  for (guint i = 1; i < N_DATA; i++)
    if (twin->live[i] != 0)
      differ (model, twin, "%d data of kind %u are left", twin->live[i], i);
  memset (twin->live, 0, sizeof twin->live);
}

void
do_close (Model *model,
          Twin  *twin,
          Step   step)
{
  if (twin->closed && step.a % 2 != 0)
    {
      twin_close (model, twin);
      twin_open (model, twin);
      return;
    }

  sel_base_selector_close (twin->selector);
  twin->closed = TRUE;
  memset (twin->keys, 0, sizeof twin->keys);
}
