/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-dispatch-private.h"
#include "core/sel-event-mask-private.h"
#include "core/sel-wait-private.h"
#include "sel-error-private.h"

G_BEGIN_DECLS

/*
 * The functions of the core for the backends of this library. Each function calls the room that does the work. A
 * backend tells the kernel which events to wait for, and reports the events that the kernel returns. It looks up no
 * key, formats no error message and calls no function of the program. Classes outside the library have
 * sel_base_selector_report() only.
 */

/* --- In open () --- */

/* Tells that a wait in progress sees the changes of update (), so that the wait need not be ended for that. */
static inline void
sel_backend_set_wait_sees_updates (SelBaseSelector *self,
                                   gboolean         wait_sees_updates)
{
  sel_notify_set_wait_sees_updates (sel_core (self), wait_sees_updates);
}

/* Tells the descriptor that is readable whenever a wait would end at once; there is none by default. */
static inline void
sel_backend_set_poll_fd (SelBaseSelector *self,
                         int              poll_fd)
{
  sel_registry_set_poll_fd (sel_core (self), poll_fd);
}

/* Tells that update () obeys sel_backend_is_alarm(). @splits_events: there is a report for each event that has changed,
 * and not one for the descriptor. */
static inline void
sel_backend_set_has_alarms (SelBaseSelector *self,
                            gboolean         splits_events)
{
  sel_registry_set_has_alarms (sel_core (self), splits_events);
}

/* The open () of a mechanism that this system does not have. Sets an error and returns FALSE. */
gboolean         sel_backend_set_unsupported (SelBaseSelector  *self,
                                              GError          **error);

/* --- In update () --- */

/* The tag to give to the kernel, for sel_backend_report_tagged(). */
static inline guint32
sel_backend_get_tag (SelBaseSelector *self)
{
  return sel_registry_get_tag (sel_core (self));
}

/* TRUE if the kernel is to report each change once, instead of the state. The old events are empty then. */
static inline gboolean
sel_backend_is_alarm (SelBaseSelector *self)
{
  return sel_registry_is_alarm (sel_core (self));
}

/* For mechanisms that accept any number: fails as epoll does if @fd is closed, or cannot be waited for by any means. */
gboolean         sel_backend_check_fd        (int               fd,
                                              GError          **error);

/* --- In wait () --- */

/* The number of reports to ask the kernel for. It does not change before the reports begin. */
static inline gsize
sel_backend_get_room (SelBaseSelector *self)
{
  return sel_ready_list_get_room (sel_core (self));
}

/* The same if the kernel reports reading and writing separately. */
static inline gsize
sel_backend_get_filter_room (SelBaseSelector *self)
{
  return sel_ready_list_get_filter_room (sel_core (self));
}

/* The table, for looking up many descriptors in a row. */
static inline SelKeyTable *
sel_backend_get_table (SelBaseSelector *self)
{
  return sel_registry_get_table (sel_core (self));
}

/* Around the use of data that update () changes. Not in the kernel's wait. */
static inline void
sel_backend_lock (SelBaseSelector *self)
{
  sel_state_lock (sel_core (self));
}

static inline void
sel_backend_unlock (SelBaseSelector *self)
{
  sel_state_unlock (sel_core (self));
}

/* After the kernel's wait: locks the selector until wait () has returned. The functions below need it. */
static inline void
sel_backend_begin_reports (SelBaseSelector *self)
{
  sel_wait_begin_reports (sel_core (self));
}

/* TRUE if there is no room for another report. The kernel has to report the other descriptors again in the next
 * wait. */
static inline gboolean
sel_backend_is_full (SelBaseSelector *self)
{
  return sel_ready_list_is_full (sel_core (self));
}

/* Tells how many reports the kernel has made. For sel_backend_report_tagged(), which does not count them. */
static inline void
sel_backend_set_n_reports (SelBaseSelector *self,
                           gsize            n_reports)
{
  sel_ready_list_set_n_reports (sel_core (self), n_reports);
}

/* Reports a descriptor with the tag that the kernel has given back. @events is 0 if the report leads to no event. @ends
 * tells which directions have ended, as far as the kernel says. Returns: FALSE if the registration with this tag does
 * not exist any more */
static inline gboolean
sel_backend_report_tagged (SelBaseSelector *self,
                           int              fd,
                           guint32          tag,
                           SelEventMask     events,
                           SelEnds          ends)
{
  return sel_ready_list_report_tagged (sel_core (self), fd, tag, events, ends);
}

/* The same for kernels that give back no tag; counts the report. */
static inline void
sel_backend_report_untagged (SelBaseSelector *self,
                             int              fd,
                             SelEventMask     events,
                             SelEnds          ends)
{
  sel_ready_list_report_untagged (sel_core (self), fd, events, ends);
}

/* @fd turns out to be closed. Its key stays, but update () is called to remove it. Fails if @fd is the wake-up
 * descriptor. */
static inline gboolean
sel_backend_report_closed (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  return sel_ready_list_report_closed (sel_core (self), fd, error);
}

/* TRUE if another thread has changed or removed anything since the wait began. If not, a report with an unknown tag
 * is for a file that the kernel has not removed. */
static inline gboolean
sel_backend_changed_in_wait (SelBaseSelector *self)
{
  return sel_state_has (sel_core (self), SEL_STATE_CHANGED);
}

/* The events that the kernel has to wait for on @fd, which may be the selector's own. */
static inline SelEventMask
sel_backend_get_armed (SelBaseSelector *self,
                       int              fd)
{
  return sel_registry_get_armed (sel_core (self), fd);
}

/* The kernel has removed @fd by itself, or reports it no more. Calls update (fd, 0, events) again, unless @fd is
 * paused. */
void             sel_backend_rearm           (SelBaseSelector  *self,
                                              int               fd);

/* Calls update (fd, 0, events) again for everything that the kernel has to wait for. @error is not NULL. */
gboolean         sel_backend_rearm_all       (SelBaseSelector  *self,
                                              GError          **error);

/* --- For constructors --- */

/* Makes a selector of @type and opens it. */
SelBaseSelector *sel_backend_new             (GType             type,
                                              GError          **error);
gboolean         sel_backend_can_open        (GType             type);

/* Opens the selector if it is not open. For functions that give the kernel's descriptor. */
gboolean         sel_backend_ensure_open     (SelBaseSelector  *self,
                                              GError          **error);

/* Gives a class the property "fd", which can only be read. Its number is 1. */
void             sel_backend_install_fd      (GObjectClass     *klass,
                                              void            (*get_property) (GObject    *object,
                                                                               guint       property_id,
                                                                               GValue     *value,
                                                                               GParamSpec *pspec));

G_END_DECLS
