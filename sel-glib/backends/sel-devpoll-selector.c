/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#ifdef HAVE_DEVPOLL
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/devpoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/sel-pollfd-private.h"
#endif

#include "core/sel-backend-private.h"
#include "core/sel-timeout-private.h"
#include "sel-devpoll-selector.h"

/**
 * SECTION:sel-devpoll-selector
 * @Title: SelDevpollSelector
 * @Short_description: A selector over the /dev/poll of Solaris and illumos
 *
 * See the description of #SelDevpollSelector.
 */

/**
 * SelDevpollSelector:
 *
 * A selector over the `/dev/poll` of Solaris and illumos.
 *
 * The cost of a wait depends little on the number of registered descriptors. Timeouts are rounded up to milliseconds.
 *
 * Since: 1.0
 */

typedef struct
{
#ifdef HAVE_DEVPOLL
  int devpoll_fd;
  struct pollfd *entries;
  guint n_entries;
#else
  char none;
#endif
} SelDevpollSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (SelDevpollSelector, sel_devpoll_selector, SEL_TYPE_BASE_SELECTOR)

#ifdef HAVE_DEVPOLL

#define PRIV(self) \
  ((SelDevpollSelectorPrivate *) sel_devpoll_selector_get_instance_private ((SelDevpollSelector *) (self)))

static int
sel_devpoll_open (void)
{
#ifdef O_CLOEXEC
  return open ("/dev/poll", O_RDWR | O_CLOEXEC);
#else
  int fd = open ("/dev/poll", O_RDWR);

  if (fd >= 0)
    fcntl (fd, F_SETFD, FD_CLOEXEC);

  return fd;
#endif
}

static gboolean
sel_devpoll_selector_open (SelBaseSelector  *self,
                           GError          **error)
{
  SelDevpollSelectorPrivate *priv = PRIV (self);

  priv->devpoll_fd = sel_devpoll_open ();
  if (priv->devpoll_fd < 0 && (errno == ENOENT || errno == ENODEV || errno == EACCES))
    return sel_backend_set_unsupported (self, error);
  if (priv->devpoll_fd < 0)
    return sel_os_error_set (error, -1, errno);

  return TRUE;
}

/* The number of writes that write no record, after which the write fails. */
#define MAX_STALLS 100

/*
 * Writes all records. The driver may stop after any byte. A record that was not written completely has had no effect,
 * and is written again. The offset stays 0, because old drivers fail when it reaches 2 GiB. The driver refuses more
 * records than RLIMIT_NOFILE, so that each is written alone then.
 */
static gboolean
sel_devpoll_selector_write_records (int                  devpoll_fd,
                                    const struct pollfd *records,
                                    gsize                n_records)
{
  gsize n_written = 0;
  gsize n_at_once = n_records;
  guint n_stalls = 0;

  while (n_written < n_records)
    {
      gsize size = MIN (n_records - n_written, n_at_once) * sizeof *records;
      gssize n = pwrite (devpoll_fd, records + n_written, size, 0);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EINVAL && size > sizeof *records)
        {
          n_at_once = 1;
          continue;
        }
      if (n < 0)
        return FALSE;
      if (n >= (gssize) sizeof *records)
        n_written += (gsize) n / sizeof *records;
      else if (++n_stalls == MAX_STALLS)
        {
          errno = EIO;
          return FALSE;
        }
    }

  return TRUE;
}

/*
 * The drivers of Solaris wait until no thread is in DP_POLL, which the core has woken before. A signal would end this
 * wait, and pwrite () would return the size nevertheless, as the driver has taken the records already: the change would
 * be lost. So signals have to wait.
 */
static gboolean
sel_devpoll_selector_write (int                  devpoll_fd,
                            const struct pollfd *records,
                            gsize                n_records)
{
  gboolean success;
  sigset_t all, old;
  int errnum;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  success = sel_devpoll_selector_write_records (devpoll_fd, records, n_records);
  errnum = errno;
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  errno = errnum;

  return success;
}

