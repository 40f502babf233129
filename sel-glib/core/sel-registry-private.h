/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-notify-private.h"

G_BEGIN_DECLS

/*
 * Which descriptors are registered, and which registrations does the kernel know? The kernel is asked first and the
 * table is changed after that, so that nothing has to be rolled back. A registration gets a new generation when it is
 * added, modified, refreshed or resumed. Backends give the generation to the kernel as a tag, which tells reports
 * about a registration from those about an earlier one of the same number.
 *
 * Unless stated otherwise, the functions must be called with the lock held.
 */

/* The data or the callback that a program keeps with a registration. @value is for other languages than C. */
typedef struct
{
  GObject *fileobj;          /* not used by sel_registry_modify() */
  gpointer data;
  GDestroyNotify destroy;
  const GValue *value;
  SelCallback *callback;     /* (transfer full) if sel_registry_add() succeeds; not used by sel_registry_modify() */
} SelRegistration;

void            sel_registry_init               (SelCore                *core);
void            sel_registry_clear              (SelCore                *core);

/* These change the registrations. @key, if it is not NULL, is set to the key. Memory that a slot has owned moves to
 * @removed, which the caller has to free without the lock. */

/* Fails with %SEL_SELECTOR_ERROR_ALREADY_REGISTERED, or if the kernel refuses; then nothing is changed. */
gboolean        sel_registry_add                (SelCore                *core,
                                                 int                     fd,
                                                 SelEventMask            events,
                                                 const SelRegistration  *registration,
                                                 SelSelectorKey        **key,
                                                 GError                **error);

/* Keeps the data if @registration is NULL. If the kernel refuses, @fd is no longer registered. */
gboolean        sel_registry_modify             (SelCore                *core,
                                                 int                     fd,
                                                 SelEventMask            events,
                                                 const SelRegistration  *registration,
                                                 SelSelectorKey        **key,
                                                 SelKeyExtra            *removed,
                                                 GError                **error);
gboolean        sel_registry_remove             (SelCore                *core,
                                                 int                     fd,
                                                 SelSelectorKey        **key,
                                                 SelKeyExtra            *removed,
                                                 GError                **error);

/* Tells the kernel anew. If it refuses, @fd is no longer registered. */
gboolean        sel_registry_refresh            (SelCore                *core,
                                                 int                     fd,
                                                 SelKeyExtra            *removed,
                                                 GError                **error);

/* Stores the callback that @fd had before in @removed. */
gboolean        sel_registry_set_callback       (SelCore                *core,
                                                 int                     fd,
                                                 SelCallback            *callback,
                                                 SelKeyExtra            *removed,
                                                 GError                **error);

/* Unregisters @fd if it still has @callback. */
void            sel_registry_remove_callback    (SelCore                *core,
                                                 int                     fd,
                                                 SelCallback            *callback,
                                                 SelKeyExtra            *removed);

/* Moves all registrations to @taken; the kernel is not told. For sel_base_selector_close(). */
void            sel_registry_take_all           (SelCore                *core,
                                                 SelKeyTable            *taken);

/* The slot of @fd, or NULL and an error. */
SelKeySlot     *sel_registry_find               (SelCore                *core,
                                                 int                     fd,
                                                 GError                **error);

/* Looking up. These lock the selector, and work also after it was closed. */
SelSelectorKey *sel_registry_ref_key            (SelCore                *core,
                                                 int                     fd);
int             sel_registry_find_object        (SelCore                *core,
                                                 GObject                *fileobj);
GPtrArray      *sel_registry_get_keys           (SelCore                *core);
guint           sel_registry_get_n_keys         (SelCore                *core);

/* For other rooms. */

/* Makes the kernel wait for the active events of a slot. If @is_new, the slot gets a new generation; otherwise it keeps
 * it, and the caller ensures that @fd is not armed. On failure, the kernel does not wait for @fd. @error is not
 * NULL. */
gboolean        sel_registry_arm_slot           (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot,
                                                 gboolean                is_new,
                                                 GError                **error);

/* Tells the kernel about the selector's own descriptor. @error is not NULL. */
gboolean        sel_registry_arm_wakeup         (SelCore                *core,
                                                 GError                **error);

/* Takes @fd out of the set that the kernel waits for. The kernel may have forgotten it already. */
void            sel_registry_disarm             (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot);

/* Makes the kernel wait for @events only, a part of the events that it waits for now, or 0. Returns: FALSE if the
 * kernel refuses; then it does not wait for @fd at all */
gboolean        sel_registry_arm_only           (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot,
                                                 SelEventMask            events);

/* For a slot that is paused completely: makes the kernel report changes only, once for each, if the mechanism can. The
 * kernel reports the present state first: the echo of the alarm. Mirrored mode has no alarms, as poll () cannot do
 * that. */
gboolean        sel_registry_arm_alarm          (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot);

/* For each report of an alarm. Returns: TRUE if the report may be nothing but the echo. A mechanism that splits events
 * has an echo for each of them. */
gboolean        sel_registry_take_echo          (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot,
                                                 SelEventMask            events);

/* How many alarms were armed. The number wraps around. */
static inline guint
sel_registry_get_n_alarms (SelCore *core)
{
  return core->registry.n_alarms;
}

/* The kernel had nothing more to report when it was asked, after @n_alarms alarms: an echo that has not come does not
 * come any more, as the state has changed since the alarm was armed. Does nothing if an alarm was armed later, as a
 * wait that rebuilds a set does: its echo is still to come. */
