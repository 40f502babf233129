/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <poll.h>

#include "core/sel-backend-private.h"

G_BEGIN_DECLS

/* Functions that the backends for poll() and /dev/poll share. */

static inline short
sel_pollfd_from_mask (SelEventMask events)
{
  return (short) sel_event_mask_to_poll (events, POLLIN, POLLOUT);
}

static inline gboolean
sel_pollfd_report (const struct pollfd  *entry,
                   SelBaseSelector      *selector,
                   GError              **error)
{
  if ((entry->revents & POLLNVAL) != 0)
    return sel_backend_report_closed (selector, entry->fd, error);

  sel_backend_report_untagged (selector, entry->fd,
                               sel_fd_get_polled_events (entry->fd, (guint) entry->events, (guint) entry->revents),
                               sel_ends_from_poll ((guint) entry->revents));

  return TRUE;
}

G_END_DECLS
