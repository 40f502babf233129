/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs sequences of steps, and describes them. */

#include "model-private.h"
#include "system-facts.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child process uses the selectors after reinit () or without it. */
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

/* The child process must not change the selectors of the parent. The following steps check that. */
static void
model_fork (Model *model,
            Step   step)
{
  char text[256] = "";
  int status;
  int fds[2];
  gssize n;
  pid_t pid;

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
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

typedef void (*TwinFunc) (Model *model,
                          Twin  *twin,
                          Step   step);

/* The operations. The sum of the weights is 64. */
static const struct
{
  guint weight;
  TwinFunc func;             /* called for each backend; NULL for a step that only changes files */
  const char *name;
  FileStep file_step;
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

/* Steps with this byte fork, close the selectors or call reinit (). They are rare because they reset much state. */
#define RARE_OP 255

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
      model_do_files (model, operations[operation].file_step, step);
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

/* The facts do not change while the program runs. */
static void
world_ask_system (World *world)
{
  static gboolean asked, shut_both, shut_write, two_way;

  if (!asked)
    {
      shut_both = system_shut_both_is_ready ();
      shut_write = system_shut_write_is_ready ();
      two_way = system_has_two_way_pipes ();
      asked = TRUE;
    }

  world->shut_both_is_ready = shut_both;
  world->shut_write_is_ready = shut_write;
  world->has_two_way_pipes = two_way;
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
  world_ask_system (&model->world);

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
      twin->ends_pipes_once = system_ends_pipes_once (twin->backend);
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
        g_string_append_printf (text, " timeout %u form %d room %d", step.b, step.c % 3,
                                step.c >= 64 && step.c % 3 == ARRAY ? 1 + step.c / 3 % 4 : N_FDS);
      else if (operations[operation].func != NULL)
        g_string_append_printf (text, " fd %d events %u data %d", step_fd (step.a), step_events (step.b),
                                step.c % N_DATA);
      else
        g_string_append_printf (text, " %d %d", FIRST_FD + step.a % N_FDS, FIRST_FD + step.b % N_FDS);
      g_string_append_c (text, '\n');
    }

  return g_string_free (text, FALSE);
}
