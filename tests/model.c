/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model.h"

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/* The descriptors that sequences play with: around the end of a word of select()'s sets. */
#define FIRST_FD 58
#define N_FDS 12
#define N_OBJECTS 4
#define SOCKET_OBJECT 3
#define N_DATA 4

/*
 * --- Files ---
 *
 * What is open, and what it is ready for. Both ends of a pipe or a pair of sockets stand one after the other.
 */

typedef enum
{
  PIPE_READ,
  PIPE_WRITE,
  SOCKET,
  EVENTFD,
  REGULAR
} Kind;

typedef struct
{
  Kind kind;
  guint n_refs;              /* descriptors */
  guint peer;
  guint n_bytes;             /* that can be read, and that ... */
  gboolean full;             /* ... leave no room to write on the other end */
  gboolean cannot_read;      /* shut down */
  gboolean cannot_write;
} File;

typedef struct
{
  GArray *files;
  int numbers[N_FDS];        /* index of the file, -1 if it is closed */
} World;

static File *
world_file (const World *world,
            int          index)
{
  return index >= 0 ? &g_array_index (world->files, File, index) : NULL;
}

static SelEventMask
world_readiness (const World *world,
                 int          index)
{
  const File *file = world_file (world, index);
  const File *peer;
  SelEventMask events = 0;

  if (file == NULL || file->n_refs == 0)
    return 0;

  if (file->kind == REGULAR)
    return BOTH;

  if (file->kind == EVENTFD)
    return (file->n_bytes > 0 || file->full ? SEL_EVENT_READ : 0) | (file->full ? 0 : SEL_EVENT_WRITE);

  peer = world_file (world, (int) file->peer);
  if (peer->n_refs == 0 || (file->cannot_read && file->cannot_write))
    return BOTH;

  if (file->kind != PIPE_WRITE && (file->n_bytes > 0 || file->full || file->cannot_read))
    events |= SEL_EVENT_READ;
  if (file->kind != PIPE_READ && !peer->full)
    events |= SEL_EVENT_WRITE;

  return events;
}

/* The file that data written to @file goes to. */
static File *
world_other_end (const World *world,
                 File        *file)
{
  return file->kind == EVENTFD ? file : world_file (world, (int) file->peer);
}

/*
 * --- Selectors ---
 */

typedef enum
{
  NO,
  MAYBE,
  YES
} Certainty;

typedef struct
{
  gboolean registered;
  SelEventMask events;
  guint data;
  guint value;               /* in place of data, if not 0 */
  int object;                /* -1 for a descriptor alone */
  guint64 order;
  Certainty armed;
  int armed_file;            /* what the kernel was told about */
  gboolean always_ready;
  gboolean stale;            /* the number was closed since */
} Key;

typedef struct
{
  int fd;
  SelEventMask events;
} Ready;

typedef struct
{
  const Backend *backend;
  guint number;
  SelBaseSelector *selector;
  GMainContext *context;     /* NULL if sequences are without main loop */
  GArray *called;            /* Ready: for what the callback was called */

  Key keys[N_FDS];
  guint64 last_order;
  gboolean closed;
  gboolean emulate;
  Certainty wakeup;
  guint rebuild_count;
  gboolean may_linger;       /* BACKEND_BY_FILE: the kernel may know of a file that has no key any more */

  int live[N_DATA];          /* how many data of a kind the selector has not freed */
} Twin;

#define FILE_TYPE (model_file_get_type ())
G_DECLARE_FINAL_TYPE (ModelFile, model_file, MODEL, FILE, GObject)

struct _ModelFile
{
  GObject parent;
  int fd;
};

static gboolean
model_file_query_fd (SelFileObject  *object,
                     int            *fd,
                     GError        **error)
{
  ModelFile *self = (ModelFile *) object;

  if (self->fd < 0)
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE, "closed");
      return FALSE;
    }

  *fd = self->fd;

  return TRUE;
}

static void
model_file_init_interface (SelFileObjectInterface *iface)
{
  iface->query_fd = model_file_query_fd;
}

G_DEFINE_TYPE_WITH_CODE (ModelFile, model_file, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (SEL_TYPE_FILE_OBJECT, model_file_init_interface))

static void
model_file_class_init (ModelFileClass *klass)
{
}

static void
model_file_init (ModelFile *self)
{
  self->fd = -1;
}

typedef struct
{
  World world;
  Twin twins[N_BACKENDS];
  guint n_twins;
  GObject *objects[N_OBJECTS]; /* ModelFile, but the last: a GSocket, or NULL before there is one */
  gboolean with_loop;
  gboolean force_mirrored;
  char *difference;
} Model;

/* The data of keys: never looked at, only counted. Twins are told apart, as the notify has no other argument. */
static char cells[N_BACKENDS][N_DATA];
static Twin *twin_of_cell[N_BACKENDS];

static gpointer
twin_data (Twin  *twin,
           guint  data)
{
  return data == 0 ? NULL : &cells[twin->number][data];
}

static void
twin_free_data (gpointer pointer)
{
  gsize i = (gsize) ((char *) pointer - &cells[0][0]);

  twin_of_cell[i / N_DATA]->live[i % N_DATA]--;
}

/* The object that a step means, as an index. */
static int
model_object_of_step (const Model *model,
                      guint8       a)
{
  int object = a % N_OBJECTS;

  return model->objects[object] != NULL ? object : 0;
}

/* Its descriptor, or -1. A socket remembers the number, whatever that stands for. */
static int
model_object_fd (const Model *model,
                 int          object)
{
  return object == SOCKET_OBJECT ? g_socket_get_fd (G_SOCKET (model->objects[object]))
                                 : ((ModelFile *) model->objects[object])->fd;
}

/* Remembers the first difference only. */
G_GNUC_PRINTF (3, 4)
static gboolean
differ (Model      *model,
        const Twin *twin,
        const char *format,
        ...)
{
  g_autofree char *text = NULL;
  va_list args;

  if (model->difference != NULL)
    return FALSE;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  model->difference = g_strdup_printf ("%s: %s", twin->backend->name, text);

  return FALSE;
}

