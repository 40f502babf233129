/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What has the poll () of a context found, and is it still true? See sel-found-private.h. */

#include "config.h"

#include "core/sel-found-private.h"
#include "core/sel-wait-private.h"

void
sel_found_init (SelFound *self)
{
  self->findings = g_array_new (FALSE, FALSE, sizeof (SelFinding));
  self->room = G_MAXSIZE;
}

void
sel_found_clear (SelFound *self)
{
  g_clear_pointer (&self->findings, g_array_unref);
}

SelFound *
sel_found_new (void)
{
  SelFound *self = g_new0 (SelFound, 1);

  sel_found_init (self);

  return self;
}

void
sel_found_free (SelFound *self)
{
  if (self == NULL)
    return;

  sel_found_clear (self);
  g_free (self);
}

void
sel_found_put_back (SelFound *self,
                    SelFound *other)
{
  g_array_prepend_vals (self->findings, other->findings->data, other->findings->len);
  sel_found_drop_all (other);
}

void
sel_found_add (SelFound            *self,
               const SelReadyEvent *event,
               guint64              order)
{
  SelFinding finding = { .fd = event->fd, .generation = event->generation, .events = (guint8) event->events,
                         .ends = (guint8) event->ends, .order = order };

  g_array_append_val (self->findings, finding);
}

gboolean
sel_found_tells_once (SelFound *self)
{
  for (guint i = 0; i < self->findings->len; i++)
    {
      if (g_array_index (self->findings, SelFinding, i).order != 0)
        return TRUE;
    }

  return FALSE;
}

/* TRUE if the kernel tells the finding only once, and the descriptor is still registered. */
static gboolean
sel_found_is_kept (SelCore          *core,
                   const SelFinding *finding)
{
  return finding->order != 0 && finding->order == sel_registry_get_fd_order (core, finding->fd);
}

/* TRUE if a kept finding cannot be reported before the descriptor is resumed. */
static gboolean
sel_found_is_paused (SelCore          *core,
                     const SelFinding *finding)
{
  SelKeySlot *slot;

  if (!sel_found_is_kept (core, finding))
    return FALSE;

  slot = sel_registry_lookup (core, finding->fd);

  return (slot->active & finding->events) == 0 && (slot->registered & finding->events) != 0;
}

static gboolean
sel_found_has_own_kept (SelFound *self,
                        SelCore  *core)
{
  gboolean has_kept = FALSE;
  guint n = 0;

  for (guint i = 0; i < self->findings->len; i++)
    {
      SelFinding finding = g_array_index (self->findings, SelFinding, i);

      if (finding.order != 0 && !sel_found_is_kept (core, &finding))
        continue;

      has_kept |= finding.order != 0 && !sel_found_is_paused (core, &finding);
      g_array_index (self->findings, SelFinding, n++) = finding;
    }
  g_array_set_size (self->findings, n);

  return has_kept;
}

gboolean
sel_found_has_kept (SelFound *self,
                    SelCore  *core)
{
  gboolean has_kept = sel_found_has_own_kept (self, core);

  return (core->wait.left != NULL && sel_found_has_own_kept (core->wait.left, core)) || has_kept;
}

/* TRUE if the program itself waits, and not a source. */
static gboolean
sel_found_is_for_program (SelCore *core)
{
  return (core->wait.flags & (SEL_WAIT_DISPATCH | SEL_WAIT_ASYNC)) == 0;
}

/* What the calling thread has handed over last, or NULL. */
static SelFound *
sel_found_find (SelCore  *core,
                gboolean  also_taken)
{
  gpointer thread = sel_thread_self ();
  SelFound *found = core->wait.found;

  while (found != NULL && (found->thread != thread || (found->is_taken && !also_taken)))
    found = found->next;

  return found;
}

/* The findings of the last source whose callback runs in this thread, and asks the selector itself; or NULL. */
static SelFound *
sel_found_find_asked (SelCore *core)
{
  gpointer thread = sel_thread_self ();
  SelFound *found = core->wait.found;

  while (found != NULL && (found->thread != thread || found->func == NULL))
    found = found->next;

  return found;
}

gboolean
sel_found_is_asked (SelCore *core)
{
  return sel_found_find_asked (core) != NULL;
}

void
sel_found_note_asked (SelCore *core)
{
  gpointer thread = sel_thread_self ();

  sel_state_lock (core);
  for (SelFound *found = core->wait.found; found != NULL; found = found->next)
    found->is_asked |= found->thread == thread;
  sel_state_unlock (core);
}

void
sel_found_tell (SelCore *core)
{
  SelFound *found = sel_found_find_asked (core);

  if (found == NULL || !sel_found_is_for_program (core))
    return;

  found->room = sel_ready_list_is_growable (core) ? G_MAXSIZE : core->wait.list.size;
  found->func (core, core->wait.list.events, core->wait.list.n_events);
}

gboolean
sel_found_is_handed_over (SelCore *core)
{
  return sel_found_find (core, TRUE) != NULL;
}

