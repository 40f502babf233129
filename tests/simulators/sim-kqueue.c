/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A kqueue made of epoll, after kqueue(2) of FreeBSD and NetBSD.
 *
 * A queue owns one epoll set per filter, so that the two filters of a descriptor are
 * independent, and an eventfd for what epoll cannot hold. The descriptor the user gets is
 * an epoll set around these three, which makes it pollable. What epoll finds goes into a
 * queue of active notes, first come first served; a note that stays active goes to its
 * tail when it has been delivered.
 *
 * One lock guards everything. Nobody waits in the kernel with it. Signals are blocked while
 * it is held, so a signal handler may call close() or trigger a user event; the wait itself
 * lets them in again, so that none is missed in between.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim-kqueue.h"

#define SIM_EXPORT      __attribute__ ((visibility ("default")))
#define MAX_RULES       8
#define MAX_INJECTED    8
#define NSEC_PER_SEC    1000000000L

/* How often files are looked at that have been read to their end: nothing reports a write. */
#define FILE_SLICE_NSEC 5000000L

/* FreeBSD waits no longer than this in one call. */
#define LONGEST_WAIT    (24 * 60 * 60)

enum { READ, WRITE, N_FD_FILTERS };

typedef struct _Note Note;

struct _Note
{
  struct kevent kevent;

  bool file;                    /* epoll refuses it: a regular file or a directory */
  bool disabled;
  bool triggered;               /* user events */
  bool queued;
  bool soft;                    /* queued, and no epoll set knows that it is active */

  uint32_t revents;
  uint64_t seen;                /* the scan that found it active */
  uint64_t delivered;           /* the scan that gave it to the user */

  Note *previous;               /* in the queue of active notes */
  Note *next;
  Note *next_in_list;           /* user events, or notes to be used again */
};

typedef struct _Queue Queue;

struct _Queue
{
  Queue *next;
  pid_t pid;
  int fd;
  int epoll[N_FD_FILTERS];
  int signal;
  bool signalled;
  bool closed;
  unsigned int refs;            /* the open descriptor, and each waiter */

  Note *(*table)[N_FD_FILTERS];
  size_t table_size;
  Note *users;
  Note *unused;
  unsigned int n_notes[N_FD_FILTERS];
  unsigned int n_users;
  unsigned int n_files;

  Note *head;
  Note *tail;
  unsigned int n_soft;
  uint64_t scan;

  struct epoll_event *buffer;
  size_t buffer_size;

  struct kevent injected[MAX_INJECTED];
  unsigned int n_injected;
};

typedef struct
{
  short filter;
  unsigned short flags;
  int skip;
  int count;
  int errnum;
} Rule;

typedef struct
{
  int open_errno;
  int pipe_errno;
  int device_errno;
  bool broken;
  bool closed_by_fork;
  time_t max_timeout;
  Rule rules[MAX_RULES];
  int n_failing_waits;
  int wait_errno;
  unsigned int n_waits;
  unsigned int n_changes;
} Knobs;

static const Knobs default_knobs = { .pipe_errno = EPIPE, .device_errno = EINVAL };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static sigset_t fork_signals;

/* Under the lock, except that n_queues and owner are read without it. */
static Knobs knobs = { .pipe_errno = EPIPE, .device_errno = EINVAL };
static Queue *queues;
static atomic_uint n_queues;
static _Atomic pid_t owner;

static int (*real_close) (int);
static int (*real_dup2) (int, int);
static int (*real_dup3) (int, int, int);

__attribute__ ((constructor)) static void
sim_resolve (void)
{
  /* POSIX way round ISO C, which has no conversion from object to function pointers. */
  *(void **) &real_close = dlsym (RTLD_NEXT, "close");
  *(void **) &real_dup2 = dlsym (RTLD_NEXT, "dup2");
  *(void **) &real_dup3 = dlsym (RTLD_NEXT, "dup3");
}

static void
sim_lock (sigset_t *saved)
{
  sigset_t all;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, saved);
  pthread_mutex_lock (&lock);
}

static void
sim_unlock (const sigset_t *saved)
{
  pthread_mutex_unlock (&lock);
  pthread_sigmask (SIG_SETMASK, saved, NULL);
}

/* Whether @filter is one of descriptors, and which. */
static bool
sim_filter_index (short  filter,
                  int   *index)
{
  *index = filter == EVFILT_WRITE ? WRITE : READ;

  return filter == EVFILT_READ || filter == EVFILT_WRITE;
}