/*
 * --- Errors ---
 */

/* An error as one number: 0 for none, an errno, or one of the library's own above that. */
typedef int Outcome;

#define OWN(code) (10000 + SEL_SELECTOR_ERROR_##code)
#define CANCELLED 20000

static Outcome
outcome_of (gboolean  success,
            GError  **error)
{
  Outcome outcome = 0;

  if (*error == NULL)
    return success ? 0 : -1;

  if (success)
    outcome = -2;
  else if ((*error)->domain == SEL_SELECTOR_ERROR)
    outcome = 10000 + (*error)->code;
  else if ((*error)->domain == SEL_OS_ERROR)
    outcome = (*error)->code;
  else if (g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    outcome = CANCELLED;
  else
    outcome = -3;
  g_clear_error (error);

  return outcome;
}

static gboolean
compare_outcome (Model   *model,
                 Twin    *twin,
                 Outcome  got,
                 Outcome  expected)
{
  return got == expected || differ (model, twin, "outcome %d, expected %d", got, expected);
}

/*
 * --- The rules ---
 */

static int
index_of_fd (int fd)
{
  return fd >= FIRST_FD && fd < FIRST_FD + N_FDS ? fd - FIRST_FD : -1;
}

static Key *
twin_key (Twin *twin,
          int   fd)
{
  int i = index_of_fd (fd);

  return i >= 0 && twin->keys[i].registered ? &twin->keys[i] : NULL;
}

static int
file_of_fd (const World *world,
            int          fd)
{
  int i = index_of_fd (fd);

  return i >= 0 ? world->numbers[i] : -1;
}

/* The kernel has to forget a key; it may not be able to. */
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

/* What comes of telling the kernel about @fd, anew or for the first time. */
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
  key->always_ready = outcome != 0;
  key->armed = outcome == 0 ? YES : NO;
  key->armed_file = index;
  key->stale = FALSE;

  return 0;
}

static void
twin_remove (Twin        *twin,
             const World *world,
             Key         *key,
             int          fd)
{
  twin_disarm (twin, world, key, fd);
  *key = (Key) { 0 };
}

/* A new set in the kernel. What cannot be armed stays registered. */
static void
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

/* The number @i was closed, perhaps to be opened again at once. */
static void
twin_notice_close (Twin *twin,
                   int   i)
{
  twin->keys[i].stale = TRUE;
  if (twin->backend->identity == BACKEND_BY_DESCRIPTOR)
    twin->keys[i].armed = NO;
}

/* What a wait has to tell (@required) and may tell (@allowed). */
static void
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
          /* If the number stands for another file now, a new set of epoll may have found out. */
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
    }
}

/* What a wait finds closed is not waited for any more. If it was given little room it may not have got that far. */
static void
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

static gboolean
twin_was_rebuilt (Twin *twin)
{
  guint rebuild_count = backend_get_rebuild_count (twin->backend, twin->selector);

  if (rebuild_count == twin->rebuild_count)
    return FALSE;

  twin->rebuild_count = rebuild_count;

  return TRUE;
}

/*
 * --- Comparing ---
 */

static gboolean
compare_key (Model          *model,
             Twin           *twin,
             SelSelectorKey *key,
             int             fd)
{
  const Key *expected = twin_key (twin, fd);
  const GValue *value;
  GObject *object;

  if (key == NULL || expected == NULL)
    return (key == NULL && expected == NULL) ||
           differ (model, twin, "descriptor %d has %s key", fd, key != NULL ? "a" : "no");

  object = expected->object >= 0 ? model->objects[expected->object] : NULL;
  value = sel_selector_key_get_data_value (key);

  return (sel_selector_key_get_fd (key) == fd &&
          sel_selector_key_get_events (key) == expected->events &&
          sel_selector_key_get_data (key) == twin_data (twin, expected->data) &&
          (value != NULL ? g_value_get_uint (value) : 0) == expected->value &&
          sel_selector_key_get_fileobj (key) == object) ||
         differ (model, twin, "the key of descriptor %d is wrong", fd);
}

/* The keys of the model, in the order of registration. */
static guint
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
compare_keys (Model     *model,
              Twin      *twin,
              GPtrArray *keys,
              const int *fds,
              guint      n_fds)
{
  gboolean same = keys->len == n_fds || differ (model, twin, "%u keys, expected %u", keys->len, n_fds);

  for (guint i = 0; same && i < n_fds; i++)
    same = compare_key (model, twin, keys->pdata[i], fds[i]);

  return same;
}

/* After every step: the size of the mapping, the key of the descriptor that the step was about, and the data. */
static gboolean
compare_state (Model *model,
               Twin  *twin,
               int    fd)
{
  SelSelectorMapping *map = sel_base_selector_get_map (twin->selector);
  g_autoptr (SelSelectorKey) key = NULL;
  int expected[N_DATA] = { 0 };
  guint n = 0;

  for (guint i = 0; i < N_FDS; i++)
    {
      expected[twin->keys[i].data] += twin->keys[i].registered;
      n += twin->keys[i].registered != 0;
    }

  if (twin->closed)
    return map == NULL || differ (model, twin, "a closed selector has a mapping");

  if (sel_selector_mapping_get_size (map) != n)
    return differ (model, twin, "%u keys, expected %u", sel_selector_mapping_get_size (map), n);

  for (guint i = 1; i < N_DATA; i++)
    if (twin->live[i] != expected[i])
      return differ (model, twin, "%d data of kind %u are alive, expected %d", twin->live[i], i, expected[i]);

  key = sel_selector_mapping_lookup (map, fd);

  return sel_selector_mapping_contains (map, fd) == (key != NULL) && compare_key (model, twin, key, fd);
}

/*
 * --- Steps ---
 */

typedef struct
{
  guint8 op;
  guint8 a;
  guint8 b;
  guint8 c;
} Step;

