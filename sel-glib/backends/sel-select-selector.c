/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Without this macro Darwin refuses descriptors above FD_SETSIZE. */
#define _DARWIN_UNLIMITED_SELECT 1

#include "config.h"

#ifdef HAVE_SELECT
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#endif

#include "core/sel-backend-private.h"
#include "core/sel-timeout-private.h"
#include "sel-select-selector.h"

/**
 * SECTION:sel-select-selector
 * @Title: SelSelectSelector
 * @Short_description: A selector over select()
 *
 * See the description of #SelSelectSelector.
 */

/**
 * SelSelectSelector:
 *
 * A selector over `select()`.
 *
 * It works on every system and with every kind of file. The cost of a wait is proportional to the highest registered
 * descriptor. Descriptors may be higher than `FD_SETSIZE`.
 *
 * Since: 1.0
 */

enum
{
  READ,
  WRITE,
  N_SETS
};

typedef struct
{
#ifdef HAVE_SELECT
  GArray *sets[N_SETS];
  GArray *waited[N_SETS]; /* a copy of sets for select(), which writes to it; update() may change sets meanwhile */
  GArray *write_only;     /* struct pollfd: see sel_select_selector_add_hangups() */
  guint start;            /* where the next search begins, so that all descriptors get their turn */
#else
  char none;
#endif
} SelSelectSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (SelSelectSelector, sel_select_selector, SEL_TYPE_BASE_SELECTOR)

#ifdef HAVE_SELECT

#define PRIV(self) \
  ((SelSelectSelectorPrivate *) sel_select_selector_get_instance_private ((SelSelectSelector *) (self)))

/* The kernel's sets of descriptors are arrays of long of any size. Only the type fd_set has a fixed size. */
#define WORD_BITS ((guint) (8 * sizeof (gulong)))

static inline gboolean
sel_bits_get (GArray *set,
              guint   fd)
{
  return (g_array_index (set, gulong, fd / WORD_BITS) >> (fd % WORD_BITS) & 1) != 0;
}

static inline void
sel_bits_put (GArray   *set,
              guint     fd,
              gboolean  value)
{
  gulong *word = &g_array_index (set, gulong, fd / WORD_BITS);
  gulong bit = 1UL << (fd % WORD_BITS);

  *word = value ? *word | bit : *word & ~bit;
}

static gboolean
sel_select_selector_open (SelBaseSelector  *self,
                          GError          **error)
{
  SelSelectSelectorPrivate *priv = PRIV (self);

  for (guint i = 0; i < N_SETS; i++)
    {
      priv->sets[i] = g_array_new (FALSE, TRUE, sizeof (gulong));
      priv->waited[i] = g_array_new (FALSE, TRUE, sizeof (gulong));
    }
  priv->write_only = g_array_new (FALSE, FALSE, sizeof (struct pollfd));

  return TRUE;
}

/* Makes room for @fd. */
static void
sel_select_selector_fit (SelSelectSelectorPrivate *priv,
                         int                       fd)
{
  guint n_words = MAX (priv->sets[READ]->len, (guint) fd / WORD_BITS + 1);

  for (guint i = 0; i < N_SETS; i++)
    g_array_set_size (priv->sets[i], n_words);
}

/* Removes the words after the highest descriptor. */
static void
sel_select_selector_trim (SelSelectSelectorPrivate *priv)
{
  guint n_words = priv->sets[READ]->len;

  while (n_words > 0 &&
         g_array_index (priv->sets[READ], gulong, n_words - 1) == 0 &&
         g_array_index (priv->sets[WRITE], gulong, n_words - 1) == 0)
    n_words--;

  for (guint i = 0; i < N_SETS; i++)
    g_array_set_size (priv->sets[i], n_words);
}

static gboolean
sel_select_selector_update (SelBaseSelector  *self,
                            int               fd,
                            SelEventMask      old_events,
                            SelEventMask      new_events,
                            GError          **error)
{
  SelSelectSelectorPrivate *priv = PRIV (self);

  if (new_events != 0 && !sel_backend_check_fd (fd, error))
    return FALSE;

  sel_select_selector_fit (priv, fd);
  sel_bits_put (priv->sets[READ], (guint) fd, (new_events & SEL_EVENT_READ) != 0);
  sel_bits_put (priv->sets[WRITE], (guint) fd, (new_events & SEL_EVENT_WRITE) != 0);
  sel_select_selector_trim (priv);

  return TRUE;
}