/*
 * The queue of active notes
 */

static void
queue_update_signal (Queue *queue)
{
  bool wanted = queue->n_soft > 0 || queue->n_injected > 0 || queue->closed;
  uint64_t value = 1;

  if (wanted == queue->signalled)
    return;

  if (wanted)
    queue->signalled = write (queue->signal, &value, sizeof value) == sizeof value;
  else
    queue->signalled = read (queue->signal, &value, sizeof value) != sizeof value;
}

static void
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

  note->soft = note->file || note->kevent.filter == EVFILT_USER
               || (note->kevent.flags & EV_CLEAR) != 0;
  if (note->soft)
    queue->n_soft++;
}

static void
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

/*
 * Notes
 */

static Note *
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

static bool
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

static Note *
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

/* May run in a signal handler, so the memory is kept for the next note. */
static void
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
  if (note->kevent.flags & EV_CLEAR)
    event.events |= EPOLLET;

  return epoll_ctl (queue->epoll[index], op, (int) note->kevent.ident, &event) < 0 ? errno : 0;
}

/*
 * Makes epoll watch for @note, and look again if it does already. The set can be ahead or
 * behind if the C library closed the descriptor without our knowing.
 */
static int
note_arm (Queue *queue,
          Note  *note)
{
  int errnum = note_epoll_ctl (queue, note, EPOLL_CTL_ADD);

  return errnum == EEXIST ? note_epoll_ctl (queue, note, EPOLL_CTL_MOD) : errnum;
}

static void
note_disarm (Queue *queue,
             Note  *note)
{
  if (note->kevent.filter != EVFILT_USER && !note->file && !note->disabled)
    note_epoll_ctl (queue, note, EPOLL_CTL_DEL);
}

static void
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

/* FreeBSD: readable before the end of the file, always writable. */
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

static void
queue_scan_file (Queue *queue,
                 Note  *note)
{
  if (note->disabled || !note_file_is_ready (note))
    return;

  note->seen = queue->scan;
  queue_enqueue (queue, note);
}

static void
queue_disable (Queue *queue,
               Note  *note)
{
  note_disarm (queue, note);
  queue_dequeue (queue, note);
  note->disabled = true;
}

/*
 * Changes
 */

static bool
sim_pipe_is_broken (int                fd,
                    const struct stat *buf)
{
  struct pollfd pollfd = { .fd = fd };

  return S_ISFIFO (buf->st_mode)
         && poll (&pollfd, 1, 0) == 1
         && (pollfd.revents & (POLLHUP | POLLERR)) != 0;
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

  if (change->filter == EVFILT_WRITE && knobs.pipe_errno != 0 && sim_pipe_is_broken (fd, &buf))
    return knobs.pipe_errno;

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
      errnum = note->file ? 0 : knobs.device_errno;
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
    return knobs.broken && (change->flags & EV_ADD) ? 0 : EBADF;

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
          /* The kind of trigger may change, and with it who remembers that it is active. */
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
    }

  if (note->file)
    queue_scan_file (queue, note);

  return 0;
}

/* How FreeBSD's filt_user takes a change to an existing event: EV_CLEAR un-triggers it. */
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
sim_match_rules (const struct kevent *change)
{
  for (int i = 0; i < MAX_RULES; i++)
    {
      Rule *rule = &knobs.rules[i];

      if (rule->count == 0
          || (rule->filter != 0 && rule->filter != change->filter)
          || (rule->flags != 0 && (rule->flags & change->flags) == 0))
        continue;

      if (rule->skip > 0)
        {
          rule->skip--;
          continue;
        }

      if (rule->count > 0)
        rule->count--;

      return rule->errnum;
    }

  return 0;
}

static int
queue_change (Queue               *queue,
              const struct kevent *change)
{
  int index;
  int errnum = sim_match_rules (change);

  knobs.n_changes++;

  if (errnum != 0)
    return errnum;
  if (sim_filter_index (change->filter, &index))
    return queue_change_fd (queue, change);
  if (change->filter == EVFILT_USER)
    return queue_change_user (queue, change);

  return EINVAL;
}

/*
 * Applies the changes in order. What fails becomes an event while there is room for one,
 * and stops everything with -1 if not. A receipt without room stops without an error.
 */