/* Which of the numbers a step means. Few are outside of what is played with. */
static int
step_fd (guint8 a)
{
  switch (a % 32)
    {
    case 31:
      return -1;
    case 30:
      return 5000;
    case 29:
      return G_MAXINT;
    default:
      return FIRST_FD + a % 32 % N_FDS;
    }
}

static SelEventMask
step_events (guint8 b)
{
  static const guint wrong[] = { 0, 4, 7, 0x80000001 };

  return b % 64 == 63 ? (SelEventMask) wrong[b / 64] : (SelEventMask) (1 + b % 3);
}

static gboolean
events_are_valid (SelEventMask events)
{
  return events != 0 && ((guint) events & ~(guint) BOTH) == 0;
}

static Outcome
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

static Outcome
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

static Outcome
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

static Outcome
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

/* The descriptor of an object; if it has none, that of the first key which was registered through it. */
static int
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

static GDestroyNotify
destroy_of (guint data)
{
  return data == 0 ? NULL : twin_free_data;
}

/* A value that stands for a number; none for 0. */
static const GValue *
value_of (guint   number,
          GValue *value)
{
  if (number == 0)
    return NULL;

  g_value_init (value, G_TYPE_UINT);
  g_value_set_uint (value, number);

  return value;
}

static void
do_register (Model *model,
             Twin  *twin,
             Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  SelEventMask events = step_events (step.b);
  guint data = step.c % N_DATA;
  gboolean success;

  if (step.c >= 224)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autoptr (SelSelectorKey) key = sel_base_selector_register_value (twin->selector, fd, events,
                                                                         value_of (data, &value), &error);

      if (compare_outcome (model, twin, outcome_of (key != NULL, &error),
                           twin_register (model, twin, fd, -1, events, 0, data)) && key != NULL)
        compare_key (model, twin, key, fd);
      return;
    }

  success = sel_base_selector_register (twin->selector, fd, events, twin_data (twin, data), destroy_of (data), &error);
  compare_outcome (model, twin, outcome_of (success, &error), twin_register (model, twin, fd, -1, events, data, 0));
}

static void
do_unregister (Model *model,
               Twin  *twin,
               Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  Key *key = NULL;
  Outcome expected = twin_find (twin, fd, &key);

  if (step.c % 4 == 0)
    {
      g_autoptr (SelSelectorKey) removed = sel_base_selector_unregister_key (twin->selector, fd, &error);

      if (!compare_outcome (model, twin, outcome_of (removed != NULL, &error), expected) ||
          (expected == 0 && !compare_key (model, twin, removed, fd)))
        return;
    }
  else
    {
      gboolean success = sel_base_selector_unregister (twin->selector, fd, &error);

      compare_outcome (model, twin, outcome_of (success, &error), expected);
    }

  if (expected == 0)
    twin_remove (twin, &model->world, key, fd);
}

static void
do_modify (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  guint data = step.c % N_DATA;
  SelEventMask events = step_events (step.b);
  gboolean success;

  if (step.c >= 224)
    {
      g_auto (GValue) value = G_VALUE_INIT;
      g_autoptr (SelSelectorKey) key = sel_base_selector_modify_value (twin->selector, fd, events,
                                                                       value_of (data, &value), &error);

      if (compare_outcome (model, twin, outcome_of (key != NULL, &error),
                           twin_modify (model, twin, fd, events, 0, data)) && key != NULL)
        compare_key (model, twin, key, fd);
    }
  else if (step.c >= 128)
    {
      success = sel_base_selector_modify_events (twin->selector, fd, events, &error);
      compare_outcome (model, twin, outcome_of (success, &error), twin_modify (model, twin, fd, events, -1, 0));
    }
  else
    {
      success = sel_base_selector_modify (twin->selector, fd, events, twin_data (twin, data),
                                          destroy_of (data), &error);
      compare_outcome (model, twin, outcome_of (success, &error),
                       twin_modify (model, twin, fd, events, (int) data, 0));
    }
}

static void
do_refresh (Model *model,
            Twin  *twin,
            Step   step)
{
  g_autoptr (GError) error = NULL;
  gboolean success = sel_base_selector_refresh (twin->selector, step_fd (step.a), &error);

  compare_outcome (model, twin, outcome_of (success, &error), twin_refresh (model, twin, step_fd (step.a)));
}

static void
do_get_key (Model *model,
            Twin  *twin,
            Step   step)
{
  g_autoptr (GError) error = NULL;
  int fd = step_fd (step.a);
  Key *unused;
  Outcome expected = twin_find (twin, fd, &unused);
  g_autoptr (SelSelectorKey) key = sel_base_selector_get_key (twin->selector, fd, &error);

  if (compare_outcome (model, twin, outcome_of (key != NULL, &error), expected) && expected == 0)
    compare_key (model, twin, key, fd);
}

static void
do_map (Model *model,
        Twin  *twin,
        Step   step)
{
  SelSelectorMapping *map = sel_base_selector_get_map (twin->selector);
  g_autoptr (GPtrArray) keys = NULL;
  int fds[N_FDS];
  guint n;

  if (map == NULL)
    return;

  n = twin_list_keys (twin, fds);
  keys = sel_selector_mapping_get_keys (map);
  compare_keys (model, twin, keys, fds, n);
}

static void
do_check (Model *model,
          Twin  *twin,
          Step   step)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) keys = sel_base_selector_check (twin->selector, &error);
  int fds[N_FDS];
  guint n = twin_list_keys (twin, fds);
  guint n_closed = 0;

  if (!compare_outcome (model, twin, outcome_of (keys != NULL, &error), twin->closed ? OWN (CLOSED) : 0) ||
      twin->closed)
    return;

  for (guint i = 0; i < n; i++)
    if (file_of_fd (&model->world, fds[i]) < 0)
      fds[n_closed++] = fds[i];
  compare_keys (model, twin, keys, fds, n_closed);
}

