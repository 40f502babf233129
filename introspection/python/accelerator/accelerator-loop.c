/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

/* The methods of EventLoop that are called in each turn. */

static AccelMethod loop_methods[];

enum { METHOD_ARM, METHOD_TAKE_TURN, METHOD_CALL_AT, METHOD_CALL_LATER, METHOD_CALL_SOON };

/* Returns: (transfer full): the sources of a loop, or %NULL if it has none, perhaps with an exception */
AccelSource *
accel_get_source (PyObject *loop,
                  PyObject *name)
{
  PyObject *source = PyObject_GetAttr (loop, name);

  if (source == NULL || Py_IS_TYPE (source, &accel_source_type))
    return (AccelSource *) source;

  Py_DECREF (source);

  return NULL;
}

/* Makes a running loop take another turn, if a callback was scheduled outside of a turn. Returns: FALSE with an
 * exception */
static gboolean
accel_loop_arm (PyObject *loop)
{
  AccelSource *source = accel_get_source (loop, accel_names._source);
  gboolean success = TRUE;

  if (source == NULL)
    return !PyErr_Occurred ();

  if (!source->in_turn && source->thread == g_thread_self ())
    success = accel_turn_arm (source, loop) >= 0;
  Py_DECREF (source);

  return success;
}

static PyObject *
accel_arm (PyObject        *self,
           PyObject *const *args,
           Py_ssize_t       n_args,
           PyObject        *kwnames)
{
  if (!accel_loop_arm (self))
    return NULL;

  Py_RETURN_NONE;
}

/* TRUE if the methods in Python have to schedule a callback: in debug mode, or if the loop is closed. */
static gboolean
accel_loop_is_unusual (PyObject *self)
{
  gboolean is_unusual = accel_get_flag (self, accel_names._closed) != 0 ||
                        accel_get_flag (self, accel_names._debug) != 0;

  /* The method in Python raises the exception again. */
  if (G_UNLIKELY (is_unusual))
    PyErr_Clear ();

  return is_unusual;
}

/* Returns: (transfer none): the context of the arguments, or None; %NULL if there are other keyword arguments */
static PyObject *
accel_get_context_argument (PyObject *const *args,
                            Py_ssize_t       n_args,
                            PyObject        *kwnames)
{
  if (kwnames == NULL || PyTuple_GET_SIZE (kwnames) == 0)
    return Py_None;
  /* Tasks of asyncio give a name that is not interned. */
  if (PyTuple_GET_SIZE (kwnames) == 1 &&
      PyUnicode_CompareWithASCIIString (PyTuple_GET_ITEM (kwnames, 0), "context") == 0)
    return args[n_args];

  return NULL;
}

static PyObject *
accel_make_tuple (PyObject *const *args,
                  Py_ssize_t       n_args)
{
  PyObject *tuple = PyTuple_New (n_args);

  for (Py_ssize_t i = 0; i < n_args && tuple != NULL; i++)
    PyTuple_SET_ITEM (tuple, i, Py_NewRef (args[i]));

  return tuple;
}

static PyObject *
accel_call_soon (PyObject        *self,
                 PyObject *const *args,
                 Py_ssize_t       n_args,
                 PyObject        *kwnames)
{
  PyObject *context = accel_get_context_argument (args, n_args, kwnames);
  PyObject *tuple, *handle, *ready = NULL, *result = NULL;

  if (n_args < 1 || context == NULL || accel_loop_is_unusual (self))
    return accel_call_python (&loop_methods[METHOD_CALL_SOON], self, args, n_args, kwnames);

  tuple = accel_make_tuple (args + 1, n_args - 1);
  if (tuple == NULL)
    return NULL;
  handle = accel_handle_new (self, args[0], tuple, context);
  Py_DECREF (tuple);
  if (handle != NULL)
    ready = PyObject_GetAttr (self, accel_names._ready);
  if (ready != NULL)
    result = PyObject_CallMethodOneArg (ready, accel_names.append, handle);
  Py_XDECREF (ready);
  if (result == NULL || !accel_loop_arm (self))
    Py_CLEAR (handle);
  Py_XDECREF (result);

  return handle;
}

/* Adds a timer to the heap of the loop. Returns: FALSE with an exception */
static gboolean
accel_push_timer (PyObject *self,
                  PyObject *timer)
{
  PyObject *scheduled = PyObject_GetAttr (self, accel_names._scheduled);
  gboolean success = scheduled != NULL && accel_heap_push (scheduled, timer) &&
                     accel_handle_set_scheduled (timer, TRUE);

  Py_XDECREF (scheduled);

  return success && accel_loop_arm (self);
}

static PyObject *
accel_call_at (PyObject        *self,
               PyObject *const *args,
               Py_ssize_t       n_args,
               PyObject        *kwnames)
{
  PyObject *context = accel_get_context_argument (args, n_args, kwnames);
  PyObject *tuple, *timer;

  if (n_args < 2 || context == NULL || args[0] == Py_None || accel_loop_is_unusual (self))
    return accel_call_python (&loop_methods[METHOD_CALL_AT], self, args, n_args, kwnames);

  tuple = accel_make_tuple (args + 2, n_args - 2);
  if (tuple == NULL)
    return NULL;
  timer = accel_handle_new_timer (self, args[0], args[1], tuple, context);
  Py_DECREF (tuple);
  if (timer != NULL && !accel_push_timer (self, timer))
    Py_CLEAR (timer);

  return timer;
}

