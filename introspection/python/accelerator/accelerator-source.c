/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

#include <pthread.h>
#include <structmember.h>

/* The sources that make an event loop take its turns: one that is ready if the selector is, and one that is ready at
 * the time of the next timer, or now if callbacks are scheduled. The first one is dispatched first, and its turn does
 * everything, so that the second one only takes a turn if nothing else was ready. That turn needs no select ().
 *
 * A change of the time takes no system call: only the thread of the context changes it, and prepare () reads it. */

typedef struct
{
  GSource source;
  AccelSource *owner;
} AccelOwnSource;

/* How many forks lie between this process and the one that has loaded the module. */
static guint n_forks;

static void
accel_count_fork (void)
{
  n_forks++;
}

/* Called once. Returns: FALSE with an exception */
gboolean
accel_source_init (void)
{
  if (pthread_atfork (NULL, NULL, accel_count_fork) == 0)
    return TRUE;

  PyErr_NoMemory ();

  return FALSE;
}

/* TRUE if the library has taken the source of the selector out of the context, because the selector was closed, or does
 * not work any more. The other source finds it out in the next iteration. */
static gboolean
accel_source_is_lost (AccelSource *self)
{
  return !self->in_turn && self->io_source != NULL && g_source_is_destroyed (self->io_source);
}

static gboolean
accel_timer_prepare (GSource *source,
                     int     *timeout)
{
  AccelSource *owner = ((AccelOwnSource *) source)->owner;
  gint64 left;

  owner->turn_taken = FALSE;
  *timeout = -1;
  if (accel_source_is_lost (owner))
    return TRUE;
  if (owner->in_turn || owner->ready_time < 0)
    return FALSE;

  left = MAX (owner->ready_time - g_source_get_time (source), 0);
  *timeout = (int) MIN ((left + 999) / 1000, G_MAXINT);

  return left == 0;
}

static gboolean
accel_timer_check (GSource *source)
{
  AccelSource *owner = ((AccelOwnSource *) source)->owner;

  return accel_source_is_lost (owner) ||
         (!owner->in_turn && owner->ready_time >= 0 && owner->ready_time <= g_source_get_time (source));
}

static gboolean
accel_timer_dispatch (GSource     *source,
                      GSourceFunc  callback,
                      gpointer     user_data)
{
  AccelSource *owner = ((AccelOwnSource *) source)->owner;

  return owner->in_turn || owner->turn_taken || callback (user_data);
}

static GSourceFuncs accel_timer_funcs = {
  .prepare = accel_timer_prepare,
  .check = accel_timer_check,
  .dispatch = accel_timer_dispatch,
};

/* The child of the source of the selector: it makes GLib dispatch its parent in an iteration that does not poll. */

static gboolean
accel_guess_prepare (GSource *source,
                     int     *timeout)
{
  AccelSource *owner = ((AccelOwnSource *) source)->owner;

  *timeout = -1;

  return owner->guess.is_made && !owner->in_turn;
}

static gboolean
accel_guess_dispatch (GSource     *source,
                      GSourceFunc  callback,
                      gpointer     user_data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs accel_guess_funcs = {
  .prepare = accel_guess_prepare,
  .dispatch = accel_guess_dispatch,
};

/* Makes the exception of this thread that of the function that runs the loop. */
void
accel_fail (PyObject *loop)
{
  PyObject *type, *value, *traceback, *result;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (traceback != NULL)
    PyException_SetTraceback (value, traceback);
  result = PyObject_CallMethodOneArg (loop, accel_names._fail, value);
  if (result == NULL)
    PyErr_WriteUnraisable (loop);
  Py_XDECREF (result);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);
}

/* Calls _take_turn () of the loop, which may belong to a subclass. Returns 1 if the loop goes on, 0 if it has ended, or
 * -1 with an exception. */
static int
accel_source_call_method (PyObject *loop)
{
  PyObject *result = PyObject_CallMethodNoArgs (loop, accel_names._take_turn);
  int goes_on = result != NULL ? PyObject_IsTrue (result) : -1;

  Py_XDECREF (result);

  return goes_on;
}

static gboolean
accel_source_call_loop (AccelSource *self)
{
  PyObject *loop = Py_NewRef (self->loop);
  int goes_on = self->has_own_turn ? accel_loop_take_turn (loop, self) : accel_source_call_method (loop);

  if (goes_on < 0)
    {
      PyObject *result;

      accel_fail (loop);
      result = PyObject_CallMethodNoArgs (loop, accel_names._end);
      if (result == NULL)
        PyErr_WriteUnraisable (loop);
      Py_XDECREF (result);
    }
  Py_DECREF (loop);
  self->has_ended = goes_on <= 0;

  return goes_on > 0;
}