static void
do_object (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  int object = model_object_of_step (model, step.a);
  GObject *fileobj = model->objects[object];
  SelEventMask events = step_events (step.b);
  guint data = step.c % N_DATA;
  int fd = twin_resolve (model, twin, object);
  Key *key = NULL;
  Outcome expected = twin_find (twin, fd, &key);
  g_autoptr (SelSelectorKey) got = NULL;
  gboolean success;

  switch (step.c / N_DATA % 4)
    {
    case 0:
      success = sel_base_selector_register_object (twin->selector, fileobj, events, twin_data (twin, data),
                                                   destroy_of (data), &error);
      expected = twin_register (model, twin, model_object_fd (model, object), object, events, data, 0);
      break;

    case 1:
      success = sel_base_selector_unregister_object (twin->selector, fileobj, &error);
      if (expected == 0)
        twin_remove (twin, &model->world, key, fd);
      break;

    case 2:
      success = sel_base_selector_modify_object (twin->selector, fileobj, events, twin_data (twin, data),
                                                 destroy_of (data), &error);
      /* That there is no descriptor is seen first. */
      if (fd >= 0 || twin->closed)
        expected = twin_modify (model, twin, fd, events, (int) data, 0);
      break;

    default:
      got = sel_base_selector_get_key_object (twin->selector, fileobj, &error);
      success = got != NULL;
      if (got != NULL)
        compare_key (model, twin, got, fd);
      break;
    }

  compare_outcome (model, twin, outcome_of (success, &error), expected);
}

typedef enum
{
  LIST,
  ARRAY,
  NUMBERS
} Form;

/* One of the three forms of select(). Returns how many are ready, or -1. */
static gssize
twin_select (Twin          *twin,
             Form           form,
             gdouble        timeout,
             gsize          room,
             GCancellable  *cancellable,
             Ready         *ready,
             GError       **error)
{
  g_autoptr (GPtrArray) list = NULL;
  SelReadyEvent events[N_FDS];
  g_autofree guint8 *masks = NULL;
  g_autofree int *fds = NULL;
  gsize n = 0, n_masks;

  switch (form)
    {
    case LIST:
      list = sel_base_selector_select (twin->selector, timeout, cancellable, error);
      if (list == NULL)
        return -1;
      n = MIN (list->len, N_FDS);
      for (guint i = 0; i < n; i++)
        ready[i] = (Ready) { sel_selector_key_get_fd (sel_selector_event_get_key (list->pdata[i])),
                             sel_selector_event_get_events (list->pdata[i]) };
      return list->len;

    case ARRAY:
      {
        gssize n_events = sel_base_selector_select_ready (twin->selector, timeout, events, room, cancellable, error);

        for (gssize i = 0; i < n_events; i++)
          ready[i] = (Ready) { events[i].fd, events[i].events };
        return n_events;
      }

    default:
      if (!sel_base_selector_select_fds (twin->selector, timeout, cancellable, &fds, &n, &masks, &n_masks, error))
        return -1;
      for (gsize i = 0; i < MIN (n, N_FDS); i++)
        ready[i] = (Ready) { fds[i], (SelEventMask) masks[i] };
      return n == n_masks ? (gssize) n : -2;
    }
}

static guint
count_masks (const SelEventMask masks[N_FDS])
{
  guint n = 0;

  for (guint i = 0; i < N_FDS; i++)
    n += masks[i] != 0;

  return n;
}

/* Whether all that is required was reported, if there was room for it, and only what is allowed, each once. */
static gboolean
compare_ready (Model              *model,
               Twin               *twin,
               const Ready        *ready,
               gssize              n_ready,
               gsize               room,
               const SelEventMask  required[N_FDS],
               const SelEventMask  allowed[N_FDS])
{
  SelEventMask got[N_FDS] = { 0 };
  /* If the kernel reports READ and WRITE separately, one of them may not fit into a small array. */
  gboolean in_parts = room < N_FDS && twin->backend->splits_events;

  if (n_ready < 0 || n_ready > N_FDS)
    return differ (model, twin, "%d descriptors are ready", (int) n_ready);

  for (gssize i = 0; i < n_ready; i++)
    {
      int index = index_of_fd (ready[i].fd);

      if (index < 0 || got[index] != 0 || ready[i].events == 0 ||
          (ready[i].events & ~allowed[index]) != 0)
        return differ (model, twin, "descriptor %d is reported for %u, which is allowed for %u",
                       ready[i].fd, ready[i].events, index < 0 ? 0 : allowed[index]);
      got[index] = ready[i].events;
    }

  if ((gsize) n_ready < MIN (in_parts ? 1 : room, count_masks (required)))
    return differ (model, twin, "%d descriptors are reported, of %u that are ready",
                   (int) n_ready, count_masks (required));

  for (int i = 0; i < N_FDS && !in_parts; i++)
    if (got[i] != 0 ? (required[i] & ~got[i]) != 0 : required[i] != 0 && (gsize) n_ready < room)
      return differ (model, twin, "descriptor %d is ready for %u, but reported for %u",
                     FIRST_FD + i, required[i], got[i]);

  return TRUE;
}

/* If the kernel's set was made anew in between, what was reported may be from before or after; and keys that are only
 * right since then are reported by the next wait. */
static void
twin_expect_rebuilt (Model        *model,
                     Twin         *twin,
                     SelEventMask  required[N_FDS],
                     SelEventMask  allowed[N_FDS])
{
  SelEventMask required_now[N_FDS], allowed_now[N_FDS];

  if (!twin_was_rebuilt (twin))
    return;

  if (!twin->may_linger)
    differ (model, twin, "the set was made anew without a reason");

  for (int i = 0; i < N_FDS; i++)
    if (twin->keys[i].stale)
      required[i] = 0;
  twin_rearm_all (twin, &model->world);
  twin_expect (twin, &model->world, required_now, allowed_now);
  for (int i = 0; i < N_FDS; i++)
    {
      required[i] &= required_now[i];
      allowed[i] |= allowed_now[i];
    }
}