static int
queue_apply (Queue               *queue,
             const struct kevent *changes,
             int                  n_changes,
             struct kevent       *events,
             int                  n_events)
{
  int n = 0;

  for (int i = 0; i < n_changes; i++)
    {
      /* The user may have given one array for both. */
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

/*
 * Events
 */

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

/* Whether what made the note active still holds: it is asked again before it is delivered. */
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
      /* A listening socket has no bytes, but connections. */
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

  /* No filter of ours has flags of its own to return. */
  event->fflags = 0;
}

static void
queue_after_delivery (Queue *queue,
                      Note  *note)
{
  note->delivered = queue->scan;
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

static int
queue_take (Queue         *queue,
            struct kevent *events,
            int            n_events)
{
  int n = queue_take_injected (queue, events, n_events);
  Note *next;

  queue_scan (queue);

  for (Note *note = queue->head;
       note != NULL && n < n_events && note->delivered != queue->scan;
       note = next)
    {
      next = note->next;

      if (!note_holds (queue, note))
        {
          queue_dequeue (queue, note);
          continue;
        }

      note_to_event (note, &events[n++]);
      queue_after_delivery (queue, note);
    }

  return n;
}

/*
 * Queues
 */

/* Frees the queue, if nobody waits in it any more. */
static void
queue_unref (Queue *queue)
{
  Note *lists[] = { queue->users, queue->unused };

  if (--queue->refs > 0)
    return;

  for (size_t i = 0; i < 2; i++)
    while (lists[i] != NULL)
      {
        Note *next = lists[i]->next_in_list;

        free (lists[i]);
        lists[i] = next;
      }

  for (size_t fd = 0; fd < queue->table_size; fd++)
    for (int index = 0; index < N_FD_FILTERS; index++)
      free (queue->table[fd][index]);

  for (int index = 0; index < N_FD_FILTERS; index++)
    if (queue->epoll[index] >= 0)
      real_close (queue->epoll[index]);
  if (queue->signal >= 0)
    real_close (queue->signal);

  free (queue->table);
  free (queue->buffer);
  free (queue);
}

static Queue *
sim_lookup (int kq)
{
  pid_t pid = getpid ();

  for (Queue *queue = queues; queue != NULL; queue = queue->next)
    if (queue->fd == kq && queue->pid == pid)
      return queue;

  return NULL;
}

/* The number @fd is about to be closed, or to become another file. */
static void
sim_forget (int fd)
{
  Queue **link = &queues;

  while (*link != NULL)
    {
      Queue *queue = *link;

      if (queue->fd == fd)
        {
          *link = queue->next;
          atomic_fetch_sub (&n_queues, 1);
          queue->closed = true;
          if (queue->pid == owner)
            queue_update_signal (queue);
          queue_unref (queue);
          continue;
        }

      if (queue->pid == owner && (size_t) fd < queue->table_size)
        {
          for (int index = 0; index < N_FD_FILTERS; index++)
            if (queue->table[fd][index] != NULL)
              queue_drop (queue, queue->table[fd][index]);
          queue_update_signal (queue);
        }

      link = &queue->next;
    }
}

static void
sim_before_fork (void)
{
  sigset_t saved;

  sim_lock (&saved);
  fork_signals = saved;
}

static void
sim_after_fork_in_parent (void)
{
  sigset_t saved = fork_signals;

  sim_unlock (&saved);
}

/*
 * The child has none of the queues. Their memory is freed when it closes the numbers, since
 * this is no place to do it.
 */
static void
sim_after_fork_in_child (void)
{
  sigset_t saved = fork_signals;

  owner = getpid ();

  for (Queue *queue = queues; queue != NULL; queue = queue->next)
    {
      for (int index = 0; index < N_FD_FILTERS; index++)
        if (queue->epoll[index] >= 0)
          {
            real_close (queue->epoll[index]);
            queue->epoll[index] = -1;
          }

      if (queue->signal >= 0)
        real_close (queue->signal);
      queue->signal = -1;
      queue->refs = 1;

      if (knobs.closed_by_fork && queue->fd >= 0)
        {
          real_close (queue->fd);
          queue->fd = -1;
        }
    }

  sim_unlock (&saved);
}

static void
sim_watch_forks (void)
{
  pthread_atfork (sim_before_fork, sim_after_fork_in_parent, sim_after_fork_in_child);
}

static bool
queue_open (Queue *queue,
            int    flags)
{
  struct epoll_event event = { .events = EPOLLIN };
  int inner[N_FD_FILTERS + 1];

  queue->fd = epoll_create1 (flags & O_CLOEXEC ? EPOLL_CLOEXEC : 0);
  queue->epoll[READ] = epoll_create1 (EPOLL_CLOEXEC);
  queue->epoll[WRITE] = epoll_create1 (EPOLL_CLOEXEC);
  queue->signal = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  inner[0] = queue->epoll[READ];
  inner[1] = queue->epoll[WRITE];
  inner[2] = queue->signal;

  if (queue->fd < 0)
    return false;

  for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
    {
      event.data.fd = inner[i];
      if (inner[i] < 0 || epoll_ctl (queue->fd, EPOLL_CTL_ADD, inner[i], &event) < 0)
        return false;
    }

  return true;
}

static int
sim_open (int flags)
{
  int errnum = knobs.open_errno;
  Queue *queue;

  if (errnum != 0)
    {
      errno = errnum;
      return -1;
    }

  queue = calloc (1, sizeof *queue);
  if (queue == NULL)
    return -1;

  queue->refs = 1;
  if (!queue_open (queue, flags))
    {
      errnum = errno;
      if (queue->fd >= 0)
        real_close (queue->fd);
      queue_unref (queue);
      errno = errnum;
      return -1;
    }

  /* A queue that was closed behind our back. */
  if (n_queues > 0)
    sim_forget (queue->fd);

  owner = queue->pid = getpid ();
  queue->next = queues;
  queues = queue;
  atomic_fetch_add (&n_queues, 1);

  return queue->fd;
}

SIM_EXPORT int
kqueue1 (int flags)
{
  sigset_t saved;
  int errnum;
  int kq;

  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) != 0)
    {
      errno = EINVAL;
      return -1;
    }

  pthread_once (&fork_once, sim_watch_forks);

  sim_lock (&saved);
  kq = sim_open (flags);
  errnum = errno;
  sim_unlock (&saved);
  errno = errnum;

  return kq;
}

