/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#ifdef HAVE_KQUEUE
#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#endif

#include "core/sel-backend-private.h"
#include "core/sel-timeout-private.h"
#include "sel-kqueue-selector.h"

/**
 * SECTION:sel-kqueue-selector
 * @Title: SelKqueueSelector
 * @Short_description: A selector over the kqueue of the BSDs and macOS
 *
 * See the description of #SelKqueueSelector.
 */

/**
 * SelKqueueSelector:
 *
 * A selector over the `kqueue` of the BSDs and macOS.
 *
 * The cost of a wait depends on the number of descriptors that are ready, not on the number of registered descriptors.
 * Registering a regular file or a directory fails with `EPERM`, as with epoll, because the systems differ in the events
 * that they report for these files; see #SelBaseSelector:emulate-always-ready.
 *
 * Since: 1.0
 */

typedef struct
{
#ifdef HAVE_KQUEUE
  int kqueue_fd;
  struct kevent *events;
  guint n_events;
#else
  char none;
#endif
} SelKqueueSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (SelKqueueSelector, sel_kqueue_selector, SEL_TYPE_BASE_SELECTOR)

#ifdef HAVE_KQUEUE

#define PRIV(self) \
  ((SelKqueueSelectorPrivate *) sel_kqueue_selector_get_instance_private ((SelKqueueSelector *) (self)))

static const struct
{
  SelEventMask event;
  __typeof__ (((struct kevent *) 0)->filter) filter;
} filters[] = {
  { SEL_EVENT_READ, EVFILT_READ },
  { SEL_EVENT_WRITE, EVFILT_WRITE },
};

/* Changes one filter. Each filter has a call of its own, so that it is clear which filter an error is about. */
static gboolean
sel_kqueue_change (int      kqueue_fd,
                   int      fd,
                   guint    filter,
                   gushort  flags,
                   guint32  tag)
{
  struct kevent change = { 0 };

  change.ident = (__typeof__ (change.ident)) fd;
  change.filter = filters[filter].filter;
  change.flags = flags;
  /* An integer on some systems, a pointer on others. */
  change.udata = (__typeof__ (change.udata)) (guintptr) tag;

  return kevent (kqueue_fd, &change, 1, NULL, 0, &(struct timespec) { 0, 0 }) == 0;
}

static int
sel_kqueue_create (void)
{
#ifdef HAVE_KQUEUE1
  return kqueue1 (O_CLOEXEC);
#else
  int fd = kqueue ();

  if (fd >= 0)
    fcntl (fd, F_SETFD, FD_CLOEXEC);

  return fd;
#endif
}

static gboolean
sel_kqueue_selector_open (SelBaseSelector  *self,
                          GError          **error)
{
  SelKqueueSelectorPrivate *priv = PRIV (self);

  priv->kqueue_fd = sel_kqueue_create ();
  if (priv->kqueue_fd < 0)
    return sel_os_error_set (error, -1, errno);

  /* Some old kernels accept any descriptor, and do not work reliably. */
  if (sel_kqueue_change (priv->kqueue_fd, -1, 0, EV_ADD, 0))
    {
      close (priv->kqueue_fd);
      return sel_backend_set_unsupported (self, error);
    }

  sel_backend_set_poll_fd (self, priv->kqueue_fd);
  sel_backend_set_wait_sees_updates (self, TRUE);
  sel_backend_set_has_alarms (self, TRUE);

  return TRUE;
}

/* Refuses files and directories: the systems report different events for them, and none of these are useful. */
static gboolean
sel_kqueue_selector_check_kind (int      fd,
                                GError **error)
{
  struct stat status;

  if (fstat (fd, &status) < 0)
    return sel_os_error_set (error, fd, errno);

  if (S_ISREG (status.st_mode) || S_ISDIR (status.st_mode))
    return sel_os_error_set (error, fd, EPERM);

  return TRUE;
}

