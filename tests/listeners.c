/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <glib-unix.h>
#include <sys/socket.h>

#include "listeners.h"

const char *const listeners[N_LISTENERS] = { "g_unix_fd_add ()", "callback", "plain source", "asynchronous wait" };

void
situation_open (Situation       *self,
                const Situation *row)
{
  *self = *row;
  self->fd = self->peer = -1;
  if (self->open == NULL)
    open_sockets (self, SOCK_SEQPACKET);
  else
    g_assert_true (self->open (self));
}

gboolean
situation_on_ready (SelBaseSelector *selector,
                    SelSelectorKey  *key,
                    SelEventMask     events,
                    gpointer         user_data)
{
  Situation *self = user_data;

  self->n_calls++;
  if (self->act != NULL)
    self->act (self, events);

  return TRUE;
}

static gboolean
on_ready_plain (int          fd,
                GIOCondition condition,
                gpointer     user_data)
{
  Situation *self = user_data;

  self->n_calls++;
  if (self->act != NULL)
    self->act (self, ((condition & G_IO_OUT) != 0 ? WRITE : 0) | ((condition & ~G_IO_OUT) != 0 ? READ : 0));

  return TRUE;
}

void
situation_register (Situation       *self,
                    SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;

  sel_base_selector_register_callback (selector, self->fd, self->events, situation_on_ready, self, NULL, &error);
  g_assert_no_error (error);
}

/* The callback of a plain source. */
static gboolean
on_source (gpointer user_data)
{
  Listening *self = user_data;
  SelReadyEvent event;

  if (sel_base_selector_select_ready (self->selector, 0, &event, 1, NULL, NULL) == 1)
    situation_on_ready (self->selector, NULL, event.events, self->situation);

  return G_SOURCE_CONTINUE;
}

static void listening_begin_wait (Listening *self);

static void
on_selected (GObject      *object,
             GAsyncResult *result,
             gpointer      user_data)
{
  Listening *self = user_data;
  g_autoptr (GPtrArray) events = sel_base_selector_select_finish (self->selector, result, NULL);

  if (events == NULL)
    return;

  for (guint i = 0; i < events->len; i++)
    situation_on_ready (self->selector, NULL, sel_selector_event_get_events (g_ptr_array_index (events, i)),
                        self->situation);
  listening_begin_wait (self);
}

static void
listening_begin_wait (Listening *self)
{
  sel_base_selector_select_async (self->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, self->cancellable,
                                  on_selected, self);
}

static void
listening_attach (Listening   *self,
                  GSource     *source,
                  GSourceFunc  func,
                  gpointer     user_data)
{
  self->source = source;
  if (func != NULL)
    g_source_set_callback (source, func, user_data, NULL);
  g_source_attach (source, self->context);
}

void
listening_start (Listening       *self,
                 Situation       *situation,
                 SelBaseSelector *selector,
                 Listener         listener)
{
  *self = (Listening) { .situation = situation, .selector = selector, .context = g_main_context_new (),
                        .cancellable = g_cancellable_new (), .is_registered = listener != BY_GLIB,
                        .calls_callbacks = listener == BY_CALLBACK };
  g_main_context_push_thread_default (self->context);
  if (listener == BY_GLIB)
    {
      GIOCondition condition = ((situation->events & READ) != 0 ? G_IO_IN : 0) |
                               ((situation->events & WRITE) != 0 ? G_IO_OUT : 0);

      listening_attach (self, g_unix_fd_source_new (situation->fd, condition), G_SOURCE_FUNC (on_ready_plain),
                        situation);
      return;
    }

  sel_base_selector_set_emulate_always_ready (selector, TRUE);
  if (listener == BY_CALLBACK)
    situation_register (situation, selector);
  else
    watch (selector, situation->fd, situation->events);

  if (listener == BY_CALLBACK)
    listening_attach (self, sel_base_selector_create_dispatch_source (selector, NULL, NULL, NULL), NULL, NULL);
  else if (listener == BY_PLAIN_SOURCE)
    listening_attach (self, sel_base_selector_create_source (selector), on_source, self);
  else
    listening_begin_wait (self);
}

void
listening_stop (Listening *self)
{
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  g_cancellable_cancel (self->cancellable);
  while (g_main_context_iteration (self->context, FALSE))
    ;
  if (self->is_registered)
    unwatch (self->selector, self->situation->fd);
  g_main_context_pop_thread_default (self->context);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_object (&self->cancellable);
}
