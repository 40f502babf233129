/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A kqueue made of epoll, after kqueue(2) of FreeBSD and NetBSD.
 *
 * A queue owns one epoll set for each filter, so that the two filters of a descriptor are independent, and an eventfd
 * for the events that epoll cannot report. The descriptor that the caller gets is an epoll set with these three
 * descriptors, so it can be polled. The active notes are in a queue, in the order in which they were found. A note that
 * stays active moves to the end of the queue after it was returned as an event.
 *
 * One lock protects the state. It is not held during a wait in the kernel. Signals are blocked while it is held, so a
 * signal handler may call close() or trigger a user event. The wait unblocks them atomically, so no signal is missed.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"
#include "sim-time.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define SIM_EXPORT      __attribute__ ((visibility ("default")))

/* The interval at which regular files are checked after they were read to their end: no system call reports a write. */
#define FILE_SLICE_NSEC 5000000L

/* The longest wait of one call on FreeBSD, in seconds. */
#define LONGEST_WAIT    (24 * 60 * 60)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static sigset_t fork_signals;

Queue *sim_kqueue_queues;
atomic_uint sim_kqueue_n_queues;
_Atomic pid_t sim_kqueue_owner;

int (*sim_kqueue_real_close) (int);
static int (*real_dup2) (int, int);
static int (*real_dup3) (int, int, int);

__attribute__ ((constructor)) static void
sim_resolve (void)
{
  /* The form that POSIX gives, because ISO C does not convert object pointers to function pointers. */
  *(void **) &sim_kqueue_real_close = dlsym (RTLD_NEXT, "close");
  *(void **) &real_dup2 = dlsym (RTLD_NEXT, "dup2");
  *(void **) &real_dup3 = dlsym (RTLD_NEXT, "dup3");
}

void
sim_kqueue_lock (sigset_t *saved)
{
  sigset_t all;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, saved);
  pthread_mutex_lock (&lock);
}

void
sim_kqueue_unlock (const sigset_t *saved)
{
  pthread_mutex_unlock (&lock);
  pthread_sigmask (SIG_SETMASK, saved, NULL);
}

/* Frees the queue after the descriptor was closed and the last waiter has returned. */
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
      sim_kqueue_real_close (queue->epoll[index]);
  if (queue->signal >= 0)
    sim_kqueue_real_close (queue->signal);

  free (queue->table);
  free (queue->buffer);
  free (queue);
}

Queue *
sim_kqueue_lookup (int kq)
{
  pid_t pid = getpid ();

  for (Queue *queue = sim_kqueue_queues; queue != NULL; queue = queue->next)
    if (queue->fd == kq && queue->pid == pid)
      return queue;

  return NULL;
}

/* Called before @fd is closed or replaced by another file. */
static void
sim_forget (int fd)
{
  Queue **link = &sim_kqueue_queues;

  while (*link != NULL)
    {
      Queue *queue = *link;

      if (queue->fd == fd)
        {
          *link = queue->next;
          atomic_fetch_sub (&sim_kqueue_n_queues, 1);
          queue->closed = true;
          if (queue->pid == sim_kqueue_owner)
            queue_update_signal (queue);
          queue_unref (queue);
          continue;
        }

      if (queue->pid == sim_kqueue_owner && (size_t) fd < queue->table_size)
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

  sim_kqueue_lock (&saved);
  fork_signals = saved;
}

static void
sim_after_fork_in_parent (void)
{
  sigset_t saved = fork_signals;

  sim_kqueue_unlock (&saved);
}

/*
 * A child process does not inherit the queues. Their memory is freed when the child closes the descriptors, because
 * memory must not be freed here.
 */
static void
sim_after_fork_in_child (void)
{
  sigset_t saved = fork_signals;

  sim_kqueue_owner = getpid ();

  for (Queue *queue = sim_kqueue_queues; queue != NULL; queue = queue->next)
    {
      for (int index = 0; index < N_FD_FILTERS; index++)
        if (queue->epoll[index] >= 0)
          {
            sim_kqueue_real_close (queue->epoll[index]);
            queue->epoll[index] = -1;
          }

      if (queue->signal >= 0)
        sim_kqueue_real_close (queue->signal);
      queue->signal = -1;
      queue->refs = 1;

      if (sim_kqueue_knobs.closed_by_fork && queue->fd >= 0)
        {
          sim_kqueue_real_close (queue->fd);
          queue->fd = -1;
        }
    }

  sim_kqueue_unlock (&saved);
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
  int errnum = sim_kqueue_knobs.open_errno;
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
        sim_kqueue_real_close (queue->fd);
      queue_unref (queue);
      errno = errnum;
      return -1;
    }

  /* There may be an older queue with this number, if the C library has closed its descriptor. */
  if (sim_kqueue_n_queues > 0)
    sim_forget (queue->fd);

  sim_kqueue_owner = queue->pid = getpid ();
  queue->next = sim_kqueue_queues;
  sim_kqueue_queues = queue;
  atomic_fetch_add (&sim_kqueue_n_queues, 1);

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

  sim_kqueue_lock (&saved);
  kq = sim_open (flags);
  errnum = errno;
  sim_kqueue_unlock (&saved);
  errno = errnum;

  return kq;
}

