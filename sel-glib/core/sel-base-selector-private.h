/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-callback-private.h"
#include "core/sel-delivery-private.h"
#include "core/sel-key-table-private.h"
#include "sel-base-selector.h"
#include "sel-error-private.h"

G_BEGIN_DECLS

/* As SEL_IS_BASE_SELECTOR(), which takes longer than the rest of some functions. It remembers the type that
 * it saw last. */
static inline gboolean
sel_is_base_selector (gconstpointer self)
{
  static GType known; /* atomic */
  const GTypeInstance *instance = self;
  GType type;

  if (instance == NULL || instance->g_class == NULL)
    return FALSE;

  type = instance->g_class->g_type;
  if (G_LIKELY (type == __atomic_load_n (&known, __ATOMIC_RELAXED)))
    return TRUE;

  if (!SEL_IS_BASE_SELECTOR ((gpointer) self))
    return FALSE;

  __atomic_store_n (&known, type, __ATOMIC_RELAXED);

  return TRUE;
}

/* For the backends in this library, which can do better than sel_base_selector_report(). */

/* Whether a wait that goes on sees what update() changes, so that it need not be ended for it. */
void      sel_base_selector_set_wait_sees_updates (SelBaseSelector *self,
                                                   gboolean         wait_sees_updates);

/* A descriptor that is readable when a wait would end at once; -1 if there is none. */
void      sel_base_selector_set_poll_fd           (SelBaseSelector *self,
                                                   int              poll_fd);

/* Opens the selector if it is not yet open. For those that show their descriptor. */
gboolean  sel_base_selector_ensure_open           (SelBaseSelector  *self,
                                                   GError          **error);

/* In update(): what to give the kernel so that it comes back in sel_base_selector_report_tagged(). */
guint32   sel_base_selector_get_tag               (SelBaseSelector *self);

/* In wait(): around the use of what update() changes. Not in the kernel. */
void      sel_base_selector_hold_updates          (SelBaseSelector *self);
void      sel_base_selector_let_updates           (SelBaseSelector *self);

/* Who waits. Without the first two, it is a caller of select(). */
typedef enum
{
  SEL_SINK_DISPATCHES = 1 << 0,    /* for the callbacks of a main loop */
  SEL_SINK_COMPLETES = 1 << 1,     /* for the asynchronous wait */
  SEL_SINK_INTERRUPTIBLE = 1 << 2  /* a signal ends the wait */
} SelSinkFlags;

#define SEL_SINK_IN_MAIN_LOOP (SEL_SINK_DISPATCHES | SEL_SINK_COMPLETES)

/* Where a wait stores what is ready. */
typedef struct
{
  SelKeyTable *table;
  SelReadyEvent *events;
  gsize n_events;
  gsize size;
  SelSinkFlags flags;
  gboolean growable;
  gsize n_keys;              /* how many there were when the wait began */
  gsize room;                /* how many descriptors one wait may report, at least 1 */
  gsize n_reports;           /* how many it did bring */
  gboolean wasted;           /* whether one of them took the place of something better */
  gboolean woken;            /* whether sel_base_selector_wakeup() was called */
} SelSink;

/* Always the same one. */
SelSink  *sel_base_selector_get_sink              (SelBaseSelector *self);

/* The room of mechanisms that report reading and writing separately. */
gsize     sel_sink_get_filter_room                (const SelSink   *sink);

/* Between the kernel's return and the return of wait(): locks the selector. The functions below need it. */
void      sel_base_selector_begin_reports         (SelBaseSelector *self);

/* Makes room for @size records at least, if that can be. */
gboolean  sel_base_selector_grow_sink             (SelBaseSelector *self,
                                                   gsize            size);

/* What is ready is not registered with this tag, or not for what it is ready for. FALSE if it should not have
 * been reported at all. */
gboolean  sel_base_selector_report_unknown        (SelBaseSelector *self,
                                                   int              fd,
                                                   guint32          tag);

/* The next ones are called for each ready descriptor. */

