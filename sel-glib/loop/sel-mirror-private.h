/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-registry-private.h"

G_BEGIN_DECLS

/*
 * Which descriptors does the context poll? Where the mechanism has a descriptor of its own, the context polls that.
 * Otherwise it polls each descriptor that the selector has armed: the context mirrors the set of the kernel.
 *
 * All functions must be called with the lock of the selector held, except sel_mirror_init() and sel_mirror_clear(),
 * and in the thread that runs the context.
 */
typedef struct
{
  GSource *source;           /* the owner of this struct */
  int poll_fd;               /* the mechanism's descriptor, or -1 */
  gpointer poll_tag;         /* of poll_fd in the source */
  GHashTable *tags;          /* of each armed descriptor in the source */
} SelMirror;

void     sel_mirror_init          (SelMirror  *self,
                                   GSource    *source);
void     sel_mirror_clear         (SelMirror  *self);

/* Makes the context poll the descriptors that the selector needs, after the changes that @watcher has collected. In a
 * child process that is nothing. */
void     sel_mirror_sync          (SelMirror  *self,
                                   SelCore    *core,
                                   SelWatcher *watcher);

/* Makes the context poll nothing, until the next synchronization. */
void     sel_mirror_poll_nothing  (SelMirror  *self,
                                   SelWatcher *watcher);

/* Tells the selector about descriptors that the context has found to be closed. The kernel of a selector may forget
 * them silently, and the number may have been registered for another file since. Fails if one is the selector's own. */
gboolean sel_mirror_report_closed (SelMirror  *self,
                                   SelCore    *core,
                                   GError    **error);

G_END_DECLS