SIM_EXPORT int
kqueue (void)
{
  return kqueue1 (0);
}

/*
 * Waiting
 */

static bool
sim_timeout_is_valid (const struct timespec *timeout)
{
  return timeout == NULL
         || (timeout->tv_sec >= 0
             && timeout->tv_nsec >= 0
             && timeout->tv_nsec < NSEC_PER_SEC
             && (knobs.max_timeout == 0 || timeout->tv_sec <= knobs.max_timeout));
}

static struct timespec
sim_deadline (const struct timespec *timeout)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  now.tv_sec += timeout->tv_sec < LONGEST_WAIT ? timeout->tv_sec : LONGEST_WAIT;
  now.tv_nsec += timeout->tv_nsec;
  if (now.tv_nsec >= NSEC_PER_SEC)
    {
      now.tv_sec++;
      now.tv_nsec -= NSEC_PER_SEC;
    }

  return now;
}

/* Returns false if the deadline has been reached. */
static bool
sim_time_left (const struct timespec *deadline,
               struct timespec       *left)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  left->tv_sec = deadline->tv_sec - now.tv_sec;
  left->tv_nsec = deadline->tv_nsec - now.tv_nsec;
  if (left->tv_nsec < 0)
    {
      left->tv_sec--;
      left->tv_nsec += NSEC_PER_SEC;
    }

  return left->tv_sec >= 0 && (left->tv_sec > 0 || left->tv_nsec > 0);
}

/*
 * Waits without the lock for the inner descriptors, which live as long as the caller's
 * reference, unlike the number of the queue. @left is NULL to wait for ever. Signals are
 * let in only here.
 */
static int
queue_sleep (Queue           *queue,
             struct timespec *left,
             const sigset_t  *signals)
{
  struct timespec slice = { .tv_nsec = FILE_SLICE_NSEC };
  struct pollfd fds[] = {
    { .fd = queue->epoll[READ], .events = POLLIN },
    { .fd = queue->epoll[WRITE], .events = POLLIN },
    { .fd = queue->signal, .events = POLLIN },
  };
  int errnum;
  int result;

  if (queue->n_files > 0 && (left == NULL || left->tv_sec > 0 || left->tv_nsec > slice.tv_nsec))
    left = &slice;

  pthread_mutex_unlock (&lock);
  result = ppoll (fds, sizeof fds / sizeof fds[0], left, signals);
  errnum = errno;
  pthread_mutex_lock (&lock);
  errno = errnum;

  return result;
}

