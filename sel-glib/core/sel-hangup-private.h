/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-pause-private.h"

G_BEGIN_DECLS

/*
 * Does any callback take care of this descriptor? A descriptor whose other end is gone is always ready, so that a
 * callback that ignores this would keep the main loop busy. A report carries the ends that the kernel tells. If a
 * callback is called several times in a row with nothing but an end, a probe decides, and the directions that have
 * ended are paused. If the mechanism cannot tell about ends and a probe has found none, the next probe comes after
 * twice as many calls.
 *
 * The data of this room is the SelHangupCount of each slot, which rooms below reset through its functions, and the ends
 * that the callback was told (SelKeyExtra).
 */

/* The checks that are due for an event. */
typedef enum
{
  SEL_HANGUP_CHECK_NOTHING = 0,
  SEL_HANGUP_CHECK_CLOSED = 1 << 0,
  SEL_HANGUP_CHECK_STALE = 1 << 1,
  SEL_HANGUP_CHECK_ENDED = 1 << 2
} SelHangupChecks;

/* A turn probes at most this part of #SelBaseSelector:max-dispatch, 1/16, to find out if directions have ended. If
 * thousands are hung up, the others do not have to wait for all probes. It is at least the other number. */
#define SEL_HANGUP_PROBED_SHARE 16
#define SEL_HANGUP_MIN_PROBED 2

static inline guint
sel_hangup_get_max_probes (SelCore *core)
{
  return MAX (sel_core_get_setting (core, SEL_SETTING_MAX_DISPATCH) / SEL_HANGUP_PROBED_SHARE, SEL_HANGUP_MIN_PROBED);
}

/* The slow path of the next function. */
SelHangupChecks sel_hangup_count_slow  (SelCore             *core,
                                        SelKeySlot          *slot,
                                        const SelReadyEvent *event);

/* Counts a call of the slot's callback for @event. Must be called with the lock held. Returns: the checks to make
 * before the call, by sel_hangup_check() */
static inline SelHangupChecks
sel_hangup_count (SelCore             *core,
                  SelKeySlot          *slot,
                  const SelReadyEvent *event)
{
  if (G_LIKELY (event->ends == 0 && slot->hangup.n_useless == 0 && slot->hangup.countdown > 1))
    {
      slot->hangup.countdown--;
      return SEL_HANGUP_CHECK_NOTHING;
    }

  return sel_hangup_count_slow (core, slot, event);
}

/* Counts a call of the GSourceFunc of the program for @event. If the function calls select (), a useless call is not
 * counted before sel_hangup_tell (). Takes the lock. Returns: the checks to make before the call */
SelHangupChecks sel_hangup_count_event (SelCore             *core,
                                        const SelReadyEvent *event,
                                        gboolean             calls_select);

/* With the lock: select () tells @events to such a function. Counts the useless ones, and probes those that would be
 * probed before a call. */
void            sel_hangup_tell        (SelCore             *core,
                                        const SelReadyEvent *events,
                                        gsize                n_events);

/* Makes @checks before the callback is called for @event. Takes the lock. A closed descriptor is paused until it is
 * modified. Directions whose end was ignored are paused as the policy says. If the kernel reports another file, which
 * had the number before, was closed while it was registered, and has an open duplicate, the kernel is told about the
 * file that has the number now. @calls_select is TRUE if the callback calls select (), which does not tell what
 * is paused. Returns: the events to call the callback for, or 0 */
SelEventMask    sel_hangup_check       (SelCore             *core,
                                        const SelReadyEvent *event,
                                        SelHangupChecks      checks,
                                        gboolean             calls_select);

G_END_DECLS
