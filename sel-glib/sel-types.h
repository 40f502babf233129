/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>
#include <math.h>

#include <sel-glib/sel-version-macros.h>

G_BEGIN_DECLS

/**
 * SelEventMask:
 * @SEL_EVENT_READ: a read does not block: data can be read, or the end of the file or an error is reported
 * @SEL_EVENT_WRITE: a write does not block: there is room for data, or an error is reported
 *
 * The events to wait for on a descriptor, and the events that a descriptor is ready for.
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
 * @SEL_HANGUP_POLICY_THROTTLE: call the callback a few times, then after pauses of 1 ms to 100 ms
 * @SEL_HANGUP_POLICY_REPORT: call the callback in every turn of the loop, as #GMainContext does; this
 *   uses all the time of a processor
 * @SEL_HANGUP_POLICY_ONCE: call the callback once for each hang-up, and then not again until the descriptor is
 *   modified or refreshed, or something has changed, for example another writer of a FIFO has written
 *
 * How a main loop treats a descriptor that stays ready because of a hang-up or an error that its callback
 * ignores. See #SelBaseSelector:hangup-policy.
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
 * The timeout, in seconds, of a wait without a limit: positive infinity. In languages whose bindings read it from the
 * typelib, it is the largest finite number, which has the same effect.
 *
 * Since: 1.0
 */
#ifdef __GI_SCANNER__
#define SEL_WAIT_FOREVER 1.7976931348623157e308
#else
#define SEL_WAIT_FOREVER HUGE_VAL
#endif

#ifndef __GTK_DOC_IGNORE__
#ifdef __cplusplus
/* In C++ the operators give a SelEventMask, not a number. They are constants, also for the labels of a switch. */
#if __cplusplus >= 201103L
#define _SEL_CONSTEXPR constexpr
#else
#define _SEL_CONSTEXPR inline
#endif

extern "C++"
{
_SEL_CONSTEXPR SelEventMask
operator| (SelEventMask a, SelEventMask b)
{
  return static_cast<SelEventMask> (static_cast<unsigned int> (a) | static_cast<unsigned int> (b));
}

_SEL_CONSTEXPR SelEventMask
operator& (SelEventMask a, SelEventMask b)
{
  return static_cast<SelEventMask> (static_cast<unsigned int> (a) & static_cast<unsigned int> (b));
}

_SEL_CONSTEXPR SelEventMask
operator^ (SelEventMask a, SelEventMask b)
{
  return static_cast<SelEventMask> (static_cast<unsigned int> (a) ^ static_cast<unsigned int> (b));
}

_SEL_CONSTEXPR SelEventMask
operator~ (SelEventMask a)
{
  return static_cast<SelEventMask> (~static_cast<unsigned int> (a) & 3u);
}

inline SelEventMask &
operator|= (SelEventMask &a, SelEventMask b)
{
  a = a | b;

  return a;
}

inline SelEventMask &
operator&= (SelEventMask &a, SelEventMask b)
{
  a = a & b;

  return a;
}

inline SelEventMask &
operator^= (SelEventMask &a, SelEventMask b)
{
  a = a ^ b;

  return a;
}
}

#undef _SEL_CONSTEXPR
#endif
#endif

G_END_DECLS
