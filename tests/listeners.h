/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "situations.h"

/* The ways in which a program hears that a descriptor is ready. */
typedef enum
{
  BY_GLIB,                   /* the yardstick: g_unix_fd_add () */
  BY_CALLBACK,
  BY_PLAIN_SOURCE,
  BY_ASYNC_WAIT,
  N_LISTENERS
} Listener;

extern const char *const listeners[N_LISTENERS];

/* A situation, and the context whose turns tell about it. */
typedef struct
{
  Situation       *situation;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;        /* NULL for asynchronous waits */
  GCancellable    *cancellable;
  gboolean         is_registered;
  gboolean         calls_callbacks;
} Listening;

/* Opens the situation of @row. */
void     situation_open     (Situation       *self,
                             const Situation *row);

/* The callback of a descriptor; @user_data is its situation. */
gboolean situation_on_ready (SelBaseSelector *selector,
                             SelSelectorKey  *key,
                             SelEventMask     events,
                             gpointer         user_data);

/* Registers the descriptor of @self with that callback. */
void     situation_register (Situation       *self,
                             SelBaseSelector *selector);

/* Calls the callback of @situation in the turns of a context of its own, which is the thread's default until
 * listening_stop (). */
void     listening_start    (Listening       *self,
                             Situation       *situation,
                             SelBaseSelector *selector,
                             Listener         listener);

/* Unregisters the descriptor. */
void     listening_stop     (Listening       *self);
