/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>
#include <glib-unix.h>

#include "core/sel-event-mask-private.h"
#include "core/sel-ready-list-private.h"
#include "loop/sel-mirror-private.h"

void
sel_mirror_init (SelMirror *self,
                 GSource   *source)
{
  self->source = source;
  self->poll_fd = -1;
  self->tags = g_hash_table_new (NULL, NULL);
}

void
sel_mirror_clear (SelMirror *self)
{
  g_clear_pointer (&self->tags, g_hash_table_unref);
}

/* Another thread may destroy the source at any time. GLib does not expect that somebody adds to it then, so it is
 * tested before, and again after: a descriptor that GLib has taken out does not come back. */
static gpointer
sel_mirror_add_fd (SelMirror    *self,
                   int           fd,
                   GIOCondition  condition)
{
  gpointer tag;

  if (g_source_is_destroyed (self->source))
    return NULL;

  tag = g_source_add_unix_fd (self->source, fd, condition);
  if (!g_source_is_destroyed (self->source))
    return tag;

  g_source_remove_unix_fd (self->source, tag);

  return NULL;
}

static gboolean
sel_mirror_remove_tag (gpointer key,
                       gpointer value,
                       gpointer user_data)
{
  SelMirror *self = user_data;

  g_source_remove_unix_fd (self->source, value);

  return TRUE;
}

static void
sel_mirror_remove_all_tags (SelMirror *self)
{
  g_hash_table_foreach_remove (self->tags, sel_mirror_remove_tag, self);
}

/* Makes the context poll @fd for the events that the selector has armed. */
static void
sel_mirror_sync_fd (SelMirror *self,
                    SelCore   *core,
                    int        fd)
{
  GIOCondition condition = sel_event_mask_to_poll (sel_registry_get_armed (core, fd), G_IO_IN, G_IO_OUT);
  gpointer tag = g_hash_table_lookup (self->tags, GINT_TO_POINTER (fd));

  if (condition == 0)
    {
      if (tag != NULL)
        g_source_remove_unix_fd (self->source, tag);
      g_hash_table_remove (self->tags, GINT_TO_POINTER (fd));
    }
  else if (tag != NULL)
    {
      g_source_modify_unix_fd (self->source, tag, condition);
    }
  else
    {
      tag = sel_mirror_add_fd (self, fd, condition);
      if (tag != NULL)
        g_hash_table_insert (self->tags, GINT_TO_POINTER (fd), tag);
    }
}

static void
sel_mirror_append_fd (gpointer data,
                      gpointer user_data)
{
  int fd = GPOINTER_TO_INT (data);

  g_array_append_val (user_data, fd);
}

/* The descriptors that the context may have to poll in another way than before. */
static GArray *
sel_mirror_steal_changed_fds (SelMirror  *self,
                              SelCore    *core,
                              SelWatcher *watcher)
{
  GArray *fds = watcher->changed_fds;

  if (watcher->changed_all)
    {
      GHashTableIter iter;
      gpointer fd;

      g_array_set_size (fds, 0);
      g_hash_table_iter_init (&iter, self->tags);
      while (g_hash_table_iter_next (&iter, &fd, NULL))
        sel_mirror_append_fd (fd, fds);
      sel_registry_foreach_armed (core, sel_mirror_append_fd, fds);
      watcher->changed_all = FALSE;
    }

  if (fds->len == 0)
    return NULL;

  watcher->changed_fds = g_array_new (FALSE, FALSE, sizeof (int));

  return fds;
}

static void
sel_mirror_set_poll_fd (SelMirror *self,
                        int        poll_fd)
{
  if (poll_fd == self->poll_fd)
    return;

  if (self->poll_tag != NULL)
    g_source_remove_unix_fd (self->source, self->poll_tag);
  self->poll_tag = poll_fd >= 0 ? sel_mirror_add_fd (self, poll_fd, G_IO_IN) : NULL;
  self->poll_fd = poll_fd;
}

void
sel_mirror_sync (SelMirror  *self,
                 SelCore    *core,
                 SelWatcher *watcher)
{
  g_autoptr(GArray) fds = NULL;
  int poll_fd = sel_registry_get_poll_fd (core);

  watcher->mirrored = poll_fd < 0;
  sel_mirror_set_poll_fd (self, poll_fd);
  if (!watcher->mirrored)
    {
      if (g_hash_table_size (self->tags) > 0)
        sel_mirror_remove_all_tags (self);
      return;
    }

  fds = sel_mirror_steal_changed_fds (self, core, watcher);
  for (guint i = 0; fds != NULL && i < fds->len; i++)
    sel_mirror_sync_fd (self, core, g_array_index (fds, int, i));
}

void
sel_mirror_poll_nothing (SelMirror  *self,
                         SelWatcher *watcher)
{
  sel_mirror_set_poll_fd (self, -1);
  sel_mirror_remove_all_tags (self);
  watcher->changed_all = TRUE;
}

gboolean
sel_mirror_report_closed (SelMirror  *self,
                          SelCore    *core,
                          GError    **error)
{
  gboolean success = TRUE;
  GHashTableIter iter;
  gpointer fd, tag;

  g_hash_table_iter_init (&iter, self->tags);
  while (success && g_hash_table_iter_next (&iter, &fd, &tag))
    {
      if ((g_source_query_unix_fd (self->source, tag) & G_IO_NVAL) != 0 &&
          fcntl (GPOINTER_TO_INT (fd), F_GETFD) < 0)
        success = sel_ready_list_report_closed (core, GPOINTER_TO_INT (fd), error);
    }

  return success;
}