static gdouble
step_timeout (Step     step,
              gboolean ends)
{
  static const gdouble none[] = { 0, -0.0, -1, -1e300, -1e-300, -INFINITY };
  static const gdouble endless[] = { INFINITY, 1e300, 1e10, 3e6, 60 };
  static const gdouble short_ones[] = { 1e-9, 1e-6, 2e-5, 1e-300 };

  if (step.b == 255)
    return NAN;
  if (step.b >= 253)
    return short_ones[step.a % G_N_ELEMENTS (short_ones)];
  if (step.b >= 128 && ends)
    return endless[step.b % G_N_ELEMENTS (endless)];

  return none[step.b % G_N_ELEMENTS (none)];
}

static void
do_select (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GCancellable) cancellable = NULL;
  SelEventMask required[N_FDS], allowed[N_FDS];
  g_autoptr (GError) error = NULL;
  Form form = step.c % 3;
  gsize room = form == ARRAY && step.c >= 64 ? (gsize) (1 + step.c / 3 % 4) : N_FDS;
  Ready ready[N_FDS];
  Outcome expected = 0;
  gint64 start = 0;
  gdouble timeout;
  gssize n_ready;

  twin_expect (twin, &model->world, required, allowed);
  timeout = step_timeout (step, count_masks (required) > 0 || twin->wakeup == YES);

  if (twin->closed)
    expected = OWN (CLOSED);
  else if (isnan (timeout))
    expected = OWN (INVALID_TIMEOUT);

  if (step.a >= 240)
    cancellable = g_cancellable_new ();
  if (step.a >= 248)
    {
      g_cancellable_cancel (cancellable);
      if (expected == 0)
        expected = CANCELLED;
    }

  if (timeout > 0)
    start = g_get_monotonic_time ();
  n_ready = twin_select (twin, form, timeout, room, cancellable, ready, &error);

  if (!compare_outcome (model, twin, outcome_of (n_ready >= 0, &error), expected) || expected != 0)
    return;

  twin_expect_rebuilt (model, twin, required, allowed);
  compare_ready (model, twin, ready, n_ready, room, required, allowed);
  if (n_ready == 0 && timeout > 0 && twin->wakeup == NO &&
      (gdouble) (g_get_monotonic_time () - start + 1) < timeout * 1e6)
    differ (model, twin, "it did not wait to the end");

  twin->wakeup = NO;
  twin_notice_closed (twin, &model->world, room == N_FDS);
}

static gboolean
twin_called (SelBaseSelector *selector,
             SelSelectorKey  *key,
             SelEventMask     events,
             gpointer         user_data)
{
  Ready ready = { sel_selector_key_get_fd (key), events };

  g_array_append_val (user_data, ready);

  return G_SOURCE_CONTINUE;
}

/* One turn of a main loop. What it polls differs with the mode, so for stale keys anything goes. */
static void
do_dispatch (Model *model,
             Twin  *twin,
             Step   step)
{
  SelEventMask required[N_FDS], allowed[N_FDS];

  if (twin->context == NULL)
    return;

  g_array_set_size (twin->called, 0);
  twin_expect (twin, &model->world, required, allowed);
  for (int i = 0; i < N_FDS; i++)
    if (twin->keys[i].stale)
      required[i] = 0;

  g_main_context_iteration (twin->context, FALSE);

  twin_expect_rebuilt (model, twin, required, allowed);
  compare_ready (model, twin, (const Ready *) (void *) twin->called->data, twin->called->len, N_FDS,
                 required, allowed);

  if (twin->wakeup == YES)
    twin->wakeup = MAYBE;
  for (int i = 0; i < N_FDS; i++)
    {
      Key *key = &twin->keys[i];

      if (!key->stale || !key->registered)
        continue;

      if (key->armed == YES)
        {
          key->armed = MAYBE;
          if (twin->backend->identity == BACKEND_BY_FILE && world_file (&model->world, key->armed_file)->n_refs > 0)
            twin->may_linger = TRUE;
        }
      if (world_file (&model->world, model->world.numbers[i]) == NULL)
        key->always_ready = FALSE;
    }
}

static void
do_wakeup (Model *model,
           Twin  *twin,
           Step   step)
{
  sel_base_selector_wakeup (twin->selector);
  twin->wakeup = YES;
}

static void
do_set_emulate (Model *model,
                Twin  *twin,
                Step   step)
{
  twin->emulate = step.a % 2 != 0;
  sel_base_selector_set_emulate_always_ready (twin->selector, twin->emulate);
}

static void
do_reinit (Model *model,
           Twin  *twin,
           Step   step)
{
  g_autoptr (GError) error = NULL;
  gboolean success = sel_base_selector_reinit (twin->selector, &error);

  if (!compare_outcome (model, twin, outcome_of (success, &error), twin->closed ? OWN (CLOSED) : 0) || twin->closed)
    return;

  /* It also ends what a main loop has found out. */
  for (int i = 0; i < N_FDS; i++)
    twin->keys[i].armed = NO;
  twin_rearm_all (twin, &model->world);
}

static void
twin_open (Model *model,
           Twin  *twin)
{
  g_autoptr (GError) error = NULL;

  twin->selector = twin->backend->new_selector (&error);
  g_assert_no_error (error);

  if (model->with_loop)
    {
      twin->context = g_main_context_new ();
      g_assert_true (g_main_context_acquire (twin->context));
      g_object_set (twin->selector, "force-mirrored", model->force_mirrored,
                    "hangup-policy", SEL_HANGUP_POLICY_REPORT, NULL);
      sel_base_selector_attach (twin->selector, twin->context, G_PRIORITY_DEFAULT, twin_called, twin->called, NULL);
    }

  memset (twin->keys, 0, sizeof twin->keys);
  twin->closed = twin->emulate = twin->may_linger = FALSE;
  twin->wakeup = NO;
  twin->rebuild_count = 0;
}

