/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The notes of a queue: each is one registered filter. The active ones are in a queue. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
sim_filter_index (short  filter,
                  int   *index)
{
  *index = filter == EVFILT_WRITE ? WRITE : READ;

  return filter == EVFILT_READ || filter == EVFILT_WRITE;
}

void
queue_update_signal (Queue *queue)
{
  bool wanted = queue->n_soft > 0 || queue->n_injected > 0 || queue->closed
                || (sim_kqueue_knobs.stays_readable && queue->head != NULL);
  uint64_t value = 1;

  if (wanted == queue->signalled)
    return;

  if (wanted)
    queue->signalled = write (queue->signal, &value, sizeof value) == sizeof value;
  else
    queue->signalled = read (queue->signal, &value, sizeof value) != sizeof value;
}

void
queue_enqueue (Queue *queue,
               Note  *note)
{
  if (note->queued)
    return;

  note->queued = true;
  note->next = NULL;
  note->previous = queue->tail;
  if (queue->tail != NULL)
    queue->tail->next = note;
  else
    queue->head = note;
  queue->tail = note;

  note->soft = note->file || note->pushed || note->kevent.filter == EVFILT_USER
               || (note->kevent.flags & EV_CLEAR) != 0;
  if (note->soft)
    queue->n_soft++;
}

void
queue_dequeue (Queue *queue,
               Note  *note)
{
  if (!note->queued)
    return;

  if (note->previous != NULL)
    note->previous->next = note->next;
  else
    queue->head = note->next;
  if (note->next != NULL)
    note->next->previous = note->previous;
  else
    queue->tail = note->previous;

  if (note->soft)
    queue->n_soft--;
  note->soft = false;
  note->queued = false;
}

Note *
queue_find (Queue     *queue,
            uintptr_t  ident,
            short      filter)
{
  int index;

  if (sim_filter_index (filter, &index))
    return ident < queue->table_size ? queue->table[ident][index] : NULL;

  for (Note *note = queue->users; note != NULL; note = note->next_in_list)
    if (note->kevent.ident == ident)
      return note;

  return NULL;
}

bool
queue_grow (Queue  *queue,
            size_t  fd,
            int     index)
{
  size_t n_notes = queue->n_notes[index] + 1;

  if (fd >= queue->table_size)
    {
      size_t size = fd + 64;
      Note *(*table)[N_FD_FILTERS] = realloc (queue->table, size * sizeof *table);

      if (table == NULL)
        return false;

      memset (table + queue->table_size, 0, (size - queue->table_size) * sizeof *table);
      queue->table = table;
      queue->table_size = size;
    }

  if (n_notes > queue->buffer_size)
    {
      size_t size = 2 * n_notes;
      struct epoll_event *buffer = realloc (queue->buffer, size * sizeof *buffer);

      if (buffer == NULL)
        return false;

      queue->buffer = buffer;
      queue->buffer_size = size;
    }

  return true;
}

Note *
queue_new_note (Queue               *queue,
                const struct kevent *change)
{
  Note *note = queue->unused;

  if (note != NULL)
    queue->unused = note->next_in_list;
  else
    note = malloc (sizeof *note);

  if (note != NULL)
    {
      memset (note, 0, sizeof *note);
      note->kevent.ident = change->ident;
      note->kevent.filter = change->filter;
    }

  return note;
}

/* May run in a signal handler, so it does not free the memory, but keeps it for the next note. */
void
queue_recycle_note (Queue *queue,
                    Note  *note)
{
  note->next_in_list = queue->unused;
  queue->unused = note;
}

static int
note_epoll_ctl (Queue *queue,
                Note  *note,
                int    op)
{
  struct epoll_event event = { .data.u64 = note->kevent.ident };
  int index;

  sim_filter_index (note->kevent.filter, &index);
  event.events = index == READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
  if (note->muted || (note->kevent.flags & EV_CLEAR) != 0)
    event.events |= EPOLLET;

  return epoll_ctl (queue->epoll[index], op, (int) note->kevent.ident, &event) < 0 ? errno : 0;
}

/*
 * Adds @note to the epoll set. If the set has it already, the change makes epoll report it again. The set may differ
 * from the table of notes if the C library has closed the descriptor, which the simulator does not notice.
 */
int
note_arm (Queue *queue,
          Note  *note)
{
  int errnum = note_epoll_ctl (queue, note, EPOLL_CTL_ADD);

  return errnum == EEXIST ? note_epoll_ctl (queue, note, EPOLL_CTL_MOD) : errnum;
}

void
note_set_muted (Queue *queue,
                Note  *note,
                bool   muted)
{
  if (note->muted == muted)
    return;

  note->muted = muted;
  note_epoll_ctl (queue, note, EPOLL_CTL_MOD);
}

static void
note_disarm (Queue *queue,
             Note  *note)
{
  if (note->kevent.filter != EVFILT_USER && !note->file && !note->disabled)
    note_epoll_ctl (queue, note, EPOLL_CTL_DEL);
}

void
queue_drop (Queue *queue,
            Note  *note)
{
  int index;

  note_disarm (queue, note);
  queue_dequeue (queue, note);

  if (sim_filter_index (note->kevent.filter, &index))
    {
      queue->table[note->kevent.ident][index] = NULL;
      queue->n_notes[index]--;
      if (note->file)
        queue->n_files--;
    }
  else
    {
      Note **link = &queue->users;

      while (*link != note)
        link = &(*link)->next_in_list;
      *link = note->next_in_list;
      queue->n_users--;
    }

  queue_recycle_note (queue, note);
}

/* Like on FreeBSD, a file is readable before its end, and always writable. */
static bool
note_file_is_ready (Note *note)
{
  int fd = (int) note->kevent.ident;
  struct stat buf;
  off_t offset;

  if (fstat (fd, &buf) < 0)
    return false;

  if (note->kevent.filter == EVFILT_WRITE)
    return true;

  offset = lseek (fd, 0, SEEK_CUR);
  note->kevent.data = buf.st_size - offset;

  return buf.st_size > offset;
}

void
queue_scan_file (Queue *queue,
                 Note  *note)
{
  if (note->disabled || !note_file_is_ready (note))
    return;

  note->seen = queue->scan;
  queue_enqueue (queue, note);
}

void
queue_disable (Queue *queue,
               Note  *note)
{
  note_disarm (queue, note);
  queue_dequeue (queue, note);
  note->disabled = true;
}
