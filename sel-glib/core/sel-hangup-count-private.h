/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Counts the calls of a descriptor's callback, to find out when to check the descriptor: see sel-hangup-private.h.
 * Each slot has one.
 *
 * A call is useless if the report says that the descriptor has ended, or that the mechanism cannot tell. Only useless
 * calls in a row count. They lead to pauses, which become longer as long as nothing comes in between.
 */
typedef struct
{
  guint8 countdown;            /* the calls until the next check, whatever is reported; 0: no call was counted yet */
  guint8 period : 2;           /* the index of the next period, in sel_hangup_periods */
  guint8 n_useless : 3;        /* useless calls in a row, at most SEL_HANGUP_MAX_USELESS */
  guint8 pause : 3;            /* the binary logarithm of the length of the next pause, in milliseconds */
} SelHangupCount;

/* After so many useless calls in a row the descriptor is probed instead of called, and paused if it has ended. It was
 * also probed before the last of these calls, so that the callback was called with the end at least once. */
#define SEL_HANGUP_MAX_USELESS 7

/* The lengths of the first and the longest pause that follows a hang-up, in microseconds. */
#define SEL_HANGUP_MIN_PAUSE 1000
#define SEL_HANGUP_MAX_PAUSE (100 * 1000)

/* The numbers of calls between two checks of a descriptor that has not ended. Each check asks if it is closed; after
 * the last two periods it also asks if the kernel reports another file, which had the number before. */
#define SEL_HANGUP_PERIODS { 8, 16, 32, 128 }
#define SEL_HANGUP_FIRST_STALE_PERIOD 2

/* The program has modified or refreshed the descriptor, or the callback has done work. */
static inline void
sel_hangup_count_reset (SelHangupCount *count)
{
  count->n_useless = 0;
  count->pause = 0;
}

/* The kernel tells a change of a paused descriptor. The length of the next pause stays, as the change may be nothing
 * that the callback does anything about. */
static inline void
sel_hangup_count_restart (SelHangupCount *count)
{
  count->n_useless = 0;
}

/* A pause has ended. If the next call is useless, too, it is the only one before the next pause. */
static inline void
sel_hangup_count_resume (SelHangupCount *count)
{
  count->n_useless = SEL_HANGUP_MAX_USELESS - 1;
}

static inline gboolean
sel_hangup_count_has_useless (const SelHangupCount *count)
{
  return count->n_useless != 0;
}

/* TRUE if a probe or a pause has shown that the callback ignores the end, and it has done nothing about it since. Its
 * next call leads to a probe, so that a descriptor does not stay in this state for long. */
static inline gboolean
sel_hangup_count_is_ignored (const SelHangupCount *count)
{
  return count->n_useless + (count->pause > 0) >= SEL_HANGUP_MAX_USELESS;
}

/* Returns the length of a pause that begins now, in microseconds, and doubles the next one. */
static inline gint64
sel_hangup_count_take_pause (SelHangupCount *count)
{
  gint64 length = (gint64) SEL_HANGUP_MIN_PAUSE << count->pause;

  if (length >= SEL_HANGUP_MAX_PAUSE)
    return SEL_HANGUP_MAX_PAUSE;

  count->pause++;

  return length;
}

/* Counts a call. Returns: TRUE if the period is over */
static inline gboolean
sel_hangup_count_is_due (SelHangupCount *count,
                         gboolean       *check_stale)
{
  static const guint8 periods[] = SEL_HANGUP_PERIODS;

  *check_stale = FALSE;
  if (count->countdown > 1)
    {
      count->countdown--;
      return FALSE;
    }
  if (count->countdown == 0)
    {
      count->countdown = (guint8) (periods[0] - 1);
      return FALSE;
    }

  *check_stale = count->period >= SEL_HANGUP_FIRST_STALE_PERIOD;
  if (count->period < G_N_ELEMENTS (periods) - 1)
    count->period++;
  count->countdown = periods[count->period];

  return TRUE;
}

G_END_DECLS
