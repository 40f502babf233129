/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>
#include <math.h>

#include <sel-glib/sel-version-macros.h>

G_BEGIN_DECLS

/**
 * SelEventMask:
 * @SEL_EVENT_READ: a read would not block: there is data, or the end, or an error to be told
 * @SEL_EVENT_WRITE: a write would not block: there is room, or an error to be told
 *
 * What to wait for on a descriptor, and what it is ready for.
 *
 * The values are those of Python's `selectors.EVENT_READ` and `selectors.EVENT_WRITE`.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  SEL_EVENT_READ  = 1 << 0,
  SEL_EVENT_WRITE = 1 << 1
} SelEventMask;

/**
 * SelHangupPolicy:
 * @SEL_HANGUP_POLICY_THROTTLE: after a few calls, call its callback only ten times a second
 * @SEL_HANGUP_POLICY_REPORT: call its callback in every turn of the loop, as #GMainContext does; that
 *   takes all the time of a processor
 * @SEL_HANGUP_POLICY_ONCE: call its callback once, and then not before it was modified or refreshed
 *
 * What a main loop does with a descriptor that is ready for ever, as there is a hang-up or an error that
 * its callback does nothing about. See #SelBaseSelector:hangup-policy.
 *
 * Since: 1.0
 */
typedef enum
{
  SEL_HANGUP_POLICY_THROTTLE,
  SEL_HANGUP_POLICY_REPORT,
  SEL_HANGUP_POLICY_ONCE
} SelHangupPolicy;

/**
 * SEL_WAIT_FOREVER:
 *
 * The time-out, in seconds, that never ends: positive infinity.
 *
 * Since: 1.0
 */
#define SEL_WAIT_FOREVER ((gdouble) INFINITY)

G_END_DECLS
