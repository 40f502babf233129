/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What does a context poll, and what has it found? See sel-mirror-private.h. */

#include "config.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-event-mask-private.h"
#include "loop/sel-mirror-private.h"

#define MIRROR_PAGE_BITS 6
#define MIRROR_PAGE_SIZE (1u << MIRROR_PAGE_BITS)
#define MIRROR_PAGE_INDEX(fd) ((guint) (fd) & (MIRROR_PAGE_SIZE - 1))

/* A descriptor is polled if its events are not 0. The scan after each poll() reads the first array only. */
struct _SelMirrorPage
{
  GPollFD polls[MIRROR_PAGE_SIZE];
  guint32 generations[MIRROR_PAGE_SIZE]; /* of the registrations that are polled for */
  guint32 places[MIRROR_PAGE_SIZE]; /* the index of an old finding, plus 1; 0 outside of sel_mirror_collect() */
  guint32 batches[MIRROR_PAGE_SIZE]; /* see sel_mirror_note_taken() */
  guint64 orders[MIRROR_PAGE_SIZE]; /* of registrations of files that tell their news only once; 0 for others */
};

void
sel_mirror_init (SelMirror *self,
                 GSource   *source)
{
  self->source = source;
  self->poll_fd = -1;
  self->closed = g_array_new (FALSE, FALSE, sizeof (int));
  self->held = g_array_new (FALSE, FALSE, sizeof (int));
  sel_found_init (&self->found);
}

/* The source is destroyed, so that the context does not use the pages any more. */
void
sel_mirror_clear (SelMirror *self)
{
  for (guint i = 0; i < self->n_pages; i++)
    g_free (self->pages[i]);
  g_clear_pointer (&self->pages, g_free);
  g_clear_pointer (&self->closed, g_array_unref);
  g_clear_pointer (&self->held, g_array_unref);
  sel_found_clear (&self->found);
}

/* --- Polled descriptors --- */

/* The page of @fd, or NULL if no descriptor of that page has been polled. */
static SelMirrorPage *
sel_mirror_get_page (SelMirror *self,
                     int        fd)
{
  guint i = (guint) fd >> MIRROR_PAGE_BITS;

  return i < self->n_pages ? self->pages[i] : NULL;
}

static SelMirrorPage *
sel_mirror_ensure_page (SelMirror *self,
                        int        fd)
{
  guint i = (guint) fd >> MIRROR_PAGE_BITS;

  if (i >= self->n_pages)
    {
      guint n_pages = MAX (i + 1, 2 * self->n_pages);

      self->pages = g_renew (SelMirrorPage *, self->pages, n_pages);
      for (guint j = self->n_pages; j < n_pages; j++)
        self->pages[j] = NULL;
      self->n_pages = n_pages;
    }
  if (self->pages[i] == NULL)
    self->pages[i] = g_new0 (SelMirrorPage, 1);

  return self->pages[i];
}

/* TRUE if the kernel reports the file only once. Nearly all files stay ready until they are handled. Files in /proc and
 * /sys, which are regular files, and perf events are not ready any more after they were polled. */
static gboolean
sel_mirror_tells_once (int fd)
{
  char path[64], name[64];
  struct stat stat;
  gssize length;

  if (fstat (fd, &stat) < 0)
    return FALSE;
  if (S_ISREG (stat.st_mode))
    return TRUE;
  if ((stat.st_mode & S_IFMT) != 0)
    return FALSE;

  /* Linux shows the kind of a file that has no name elsewhere. */
  g_snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  length = readlink (path, name, sizeof name - 1);
  if (length < 0)
    return FALSE;
  name[length] = '\0';

  return strstr (name, "perf_event") != NULL;
}

void
sel_mirror_add_poll (SelMirror *self,
                     GPollFD   *poll)
{
  if (g_source_is_destroyed (self->source))
    return;

  g_source_add_poll (self->source, poll);
  if (g_source_is_destroyed (self->source))
    {
      GMainContext *context = g_source_get_context (self->source);

      if (context != NULL)
        g_main_context_remove_poll (context, poll);
    }
}

static void
sel_mirror_remove_poll (SelMirror *self,
                        GPollFD   *poll)
{
  if (!g_source_is_destroyed (self->source))
    g_source_remove_poll (self->source, poll);
  poll->events = poll->revents = 0;
  self->n_polled--;
}

static void
sel_mirror_remove_all (SelMirror *self)
{
  for (guint i = 0; i < self->n_pages && self->n_polled > 0; i++)
    {
      for (guint j = 0; self->pages[i] != NULL && j < MIRROR_PAGE_SIZE; j++)
        {
          if (self->pages[i]->polls[j].events != 0)
            sel_mirror_remove_poll (self, &self->pages[i]->polls[j]);
        }
    }
}