/* Makes the loop end with the error of its selector. */
static void
accel_source_lose_selector (AccelSource *self)
{
  PyObject *loop = Py_NewRef (self->loop);
  PyObject *result = PyObject_CallMethodNoArgs (loop, accel_names._lose_selector);

  if (result == NULL)
    PyErr_WriteUnraisable (loop);
  Py_XDECREF (result);
  Py_DECREF (loop);
  self->has_ended = TRUE;
}

static gboolean
accel_source_take_turn (AccelSource *self,
                        gboolean     has_events)
{
  PyGILState_STATE state = PyGILState_Ensure ();
  gboolean goes_on = G_SOURCE_CONTINUE;

  Py_INCREF (self);
  if (self->loop == NULL)
    goes_on = G_SOURCE_REMOVE;
  else if (!has_events && accel_source_is_lost (self))
    {
      accel_source_lose_selector (self);
      goes_on = G_SOURCE_REMOVE;
    }
  else if (!self->in_turn)
    {
      /* In a child process, the selector ends the turn of a loop that runs in the parent. */
      self->has_events = has_events || self->n_forks != n_forks;
      self->guess.was_ready |= has_events;
      self->turn_taken = TRUE;
      goes_on = accel_source_call_loop (self);
    }
  else
    {
      /* A callback of asyncio runs a main loop, and the selector is ready. Do not poll it until the turn is over. */
      self->is_blocked = TRUE;
      goes_on = G_SOURCE_REMOVE;
    }
  Py_DECREF (self);
  PyGILState_Release (state);

  return goes_on;
}

static gboolean
accel_source_selector_is_ready (gpointer self)
{
  return accel_source_take_turn (self, TRUE);
}

static gboolean
accel_source_timer_is_due (gpointer self)
{
  return accel_source_take_turn (self, FALSE);
}

static void
accel_source_unref (gpointer self)
{
  PyGILState_STATE state = PyGILState_Ensure ();

  Py_DECREF (self);
  PyGILState_Release (state);
}

static GMainContext *
accel_get_context (PyObject *context)
{
  if (PyObject_TypeCheck (context, &PyGBoxed_Type) && pyg_boxed_check (context, G_TYPE_MAIN_CONTEXT))
    return pyg_boxed_get (context, GMainContext);

  PyErr_Format (PyExc_TypeError, "Expected a GLib.MainContext, not %R", Py_TYPE (context));

  return NULL;
}

static gboolean
accel_is_subclass (SelBaseSelector *selector)
{
  const GType types[] = { SEL_TYPE_SELECT_SELECTOR, SEL_TYPE_POLL_SELECTOR, SEL_TYPE_EPOLL_SELECTOR,
                          SEL_TYPE_DEVPOLL_SELECTOR, SEL_TYPE_KQUEUE_SELECTOR };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      if (G_OBJECT_TYPE (selector) == types[i])
        return FALSE;
    }

  return TRUE;
}

static GSource *
accel_source_new_own (AccelSource  *self,
                      GSourceFuncs *funcs)
{
  GSource *source = g_source_new (funcs, sizeof (AccelOwnSource));

  ((AccelOwnSource *) source)->owner = self;

  return source;
}

static void
accel_source_attach (AccelSource  *self,
                     GSource      *source,
                     GSourceFunc   func,
                     const char   *name)
{
  g_source_set_static_name (source, name);
  g_source_set_can_recurse (source, TRUE);
  g_source_set_priority (source, self->priority);
  g_source_set_callback (source, func, Py_NewRef (self), accel_source_unref);
  g_source_attach (source, self->context);
}

/* Puts the sources into the context. Sources of the same priority are dispatched in this order.
 *
 * If the first one could not recurse, GLib would take its descriptors out of the context and back around each turn,
 * which costs three system calls. */
static void
accel_source_attach_all (AccelSource *self)
{
  GSource *guess_source = accel_source_new_own (self, &accel_guess_funcs);

  Py_BEGIN_ALLOW_THREADS
  self->io_source = sel_base_selector_create_source (self->selector);
  Py_END_ALLOW_THREADS

  /* The source of a closed selector is destroyed already. */
  if (!g_source_is_destroyed (self->io_source))
    {
      g_source_add_child_source (self->io_source, guess_source);
      accel_source_attach (self, self->io_source, accel_source_selector_is_ready, "asyncio");
    }
  g_source_unref (guess_source);
  self->timer_source = accel_source_new_own (self, &accel_timer_funcs);
  accel_source_attach (self, self->timer_source, accel_source_timer_is_due, "asyncio timers");
}

static void
accel_source_destroy_all (AccelSource *self)
{
  GSource *io_source = g_steal_pointer (&self->io_source), *timer_source = g_steal_pointer (&self->timer_source);

  if (io_source == NULL)
    return;

  Py_BEGIN_ALLOW_THREADS
  g_source_destroy (io_source);
  g_source_destroy (timer_source);
  g_source_unref (io_source);
  g_source_unref (timer_source);
  Py_END_ALLOW_THREADS
}

