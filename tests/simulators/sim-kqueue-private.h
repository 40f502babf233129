/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parts of the simulated kqueue:
 *
 * sim-kqueue.c          queues, kqueue(), kevent(), and the functions that close descriptors
 * sim-kqueue-notes.c    the registered filters, and the queue of active ones
 * sim-kqueue-changes.c  the changes of kevent()
 * sim-kqueue-events.c   the events of kevent()
 * sim-kqueue-netbsd.c   the rules of NetBSD for sockets and pipes
 * sim-kqueue-knobs.c    the functions for tests in sim-kqueue.h
 *
 * A file that includes this header defines _GNU_SOURCE first.
 */

#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "sim-kqueue.h"
#include "sim-system.h"

#define MAX_RULES       8
#define MAX_INJECTED    8

enum { READ, WRITE, N_FD_FILTERS };

typedef struct _Note Note;

struct _Note
{
  struct kevent kevent;

  bool file;                    /* epoll refuses it: a regular file or a directory */
  bool disabled;
  bool triggered;               /* user events */
  bool queued;
  bool soft;                    /* queued, and not reported by an epoll set */
  bool pushed;                  /* active, although epoll does not report it */
  bool muted;                   /* epoll reports it, but it is not active: the trigger is the edge for now */

  uint32_t revents;
  uint64_t seen;                /* number of the last scan that found the note active */
  uint64_t returned;            /* number of the last scan that returned the note as an event */

  Note *previous;               /* in the queue of active notes */
  Note *next;
  Note *next_in_list;           /* in the list of user events, or of unused notes */
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
  unsigned int refs;            /* one for the open descriptor, and one for each waiter */

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
  bool forgets_pipes;
  bool ends_pipes_once;
  bool strict_fifos;
  bool stays_readable;
  time_t max_timeout;
  Rule rules[MAX_RULES];
  int n_failing_waits;
  int wait_errno;
  unsigned int n_waits;
  unsigned int n_changes;
} Knobs;

/* The state of the simulator. The lock protects all of it. */
extern Knobs sim_kqueue_knobs;
extern Queue *sim_kqueue_queues;
extern atomic_uint sim_kqueue_n_queues;  /* read without the lock */
extern _Atomic pid_t sim_kqueue_owner;   /* the process that has the queues; read without the lock */

/* The function of the C library. */
extern int (*sim_kqueue_real_close) (int);

/* sim-kqueue.c */

/* Blocks all signals, and takes the lock. */
void sim_kqueue_lock (sigset_t *saved);

void sim_kqueue_unlock (const sigset_t *saved);

/* Returns NULL if @kq is not a queue of this process. */
Queue *sim_kqueue_lookup (int kq);

/* sim-kqueue-notes.c */

/* Returns true if @filter is a filter of descriptors. @index gets READ or WRITE. */
bool sim_filter_index (short  filter,
                       int   *index);

/* Makes the eventfd readable if a waiter must look at the queue. */
void queue_update_signal (Queue *queue);

void queue_enqueue (Queue *queue,
                    Note  *note);

void queue_dequeue (Queue *queue,
                    Note  *note);

Note *queue_find (Queue     *queue,
                  uintptr_t  ident,
                  short      filter);

bool queue_grow (Queue  *queue,
                 size_t  fd,
                 int     index);

Note *queue_new_note (Queue               *queue,
                      const struct kevent *change);

void queue_recycle_note (Queue *queue,
                         Note  *note);

/* Returns 0 or an errno. */
int note_arm (Queue *queue,
              Note  *note);

/* Changes between level and edge trigger of a note that epoll reports and that is not active. */
void note_set_muted (Queue *queue,
                     Note  *note,
                     bool   muted);

void queue_drop (Queue *queue,
                 Note  *note);

void queue_scan_file (Queue *queue,
                      Note  *note);

void queue_disable (Queue *queue,
                    Note  *note);

/* sim-kqueue-changes.c */

/* Returns the number of events, or -1 with errno. */
int queue_apply (Queue               *queue,
                 const struct kevent *changes,
                 int                  n_changes,
                 struct kevent       *events,
                 int                  n_events);

/* sim-kqueue-events.c */

/* Returns true for a read filter of a FIFO that is open for writing only, and for a write filter of one that is open
 * for reading only. FreeBSD accepts such a filter and never looks at it, OpenBSD refuses it. */
bool sim_is_for_other_end (int   fd,
                           short filter);

/* Returns the number of events. Does not wait. */
int queue_take (Queue         *queue,
                struct kevent *events,
                int            n_events);

/* sim-kqueue-netbsd.c */

/* Returns true if the rules of NetBSD apply to one of the filters. */
bool sim_has_netbsd_rules (void);

/* Called after @note was added. NetBSD looks at the file at once, and puts the note into the queue if it is active. */
void queue_netbsd_added (Queue *queue,
                         Note  *note);

/* Returns true if @note, for which epoll has returned its revents, is active on NetBSD. Replaces the revents. */
bool note_netbsd_is_active (Note *note);

/* Looks at the file of @note. Returns true if it is active, and sets its revents. */
bool note_netbsd_look (Note *note);

/* sim-kqueue-knobs.c */

/* Returns the errno of the rule that matches @change, or 0. */
int sim_match_rules (const struct kevent *change);