static PyObject *
accel_call_later (PyObject        *self,
                  PyObject *const *args,
                  Py_ssize_t       n_args,
                  PyObject        *kwnames)
{
  Py_ssize_t n = n_args + (kwnames != NULL ? PyTuple_GET_SIZE (kwnames) : 0);
  PyObject *now, *when = NULL, *timer = NULL;
  PyObject **all;

  if (n_args < 2 || args[0] == Py_None || accel_loop_is_unusual (self))
    return accel_call_python (&loop_methods[METHOD_CALL_LATER], self, args, n_args, kwnames);

  now = PyObject_CallMethodNoArgs (self, accel_names.time);
  if (now != NULL)
    when = PyNumber_Add (now, args[0]);
  Py_XDECREF (now);
  if (when == NULL)
    return NULL;

  /* A subclass may have its own call_at (). */
  all = g_new (PyObject *, n + 1);
  all[0] = self;
  all[1] = when;
  for (Py_ssize_t i = 1; i < n; i++)
    all[i + 1] = args[i];
  timer = PyObject_VectorcallMethod (accel_names.call_at, all, (size_t) n_args + 1, kwnames);
  g_free (all);
  Py_DECREF (when);

  return timer;
}

/* Takes the turn, and computes the time of the next one. Returns 1 if the loop goes on, 0 if it stops, or -1 with an
 * exception. */
static int
accel_loop_run_turn (PyObject    *self,
                     AccelSource *source)
{
  gboolean success;
  int stopping;

  source->in_turn = TRUE;
  success = accel_turn_run (source, self);
  source->in_turn = FALSE;
  accel_source_unblock (source);

  stopping = success ? accel_turn_arm (source, self) : -1;

  return stopping < 0 ? -1 : !stopping;
}

/* TRUE if neither a subclass nor the object has replaced _take_turn (). */
gboolean
accel_loop_has_own_turn (PyObject *self)
{
  PyObject *method = PyObject_GetAttr (self, accel_names._take_turn);
  gboolean result = method != NULL && PyCFunction_CheckExact (method) &&
                    ((PyCFunctionObject *) method)->m_ml == &loop_methods[METHOD_TAKE_TURN].def;

  Py_XDECREF (method);
  PyErr_Clear ();

  return result;
}

/* What _take_turn () does. Returns 1 if the loop goes on, 0 if it has ended, or -1 with an exception. */
int
accel_loop_take_turn (PyObject    *self,
                      AccelSource *source)
{
  int goes_on = accel_loop_run_turn (self, source);
  PyObject *result;

  if (goes_on < 0)
    accel_fail (self);
  if (goes_on > 0)
    return 1;

  result = PyObject_CallMethodNoArgs (self, accel_names._end);
  Py_XDECREF (result);

  return result != NULL ? 0 : -1;
}

static PyObject *
accel_take_turn (PyObject        *self,
                 PyObject *const *args,
                 Py_ssize_t       n_args,
                 PyObject        *kwnames)
{
  AccelSource *source = accel_get_source (self, accel_names._running_source);
  int goes_on;

  if (source == NULL)
    return PyErr_Occurred () ? NULL : accel_call_python (&loop_methods[METHOD_TAKE_TURN], self, args, n_args, kwnames);

  goes_on = accel_loop_take_turn (self, source);
  Py_DECREF (source);

  return goes_on >= 0 ? PyBool_FromLong (goes_on) : NULL;
}

#define FAST(function) (PyCFunction) (void (*) (void)) function, METH_FASTCALL | METH_KEYWORDS, NULL

static AccelMethod loop_methods[] = {
  [METHOD_ARM] = { .def = { "_arm", FAST (accel_arm) }, .signature = "($self)" },
  [METHOD_TAKE_TURN] = { .def = { "_take_turn", FAST (accel_take_turn) }, .signature = "($self, *unused)" },
  [METHOD_CALL_AT] = { .def = { "call_at", FAST (accel_call_at) },
                       .signature = "($self, when, callback, *args, context=None)" },
  [METHOD_CALL_LATER] = { .def = { "call_later", FAST (accel_call_later) },
                          .signature = "($self, delay, callback, *args, context=None)" },
  [METHOD_CALL_SOON] = { .def = { "call_soon", FAST (accel_call_soon) },
                         .signature = "($self, callback, *args, context=None)" },
  { .def = { NULL, NULL, 0, NULL } },
};

/* accelerate_loop (EventLoop, Handle, TimerHandle) */
PyObject *
accel_accelerate_loop (PyObject *module,
                       PyObject *args)
{
  PyObject *cls, *handle, *timer_handle;

  if (!PyArg_ParseTuple (args, "OO!O!", &cls, &PyType_Type, &handle, &PyType_Type, &timer_handle))
    return NULL;

  accel_handle_init (handle, timer_handle);
  if (!accel_install_methods (cls, loop_methods))
    return NULL;

  Py_RETURN_NONE;
}
