/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#ifdef HAVE_EPOLL
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>
#endif

#include "core/sel-backend-private.h"
#include "core/sel-timeout-private.h"
#include "sel-epoll-selector.h"

/**
 * SECTION:sel-epoll-selector
 * @Title: SelEpollSelector
 * @Short_description: A selector over Linux's epoll
 *
 * See the description of #SelEpollSelector.
 */

/**
 * SelEpollSelector:
 *
 * A selector over Linux's `epoll`.
 *
 * The cost of a wait depends on the number of descriptors that are ready, not on the number of registered descriptors.
 * Registering a regular file or a directory fails with `EPERM`; see #SelBaseSelector:emulate-always-ready.
 *
 * Unregister a descriptor before closing it. If it is closed first, while a duplicate of it is open, the kernel still
 * reports it, even after it was unregistered. In this case the selector makes a new epoll set.
 *
 * Since: 1.0
 */

typedef struct
{
#ifdef HAVE_EPOLL
  int epoll_fd;
  int outer_fd;         /* the set that programs get: it has epoll_fd only, and stays when that is replaced; or -1 */
  struct epoll_event *events;
  guint n_events;
  gboolean incomplete;  /* the new set of a rebuild could not be filled completely */
#else
  char none;
#endif
} SelEpollSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (SelEpollSelector, sel_epoll_selector, SEL_TYPE_BASE_SELECTOR)

#ifdef HAVE_EPOLL

#define PRIV(self) \
  ((SelEpollSelectorPrivate *) sel_epoll_selector_get_instance_private ((SelEpollSelector *) (self)))

/* EPOLLRDHUP: a read also returns at once if the other end will not send any more. */
#define READ_EVENTS (EPOLLIN | EPOLLRDHUP)

static gboolean
sel_epoll_selector_open (SelBaseSelector  *self,
                         GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);

  priv->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (priv->epoll_fd < 0)
    return sel_os_error_set (error, -1, errno);

  priv->outer_fd = -1;
  sel_backend_set_poll_fd (self, priv->epoll_fd);
  sel_backend_set_wait_sees_updates (self, TRUE);
  sel_backend_set_has_alarms (self, FALSE);

  return TRUE;
}

static gboolean
sel_epoll_selector_update (SelBaseSelector  *self,
                           int               fd,
                           SelEventMask      old_events,
                           SelEventMask      new_events,
                           GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);
  struct epoll_event event = {
    .events = sel_event_mask_to_poll (new_events, READ_EVENTS, EPOLLOUT),
    .data.u64 = (guint64) sel_backend_get_tag (self) << 32 | (guint32) fd,
  };
  int op = EPOLL_CTL_MOD;

  if (G_UNLIKELY (sel_backend_is_alarm (self)))
    event.events |= EPOLLET;
  if (old_events == 0)
    op = EPOLL_CTL_ADD;
  else if (new_events == 0)
    op = EPOLL_CTL_DEL;

  if (epoll_ctl (priv->epoll_fd, op, fd, &event) == 0)
    return TRUE;

  /* The number may stand for another file than the one that was added, or for a file that is still in the set. */
  if (op == EPOLL_CTL_MOD && errno == ENOENT)
    op = EPOLL_CTL_ADD;
  else if (op == EPOLL_CTL_ADD && errno == EEXIST)
    op = EPOLL_CTL_MOD;
  else
    return sel_os_error_set (error, fd, errno);

  if (epoll_ctl (priv->epoll_fd, op, fd, &event) == 0)
    return TRUE;

  return sel_os_error_set (error, fd, errno);
}

#ifdef HAVE_EPOLL_PWAIT2

static gboolean
sel_epoll_pwait2_is_missing (int errsv)
{
  return errsv == ENOSYS || errsv == EPERM || errsv == ENOTSUP;
}

#endif

