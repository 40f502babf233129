/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-found-private.h"

G_BEGIN_DECLS

/*
 * Which descriptors does the context poll? Where the mechanism has a descriptor of its own, the context polls that.
 * Otherwise it polls each descriptor that the selector has armed: the context mirrors the set of the kernel, and its
 * poll() is the wait of the selector.
 *
 * The functions must be called in the thread that runs the context.
 */
typedef struct _SelMirrorPage SelMirrorPage;

typedef struct
{
  GSource *source;           /* the owner of this struct */
  int poll_fd;               /* the mechanism's descriptor, or -1 */
  gpointer poll_tag;         /* of poll_fd in the source */
  SelMirrorPage **pages;     /* the polled descriptors, by number; pages never move, as the context uses them */
  guint n_pages;
  guint n_polled;
  SelFound found;            /* the findings of the context, the oldest first */
  guint n_new;               /* so many of them are of the last poll() */
  GArray *closed;            /* descriptors that were not open */
  GArray *held;              /* descriptors that are not polled while the callback of the source runs */
} SelMirror;

void     sel_mirror_init          (SelMirror           *self,
                                   GSource             *source);
void     sel_mirror_clear         (SelMirror           *self);

/* Makes the context poll @poll, a bell or a registered descriptor. Another thread may destroy the source at any time.
 * GLib takes out its descriptors then, and does not expect another one, so that this is tested before and after. */
void     sel_mirror_add_poll      (SelMirror           *self,
                                   GPollFD             *poll);

/* Makes the context poll the descriptors that the selector needs, after the changes that @watcher has collected. In a
 * child process that is nothing. The lock must be held, as for the next function. */
void     sel_mirror_sync          (SelMirror           *self,
                                   SelCore             *core,
                                   SelWatcher          *watcher);

/* Makes the context poll nothing, until the next synchronization. */
void     sel_mirror_poll_nothing  (SelMirror           *self,
                                   SelWatcher          *watcher);

/* Without the lock, as all that follow: tells the selector about descriptors that the context has found to be closed.
 * The kernel of a selector may forget them silently, and the number may have been registered for another file since.
 * Fails if one is the selector's own. */
gboolean sel_mirror_report_closed (SelMirror           *self,
                                   SelCore             *core,
                                   GError             **error);

/* Makes the context poll the descriptors that sel_mirror_hold() has taken out. */
void     sel_mirror_release       (SelMirror           *self,
                                   SelCore             *core,
                                   SelWatcher          *watcher);

/* After each poll() of the context: collects its findings. Findings of earlier polls stay if they were found again, or
 * if the kernel tells them only once. */
void     sel_mirror_collect       (SelMirror           *self);

/* A callback of the source runs a main loop. The ready descriptors are for that callback, so that the descriptors that
 * sel_mirror_collect() has found are not polled until sel_mirror_release(). */
void     sel_mirror_hold          (SelMirror           *self);

/* Notes which batch has taken @events. */
void     sel_mirror_note_taken    (SelMirror           *self,
                                   const SelReadyEvent *events,
                                   gssize               n_events,
                                   guint                batch);

/* A batch of @events has ended after the first @n_passed of them. Keeps the events whose callback was not called and
 * that the kernel tells only once, unless a later batch has taken them. */
void     sel_mirror_keep          (SelMirror           *self,
                                   const SelReadyEvent *events,
                                   gssize               n_passed,
                                   gssize               n_events,
                                   guint                batch);

/* Adds @events, which a wait has taken, to the findings for a callback that is to ask again. */
void     sel_mirror_lend          (SelMirror           *self,
                                   SelFound            *asked,
                                   const SelReadyEvent *events,
                                   gssize               n_events);

/* TRUE if dispatch () has something to do. */
static inline gboolean
sel_mirror_has_found (const SelMirror *self)
{
  return self->n_new > 0 || self->closed->len > 0;
}

G_END_DECLS
