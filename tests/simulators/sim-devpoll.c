/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An implementation of /dev/poll on top of poll (), after poll(7D) of Solaris and poll(4D) of illumos.
 *
 * The descriptor of a set is the write end of a pipe without a reader: poll () reports POLLERR for it, as for a real
 * set. DP_POLL calls poll () with a copy of the set and with an eventfd. The eventfd signals that the set has changed
 * and must be copied again.
 *
 * One lock protects all data. No thread waits or closes a descriptor while it holds the lock. Signals are blocked
 * while the lock is held. The wait itself unblocks them, so that no signal is missed in between.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define SIM_DEVPOLL_NO_REDIRECT

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/devpoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>

#include "sim-devpoll.h"
#include "sim-time.h"

#define RECORD       sizeof (struct pollfd)

/* The interval at which a set is polled that is too large for one poll (). */
#define SLICE_NSEC   5000000L

typedef struct
{
  bool present;
  short events;
} Entry;

typedef struct _Set Set;

struct _Set
{
  Set *next;
  int fd;
  ino_t inode;
  pid_t pid;                    /* the process that wrote or polled first; 0 if none has */
  off_t offset;
  bool closed;
  unsigned int refs;            /* one for the open descriptor, and one for each waiter */

  Entry *entries;
  size_t size;
  size_t n_present;
  size_t scan_from;

  /* A change makes every waiter copy the set again. The last waiter clears the signal. */
  int signal;
  uint64_t generation;
  unsigned int n_waiters;
  unsigned int n_behind;
  unsigned int n_writers;       /* threads whose write waits until n_waiters is 0 */
};

typedef struct
{
  int skip;
  int count;
  int errnum;
  size_t size;
} Fault;

typedef struct
{
  int open_errno;
  Fault failing_writes;
  Fault short_writes;
  Fault failing_polls;
  rlim_t nofile;
  bool clamp_nfds;
  bool writes_wait;
  off_t offset_limit;
  unsigned int n_writes;
  unsigned int n_polls;
  unsigned int n_blocked;
  size_t max_records;
  size_t max_nfds;
} Knobs;

/* The arguments of the poll () calls of one DP_POLL. */
typedef struct
{
  struct pollfd *fds;           /* in the order of the scan; the last one is the signal */
  size_t n_fds;
  uint64_t generation;
} Snapshot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* Protected by the lock. */
static Knobs knobs;
static Set *sets;
static sigset_t fork_signals;

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

/*
 * Limits and faults
 */