/* Waits with a limit, in nanoseconds if the kernel has epoll_pwait2() and allows it, otherwise in milliseconds. */
static int
sel_epoll_selector_wait_for (SelEpollSelectorPrivate *priv,
                             int                      n_events,
                             gdouble                  timeout)
{
#ifdef HAVE_EPOLL_PWAIT2
  static int missing; /* atomic */

  if (!g_atomic_int_get (&missing))
    {
      struct timespec timespec;
      int n = epoll_pwait2 (priv->epoll_fd, priv->events, n_events,
                            sel_timeout_to_timespec (timeout, &timespec), NULL);

      if (n >= 0 || !sel_epoll_pwait2_is_missing (errno))
        return n;

      g_atomic_int_set (&missing, TRUE);
    }
#endif

  return epoll_wait (priv->epoll_fd, priv->events, n_events, sel_timeout_to_ms (timeout));
}

/* Makes the inner set readable in the outer one whenever the inner one has a report. */
static gboolean
sel_epoll_selector_watch_inner (SelEpollSelectorPrivate  *priv,
                                GError                  **error)
{
  struct epoll_event event = { .events = EPOLLIN };

  if (priv->outer_fd < 0 || epoll_ctl (priv->outer_fd, EPOLL_CTL_ADD, priv->epoll_fd, &event) == 0)
    return TRUE;

  return sel_os_error_set (error, -1, errno);
}

/* Replaces the kernel's set by a new one with the same descriptor number, and adds all current registrations. */
static gboolean
sel_epoll_selector_rebuild (SelBaseSelector  *self,
                            GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);
  int fd = epoll_create1 (EPOLL_CLOEXEC);

  if (fd < 0 || dup3 (fd, priv->epoll_fd, O_CLOEXEC) < 0)
    {
      sel_os_error_set (error, -1, errno);
      if (fd >= 0)
        close (fd);
      return FALSE;
    }

  close (fd);
  priv->incomplete = !sel_epoll_selector_watch_inner (priv, error) || !sel_backend_rearm_all (self, error);

  return !priv->incomplete;
}

/* Rebuilds the set again after a rebuild that was not complete. If this fails, too, the next wait tries again. */
static gboolean
sel_epoll_selector_complete (SelBaseSelector  *self,
                             GError          **error)
{
  gboolean success;

  sel_backend_lock (self);
  success = sel_epoll_selector_rebuild (self, error);
  sel_backend_unlock (self);

  return success;
}

/*
 * The kernel reports a registration that does not exist any more: the descriptor was closed before it was
 * unregistered, and a duplicate of it is open. Unless the number stands for the same file again, so that the kernel
 * can remove it, the set must be rebuilt.
 */
static gboolean
sel_epoll_selector_forget (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  struct epoll_event unused = { 0 };

  if (sel_backend_get_armed (self, fd) == 0 &&
      epoll_ctl (PRIV (self)->epoll_fd, EPOLL_CTL_DEL, fd, &unused) == 0)
    return TRUE;

  return sel_epoll_selector_rebuild (self, error);
}

G_STATIC_ASSERT ((int) EPOLLIN == SEL_EVENT_READ && (int) EPOLLOUT == 2 * SEL_EVENT_WRITE);

/* An error alone may be work, for example messages in the error queue of a socket. A hang-up says that nothing will be
 * sent any more; the probe finds out if something can still be written. */
static inline SelEnds
sel_epoll_selector_get_ends (guint revents)
{
  if ((revents & (EPOLLHUP | EPOLLRDHUP)) != 0)
    return SEL_READ_END;

  return (revents & EPOLLERR) != 0 ? SEL_UNKNOWN_END : 0;
}

/* Fast path: fills the ready list, which is empty, up to the first report that needs the slow path. The list has room
 * for all reports. The kernel reports no descriptor twice in one wait. Returns the number of filled events. */
static SEL_ALWAYS_INLINE gsize
sel_epoll_selector_fill (SelBaseSelector          *self,
                         SelReadyEvent            *ready,
                         SelBatchEntry            *entries,
                         gboolean                  for_batch,
                         const struct epoll_event *events,
                         gsize                     n_ready)
{
  SelCore *core = sel_core (self);
  SelKeyTable table = *sel_backend_get_table (self); /* a copy: the compiler does not know that it does not change */
  gsize n;

  for (n = 0; n < n_ready; n++)
    {
      guint revents = events[n].events;
      guint64 tagged_fd = events[n].data.u64;
      int fd = (int) (guint32) tagged_fd;
      guint32 tag = (guint32) (tagged_fd >> 32);
      SelEventMask mask = revents | revents >> 1; /* EPOLLIN is SEL_EVENT_READ, and EPOLLOUT twice SEL_EVENT_WRITE */

      if (G_UNLIKELY ((revents & ~(guint) (EPOLLIN | EPOLLOUT)) != 0) ||
          !(for_batch ? sel_batch_entry_fill_tagged (&entries[n], core, &ready[n], &table, fd, tag, mask)
                      : sel_ready_event_fill_tagged (&ready[n], &table, fd, tag, mask)))
        break;
    }

  sel_ready_list_set_n_events (core, n);
  if (for_batch)
    sel_ready_list_set_n_entries (core, n);

  return n;
}