/* @events is not empty, and was asked for. */
static inline void
sel_ready_event_fill (SelReadyEvent *event,
                      int            fd,
                      SelKeySlot    *slot,
                      SelEventMask   events)
{
  event->fd = fd;
  event->events = events;
  event->data = slot->data;
  event->generation = slot->generation;
}

/* The same for what was reported with a tag, if the registration with this tag still is. */
static inline gboolean
sel_ready_event_fill_tagged (SelReadyEvent *event,
                             SelKeyTable   *table,
                             int            fd,
                             guint32        tag,
                             SelEventMask   events)
{
  SelKeySlot *slot = sel_key_table_get_slot (table, fd);

  if (G_UNLIKELY (slot == NULL || slot->generation != tag || (events &= slot->events) == 0))
    return FALSE;

  sel_ready_event_fill (event, fd, slot, events);

  return TRUE;
}

/* Adds a record to the ready list, or completes the one that is there. If there is no room the kernel
 * will tell again. */
static inline void
sel_base_selector_add_report (SelBaseSelector *self,
                              SelSink         *sink,
                              int              fd,
                              SelKeySlot      *slot,
                              SelEventMask     events)
{
  guint32 *report = sel_key_slot_get_report (slot);

  if (*report < sink->n_events && sink->events[*report].fd == fd &&
      sink->events[*report].generation == slot->generation)
    {
      sink->events[*report].events |= events;
      return;
    }

  if (sink->n_events == sink->size && !sel_base_selector_grow_sink (self, sink->size + 1))
    return;

  sel_ready_event_fill (&sink->events[sink->n_events], fd, slot, events);
  *report = (guint32) sink->n_events++;
}

/* FALSE if the registration with this tag is no more. Counts of reports are the caller's. @hung_up tells whether the
 * other end will not send or receive any more, or there was an error. */
static inline gboolean
sel_base_selector_report_tagged (SelBaseSelector *self,
                                 SelSink         *sink,
                                 int              fd,
                                 guint32          tag,
                                 SelEventMask     events,
                                 gboolean         hung_up)
{
  SelKeySlot *slot = sel_key_table_get_slot (sink->table, fd);

  if (G_UNLIKELY (slot == NULL || slot->generation != tag || (events & slot->events) == 0))
    return sel_base_selector_report_unknown (self, fd, tag);

  slot->maybe_hung_up |= hung_up;
  sel_base_selector_add_report (self, sink, fd, slot, events & slot->events);

  return TRUE;
}

void      sel_base_selector_report_untagged       (SelBaseSelector *self,
                                                   int              fd,
                                                   SelEventMask     events);

/* @fd turns out to be closed: takes it out of the kernel's set, but keeps its key. Fails if it is
 * the selector's own. */
gboolean  sel_base_selector_report_closed         (SelBaseSelector  *self,
                                                   int               fd,
                                                   GError          **error);

gboolean  sel_base_selector_is_registered         (SelBaseSelector *self,
                                                   int              fd);

/* Whether another thread has changed or removed anything since the wait began. If not, a report that is
 * not for a registration of now comes from a leftover in the kernel. */
gboolean  sel_base_selector_changed_during_wait   (SelBaseSelector *self);

/* Calls update (fd, 0, events) again for all that the kernel has to wait for. */
gboolean  sel_base_selector_update_all            (SelBaseSelector  *self,
                                                   GError          **error);

/* For update() of mechanisms that accept any number: fails as epoll does for a descriptor that
 * is closed or cannot be waited for by any means. */
gboolean  sel_base_selector_check_fd              (int               fd,
                                                   GError          **error);

/* Whether any bits of poll() or epoll mean that a read or a write returns at once: whatever is not
 * clearly the other one counts, so hang-ups and errors count as both. */
static inline SelEventMask
sel_event_mask_from_poll (guint revents,
                          guint in,
                          guint out)
{
  SelEventMask events = 0;

  revents &= 0xffff; /* some systems use the bits above */
  if ((revents & ~out) != 0)
    events |= SEL_EVENT_READ;
  if ((revents & ~in) != 0)
    events |= SEL_EVENT_WRITE;

  return events;
}