/* Finds the closed descriptors, because select() does not tell which ones are closed. */
static gboolean
sel_select_selector_report_closed (SelBaseSelector  *self,
                                   GError          **error)
{
  SelSelectSelectorPrivate *priv = PRIV (self);
  guint n_fds = priv->waited[READ]->len * WORD_BITS;

  for (guint fd = 0; fd < n_fds; fd++)
    {
      if ((sel_bits_get (priv->waited[READ], fd) || sel_bits_get (priv->waited[WRITE], fd)) &&
          fcntl ((int) fd, F_GETFD) < 0 &&
          !sel_backend_report_closed (self, (int) fd, error))
        return FALSE;
    }

  return TRUE;
}

/*
 * For a descriptor that is registered for writing only, all other mechanisms report a hang-up, because a write then
 * fails at once. select() reports a hang-up in the set for reading only, so such a descriptor is added to this set.
 * It is not added if there is already data to read, which would end the wait again and again.
 *
 * Some files, for example /proc/self/mountinfo, tell an error only once, to this poll() or to select(). Such
 * descriptors are left in write_only, for sel_select_selector_add_found().
 */
static void
sel_select_selector_add_hangups (SelSelectSelectorPrivate *priv)
{
  guint n_found = 0;

  g_array_set_size (priv->write_only, 0);
  for (guint word = 0; word < priv->waited[WRITE]->len; word++)
    {
      gulong bits = g_array_index (priv->waited[WRITE], gulong, word) &
                    ~g_array_index (priv->waited[READ], gulong, word);

      for (guint i = 0; bits != 0; i++, bits >>= 1)
        {
          struct pollfd entry = { .fd = (int) (word * WORD_BITS + i), .events = POLLIN };

          if ((bits & 1) != 0)
            g_array_append_val (priv->write_only, entry);
        }
    }

  if (priv->write_only->len > 0 &&
      poll ((struct pollfd *) (void *) priv->write_only->data, priv->write_only->len, 0) < 0)
    g_array_set_size (priv->write_only, 0);

  for (guint i = 0; i < priv->write_only->len; i++)
    {
      struct pollfd *entry = &g_array_index (priv->write_only, struct pollfd, i);

      if ((entry->revents & (POLLERR | POLLHUP)) != 0)
        g_array_index (priv->write_only, struct pollfd, n_found++) = *entry;
      else if (entry->revents != POLLIN)
        sel_bits_put (priv->waited[READ], (guint) entry->fd, TRUE);
    }
  g_array_set_size (priv->write_only, n_found);
}

/* Adds the descriptors that poll() has found before select(), which may not find them again. Returns: their number */
static int
sel_select_selector_add_found (SelSelectSelectorPrivate *priv)
{
  int n = 0;

  for (guint i = 0; i < priv->write_only->len; i++)
    {
      guint fd = (guint) g_array_index (priv->write_only, struct pollfd, i).fd;

      n += !sel_bits_get (priv->waited[WRITE], fd);
      sel_bits_put (priv->waited[WRITE], fd, TRUE);
    }

  return n;
}

static gboolean
sel_select_selector_has_hung_up (SelSelectSelectorPrivate *priv,
                                 guint                     fd)
{
  struct pollfd entry = { .fd = (int) fd };

  return fd / WORD_BITS < priv->sets[WRITE]->len && sel_bits_get (priv->sets[WRITE], fd) &&
         poll (&entry, 1, 0) > 0;
}

static void
sel_select_selector_report (SelBaseSelector *self,
                            guint            fd)
{
  SelSelectSelectorPrivate *priv = PRIV (self);
  SelEventMask events = 0;

  if (sel_bits_get (priv->waited[READ], fd))
    events |= SEL_EVENT_READ;
  if (sel_bits_get (priv->waited[WRITE], fd) ||
      (events != 0 && sel_select_selector_has_hung_up (priv, fd)))
    events |= SEL_EVENT_WRITE;

  if (events != 0)
    sel_backend_report_untagged (self, (int) fd, events, SEL_UNKNOWN_END);
}

static void
sel_select_selector_copy_sets (SelSelectSelectorPrivate *priv)
{
  for (guint i = 0; i < N_SETS; i++)
    {
      g_array_set_size (priv->waited[i], 0);
      g_array_append_vals (priv->waited[i], priv->sets[i]->data, priv->sets[i]->len);
    }
}