/* Fast path. Returns the number of reports that are done. */
static SEL_ALWAYS_INLINE gsize
sel_epoll_selector_report_fast (SelBaseSelector          *self,
                                const struct epoll_event *events,
                                gsize                     n_ready)
{
  SelBatchEntry *entries;
  SelReadyEvent *ready = sel_ready_list_get_empty (sel_core (self), &entries);

  if (G_UNLIKELY (ready == NULL))
    return 0;

  /* A loop for each. */
  return entries != NULL ? sel_epoll_selector_fill (self, ready, entries, TRUE, events, n_ready)
                         : sel_epoll_selector_fill (self, ready, NULL, FALSE, events, n_ready);
}

/* Slow path: adds the reports from index @i on. */
static G_NO_INLINE gboolean
sel_epoll_selector_report (SelBaseSelector  *self,
                           gsize             i,
                           gsize             n_ready,
                           GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);
  int stale = -1;

  for (; i < n_ready; i++)
    {
      const struct epoll_event *event = &priv->events[i];
      int fd = (int) (guint32) event->data.u64;

      if (!sel_backend_report_tagged (self, fd, (guint32) (event->data.u64 >> 32),
                                      sel_event_mask_from_poll (event->events, READ_EVENTS, EPOLLOUT),
                                      sel_epoll_selector_get_ends (event->events)))
        stale = fd;
    }

  if (stale < 0 || sel_backend_changed_in_wait (self))
    return TRUE;

  return sel_epoll_selector_forget (self, stale, error);
}

/* Makes room for @room reports, and repeats a rebuild that was not complete. Returns the number of reports for which
 * there is room, or 0 on error. */
static gsize
sel_epoll_selector_prepare (SelBaseSelector  *self,
                            gsize             room,
                            GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);

  room = MIN (room, G_MAXINT / sizeof (struct epoll_event));
  if (priv->n_events < room)
    {
      priv->n_events = (guint) room;
      priv->events = g_renew (struct epoll_event, priv->events, priv->n_events);
    }

  return !priv->incomplete || sel_epoll_selector_complete (self, error) ? room : 0;
}

static gboolean
sel_epoll_selector_wait (SelBaseSelector  *self,
                         gdouble           timeout,
                         GError          **error)
{
  SelEpollSelectorPrivate *priv = PRIV (self);
  gsize room = sel_backend_get_room (self);
  gsize n_done;
  int n_ready;

  if (G_UNLIKELY (priv->n_events < room || priv->incomplete))
    {
      room = sel_epoll_selector_prepare (self, room, error);
      if (room == 0)
        return FALSE;
    }

  if (sel_timeout_is_forever (timeout))
    n_ready = epoll_wait (priv->epoll_fd, priv->events, (int) room, -1);
  else if (timeout <= 0)
    n_ready = epoll_wait (priv->epoll_fd, priv->events, (int) room, 0);
  else
    n_ready = sel_epoll_selector_wait_for (priv, (int) room, timeout);
  if (G_UNLIKELY (n_ready < 0))
    return sel_os_error_set (error, -1, errno);

  sel_backend_begin_reports (self);
  sel_backend_set_n_reports (self, (gsize) n_ready);
  n_done = sel_epoll_selector_report_fast (self, priv->events, (gsize) n_ready);

  return G_LIKELY (n_done == (gsize) n_ready) || sel_epoll_selector_report (self, n_done, (gsize) n_ready, error);
}

