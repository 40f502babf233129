/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rules of the model: how each call and each change of a file changes the state of a selector, and the
 * expected result. */

#include "model-private.h"

#include <errno.h>

/* The data of keys are pointers to these cells. They are not read, but counted. Each twin has cells of its own, because
 * the destroy function has no other argument. */
static char cells[N_BACKENDS][N_DATA];

Twin *twin_of_cell[N_BACKENDS];

gpointer
twin_data (Twin  *twin,
           guint  data)
{
  return data == 0 ? NULL : &cells[twin->number][data];
}

void
twin_free_data (gpointer pointer)
{
  gsize i = (gsize) ((char *) pointer - &cells[0][0]);

  twin_of_cell[i / N_DATA]->live[i % N_DATA]--;
}

Key *
twin_key (Twin *twin,
          int   fd)
{
  int i = index_of_fd (fd);

  return i >= 0 && twin->keys[i].registered ? &twin->keys[i] : NULL;
}

/* The selector removes a key from the kernel. If the kernel recognises files and the descriptor is closed, it may be
 * unable to do that. */
static void
twin_disarm (Twin        *twin,
             const World *world,
             Key         *key,
             int          fd)
{
  if (twin->backend->identity == BACKEND_BY_FILE && key->armed != NO && key->armed_file >= 0 &&
      world_file (world, key->armed_file)->n_refs > 0 &&
      (file_of_fd (world, fd) != key->armed_file || key->armed == MAYBE))
    twin->may_linger = TRUE;

  key->armed = NO;
}

/* The selector adds @fd to the kernel, or changes its events. Returns the expected result. */
static Outcome
twin_arm (Twin        *twin,
          const World *world,
          Key         *key,
          int          fd,
          SelEventMask events)
{
  int index = file_of_fd (world, fd);
  const File *file = world_file (world, index);
  Outcome outcome = 0;

  if (file == NULL)
    return EBADF;

  if (twin->backend->refuses_regular_files && file->kind == REGULAR)
    outcome = EPERM;
  else if (twin->backend->refuses_broken_pipes && file->kind <= PIPE_WRITE && (events & SEL_EVENT_WRITE) != 0 &&
           world_file (world, (int) file->peer)->n_refs == 0 &&
           (key->armed == NO || (key->events & SEL_EVENT_WRITE) == 0))
    outcome = EPIPE;

  if (outcome == EPERM && !twin->emulate)
    return outcome;

  twin_disarm (twin, world, key, fd);
  key->may_be_refused &= key->armed_file == index;
  key->always_ready = outcome != 0;
  key->armed = outcome == 0 ? YES : NO;
  key->armed_file = index;
  key->stale = FALSE;

  return 0;
}

void
twin_remove (Twin        *twin,
             const World *world,
             Key         *key,
             int          fd)
{
  twin_disarm (twin, world, key, fd);
  *key = (Key) { 0 };
}

/* The selector creates a new kernel object and adds all keys. A key that the kernel refuses stays registered. */
void
twin_rearm_all (Twin        *twin,
                const World *world)
{
  for (int i = 0; i < N_FDS; i++)
    {
      Key *key = &twin->keys[i];
      Certainty before = key->armed;

      if (!key->registered)
        continue;

      key->armed = NO;
      twin_arm (twin, world, key, FIRST_FD + i, key->events);
      if (before == MAYBE && key->armed == YES)
        key->armed = MAYBE;
    }
  twin->may_linger = FALSE;
}

/* Descriptor @i was closed. It may be opened again in the same step. */
void
twin_notice_close (Twin *twin,
                   int   i)
{
  twin->keys[i].stale = TRUE;
  if (twin->backend->identity == BACKEND_BY_DESCRIPTOR)
    twin->keys[i].armed = NO;
}

/* Computes the events that a wait must report (@required) and may report (@allowed). */
void
twin_expect (Twin         *twin,
             const World  *world,
             SelEventMask  required[N_FDS],
             SelEventMask  allowed[N_FDS])
{
  for (int i = 0; i < N_FDS; i++)
    {
      const Key *key = &twin->keys[i];
      SelEventMask now = world_readiness (world, world->numbers[i]);

      required[i] = allowed[i] = 0;
      if (!key->registered)
        continue;

      if (key->always_ready)
        {
          /* If the number now belongs to another file, a new kernel object may have removed the emulation. */
          allowed[i] = world->numbers[i] >= 0 ? key->events : 0;
          required[i] = key->stale ? 0 : allowed[i];
          continue;
        }

      switch (twin->backend->identity)
        {
        case BACKEND_BY_NUMBER:
        case BACKEND_BY_DESCRIPTOR:
          allowed[i] = key->armed != NO ? now & key->events : 0;
          break;

        case BACKEND_BY_FILE:
          if (key->armed != NO)
            allowed[i] = world_readiness (world, key->armed_file) & key->events;
          if (key->armed == MAYBE)
            allowed[i] |= now & key->events;
          break;
        }

      required[i] = key->armed == YES ? allowed[i] : 0;
      if (key->may_be_refused && world->numbers[i] >= 0)
        allowed[i] = key->events;
    }
}

