/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* With SEL_DEBUG=fd in the environment: which file each registered descriptor stood for, to find
 * programs that close a descriptor, and open another file under its number, without unregistering it. */
typedef struct _SelFdIdentities SelFdIdentities;

SelFdIdentities *sel_fd_identities_new      (void);
void             sel_fd_identities_free     (SelFdIdentities *identities);
void             sel_fd_identities_remember (SelFdIdentities *identities,
                                             int              fd);
void             sel_fd_identities_forget   (SelFdIdentities *identities,
                                             int              fd);

/* Warns, once, if @fd stands for another file than when it was remembered. Call it without the selector's lock: the
 * warning may be handled by a function that uses the selector. */
void             sel_fd_identities_check    (SelFdIdentities *identities,
                                             int              fd);

G_END_DECLS