static gboolean
sel_kqueue_is_pipe (int fd)
{
  struct stat status;

  return fstat (fd, &status) == 0 && S_ISFIFO (status.st_mode);
}

/* The filters that wait for the events of a descriptor. */
typedef struct
{
  SelEventMask state;   /* these report as long as there is something to do */
  SelEventMask end;     /* these only tell that the other end of a pipe is gone; each change is reported once */
} FilterSet;

static SelEventMask
sel_kqueue_get_all (FilterSet set)
{
  return set.state | set.end;
}

/*
 * For a direction in which a pipe or a named pipe is not open, the systems refuse the filter, never look at it, report
 * the end, or report the bytes of the other direction. Such a filter does not wait for its own direction.
 *
 * Every system tells a pipe's end by the read filter, also to a writer; NetBSD, OpenBSD and old versions of macOS
 * forget the write filter of a full pipe then. A named pipe's writer hears it by the write filter on some systems.
 * FreeBSD and OpenBSD open both ends of a pipe for reading and writing, so that data may come from the other end.
 */
static FilterSet
sel_kqueue_get_filters (int          fd,
                        SelEventMask events)
{
  FilterSet set = { events, 0 };
  int mode = events != 0 ? fcntl (fd, F_GETFL) & O_ACCMODE : 0;
  gboolean reads = (events & SEL_EVENT_READ) != 0 && mode != O_WRONLY;
  gboolean only_reads = events == SEL_EVENT_READ || mode == O_RDWR;

  if (events == 0 || (reads && only_reads) || !sel_kqueue_is_pipe (fd))
    return set;

  if (mode == O_RDONLY)
    set.state &= SEL_EVENT_READ;
  if (mode == O_WRONLY)
    set.state &= SEL_EVENT_WRITE;
  set.end = (mode == O_WRONLY ? SEL_ALL_EVENTS : SEL_EVENT_READ) & ~set.state;

  return set;
}

static void
sel_kqueue_selector_delete (SelKqueueSelectorPrivate *priv,
                            int                       fd,
                            SelEventMask              events)
{
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++)
    {
      if ((events & filters[i].event) != 0)
        sel_kqueue_change (priv->kqueue_fd, fd, i, EV_DELETE, 0);
    }
}

/* Adds @wanted to the filters of @fd. If the kernel refuses one that waits for a state, or all that tell the end,
 * removes those that were not among @before. */
static gboolean
sel_kqueue_selector_add (SelBaseSelector  *self,
                         int               fd,
                         FilterSet         wanted,
                         SelEventMask      before,
                         GError          **error)
{
  SelKqueueSelectorPrivate *priv = PRIV (self);
  guint32 tag = sel_backend_get_tag (self);
  SelEventMask once = sel_backend_is_alarm (self) ? SEL_ALL_EVENTS : wanted.end;
  SelEventMask added = 0;
  gboolean is_refused = FALSE;
  int errnum = 0;

  /* Add filters that exist already, too: the number may stand for another file by now, which has none. */
  for (guint i = 0; i < G_N_ELEMENTS (filters) && !is_refused; i++)
    {
      SelEventMask event = filters[i].event;

      if ((sel_kqueue_get_all (wanted) & event) == 0)
        continue;

      if (sel_kqueue_change (priv->kqueue_fd, fd, i, (once & event) != 0 ? EV_ADD | EV_CLEAR : EV_ADD, tag))
        {
          added |= event;
        }
      else
        {
          errnum = errno;
          is_refused = (wanted.state & event) != 0;
        }
    }

  if (added != 0 && !is_refused)
    return TRUE;

  /* The descriptor was open just now: NetBSD returns EBADF for a pipe whose other end is closed. */
  sel_os_error_set (error, fd, errnum == EBADF ? EPIPE : errnum);
  sel_kqueue_selector_delete (priv, fd, added & ~before);

  return FALSE;
}

