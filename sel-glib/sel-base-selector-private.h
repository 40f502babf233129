/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-base-selector.h"
#include "sel-error-private.h"
#include "sel-key-table-private.h"

G_BEGIN_DECLS

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

/* In wait(): how many descriptors to report at most, at least 1. */
gsize     sel_base_selector_get_room              (SelBaseSelector *self);

/* The same for mechanisms that report reading and writing separately. */
gsize     sel_base_selector_get_filter_room       (SelBaseSelector *self);

/* In wait(): around the use of what update() changes. Not in the kernel. */
void      sel_base_selector_hold_updates          (SelBaseSelector *self);
void      sel_base_selector_let_updates           (SelBaseSelector *self);

/* Between the kernel's return and the return of wait(): locks the selector. The functions below need it. */
void      sel_base_selector_begin_reports         (SelBaseSelector *self);

/* FALSE if the registration with this tag is no more. */
gboolean  sel_base_selector_report_tagged         (SelBaseSelector *self,
                                                   int              fd,
                                                   guint32          tag,
                                                   SelEventMask     events);
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

/* For the source. */

typedef struct _SelObserver SelObserver;

typedef struct
{
  /* What the kernel waits for on @fd has changed, or on any descriptor if it is -1. The selector is locked. */
  void (*changed) (SelObserver *observer,
                   int          fd);
  /* The selector is about to be closed. First ref() while it is locked, then closed(), which gives
   * the reference back, when it is not. */
  void (*ref)     (SelObserver *observer);
  void (*closed)  (SelObserver *observer);
} SelObserverFuncs;

struct _SelObserver
{
  const SelObserverFuncs *funcs;
};

gboolean        sel_base_selector_add_observer     (SelBaseSelector     *self,
                                                    SelObserver         *observer);
void            sel_base_selector_remove_observer  (SelBaseSelector     *self,
                                                    SelObserver         *observer);

/* While updates are held: the descriptor of sel_base_selector_set_poll_fd(); -1 also in a child process. */
int             sel_base_selector_get_poll_fd      (SelBaseSelector     *self);

/* What the kernel waits for on @fd, which may be the selector's own. */
SelEventMask    sel_base_selector_get_armed        (SelBaseSelector     *self,
                                                    int                  fd);
void            sel_base_selector_foreach_armed    (SelBaseSelector     *self,
                                                    GFunc                func,
                                                    gpointer             user_data);
gboolean        sel_base_selector_has_always_ready (SelBaseSelector     *self);

/* (transfer full) The key of a ready event, unless it was changed or removed since. */
SelSelectorKey *sel_base_selector_ref_event_key    (SelBaseSelector     *self,
                                                    const SelReadyEvent *event);

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
