/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-fd-probe-private.h"
#include "core/sel-registry-private.h"

G_BEGIN_DECLS

/*
 * Which descriptors are ready? The part of the wait room that takes the reports of a backend. The lock protects the
 * table that the reports are looked up in; the list itself belongs to the waiting thread.
 */

/* Makes room for @size events at least. FALSE if the caller of select () has given an array of its own. */
gboolean sel_ready_list_grow             (SelCore      *core,
                                          gsize         size);

/* Reports a descriptor for which the kernel has given no tag. */
void     sel_ready_list_report_untagged  (SelCore      *core,
                                          int           fd,
                                          SelEventMask  events,
                                          SelEnds       ends);

/* Takes a report that leads to no event. Returns: FALSE if the kernel should not have reported it at all */
gboolean sel_ready_list_report_unknown   (SelCore      *core,
                                          int           fd,
                                          guint32       tag,
                                          SelEventMask  events,
                                          SelEnds       ends);

/* @fd turns out to be closed, in a wait or in a main loop: the kernel is told to forget it, but its key stays. Fails
 *   if @fd is the selector's own. */
gboolean sel_ready_list_report_closed    (SelCore      *core,
                                          int           fd,
                                          GError      **error);

/* Reports the descriptors that are always ready. */
void     sel_ready_list_report_always_ready (SelCore   *core);

/* Before other events are added: makes the slots know the events that a backend has filled itself. */
void     sel_ready_list_index            (SelCore      *core);

/* Drops the events of registrations that were changed, removed or paused since they were reported. */
void     sel_ready_list_drop_stale       (SelCore      *core);

/* The slow path of the function without the suffix. */
gboolean sel_ready_list_postpones_slow   (SelCore          *core,
                                          const SelKeySlot *slot);

/* The number of reports to ask for if the mechanism reports reading and writing separately. */
gsize    sel_ready_list_get_filter_room  (SelCore      *core);

/* The number of reports to ask the kernel for. */
static inline gsize
sel_ready_list_get_room (SelCore *core)
{
  return core->wait.list.room;
}

/* TRUE if there have been as many reports as there is room for. */
static inline gboolean
sel_ready_list_is_full (SelCore *core)
{
  return core->wait.list.n_reports >= core->wait.list.room;
}

/* The kernel has made so many reports. */
static inline void
sel_ready_list_set_n_reports (SelCore *core,
                              gsize    n_reports)
{
  core->wait.list.n_reports = n_reports;
}

/* Gets the events, which are valid until the list changes. */
static inline const SelReadyEvent *
sel_ready_list_get_events (SelCore *core,
                           gsize   *n_events)
{
  *n_events = core->wait.list.n_events;

  return core->wait.list.events;
}

/* For a caller that fills the first events itself, instead of reporting them. There is room for as many as
 * sel_ready_list_get_room() tells. @entries, if it is not NULL, is to be filled for the same events. Returns: NULL if
 * the list is not empty */
static inline SelReadyEvent *
sel_ready_list_get_empty (SelCore        *core,
                          SelBatchEntry **entries)
{
  *entries = core->wait.list.entries;

  return G_LIKELY (core->wait.list.n_events == 0) ? core->wait.list.events : NULL;
}

/* The caller has filled the first @n_events events. */
static inline void
sel_ready_list_set_n_events (SelCore *core,
                             gsize    n_events)
{
  core->wait.list.n_events = n_events;
}

/* The caller has filled the first @n_entries entries, too. */
static inline void
sel_ready_list_set_n_entries (SelCore *core,
                              gsize    n_entries)
{
  core->wait.list.n_entries = n_entries;
}

/* How many entries were filled. */
static inline gsize
sel_ready_list_get_n_entries (SelCore *core)
{
  return core->wait.list.n_entries;
}

/* Stores the pointer with release order, so that a thread that sees it also sees the prepared list. */
static inline void
sel_ready_list_set_events (SelCore       *core,
                           SelReadyEvent *events)
{
  __atomic_store_n (&core->wait.list.events, events, __ATOMIC_RELEASE);
}