static gboolean
sel_kqueue_selector_update (SelBaseSelector  *self,
                            int               fd,
                            SelEventMask      old_events,
                            SelEventMask      new_events,
                            GError          **error)
{
  FilterSet old = sel_kqueue_get_filters (fd, old_events);
  FilterSet wanted = sel_kqueue_get_filters (fd, new_events);
  SelEventMask before = sel_kqueue_get_all (old);
  SelEventMask converted = (old.state & wanted.end) | (old.end & wanted.state);

  /* Adding a filter again does not change its flags. */
  sel_kqueue_selector_delete (PRIV (self), fd, converted);
  before &= ~converted;

  if (new_events != 0 &&
      (!sel_backend_check_fd (fd, error) ||
       !sel_kqueue_selector_check_kind (fd, error) ||
       !sel_kqueue_selector_add (self, fd, wanted, before, error)))
    return FALSE;

  sel_kqueue_selector_delete (PRIV (self), fd, before & ~sel_kqueue_get_all (wanted));

  return TRUE;
}

/* Removes a filter that the kernel did not remove before, and would report forever. If the descriptor was registered
 * again with this filter, the filter belongs to the new registration and stays. */
static gboolean
sel_kqueue_selector_forget (SelBaseSelector      *self,
                            const struct kevent  *event,
                            GError              **error)
{
  int fd = (int) event->ident;
  guint filter = event->filter == EVFILT_WRITE ? 1 : 0;
  FilterSet armed = sel_kqueue_get_filters (fd, sel_backend_get_armed (self, fd));

  if (sel_backend_changed_in_wait (self) || (sel_kqueue_get_all (armed) & filters[filter].event) != 0)
    return TRUE;

  if (!sel_kqueue_change (PRIV (self)->kqueue_fd, fd, filter, EV_DELETE, 0) && errno != ENOENT && errno != EBADF)
    return sel_os_error_set (error, -1, errno);

  return TRUE;
}

/* The events of a report. A pipe whose other end is gone is ready for both; short of that, a filter that is to tell the
 * end has nothing to report. */
static SelEventMask
sel_kqueue_selector_get_events (SelBaseSelector     *self,
                                const struct kevent *event)
{
  int fd = (int) event->ident;
  SelEventMask events = event->filter == EVFILT_WRITE ? SEL_EVENT_WRITE : SEL_EVENT_READ;
  SelEventMask armed;

  if (G_LIKELY ((event->flags & (EV_EOF | EV_CLEAR)) == 0))
    return events;

  armed = sel_backend_get_armed (self, fd);
  if ((event->flags & EV_EOF) == 0)
    return events & ~sel_kqueue_get_filters (fd, armed).end;

  return (armed & ~events) != 0 && sel_kqueue_is_pipe (fd) ? SEL_ALL_EVENTS : events;
}

/* TRUE if the kernel does not report this end again. FreeBSD reports once that a pipe has no reader, removes the write
 * filter, and refuses it with EPIPE from then on. */
static gboolean
sel_kqueue_is_last_report (const struct kevent *event)
{
  return (event->flags & EV_ONESHOT) != 0 || (event->flags & (EV_EOF | EV_CLEAR)) == (EV_EOF | EV_CLEAR);
}

static gboolean
sel_kqueue_selector_wait (SelBaseSelector  *self,
                          gdouble           timeout,
                          GError          **error)
{
  SelKqueueSelectorPrivate *priv = PRIV (self);
  guint room = (guint) MIN (sel_backend_get_filter_room (self), G_MAXINT);
  struct timespec timespec;
  int n_ready;

  if (priv->n_events < room)
    {
      priv->n_events = room;
      priv->events = g_renew (struct kevent, priv->events, priv->n_events);
    }

  n_ready = kevent (priv->kqueue_fd, NULL, 0, priv->events, (int) room,
                    sel_timeout_to_timespec (timeout, &timespec));
  if (n_ready < 0)
    return sel_os_error_set (error, -1, errno);

  sel_backend_begin_reports (self);
  sel_backend_set_n_reports (self, (gsize) n_ready);
  for (int i = 0; i < n_ready; i++)
    {
      const struct kevent *event = &priv->events[i];
      SelEventMask events = sel_kqueue_selector_get_events (self, event);
      SelEnds ends = (event->flags & EV_EOF) != 0 ? (SelEnds) events : 0;

      if (sel_backend_report_tagged (self, (int) event->ident, (guint32) (guintptr) event->udata, events, ends))
        {
          if (G_UNLIKELY (sel_kqueue_is_last_report (event)))
            sel_backend_rearm (self, (int) event->ident);
        }
      else if (!sel_kqueue_selector_forget (self, event, error))
        {
          return FALSE;
        }
    }

  return TRUE;
}

