/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Does any callback take care of this descriptor? See sel-hangup-private.h. */

#include "config.h"

#include "core/sel-fd-probe-private.h"
#include "core/sel-hangup-private.h"

/* The callback has work to do. This says nothing about a direction that is paused: its next pause is not shorter. A
 * mechanism that can tell about ends may report writing alone, although reading has ended. */
static void
sel_hangup_note_work (SelKeySlot          *slot,
                      const SelReadyEvent *event)
{
  if (sel_key_slot_is_paused (slot))
    sel_hangup_count_restart (&slot->hangup);
  else if (event->ends == SEL_UNKNOWN_END || (slot->registered & ~event->events & SEL_EVENT_READ) == 0)
    sel_hangup_count_reset (&slot->hangup);
}

/* Counts a useless call. Returns: TRUE if a probe has to decide before the call */
static gboolean
sel_hangup_count_useless (SelCore             *core,
                          SelKeySlot          *slot,
                          const SelReadyEvent *event)
{
  SelHangupPolicy policy = (SelHangupPolicy) sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY);
  gboolean is_calm = slot->calm;

  if (policy != SEL_HANGUP_POLICY_ONCE && slot->hangup.n_useless < SEL_HANGUP_MAX_USELESS - 1)
    {
      slot->hangup.n_useless++;
      return FALSE;
    }

  slot->calm = FALSE;
  if (policy == SEL_HANGUP_POLICY_THROTTLE && is_calm && event->ends == SEL_UNKNOWN_END)
    {
      sel_hangup_note_work (slot, event);
      return FALSE;
    }

  return policy != SEL_HANGUP_POLICY_REPORT;
}

/* Counts a call for the checks that do not depend on ends. */
static SelHangupChecks
sel_hangup_count_any (SelKeySlot *slot)
{
  gboolean check_stale;

  if (!sel_hangup_count_is_due (&slot->hangup, &check_stale))
    return SEL_HANGUP_CHECK_NOTHING;

  return check_stale ? SEL_HANGUP_CHECK_CLOSED | SEL_HANGUP_CHECK_STALE : SEL_HANGUP_CHECK_CLOSED;
}

SelHangupChecks
sel_hangup_count_slow (SelCore             *core,
                       SelKeySlot          *slot,
                       const SelReadyEvent *event)
{
  SelHangupChecks checks = sel_hangup_count_any (slot);

  if (event->ends == 0)
    sel_hangup_note_work (slot, event);
  else if (sel_hangup_count_useless (core, slot, event))
    checks |= SEL_HANGUP_CHECK_ENDED;

  return checks;
}

SelHangupChecks
sel_hangup_count_event (SelCore             *core,
                        const SelReadyEvent *event,
                        gboolean             calls_select)
{
  SelHangupChecks checks = SEL_HANGUP_CHECK_NOTHING;
  SelKeySlot *slot;

  sel_state_lock (core);
  slot = sel_registry_find_active (core, event);
  if (slot != NULL && (!calls_select || event->ends == 0))
    {
      checks = sel_hangup_count (core, slot, event);
    }
  else if (slot != NULL)
    {
      checks = sel_hangup_count_any (slot);
      if (slot->hangup.n_useless == SEL_HANGUP_MAX_USELESS &&
          sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY) != SEL_HANGUP_POLICY_REPORT)
        checks |= SEL_HANGUP_CHECK_ENDED;
    }
  sel_state_unlock (core);

  return checks;
}

/* kqueue may report the directions of a descriptor one after the other. Returns: those that the event is not about, and
 * that have ended as well */
static SelEventMask
sel_hangup_find_other_ends (const SelKeySlot    *slot,
                            const SelReadyEvent *event)
{
  SelEventMask others = slot->active & ~event->events;
  SelEventMask ended;

  if (others == 0)
    return 0;

  sel_fd_probe (event->fd, others, SEL_UNKNOWN_END, &ended);

  return ended;
}

/* A probe has found that the directions @ended of the event can do no work, or that none has ended. Returns: those that
 * the callback was told already */
