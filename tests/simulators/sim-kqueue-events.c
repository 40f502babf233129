/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The events of kevent(). */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static bool
sim_pipe_ends_once (int fd)
{
  return sim_kqueue_knobs.ends_pipes_once && sim_system_is_pipe (fd);
}

/* pipe() opens both ends for reading and writing, so this is about named pipes. */
bool
sim_is_for_other_end (int   fd,
                      short filter)
{
  int unwanted = filter == EVFILT_READ ? O_WRONLY : O_RDONLY;
  struct stat buf;

  return fstat (fd, &buf) == 0
         && S_ISFIFO (buf.st_mode)
         && !sim_system_is_pipe (fd)
         && (fcntl (fd, F_GETFL) & O_ACCMODE) == unwanted;
}

/* Returns false if the note is not active by the rules of the flavour. epoll then reports it by the edge only. */
static bool
note_accept (Queue *queue,
             Note  *note)
{
  bool active = !(sim_kqueue_knobs.ends_pipes_once
                  && sim_is_for_other_end ((int) note->kevent.ident, note->kevent.filter))
                && (!sim_has_netbsd_rules () || note_netbsd_is_active (note));

  if ((note->kevent.flags & EV_CLEAR) == 0)
    note_set_muted (queue, note, !active);

  return active;
}

/* Returns the number of notes that were muted. */
static int
queue_scan_epoll (Queue *queue,
                  int    index)
{
  int n_muted = 0;
  int n = 0;

  if (queue->n_notes[index] > 0)
    n = epoll_wait (queue->epoll[index], queue->buffer, (int) queue->buffer_size, 0);

  for (int i = 0; i < n; i++)
    {
      Note *note = queue->table[queue->buffer[i].data.u64][index];
      bool was_muted;

      if (note == NULL)
        continue;

      was_muted = note->muted;
      note->revents = queue->buffer[i].events;
      if (note_accept (queue, note))
        {
          note->seen = queue->scan;
          queue_enqueue (queue, note);
        }
      else if (!was_muted)
        {
          n_muted++;
        }
    }

  return n_muted;
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

  /* epoll reports a note once more after it was muted. */
  for (int index = 0; index < N_FD_FILTERS; index++)
    while (queue_scan_epoll (queue, index) > 0)
      ;

  queue_scan_files (queue);
}

/* The read end of a pipe that is open in both directions is always writable. */
static bool
note_look_at_read_end (Note *note)
{
  struct pollfd pollfd = { .fd = (int) note->kevent.ident };

  sim_system_real_poll (&pollfd, 1, 0);
  note->revents = (pollfd.revents & POLLHUP) != 0 ? EPOLLHUP : EPOLLOUT;

  return true;
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

  if (note->kevent.filter == EVFILT_WRITE && sim_system_is_two_way_read_end ((int) note->kevent.ident))
    return note_look_at_read_end (note);

  if (note->pushed)
    return note_netbsd_look (note);

  if (note->file || (note->kevent.flags & EV_CLEAR) == 0)
    return false;

  if (sim_has_netbsd_rules ())
    return note_netbsd_look (note);

  pollfd.events = note->kevent.filter == EVFILT_READ ? POLLIN | POLLRDHUP : POLLOUT;
  if (sim_system_real_poll (&pollfd, 1, 0) != 1 || (pollfd.revents & POLLNVAL) != 0)
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
      event->data = note->revents & EPOLLERR && !(note->revents & EPOLLIN) ? 0 : n_bytes;
    }
  else
    {
      if (note->revents & (EPOLLHUP | EPOLLERR))
        event->flags |= EV_EOF;
      event->data = note->revents & EPOLLOUT ? PIPE_BUF : 0;
      /* FreeBSD removes the filter after it was returned. */
      if (event->flags & EV_EOF && sim_pipe_ends_once ((int) note->kevent.ident))
        {
          note->kevent.flags |= EV_ONESHOT;
          event->flags |= EV_ONESHOT;
        }
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