static void
sel_kqueue_selector_release (SelBaseSelector *self,
                             gboolean         forked)
{
  SelKqueueSelectorPrivate *priv = PRIV (self);

  g_clear_pointer (&priv->events, g_free);
  priv->n_events = 0;

  /* A child does not inherit the queue. Its number may stand for another file. */
  if (!forked)
    close (priv->kqueue_fd);
}

#endif

static void
sel_kqueue_selector_get_property (GObject    *object,
                                  guint       property_id,
                                  GValue     *value,
                                  GParamSpec *pspec)
{
  g_value_set_int (value, sel_kqueue_selector_get_fd (SEL_KQUEUE_SELECTOR (object), NULL));
}

static void
sel_kqueue_selector_class_init (SelKqueueSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  /**
   * SelKqueueSelector:fd:
   *
   * The result of sel_kqueue_selector_get_fd(), or -1 if that fails, for example after the selector was closed.
   * Reading the property opens the selector, if it is not open. There is no notification.
   *
   * Since: 1.0
   */
  sel_backend_install_fd (G_OBJECT_CLASS (klass), sel_kqueue_selector_get_property);

#ifdef HAVE_KQUEUE
  selector_class->open = sel_kqueue_selector_open;
  selector_class->update = sel_kqueue_selector_update;
  selector_class->wait = sel_kqueue_selector_wait;
  selector_class->release = sel_kqueue_selector_release;
#else
  selector_class->open = sel_backend_set_unsupported;
#endif
}

static void
sel_kqueue_selector_init (SelKqueueSelector *self)
{
}

/**
 * sel_kqueue_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector over `kqueue`, and opens it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the system does not have the mechanism, or with a %SEL_OS_ERROR, for
 * example `EMFILE`.
 *
 * Returns: (transfer full) (type SelKqueueSelector): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_kqueue_selector_new (GError **error)
{
  return sel_backend_new (SEL_TYPE_KQUEUE_SELECTOR, error);
}

/**
 * sel_kqueue_selector_is_supported:
 *
 * Tells whether a #SelKqueueSelector can be made. To find it out, this makes one and frees it.
 *
 * Returns: %TRUE if the selector could be made
 *
 * Since: 1.0
 */
gboolean
sel_kqueue_selector_is_supported (void)
{
  return sel_backend_can_open (SEL_TYPE_KQUEUE_SELECTOR);
}

/**
 * sel_kqueue_selector_get_fd:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Gets the kqueue descriptor of @self, for polling it. It is readable when a wait would end at once. The number stays
 * the same until @self is closed or sel_base_selector_reinit() is called. @self owns the descriptor: do not close it.
 *
 * Opens @self if it is not open, and fails like sel_kqueue_selector_new() if that fails. Also fails with
 * %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_FORKED, or %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self
 * calls this.
 *
 * Returns: the descriptor, or -1 on error
 *
 * Since: 1.0
 */
int
sel_kqueue_selector_get_fd (SelKqueueSelector  *self,
                            GError         **error)
{
  g_return_val_if_fail (SEL_IS_KQUEUE_SELECTOR (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!sel_backend_ensure_open (SEL_BASE_SELECTOR (self), error))
    return -1;

#ifdef HAVE_KQUEUE
  return PRIV (self)->kqueue_fd;
#else
  return -1;
#endif
}