SIM_EXPORT int
kqueue (void)
{
  return kqueue1 (0);
}

static bool
sim_timeout_is_valid (const struct timespec *timeout)
{
  return timeout == NULL
         || (timeout->tv_sec >= 0
             && timeout->tv_nsec >= 0
             && timeout->tv_nsec < NSEC_PER_SEC
             && (sim_kqueue_knobs.max_timeout == 0 || timeout->tv_sec <= sim_kqueue_knobs.max_timeout));
}

/*
 * Waits for the inner descriptors, without the lock. The caller's reference keeps them open even if the descriptor of
 * the queue is closed. @left is NULL to wait without a timeout. Signals are unblocked during this wait only.
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

/* The caller holds the lock. */
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

  if (sim_kqueue_knobs.n_failing_waits > 0)
    {
      sim_kqueue_knobs.n_failing_waits--;
      errno = sim_kqueue_knobs.wait_errno;
      return -1;
    }

  if (timeout != NULL)
    deadline = sim_deadline (timeout->tv_sec < LONGEST_WAIT ? timeout->tv_sec : LONGEST_WAIT, timeout->tv_nsec);

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

  sim_kqueue_lock (&saved);

  queue = sim_kqueue_lookup (kq);
  if (queue == NULL)
    {
      sim_kqueue_unlock (&saved);
      errno = EBADF;
      return -1;
    }

  errno = 0;
  queue->refs++;
  n = queue_apply (queue, changelist, nchanges, eventlist, nevents);
  queue_update_signal (queue);

  if (n == 0 && nevents > 0)
    {
      sim_kqueue_knobs.n_waits++;
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
  sim_kqueue_unlock (&saved);
  errno = n < 0 ? errnum : saved_errno;

  return n;
}

static bool
sim_is_idle (void)
{
  if (sim_kqueue_real_close == NULL)
    sim_resolve ();

  /* A child of vfork() shares the memory of the parent, but has descriptors of its own. */
  return atomic_load (&sim_kqueue_n_queues) == 0 || getpid () != sim_kqueue_owner;
}

SIM_EXPORT int
close (int fd)
{
  sigset_t saved;
  int errnum;
  int result;

  if (sim_is_idle () || fd < 0)
    return sim_kqueue_real_close (fd);

  /* Holds the lock, so that no other thread registers the number before it is closed. */
  sim_kqueue_lock (&saved);
  sim_forget (fd);
  result = sim_kqueue_real_close (fd);
  errnum = errno;
  sim_kqueue_unlock (&saved);
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

  sim_kqueue_lock (&saved);
  if (sim_can_dup (fd, new_fd))
    sim_forget (new_fd);
  result = real_dup2 (fd, new_fd);
  errnum = errno;
  sim_kqueue_unlock (&saved);
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

  sim_kqueue_lock (&saved);
  if ((flags & ~O_CLOEXEC) == 0 && sim_can_dup (fd, new_fd))
    sim_forget (new_fd);
  result = real_dup3 (fd, new_fd, flags);
  errnum = errno;
  sim_kqueue_unlock (&saved);
  errno = errnum;

  return result;
}
