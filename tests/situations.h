/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"

/* A kind of file, what the peer has done, and what the callback does. */

#define READ SEL_EVENT_READ
#define WRITE SEL_EVENT_WRITE
#define BOTH (READ | WRITE)

typedef struct _Situation Situation;

struct _Situation
{
  const char   *name;
  SelEventMask  events;
  gboolean    (*open) (Situation *self);  /* FALSE: this system does not have it */
  void        (*feed) (Situation *self);  /* the peer, before each turn, or NULL */
  void        (*act)  (Situation *self, SelEventMask events);  /* the callback, or NULL if it does nothing */
  guint         goal;
  gboolean      has_error_queue;          /* the systems that have kqueue have none */

  int           fd;
  int           peer;
  char         *path;
  guint         n_fed;
  guint         n_done;                   /* the situation is over when this is the goal */
  guint         n_calls;
};

/* Each of these opens a descriptor in the state of its name, and its peer if that is still open. */
gboolean open_sockets          (Situation *self, int type);
void     close_peer            (Situation *self);
gboolean open_closed_socket    (Situation *self);
gboolean open_half_closed      (Situation *self);
gboolean open_closed_packets   (Situation *self);
gboolean open_closed_tcp       (Situation *self);
gboolean open_half_closed_tcp  (Situation *self);
gboolean open_reset_tcp        (Situation *self);
gboolean open_shut_listener    (Situation *self);
gboolean open_unconnected      (Situation *self);
gboolean open_ended_pipe       (Situation *self);
gboolean open_broken_pipe      (Situation *self);
gboolean open_child            (Situation *self);
void     open_fifo_writer      (Situation *self);
gboolean open_fifo             (Situation *self);
void     open_fifo_reader      (Situation *self);
gboolean open_fifo_for_writing (Situation *self);
void     open_terminal_peer    (Situation *self);
gboolean open_terminal         (Situation *self);
void     situation_close       (Situation *self);

/* For the callback: reads a byte, or the end. */
void     read_byte             (Situation *self, SelEventMask events);
