/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which operations may each thread begin now? See sel-state-private.h. */

#include "config.h"

#include "core/sel-state-private.h"
#include "sel-error.h"

static const SelStateFuncs *state_funcs;

void
sel_state_set_funcs (const SelStateFuncs *funcs)
{
  state_funcs = funcs;
}

void
sel_state_init (SelCore *core)
{
  g_mutex_init (&core->state.lock);
  core->state.fork_count = sel_fork_count;
}

void
sel_state_clear (SelCore *core)
{
  g_mutex_clear (&core->state.lock);
}

static void
sel_state_drop_other_threads (gpointer owner)
{
  SelCore *core = owner;

  g_mutex_init (&core->state.lock);
  sel_state_set_vfunc_thread (core, NULL);
  core->state.lock_depth = 0;
  sel_state_unset (core, SEL_STATE_IN_WAIT | SEL_STATE_SOURCE_BLOCKED);
  if (sel_state_has (core, SEL_STATE_OPEN))
    sel_state_set (core, SEL_STATE_FORKED);
  state_funcs->forked (core);
}

void
sel_state_notice_fork (SelCore *core)
{
  sel_fork_notice (&core->state.fork_count, sel_state_drop_other_threads, core);
}

gboolean
sel_state_claim (SelCore        *core,
                 SelStateFlags   claimed,
                 SelStateFlags   busy,
                 GError        **error)
{
  guint word;

  /* A wait on the fast path may begin meanwhile. */
  do
    {
      word = (guint) g_atomic_int_get (&core->state.word);
      if ((word & busy) != 0)
        {
          g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY,
                               (word & SEL_STATE_ASYNC_PENDING) != 0
                               ? "An asynchronous select is pending"
                               : "Another thread waits on the selector");
          return FALSE;
        }
    }
  while (!g_atomic_int_compare_and_exchange (&core->state.word, word, word | claimed));

  return TRUE;
}

gboolean
sel_state_take_open (SelCore *core,
                     guint   *old_word)
{
  guint word;

  do
    {
      word = (guint) g_atomic_int_get (&core->state.word);
      if ((word & SEL_STATE_IN_WAIT) != 0)
        return FALSE;
    }
  while (!g_atomic_int_compare_and_exchange (&core->state.word, word,
                                             word & ~(guint) SEL_STATE_OPEN));
  *old_word = word;

  return TRUE;
}

gboolean
sel_state_close_later (SelCore *core)
{
  if (!sel_state_in_vfunc (core))
    return FALSE;

  core->state.lock_depth |= SEL_STATE_CLOSE_LATER;

  return TRUE;
}

void
sel_state_unlock_slow (SelCore *core)
{
  if (core->state.lock_depth != SEL_STATE_CLOSE_LATER)
    {
      core->state.lock_depth--;
      return;
    }

  core->state.lock_depth = 0;
  g_mutex_unlock (&core->state.lock);
  state_funcs->finish_close (core);
}

gboolean
sel_state_lock_to_change_slow (SelCore  *core,
                               GError  **error)
{
  if (!sel_state_is_new_process (core) && sel_state_in_vfunc (core))
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY,
                           "A virtual function of the selector is running");
      return FALSE;
    }

  sel_state_lock (core);

  return TRUE;
}

/* Not inlined, as this keeps its callers short. */
G_NO_INLINE gboolean
sel_state_in_vfunc (SelCore *core)
{
  return sel_state_get_vfunc_thread (core) == sel_thread_self ();
}
