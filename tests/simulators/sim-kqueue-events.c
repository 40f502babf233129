/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The events of kevent(). */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

static void
queue_scan_epoll (Queue *queue,
                  int    index)
{
  int n = 0;

  if (queue->n_notes[index] > 0)
    n = epoll_wait (queue->epoll[index], queue->buffer, (int) queue->buffer_size, 0);

  for (int i = 0; i < n; i++)
    {
      Note *note = queue->table[queue->buffer[i].data.u64][index];

      if (note == NULL)
        continue;

      note->revents = queue->buffer[i].events;
      note->seen = queue->scan;
      queue_enqueue (queue, note);
    }
}

static void
queue_scan_files (Queue *queue)
{
  if (queue->n_files == 0)
    return;

  for (size_t fd = 0; fd < queue->table_size; fd++)
    for (int index = 0; index < N_FD_FILTERS; index++)
      if (queue->table[fd][index] != NULL && queue->table[fd][index]->file)
        queue_scan_file (queue, queue->table[fd][index]);
}

static void
queue_scan (Queue *queue)
{
  queue->scan++;
  queue_scan_epoll (queue, READ);
  queue_scan_epoll (queue, WRITE);
  queue_scan_files (queue);
}

/* Returns true if the note is still active. It is checked again before it is returned as an event. */
static bool
note_holds (Queue *queue,
            Note  *note)
{
  struct pollfd pollfd = { .fd = (int) note->kevent.ident };

  if (note->kevent.filter == EVFILT_USER)
    return note->triggered;

  if (note->seen == queue->scan)
    return true;

  if (note->file || (note->kevent.flags & EV_CLEAR) == 0)
    return false;

  pollfd.events = note->kevent.filter == EVFILT_READ ? POLLIN | POLLRDHUP : POLLOUT;
  if (poll (&pollfd, 1, 0) != 1 || (pollfd.revents & POLLNVAL) != 0)
    return false;

  note->revents = (uint32_t) pollfd.revents;

  return true;
}

static void
note_to_event (Note          *note,
               struct kevent *event)
{
  int n_bytes = 0;

  *event = note->kevent;
  if (note->kevent.filter == EVFILT_USER || note->file)
    {
      if (note->kevent.filter == EVFILT_WRITE)
        event->data = 1;
      return;
    }

  if (note->kevent.filter == EVFILT_READ)
    {
      if (note->revents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        event->flags |= EV_EOF;
      /* A listening socket has connections instead of bytes. */
      if (ioctl ((int) note->kevent.ident, FIONREAD, &n_bytes) < 0)
        n_bytes = 1;
      event->data = n_bytes;
    }
  else
    {
      if (note->revents & (EPOLLHUP | EPOLLERR))
        event->flags |= EV_EOF;
      event->data = note->revents & EPOLLOUT ? PIPE_BUF : 0;
    }

  /* The simulated filters do not return flags in fflags. */
  event->fflags = 0;
}

static void
queue_after_return (Queue *queue,
                      Note  *note)
{
  note->returned = queue->scan;
  queue_dequeue (queue, note);

  if (note->kevent.flags & EV_ONESHOT)
    {
      queue_drop (queue, note);
      return;
    }

  if (note->kevent.flags & EV_CLEAR)
    note->triggered = false;

  if (note->kevent.flags & EV_DISPATCH)
    queue_disable (queue, note);
  else if ((note->kevent.flags & EV_CLEAR) == 0)
    queue_enqueue (queue, note);
}

static int
queue_take_injected (Queue         *queue,
                     struct kevent *events,
                     int            n_events)
{
  unsigned int n = queue->n_injected;

  if (n > (unsigned int) n_events)
    n = (unsigned int) n_events;

  memcpy (events, queue->injected, n * sizeof *events);
  queue->n_injected -= n;
  memmove (queue->injected, queue->injected + n, queue->n_injected * sizeof *events);

  return (int) n;
}

int
queue_take (Queue         *queue,
            struct kevent *events,
            int            n_events)
{
  int n = queue_take_injected (queue, events, n_events);
  Note *next;

  queue_scan (queue);

  for (Note *note = queue->head;
       note != NULL && n < n_events && note->returned != queue->scan;
       note = next)
    {
      next = note->next;

      if (!note_holds (queue, note))
        {
          queue_dequeue (queue, note);
          continue;
        }

      note_to_event (note, &events[n++]);
      queue_after_return (queue, note);
    }

  return n;
}