static rlim_t
sim_system_limit (void)
{
  struct rlimit limit;

  return getrlimit (RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

static rlim_t
sim_limit (void)
{
  return knobs.nofile != 0 ? knobs.nofile : sim_system_limit ();
}

static bool
fault_strikes (Fault *fault)
{
  if (fault->count == 0)
    return false;

  if (fault->skip > 0)
    {
      fault->skip--;
      return false;
    }

  if (fault->count > 0)
    fault->count--;

  return true;
}

/*
 * Sets
 */

/* The descriptor may have been closed without the simulator, and its number used again. */
static Set *
sim_lookup (int fd)
{
  Set *set = sets;
  struct stat buf;

  while (set != NULL && set->fd != fd)
    set = set->next;

  if (set == NULL || fstat (fd, &buf) < 0 || buf.st_ino != set->inode)
    return NULL;

  return set;
}

static void
set_unlink (Set *set)
{
  Set **link = &sets;

  while (*link != set)
    link = &(*link)->next;
  *link = set->next;
}

static void
set_free (Set *set)
{
  if (set->signal >= 0)
    close (set->signal);
  free (set->entries);
  free (set);
}

static void
set_signal (Set *set)
{
  uint64_t value = 1;

  set->generation++;
  set->n_behind = set->n_waiters;
  if (set->n_behind > 0 && write (set->signal, &value, sizeof value) < 0)
    abort ();
}

/* A waiter has noticed the change, or ends its wait. */
static void
set_catch_up (Set      *set,
              uint64_t  generation)
{
  uint64_t value;

  if (generation == set->generation || set->n_behind == 0)
    return;

  if (--set->n_behind == 0 && !set->closed && read (set->signal, &value, sizeof value) < 0)
    abort ();
}

/* The descriptor was closed. Returns true if the caller must free the set, without the lock. */
static bool
set_close (Set *set)
{
  set_unlink (set);
  if (set->pid == getpid ())
    set_signal (set);
  set->closed = true;

  return --set->refs == 0;
}

/* Returns an errno if the set belongs to another process, or else 0. */
static int
set_check_owner (Set *set)
{
  pid_t pid = getpid ();

  if (set->pid == 0)
    set->pid = pid;

  return set->pid == pid ? 0 : EACCES;
}

static int
set_add (Set   *set,
         size_t fd,
         short  events)
{
  if (fd >= set->size)
    {
      size_t size = fd + 64;
      Entry *entries = realloc (set->entries, size * sizeof *entries);

      if (entries == NULL)
        return ENOMEM;

      memset (entries + set->size, 0, (size - set->size) * sizeof *entries);
      set->entries = entries;
      set->size = size;
    }

  if (!set->entries[fd].present)
    set->n_present++;
  set->entries[fd].present = true;
  set->entries[fd].events = (short) (set->entries[fd].events | events);

  return 0;
}

static void
set_remove (Set    *set,
            size_t  fd)
{
  if (fd >= set->size || !set->entries[fd].present)
    return;

  set->entries[fd] = (Entry) { 0 };
  set->n_present--;
}

static int
set_apply (Set                 *set,
           const struct pollfd *record)
{
  /* The table of descriptors is too small for such a number. The driver ignores the record. */
  if (record->fd < 0 || ((rlim_t) record->fd >= sim_limit () && fcntl (record->fd, F_GETFD) < 0))
    return 0;

  if (record->events == POLLREMOVE)
    {
      set_remove (set, (size_t) record->fd);
      return 0;
    }

  if (record->events & POLLREMOVE)
    return EINVAL;

  return set_add (set, (size_t) record->fd, record->events);
}

static int
set_write (Set        *set,
           const void *buffer,
           size_t      size,
           bool        moves_offset,
           size_t     *n_taken)
{
  size_t n_records = size / RECORD;
  int errnum = set_check_owner (set);

  if (errnum != 0)
    return errnum;

  knobs.n_writes++;
  if (n_records > knobs.max_records)
    knobs.max_records = n_records;

  if (fault_strikes (&knobs.failing_writes))
    return knobs.failing_writes.errnum;

  if (size % RECORD != 0 || n_records > sim_limit ())
    return EINVAL;

  if (moves_offset && knobs.offset_limit != 0)
    {
      if ((off_t) size > knobs.offset_limit - set->offset)
        return EFBIG;
      set->offset += (off_t) size;
    }

  if (fault_strikes (&knobs.short_writes) && size > knobs.short_writes.size)
    size = knobs.short_writes.size;

  /* Records before a refused one stay in effect. */
  for (size_t i = 0; i < size / RECORD && errnum == 0; i++)
    {
      struct pollfd record;

      memcpy (&record, (const char *) buffer + i * RECORD, RECORD);
      errnum = set_apply (set, &record);
    }

  set_signal (set);
  *n_taken = size;

  return errnum;
}

/*
 * Polling
 */

static int
set_copy (Set      *set,
          Snapshot *snapshot)
{
  struct pollfd *fds = realloc (snapshot->fds, (set->n_present + 1) * RECORD);
  size_t n = 0;

  if (fds == NULL)
    return ENOMEM;

  for (size_t i = 0; i < set->size; i++)
    {
      size_t fd = (set->scan_from + i) % set->size;

      if (set->entries[fd].present)
        fds[n++] = (struct pollfd) { .fd = (int) fd, .events = set->entries[fd].events };
    }

  fds[n] = (struct pollfd) { .fd = set->signal, .events = POLLIN };

  snapshot->fds = fds;
  snapshot->n_fds = n;
  snapshot->generation = set->generation;

  return 0;
}

/*
 * Polls without waiting, in slices: the system accepts no more entries at once than the process may have descriptors,
 * and the limit may have been lowered.
 */
static int
snapshot_look (Snapshot *snapshot)
{
  size_t part = (size_t) sim_system_limit ();

  if (part == 0)
    part = 1;

  for (size_t i = 0; i < snapshot->n_fds; i += part)
    {
      size_t n = snapshot->n_fds - i;

      if (poll (snapshot->fds + i, n < part ? n : part, 0) < 0)
        return -1;
    }

  return 0;
}

/*
 * Waits without the lock until a descriptor is ready or the set changes, at most for @left unless that is NULL.
 * Signals are unblocked only here.
 */
static int
snapshot_sleep (Snapshot        *snapshot,
                struct timespec *left,
                const sigset_t  *signals)
{
  struct timespec slice = { .tv_nsec = SLICE_NSEC };
  struct pollfd *fds = snapshot->fds;
  size_t n = fds != NULL ? snapshot->n_fds + 1 : 0;
  int errnum;
  int result;

  if (n > sim_system_limit ())
    {
      fds = fds + snapshot->n_fds;
      n = 1;
      if (left == NULL || left->tv_sec > 0 || left->tv_nsec > slice.tv_nsec)
        left = &slice;
    }

  pthread_mutex_unlock (&lock);
  result = ppoll (fds, n, left, signals);
  errnum = errno;
  pthread_mutex_lock (&lock);
  errno = errnum;

  return result;
}

static int
set_take (Set            *set,
          const Snapshot *snapshot,
          struct dvpoll  *arg,
          size_t          n_max)
{
  int n = 0;

  for (size_t i = 0; i < snapshot->n_fds && (size_t) n < n_max; i++)
    {
      const struct pollfd *found = &snapshot->fds[i];

      if (found->revents == 0)
        continue;

      arg->dp_fds[n++] = *found;
      set->scan_from = (size_t) found->fd + 1;
    }

  return n;
}

/*
 * Called with the lock held, and returns with the lock held. Events are found with the lock held, so an entry that
 * was removed before is not reported.
 */
static int
set_wait (Set            *set,
          struct dvpoll  *arg,
          size_t          n_max,
          Snapshot       *snapshot,
          const sigset_t *signals)
{
  int timeout = arg->dp_timeout > 0 ? arg->dp_timeout : 0;
  struct timespec deadline = sim_deadline (timeout / 1000, (timeout % 1000) * 1000000L);
  struct timespec left = { 0 };

  for (;;)
    {
      int errnum = set->closed ? EBADF : set_copy (set, snapshot);
      int n;

      if (errnum != 0)
        {
          errno = errnum;
          return -1;
        }

      if (snapshot_look (snapshot) < 0)
        return -1;

      n = set_take (set, snapshot, arg, n_max);
      if (n > 0 || (arg->dp_timeout >= 0 && !sim_time_left (&deadline, &left)))
        return n;

      if (snapshot_sleep (snapshot, arg->dp_timeout >= 0 ? &left : NULL, signals) < 0)
        return -1;

      set_catch_up (set, snapshot->generation);
    }
}

/*
 * Waits without the lock until *@count is 0: a writer waits for all pollers, and a poller for all writers. The caller
 * holds the lock before and after, and a reference. Returns an errno.
 */
static int
set_wait_for_others (Set                *set,
                     const unsigned int *count,
                     const sigset_t     *signals)
{
  const struct timespec slice = { .tv_nsec = 1000000L };
  int errnum = 0;

  while (errnum == 0 && *count > 0 && !set->closed)
    {
      pthread_mutex_unlock (&lock);
      if (ppoll (NULL, 0, &slice, signals) < 0)
        errnum = errno;
      pthread_mutex_lock (&lock);
    }

  return errnum;
}

static int
set_wait_for_pollers (Set            *set,
                      const sigset_t *signals)
{
  int errnum;

  if (!knobs.writes_wait || set->n_waiters == 0)
    return 0;

  knobs.n_blocked++;
  set->n_writers++;
  errnum = set_wait_for_others (set, &set->n_waiters, signals);
  set->n_writers--;

  return errnum;
}

/* Called with the lock held, and returns with the lock held. */
static int
set_poll (Set            *set,
          struct dvpoll  *arg,
          const sigset_t *signals)
{
  Snapshot snapshot = { 0 };
  nfds_t n_max = arg->dp_nfds;
  rlim_t limit = sim_limit ();
  int errnum;
  int result;

  knobs.n_polls++;
  if (n_max > knobs.max_nfds)
    knobs.max_nfds = n_max;

  errno = EINVAL;
  if (arg->dp_timeout < -1)
    return -1;

  if (n_max >= limit)
    {
      if (!knobs.clamp_nfds)
        return -1;
      n_max = limit;
    }

  if (fault_strikes (&knobs.failing_polls))
    {
      errno = knobs.failing_polls.errnum;
      return -1;
    }

  if (n_max == 0)
    {
      struct timespec time = {
        .tv_sec = arg->dp_timeout / 1000,
        .tv_nsec = (arg->dp_timeout % 1000) * 1000000L,
      };

      /* DP_POLL only sleeps: not even a change of the set ends it. */
      return snapshot_sleep (&snapshot, arg->dp_timeout >= 0 ? &time : NULL, signals);
    }

  if (arg->dp_fds == NULL)
    {
      errno = EFAULT;
      return -1;
    }

  errnum = set_wait_for_others (set, &set->n_writers, signals);
  if (errnum != 0)
    {
      errno = errnum;
      return -1;
    }

  set->n_waiters++;
  snapshot.generation = set->generation;
  result = set_wait (set, arg, n_max, &snapshot, signals);
  errnum = errno;
  set_catch_up (set, snapshot.generation);
  set->n_waiters--;

  free (snapshot.fds);
  errno = errnum;

  return result;
}

static int
set_is_polled (Set           *set,
               struct pollfd *arg)
{
  if (arg->fd < 0 || (size_t) arg->fd >= set->size || !set->entries[arg->fd].present)
    return 0;

  arg->events = 0;
  arg->revents = set->entries[arg->fd].events;

  return 1;
}

/*
 * Forks
 */

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

static void
sim_after_fork_in_child (void)
{
  sigset_t saved = fork_signals;

  for (Set *set = sets; set != NULL; set = set->next)
    {
      set->refs = 1;
      set->n_waiters = 0;
      set->n_behind = 0;
      set->n_writers = 0;
    }

  sim_unlock (&saved);
}

static void
sim_watch_forks (void)
{
  pthread_atfork (sim_before_fork, sim_after_fork_in_parent, sim_after_fork_in_child);
}

/*
 * System calls
 */

static Set *
sim_new_set (int flags)
{
  int fds[2] = { -1, -1 };
  struct stat buf;
  Set *set = calloc (1, sizeof *set);

  if (set == NULL)
    return NULL;

  set->signal = -1;
  set->refs = 1;

  if (pipe2 (fds, flags & O_CLOEXEC) < 0)
    {
      set_free (set);
      return NULL;
    }

  /* The caller gets the lowest number that was free. */
  set->fd = dup3 (fds[1], fds[0], flags & O_CLOEXEC);
  close (fds[1]);
  set->signal = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (set->fd < 0 || set->signal < 0 || fstat (set->fd, &buf) < 0)
    {
      int errnum = errno;

      close (fds[0]);
      set_free (set);
      errno = errnum;
      return NULL;
    }

  set->inode = buf.st_ino;

  return set;
}

static int
sim_open_set (int flags)
{
  bool is_last = false;
  sigset_t saved;
  Set *old;
  Set *set;
  int errnum;

  pthread_once (&fork_once, sim_watch_forks);

  sim_lock (&saved);
  errnum = knobs.open_errno;
  sim_unlock (&saved);

  if (errnum != 0)
    {
      errno = errnum;
      return -1;
    }

  set = sim_new_set (flags);
  if (set == NULL)
    return -1;

  sim_lock (&saved);
  for (old = sets; old != NULL && old->fd != set->fd; old = old->next)
    continue;
  if (old != NULL)
    is_last = set_close (old);
  set->next = sets;
  sets = set;
  sim_unlock (&saved);

  /* It was closed without the simulator. */
  if (is_last)
    set_free (old);

  return set->fd;
}

int
sim_devpoll_open (const char *path,
                  int         flags,
                  ...)
{
  mode_t mode = 0;
  va_list args;

  if (strcmp (path, "/dev/poll") == 0)
    return sim_open_set (flags);

  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
    {
      va_start (args, flags);
      mode = va_arg (args, mode_t);
      va_end (args);
    }

  return open (path, flags, mode);
}

/* Returns false if @fd is not a set. */
static bool
sim_write (int         fd,
           const void *buffer,
           size_t      size,
           bool        moves_offset,
           ssize_t    *result)
{
  size_t n_taken = 0;
  int saved_errno = errno;
  int errnum = 0;
  bool is_last = false;
  sigset_t saved;
  Set *set;

  sim_lock (&saved);
  set = sim_lookup (fd);
  if (set != NULL)
    {
      set->refs++;
      if (set_wait_for_pollers (set, &saved) == 0)
        errnum = set_write (set, buffer, size, moves_offset, &n_taken);
      else
        n_taken = size;
      is_last = --set->refs == 0;
    }
  sim_unlock (&saved);

  if (is_last)
    set_free (set);

  *result = errnum == 0 ? (ssize_t) n_taken : -1;
  errno = errnum == 0 ? saved_errno : errnum;

  return set != NULL;
}

ssize_t
sim_devpoll_write (int         fd,
                   const void *buffer,
                   size_t      size)
{
  ssize_t result;

  if (sim_write (fd, buffer, size, true, &result))
    return result;

  return write (fd, buffer, size);
}

ssize_t
sim_devpoll_pwrite (int         fd,
                    const void *buffer,
                    size_t      size,
                    off_t       offset)
{
  ssize_t result;

  if (sim_write (fd, buffer, size, false, &result))
    return result;

  return pwrite (fd, buffer, size, offset);
}

int
sim_devpoll_ioctl (int           fd,
                   unsigned long request,
                   ...)
{
  bool is_last = false;
  int saved_errno = errno;
  int result = -1;
  sigset_t saved;
  Set *set;
  va_list args;
  void *arg;
  int errnum;

  va_start (args, request);
  arg = va_arg (args, void *);
  va_end (args);

  sim_lock (&saved);
  set = sim_lookup (fd);
  if (set == NULL)
    {
      sim_unlock (&saved);
      return ioctl (fd, request, arg);
    }

  errnum = set_check_owner (set);
  if (errnum != 0)
    {
      errno = errnum;
    }
  else
    {
      errno = EINVAL;
      set->refs++;
      if (request == DP_POLL)
        result = set_poll (set, arg, &saved);
      else if (request == DP_ISPOLLED)
        result = set_is_polled (set, arg);
      is_last = --set->refs == 0;
    }

  errnum = errno;
  sim_unlock (&saved);

  if (is_last)
    set_free (set);
  errno = result < 0 ? errnum : saved_errno;

  return result;
}

int
sim_devpoll_close (int fd)
{
  bool is_last = false;
  sigset_t saved;
  Set *set;

  sim_lock (&saved);
  set = sim_lookup (fd);
  if (set != NULL)
    is_last = set_close (set);
  sim_unlock (&saved);

  if (is_last)
    set_free (set);

  return close (fd);
}

int
sim_devpoll_getrlimit (int            resource,
                       struct rlimit *limit)
{
  int result = getrlimit ((__typeof__ (RLIMIT_NOFILE)) resource, limit);
  sigset_t saved;

  sim_lock (&saved);
  if (result == 0 && resource == (int) RLIMIT_NOFILE && knobs.nofile != 0)
    {
      limit->rlim_cur = knobs.nofile;
      if (limit->rlim_max < knobs.nofile)
        limit->rlim_max = knobs.nofile;
    }
  sim_unlock (&saved);

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

static void
sim_apply_flavour (SimDevpollFlavour flavour)
{
  knobs.clamp_nfds = flavour == SIM_ILLUMOS;
  knobs.writes_wait = flavour == SIM_SOLARIS11;
}

static void
sim_reset_knobs (void)
{
  const char *name = getenv ("SIM_DEVPOLL");

  knobs = (Knobs) { 0 };
  if (name != NULL && strcmp (name, "illumos") == 0)
    sim_apply_flavour (SIM_ILLUMOS);
  else if (name != NULL && strcmp (name, "solaris11") == 0)
    sim_apply_flavour (SIM_SOLARIS11);
}

__attribute__ ((constructor)) static void
sim_set_initial_flavour (void)
{
  sim_reset_knobs ();
}

void
sim_devpoll_reset (void)
{
  WITH_LOCK (sim_reset_knobs ());
}

void
sim_devpoll_set_flavour (SimDevpollFlavour flavour)
{
  WITH_LOCK (sim_apply_flavour (flavour));
}

void
sim_devpoll_set_writes_wait (bool wait)
{
  WITH_LOCK (knobs.writes_wait = wait);
}

void
sim_devpoll_set_open_errno (int errnum)
{
  WITH_LOCK (knobs.open_errno = errnum);
}

void
sim_devpoll_fail_writes (int skip,
                         int count,
                         int errnum)
{
  Fault fault = { .skip = skip, .count = count, .errnum = errnum };

  WITH_LOCK (knobs.failing_writes = fault);
}

void
sim_devpoll_short_writes (int    skip,
                          int    count,
                          size_t size)
{
  Fault fault = { .skip = skip, .count = count, .size = size };

  WITH_LOCK (knobs.short_writes = fault);
}

void
sim_devpoll_fail_polls (int count,
                        int errnum)
{
  Fault fault = { .count = count, .errnum = errnum };

  WITH_LOCK (knobs.failing_polls = fault);
}

void
sim_devpoll_set_nofile (rlim_t limit)
{
  WITH_LOCK (knobs.nofile = limit);
}

void
sim_devpoll_set_clamp_nfds (bool clamp)
{
  WITH_LOCK (knobs.clamp_nfds = clamp);
}

void
sim_devpoll_set_offset_limit (off_t limit)
{
  WITH_LOCK (knobs.offset_limit = limit);
}

int
sim_devpoll_count (int fd)
{
  sigset_t saved;
  Set *set;
  int n = -1;

  sim_lock (&saved);
  set = sim_lookup (fd);
  if (set != NULL)
    n = (int) set->n_present;
  sim_unlock (&saved);

  return n;
}

int
sim_devpoll_find (int fd,
                  int watched)
{
  struct pollfd record = { .fd = watched };
  sigset_t saved;
  Set *set;
  int events = -1;

  sim_lock (&saved);
  set = sim_lookup (fd);
  if (set != NULL && set_is_polled (set, &record) == 1)
    events = record.revents;
  sim_unlock (&saved);

  return events;
}

unsigned int
sim_devpoll_n_writes (void)
{
  unsigned int n;

  WITH_LOCK (n = knobs.n_writes);

  return n;
}

unsigned int
sim_devpoll_n_polls (void)
{
  unsigned int n;

  WITH_LOCK (n = knobs.n_polls);

  return n;
}

size_t
sim_devpoll_max_records (void)
{
  size_t n;

  WITH_LOCK (n = knobs.max_records);

  return n;
}

size_t
sim_devpoll_max_nfds (void)
{
  size_t n;

  WITH_LOCK (n = knobs.max_nfds);

  return n;
}

unsigned int
sim_devpoll_n_blocked (void)
{
  unsigned int n;

  WITH_LOCK (n = knobs.n_blocked);

  return n;
}

unsigned int
sim_devpoll_n_open (void)
{
  unsigned int n = 0;
  sigset_t saved;

  sim_lock (&saved);
  for (Set *set = sets; set != NULL; set = set->next)
    n++;
  sim_unlock (&saved);

  return n;
}
