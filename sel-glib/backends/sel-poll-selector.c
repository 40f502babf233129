/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#ifdef HAVE_POLL
#include <errno.h>

#include "backends/sel-pollfd-private.h"
#endif

#include "core/sel-backend-private.h"
#include "core/sel-timeout-private.h"
#include "sel-poll-selector.h"

/**
 * SECTION:sel-poll-selector
 * @Title: SelPollSelector
 * @Short_description: A selector over poll()
 *
 * See the description of #SelPollSelector.
 */

/**
 * SelPollSelector:
 *
 * A selector over `poll()`.
 *
 * It works on nearly every system and with every kind of file. The cost of a wait is proportional to the number of
 * registered descriptors.
 *
 * Since: 1.0
 */

typedef struct
{
#ifdef HAVE_POLL
  GArray *fds;          /* struct pollfd, without gaps */
  GArray *indices;      /* by descriptor: its index in fds, plus 1; or 0 */
  GArray *waited;       /* a copy of fds, because update() may be called during the wait */
  gboolean changed;     /* fds was changed since the copy was made */
  guint start;          /* the index at which the next search begins, so that all descriptors get their turn */
#else
  char none;
#endif
} SelPollSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (SelPollSelector, sel_poll_selector, SEL_TYPE_BASE_SELECTOR)

#ifdef HAVE_POLL

#define PRIV(self) \
  ((SelPollSelectorPrivate *) sel_poll_selector_get_instance_private ((SelPollSelector *) (self)))

static gboolean
sel_poll_selector_open (SelBaseSelector  *self,
                        GError          **error)
{
  SelPollSelectorPrivate *priv = PRIV (self);

  priv->fds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  priv->indices = g_array_new (FALSE, TRUE, sizeof (guint));
  priv->waited = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  priv->changed = TRUE;

  return TRUE;
}

/* The last entry takes the place of the removed one. */
static void
sel_poll_selector_remove (SelPollSelectorPrivate *priv,
                          int                     fd)
{
  guint *index = &g_array_index (priv->indices, guint, fd);
  struct pollfd last = g_array_index (priv->fds, struct pollfd, priv->fds->len - 1);

  g_array_remove_index_fast (priv->fds, *index - 1);
  g_array_index (priv->indices, guint, last.fd) = *index;
  *index = 0;
}

static gboolean
sel_poll_selector_update (SelBaseSelector  *self,
                          int               fd,
                          SelEventMask      old_events,
                          SelEventMask      new_events,
                          GError          **error)
{
  SelPollSelectorPrivate *priv = PRIV (self);
  struct pollfd entry = { .fd = fd, .events = sel_pollfd_from_mask (new_events) };

  if (new_events != 0 && !sel_backend_check_fd (fd, error))
    return FALSE;

  priv->changed = TRUE;
  if (new_events == 0)
    {
      sel_poll_selector_remove (priv, fd);
      return TRUE;
    }

  if (old_events == 0)
    {
      g_array_append_val (priv->fds, entry);
      if ((guint) fd >= priv->indices->len)
        g_array_set_size (priv->indices, (guint) fd + 1);
      g_array_index (priv->indices, guint, fd) = priv->fds->len;
      return TRUE;
    }

  g_array_index (priv->fds, struct pollfd, g_array_index (priv->indices, guint, fd) - 1) = entry;

  return TRUE;
}

static int
sel_poll_selector_poll (GArray  *fds,
                        gdouble  timeout)
{
#ifdef HAVE_PPOLL
  struct timespec timespec;

  return ppoll ((struct pollfd *) (void *) fds->data, fds->len,
                sel_timeout_to_timespec (timeout, &timespec), NULL);
#else
  return poll ((struct pollfd *) (void *) fds->data, fds->len, sel_timeout_to_ms (timeout));
#endif
}

static gboolean
sel_poll_selector_wait (SelBaseSelector  *self,
                        gdouble           timeout,
                        GError          **error)
{
  SelPollSelectorPrivate *priv = PRIV (self);
  guint i, n_fds;
  int n_ready;

  sel_backend_lock (self);
  if (priv->changed)
    {
      g_array_set_size (priv->waited, 0);
      g_array_append_vals (priv->waited, priv->fds->data, priv->fds->len);
      priv->changed = FALSE;
    }
  sel_backend_unlock (self);

  n_ready = sel_poll_selector_poll (priv->waited, timeout);
  if (n_ready < 0)
    return sel_os_error_set (error, -1, errno);

  n_fds = priv->waited->len;

  sel_backend_begin_reports (self);
  for (i = priv->start; n_ready > 0 && !sel_backend_is_full (self); i++)
    {
      const struct pollfd *entry;

      if (i >= n_fds)
        i = 0;
      entry = &g_array_index (priv->waited, struct pollfd, i);
      if (entry->revents == 0)
        continue;

      if (!sel_pollfd_report (entry, self, error))
        return FALSE;
      n_ready--;
    }
  priv->start = n_ready > 0 ? i : 0;

  return TRUE;
}

static void
sel_poll_selector_release (SelBaseSelector *self,
                           gboolean         forked)
{
  SelPollSelectorPrivate *priv = PRIV (self);

  g_clear_pointer (&priv->fds, g_array_unref);
  g_clear_pointer (&priv->indices, g_array_unref);
  g_clear_pointer (&priv->waited, g_array_unref);
}

#endif

static void
sel_poll_selector_class_init (SelPollSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

#ifdef HAVE_POLL
  selector_class->open = sel_poll_selector_open;
  selector_class->update = sel_poll_selector_update;
  selector_class->wait = sel_poll_selector_wait;
  selector_class->release = sel_poll_selector_release;
#else
  selector_class->open = sel_backend_set_unsupported;
#endif
}

static void
sel_poll_selector_init (SelPollSelector *self)
{
}

/**
 * sel_poll_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector over `poll()`, and opens it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the system does not have the mechanism, or with a %SEL_OS_ERROR, for
 * example `EMFILE`.
 *
 * Returns: (transfer full) (type SelPollSelector): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_poll_selector_new (GError **error)
{
  return sel_backend_new (SEL_TYPE_POLL_SELECTOR, error);
}

/**
 * sel_poll_selector_is_supported:
 *
 * Tells whether a #SelPollSelector can be made. To find it out, this makes one and frees it.
 *
 * Returns: %TRUE if the selector could be made
 *
 * Since: 1.0
 */
gboolean
sel_poll_selector_is_supported (void)
{
  return sel_backend_can_open (SEL_TYPE_POLL_SELECTOR);
}