/* TRUE if the list is that of the selector, and grows. */
static inline gboolean
sel_ready_list_is_growable (SelCore *core)
{
  return core->wait.list.events == core->wait.buffer;
}

/* TRUE while a wait takes reports. */
static inline gboolean
sel_ready_list_is_open (SelCore *core)
{
  return __atomic_load_n (&core->wait.list.events, __ATOMIC_ACQUIRE) != NULL;
}

/* @events is not empty, and contains only active events. */
static inline void
sel_ready_event_fill (SelReadyEvent *event,
                      int            fd,
                      SelEventMask   events,
                      gpointer       data,
                      guint32        generation,
                      SelEnds        ends)
{
  event->fd = fd;
  event->events = events;
  event->data = data;
  event->generation = generation;
  event->ends = ends;
}

/* TRUE if the kernel has reported a registration that still exists. Leaves only active events in @events. */
static inline gboolean
sel_key_slot_is_ready (const SelKeySlot *slot,
                       guint32           tag,
                       SelEventMask     *events)
{
  return slot->generation == tag && (*events &= slot->active) != 0;
}

/* The same as sel_ready_event_fill() if the kernel has reported the descriptor, without an end, for a registration that
 * still exists. */
static inline gboolean
sel_ready_event_fill_tagged (SelReadyEvent *event,
                             SelKeyTable   *table,
                             int            fd,
                             guint32        tag,
                             SelEventMask   events)
{
  SelKeySlot *slot = sel_key_table_get_slot (table, fd);

  if (G_UNLIKELY (slot == NULL || !sel_key_slot_is_ready (slot, tag, &events)))
    return FALSE;

  sel_ready_event_fill (event, fd, events, slot->data, tag, 0);

  return TRUE;
}

/* TRUE for a descriptor whose callback ignores that it has ended, if there is no room for it. */
static inline gboolean
sel_ready_list_postpones (SelCore          *core,
                          const SelKeySlot *slot,
                          SelEnds           ends)
{
  return G_UNLIKELY (ends != 0 && sel_hangup_count_has_useless (&slot->hangup)) &&
         sel_ready_list_postpones_slow (core, slot);
}

/* Adds an event, or completes the one of the same descriptor. If there is no room, the kernel will report it again. */
static inline void
sel_ready_list_add (SelCore      *core,
                    int           fd,
                    SelKeySlot   *slot,
                    SelEventMask  events,
                    SelEnds       ends)
{
  SelReadyList *list = &core->wait.list;
  guint32 *report = sel_key_slot_get_report (slot, fd);

  if (*report < list->n_events && list->events[*report].fd == fd &&
      list->events[*report].generation == slot->generation)
    {
      list->events[*report].events |= events;
      list->events[*report].ends |= ends;
      return;
    }

  if (list->n_events == list->size && !sel_ready_list_grow (core, list->size + 1))
    return;

  sel_ready_event_fill (&list->events[list->n_events], fd, events, slot->data, slot->generation, ends);
  *report = (guint32) list->n_events++;
}

/* Reports a descriptor with the tag that the kernel has given back. The caller counts the reports. Returns: FALSE if
 * the registration with this tag does not exist any more */
static inline gboolean
sel_ready_list_report_tagged (SelCore      *core,
                              int           fd,
                              guint32       tag,
                              SelEventMask  events,
                              SelEnds       ends)
{
  SelKeySlot *slot = sel_key_table_get_slot (sel_registry_get_table (core), fd);

  if (G_UNLIKELY (slot == NULL || slot->generation != tag || (events & slot->active) == 0))
    return sel_ready_list_report_unknown (core, fd, tag, events, ends);

  if (!sel_ready_list_postpones (core, slot, ends))
    sel_ready_list_add (core, fd, slot, events & slot->active, ends);

  return TRUE;
}

G_END_DECLS