static void
sel_found_update_state (SelCore *core)
{
  if (core->wait.found == NULL && core->wait.left == NULL)
    sel_state_unset (core, SEL_STATE_FOUND);
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
  sel_found_update_state (core);

  return !self->is_taken && !self->is_asked;
}

void
sel_found_hand_over (SelFound     *self,
                     SelCore      *core,
                     SelFoundFunc  func)
{
  sel_state_lock (core);
  sel_found_unlink (self, core);
  self->thread = sel_thread_self ();
  self->func = func;
  self->is_taken = self->is_asked = FALSE;
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

/* Only news that the kernel tells once are true in any case, for the registration as it is now. */
static void
sel_found_report_one (SelCore          *core,
                      const SelFinding *finding,
                      gboolean          is_fresh)
{
  guint32 generation = finding->generation;

  if (sel_found_is_kept (core, finding))
    generation = sel_registry_get_fd_generation (core, finding->fd);
  else if (finding->order != 0 || !is_fresh)
    return;

  sel_ready_list_report_tagged (core, finding->fd, generation, finding->events, finding->ends);
}

/* Which findings does a call of the next function report? */
typedef enum
{
  FOUND_READY,
  FOUND_ENDED,
  FOUND_ANY
} SelFoundKind;

/* Reports findings until there are @size events. */
static void
sel_found_report_up_to (SelFound     *self,
                        SelCore      *core,
                        gboolean      is_fresh,
                        gsize         size,
                        SelFoundKind  kind)
{
  guint n_left = 0;
  guint i;

  for (i = 0; i < self->findings->len && core->wait.list.n_events < size; i++)
    {
      SelFinding finding = g_array_index (self->findings, SelFinding, i);
      gboolean has_ended = (finding.ends & SEL_READ_END) != 0;

      if (kind == (has_ended ? FOUND_READY : FOUND_ENDED) || sel_found_is_paused (core, &finding))
        g_array_index (self->findings, SelFinding, n_left++) = finding;
      else
        sel_found_report_one (core, &finding, is_fresh);
    }

  g_array_remove_range (self->findings, n_left, i - n_left);
}

/* Reports findings as long as there is room. If there is no room for all, those that have ended wait for the others,
 * except for a share: thousands of connections may end at once. A single place goes to the first one. */
static void
sel_found_report (SelFound *self,
                  SelCore  *core,
                  gboolean  is_fresh)
{
  gsize size = sel_ready_list_is_growable (core) ? G_MAXSIZE : core->wait.list.size;

  if (G_UNLIKELY (self->findings->len > size && size > 1))
    {
      sel_found_report_up_to (self, core, is_fresh, size - MAX (size / SEL_WAIT_IGNORED_SHARE, 1), FOUND_READY);
      sel_found_report_up_to (self, core, is_fresh, size, FOUND_ENDED);
    }
  sel_found_report_up_to (self, core, is_fresh, size, FOUND_ANY);
}

void
sel_found_leave (SelFound *self,
                 SelCore  *core)
{
  for (guint i = 0; i < self->findings->len; i++)
    {
      const SelFinding *finding = &g_array_index (self->findings, SelFinding, i);

      if (!sel_found_is_kept (core, finding))
        continue;

      if (core->wait.left == NULL)
        core->wait.left = sel_found_new ();
      g_array_append_vals (core->wait.left->findings, finding, 1);
    }
  sel_found_drop_all (self);
  if (core->wait.left == NULL)
    return;

  /* The other sources find them in prepare (), a wait in progress when it is woken. */
  sel_state_set (core, SEL_STATE_FOUND);
  sel_notify_watchers (core, -1);
  if (sel_state_has (core, SEL_STATE_WAITING))
    sel_notify_wake (core);
}

void
sel_found_drop_left (SelCore *core)
{
  g_clear_pointer (&core->wait.left, sel_found_free);
}

void
sel_found_take_left (SelCore *core)
{
  if (core->wait.left == NULL)
    return;

  sel_found_report (core->wait.left, core, FALSE);
  if (core->wait.left->findings->len > 0)
    return;

  sel_found_drop_left (core);
  sel_found_update_state (core);
}

gboolean
sel_found_take (SelCore *core)
{
  SelFound *self = sel_found_find (core, FALSE);
  gboolean is_fresh;

  if (self == NULL || (self->func != NULL && !sel_found_is_for_program (core)))
    return FALSE;

  /* The wait that has just begun counts, too. */
  is_fresh = self->n_waits + 1 == sel_found_get_n_waits (core);
  self->is_taken = TRUE;
  sel_found_report (self, core, is_fresh);

  /* A program that calls select() expects reports of descriptors that it has registered since. If all findings are out
   * of date, the kernel has to be asked. */
  return is_fresh && self->is_complete && self->generation == sel_registry_get_generation (core) &&
         ((core->wait.flags & (SEL_WAIT_DISPATCH | SEL_WAIT_ASYNC)) != 0 || core->wait.list.n_events > 0);
}