static inline guint
sel_event_mask_to_poll (SelEventMask events,
                        guint        in,
                        guint        out)
{
  return ((events & SEL_EVENT_READ) != 0 ? in : 0) |
         ((events & SEL_EVENT_WRITE) != 0 ? out : 0);
}

/* --- For the properties --- */

typedef enum
{
  SEL_SETTING_INTERRUPTIBLE,
  SEL_SETTING_EMULATE_ALWAYS_READY,
  SEL_SETTING_FORCE_MIRRORED,
  SEL_SETTING_CAN_RECURSE,
  SEL_SETTING_MAX_DISPATCH,
  SEL_SETTING_HANGUP_POLICY,
  SEL_N_SETTINGS
} SelSetting;

/* The largest #SelBaseSelector:max-dispatch, which is also the default. */
#define SEL_MAX_DISPATCH 256

guint           sel_base_selector_get_setting      (SelBaseSelector     *self,
                                                    SelSetting           setting);
void            sel_base_selector_set_setting      (SelBaseSelector     *self,
                                                    SelSetting           setting,
                                                    guint                value);

/* --- For the public functions that register, change and unregister --- */

/* What is kept with a registration: data in the form of C or of other languages, or a callback. */
typedef struct
{
  gpointer data;
  GDestroyNotify destroy;
  const GValue *value;
  SelCallback *callback;     /* (transfer full), also if the registration fails */
} SelData;

/* sel_base_selector_change() keeps what there is if @data is NULL. All give the key if @key is not NULL. */
gboolean        sel_base_selector_add              (SelBaseSelector     *self,
                                                    int                  fd,
                                                    GObject             *fileobj,
                                                    SelEventMask         events,
                                                    const SelData       *data,
                                                    SelSelectorKey     **key,
                                                    GError             **error);
gboolean        sel_base_selector_change           (SelBaseSelector     *self,
                                                    int                  fd,
                                                    SelEventMask         events,
                                                    const SelData       *data,
                                                    SelSelectorKey     **key,
                                                    GError             **error);
gboolean        sel_base_selector_remove           (SelBaseSelector     *self,
                                                    int                  fd,
                                                    SelSelectorKey     **key,
                                                    GError             **error);
gboolean        sel_base_selector_replace_callback (SelBaseSelector     *self,
                                                    int                  fd,
                                                    SelCallback         *callback,
                                                    GError             **error);

/* The descriptor of @fileobj; if it has none any more, the one that was registered through it. -1 and an
 * error if there is neither. */
int             sel_base_selector_resolve          (SelBaseSelector     *self,
                                                    GObject             *fileobj,
                                                    GError             **error);
gboolean        sel_base_selector_fail_closed      (GError             **error);

/* --- For the main loop --- */

typedef struct _SelObserver SelObserver;

typedef struct
{
  /* What the kernel waits for on @fd has changed, or on any descriptor if it is -1. The selector is locked. */
  void (*changed) (SelObserver    *observer,
                   int             fd);
  /* While the selector is locked: keeps the observer for one of the two functions below, which give the
   * reference back and are called when it is not. */
  void (*ref)     (SelObserver    *observer);
  /* Calls @func where callbacks are called, so that none runs meanwhile. */
  void (*invoke)  (SelObserver    *observer,
                   GDestroyNotify  func,
                   gpointer        data);
  /* The selector is about to be closed. */
  void (*closed)  (SelObserver    *observer);
} SelObserverFuncs;

struct _SelObserver
{
  const SelObserverFuncs *funcs;
};

gboolean        sel_base_selector_add_observer     (SelBaseSelector     *self,
                                                    SelObserver         *observer);
void            sel_base_selector_remove_observer  (SelBaseSelector     *self,
                                                    SelObserver         *observer);

/* While updates are held: the descriptor of sel_base_selector_set_poll_fd(); -1 in a child process, and if
 * the registered descriptors are to be polled instead. */
int             sel_base_selector_get_poll_fd      (SelBaseSelector     *self);

/* While updates are held: calls @func with each descriptor that may be armed, the selector's own included. */
void            sel_base_selector_foreach_armed    (SelBaseSelector     *self,
                                                    GFunc                func,
                                                    gpointer             user_data);