/* Makes the context poll @fd for the events that the selector has armed. */
static void
sel_mirror_sync_fd (SelMirror *self,
                    SelCore   *core,
                    int        fd)
{
  guint condition = sel_event_mask_to_poll (sel_registry_get_armed (core, fd), SEL_POLL_READ, POLLOUT);
  guint32 generation = sel_registry_get_fd_generation (core, fd);
  SelMirrorPage *page = condition != 0 ? sel_mirror_ensure_page (self, fd) : sel_mirror_get_page (self, fd);
  guint i = MIRROR_PAGE_INDEX (fd);
  GPollFD *poll;

  if (page == NULL)
    return;

  poll = &page->polls[i];
  if (condition == 0)
    {
      if (poll->events != 0)
        sel_mirror_remove_poll (self, poll);
      return;
    }

  if (poll->events == 0 || page->generations[i] != generation)
    page->orders[i] = sel_mirror_tells_once (fd) ? sel_registry_get_fd_order (core, fd) : 0;
  page->generations[i] = generation;
  poll->fd = fd;
  if (poll->events == 0)
    {
      poll->events = (gushort) condition;
      self->n_polled++;
      sel_mirror_add_poll (self, poll);
    }
  else
    {
      poll->events = (gushort) condition;
    }
}

static void
sel_mirror_append_fd (gpointer data,
                      gpointer user_data)
{
  int fd = GPOINTER_TO_INT (data);

  g_array_append_val (user_data, fd);
}

/* The descriptors that the context may have to poll in another way than before, or NULL. */
static GArray *
sel_mirror_steal_changed_fds (SelMirror  *self,
                              SelCore    *core,
                              SelWatcher *watcher)
{
  gboolean all;
  GArray *fds = sel_watcher_steal_changed_fds (watcher, &all);

  if (all)
    {
      for (guint i = 0; i < self->n_pages * MIRROR_PAGE_SIZE; i++)
        {
          SelMirrorPage *page = sel_mirror_get_page (self, (int) i);

          if (page != NULL && page->polls[MIRROR_PAGE_INDEX (i)].events != 0)
            sel_mirror_append_fd (GINT_TO_POINTER ((int) i), fds);
        }
      sel_registry_foreach_armed (core, sel_mirror_append_fd, fds);
    }

  return fds;
}

/* See sel_mirror_add_poll(). */
static gpointer
sel_mirror_add_poll_fd (SelMirror *self,
                        int        fd)
{
  gpointer tag;

  if (g_source_is_destroyed (self->source))
    return NULL;

  tag = g_source_add_unix_fd (self->source, fd, G_IO_IN);
  if (!g_source_is_destroyed (self->source))
    return tag;

  g_source_remove_unix_fd (self->source, tag);

  return NULL;
}

static void
sel_mirror_set_poll_fd (SelMirror *self,
                        int        poll_fd)
{
  if (poll_fd == self->poll_fd)
    return;

  if (self->poll_tag != NULL)
    g_source_remove_unix_fd (self->source, self->poll_tag);
  self->poll_tag = poll_fd >= 0 ? sel_mirror_add_poll_fd (self, poll_fd) : NULL;
  self->poll_fd = poll_fd;
}

