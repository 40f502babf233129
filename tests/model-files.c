/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files of the model: which descriptors are open, and the events that each file is ready for. Both ends of a
 * pipe or of a pair of sockets are next to each other. */

#include "config.h"

#include "model-private.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#ifdef HAVE_EVENTFD
#include <sys/eventfd.h>
#endif
#include <sys/socket.h>
#include <unistd.h>

int
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

int
index_of_fd (int fd)
{
  return fd >= FIRST_FD && fd < FIRST_FD + N_FDS ? fd - FIRST_FD : -1;
}

int
file_of_fd (const World *world,
            int          fd)
{
  int i = index_of_fd (fd);

  return i >= 0 ? world->numbers[i] : -1;
}

File *
world_file (const World *world,
            int          index)
{
  return index >= 0 ? &g_array_index (world->files, File, index) : NULL;
}

SelEventMask
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
  if (peer->n_refs == 0 || (world->shut_both_is_ready && file->cannot_read && file->cannot_write))
    return BOTH;

  if (file->kind != PIPE_WRITE && (file->n_bytes > 0 || file->full || file->cannot_read))
    events |= SEL_EVENT_READ;
  if ((file->kind != PIPE_READ || world->has_two_way_pipes) &&
      (!peer->full || (world->shut_write_is_ready && file->shut_write)))
    events |= SEL_EVENT_WRITE;

  return events;
}

/* Returns the file that receives the data which is written to @file. */
static File *
world_other_end (const World *world,
                 File        *file)
{
  return file->kind == EVENTFD ? file : world_file (world, (int) file->peer);
}

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

/* Returns the index of the object of a step. */
int
model_object_of_step (const Model *model,
                      guint8       a)
{
  int object = a % N_OBJECTS;

  return model->objects[object] != NULL ? object : 0;
}

/* Returns the descriptor of an object, or -1. A socket keeps its number after the descriptor was closed or reused. */
int
model_object_fd (const Model *model,
                 int          object)
{
  return object == SOCKET_OBJECT ? g_socket_get_fd (G_SOCKET (model->objects[object]))
                                 : ((ModelFile *) model->objects[object])->fd;
}

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

/* Makes descriptor @i a duplicate of @fd. It is closed first if it is open. */
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

      open_socketpair (fds);
      for (guint i = 0; i < 2; i++)
        g_assert_no_errno (setsockopt (fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    }
  else
    {
      open_pipe (fds);
#ifdef F_SETPIPE_SZ
      g_assert_no_errno (fcntl (fds[0], F_SETPIPE_SZ, 8192));
#endif
    }

  g_array_append_val (model->world.files, first);
  g_array_append_val (model->world.files, second);
  model_place (model, fds[0], step.a % N_FDS, index);
  model_place (model, fds[1], step.b % N_FDS, index + 1);
  close (fds[0]);
  close (fds[1]);
}

/* Without eventfd () it is a regular file. */
static int
open_single (File *file)
{
#ifdef HAVE_EVENTFD
  if (file->kind == EVENTFD)
    return eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
#endif

  file->kind = REGULAR;

  return open ("/bin/sh", O_RDONLY | O_CLOEXEC);
}

static void
model_open_single (Model *model,
                   Step   step,
                   Kind   kind)
{
  guint index = model->world.files->len;
  File file = { .kind = kind };
  int fd = open_single (&file);

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
    file->cannot_write = file->shut_write = peer->cannot_read = TRUE;
}

void
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

/* The socket is created once in a sequence, and closed once. */
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

void
model_do_files (Model   *model,
                FileStep file_step,
                Step     step)
{
  switch (file_step)
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
