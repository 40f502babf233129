/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-notify-private.h"

void
sel_notify_init (SelCore *core)
{
  core->notify.wakeup = g_atomic_rc_box_new (SelWakeup);
  *core->notify.wakeup = (SelWakeup) SEL_WAKEUP_INIT;
}

void
sel_notify_clear (SelCore *core)
{
  g_clear_pointer (&core->notify.observers, g_ptr_array_unref);
  g_atomic_rc_box_release (core->notify.wakeup);
}

void
sel_notify_forked (SelCore *core)
{
  g_atomic_int_set (&core->notify.wakeup->in_use, 0);
}

gboolean
sel_notify_open_wakeup (SelCore  *core,
                        GError  **error)
{
  return sel_wakeup_open (core->notify.wakeup, error);
}

void
sel_notify_close_wakeup (SelCore *core)
{
  sel_wakeup_close (core->notify.wakeup);
}

gboolean
sel_notify_drain_wakeup (SelCore *core)
{
  return sel_wakeup_drain (core->notify.wakeup);
}

void
sel_notify_wake (SelCore *core)
{
  sel_wakeup_signal (core->notify.wakeup);
}

static void
sel_notify_cancelled (GCancellable *cancellable,
                      gpointer      user_data)
{
  sel_wakeup_signal (user_data);
}

gulong
sel_notify_connect_cancellable (SelCore      *core,
                                GCancellable *cancellable)
{
  return g_cancellable_connect (cancellable, G_CALLBACK (sel_notify_cancelled),
                                g_atomic_rc_box_acquire (core->notify.wakeup), g_atomic_rc_box_release);
}

void
sel_notify_set_wait_sees_updates (SelCore  *core,
                                  gboolean  wait_sees_updates)
{
  core->notify.wait_sees_updates = wait_sees_updates;
}

gboolean
sel_notify_add_observer (SelCore     *core,
                         SelObserver *observer)
{
  gboolean success;

  sel_state_lock (core);
  success = !sel_state_has (core, SEL_STATE_CLOSED);
  if (success)
    {
      if (core->notify.observers == NULL)
        core->notify.observers = g_ptr_array_new ();
      g_ptr_array_add (core->notify.observers, observer);
    }
  sel_state_unlock (core);

  return success;
}

void
sel_notify_remove_observer (SelCore     *core,
                            SelObserver *observer)
{
  sel_state_lock (core);
  if (core->notify.observers != NULL)
    g_ptr_array_remove (core->notify.observers, observer);

  /* The other sources have to end the pauses that this one would have ended. */
  if (sel_state_has (core, SEL_STATE_PAUSED))
    sel_notify_observers (core, -1);
  sel_state_unlock (core);
}

void
sel_notify_observers (SelCore *core,
                      int      fd)
{
  for (guint i = 0; core->notify.observers != NULL && i < core->notify.observers->len; i++)
    {
      SelObserver *observer = g_ptr_array_index (core->notify.observers, i);

      observer->funcs->poll_set_changed (observer, fd);
    }
}

/* No kernel waits for descriptors that are always ready, so that none sees that they have changed. */
void
sel_notify_changed_slow (SelCore *core,
                         int      fd)
{
  if (sel_state_has (core, SEL_STATE_IN_WAIT) &&
      (!core->notify.wait_sees_updates || sel_state_has (core, SEL_STATE_ALWAYS_READY)))
    sel_notify_wake (core);

  sel_notify_observers (core, fd);
}

SelObserver *
sel_notify_ref_observer (SelCore *core)
{
  SelObserver *observer;

  if (core->notify.observers == NULL || core->notify.observers->len == 0)
    return NULL;

  observer = g_ptr_array_index (core->notify.observers, 0);
  observer->funcs->ref (observer);

  return observer;
}

void
sel_notify_free_callbacks (SelObserver    *observer,
                           GDestroyNotify  func,
                           gpointer        callbacks)
{
  if (observer != NULL)
    observer->funcs->invoke (observer, func, callbacks);
  else
    func (callbacks);
}

GPtrArray *
sel_notify_steal_observers (SelCore *core)
{
  GPtrArray *observers = g_steal_pointer (&core->notify.observers);

  for (guint i = 0; observers != NULL && i < observers->len; i++)
    {
      SelObserver *observer = g_ptr_array_index (observers, i);

      observer->funcs->ref (observer);
    }

  return observers;
}

void
sel_notify_close_observers (GPtrArray *observers)
{
  if (observers == NULL)
    return;

  for (guint i = 0; i < observers->len; i++)
    {
      SelObserver *observer = g_ptr_array_index (observers, i);

      observer->funcs->closed (observer);
    }
  g_ptr_array_unref (observers);
}
