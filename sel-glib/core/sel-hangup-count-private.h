/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Counts the calls of a descriptor's callback, to find out when to check the descriptor: see sel-hangup-private.h.
 * Each slot has one. */
typedef struct
{
  guint8 n_calls;
  guint8 maybe_hung_up;        /* the kernel has reported a hang-up, or the mechanism cannot tell hang-ups */
} SelHangupCount;

/* A descriptor that may be hung up is checked after every 8 calls. Otherwise the checks become rarer: after 8, 16,
 * 32, 64 and 128 calls, and then after every 128 calls. */
#define SEL_HANGUP_CALLS_BEFORE_CHECK 8
#define SEL_HANGUP_MAX_CALLS 256 /* then n_calls is 0 */

/* After so many calls it is also checked that the kernel reports the file that has the number now. */
#define SEL_HANGUP_CALLS_BEFORE_STALE_CHECK 64

static inline void
sel_hangup_count_note (SelHangupCount *count,
                       gboolean        maybe_hung_up)
{
  count->maybe_hung_up |= maybe_hung_up != FALSE;
}

/* The registration is a new one for the kernel. */
static inline void
sel_hangup_count_reset (SelHangupCount *count)
{
  count->maybe_hung_up = FALSE;
}

/* The next call leads to a check. */
static inline void
sel_hangup_count_check_soon (SelHangupCount *count)
{
  count->n_calls = SEL_HANGUP_CALLS_BEFORE_CHECK - 1;
}

/* Counts a call. Returns: FALSE if no check is due, or TRUE if sel_hangup_count_is_due() has to decide */
static inline gboolean
sel_hangup_count_may_be_due (SelHangupCount *count)
{
  return ++count->n_calls % SEL_HANGUP_CALLS_BEFORE_CHECK == 0 || count->maybe_hung_up;
}

/* After a call was counted. Returns: TRUE if the descriptor is to be checked after it */
static inline gboolean
sel_hangup_count_is_due (SelHangupCount *count,
                         gboolean        check_each_call)
{
  guint n = count->n_calls;

  if (n == 0)
    n = count->n_calls = SEL_HANGUP_MAX_CALLS / 2;

  if (count->maybe_hung_up)
    return n % SEL_HANGUP_CALLS_BEFORE_CHECK == 0 || check_each_call;

  /* The powers of 2. */
  return n >= SEL_HANGUP_CALLS_BEFORE_CHECK && (n & (n - 1)) == 0;
}

/* Counts a call. Returns: TRUE if the descriptor is to be checked after it */
static inline gboolean
sel_hangup_count_call (SelHangupCount *count,
                       gboolean        check_each_call)
{
  return G_UNLIKELY (sel_hangup_count_may_be_due (count)) && sel_hangup_count_is_due (count, check_each_call);
}

/* After a call that leads to a check: TRUE if the check includes the one for stale reports. */
static inline gboolean
sel_hangup_count_is_stale_due (const SelHangupCount *count)
{
  return count->n_calls % SEL_HANGUP_CALLS_BEFORE_STALE_CHECK == 0;
}

G_END_DECLS
