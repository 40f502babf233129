/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-found-private.h"
#include "core/sel-wait-private.h"

void
sel_found_init (SelFound *self)
{
  self->findings = g_array_new (FALSE, FALSE, sizeof (SelFinding));
}

void
sel_found_clear (SelFound *self)
{
  g_clear_pointer (&self->findings, g_array_unref);
}

void
sel_found_add (SelFound            *self,
               const SelReadyEvent *event,
               gboolean             tells_once)
{
  SelFinding finding = { .fd = event->fd, .generation = event->generation, .events = (guint8) event->events,
                         .ends = (guint8) event->ends, .tells_once = tells_once };

  g_array_append_val (self->findings, finding);
}

gboolean
sel_found_tells_once (SelFound *self)
{
  for (guint i = 0; i < self->findings->len; i++)
    {
      if (g_array_index (self->findings, SelFinding, i).tells_once)
        return TRUE;
    }

  return FALSE;
}

/* FALSE if a wait has taken the findings. */
static gboolean
sel_found_unlink (SelFound *self,
                  SelCore  *core)
{
  SelFound **found = &core->wait.found;

  while (*found != NULL && *found != self)
    found = &(*found)->next;
  if (*found == NULL)
    return FALSE;

  *found = self->next;
  if (core->wait.found == NULL)
    sel_state_unset (core, SEL_STATE_FOUND);

  return TRUE;
}

void
sel_found_hand_over (SelFound *self,
                     SelCore  *core)
{
  sel_state_lock (core);
  sel_found_unlink (self, core);
  self->thread = sel_thread_self ();
  self->generation = sel_registry_get_generation (core);
  self->next = core->wait.found;
  core->wait.found = self;
  sel_state_set (core, SEL_STATE_FOUND);
  sel_state_unlock (core);
}

gboolean
sel_found_take_back (SelFound *self,
                     SelCore  *core)
{
  gboolean success;

  sel_state_lock (core);
  success = sel_found_unlink (self, core);
  sel_state_unlock (core);

  return success;
}

/* Reports findings as long as there is room. If they are not fresh, only those that the kernel tells once count. */
static void
sel_found_report (SelFound *self,
                  SelCore  *core,
                  gboolean  is_fresh)
{
  const SelReadyList *list = &core->wait.list;
  guint i;

  for (i = 0; i < self->findings->len; i++)
    {
      const SelFinding *finding = &g_array_index (self->findings, SelFinding, i);

      if (list->n_events == list->size && !sel_ready_list_is_growable (core))
        break;
      if (is_fresh || finding->tells_once)
        sel_ready_list_report_tagged (core, finding->fd, finding->generation, finding->events, finding->ends);
    }

  g_array_remove_range (self->findings, 0, i);
}

gboolean
sel_found_take (SelCore *core)
{
  gpointer thread = sel_thread_self ();
  SelFound *self = core->wait.found;
  gboolean is_fresh;

  while (self != NULL && self->thread != thread)
    self = self->next;
  if (self == NULL)
    return FALSE;

  /* The wait that has just begun counts, too. */
  is_fresh = self->n_waits + 1 == sel_found_get_n_waits (core);
  sel_found_unlink (self, core);
  sel_found_report (self, core, is_fresh);

  /* A program that calls select() expects reports of descriptors that it has registered since. If all findings are out
   * of date, the kernel has to be asked. */
  return is_fresh && self->is_complete && self->generation == sel_registry_get_generation (core) &&
         ((core->wait.flags & (SEL_WAIT_DISPATCH | SEL_WAIT_ASYNC)) != 0 || core->wait.list.n_events > 0);
}
