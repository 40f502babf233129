/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The changes of kevent(). */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

/* FreeBSD accepts filters of named pipes in any state. */
static bool
sim_pipe_is_broken (int                fd,
                    const struct stat *buf)
{
  struct pollfd pollfd = { .fd = fd };

  return S_ISFIFO (buf->st_mode)
         && (!sim_kqueue_knobs.ends_pipes_once || sim_system_is_pipe (fd))
         && sim_system_real_poll (&pollfd, 1, 0) == 1
         && (pollfd.revents & (POLLHUP | POLLERR)) != 0;
}

/* epoll does not report that the read end of a pipe is writable. */
static void
queue_push_read_end (Queue *queue,
                     Note  *note)
{
  if (note->kevent.filter != EVFILT_WRITE || note->disabled
      || !sim_system_is_two_way_read_end ((int) note->kevent.ident))
    return;

  queue_dequeue (queue, note);
  note->pushed = true;
  queue_enqueue (queue, note);
}

static int
queue_add_fd (Queue               *queue,
              const struct kevent *change,
              Note               **out)
{
  struct stat buf;
  Note *note;
  int index;
  int errnum;
  int fd = (int) change->ident;

  sim_filter_index (change->filter, &index);

  if (fd == queue->fd)
    return EINVAL;

  if (fstat (fd, &buf) < 0)
    return errno;

  if (sim_kqueue_knobs.strict_fifos && sim_is_for_other_end (fd, change->filter))
    return EINVAL;

  if (change->filter == EVFILT_WRITE && sim_kqueue_knobs.pipe_errno != 0 && sim_pipe_is_broken (fd, &buf))
    return sim_kqueue_knobs.pipe_errno;

  if (!queue_grow (queue, (size_t) fd, index))
    return ENOMEM;

  note = queue_new_note (queue, change);
  if (note == NULL)
    return ENOMEM;

  note->kevent.flags = change->flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH);
  errnum = note_arm (queue, note);
  if (errnum == EPERM)
    {
      note->file = S_ISREG (buf.st_mode) || S_ISDIR (buf.st_mode);
      errnum = note->file ? 0 : sim_kqueue_knobs.device_errno;
    }

  if (errnum != 0)
    {
      queue_recycle_note (queue, note);
      return errnum;
    }

  queue->table[fd][index] = note;
  queue->n_notes[index]++;
  if (note->file)
    queue->n_files++;
  *out = note;
  queue_netbsd_added (queue, note);
  queue_push_read_end (queue, note);

  return 0;
}

static int
queue_change_fd (Queue               *queue,
                 const struct kevent *change)
{
  bool is_new;
  Note *note;
  int errnum;

  if (change->ident > INT_MAX || fcntl ((int) change->ident, F_GETFD) < 0)
    return sim_kqueue_knobs.broken && (change->flags & EV_ADD) ? 0 : EBADF;

  note = queue_find (queue, change->ident, change->filter);
  is_new = note == NULL;

  if (change->flags & EV_DELETE)
    {
      if (note == NULL)
        return ENOENT;
      queue_drop (queue, note);
      return 0;
    }

  if (is_new)
    {
      if ((change->flags & EV_ADD) == 0)
        return ENOENT;
      errnum = queue_add_fd (queue, change, &note);
      if (errnum != 0)
        return errnum;
    }

  note->kevent.udata = change->udata;
  memcpy (note->kevent.ext, change->ext, sizeof change->ext);

  if (change->flags & EV_ADD)
    {
      note->kevent.fflags = change->fflags;
      if (!is_new)
        {
          /* The trigger may change between level and edge, and the flag "soft" depends on it. */
          queue_dequeue (queue, note);
          note->kevent.flags = change->flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH);
        }
    }

  if (change->flags & EV_DISABLE)
    queue_disable (queue, note);
  else if (!is_new && (change->flags & (EV_ADD | EV_ENABLE)) != 0)
    {
      note->disabled = false;
      errnum = note->file ? 0 : note_arm (queue, note);
      if (errnum != 0)
        {
          queue_drop (queue, note);
          return errnum;
        }
      queue_netbsd_added (queue, note);
      queue_push_read_end (queue, note);
    }

  if (note->file)
    queue_scan_file (queue, note);

  return 0;
}

/* Changes an existing user event like filt_user of FreeBSD, where EV_CLEAR ends the triggered state. */
static void
note_touch_user (Note                *note,
                 const struct kevent *change)
{
  unsigned int given = change->fflags & NOTE_FFLAGSMASK;

  if (change->fflags & NOTE_TRIGGER)
    note->triggered = true;

  switch (change->fflags & NOTE_FFCTRLMASK)
    {
    case NOTE_FFAND:
      note->kevent.fflags &= given;
      break;

    case NOTE_FFOR:
      note->kevent.fflags |= given;
      break;

    case NOTE_FFCOPY:
      note->kevent.fflags = given;
      break;

    default:
      break;
    }

  note->kevent.data = change->data;
  if (change->flags & EV_CLEAR)
    note->triggered = false;
}

static int
queue_change_user (Queue               *queue,
                   const struct kevent *change)
{
  Note *note = queue_find (queue, change->ident, change->filter);

  if (change->flags & EV_DELETE)
    {
      if (note == NULL)
        return ENOENT;
      queue_drop (queue, note);
      return 0;
    }

  if (note == NULL)
    {
      if ((change->flags & EV_ADD) == 0)
        return ENOENT;

      note = queue_new_note (queue, change);
      if (note == NULL)
        return ENOMEM;

      note->kevent.flags = change->flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH);
      note->kevent.fflags = change->fflags & NOTE_FFLAGSMASK;
      note->kevent.data = change->data;
      note->triggered = (change->fflags & NOTE_TRIGGER) != 0;
      note->next_in_list = queue->users;
      queue->users = note;
      queue->n_users++;
    }
  else
    {
      note_touch_user (note, change);
    }

  note->kevent.udata = change->udata;
  memcpy (note->kevent.ext, change->ext, sizeof change->ext);

  if (change->flags & EV_DISABLE)
    note->disabled = true;
  else if (change->flags & (EV_ADD | EV_ENABLE))
    note->disabled = false;

  if (note->triggered && !note->disabled)
    queue_enqueue (queue, note);
  else
    queue_dequeue (queue, note);

  return 0;
}

static int
queue_change (Queue               *queue,
              const struct kevent *change)
{
  int index;
  int errnum = sim_match_rules (change);

  sim_kqueue_knobs.n_changes++;

  if (errnum != 0)
    return errnum;
  if (sim_filter_index (change->filter, &index))
    return queue_change_fd (queue, change);
  if (change->filter == EVFILT_USER)
    return queue_change_user (queue, change);

  return EINVAL;
}

/*
 * Applies the changes in order. A failure becomes an event if there is room for one, and otherwise ends the call with
 * -1. A receipt without room ends the call without an error.
 */
int
queue_apply (Queue               *queue,
             const struct kevent *changes,
             int                  n_changes,
             struct kevent       *events,
             int                  n_events)
{
  int n = 0;

  for (int i = 0; i < n_changes; i++)
    {
      /* The caller may use one array for changes and events. */
      struct kevent change = changes[i];
      int errnum = queue_change (queue, &change);

      if (errnum == 0 && (change.flags & EV_RECEIPT) == 0)
        continue;

      if (n >= n_events)
        {
          if (errnum != 0)
            {
              errno = errnum;
              return -1;
            }
          break;
        }

      change.flags = EV_ERROR;
      change.data = errnum;
      events[n++] = change;
    }

  return n;
}