static void
sel_epoll_selector_release (SelBaseSelector *self,
                            gboolean         forked)
{
  SelEpollSelectorPrivate *priv = PRIV (self);

  g_clear_pointer (&priv->events, g_free);
  priv->n_events = 0;
  priv->incomplete = FALSE;
  close (priv->epoll_fd);
  if (priv->outer_fd >= 0)
    close (priv->outer_fd);
}

/* With the lock. */
static int
sel_epoll_selector_get_outer_fd (SelEpollSelectorPrivate  *priv,
                                 GError                  **error)
{
  if (priv->outer_fd >= 0)
    return priv->outer_fd;

  priv->outer_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (priv->outer_fd < 0)
    sel_os_error_set (error, -1, errno);
  else if (!sel_epoll_selector_watch_inner (priv, error))
    {
      close (priv->outer_fd);
      priv->outer_fd = -1;
    }

  return priv->outer_fd;
}

#endif

static void
sel_epoll_selector_get_property (GObject    *object,
                                 guint       property_id,
                                 GValue     *value,
                                 GParamSpec *pspec)
{
  g_value_set_int (value, sel_epoll_selector_get_fd (SEL_EPOLL_SELECTOR (object), NULL));
}

static void
sel_epoll_selector_class_init (SelEpollSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  /**
   * SelEpollSelector:fd:
   *
   * The result of sel_epoll_selector_get_fd(), or -1 if that fails, for example after the selector was closed.
   * Reading the property opens the selector, if it is not open. There is no notification.
   *
   * Since: 1.0
   */
  sel_backend_install_fd (G_OBJECT_CLASS (klass), sel_epoll_selector_get_property);

#ifdef HAVE_EPOLL
  selector_class->open = sel_epoll_selector_open;
  selector_class->update = sel_epoll_selector_update;
  selector_class->wait = sel_epoll_selector_wait;
  selector_class->release = sel_epoll_selector_release;
#else
  selector_class->open = sel_backend_set_unsupported;
#endif
}

static void
sel_epoll_selector_init (SelEpollSelector *self)
{
}

/**
 * sel_epoll_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector over `epoll`, and opens it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the system does not have the mechanism, or with a %SEL_OS_ERROR, for
 * example `EMFILE`.
 *
 * Returns: (transfer full) (type SelEpollSelector): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_epoll_selector_new (GError **error)
{
  return sel_backend_new (SEL_TYPE_EPOLL_SELECTOR, error);
}

/**
 * sel_epoll_selector_is_supported:
 *
 * Tells whether a #SelEpollSelector can be made. To find it out, this makes one and frees it.
 *
 * Returns: %TRUE if the selector could be made
 *
 * Since: 1.0
 */
gboolean
sel_epoll_selector_is_supported (void)
{
  return sel_backend_can_open (SEL_TYPE_EPOLL_SELECTOR);
}

/**
 * sel_epoll_selector_get_fd:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Gets an epoll descriptor of @self, which remains the owner. It is readable when a wait would end at once, also for
 * registered files that are always ready (see #SelBaseSelector:emulate-always-ready), and can be polled and added to
 * other epoll sets. It may be readable once more after sel_base_selector_wakeup(), a cancellation or a change; a wait
 * with a timeout of 0 then finds nothing. It does not change until @self is closed or opened again by
 * sel_base_selector_reinit().
 *
 * If a source of a main loop uses @self, too, a turn of that loop may take the wake-up out of the descriptor. The next
 * wait still ends at once. Call sel_base_selector_wakeup() again if the descriptor has to show it.
 *
 * Opens @self if it is not open, and fails like sel_epoll_selector_new() if that fails. Also fails with
 * %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_FORKED, or %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self
 * calls this.
 *
 * Returns: the descriptor, or -1 on error
 *
 * Since: 1.0
 */
int
sel_epoll_selector_get_fd (SelEpollSelector  *self,
                           GError            **error)
{
  int fd = -1;

  g_return_val_if_fail (SEL_IS_EPOLL_SELECTOR (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!sel_backend_ensure_open (SEL_BASE_SELECTOR (self), error))
    return -1;

#ifdef HAVE_EPOLL
  sel_backend_lock (SEL_BASE_SELECTOR (self));
  fd = sel_epoll_selector_get_outer_fd (PRIV (self), error);
  sel_backend_unlock (SEL_BASE_SELECTOR (self));
#endif

  return fd;
}