void            sel_registry_end_echoes         (SelCore                *core,
                                                 guint                   n_alarms);

/* For mechanisms that have alarms. */
static inline void
sel_registry_set_has_alarms (SelCore  *core,
                             gboolean  splits_events)
{
  core->registry.has_alarms = TRUE;
  core->registry.splits_alarms = splits_events;
}

static inline gboolean
sel_registry_is_alarm (SelCore *core)
{
  return core->registry.is_alarm;
}

void            sel_registry_foreach            (SelCore                *core,
                                                 SelKeyTableFunc         func,
                                                 gpointer                user_data);

/* The slow path of sel_registry_mark_changed(). */
void            sel_registry_mark_changed_slow  (SelCore                *core,
                                                 int                     fd,
                                                 SelKeySlot             *slot);

/* Forgets the changes that sel_registry_mark_changed() has recorded. Called when a wait begins or ends. */
void            sel_registry_clear_changed      (SelCore                *core);

/* Occupies the numbers of registered descriptors that were closed, so that the library does not get them for
 * descriptors of its own. Returns: (nullable): the descriptors to close by sel_registry_unreserve_numbers() */
GArray         *sel_registry_reserve_numbers    (SelCore                *core);
void            sel_registry_unreserve_numbers  (GArray                 *reserved);

/* Opens the bell of a watcher, with numbers that are not registered. That may fail. */
void            sel_registry_open_bell          (SelCore                *core,
                                                 SelWakeup              *bell);

/* Descriptors that are always ready. The array belongs to the registry. */
const int      *sel_registry_get_always_ready   (SelCore                *core,
                                                 guint                  *n_fds);

/* Drops those that were closed, because the kernel does not report that. Returns: TRUE if any is left */
gboolean        sel_registry_check_always_ready (SelCore                *core);

/* Calls @func with each descriptor that may be armed, the selector's own included. */
void            sel_registry_foreach_armed      (SelCore                *core,
                                                 GFunc                   func,
                                                 gpointer                user_data);

/* The events that the kernel waits for on @fd, which may be the selector's own; 0 if it waits for changes only. */
SelEventMask    sel_registry_get_armed          (SelCore                *core,
                                                 int                     fd);

/* The kernel's descriptor for a main loop; -1 in a child process, and if each registered descriptor is to be polled. */
int             sel_registry_get_poll_fd        (SelCore                *core);
void            sel_registry_set_poll_fd        (SelCore                *core,
                                                 int                     poll_fd);

void            sel_registry_check_identity_slow (SelCore               *core,
                                                 int                     fd);

/* Makes sure that a virtual function that has returned FALSE has set an error, and one that has returned TRUE has set
 * none.
 * @error is not NULL. Returns @success. Needs no lock. */
gboolean        sel_registry_complete_error     (SelCore                *core,
                                                 const char             *function,
                                                 gboolean                success,
                                                 GError                **error);

/* Without the lock: with SEL_DEBUG=fd, warns if @fd stands for another file than when it was registered. */
static inline void
sel_registry_check_identity (SelCore *core,
                             int      fd)
{
  if (G_UNLIKELY (core->registry.identities != NULL))
    sel_registry_check_identity_slow (core, fd);
}

/* Marks the results of the current wait for @fd as stale. @slot is NULL if @fd is not registered any more. */
static inline void
sel_registry_mark_changed (SelCore    *core,
                           int         fd,
                           SelKeySlot *slot)
{
  sel_notify_count_change (core);
  if (G_UNLIKELY (sel_state_has (core, SEL_STATE_IN_WAIT)))
    sel_registry_mark_changed_slow (core, fd, slot);
}

/* The table, for looking up many descriptors in a row. */
static inline SelKeyTable *
sel_registry_get_table (SelCore *core)
{
  return &core->registry.table;
}

/* The slot of @fd, or NULL. */
static inline SelKeySlot *
sel_registry_lookup (SelCore *core,
                     int      fd)
{
  return sel_key_table_lookup (&core->registry.table, fd);
}

/* The slot of a ready event, or NULL if the registration was changed, removed or paused since. */
static inline SelKeySlot *
sel_registry_find_active (SelCore             *core,
                          const SelReadyEvent *event)
{
  SelKeySlot *slot = sel_key_table_get_slot (&core->registry.table, event->fd);

  /* A free slot is not active either. */
  return slot != NULL && slot->generation == event->generation && (slot->active & event->events) != 0 ? slot : NULL;
}

/* The same, also if it is paused. */
static inline SelKeySlot *
sel_registry_find_event (SelCore             *core,
                         const SelReadyEvent *event)
{
  SelKeySlot *slot = sel_registry_lookup (core, event->fd);

  return slot != NULL && slot->generation == event->generation ? slot : NULL;
}

/* The last generation that was given to a registration. For comparing only. */
static inline guint32
sel_registry_get_generation (SelCore *core)
{
  return core->registry.generation;
}

/* The generation of the registration of @fd, or 0 if it is not registered. */
static inline guint32
sel_registry_get_fd_generation (SelCore *core,
                                int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  return slot != NULL ? slot->generation : 0;
}

/* Identifies the registration of @fd until it is unregistered, also if it is changed, paused or resumed. 0 if it is not
 * registered. */
static inline guint64
sel_registry_get_fd_order (SelCore *core,
                           int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  return slot != NULL ? sel_key_slot_get_extra (slot, fd)->order : 0;
}

/* The generation of the registration that the current call of update () is about. */
static inline guint32
sel_registry_get_tag (SelCore *core)
{
  return core->registry.tag;
}

G_END_DECLS
