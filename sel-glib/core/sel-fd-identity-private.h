/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Remembers the file of each registered descriptor, if SEL_DEBUG=fd is in the environment. This finds programs that
 * close a descriptor without unregistering it, and then open another file that gets its number. The lock of the
 * selector protects them. */
typedef struct _SelFdIdentities SelFdIdentities;

/* Returns: NULL if SEL_DEBUG does not contain "fd" */
SelFdIdentities *sel_fd_identities_new      (void);
void             sel_fd_identities_free     (SelFdIdentities *identities);
void             sel_fd_identities_remember (SelFdIdentities *identities,
                                             int              fd);
void             sel_fd_identities_forget   (SelFdIdentities *identities,
                                             int              fd);

/* Forgets @fd if it stands for another file than when it was remembered. Returns: TRUE if it does */
gboolean         sel_fd_identities_take_change (SelFdIdentities *identities,
                                             int              fd);

G_END_DECLS
