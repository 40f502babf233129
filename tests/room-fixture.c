/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "core/sel-pause-private.h"
#include "room-fixture.h"

void
assert_locked (SelCore *core)
{
  g_assert_false (g_mutex_trylock (&core->state.lock));
}

void
assert_unlocked (SelCore *core)
{
  g_assert_true (g_mutex_trylock (&core->state.lock));
  g_mutex_unlock (&core->state.lock);
}

static void
room_on_update (FakeSelector *fake,
                gpointer      user_data)
{
  assert_locked (user_data);
}

void
room_set_up (Room          *room,
             gconstpointer  data)
{
  room->fake = fake_selector_new ();
  room->selector = SEL_BASE_SELECTOR (room->fake);
  room->core = sel_core (room->fake);
  fake_selector_set_update_func (room->fake, room_on_update, room->core);
  open_pipe (room->a);
  open_pipe (room->b);
  open_pipe (room->c);
}

static void
room_close (int fd)
{
  if (fd >= 0)
    close (fd);
}

void
room_tear_down (Room          *room,
                gconstpointer  data)
{
  assert_unlocked (room->core);
  g_assert_finalize_object (G_OBJECT (room->fake));
  for (guint i = 0; i < 2; i++)
    {
      room_close (room->a[i]);
      room_close (room->b[i]);
      room_close (room->c[i]);
    }
}

void
room_add (const char *path,
          RoomFunc    func)
{
  g_test_add (path, Room, NULL, room_set_up, func, room_tear_down);
}

void
room_watch (Room         *room,
            int           fd,
            SelEventMask  events)
{
  watch (room->selector, fd, events);
  fake_selector_clear_log (room->fake);
}

void
room_watch_always_ready (Room         *room,
                         int           fd,
                         SelEventMask  events)
{
  sel_base_selector_set_emulate_always_ready (room->selector, TRUE);
  fake_selector_fail (room->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);
  room_watch (room, fd, events);
  g_assert_true (room_get_slot (room, fd)->always_ready);
}

SelKeySlot *
room_get_slot (Room *room,
               int   fd)
{
  return sel_registry_lookup (room->core, fd);
}

SelReadyEvent
room_make_event (Room         *room,
                 int           fd,
                 SelEventMask  events)
{
  SelKeySlot *slot = room_get_slot (room, fd);

  return (SelReadyEvent) { .fd = fd, .events = events, .data = slot->data, .generation = slot->generation };
}

void
room_pause (Room     *room,
            int       fd,
            gboolean  for_a_while)
{
  SelReadyEvent event = room_make_event (room, fd, SEL_EVENT_READ);

  sel_state_lock (room->core);
  sel_pause_begin (room->core, &event, for_a_while ? SEL_PAUSE_FOR_A_WHILE : SEL_PAUSE_UNTIL_MODIFIED);
  sel_state_unlock (room->core);
  g_assert_true (room_is_paused (room, fd));
  fake_selector_clear_log (room->fake);
}

gboolean
room_is_paused (Room *room,
                int   fd)
{
  return sel_key_slot_is_paused (room_get_slot (room, fd));
}

void
room_set_pause_end (Room   *room,
                    gint64  until)
{
  GArray *pauses = room->core->pauses.list;

  room->core->pauses.until = until;
  for (guint i = 0; pauses != NULL && i < pauses->len; i++)
    g_array_index (pauses, SelPause, i).until = until;
}

/* --- The watcher --- */

static void
watcher_close (SelWatcher *sel_watcher)
{
  Watcher *watcher = (Watcher *) sel_watcher;

  assert_unlocked (watcher->room->core);
  watcher->is_closed = TRUE;
  if (watcher->on_closed != NULL)
    watcher->on_closed (watcher->room->fake, watcher->room);
}

void
watcher_add (Watcher *watcher,
             Room    *room)
{
  watcher->room = room;
  sel_watcher_init (&watcher->watcher, watcher_close, NULL, NULL);
  g_assert_true (sel_notify_add_watcher (room->core, &watcher->watcher));
  watcher->watcher.mirrored = TRUE;
  watcher->watcher.changed_all = FALSE;
  watcher->watcher.flags = 0;
  if (watcher->is_foreign)
    watcher->watcher.thread = watcher;
}

void
watcher_remove (Watcher *watcher)
{
  SelCore *core = watcher->room->core;

  sel_state_lock (core);
  sel_notify_remove_watcher (core, &watcher->watcher);
  sel_state_unlock (core);
  sel_watcher_clear (&watcher->watcher);
}

void
watcher_assert_log (Watcher    *watcher,
                    const char *expected)
{
  g_autoptr (GString) log = g_string_new (NULL);
  g_autoptr (GPtrArray) garbage = NULL;
  SelWatcher *self = &watcher->watcher;

  for (guint i = 0; i < self->changed_fds->len; i++)
    g_string_append_printf (log, "changed(%d) ", g_array_index (self->changed_fds, int, i));
  if (self->changed_all)
    g_string_append (log, "changed(-1) ");
  g_assert_cmpint ((self->flags & SEL_WATCHER_SYNC) != 0, ==, log->len > 0);
  if ((self->flags & SEL_WATCHER_GARBAGE) != 0)
    {
      g_string_append (log, "garbage ");
      sel_state_lock (watcher->room->core);
      garbage = sel_watcher_steal_garbage (self);
      sel_state_unlock (watcher->room->core);
    }
  if ((self->flags & SEL_WATCHER_CLOSED) != 0)
    g_string_append (log, watcher->is_closed ? "closed " : "told ");
  g_strchomp (log->str);
  g_assert_cmpstr (log->str, ==, expected);

  g_array_set_size (self->changed_fds, 0);
  self->changed_all = FALSE;
  self->flags = 0;
}

/* --- The selector with the functions of the test --- */

G_DEFINE_TYPE (HookSelector, hook_selector, SEL_TYPE_BASE_SELECTOR)

static gboolean
hook_selector_open (SelBaseSelector  *selector,
                    GError          **error)
{
  HookSelector *self = HOOK_SELECTOR (selector);

  return self->open == NULL || self->open (self, error);
}

static gboolean
hook_selector_update (SelBaseSelector  *selector,
                      int               fd,
                      SelEventMask      old_events,
                      SelEventMask      new_events,
                      GError          **error)
{
  return TRUE;
}

static gboolean
hook_selector_wait (SelBaseSelector  *selector,
                    gdouble           timeout,
                    GError          **error)
{
  HookSelector *self = HOOK_SELECTOR (selector);

  self->n_waits++;

  return self->wait == NULL || self->wait (self, timeout, error);
}

static void
hook_selector_release (SelBaseSelector *selector,
                       gboolean         forked)
{
  HookSelector *self = HOOK_SELECTOR (selector);

  assert_locked (sel_core (self));
  self->n_releases++;
  if (self->release != NULL)
    self->release (self, forked);
}

static void
hook_selector_class_init (HookSelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  selector_class->open = hook_selector_open;
  selector_class->update = hook_selector_update;
  selector_class->wait = hook_selector_wait;
  selector_class->release = hook_selector_release;
}

static void
hook_selector_init (HookSelector *self)
{
}

HookSelector *
hook_selector_new (void)
{
  return g_object_new (HOOK_TYPE_SELECTOR, NULL);
}