static SelEventMask
sel_hangup_get_told (SelKeySlot          *slot,
                     const SelReadyEvent *event,
                     SelEventMask         ended)
{
  if (ended == 0)
    {
      sel_hangup_note_work (slot, event);
      slot->calm = event->ends == SEL_UNKNOWN_END;
    }

  return slot->hangup.n_useless == SEL_HANGUP_MAX_USELESS ? sel_key_slot_get_extra (slot, event->fd)->told & ended : 0;
}

/* The callback is told now. */
static void
sel_hangup_note_told (SelKeySlot          *slot,
                      const SelReadyEvent *event,
                      SelEventMask         ended)
{
  sel_key_slot_get_extra (slot, event->fd)->told = (ended | sel_hangup_find_other_ends (slot, event)) & SEL_ALL_EVENTS;
  slot->hangup.n_useless = SEL_HANGUP_MAX_USELESS;
}

/* A probe has found that the directions @ended of the event can do no work. The callback is called once more. If the
 * next report tells the same, the callback ignores the end: the directions are paused, and it is not called for them.
 * This also holds if they cannot be paused now, because a thread waits. After a pause for the same end, the next one
 * begins at once, before the call that was to show whether anything has changed. If the other direction ends later, the
 * callback is told of that, too. Returns: the events to call the callback for */
static SelEventMask
sel_hangup_judge (SelCore             *core,
                  const SelReadyEvent *event,
                  SelEventMask         ended,
                  gboolean             calls_select)
{
  SelKeySlot *slot = sel_registry_find_active (core, event);
  SelEventMask told;

  if (slot == NULL)
    return event->events;

  told = sel_hangup_get_told (slot, event, ended);
  if (told != ended && !calls_select)
    sel_hangup_note_told (slot, event, ended);
  if (ended != 0 && (told == ended || (!calls_select && slot->hangup.pause > 0)))
    sel_pause_begin_ended (core, event, ended);

  return event->events & ~told;
}

void
sel_hangup_tell (SelCore             *core,
                 const SelReadyEvent *events,
                 gsize                n_events)
{
  gboolean is_once = sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY) == SEL_HANGUP_POLICY_ONCE;
  guint n_probes = is_once ? G_MAXUINT : sel_hangup_get_max_probes (core);

  for (gsize i = 0; i < n_events; i++)
    {
      const SelReadyEvent *event = &events[i];
      SelKeySlot *slot = event->ends != 0 ? sel_registry_find_active (core, event) : NULL;
      SelEventMask ended;

      if (slot == NULL || !sel_hangup_count_useless (core, slot, event) || n_probes == 0)
        continue;

      n_probes--;
      sel_fd_probe (event->fd, event->events, event->ends, &ended);
      if (sel_hangup_get_told (slot, event, ended) != ended)
        sel_hangup_note_told (slot, event, ended);
    }
}

/* TRUE if the kernel seems to have reported another file: that of the number is not ready, or hung up, which the report
 * denies. */
static gboolean
sel_hangup_is_stale (const SelReadyEvent *event,
                     SelFdState           state)
{
  return state == SEL_FD_NOT_READY || (state == SEL_FD_HUNG_UP && event->ends == 0);
}

SelEventMask
sel_hangup_check (SelCore             *core,
                  const SelReadyEvent *event,
                  SelHangupChecks      checks,
                  gboolean             calls_select)
{
  gboolean judges = (checks & SEL_HANGUP_CHECK_ENDED) != 0;
  SelEventMask left = 0;
  SelEventMask ended;
  SelFdState state = sel_fd_probe (event->fd, event->events, event->ends, judges ? &ended : NULL);
  gboolean is_stale = (checks & SEL_HANGUP_CHECK_STALE) != 0 && sel_hangup_is_stale (event, state);

  if (G_LIKELY (state != SEL_FD_CLOSED && !judges && !is_stale))
    return event->events;

  sel_state_lock (core);
  if (state == SEL_FD_CLOSED)
    sel_pause_begin (core, event, SEL_PAUSE_UNTIL_MODIFIED);
  else if (is_stale)
    sel_pause_rearm (core, event);
  else
    left = sel_hangup_judge (core, event, ended, calls_select);
  sel_state_unlock (core);

  return left;
}
