/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"
#include "core/sel-core-private.h"
#include "core/sel-notify-private.h"
#include "fake-selector.h"

/* The fixture of the tests of single rooms: a scripted selector, and three descriptors. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct
{
  FakeSelector    *fake;
  SelBaseSelector *selector;
  SelCore         *core;
  int              a[2];        /* pipes */
  int              b[2];
  int              c[2];

  /* For registry-fixture.h, which scripts and records the calls of update (). */
  int              errors[4];   /* the errors of the updates since fail_updates(); 0: the update succeeds */
  guint            n_updates;
  guint32          tag;         /* the tag during the last update () */
  guint            word;        /* the state during the last update () */
  int              n_destroyed[2]; /* the calls of count_call () */
} Room;

typedef void (*RoomFunc) (Room *room, gconstpointer data);

/* Adds a case. After it, the fixture must have the only reference to the selector, and the lock must be free. Each
 * update () checks that the lock is held. */
void           room_add              (const char   *path,
                                      RoomFunc      func);

/* For programs with another way to add cases. */
void           room_set_up           (Room         *room,
                                      gconstpointer data);
void           room_tear_down        (Room         *room,
                                      gconstpointer data);

/* Registers @fd with update (fd, 0, events), and clears the log of the scripted selector. */
void           room_watch            (Room         *room,
                                      int           fd,
                                      SelEventMask  events);

/* Registers @fd as always ready. */
void           room_watch_always_ready (Room       *room,
                                      int           fd,
                                      SelEventMask  events);

SelKeySlot    *room_get_slot         (Room         *room,
                                      int           fd);

/* The event that a wait would report for the registration of @fd. */
SelReadyEvent  room_make_event       (Room         *room,
                                      int           fd,
                                      SelEventMask  events);

/* Pauses @fd: with a time, or until it is modified. */
void           room_pause            (Room         *room,
                                      int           fd,
                                      gboolean      for_a_while);

gboolean       room_is_paused        (Room         *room,
                                      int           fd);

/* Lets all pauses end at @until. */
void           room_set_pause_end    (Room         *room,
                                      gint64        until);

void           assert_locked         (SelCore      *core);
void           assert_unlocked       (SelCore      *core);

/* Checks that no virtual function was called. */
#define assert_no_calls(room) g_assert_cmpstr (fake_selector_get_log ((room)->fake), ==, "")

/* Compares the whole state word. */
#define assert_state(core, flags) g_assert_cmphex ((core)->state.word, ==, flags)

/* A watcher in mirrored mode. It is that of another thread if @is_foreign is set before watcher_add(). */
typedef struct
{
  SelWatcher  watcher;
  Room       *room;
  gboolean    is_foreign;
  gboolean    is_closed;     /* close () was called */
  FakeFunc    on_closed;     /* called by close () with @room as the user data, or NULL */
} Watcher;

void           watcher_add           (Watcher      *watcher,
                                      Room         *room);
void           watcher_remove        (Watcher      *watcher);

/* Compares the changes and the work that the watcher was told about, as in "changed(3) garbage closed", and forgets
 * them. Callbacks to be freed are freed. */
void           watcher_assert_log    (Watcher      *watcher,
                                      const char   *expected);

/* A selector whose virtual functions are those of the test. Those that are NULL succeed. */
#define HOOK_TYPE_SELECTOR (hook_selector_get_type ())

G_DECLARE_FINAL_TYPE (HookSelector, hook_selector, HOOK, SELECTOR, SelBaseSelector)

struct _HookSelector
{
  SelBaseSelector parent_instance;

  gboolean (*open)    (HookSelector  *self,
                       GError       **error);
  gboolean (*wait)    (HookSelector  *self,
                       gdouble        timeout,
                       GError       **error);
  void     (*release) (HookSelector  *self,
                       gboolean       forked);
  guint    n_waits;
  guint    n_releases;
};

HookSelector  *hook_selector_new     (void);