/* Called and left with the lock held. */
static int
queue_wait (Queue                 *queue,
            struct kevent         *events,
            int                    n_events,
            const struct timespec *timeout,
            const sigset_t        *signals)
{
  struct timespec deadline = { 0 };
  struct timespec left = { 0 };
  int n;

  if (knobs.n_failing_waits > 0)
    {
      knobs.n_failing_waits--;
      errno = knobs.wait_errno;
      return -1;
    }

  if (timeout != NULL)
    deadline = sim_deadline (timeout);

  for (;;)
    {
      if (queue->closed)
        {
          errno = EBADF;
          return -1;
        }

      n = queue_take (queue, events, n_events);
      queue_update_signal (queue);
      if (n > 0 || (timeout != NULL && !sim_time_left (&deadline, &left)))
        return n;

      if (queue_sleep (queue, timeout != NULL ? &left : NULL, signals) < 0)
        return -1;
    }
}

SIM_EXPORT int
kevent (int                    kq,
        const struct kevent   *changelist,
        int                    nchanges,
        struct kevent         *eventlist,
        int                    nevents,
        const struct timespec *timeout)
{
  sigset_t saved;
  Queue *queue;
  int saved_errno = errno;
  int errnum;
  int n;

  if (nchanges < 0 || nevents < 0)
    {
      errno = EINVAL;
      return -1;
    }

  sim_lock (&saved);

  queue = sim_lookup (kq);
  if (queue == NULL)
    {
      sim_unlock (&saved);
      errno = EBADF;
      return -1;
    }

  errno = 0;
  queue->refs++;
  n = queue_apply (queue, changelist, nchanges, eventlist, nevents);
  queue_update_signal (queue);

  if (n == 0 && nevents > 0)
    {
      knobs.n_waits++;
      if (sim_timeout_is_valid (timeout))
        {
          n = queue_wait (queue, eventlist, nevents, timeout, &saved);
        }
      else
        {
          errno = EINVAL;
          n = -1;
        }
    }

  errnum = errno;
  queue_unref (queue);
  sim_unlock (&saved);
  errno = n < 0 ? errnum : saved_errno;

  return n;
}

/*
 * Closing
 */

static bool
sim_is_idle (void)
{
  if (real_close == NULL)
    sim_resolve ();

  /* A child of vfork() shares our memory, but its descriptors are its own. */
  return atomic_load (&n_queues) == 0 || getpid () != owner;
}

SIM_EXPORT int
close (int fd)
{
  sigset_t saved;
  int errnum;
  int result;

  if (sim_is_idle () || fd < 0)
    return real_close (fd);

  /* With the lock, so that nobody registers the number before it is closed. */
  sim_lock (&saved);
  sim_forget (fd);
  result = real_close (fd);
  errnum = errno;
  sim_unlock (&saved);
  errno = errnum;

  return result;
}

static bool
sim_can_dup (int fd,
             int new_fd)
{
  struct rlimit limit;

  return fd != new_fd
         && new_fd >= 0
         && getrlimit (RLIMIT_NOFILE, &limit) == 0
         && (rlim_t) new_fd < limit.rlim_cur
         && fcntl (fd, F_GETFD) >= 0;
}

SIM_EXPORT int
dup2 (int fd,
      int new_fd)
{
  sigset_t saved;
  int errnum;
  int result;

  if (sim_is_idle ())
    return real_dup2 (fd, new_fd);

  sim_lock (&saved);
  if (sim_can_dup (fd, new_fd))
    sim_forget (new_fd);
  result = real_dup2 (fd, new_fd);
  errnum = errno;
  sim_unlock (&saved);
  errno = errnum;

  return result;
}

SIM_EXPORT int
dup3 (int fd,
      int new_fd,
      int flags)
{
  sigset_t saved;
  int errnum;
  int result;

  if (sim_is_idle ())
    return real_dup3 (fd, new_fd, flags);

  sim_lock (&saved);
  if ((flags & ~O_CLOEXEC) == 0 && sim_can_dup (fd, new_fd))
    sim_forget (new_fd);
  result = real_dup3 (fd, new_fd, flags);
  errnum = errno;
  sim_unlock (&saved);
  errno = errnum;

  return result;
}

