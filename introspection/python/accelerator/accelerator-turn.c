/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

#include <math.h>

/* One turn of an event loop: it does what BaseEventLoop._run_once () does, except that it never waits. */

/* Python removes cancelled timers if there are more than this many timers, and more than half of them are cancelled. */
#define MIN_TIMERS 100

/* The longest time to wait for a timer, in seconds, as in the standard library. */
#define MAX_DELAY (24 * 3600.0)

/* How many ready descriptors a turn handles. The next turn handles the rest. */
#define MAX_EVENTS 256

/* Calls a method without a result. Returns: FALSE with an exception */
static gboolean
accel_call (PyObject *object,
            PyObject *method,
            PyObject *argument)
{
  PyObject *result = PyObject_CallMethodOneArg (object, method, argument);

  Py_XDECREF (result);

  return result != NULL;
}

/* Schedules a handle. Returns: FALSE with an exception */
static gboolean
accel_turn_append (AccelSource *source,
                   PyObject    *handle)
{
  PyObject *result = PyObject_CallOneArg (source->append, handle);

  Py_XDECREF (result);

  return result != NULL;
}

/* Schedules the handle of a reader or a writer, which was registered with `fileobj`. */
static gboolean
accel_turn_add_handle (AccelSource *source,
                       PyObject    *loop,
                       PyObject    *handle,
                       PyObject    *remove,
                       PyObject    *fileobj)
{
  int cancelled;

  if (handle == Py_None)
    return TRUE;

  cancelled = accel_handle_is_cancelled (handle);
  if (cancelled < 0)
    return FALSE;

  return cancelled ? accel_call (loop, remove, fileobj) : accel_turn_append (source, handle);
}

/* Lets the method in Python take an event whose data is no pair of handles, because the program has registered the
 * descriptor itself. Most such keys raise an exception there. */
static gboolean
accel_turn_add_foreign_event (PyObject *loop,
                              PyObject *key,
                              guint     events)
{
  PyObject *list = Py_BuildValue ("[(OI)]", key, events);
  gboolean success = list != NULL && accel_call (loop, accel_names._process_events, list);

  Py_XDECREF (list);

  return success;
}

static gboolean
accel_turn_add_event (AccelSource         *source,
                      PyObject            *loop,
                      const SelReadyEvent *event)
{
  PyObject *key = accel_find_key (source->py_selector, source->keys, event->fd);
  PyObject *handles;
  gboolean success;

  if (key == NULL || key == Py_None)
    {
      Py_XDECREF (key);
      return key != NULL;
    }

  handles = PyTuple_GET_ITEM (key, 3);
  if (!PyTuple_Check (handles) || PyTuple_GET_SIZE (handles) != 2)
    {
      success = accel_turn_add_foreign_event (loop, key, event->events);
      Py_DECREF (key);
      return success;
    }

  success = ((event->events & SEL_EVENT_READ) == 0 ||
             accel_turn_add_handle (source, loop, PyTuple_GET_ITEM (handles, 0), accel_names._remove_reader,
                                    PyTuple_GET_ITEM (key, 0))) &&
            ((event->events & SEL_EVENT_WRITE) == 0 ||
             accel_turn_add_handle (source, loop, PyTuple_GET_ITEM (handles, 1), accel_names._remove_writer,
                                    PyTuple_GET_ITEM (key, 0)));
  Py_DECREF (key);

  return success;
}

/* Asks the selector, which does not wait. The library calls no code of others with its lock held, except for the
 * virtual functions of a subclass, which may need the interpreter lock. */
static gssize
accel_turn_select (AccelSource    *source,
                   SelReadyEvent  *events,
                   GError        **error)
{
  PyThreadState *state = source->is_subclass ? PyEval_SaveThread () : NULL;
  gssize n = sel_base_selector_select_ready (source->selector, 0, events, MAX_EVENTS, NULL, error);

  if (state != NULL)
    PyEval_RestoreThread (state);

  return n;
}

