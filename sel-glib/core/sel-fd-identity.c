/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Does a number still stand for the file that was registered? See sel-fd-identity-private.h. */

#include "config.h"

#include <sys/stat.h>

#include "core/sel-environment-private.h"
#include "core/sel-fd-identity-private.h"

typedef struct
{
  dev_t device;
  ino_t inode;
  mode_t type;
  struct timespec created;   /* of a pipe without an inode number, on systems that keep this time */
} SelFdIdentity;

struct _SelFdIdentities
{
  GHashTable *by_fd;
};

SelFdIdentities *
sel_fd_identities_new (void)
{
  static const GDebugKey keys[] = { { "fd", 1 } };
  SelFdIdentities *identities;

  if ((g_parse_debug_string (sel_environment_get ("SEL_DEBUG"), keys, G_N_ELEMENTS (keys)) & 1) == 0)
    return NULL;

  identities = g_new0 (SelFdIdentities, 1);
  identities->by_fd = g_hash_table_new_full (NULL, NULL, NULL, g_free);

  return identities;
}

void
sel_fd_identities_free (SelFdIdentities *identities)
{
  g_hash_table_unref (identities->by_fd);
  g_free (identities);
}

static gboolean
sel_fd_identity_read (SelFdIdentity *identity,
                      int            fd)
{
  struct stat status;

  if (fstat (fd, &status) < 0)
    return FALSE;

  identity->device = status.st_dev;
  identity->inode = status.st_ino;
  identity->type = status.st_mode & S_IFMT;
  identity->created = (struct timespec) { 0 };

#ifdef HAVE_PIPE_CREATION_TIME
  if (status.st_ino == 0 && S_ISFIFO (status.st_mode))
    identity->created = status.st_ctim;
#endif

  return TRUE;
}

static gboolean
sel_fd_identity_equal (const SelFdIdentity *a,
                       const SelFdIdentity *b)
{
  return a->device == b->device && a->inode == b->inode && a->type == b->type &&
         a->created.tv_sec == b->created.tv_sec && a->created.tv_nsec == b->created.tv_nsec;
}

void
sel_fd_identities_remember (SelFdIdentities *identities,
                            int              fd)
{
  SelFdIdentity identity;

  if (sel_fd_identity_read (&identity, fd))
    g_hash_table_insert (identities->by_fd, GINT_TO_POINTER (fd), g_memdup2 (&identity, sizeof identity));
}

void
sel_fd_identities_forget (SelFdIdentities *identities,
                          int              fd)
{
  g_hash_table_remove (identities->by_fd, GINT_TO_POINTER (fd));
}

gboolean
sel_fd_identities_take_change (SelFdIdentities *identities,
                               int              fd)
{
  const SelFdIdentity *known = g_hash_table_lookup (identities->by_fd, GINT_TO_POINTER (fd));
  SelFdIdentity now;

  if (known == NULL || !sel_fd_identity_read (&now, fd) || sel_fd_identity_equal (known, &now))
    return FALSE;

  return g_hash_table_remove (identities->by_fd, GINT_TO_POINTER (fd));
}