static int
sel_select_selector_pselect (SelSelectSelectorPrivate *priv,
                             gdouble                   timeout)
{
  struct timespec timespec;

  return pselect ((int) (priv->waited[READ]->len * WORD_BITS),
                  (fd_set *) (void *) priv->waited[READ]->data,
                  (fd_set *) (void *) priv->waited[WRITE]->data,
                  NULL, sel_timeout_to_timespec (timeout, &timespec), NULL);
}

static inline gboolean
sel_select_selector_is_quiet (SelSelectSelectorPrivate *priv,
                              guint                     word)
{
  return (g_array_index (priv->waited[READ], gulong, word) |
          g_array_index (priv->waited[WRITE], gulong, word)) == 0;
}

/* Reports as long as there is room. The next wait begins after the last report, so that each descriptor gets its
 * turn. */
static void
sel_select_selector_report_ready (SelBaseSelector *self)
{
  SelSelectSelectorPrivate *priv = PRIV (self);
  guint n_fds = priv->waited[READ]->len * WORD_BITS;
  guint start = priv->start < n_fds ? priv->start : 0;

  priv->start = 0;
  for (guint i = 0; i < n_fds; i++)
    {
      guint fd = (start + i) % n_fds;

      if (fd % WORD_BITS == 0 && sel_select_selector_is_quiet (priv, fd / WORD_BITS))
        {
          i += WORD_BITS - 1;
          continue;
        }

      sel_select_selector_report (self, fd);
      if (sel_backend_is_full (self))
        {
          priv->start = fd + 1;
          return;
        }
    }
}

static gboolean
sel_select_selector_wait (SelBaseSelector  *self,
                          gdouble           timeout,
                          GError          **error)
{
  SelSelectSelectorPrivate *priv = PRIV (self);
  gboolean has_found;
  int n_ready, errsv;

  sel_backend_lock (self);
  sel_select_selector_copy_sets (priv);
  sel_backend_unlock (self);
  sel_select_selector_add_hangups (priv);
  has_found = priv->write_only->len > 0;

  /* A signal must not lose these descriptors. */
  do
    n_ready = sel_select_selector_pselect (priv, has_found ? 0 : timeout);
  while (n_ready < 0 && errno == EINTR && has_found);
  errsv = errno;
  sel_backend_begin_reports (self);

  /* If one descriptor is closed, select() reports none of the others. */
  if (n_ready < 0 && errsv == EBADF)
    {
      if (!sel_select_selector_report_closed (self, error))
        return FALSE;

      sel_select_selector_copy_sets (priv);
      n_ready = sel_select_selector_pselect (priv, 0);
      errsv = errno;
    }
  if (n_ready < 0)
    return errsv == EBADF || sel_os_error_set (error, -1, errsv);

  if (has_found)
    n_ready += sel_select_selector_add_found (priv);
  if (n_ready > 0)
    sel_select_selector_report_ready (self);

  return TRUE;
}

static void
sel_select_selector_release (SelBaseSelector *self,
                             gboolean         forked)
{
  SelSelectSelectorPrivate *priv = PRIV (self);

  for (guint i = 0; i < N_SETS; i++)
    {
      g_clear_pointer (&priv->sets[i], g_array_unref);
      g_clear_pointer (&priv->waited[i], g_array_unref);
    }
  g_clear_pointer (&priv->write_only, g_array_unref);
}

#endif

static void
sel_select_selector_class_init (SelSelectSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

#ifdef HAVE_SELECT
  selector_class->open = sel_select_selector_open;
  selector_class->update = sel_select_selector_update;
  selector_class->wait = sel_select_selector_wait;
  selector_class->release = sel_select_selector_release;
#else
  selector_class->open = sel_backend_set_unsupported;
#endif
}

static void
sel_select_selector_init (SelSelectSelector *self)
{
}

/**
 * sel_select_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector over `select()`, and opens it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the system does not have the mechanism, or with a %SEL_OS_ERROR, for
 * example `EMFILE`.
 *
 * Returns: (transfer full) (type SelSelectSelector): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_select_selector_new (GError **error)
{
  return sel_backend_new (SEL_TYPE_SELECT_SELECTOR, error);
}

/**
 * sel_select_selector_is_supported:
 *
 * Tells whether a #SelSelectSelector can be made. To find it out, this makes one and frees it.
 *
 * Returns: %TRUE if the selector could be made
 *
 * Since: 1.0
 */
gboolean
sel_select_selector_is_supported (void)
{
  return sel_backend_can_open (SEL_TYPE_SELECT_SELECTOR);
}