/* While updates are held: whether something is ready that the kernel does not wait for. */
gboolean        sel_base_selector_has_always_ready (SelBaseSelector     *self);

/* In a child process that has not used the selector yet. Needs no lock. */
gboolean        sel_base_selector_is_after_fork    (SelBaseSelector     *self);

gboolean        sel_base_selector_is_wakeup_requested (SelBaseSelector  *self);

/* While updates are held: what the kernel waits for on @fd, which may be the selector's own. */
SelEventMask    sel_base_selector_get_armed        (SelBaseSelector     *self,
                                                    int                  fd);

/* What is ready now, without waiting and whatever waits asynchronously. @woken tells if
 * sel_base_selector_wakeup() was called. The list is as from sel_base_selector_select(). */
gssize          sel_base_selector_peek_ready       (SelBaseSelector     *self,
                                                    SelReadyEvent       *events,
                                                    gsize                n_events,
                                                    GError             **error);
GPtrArray      *sel_base_selector_peek             (SelBaseSelector     *self,
                                                    gboolean            *woken,
                                                    GError             **error);

/* Fills @delivery, which is empty or was filled for the callback before. Until the next one, or
 * sel_base_selector_end_deliveries(), @event follows what is done to its descriptor, but by nobody who takes care of it.
 * FALSE if the descriptor was changed or unregistered since it was reported, or if its function runs already, or the
 * one that @function stands for where it has none: then what is ready waits until that returns. */
gboolean        sel_base_selector_next_delivery    (SelBaseSelector     *self,
                                                    SelReadyEvent       *event,
                                                    gconstpointer        function,
                                                    SelDelivery         *delivery);
void            sel_base_selector_end_deliveries   (SelBaseSelector     *self,
                                                    SelDelivery         *delivery);

/* The same for who calls nothing of ours: what is asked for if it is time to see whether the descriptor is of any
 * use, otherwise 0. @doubtful as in SelDelivery. */
SelEventMask    sel_base_selector_get_suspect      (SelBaseSelector     *self,
                                                    const SelReadyEvent *event,
                                                    gboolean            *doubtful);

/* The callback is not to be called any more: unregisters its descriptor, if that still has it. */
void            sel_base_selector_remove_callback  (SelBaseSelector     *self,
                                                    int                  fd,
                                                    SelCallback         *callback);

/* The kernel does not wait any more for what was reported, until it is modified or refreshed or, if it
 * @rests, until the rest ends. Nothing happens if it was modified or refreshed already. */
void            sel_base_selector_mute             (SelBaseSelector     *self,
                                                    const SelReadyEvent *event,
                                                    gboolean             rests);
void            sel_base_selector_end_rest         (SelBaseSelector     *self);

/* While updates are held: when rests end and something has to be dispatched, in monotonic time, or -1. */
gint64          sel_base_selector_get_rest_end     (SelBaseSelector     *self);

/* An asynchronous wait: only one at a time, and no other then. */
gboolean        sel_base_selector_begin_async      (SelBaseSelector     *self,
                                                    gdouble              timeout,
                                                    GError             **error);
void            sel_base_selector_end_async        (SelBaseSelector     *self);

/* For the mapping, which works also on what is closed. */
SelSelectorKey *sel_base_selector_lookup           (SelBaseSelector     *self,
                                                    int                  fd);
SelSelectorKey *sel_base_selector_lookup_object    (SelBaseSelector     *self,
                                                    GObject             *fileobj);
GPtrArray      *sel_base_selector_get_keys         (SelBaseSelector     *self);
guint           sel_base_selector_get_size         (SelBaseSelector     *self);

/* The open() of a mechanism that this system does not have. */
gboolean        sel_base_selector_open_unsupported (SelBaseSelector     *self,
                                                    GError             **error);

/* The rest of the constructors and is_supported() functions. */
SelBaseSelector *sel_base_selector_new_open        (GType                type,
                                                    GError             **error);
gboolean         sel_base_selector_can_open        (GType                type);

G_END_DECLS
