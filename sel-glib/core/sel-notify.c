/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which threads and main loops have to know that something has changed? See sel-notify-private.h. */

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
  g_clear_pointer (&core->notify.watchers, g_ptr_array_unref);
  g_atomic_rc_box_release (core->notify.wakeup);
}

void
sel_notify_forked (SelCore *core)
{
  for (guint i = 0; core->notify.watchers != NULL && i < core->notify.watchers->len; i++)
    {
      SelWatcher *watcher = g_ptr_array_index (core->notify.watchers, i);

      /* The child must neither ring nor drain the bell. */
      watcher->is_inherited = TRUE;
      watcher->is_rung = FALSE;
      g_atomic_int_or (&watcher->flags, SEL_WATCHER_SYNC);
    }
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
  if (sel_state_has (core, SEL_STATE_ALWAYS_READY))
    return FALSE;

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

/* --- Watchers --- */

/* If more descriptors change, all are synchronized. This limits the list while the context does not run. */
#define MAX_CHANGED_FDS 4096

/* The thread of the watcher sees the flags before it polls, unless it has prepared the source already. */
static void
sel_watcher_mark (SelWatcher      *watcher,
                  SelWatcherFlags  flags)
{
  g_atomic_int_or (&watcher->flags, flags);
  if (watcher->is_rung || watcher->is_inherited || (sel_watcher_is_own (watcher) && !sel_watcher_is_prepared (watcher)))
    return;

  watcher->is_rung = TRUE;
  sel_wakeup_signal (watcher->bell);
}

/* If no descriptor is always ready, the kernel sees the change, and the bell need not be rung. A pause may still have
 * begun or ended. */
static void
sel_watcher_note_change (SelCore    *core,
                         SelWatcher *watcher,
                         int         fd)
{
  if (fd >= 0 && !watcher->mirrored &&
      (!sel_state_has (core, SEL_STATE_ALWAYS_READY) || sel_state_has (core, SEL_STATE_FORKED)))
    {
      if (!sel_watcher_has (watcher, SEL_WATCHER_SYNC)) /* it is taken away with the lock only */
        g_atomic_int_or (&watcher->flags, SEL_WATCHER_SYNC);
      return;
    }

  if (fd < 0 || watcher->changed_fds->len == MAX_CHANGED_FDS)
    watcher->changed_all = TRUE;
  else if (watcher->mirrored && !watcher->changed_all)
    g_array_append_val (watcher->changed_fds, fd);

  sel_watcher_mark (watcher, SEL_WATCHER_SYNC);
}

gboolean
sel_notify_add_watcher (SelCore    *core,
                        SelWatcher *watcher)
{
  gboolean success;

  sel_state_lock (core);
  success = !sel_state_has (core, SEL_STATE_CLOSED);
  if (success)
    {
      watcher->bell = g_atomic_rc_box_new (SelWakeup);
      *watcher->bell = (SelWakeup) SEL_WAKEUP_INIT;
      watcher->thread = sel_thread_self ();
      watcher->changed_fds = g_array_new (FALSE, FALSE, sizeof (int));
      watcher->changed_all = TRUE;
      watcher->flags = SEL_WATCHER_SYNC;
      if (core->notify.watchers == NULL)
        core->notify.watchers = g_ptr_array_new ();
      g_ptr_array_add (core->notify.watchers, watcher);
    }
  sel_state_unlock (core);

  return success;
}

void
sel_notify_remove_watcher (SelCore    *core,
                           SelWatcher *watcher)
{
  if (core->notify.watchers == NULL || !g_ptr_array_remove (core->notify.watchers, watcher))
    return;

  if (core->notify.watchers->len == 0)
    g_clear_pointer (&core->notify.watchers, g_ptr_array_unref);
  else if (sel_state_has (core, SEL_STATE_PAUSED))
    sel_notify_watchers (core, -1);
}

gboolean
sel_notify_has_watchers (SelCore *core)
{
  return core->notify.watchers != NULL;
}

SelWatcher *
sel_notify_find_watcher (SelCore   *core,
                         gboolean (*matches) (SelWatcher *watcher, gpointer data),
                         gpointer   data)
{
  for (guint i = 0; core->notify.watchers != NULL && i < core->notify.watchers->len; i++)
    {
      SelWatcher *watcher = g_ptr_array_index (core->notify.watchers, i);

      if (matches (watcher, data))
        return watcher;
    }

  return NULL;
}

static gboolean
sel_watcher_keep_selector (SelWatcher *watcher,
                           gpointer    selector)
{
  if (!watcher->keeps_selector)
    g_object_ref (selector);
  watcher->keeps_selector = TRUE;

  return FALSE;
}

void
sel_notify_keep_selector (SelCore *core)
{
  sel_notify_find_watcher (core, sel_watcher_keep_selector, sel_core_get_selector (core));
}

void
sel_watcher_clear (SelWatcher *watcher)
{
  if (watcher->bell != NULL)
    sel_wakeup_close (watcher->bell);
  g_clear_pointer (&watcher->bell, g_atomic_rc_box_release);
  g_clear_pointer (&watcher->changed_fds, g_array_unref);
  g_clear_pointer (&watcher->garbage, g_ptr_array_unref);
}

gboolean
sel_watcher_begin_sync (SelWatcher *watcher,
                        gboolean    is_rung)
{
  __atomic_store_n (&watcher->thread, sel_thread_self (), __ATOMIC_RELAXED);
  g_atomic_int_and (&watcher->flags, ~(guint) SEL_WATCHER_SYNC);
  is_rung |= watcher->is_rung;
  watcher->is_rung = FALSE;
  if (watcher->is_inherited || watcher->bell->read_fd < 0)
    {
      watcher->was_rung = TRUE;
      return FALSE;
    }

  if (is_rung && sel_wakeup_drain (watcher->bell))
    watcher->was_rung = TRUE;

  return TRUE;
}

GArray *
sel_watcher_steal_changed_fds (SelWatcher *watcher,
                               gboolean   *all)
{
  GArray *fds = watcher->changed_fds;

  *all = watcher->changed_all;
  if (!*all && fds->len == 0)
    return NULL;

  if (*all)
    g_array_set_size (fds, 0);
  watcher->changed_fds = g_array_new (FALSE, FALSE, sizeof (int));
  watcher->changed_all = FALSE;

  return fds;
}

void
sel_watcher_close_bell (SelWatcher *watcher)
{
  sel_wakeup_close (watcher->bell);
  watcher->is_inherited = FALSE;
}

GPtrArray *
sel_watcher_steal_garbage (SelWatcher *watcher)
{
  g_atomic_int_and (&watcher->flags, ~(guint) SEL_WATCHER_GARBAGE);

  return g_steal_pointer (&watcher->garbage);
}

void
sel_notify_watchers (SelCore *core,
                     int      fd)
{
  for (guint i = 0; core->notify.watchers != NULL && i < core->notify.watchers->len; i++)
    sel_watcher_note_change (core, g_ptr_array_index (core->notify.watchers, i), fd);
}

/* The kernel does not wait for descriptors that are always ready, so it does not see their changes. */
void
sel_notify_changed_slow (SelCore *core,
                         int      fd)
{
  if (sel_state_has (core, SEL_STATE_IN_WAIT) &&
      (!core->notify.wait_sees_updates || sel_state_has (core, SEL_STATE_ALWAYS_READY)))
    sel_notify_wake (core);

  sel_notify_watchers (core, fd);
}

static inline gboolean
sel_watcher_is_destroyed (SelWatcher *watcher)
{
  return watcher->is_destroyed != NULL && watcher->is_destroyed (watcher);
}

/* A watcher whose source does work. */
static gboolean
sel_watcher_is_worker (SelWatcher *watcher,
                       gpointer    data)
{
  return !sel_watcher_is_destroyed (watcher);
}

gboolean
sel_notify_give_garbage (SelCore     *core,
                         SelCallback *callback)
{
  SelWatcher *watcher = sel_notify_find_watcher (core, sel_watcher_is_worker, NULL);

  if (watcher == NULL || sel_watcher_is_own (watcher))
    return FALSE;

  if (watcher->garbage == NULL)
    watcher->garbage = g_ptr_array_new_with_free_func ((GDestroyNotify) sel_callback_free);
  g_ptr_array_add (watcher->garbage, callback);
  sel_watcher_mark (watcher, SEL_WATCHER_GARBAGE);

  return TRUE;
}

GPtrArray *
sel_notify_take_garbage (SelCore *core)
{
  GPtrArray *garbage = NULL;

  for (guint i = 0; core->notify.watchers != NULL && i < core->notify.watchers->len; i++)
    {
      SelWatcher *watcher = g_ptr_array_index (core->notify.watchers, i);

      if (G_LIKELY (watcher->garbage == NULL) || !sel_watcher_is_destroyed (watcher))
        continue;

      if (garbage == NULL)
        garbage = sel_watcher_steal_garbage (watcher);
      else
        g_ptr_array_extend_and_steal (garbage, sel_watcher_steal_garbage (watcher));
    }

  return garbage;
}

GPtrArray *
sel_notify_close_watchers (SelCore *core)
{
  GPtrArray *watchers = core->notify.watchers;
  GPtrArray *own = NULL;

  for (guint i = watchers != NULL ? watchers->len : 0; i-- > 0;)
    {
      SelWatcher *watcher = g_ptr_array_index (watchers, i);

      if (!sel_watcher_is_own (watcher))
        {
          sel_watcher_mark (watcher, SEL_WATCHER_CLOSED);
          continue;
        }

      g_atomic_int_or (&watcher->flags, SEL_WATCHER_CLOSED);

      /* Closing another watcher may free the source of this one. */
      if (watcher->ref != NULL)
        watcher->ref (watcher);
      if (own == NULL)
        own = g_ptr_array_new ();
      g_ptr_array_add (own, g_ptr_array_remove_index (watchers, i));
    }
  if (watchers != NULL && watchers->len == 0)
    g_clear_pointer (&core->notify.watchers, g_ptr_array_unref);

  return own;
}
