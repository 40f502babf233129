/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>

#include "contestant.h"

/* This library, over each mechanism: the form that fills an array of the caller, the form that allocates a list, and
 * two ways to use it in a main loop. */

typedef SelBaseSelector *(*NewFunc) (GError **error);

typedef struct
{
  SelBaseSelector *selector;
  GMainContext *context;       /* for the forms with a main loop */
  SelReadyEvent events[BENCHMARK_BATCH];
} SelContestant;

static gpointer
sel_contestant_open (const Contestant *contestant)
{
  const NewFunc *new_func = contestant->variant;
  SelBaseSelector *selector = (*new_func) (NULL);
  SelContestant *self;

  if (selector == NULL)
    return NULL;

  self = g_new0 (SelContestant, 1);
  self->selector = selector;

  return self;
}

static gboolean
sel_contestant_add (gpointer        data,
                    int             fd,
                    BenchmarkEvents events)
{
  SelContestant *self = data;

  return sel_base_selector_register (self->selector, fd, (SelEventMask) events, NULL, NULL, NULL);
}

static gboolean
sel_contestant_modify (gpointer        data,
                       int             fd,
                       BenchmarkEvents events)
{
  SelContestant *self = data;

  return sel_base_selector_modify_events (self->selector, fd, (SelEventMask) events, NULL);
}

static void
sel_contestant_remove (gpointer data,
                       int      fd)
{
  SelContestant *self = data;

  sel_base_selector_unregister (self->selector, fd, NULL);
}

static void
sel_contestant_turn_array (gpointer data,
                           gboolean block)
{
  SelContestant *self = data;
  gssize n = sel_base_selector_select_ready (self->selector, block ? SEL_WAIT_FOREVER : 0,
                                             self->events, BENCHMARK_BATCH, NULL, NULL);

  for (gssize i = 0; i < n; i++)
    contestant_handle (self->events[i].fd);
}

static void
sel_contestant_turn_list (gpointer data,
                          gboolean block)
{
  SelContestant *self = data;
  g_autoptr(GPtrArray) events = sel_base_selector_select (self->selector, block ? SEL_WAIT_FOREVER : 0, NULL, NULL);

  for (guint i = 0; i < events->len; i++)
    contestant_handle (sel_selector_key_get_fd (sel_selector_event_get_key (g_ptr_array_index (events, i))));
}

static void
sel_contestant_close (gpointer data)
{
  SelContestant *self = data;

  sel_base_selector_close (self->selector);
  g_clear_object (&self->selector);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_free (self);
}

static gboolean
sel_contestant_ready (SelBaseSelector *selector,
                      SelSelectorKey  *key,
                      SelEventMask     events,
                      gpointer         user_data)
{
  contestant_handle (sel_selector_key_get_fd (key));

  return G_SOURCE_CONTINUE;
}

static gpointer
sel_contestant_open_source (const Contestant *contestant)
{
  SelContestant *self = sel_contestant_open (contestant);

  if (self == NULL)
    return NULL;

  self->context = g_main_context_new ();
  sel_base_selector_attach (self->selector, self->context, G_PRIORITY_DEFAULT, sel_contestant_ready, NULL, NULL);

  return self;
}

static gboolean
sel_contestant_add_callback (gpointer        data,
                             int             fd,
                             BenchmarkEvents events)
{
  SelContestant *self = data;

  return sel_base_selector_register_callback (self->selector, fd, (SelEventMask) events,
                                              sel_contestant_ready, NULL, NULL, NULL);
}

static void
sel_contestant_turn_loop (gpointer data,
                          gboolean block)
{
  SelContestant *self = data;

  g_main_context_iteration (self->context, block);
}

static const NewFunc new_epoll = sel_epoll_selector_new;
static const NewFunc new_poll = sel_poll_selector_new;
static const NewFunc new_select = sel_select_selector_new;

#define FORMS(mechanism) \
  { \
    .name = "sel-glib array, " #mechanism, \
    .variant = &new_ ## mechanism, \
    .open = sel_contestant_open, \
    .add = sel_contestant_add, \
    .modify = sel_contestant_modify, \
    .remove = sel_contestant_remove, \
    .turn = sel_contestant_turn_array, \
    .close = sel_contestant_close, \
  }, \
  { \
    .name = "sel-glib list, " #mechanism, \
    .variant = &new_ ## mechanism, \
    .open = sel_contestant_open, \
    .add = sel_contestant_add, \
    .modify = sel_contestant_modify, \
    .remove = sel_contestant_remove, \
    .turn = sel_contestant_turn_list, \
    .close = sel_contestant_close, \
  }, \
  { \
    .name = "sel-glib source, " #mechanism, \
    .variant = &new_ ## mechanism, \
    .open = sel_contestant_open_source, \
    .add = sel_contestant_add, \
    .modify = sel_contestant_modify, \
    .remove = sel_contestant_remove, \
    .turn = sel_contestant_turn_loop, \
    .close = sel_contestant_close, \
  }, \
  { \
    .name = "sel-glib callbacks, " #mechanism, \
    .variant = &new_ ## mechanism, \
    .open = sel_contestant_open_source, \
    .add = sel_contestant_add_callback, \
    .modify = sel_contestant_modify, \
    .remove = sel_contestant_remove, \
    .turn = sel_contestant_turn_loop, \
    .close = sel_contestant_close, \
  }

const Contestant sel_contestants[] = {
  FORMS (epoll),
  FORMS (poll),
  FORMS (select),
  { 0 },
};