static void
twin_close (Model *model,
            Twin  *twin)
{
  if (twin->context != NULL)
    g_main_context_release (twin->context);
  g_clear_pointer (&twin->context, g_main_context_unref);

  if (G_OBJECT (twin->selector)->ref_count != 1)
    differ (model, twin, "%u references are left", G_OBJECT (twin->selector)->ref_count);
  g_clear_object (&twin->selector);

  for (guint i = 1; i < N_DATA; i++)
    if (twin->live[i] != 0)
      differ (model, twin, "%d data of kind %u are left", twin->live[i], i);
  memset (twin->live, 0, sizeof twin->live);
}

static void
do_close (Model *model,
          Twin  *twin,
          Step   step)
{
  if (twin->closed && step.a % 2 != 0)
    {
      twin_close (model, twin);
      twin_open (model, twin);
      return;
    }

  sel_base_selector_close (twin->selector);
  twin->closed = TRUE;
  memset (twin->keys, 0, sizeof twin->keys);
}

/*
 * --- Steps that only change files ---
 */

static void
model_forget_number (Model *model,
                     int    i)
{
  File *file = world_file (&model->world, model->world.numbers[i]);

  if (file == NULL)
    return;

  file->n_refs--;
  model->world.numbers[i] = -1;
  for (guint t = 0; t < model->n_twins; t++)
    twin_notice_close (&model->twins[t], i);
}

/* Gives @fd the number @i; whatever had it is closed. */
static void
model_place (Model *model,
             int    fd,
             int    i,
             guint  index)
{
  model_forget_number (model, i);
  g_assert_no_errno (dup2 (fd, FIRST_FD + i));
  model->world.numbers[i] = (int) index;
  world_file (&model->world, (int) index)->n_refs++;
}

static void
model_open_pair (Model *model,
                 Step   step,
                 Kind   first_kind,
                 Kind   second_kind)
{
  guint index = model->world.files->len;
  File first = { .kind = first_kind, .peer = index + 1 };
  File second = { .kind = second_kind, .peer = index };
  int fds[2];

  if (first_kind == SOCKET)
    {
      int size = 16384;

      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
      for (guint i = 0; i < 2; i++)
        g_assert_no_errno (setsockopt (fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    }
  else
    {
      g_assert_no_errno (pipe2 (fds, O_NONBLOCK | O_CLOEXEC));
      g_assert_no_errno (fcntl (fds[0], F_SETPIPE_SZ, 8192));
    }

  g_array_append_val (model->world.files, first);
  g_array_append_val (model->world.files, second);
  model_place (model, fds[0], step.a % N_FDS, index);
  model_place (model, fds[1], step.b % N_FDS, index + 1);
  close (fds[0]);
  close (fds[1]);
}

static void
model_open_single (Model *model,
                   Step   step,
                   Kind   kind)
{
  guint index = model->world.files->len;
  File file = { .kind = kind };
  int fd = kind == EVENTFD ? eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC)
                           : open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  g_assert_no_errno (fd);
  g_array_append_val (model->world.files, file);
  model_place (model, fd, step.a % N_FDS, index);
  close (fd);
}

static void
model_close_number (Model *model,
                    Step   step)
{
  int i = step.a % N_FDS;

  if (model->world.numbers[i] < 0)
    return;

  model_forget_number (model, i);
  g_assert_no_errno (close (FIRST_FD + i));
}

static void
model_duplicate (Model *model,
                 Step   step)
{
  int from = step.a % N_FDS;
  int to = step.b % N_FDS;

  if (from != to && model->world.numbers[from] >= 0)
    model_place (model, FIRST_FD + from, to, (guint) model->world.numbers[from]);
}

static void
model_put (Model *model,
           Step   step)
{
  int fd = FIRST_FD + step.a % N_FDS;
  File *file = world_file (&model->world, file_of_fd (&model->world, fd));
  guint64 one = 1;
  File *to;

  if (file == NULL || file->kind == REGULAR || file->kind == PIPE_READ)
    return;

  to = world_other_end (&model->world, file);
  if (!to->full && to->n_bytes < 4 && write (fd, &one, file->kind == EVENTFD ? sizeof one : 1) > 0)
    to->n_bytes++;
}

static void
model_fill (Model *model,
            Step   step)
{
  static const char bytes[4096];
  int fd = FIRST_FD + step.a % N_FDS;
  File *file = world_file (&model->world, file_of_fd (&model->world, fd));
  File *to;

  if (file == NULL || file->kind == REGULAR || file->kind == PIPE_READ)
    return;

  to = world_other_end (&model->world, file);
  if (to->full)
    return;

  if (file->kind == EVENTFD)
    {
      guint64 rest = G_MAXUINT64 - 1 - to->n_bytes;

      to->full = write (fd, &rest, sizeof rest) == sizeof rest;
      return;
    }

  while (write (fd, bytes, sizeof bytes) > 0)
    ;
  if (errno == EAGAIN)
    while (write (fd, bytes, 1) > 0)
      ;
  to->full = errno == EAGAIN;
}

static void
model_drain (Model *model,
             Step   step)
{
  int fd = FIRST_FD + step.a % N_FDS;
  File *file = world_file (&model->world, file_of_fd (&model->world, fd));
  char bytes[8192];

  if (file == NULL || file->kind == REGULAR || file->kind == PIPE_WRITE)
    return;

  while (read (fd, bytes, sizeof bytes) > 0)
    ;
  file->n_bytes = 0;
  file->full = FALSE;
}

static void
model_shut_down (Model *model,
                 Step   step)
{
  int fd = FIRST_FD + step.a % N_FDS;
  File *file = world_file (&model->world, file_of_fd (&model->world, fd));
  int how = step.b % 3;
  File *peer;

  if (file == NULL || file->kind != SOCKET || shutdown (fd, how) < 0)
    return;

  peer = world_file (&model->world, (int) file->peer);
  if (how != SHUT_WR)
    file->cannot_read = peer->cannot_write = TRUE;
  if (how != SHUT_RD)
    file->cannot_write = peer->cannot_read = TRUE;
}

/* Closes whatever has the number now, if its own was closed behind its back. */
static void
model_close_socket (Model *model)
{
  GSocket *socket = G_SOCKET (model->objects[SOCKET_OBJECT]);
  g_autoptr (GError) error = NULL;
  int i = index_of_fd (g_socket_get_fd (socket));

  if (g_socket_is_closed (socket))
    return;

  if (model->world.numbers[i] < 0)
    g_assert_no_errno (dup2 (STDERR_FILENO, FIRST_FD + i));
  model_forget_number (model, i);
  g_socket_close (socket, &error);
  g_assert_no_error (error);
}

/* A socket is made once in a sequence, and closed once. */
static void
model_set_socket (Model *model,
                  Step   step)
{
  g_autoptr (GError) error = NULL;
  int i = step.c % N_FDS;
  File *file = world_file (&model->world, model->world.numbers[i]);

  if (model->objects[SOCKET_OBJECT] != NULL)
    {
      model_close_socket (model);
    }
  else if (file != NULL && file->kind == SOCKET)
    {
      model->objects[SOCKET_OBJECT] = G_OBJECT (g_socket_new_from_fd (FIRST_FD + i, &error));
      g_assert_no_error (error);
    }
}

static void
model_set_object (Model *model,
                  Step   step)
{
  int object = step.a % N_OBJECTS;

  if (object == SOCKET_OBJECT)
    model_set_socket (model, step);
  else
    ((ModelFile *) model->objects[object])->fd = step.b % 4 == 0 ? -1 : step_fd (step.c);
}

/* What a child process does to the selectors: nothing before it makes them its own, or everything. */
static void
model_do_in_child (Model *model,
                   Step   step)
{
  for (guint i = 0; i < model->n_twins && model->difference == NULL; i++)
    {
      Twin *twin = &model->twins[i];
      g_autoptr (GError) error = NULL;
      g_autoptr (GPtrArray) ready = sel_base_selector_select (twin->selector, 0, NULL, &error);

      compare_outcome (model, twin, outcome_of (ready != NULL, &error), twin->closed ? OWN (CLOSED) : OWN (FORKED));
      if (step.a % 2 != 0)
        {
          twin->wakeup = MAYBE;
          do_reinit (model, twin, step);
          do_select (model, twin, (Step) { .c = step.c });
        }
      for (int fd = FIRST_FD; fd < FIRST_FD + N_FDS; fd++)
        do_unregister (model, twin, (Step) { .a = (guint8) (fd - FIRST_FD), .c = step.c });
      compare_state (model, twin, FIRST_FD);
      sel_base_selector_close (twin->selector);
    }
}

/* The parent must not notice; what comes after this step finds out. */
static void
model_fork (Model *model,
            Step   step)
{
  char text[256] = "";
  int status;
  int fds[2];
  gssize n;
  pid_t pid;

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      model_do_in_child (model, step);
      if (model->difference != NULL)
        n = write (fds[1], model->difference, strlen (model->difference));
      end_child (0);
    }

  close (fds[1]);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  n = read (fds[0], text, sizeof text - 1);
  close (fds[0]);
  if (n > 0)
    model->difference = g_strdup_printf ("in a child process: %s", text);
  else if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
    model->difference = g_strdup_printf ("a child process ended with %d", status);
}

