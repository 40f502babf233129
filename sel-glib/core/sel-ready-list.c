/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which descriptors are ready? See sel-ready-list-private.h. */

#include "config.h"

#include <errno.h>

#include "core/sel-pause-private.h"
#include "core/sel-ready-list-private.h"
#include "sel-error-private.h"

gboolean
sel_ready_list_grow (SelCore *core,
                     gsize    size)
{
  SelWait *wait = &core->wait;

  if (!sel_ready_list_is_growable (core))
    return FALSE;

  wait->buffer_size = MAX (size, 2 * wait->buffer_size);
  wait->buffer = g_renew (SelReadyEvent, wait->buffer, wait->buffer_size);
  wait->list.size = wait->buffer_size;
  sel_ready_list_set_events (core, wait->buffer);

  return TRUE;
}

gboolean
sel_ready_list_postpones_slow (SelCore          *core,
                               const SelKeySlot *slot)
{
  SelReadyList *list = &core->wait.list;

  if (!sel_hangup_count_is_ignored (&slot->hangup))
    return FALSE;
  if (list->n_ignored_left == 0)
    return TRUE;

  list->n_ignored_left--;

  return FALSE;
}

gsize
sel_ready_list_get_filter_room (SelCore *core)
{
  const SelReadyList *list = &core->wait.list;

  /* If the list is too small for all descriptors, do not ask for two reports of each: the second one would displace
   * another descriptor. */
  return sel_ready_list_is_growable (core) || list->size >= sel_registry_get_n_keys (core) ? 2 * list->room + 1
                                                                                             : list->room;
}

/* The report of the wake-up descriptor has used up room, so the kernel has to be asked again: once for each time that
 * the descriptor was drained, and once in each wait while it stays readable. */
static void
sel_ready_list_report_wakeup (SelCore *core)
{
  gboolean stays = sel_state_has (core, SEL_STATE_ALWAYS_READY) && !core->wait.wakeup_reported;

  core->wait.wakeup_reported = TRUE;
  core->wait.list.needs_retry |= sel_notify_drain_wakeup (core) || stays;
}

gboolean
sel_ready_list_report_unknown (SelCore      *core,
                               int           fd,
                               guint32       tag,
                               SelEventMask  events,
                               SelEnds       ends)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  if (slot != NULL && slot->generation == tag && slot->armed != 0)
    {
      if (events == 0)
        core->wait.list.needs_retry = TRUE;
      else if (slot->alarm)
        sel_pause_ring (core, fd, slot, events, ends);
      return TRUE;
    }

  if (fd == sel_notify_get_fd (core))
    {
      sel_ready_list_report_wakeup (core);
      return TRUE;
    }

  core->wait.list.needs_retry = TRUE;

  return FALSE;
}

/* The slot that a report without a tag is about. NULL if it was registered, changed or resumed since the wait began:
 * the next wait will report it. */
static SelKeySlot *
sel_ready_list_lookup (SelCore *core,
                       int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  return slot != NULL && !slot->changed_in_wait ? slot : NULL;
}

void
sel_ready_list_report_untagged (SelCore      *core,
                                int           fd,
                                SelEventMask  events,
                                SelEnds       ends)
{
  SelKeySlot *slot;

  core->wait.list.n_reports++;
  slot = sel_ready_list_lookup (core, fd);
  if (slot != NULL && (events & slot->active) != 0)
    {
      /* A postponed descriptor takes no room away from others. */
      if (sel_ready_list_postpones (core, slot, ends))
        core->wait.list.n_reports--;
      else
        sel_ready_list_add (core, fd, slot, events & slot->active, ends);
    }
  else if (fd == sel_notify_get_fd (core))
    {
      sel_ready_list_report_wakeup (core);
    }
}

gboolean
sel_ready_list_report_closed (SelCore  *core,
                              int       fd,
                              GError  **error)
{
  gboolean in_wait = core->wait.locked;
  SelKeySlot *slot;

  if (fd == sel_notify_get_fd (core))
    return sel_os_error_set (error, -1, EBADF);

  slot = in_wait ? sel_ready_list_lookup (core, fd) : sel_registry_lookup (core, fd);
  if (slot == NULL)
    return TRUE;

  if (in_wait)
    {
      core->wait.list.n_reports++;
      core->wait.list.needs_retry |= slot->armed != 0;
    }

  sel_registry_disarm (core, fd, slot);
  sel_notify_changed (core, fd);

  return TRUE;
}

void
sel_ready_list_report_always_ready (SelCore *core)
{
  guint n;
  const int *fds = sel_registry_get_always_ready (core, &n);

  for (guint i = 0; i < n; i++)
    {
      int fd = fds[(core->wait.turn % n + i) % n];
      SelKeySlot *slot = sel_registry_lookup (core, fd);

      if (!sel_ready_list_postpones (core, slot, SEL_UNKNOWN_END))
        sel_ready_list_add (core, fd, slot, slot->active, SEL_UNKNOWN_END);
    }
}

void
sel_ready_list_index (SelCore *core)
{
  SelReadyList *list = &core->wait.list;

  for (gsize i = 0; i < list->n_events; i++)
    {
      SelKeySlot *slot = sel_registry_find_event (core, &list->events[i]);

      if (slot != NULL)
        *sel_key_slot_get_report (slot, list->events[i].fd) = (guint32) i;
    }
}

/* The slots have to know the new indices of the events that stay. */
void
sel_ready_list_drop_stale (SelCore *core)
{
  SelReadyList *list = &core->wait.list;
  gsize n = 0;

  for (gsize i = 0; i < list->n_events; i++)
    {
      SelKeySlot *slot = sel_registry_find_active (core, &list->events[i]);

      if (slot == NULL)
        continue;

      *sel_key_slot_get_report (slot, list->events[i].fd) = (guint32) n;
      list->events[n++] = list->events[i];
    }
  list->n_events = n;
  list->n_entries = 0;
  sel_registry_clear_changed (core);
}
