/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Remembers the file of each registered descriptor, if SEL_DEBUG=fd is in the environment. This finds programs that
 * close a descriptor without unregistering it, and then open another file that gets its number. The functions lock
 * for themselves and need no lock of the selector. */
typedef struct _SelFdIdentities SelFdIdentities;

/* Returns: NULL if SEL_DEBUG does not contain "fd" */
SelFdIdentities *sel_fd_identities_new      (void);
void             sel_fd_identities_free     (SelFdIdentities *identities);
void             sel_fd_identities_remember (SelFdIdentities *identities,
                                             int              fd);
void             sel_fd_identities_forget   (SelFdIdentities *identities,
                                             int              fd);

/* Warns once if @fd stands for another file than when it was remembered. Must be called without the selector's lock,
 * because a log handler may use the selector. */
void             sel_fd_identities_check    (SelFdIdentities *identities,
                                             int              fd);

G_END_DECLS
