/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules of NetBSD for sockets and pipes. NetBSD decides only when a file changes or when kevent() looks at a queued
 * filter, and its sockets have no state but "cannot receive" and "cannot send".
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <poll.h>
#include <sys/stat.h>

bool
sim_has_netbsd_rules (void)
{
  return sim_kqueue_knobs.forgets_pipes || sim_system_has_plain_sockets ();
}

static bool
note_look_at_socket (Note *note)
{
  short state = sim_system_socket_state ((int) note->kevent.ident);

  if (note->kevent.filter == EVFILT_READ)
    {
      note->revents = (uint32_t) state & (POLLIN | POLLRDHUP);
      return (state & POLLIN) != 0;
    }

  note->revents = (uint32_t) state & (POLLOUT | POLLHUP);
  return (state & POLLOUT) != 0;
}

/* The write filter of a full pipe runs before the pipe is marked as ended, and is not called again. */
static bool
note_was_forgotten (Note *note)
{
  return sim_kqueue_knobs.forgets_pipes
         && note->kevent.filter == EVFILT_WRITE
         && (note->revents & (EPOLLHUP | EPOLLERR)) != 0
         && (note->revents & EPOLLOUT) == 0
         && !note->queued
         && sim_system_is_pipe ((int) note->kevent.ident);
}

bool
note_netbsd_is_active (Note *note)
{
  if (sim_system_has_plain_sockets () && sim_system_is_socket ((int) note->kevent.ident))
    return note_look_at_socket (note);

  return !note_was_forgotten (note);
}

bool
note_netbsd_look (Note *note)
{
  struct pollfd pollfd = { .fd = (int) note->kevent.ident };

  pollfd.events = note->kevent.filter == EVFILT_READ ? POLLIN | POLLRDHUP : POLLOUT;
  if (sim_system_real_poll (&pollfd, 1, 0) < 0 || (pollfd.revents & POLLNVAL) != 0)
    return false;

  note->revents = (uint32_t) pollfd.revents;
  if (sim_system_has_plain_sockets () && sim_system_is_socket (pollfd.fd))
    return note_look_at_socket (note);

  return note->revents != 0;
}

void
queue_netbsd_added (Queue *queue,
                    Note  *note)
{
  if (note->file || note->disabled || !sim_has_netbsd_rules ())
    return;

  /* Adding it again ends the mute. */
  note_set_muted (queue, note, false);
  if (!note_netbsd_look (note))
    return;

  queue_dequeue (queue, note);
  note->pushed = (note->kevent.flags & EV_CLEAR) == 0
                 && note->kevent.filter == EVFILT_WRITE
                 && sim_system_is_socket ((int) note->kevent.ident)
                 && (note->revents & POLLHUP) != 0;
  queue_enqueue (queue, note);
}

/* epoll does not report that a socket was connected at once, or that it is writable because it was shut down. */
static void
queue_netbsd_look_at (Queue             *queue,
                      const struct stat *changed)
{
  struct stat buf;

  for (size_t fd = 0; fd < queue->table_size; fd++)
    for (int index = 0; index < N_FD_FILTERS; index++)
      {
        Note *note = queue->table[fd][index];

        if (note != NULL && fstat ((int) fd, &buf) == 0 && buf.st_ino == changed->st_ino)
          queue_netbsd_added (queue, note);
      }
}

static void
sim_socket_changed (int fd)
{
  sigset_t saved;
  struct stat buf;

  if (fstat (fd, &buf) < 0)
    return;

  sim_kqueue_lock (&saved);
  for (Queue *queue = sim_kqueue_queues; queue != NULL; queue = queue->next)
    if (queue->pid == sim_kqueue_owner)
      {
        queue_netbsd_look_at (queue, &buf);
        queue_update_signal (queue);
      }
  sim_kqueue_unlock (&saved);
}

__attribute__ ((constructor)) static void
sim_watch_sockets (void)
{
  sim_system_on_change (sim_socket_changed);
}
