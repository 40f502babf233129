/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-pause-private.h"

G_BEGIN_DECLS

/*
 * Does any callback take care of this descriptor? A descriptor that is hung up or closed is always ready, so that a
 * callback that ignores this would keep the main loop busy. Calls of callbacks are counted in the slot. When the
 * count says so, the descriptor is checked after its callback has returned, and paused if the hang-up policy of the
 * selector demands it.
 *
 * The data of this room is the SelHangupCount of each slot; rooms below reset it and note hang-ups through its
 * functions.
 */

/* The checks that are due for an event. */
typedef enum
{
  SEL_HANGUP_CHECK_NOTHING = 0,
  SEL_HANGUP_CHECK_AFTER_CALL = 1 << 0,
  SEL_HANGUP_CHECK_STALE = 1 << 1
} SelHangupChecks;

/* The slow path of the next function. */
SelHangupChecks sel_hangup_count_slow  (SelCore             *core,
                                        SelKeySlot          *slot);

/* Counts a call of the slot's callback. Must be called with the lock held. */
static inline SelHangupChecks
sel_hangup_count (SelCore    *core,
                  SelKeySlot *slot)
{
  if (G_LIKELY (!sel_hangup_count_may_be_due (&slot->hangup)))
    return SEL_HANGUP_CHECK_NOTHING;

  return sel_hangup_count_slow (core, slot);
}

/* The following functions must be called without the lock. */

/* Counts a call of the GSourceFunc of the program, which calls select () itself. Stores the registered events in
 * @registered, unless the registration was changed. */
SelHangupChecks sel_hangup_count_event (SelCore             *core,
                                        const SelReadyEvent *event,
                                        SelEventMask        *registered);

/* After the callback has returned: pauses the descriptor if it is closed, or if it is hung up and the policy demands
 * it. */
void            sel_hangup_check       (SelCore             *core,
                                        const SelReadyEvent *event,
                                        SelEventMask         registered);

/* Before the callback is called. The kernel may report another file: one that had the number before, that was closed
 * while it was registered, and of which a duplicate is open. In this case the kernel is told about the file that has
 * the number now. Returns: TRUE if the event was stale */
gboolean        sel_hangup_check_stale (SelCore             *core,
                                        const SelReadyEvent *event);

G_END_DECLS
