/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-fd-state-private.h"
#include "core/sel-hangup-private.h"

SelHangupChecks
sel_hangup_count_slow (SelCore    *core,
                       SelKeySlot *slot)
{
  gboolean check_each_call = slot->hangup.maybe_hung_up &&
                             sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY) == SEL_HANGUP_POLICY_ONCE;

  if (!sel_hangup_count_is_due (&slot->hangup, check_each_call))
    return SEL_HANGUP_CHECK_NOTHING;

  if (sel_hangup_count_is_stale_due (&slot->hangup))
    return SEL_HANGUP_CHECK_AFTER_CALL | SEL_HANGUP_CHECK_STALE;

  return SEL_HANGUP_CHECK_AFTER_CALL;
}

SelHangupChecks
sel_hangup_count_event (SelCore             *core,
                        const SelReadyEvent *event,
                        SelEventMask        *registered)
{
  SelHangupChecks checks = SEL_HANGUP_CHECK_NOTHING;
  SelKeySlot *slot;

  sel_state_lock (core);
  slot = sel_registry_find_event (core, event);
  if (slot != NULL)
    {
      checks = sel_hangup_count (core, slot);
      *registered = slot->registered;
    }
  sel_state_unlock (core);

  return checks;
}

static void
sel_hangup_pause (SelCore             *core,
                  const SelReadyEvent *event,
                  SelPauseKind         kind)
{
  sel_state_lock (core);
  sel_pause_begin (core, event, kind);
  sel_state_unlock (core);
}

void
sel_hangup_check (SelCore             *core,
                  const SelReadyEvent *event,
                  SelEventMask         registered)
{
  SelHangupPolicy policy;

  switch (sel_fd_get_state (event->fd, registered))
    {
    case SEL_FD_IN_USE:
    case SEL_FD_NOT_READY:
      break;

    case SEL_FD_CLOSED:
      sel_hangup_pause (core, event, SEL_PAUSE_UNTIL_MODIFIED);
      break;

    case SEL_FD_HUNG_UP:
      policy = (SelHangupPolicy) sel_core_get_setting (core, SEL_SETTING_HANGUP_POLICY);
      if (policy != SEL_HANGUP_POLICY_REPORT)
        sel_hangup_pause (core, event, policy == SEL_HANGUP_POLICY_THROTTLE ? SEL_PAUSE_FOR_A_WHILE
                                                                            : SEL_PAUSE_UNTIL_MODIFIED);
      break;
    }
}

gboolean
sel_hangup_check_stale (SelCore             *core,
                        const SelReadyEvent *event)
{
  if (sel_fd_get_state (event->fd, event->events) != SEL_FD_NOT_READY)
    return FALSE;

  sel_state_lock (core);
  sel_pause_rearm (core, event);
  sel_state_unlock (core);

  return TRUE;
}