/*
 * --- Sequences ---
 */

typedef void (*TwinFunc) (Model *model,
                          Twin  *twin,
                          Step   step);

/* What can happen, and how often of 64 times. */
static const struct
{
  guint weight;
  TwinFunc func;             /* for each backend; or NULL */
  const char *name;
  enum
  {
    SELECTOR,
    OPEN_PIPE,
    OPEN_SOCKETS,
    OPEN_EVENTFD,
    OPEN_REGULAR,
    CLOSE_NUMBER,
    DUPLICATE,
    PUT,
    FILL,
    DRAIN,
    SHUT_DOWN,
    SET_OBJECT
  } what;
} operations[] = {
  { 12, do_register, "register", SELECTOR },
  { 5, do_unregister, "unregister", SELECTOR },
  { 7, do_modify, "modify", SELECTOR },
  { 1, do_refresh, "refresh", SELECTOR },
  { 1, do_get_key, "get_key", SELECTOR },
  { 1, do_map, "map", SELECTOR },
  { 1, do_check, "check", SELECTOR },
  { 3, do_object, "object", SELECTOR },
  { 12, do_select, "select", SELECTOR },
  { 1, do_dispatch, "dispatch", SELECTOR },
  { 1, do_wakeup, "wakeup", SELECTOR },
  { 1, do_set_emulate, "emulate", SELECTOR },
  { 2, NULL, "open pipe", OPEN_PIPE },
  { 2, NULL, "open sockets", OPEN_SOCKETS },
  { 1, NULL, "open eventfd", OPEN_EVENTFD },
  { 1, NULL, "open file", OPEN_REGULAR },
  { 3, NULL, "close", CLOSE_NUMBER },
  { 2, NULL, "dup2", DUPLICATE },
  { 3, NULL, "put", PUT },
  { 1, NULL, "fill", FILL },
  { 1, NULL, "drain", DRAIN },
  { 1, NULL, "shutdown", SHUT_DOWN },
  { 1, NULL, "set object", SET_OBJECT },
};

/* What is too strong for more than once in a while. */
#define RARE_OP 255

static void
model_do_files (Model *model,
                guint  operation,
                Step   step)
{
  switch (operations[operation].what)
    {
    case OPEN_PIPE:
      model_open_pair (model, step, PIPE_READ, PIPE_WRITE);
      break;
    case OPEN_SOCKETS:
      model_open_pair (model, step, SOCKET, SOCKET);
      break;
    case OPEN_EVENTFD:
      model_open_single (model, step, EVENTFD);
      break;
    case OPEN_REGULAR:
      model_open_single (model, step, REGULAR);
      break;
    case CLOSE_NUMBER:
      model_close_number (model, step);
      break;
    case DUPLICATE:
      model_duplicate (model, step);
      break;
    case PUT:
      model_put (model, step);
      break;
    case FILL:
      model_fill (model, step);
      break;
    case DRAIN:
      model_drain (model, step);
      break;
    case SHUT_DOWN:
      model_shut_down (model, step);
      break;
    case SET_OBJECT:
      model_set_object (model, step);
      break;
    case SELECTOR:
    default:
      g_assert_not_reached ();
    }
}