/* Fails with the error of a write. The driver refuses all records if RLIMIT_NOFILE is 0. */
static gboolean
sel_devpoll_selector_set_write_error (int      fd,
                                      GError **error)
{
  int errnum = errno;
  struct rlimit limit;

  sel_os_error_set (error, fd, errnum);
  if (errnum == EINVAL && getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 0)
    g_prefix_error (error, "RLIMIT_NOFILE is 0: ");

  return FALSE;
}

static gboolean
sel_devpoll_selector_update (SelBaseSelector  *self,
                             int               fd,
                             SelEventMask      old_events,
                             SelEventMask      new_events,
                             GError          **error)
{
  /* The driver adds a mask to the one that it has, so the old one must be removed first. */
  struct pollfd records[] = {
    { .fd = fd, .events = POLLREMOVE },
    { .fd = fd, .events = sel_pollfd_from_mask (new_events) },
  };
  gsize first = old_events != 0 ? 0 : 1;
  gsize end = new_events != 0 ? 2 : 1;

  if (new_events != 0 && !sel_backend_check_fd (fd, error))
    return FALSE;

  if (!sel_devpoll_selector_write (PRIV (self)->devpoll_fd, records + first, end - first))
    return sel_devpoll_selector_set_write_error (fd, error);

  return TRUE;
}

/* Removes a descriptor that the driver did not remove before, and would report forever. */
static gboolean
sel_devpoll_selector_forget (SelBaseSelector  *self,
                             int               fd,
                             GError          **error)
{
  const struct pollfd record = { .fd = fd, .events = POLLREMOVE };

  if (!sel_devpoll_selector_write (PRIV (self)->devpoll_fd, &record, 1))
    return sel_os_error_set (error, -1, errno);

  return TRUE;
}

static gboolean
sel_devpoll_selector_report (SelBaseSelector      *self,
                             const struct pollfd  *entry,
                             GError              **error)
{
  if (G_LIKELY (sel_backend_get_armed (self, entry->fd) != 0) || sel_backend_changed_in_wait (self))
    return sel_pollfd_report (entry, self, error);

  return sel_devpoll_selector_forget (self, entry->fd, error);
}

/* The number of reports to ask for at once. The driver refuses RLIMIT_NOFILE and more, and this limit can change at any
 * time. 0 if it allows no reports. */
static guint
sel_devpoll_get_room (gsize room)
{
  struct rlimit limit;

  room = MIN (room, G_MAXINT);
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && room >= limit.rlim_cur)
    room = limit.rlim_cur > 0 ? limit.rlim_cur - 1 : 0;

  return (guint) room;
}

static gboolean
sel_devpoll_contains (const struct pollfd *entries,
                      guint                n_entries,
                      int                  fd)
{
  for (guint i = 0; i < n_entries; i++)
    if (entries[i].fd == fd)
      return TRUE;

  return FALSE;
}

/*
 * Fills the entries. Returns: their number, or -1 with errno
 *
 * If RLIMIT_NOFILE allows fewer reports at once than there is room for, the driver is asked more than once. Each time
 * it goes on after the last descriptor that it has reported, until it is back at the first one.
 */
static int
sel_devpoll_selector_poll (SelDevpollSelectorPrivate *priv,
                           guint                      room,
                           int                        timeout)
{
  guint part = sel_devpoll_get_room (room);
  guint n = 0;

  if (part == 0)
    {
      errno = EINVAL;
      return -1;
    }

  while (n < room)
    {
      struct dvpoll request = { .dp_fds = priv->entries + n, .dp_timeout = n == 0 ? timeout : 0 };
      gboolean came_around;
      int n_more;

      request.dp_nfds = MIN (part, room - n);
      n_more = ioctl (priv->devpoll_fd, DP_POLL, &request);
      if (n_more < 0 && n == 0)
        return -1;
      if (n_more <= 0)
        break;

      came_around = n > 0 && sel_devpoll_contains (request.dp_fds, (guint) n_more, priv->entries[0].fd);
      n += (guint) n_more;
      if (came_around || (guint) n_more < part)
        break;
    }

  return (int) n;
}