/*
 * Knobs
 */

#define WITH_LOCK(statement) do { \
    sigset_t saved_; \
    sim_lock (&saved_); \
    statement; \
    sim_unlock (&saved_); \
  } while (0)

void
sim_kqueue_reset (void)
{
  WITH_LOCK (knobs = default_knobs);
}

void
sim_kqueue_set_open_errno (int errnum)
{
  WITH_LOCK (knobs.open_errno = errnum);
}

void
sim_kqueue_set_broken (bool broken)
{
  WITH_LOCK (knobs.broken = broken);
}

void
sim_kqueue_set_pipe_errno (int errnum)
{
  WITH_LOCK (knobs.pipe_errno = errnum);
}

void
sim_kqueue_set_device_errno (int errnum)
{
  WITH_LOCK (knobs.device_errno = errnum);
}

void
sim_kqueue_set_max_timeout (time_t seconds)
{
  WITH_LOCK (knobs.max_timeout = seconds);
}

void
sim_kqueue_set_closed_by_fork (bool closed)
{
  WITH_LOCK (knobs.closed_by_fork = closed);
}

void
sim_kqueue_fail_waits (int count,
                       int errnum)
{
  WITH_LOCK (knobs.n_failing_waits = count; knobs.wait_errno = errnum);
}

/* Rules that are used up make room, so that the first in the array is the oldest. */
static void
sim_add_rule (const Rule *rule)
{
  int n = 0;

  for (int i = 0; i < MAX_RULES; i++)
    if (knobs.rules[i].count != 0)
      knobs.rules[n++] = knobs.rules[i];

  if (n == MAX_RULES)
    n--;

  memset (knobs.rules + n, 0, (size_t) (MAX_RULES - n) * sizeof *rule);
  knobs.rules[n] = *rule;
}

void
sim_kqueue_fail_changes (short          filter,
                         unsigned short flags,
                         int            skip,
                         int            count,
                         int            errnum)
{
  Rule rule = {
    .filter = filter,
    .flags = flags,
    .skip = skip,
    .count = count,
    .errnum = errnum,
  };

  WITH_LOCK (sim_add_rule (&rule));
}

int
sim_kqueue_inject (int                  kq,
                   const struct kevent *event)
{
  sigset_t saved;
  Queue *queue;
  int errnum = 0;

  sim_lock (&saved);
  queue = sim_lookup (kq);
  if (queue == NULL)
    {
      errnum = EBADF;
    }
  else if (queue->n_injected == MAX_INJECTED)
    {
      errnum = ENOSPC;
    }
  else
    {
      queue->injected[queue->n_injected++] = *event;
      queue_update_signal (queue);
    }
  sim_unlock (&saved);

  if (errnum == 0)
    return 0;

  errno = errnum;
  return -1;
}

int
sim_kqueue_count (int kq)
{
  sigset_t saved;
  Queue *queue;
  int n = -1;

  sim_lock (&saved);
  queue = sim_lookup (kq);
  if (queue != NULL)
    n = (int) (queue->n_notes[READ] + queue->n_notes[WRITE] + queue->n_users);
  sim_unlock (&saved);

  return n;
}

bool
sim_kqueue_find (int            kq,
                 uintptr_t      ident,
                 short          filter,
                 struct kevent *out)
{
  sigset_t saved;
  Queue *queue;
  Note *note = NULL;

  sim_lock (&saved);
  queue = sim_lookup (kq);
  if (queue != NULL)
    note = queue_find (queue, ident, filter);
  if (note != NULL && out != NULL)
    {
      *out = note->kevent;
      if (note->disabled)
        out->flags |= EV_DISABLE;
    }
  sim_unlock (&saved);

  return note != NULL;
}

unsigned int
sim_kqueue_n_waits (void)
{
  unsigned int n;

  WITH_LOCK (n = knobs.n_waits);

  return n;
}

unsigned int
sim_kqueue_n_changes (void)
{
  unsigned int n;

  WITH_LOCK (n = knobs.n_changes);

  return n;
}

unsigned int
sim_kqueue_n_open (void)
{
  unsigned int n = 0;
  sigset_t saved;

  sim_lock (&saved);
  for (Queue *queue = queues; queue != NULL; queue = queue->next)
    if (queue->pid == owner)
      n++;
  sim_unlock (&saved);

  return n;
}