static guint
operation_of_step (Step step)
{
  guint rest = step.op % 64;

  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      if (rest < operations[i].weight)
        return i;
      rest -= operations[i].weight;
    }

  g_assert_not_reached ();
}

static Step
step_read (const guint8 *bytes,
           gsize         i)
{
  const guint8 *step = bytes + MODEL_HEADER_SIZE + i * MODEL_STEP_SIZE;

  return (Step) { step[0], step[1], step[2], step[3] };
}

static gboolean
is_fork (Step step)
{
  return step.op == RARE_OP && step.b % 8 == 7;
}

static TwinFunc
rare_func (Step step)
{
  return step.b % 2 != 0 ? do_close : do_reinit;
}

static void
model_do_step (Model *model,
               Step   step)
{
  guint operation = operation_of_step (step);
  TwinFunc func = step.op == RARE_OP ? rare_func (step) : operations[operation].func;

  if (is_fork (step))
    {
      model_fork (model, step);
      return;
    }
  if (func == NULL)
    {
      model_do_files (model, operation, step);
      return;
    }

  for (guint i = 0; i < model->n_twins && model->difference == NULL; i++)
    {
      func (model, &model->twins[i], step);
      if (model->difference == NULL)
        compare_state (model, &model->twins[i], step_fd (step.a));
    }
}

guint
model_supported_backends (void)
{
  guint supported = 0;

  for (guint i = 0; i < N_BACKENDS; i++)
    if (backends[i].is_supported ())
      supported |= 1u << i;

  return supported;
}

static void
model_start (Model        *model,
             const guint8 *bytes,
             gsize         n_bytes,
             guint         backends_used)
{
  guint8 settings = n_bytes > 0 ? bytes[0] : 0;

  model->with_loop = settings % 4 == 3;
  model->force_mirrored = settings / 4 % 2 != 0;
  model->world.files = g_array_new (FALSE, FALSE, sizeof (File));

  for (guint i = 0; i < N_FDS; i++)
    {
      model->world.numbers[i] = -1;
      close (FIRST_FD + (int) i);
    }
  for (guint i = 0; i < SOCKET_OBJECT; i++)
    model->objects[i] = g_object_new (FILE_TYPE, NULL);

  for (guint i = 0; i < N_BACKENDS; i++)
    {
      Twin *twin = &model->twins[model->n_twins];

      if ((backends_used & 1u << i) == 0)
        continue;

      twin->backend = &backends[i];
      twin->number = i;
      twin->called = g_array_new (FALSE, FALSE, sizeof (Ready));
      twin_of_cell[i] = twin;
      twin_open (model, twin);
      model->n_twins++;
    }
}

static void
model_end (Model *model)
{
  for (guint i = 0; i < model->n_twins; i++)
    {
      twin_close (model, &model->twins[i]);
      g_array_unref (model->twins[i].called);
    }
  if (model->objects[SOCKET_OBJECT] != NULL)
    model_close_socket (model);
  for (guint i = 0; i < N_FDS; i++)
    if (model->world.numbers[i] >= 0)
      close (FIRST_FD + (int) i);
  for (guint i = 0; i < N_OBJECTS; i++)
    g_clear_object (&model->objects[i]);
  g_array_unref (model->world.files);
}

char *
model_run (const guint8 *bytes,
           gsize         n_bytes,
           guint         backends_used,
           ModelCount   *count,
           gsize        *n_steps_done)
{
  gsize n_steps = n_bytes > MODEL_HEADER_SIZE ? (n_bytes - MODEL_HEADER_SIZE) / MODEL_STEP_SIZE : 0;
  Model model = { 0 };
  gsize i = 0;

  model_start (&model, bytes, n_bytes, backends_used);

  while (i < n_steps && model.difference == NULL)
    model_do_step (&model, step_read (bytes, i++));

  if (count != NULL)
    {
      count->n_steps += i;
      count->n_operations += i * model.n_twins;
    }
  if (n_steps_done != NULL)
    *n_steps_done = i;
  model_end (&model);

  return model.difference;
}

char *
model_describe (const guint8 *bytes,
                gsize         n_bytes)
{
  gsize n_steps = n_bytes > MODEL_HEADER_SIZE ? (n_bytes - MODEL_HEADER_SIZE) / MODEL_STEP_SIZE : 0;
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < n_steps; i++)
    {
      Step step = step_read (bytes, i);
      guint operation = operation_of_step (step);

      if (step.op == RARE_OP)
        {
          if (is_fork (step))
            g_string_append_printf (text, "  fork%s\n", step.a % 2 != 0 ? ", reinit there" : "");
          else
            g_string_append (text, step.b % 2 != 0 ? "  close selector\n" : "  reinit\n");
          continue;
        }

      g_string_append_printf (text, "  %s", operations[operation].name);
      if (operations[operation].func == do_object)
        g_string_append_printf (text, " %d %s events %u", step.a % N_OBJECTS,
                                ((const char *[]) { "register", "unregister", "modify", "get" })[step.c / N_DATA % 4],
                                step_events (step.b));
      else if (operations[operation].func == do_select)
        g_string_append_printf (text, " timeout %u form %u room %u", step.b, step.c % 3,
                                step.c >= 64 && step.c % 3 == ARRAY ? 1 + step.c / 3 % 4 : N_FDS);
      else if (operations[operation].func != NULL)
        g_string_append_printf (text, " fd %d events %u data %u", step_fd (step.a), step_events (step.b),
                                step.c % N_DATA);
      else
        g_string_append_printf (text, " %d %d", FIRST_FD + step.a % N_FDS, FIRST_FD + step.b % N_FDS);
      g_string_append_c (text, '\n');
    }

  return g_string_free (text, FALSE);
}