static gboolean
sel_devpoll_selector_wait (SelBaseSelector  *self,
                           gdouble           timeout,
                           GError          **error)
{
  SelDevpollSelectorPrivate *priv = PRIV (self);
  guint room = (guint) MIN (sel_backend_get_room (self), G_MAXINT);
  int n_ready;

  if (priv->n_entries < room)
    {
      priv->n_entries = room;
      priv->entries = g_renew (struct pollfd, priv->entries, priv->n_entries);
    }

  n_ready = sel_devpoll_selector_poll (priv, room, sel_timeout_to_ms (timeout));
  if (n_ready < 0)
    return sel_os_error_set (error, -1, errno);

  sel_backend_begin_reports (self);
  for (int i = 0; i < n_ready; i++)
    {
      if (!sel_devpoll_selector_report (self, &priv->entries[i], error))
        return FALSE;
    }

  return TRUE;
}

static void
sel_devpoll_selector_release (SelBaseSelector *self,
                              gboolean         forked)
{
  SelDevpollSelectorPrivate *priv = PRIV (self);

  g_clear_pointer (&priv->entries, g_free);
  priv->n_entries = 0;
  close (priv->devpoll_fd);
}

#endif

static void
sel_devpoll_selector_get_property (GObject    *object,
                                   guint       property_id,
                                   GValue     *value,
                                   GParamSpec *pspec)
{
  g_value_set_int (value, sel_devpoll_selector_get_fd (SEL_DEVPOLL_SELECTOR (object), NULL));
}

static void
sel_devpoll_selector_class_init (SelDevpollSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  /**
   * SelDevpollSelector:fd:
   *
   * The result of sel_devpoll_selector_get_fd(), or -1 if that fails, for example after the selector was closed.
   * Reading the property opens the selector, if it is not open. There is no notification.
   *
   * Since: 1.0
   */
  sel_backend_install_fd (G_OBJECT_CLASS (klass), sel_devpoll_selector_get_property);

#ifdef HAVE_DEVPOLL
  selector_class->open = sel_devpoll_selector_open;
  selector_class->update = sel_devpoll_selector_update;
  selector_class->wait = sel_devpoll_selector_wait;
  selector_class->release = sel_devpoll_selector_release;
#else
  selector_class->open = sel_backend_set_unsupported;
#endif
}

static void
sel_devpoll_selector_init (SelDevpollSelector *self)
{
}

/**
 * sel_devpoll_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector over `/dev/poll`, and opens it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the system does not have the mechanism, or with a %SEL_OS_ERROR, for
 * example `EMFILE`.
 *
 * Returns: (transfer full) (type SelDevpollSelector): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_devpoll_selector_new (GError **error)
{
  return sel_backend_new (SEL_TYPE_DEVPOLL_SELECTOR, error);
}

/**
 * sel_devpoll_selector_is_supported:
 *
 * Tells whether a #SelDevpollSelector can be made. To find it out, this makes one and frees it.
 *
 * Returns: %TRUE if the selector could be made
 *
 * Since: 1.0
 */
gboolean
sel_devpoll_selector_is_supported (void)
{
  return sel_backend_can_open (SEL_TYPE_DEVPOLL_SELECTOR);
}

/**
 * sel_devpoll_selector_get_fd:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Gets the `/dev/poll` descriptor of @self. It cannot be polled: a main loop has to poll the registered descriptors
 * instead, as sel_base_selector_attach() does. @self owns the descriptor: do not close it.
 *
 * Opens @self if it is not open, and fails like sel_devpoll_selector_new() if that fails. Also fails with
 * %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_FORKED, or %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self
 * calls this.
 *
 * Returns: the descriptor, or -1 on error
 *
 * Since: 1.0
 */
int
sel_devpoll_selector_get_fd (SelDevpollSelector  *self,
                             GError          **error)
{
  g_return_val_if_fail (SEL_IS_DEVPOLL_SELECTOR (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!sel_backend_ensure_open (SEL_BASE_SELECTOR (self), error))
    return -1;

#ifdef HAVE_DEVPOLL
  return PRIV (self)->devpoll_fd;
#else
  return -1;
#endif
}