void
sel_mirror_sync (SelMirror  *self,
                 SelCore    *core,
                 SelWatcher *watcher)
{
  g_autoptr(GArray) fds = NULL;
  int poll_fd = sel_registry_get_poll_fd (core);
  gboolean mirrored = poll_fd < 0;

  sel_watcher_set_mirrored (watcher, mirrored);
  sel_found_set_complete (&self->found, mirrored);
  sel_mirror_set_poll_fd (self, poll_fd);
  if (!mirrored)
    {
      sel_mirror_remove_all (self);
      sel_found_drop_all (&self->found);
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
  sel_mirror_remove_all (self);
  sel_watcher_set_all_changed (watcher);
}

/* --- Findings of poll() --- */

static void
sel_mirror_add_finding (SelMirror     *self,
                        SelMirrorPage *page,
                        guint          i)
{
  GPollFD *poll = &page->polls[i];
  guint revents = poll->revents;
  SelReadyEvent event = { .fd = poll->fd, .generation = page->generations[i],
                          .events = sel_fd_get_polled_events (poll->fd, poll->events, revents),
                          .ends = sel_ends_from_poll (revents) };

  poll->revents = 0;
  if ((revents & G_IO_NVAL) != 0)
    {
      g_array_append_val (self->closed, poll->fd);
    }
  else if (page->places[i] != 0)
    {
      SelFinding *old = sel_found_get (&self->found, page->places[i] - 1);

      old->events = (guint8) (old->order != 0 && old->order == page->orders[i] ? old->events | event.events
                                                                               : event.events);
      old->generation = event.generation;
      old->order = page->orders[i];
      old->ends = (guint8) event.ends;
      old->is_old = FALSE;
    }
  else
    {
      sel_found_add (&self->found, &event, page->orders[i]);
    }
}

static void
sel_mirror_scan (SelMirror *self)
{
  for (guint i = 0; i < self->n_pages; i++)
    {
      SelMirrorPage *page = self->pages[i];

      for (guint j = 0; page != NULL && j < MIRROR_PAGE_SIZE; j++)
        {
          if (G_UNLIKELY (page->polls[j].revents != 0))
            sel_mirror_add_finding (self, page, j);
        }
    }
}

/* Drops the findings from earlier polls that this one has not repeated, and counts the others. */
static void
sel_mirror_drop_old (SelMirror *self,
                     guint      n_old)
{
  guint n = 0;

  self->n_new = 0;
  for (guint i = 0; i < sel_found_get_n (&self->found); i++)
    {
      SelFinding *finding = sel_found_get (&self->found, i);

      if (i < n_old)
        sel_mirror_get_page (self, finding->fd)->places[MIRROR_PAGE_INDEX (finding->fd)] = 0;
      self->n_new += !finding->is_old;
      if (!finding->is_old || finding->order != 0)
        *sel_found_get (&self->found, n++) = *finding;
    }
  sel_found_set_n (&self->found, n);
}

void
sel_mirror_collect (SelMirror *self)
{
  guint n_old = sel_found_get_n (&self->found);

  for (guint i = 0; i < n_old; i++)
    {
      SelFinding *finding = sel_found_get (&self->found, i);

      finding->is_old = TRUE;
      sel_mirror_ensure_page (self, finding->fd)->places[MIRROR_PAGE_INDEX (finding->fd)] = i + 1;
    }

  sel_mirror_scan (self);
  if (n_old > 0)
    sel_mirror_drop_old (self, n_old);
  else
    self->n_new = sel_found_get_n (&self->found);
}

gboolean
sel_mirror_report_closed (SelMirror  *self,
                          SelCore    *core,
                          GError    **error)
{
  gboolean success = TRUE;

  if (G_LIKELY (self->closed->len == 0))
    return TRUE;

  sel_state_lock (core);
  for (guint i = 0; success && sel_state_is_usable (core) && i < self->closed->len; i++)
    {
      int fd = g_array_index (self->closed, int, i);

      if (fcntl (fd, F_GETFD) < 0)
        success = sel_ready_list_report_closed (core, fd, error);
    }
  sel_state_unlock (core);
  g_array_set_size (self->closed, 0);

  return success;
}

/* --- Batches, and callbacks that run a main loop --- */

void
sel_mirror_hold (SelMirror *self)
{
  for (guint i = 0; i < sel_found_get_n (&self->found); i++)
    {
      int fd = sel_found_get (&self->found, i)->fd;
      SelMirrorPage *page = sel_mirror_get_page (self, fd);

      if (page == NULL || page->polls[MIRROR_PAGE_INDEX (fd)].events == 0)
        continue;

      sel_mirror_remove_poll (self, &page->polls[MIRROR_PAGE_INDEX (fd)]);
      g_array_append_val (self->held, fd);
    }
}

void
sel_mirror_release (SelMirror  *self,
                    SelCore    *core,
                    SelWatcher *watcher)
{
  if (G_LIKELY (self->held->len == 0))
    return;

  sel_state_lock (core);
  if (sel_watcher_is_mirrored (watcher) && !sel_watcher_has_all_changed (watcher))
    {
      for (guint i = 0; i < self->held->len; i++)
        sel_mirror_sync_fd (self, core, g_array_index (self->held, int, i));
    }
  sel_state_unlock (core);
  g_array_set_size (self->held, 0);
}

void
sel_mirror_note_taken (SelMirror           *self,
                       const SelReadyEvent *events,
                       gssize               n_events,
                       guint                batch)
{
  for (gssize i = 0; i < n_events; i++)
    {
      SelMirrorPage *page = sel_mirror_get_page (self, events[i].fd);

      if (page != NULL)
        page->batches[MIRROR_PAGE_INDEX (events[i].fd)] = batch;
    }
}

void
sel_mirror_keep (SelMirror           *self,
                 const SelReadyEvent *events,
                 gssize               n_passed,
                 gssize               n_events,
                 guint                batch)
{
  for (gssize i = 0; i < n_events; i++)
    {
      SelMirrorPage *page = sel_mirror_get_page (self, events[i].fd);
      guint j = MIRROR_PAGE_INDEX (events[i].fd);
      gboolean was_called = i < n_passed && (events[i].ends & SEL_DISPATCH_SKIPPED) == 0;
      SelReadyEvent event = events[i];

      event.ends &= ~SEL_DISPATCH_SKIPPED;
      if (!was_called && page != NULL && page->orders[j] != 0 && page->batches[j] == batch)
        sel_found_add (&self->found, &event, page->orders[j]);
    }
}

void
sel_mirror_lend (SelMirror           *self,
                 SelFound            *asked,
                 const SelReadyEvent *events,
                 gssize               n_events)
{
  for (gssize i = 0; i < n_events; i++)
    {
      SelMirrorPage *page = sel_mirror_get_page (self, events[i].fd);

      sel_found_add (asked, &events[i], page != NULL ? page->orders[MIRROR_PAGE_INDEX (events[i].fd)] : 0);
    }
}