/* Schedules the handles of the descriptors that are ready. */
static gboolean
accel_turn_add_events (AccelSource *source,
                       PyObject    *loop)
{
  SelReadyEvent events[MAX_EVENTS];
  GError *error = NULL;
  gboolean success = TRUE;
  gssize n = accel_turn_select (source, events, &error);

  if (n < 0)
    {
      accel_raise (source->py_selector, error);
      success = FALSE;
    }
  for (gssize i = 0; i < n && success; i++)
    success = accel_turn_add_event (source, loop, &events[i]);

  return success;
}

/* Takes the first timer out of the heap. Returns: %NULL with an exception */
static PyObject *
accel_turn_pop_timer (PyObject *scheduled)
{
  PyObject *handle = accel_heap_pop (scheduled);

  if (handle != NULL && !accel_handle_set_scheduled (handle, FALSE))
    Py_CLEAR (handle);

  return handle;
}

static gboolean
accel_turn_count_cancelled (PyObject *loop,
                            long      change,
                            long     *count)
{
  PyObject *number = PyObject_GetAttr (loop, accel_names._timer_cancelled_count);
  gboolean success = FALSE;

  if (number == NULL)
    return FALSE;
  *count = PyLong_AsLong (number) + change;
  Py_DECREF (number);
  if (PyErr_Occurred ())
    return FALSE;
  if (change == 0)
    return TRUE;

  number = PyLong_FromLong (*count);
  success = number != NULL && PyObject_SetAttr (loop, accel_names._timer_cancelled_count, number) == 0;
  Py_XDECREF (number);

  return success;
}

/* Takes cancelled timers from the head of the heap. */
static gboolean
accel_turn_drop_cancelled (PyObject *loop,
                           PyObject *scheduled)
{
  while (PyList_GET_SIZE (scheduled) > 0)
    {
      int cancelled = accel_handle_is_cancelled (PyList_GET_ITEM (scheduled, 0));
      PyObject *handle;
      long count;

      if (cancelled <= 0)
        return cancelled == 0;
      if (!accel_turn_count_cancelled (loop, -1, &count))
        return FALSE;
      handle = accel_turn_pop_timer (scheduled);
      if (handle == NULL)
        return FALSE;
      Py_DECREF (handle);
    }

  return TRUE;
}

/* Gets a number that is an attribute, or the result of a method. */
static gboolean
accel_get_number (PyObject *object,
                  PyObject *name,
                  gboolean  is_method,
                  double   *number)
{
  PyObject *value = is_method ? PyObject_CallMethodNoArgs (object, name) : PyObject_GetAttr (object, name);

  if (value == NULL)
    return FALSE;
  *number = PyFloat_AsDouble (value);
  Py_DECREF (value);

  return !PyErr_Occurred ();
}

/* Schedules the timers whose time has come. */
static gboolean
accel_turn_add_timers (AccelSource *source,
                       PyObject    *loop)
{
  PyObject *scheduled = source->scheduled;
  double end, resolution, when;

  if (!accel_turn_drop_cancelled (loop, scheduled))
    return FALSE;
  if (PyList_GET_SIZE (scheduled) == 0)
    return TRUE;
  if (!accel_get_number (loop, accel_names.time, TRUE, &end) ||
      !accel_get_number (loop, accel_names._clock_resolution, FALSE, &resolution))
    return FALSE;

  end += resolution;
  while (PyList_GET_SIZE (scheduled) > 0)
    {
      PyObject *handle;
      gboolean success;

      if (!accel_handle_get_when (PyList_GET_ITEM (scheduled, 0), &when))
        return FALSE;
      if (when >= end)
        return TRUE;
      handle = accel_turn_pop_timer (scheduled);
      success = handle != NULL && accel_turn_append (source, handle);
      Py_XDECREF (handle);
      if (!success)
        return FALSE;
    }

  return TRUE;
}

/* Lets the loop report an exception of a callback. SystemExit and KeyboardInterrupt end the turn. */
static gboolean
accel_turn_report (PyObject *loop,
                   PyObject *handle)
{
  PyObject *type, *value, *traceback, *result;

  if (PyErr_ExceptionMatches (PyExc_SystemExit) || PyErr_ExceptionMatches (PyExc_KeyboardInterrupt))
    return FALSE;

  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  if (traceback != NULL)
    PyException_SetTraceback (value, traceback);
  result = PyObject_CallMethodObjArgs (loop, accel_names._report, handle, value, NULL);
  Py_XDECREF (result);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);

  return result != NULL;
}

