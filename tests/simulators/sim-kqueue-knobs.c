/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The functions for tests: failures, injected events and counters. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sim-kqueue-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
sim_match_rules (const struct kevent *change)
{
  for (int i = 0; i < MAX_RULES; i++)
    {
      Rule *rule = &sim_kqueue_knobs.rules[i];

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

#define WITH_LOCK(statement) do { \
    sigset_t saved_; \
    sim_kqueue_lock (&saved_); \
    statement; \
    sim_kqueue_unlock (&saved_); \
  } while (0)

Knobs sim_kqueue_knobs = { .pipe_errno = EPIPE, .device_errno = EINVAL };

static void
sim_apply_flavour (SimKqueueFlavour flavour)
{
  bool netbsd = flavour == SIM_NETBSD;
  bool openbsd = flavour == SIM_OPENBSD;
  bool macos = flavour == SIM_MACOS;

  sim_kqueue_knobs.pipe_errno = netbsd ? EBADF : macos ? 0 : EPIPE;
  sim_kqueue_knobs.forgets_pipes = netbsd || openbsd;
  sim_kqueue_knobs.ends_pipes_once = flavour == SIM_FREEBSD;
  sim_kqueue_knobs.strict_fifos = openbsd;
  sim_kqueue_knobs.stays_readable = netbsd;
  sim_system_set_plain_sockets (netbsd || macos);
  sim_system_set_filters_in_poll (macos);
  sim_system_set_anonymous_pipes (netbsd || openbsd);
  sim_system_set_two_way_pipes (flavour == SIM_FREEBSD || openbsd);
}

static SimKqueueFlavour
sim_get_initial_flavour (void)
{
  static const char *const names[SIM_N_FLAVOURS] = {
    [SIM_MANUAL] = "manual",
    [SIM_FREEBSD] = "freebsd",
    [SIM_NETBSD] = "netbsd",
    [SIM_OPENBSD] = "openbsd",
    [SIM_MACOS] = "macos",
  };
  const char *name = getenv ("SIM_KQUEUE");

  for (int flavour = 0; name != NULL && flavour < SIM_N_FLAVOURS; flavour++)
    if (strcmp (name, names[flavour]) == 0)
      return (SimKqueueFlavour) flavour;

  return SIM_MANUAL;
}

static void
sim_reset (void)
{
  sim_kqueue_knobs = (Knobs) { .device_errno = EINVAL };
  sim_apply_flavour (sim_get_initial_flavour ());
}

__attribute__ ((constructor)) static void
sim_set_initial_flavour (void)
{
  sim_reset ();
}

void
sim_kqueue_reset (void)
{
  WITH_LOCK (sim_reset ());
}

void
sim_kqueue_set_flavour (SimKqueueFlavour flavour)
{
  WITH_LOCK (sim_apply_flavour (flavour));
}

void
sim_kqueue_set_forgets_pipes (bool forgets)
{
  WITH_LOCK (sim_kqueue_knobs.forgets_pipes = forgets);
}

void
sim_kqueue_set_ends_pipes_once (bool once)
{
  WITH_LOCK (sim_kqueue_knobs.ends_pipes_once = once);
}

void
sim_kqueue_set_strict_fifos (bool strict)
{
  WITH_LOCK (sim_kqueue_knobs.strict_fifos = strict);
}

void
sim_kqueue_set_stays_readable (bool stays)
{
  WITH_LOCK (sim_kqueue_knobs.stays_readable = stays);
}

void
sim_kqueue_set_open_errno (int errnum)
{
  WITH_LOCK (sim_kqueue_knobs.open_errno = errnum);
}

void
sim_kqueue_set_broken (bool broken)
{
  WITH_LOCK (sim_kqueue_knobs.broken = broken);
}

void
sim_kqueue_set_pipe_errno (int errnum)
{
  WITH_LOCK (sim_kqueue_knobs.pipe_errno = errnum);
}

void
sim_kqueue_set_device_errno (int errnum)
{
  WITH_LOCK (sim_kqueue_knobs.device_errno = errnum);
}

void
sim_kqueue_set_max_timeout (time_t seconds)
{
  WITH_LOCK (sim_kqueue_knobs.max_timeout = seconds);
}

void
sim_kqueue_set_closed_by_fork (bool closed)
{
  WITH_LOCK (sim_kqueue_knobs.closed_by_fork = closed);
}

void
sim_kqueue_fail_waits (int count,
                       int errnum)
{
  WITH_LOCK (sim_kqueue_knobs.n_failing_waits = count; sim_kqueue_knobs.wait_errno = errnum);
}

/* Removes the rules that are used up. The first rule in the array is the oldest. */
static void
sim_add_rule (const Rule *rule)
{
  int n = 0;

  for (int i = 0; i < MAX_RULES; i++)
    if (sim_kqueue_knobs.rules[i].count != 0)
      sim_kqueue_knobs.rules[n++] = sim_kqueue_knobs.rules[i];

  if (n == MAX_RULES)
    n--;

  memset (sim_kqueue_knobs.rules + n, 0, (size_t) (MAX_RULES - n) * sizeof *rule);
  sim_kqueue_knobs.rules[n] = *rule;
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

  sim_kqueue_lock (&saved);
  queue = sim_kqueue_lookup (kq);
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
  sim_kqueue_unlock (&saved);

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

  sim_kqueue_lock (&saved);
  queue = sim_kqueue_lookup (kq);
  if (queue != NULL)
    n = (int) (queue->n_notes[READ] + queue->n_notes[WRITE] + queue->n_users);
  sim_kqueue_unlock (&saved);

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

  sim_kqueue_lock (&saved);
  queue = sim_kqueue_lookup (kq);
  if (queue != NULL)
    note = queue_find (queue, ident, filter);
  if (note != NULL && out != NULL)
    {
      *out = note->kevent;
      if (note->disabled)
        out->flags |= EV_DISABLE;
    }
  sim_kqueue_unlock (&saved);

  return note != NULL;
}

unsigned int
sim_kqueue_n_waits (void)
{
  unsigned int n;

  WITH_LOCK (n = sim_kqueue_knobs.n_waits);

  return n;
}

unsigned int
sim_kqueue_n_changes (void)
{
  unsigned int n;

  WITH_LOCK (n = sim_kqueue_knobs.n_changes);

  return n;
}

unsigned int
sim_kqueue_n_open (void)
{
  unsigned int n = 0;
  sigset_t saved;

  sim_kqueue_lock (&saved);
  for (Queue *queue = sim_kqueue_queues; queue != NULL; queue = queue->next)
    if (queue->pid == sim_kqueue_owner)
      n++;
  sim_kqueue_unlock (&saved);

  return n;
}
