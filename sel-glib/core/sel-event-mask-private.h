/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-types.h"

G_BEGIN_DECLS

/* Conversions between #SelEventMask and the bits of poll () and epoll. */

/* The events that the bits of poll() or epoll mean. Each bit that does not clearly belong to the other direction
 * counts, so that a hang-up or an error counts for both: a read or a write would return at once. */
static inline SelEventMask
sel_event_mask_from_poll (guint revents,
                          guint in,
                          guint out)
{
  SelEventMask events = 0;

  revents &= 0xffff; /* some systems use the bits above */
  if ((revents & ~out) != 0)
    events |= SEL_EVENT_READ;
  if ((revents & ~in) != 0)
    events |= SEL_EVENT_WRITE;

  return events;
}

static inline guint
sel_event_mask_to_poll (SelEventMask events,
                        guint        in,
                        guint        out)
{
  return ((events & SEL_EVENT_READ) != 0 ? in : 0) |
         ((events & SEL_EVENT_WRITE) != 0 ? out : 0);
}

G_END_DECLS