/* Does what Handle._run () does. Returns: FALSE with an exception */
static gboolean
accel_turn_run_handle (PyObject *loop,
                       PyObject *handle)
{
  PyObject *result = accel_handle_call (handle);

  if (result == NULL && PyErr_Occurred ())
    return accel_turn_report (loop, handle);
  if (result == NULL)
    result = PyObject_CallMethodNoArgs (handle, accel_names._run);
  Py_XDECREF (result);

  return result != NULL;
}

/* Runs the callbacks that are scheduled now. Those that they schedule run in the next turn. */
static gboolean
accel_turn_run_ready (AccelSource *source,
                      PyObject    *loop)
{
  for (Py_ssize_t n = PyObject_Size (source->ready); n > 0; n--)
    {
      PyObject *handle = PyObject_CallNoArgs (source->popleft);
      int cancelled = handle != NULL ? accel_handle_is_cancelled (handle) : -1;
      gboolean success = cancelled > 0 || (cancelled == 0 && accel_turn_run_handle (loop, handle));

      Py_XDECREF (handle);
      if (!success || PyErr_CheckSignals () < 0)
        return FALSE;
    }

  return TRUE;
}

/* TRUE if the method in Python has to take the turn: in debug mode, if something in Python has replaced a part of it,
 * or if there are many cancelled timers. */
static gboolean
accel_turn_is_unusual (AccelSource *source,
                       PyObject    *loop)
{
  PyObject *scheduled = source->scheduled;
  long n_cancelled = 0;

  if (!source->is_plain || source->handle_run != accel_handle_peek_run () ||
      accel_get_flag (loop, accel_names._debug) != 0 || !PyList_CheckExact (scheduled))
    return TRUE;

  return PyList_GET_SIZE (scheduled) > MIN_TIMERS &&
         (!accel_turn_count_cancelled (loop, 0, &n_cancelled) || n_cancelled * 2 > PyList_GET_SIZE (scheduled));
}

/* Takes a turn. Returns: FALSE with an exception */
gboolean
accel_turn_run (AccelSource *source,
                PyObject    *loop)
{
  PyObject *result;

  if (!accel_turn_is_unusual (source, loop))
    return (!source->has_events || accel_turn_add_events (source, loop)) && accel_turn_add_timers (source, loop) &&
           accel_turn_run_ready (source, loop);

  result = PyErr_Occurred () ? NULL : PyObject_CallMethodNoArgs (loop, accel_names._run_once);
  Py_XDECREF (result);

  return result != NULL && accel_source_get_timers (source, loop);
}

/* Gets the time of the first timer. */
static gboolean
accel_turn_get_timer (PyObject *loop,
                      PyObject *timer,
                      gint64   *ready_time)
{
  double when, now, delay;

  if (!accel_handle_get_when (timer, &when) ||
      !accel_get_number (loop, accel_names.time, TRUE, &now))
    return FALSE;

  /* This is 0 also for a time that is not a number. */
  delay = when > now ? fmin (when - now, MAX_DELAY) : 0;
  *ready_time = g_get_monotonic_time () + (gint64) ceil (delay * G_USEC_PER_SEC);

  return TRUE;
}

/* Sets the time of the next turn, in case nothing becomes ready before. Returns 1 if the loop is to stop, 0 if it goes
 * on, or -1 with an exception. */
int
accel_turn_arm (AccelSource *source,
                PyObject    *loop)
{
  gint64 ready_time = -1;
  int stopping;

  if (PyList_Check (source->scheduled) && PyList_GET_SIZE (source->scheduled) > 0 && PyObject_Size (source->ready) == 0)
    {
      PyObject *timer = Py_NewRef (PyList_GET_ITEM (source->scheduled, 0));
      gboolean success = accel_turn_get_timer (loop, timer, &ready_time);

      Py_DECREF (timer);
      if (!success)
        return -1;
    }

  stopping = accel_get_flag (loop, accel_names._stopping);
  /* This is last, as a destructor may have scheduled a callback meanwhile. */
  source->ready_time = stopping > 0 || PyObject_Size (source->ready) > 0 ? 0 : ready_time;

  return stopping;
}