/* A wait asks the kernel again for a pipe whose other end has gone, if the kernel tells that only once. */
void
twin_notice_ends (Twin        *twin,
                  const World *world)
{
  for (int i = 0; i < N_FDS && twin->ends_pipes_once; i++)
    {
      Key *key = &twin->keys[i];
      const File *file = key->registered && key->armed != NO ? world_file (world, key->armed_file) : NULL;

      if (file != NULL && file->kind <= PIPE_WRITE && (key->events & SEL_EVENT_WRITE) != 0 &&
          world_file (world, (int) file->peer)->n_refs == 0)
        key->may_be_refused = TRUE;
    }
}

/* A wait no longer waits for a descriptor that it has found to be closed. With a small array (@all is FALSE) it may
 * have ended before it found all of them. */
void
twin_notice_closed (Twin        *twin,
                    const World *world,
                    gboolean     all)
{
  for (int i = 0; i < N_FDS; i++)
    {
      Key *key = &twin->keys[i];

      if (!key->registered || world->numbers[i] >= 0)
        continue;

      key->always_ready = FALSE;
      if (twin->backend->identity == BACKEND_BY_NUMBER && key->armed != NO)
        key->armed = all ? NO : MAYBE;
    }
}

guint
twin_list_keys (Twin *twin,
                int   fds[N_FDS])
{
  guint n = 0;

  for (int i = 0; i < N_FDS; i++)
    {
      guint j = n;

      if (!twin->keys[i].registered)
        continue;

      for (; j > 0 && twin->keys[index_of_fd (fds[j - 1])].order > twin->keys[i].order; j--)
        fds[j] = fds[j - 1];
      fds[j] = FIRST_FD + i;
      n++;
    }

  return n;
}

static gboolean
events_are_valid (SelEventMask events)
{
  return events != 0 && ((guint) events & ~(guint) BOTH) == 0;
}

Outcome
twin_register (Model        *model,
               Twin         *twin,
               int           fd,
               int           object,
               SelEventMask  events,
               guint         data,
               guint         value)
{
  Key key = { .registered = TRUE, .events = events, .data = data, .value = value, .object = object };
  Outcome outcome;

  if (twin->closed)
    return OWN (CLOSED);
  if (object >= 0 && fd < 0)
    return OWN (INVALID_FILE);
  if (!events_are_valid (events))
    return OWN (INVALID_EVENTS);
  if (fd < 0)
    return OWN (INVALID_FILE);
  if (twin_key (twin, fd) != NULL)
    return OWN (ALREADY_REGISTERED);

  outcome = twin_arm (twin, &model->world, &key, fd, events);
  if (outcome != 0)
    return outcome;

  key.order = ++twin->last_order;
  twin->live[data]++;
  twin->keys[index_of_fd (fd)] = key;

  return 0;
}

Outcome
twin_find (Twin  *twin,
           int    fd,
           Key  **key)
{
  if (twin->closed)
    return OWN (CLOSED);
  if (fd < 0)
    return OWN (INVALID_FILE);

  *key = twin_key (twin, fd);

  return *key == NULL ? OWN (NOT_REGISTERED) : 0;
}

Outcome
twin_modify (Model        *model,
             Twin         *twin,
             int           fd,
             SelEventMask  events,
             int           data,
             guint         value)
{
  Outcome outcome;
  Key *key;

  if (!twin->closed && !events_are_valid (events))
    return OWN (INVALID_EVENTS);

  outcome = twin_find (twin, fd, &key);
  if (outcome != 0)
    return outcome;

  if (events != key->events)
    {
      outcome = twin_arm (twin, &model->world, key, fd, events);
      if (outcome != 0)
        {
          twin_remove (twin, &model->world, key, fd);
          return outcome;
        }
      key->events = events;
    }

  if (data >= 0 && ((guint) data != key->data || value != key->value))
    {
      key->data = (guint) data;
      key->value = value;
      twin->live[data]++;
    }

  return 0;
}

Outcome
twin_refresh (Model *model,
              Twin  *twin,
              int    fd)
{
  Outcome outcome;
  Key *key;

  outcome = twin_find (twin, fd, &key);
  if (outcome != 0)
    return outcome;

  twin_disarm (twin, &model->world, key, fd);
  outcome = twin_arm (twin, &model->world, key, fd, key->events);
  if (outcome != 0)
    twin_remove (twin, &model->world, key, fd);

  return outcome;
}

/* Returns the descriptor of an object. Without one it is the descriptor of the oldest key of the object, or -1. */
int
twin_resolve (Model *model,
              Twin  *twin,
              int    object)
{
  int fd = model_object_fd (model, object);
  guint64 order = G_MAXUINT64;

  if (fd >= 0)
    return fd;

  for (int i = 0; i < N_FDS; i++)
    if (twin->keys[i].registered && twin->keys[i].object == object && twin->keys[i].order < order)
      {
        fd = FIRST_FD + i;
        order = twin->keys[i].order;
      }

  return fd;
}