/* At the end of a turn: polls again. */
void
accel_source_unblock (AccelSource *self)
{
  if (!self->is_blocked)
    return;

  self->is_blocked = FALSE;
  if (self->io_source != NULL)
    {
      accel_source_destroy_all (self);
      accel_source_attach_all (self);
    }
}

/* Gets the list of timers, which _run_once () may have replaced. Returns: FALSE with an exception */
gboolean
accel_source_get_timers (AccelSource *self,
                         PyObject    *loop)
{
  Py_XSETREF (self->scheduled, PyObject_GetAttr (loop, accel_names._scheduled));

  return self->scheduled != NULL;
}

/* Gets the objects of the loop and of its selector that each turn uses. Returns: FALSE with an exception */
static gboolean
accel_source_get_objects (AccelSource *self,
                          PyObject    *loop,
                          PyObject    *selector)
{
  self->loop = Py_NewRef (loop);
  self->py_selector = Py_NewRef (selector);
  self->keys = accel_get_keys (selector);
  self->ready = PyObject_GetAttr (loop, accel_names._ready);
  if (self->keys == NULL || self->ready == NULL)
    return FALSE;

  self->append = PyObject_GetAttr (self->ready, accel_names.append);
  self->popleft = PyObject_GetAttr (self->ready, accel_names.popleft);

  return self->append != NULL && self->popleft != NULL && accel_source_get_timers (self, loop);
}

/* LoopSource (loop, selector, context, priority, is_plain) */
static PyObject *
accel_source_new (PyTypeObject *type,
                  PyObject     *args,
                  PyObject     *kwargs)
{
  PyObject *loop, *selector, *context;
  int priority, is_plain;
  GMainContext *main_context;
  AccelSource *self;

  if (!PyArg_ParseTuple (args, "OOOip", &loop, &selector, &context, &priority, &is_plain) ||
      accel_get_selector (selector) == NULL || (main_context = accel_get_context (context)) == NULL)
    return NULL;

  self = (AccelSource *) type->tp_alloc (type, 0);
  if (self == NULL)
    return NULL;
  if (!accel_source_get_objects (self, loop, selector))
    {
      Py_DECREF (self);
      return NULL;
    }

  self->selector = g_object_ref (accel_get_selector (selector));
  self->is_subclass = accel_is_subclass (self->selector);
  self->context = g_main_context_ref (main_context);
  self->thread = g_thread_self ();
  self->n_forks = n_forks;
  self->priority = priority;
  self->ready_time = -1;
  self->handle_run = accel_handle_peek_run ();
  self->is_plain = is_plain;
  self->has_own_turn = accel_loop_has_own_turn (loop);
  accel_source_attach_all (self);

  return (PyObject *) self;
}

static PyObject *
accel_source_destroy (PyObject *object,
                      PyObject *unused)
{
  AccelSource *self = (AccelSource *) object;

  accel_source_destroy_all (self);
  Py_CLEAR (self->loop);

  Py_RETURN_NONE;
}

static void
accel_source_dealloc (PyObject *object)
{
  AccelSource *self = (AccelSource *) object;

  /* The sources hold references, so they are destroyed. */
  Py_XDECREF (self->loop);
  Py_XDECREF (self->py_selector);
  Py_XDECREF (self->keys);
  Py_XDECREF (self->ready);
  Py_XDECREF (self->append);
  Py_XDECREF (self->popleft);
  Py_XDECREF (self->scheduled);
  g_clear_object (&self->selector);
  g_clear_pointer (&self->context, g_main_context_unref);
  Py_TYPE (object)->tp_free (object);
}

static PyMethodDef accel_source_methods[] = {
  { "destroy", accel_source_destroy, METH_NOARGS, "Takes the sources out of the context." },
  { NULL, NULL, 0, NULL }
};

static PyMemberDef accel_source_members[] = {
  { "in_turn", T_INT, offsetof (AccelSource, in_turn), READONLY, "True while the loop takes a turn." },
  { NULL, 0, 0, 0, NULL }
};

PyTypeObject accel_source_type = {
  PyVarObject_HEAD_INIT (NULL, 0)
  .tp_name = "gi.overrides.sel_accelerator.LoopSource",
  .tp_doc = "The sources of an event loop in its main context.",
  .tp_basicsize = sizeof (AccelSource),
  .tp_flags = Py_TPFLAGS_DEFAULT,
  .tp_new = accel_source_new,
  .tp_dealloc = accel_source_dealloc,
  .tp_methods = accel_source_methods,
  .tp_members = accel_source_members,
};
