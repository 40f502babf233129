/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

#include <math.h>

/* The methods of BaseSelector. The table of keys belongs to the Python object; see Sel.py. */

static AccelMethod selector_methods[];
static PyTypeObject *key_type;

enum { METHOD_GET_KEY, METHOD_MODIFY, METHOD_REGISTER, METHOD_SELECT, METHOD_UNREGISTER };

#define MAX_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

/* The results of accel_get_fd () that are no descriptors. */
#define FD_UNUSUAL (-1)         /* the method in Python has to look at the file object */
#define FD_RAISED (-2)

/* Returns: the selector, or %NULL with an exception */
SelBaseSelector *
accel_get_selector (PyObject *self)
{
  static GType known_type;

  if (PyObject_TypeCheck (self, &PyGObject_Type))
    {
      GObject *object = pygobject_get (self);

      if (object != NULL && (G_OBJECT_TYPE (object) == known_type || SEL_IS_BASE_SELECTOR (object)))
        {
          known_type = G_OBJECT_TYPE (object);
          return (SelBaseSelector *) object;
        }
    }

  PyErr_Format (PyExc_TypeError, "Expected a constructed Sel.BaseSelector, not %R", Py_TYPE (self));

  return NULL;
}

/* Raises the exception of an error, which it frees. Returns: %NULL */
PyObject *
accel_raise (PyObject *self,
             GError   *error)
{
  PyObject *type, *value, *traceback, *exception;

  pyg_error_check (&error);
  PyErr_Fetch (&type, &value, &traceback);
  PyErr_NormalizeException (&type, &value, &traceback);
  exception = PyObject_CallMethodOneArg (self, accel_names._to_exception, value);
  Py_XDECREF (type);
  Py_XDECREF (value);
  Py_XDECREF (traceback);
  if (exception != NULL)
    {
      PyErr_SetObject ((PyObject *) Py_TYPE (exception), exception);
      Py_DECREF (exception);
    }

  return NULL;
}

static int
accel_convert_fd (PyObject *number)
{
  int overflow;
  long fd = PyLong_AsLongAndOverflow (number, &overflow);

  return overflow == 0 && fd >= 0 && fd <= G_MAXINT ? (int) fd : FD_UNUSUAL;
}

/* Returns the descriptor of a file object, or one of the values above. */
static int
accel_get_fd (PyObject *fileobj)
{
  PyObject *number;
  int fd = FD_UNUSUAL;

  if (PyLong_CheckExact (fileobj))
    return accel_convert_fd (fileobj);

  /* Its method fileno () may be the one of the library. */
  if (PyObject_TypeCheck (fileobj, &PyGObject_Type))
    return FD_UNUSUAL;

  number = PyObject_CallMethodNoArgs (fileobj, accel_names.fileno);
  if (number != NULL)
    {
      if (PyLong_CheckExact (number))
        fd = accel_convert_fd (number);
      Py_DECREF (number);
    }
  else if (PyErr_ExceptionMatches (PyExc_AttributeError) || PyErr_ExceptionMatches (PyExc_TypeError) ||
           PyErr_ExceptionMatches (PyExc_ValueError))
    PyErr_Clear ();
  else
    fd = FD_RAISED;

  return fd;
}

/* Returns the events, or 0 if the method in Python has to look at them. */
static guint
accel_get_events (PyObject *events)
{
  long value = PyLong_CheckExact (events) ? PyLong_AsLong (events) : 0;

  if (PyErr_Occurred ())
    PyErr_Clear ();

  return value > 0 && value <= MAX_EVENTS ? (guint) value : 0;
}

static PyObject *
accel_make_key (PyObject *fileobj,
                int       fd,
                PyObject *events,
                PyObject *data)
{
  PyObject *number = PyLong_FromLong (fd);
  PyObject *key;

  if (number == NULL)
    return NULL;
  key = key_type->tp_alloc (key_type, 4);
  if (key == NULL)
    {
      Py_DECREF (number);
      return NULL;
    }

  PyTuple_SET_ITEM (key, 0, Py_NewRef (fileobj));
  PyTuple_SET_ITEM (key, 1, number);
  PyTuple_SET_ITEM (key, 2, Py_NewRef (events));
  PyTuple_SET_ITEM (key, 3, Py_NewRef (data));

  return key;
}

/* Returns: (transfer full): the table of the keys of a selector, which makes it at its first use, or %NULL with an
 * exception */
AccelKeys *
accel_get_keys (PyObject *self)
{
  PyObject *dict = ((PyGObject *) self)->inst_dict;
  PyObject *keys = dict != NULL ? PyDict_GetItemWithError (dict, accel_names._keys) : NULL;

  if (keys != NULL)
    Py_INCREF (keys);
  else if (!PyErr_Occurred ())
    keys = PyObject_GetAttr (self, accel_names._keys);
  if (keys == NULL || Py_IS_TYPE (keys, &accel_keys_type))
    return (AccelKeys *) keys;

  PyErr_Format (PyExc_TypeError, "Expected a table of keys, not %R", Py_TYPE (keys));
  Py_DECREF (keys);

  return NULL;
}

/* Returns: the key of a ready descriptor, or None if it is not registered any more, or %NULL with an exception */
PyObject *
accel_find_key (PyObject  *self,
                AccelKeys *keys,
                int        fd)
{
  PyObject *key = accel_keys_peek (keys, fd);
  PyObject *number;

  if (key != NULL)
    return Py_NewRef (key);

  /* C code has registered the descriptor, or another thread has unregistered it. */
  number = PyLong_FromLong (fd);
  if (number == NULL)
    return NULL;
  key = PyObject_CallMethodOneArg (self, accel_names._find, number);
  Py_DECREF (number);

  return key;
}

/* Returns: the key and the events of a ready descriptor, or None if it is not registered any more, or %NULL with an
 * exception */
static PyObject *
accel_get_event (PyObject  *self,
                 AccelKeys *keys,
                 int        fd,
                 guint      events)
{
  PyObject *pair = accel_keys_get_pair (keys, fd, events);
  PyObject *key;

  if (pair != NULL || PyErr_Occurred ())
    return pair;

  key = accel_find_key (self, keys, fd);
  if (key == NULL || key == Py_None)
    return key;
  pair = accel_keys_make_pair (key, events);
  Py_DECREF (key);

  return pair;
}

/* Fills a list of `n` elements, and makes it shorter if fewer descriptors are registered. Returns: FALSE with an
 * exception */
static gboolean
accel_fill_list (PyObject     *list,
                 PyObject     *self,
                 AccelKeys    *keys,
                 const int    *fds,
                 const guint8 *masks,
                 gsize         n)
{
  Py_ssize_t n_events = 0;

  for (gsize i = 0; i < n; i++)
    {
      PyObject *event = accel_get_event (self, keys, fds[i], masks[i]);

      if (event == NULL)
        return FALSE;
      if (event == Py_None)
        Py_DECREF (event);
      else
        PyList_SET_ITEM (list, n_events++, event);
    }

  return n_events == (Py_ssize_t) n || PyList_SetSlice (list, n_events, (Py_ssize_t) n, NULL) == 0;
}

static PyObject *
accel_make_list (PyObject     *self,
                 const int    *fds,
                 const guint8 *masks,
                 gsize         n)
{
  PyObject *list = PyList_New ((Py_ssize_t) n);
  AccelKeys *keys;

  if (n == 0 || list == NULL)
    return list;

  /* The garbage collector shows its objects to programs, which must not see an unfinished list. */
  PyObject_GC_UnTrack (list);
  keys = accel_get_keys (self);
  if (keys == NULL || !accel_fill_list (list, self, keys, fds, masks, n))
    Py_CLEAR (list);
  else
    PyObject_GC_Track (list);
  Py_XDECREF (keys);

  return list;
}

/* Returns 1 if wakeup () was called since the last time, 0 if not, or -1 with an exception. */
static int
accel_take_woken (PyObject *self)
{
  PyObject *dict = PyObject_GenericGetDict (self, NULL);
  int woken;

  if (dict == NULL)
    return -1;
  woken = PyDict_Contains (dict, accel_names._woken);
  if (woken == 1)
    woken = PyDict_DelItem (dict, accel_names._woken) == 0 ? 1 : -1;
  Py_DECREF (dict);

  return woken;
}

/* Waits until something is ready, or the timeout is over, and returns the list. */
static PyObject *
accel_wait (PyObject        *self,
            SelBaseSelector *selector,
            double           timeout)
{
  gint64 begin = timeout > 0 && timeout < SEL_WAIT_FOREVER ? g_get_monotonic_time () : 0;
  double left = timeout;

  while (TRUE)
    {
      GError *error = NULL;
      g_autofree int *fds = NULL;
      g_autofree guint8 *masks = NULL;
      gsize n, n_masks;
      gboolean success;
      int woken;

      Py_BEGIN_ALLOW_THREADS
      success = sel_base_selector_select_fds (selector, left, NULL, &fds, &n, &masks, &n_masks, &error);
      Py_END_ALLOW_THREADS

      if (!success)
        return accel_raise (self, error);
      if (n > 0 || left <= 0)
        return accel_make_list (self, fds, masks, n);

      /* The wait ended early without an event. Either wakeup () was called, or a signal handler has to run. */
      if (PyErr_CheckSignals () < 0 || (woken = accel_take_woken (self)) < 0)
        return NULL;
      if (woken)
        return PyList_New (0);
      left = fmax (timeout - (double) (g_get_monotonic_time () - begin) / G_USEC_PER_SEC, 0);
    }
}

static PyObject *
accel_select (PyObject        *self,
              PyObject *const *args,
              Py_ssize_t       n_args,
              PyObject        *kwnames)
{
  SelBaseSelector *selector = accel_get_selector (self);
  double timeout = SEL_WAIT_FOREVER;

  if (selector == NULL)
    return NULL;
  /* Other numbers than int and float have conversions that Python does not use here. */
  if (kwnames != NULL || n_args > 1 ||
      (n_args == 1 && args[0] != Py_None && !PyFloat_Check (args[0]) && !PyLong_Check (args[0])))
    return accel_call_python (&selector_methods[METHOD_SELECT], self, args, n_args, kwnames);

  if (n_args == 1 && args[0] != Py_None)
    {
      timeout = PyFloat_AsDouble (args[0]);
      if (PyErr_Occurred ())
        return NULL;
    }

  return accel_wait (self, selector, timeout);
}

/* Adds a key to the table, and registers it with the library. Steals the key. */
static PyObject *
accel_add_key (PyObject        *self,
               SelBaseSelector *selector,
               AccelKeys       *keys,
               PyObject        *key,
               int              fd,
               guint            events)
{
  GError *error = NULL;
  gboolean success;

  /* Change the table first: a wait in another thread may report the descriptor before this function returns. */
  accel_keys_set (keys, fd, key);

  Py_BEGIN_ALLOW_THREADS
  success = sel_base_selector_register (selector, fd, events, NULL, NULL, &error);
  Py_END_ALLOW_THREADS

  if (!success)
    {
      Py_DECREF (key);
      key = accel_keys_take (keys, fd);
      Py_XDECREF (key);
      return accel_raise (self, error);
    }

  return key;
}

static PyObject *
accel_register (PyObject        *self,
                PyObject *const *args,
                Py_ssize_t       n_args,
                PyObject        *kwnames)
{
  SelBaseSelector *selector = accel_get_selector (self);
  guint events = kwnames == NULL && n_args >= 2 && n_args <= 3 ? accel_get_events (args[1]) : 0;
  int fd = selector != NULL && events != 0 ? accel_get_fd (args[0]) : FD_UNUSUAL;
  PyObject *key = NULL;
  AccelKeys *keys;

  if (selector == NULL || fd == FD_RAISED)
    return NULL;
  if (fd == FD_UNUSUAL)
    return accel_call_python (&selector_methods[METHOD_REGISTER], self, args, n_args, kwnames);

  keys = accel_get_keys (self);
  if (keys == NULL)
    return NULL;

  if (accel_keys_peek (keys, fd) != NULL)
    {
      key = accel_call_python (&selector_methods[METHOD_REGISTER], self, args, n_args, kwnames);
    }
  else
    {
      key = accel_make_key (args[0], fd, args[1], n_args == 3 ? args[2] : Py_None);
      if (key != NULL)
        key = accel_add_key (self, selector, keys, key, fd, events);
    }
  Py_DECREF (keys);

  return key;
}

/* Removes a descriptor from the table of callbacks, if it is there. Returns: FALSE with an exception */
static gboolean
accel_forget_callback (PyObject *self,
                       int       fd)
{
  PyObject *callbacks = PyObject_GetAttr (self, accel_names._callbacks);
  PyObject *number = NULL, *callback = NULL;
  gboolean success = callbacks != NULL;

  if (success && PyDict_GET_SIZE (callbacks) > 0)
    {
      number = PyLong_FromLong (fd);
      callback = number != NULL ? PyObject_CallMethodObjArgs (callbacks, accel_names.pop, number, Py_None, NULL) : NULL;
      success = callback != NULL;
    }
  Py_XDECREF (callbacks);
  Py_XDECREF (number);
  Py_XDECREF (callback);

  return success;
}

/* Removes a descriptor from the tables of keys and callbacks. Returns: the key, or %NULL, perhaps with an exception */
static PyObject *
accel_take_key (PyObject  *self,
                AccelKeys *keys,
                int        fd)
{
  PyObject *key = accel_keys_take (keys, fd);

  if (key != NULL && !accel_forget_callback (self, fd))
    Py_CLEAR (key);

  return key;
}

static PyObject *
accel_unregister (PyObject        *self,
                  PyObject *const *args,
                  Py_ssize_t       n_args,
                  PyObject        *kwnames)
{
  SelBaseSelector *selector = accel_get_selector (self);
  int fd = selector != NULL && kwnames == NULL && n_args == 1 ? accel_get_fd (args[0]) : FD_UNUSUAL;
  GError *error = NULL;
  AccelKeys *keys;
  PyObject *key;
  gboolean success;

  if (selector == NULL || fd == FD_RAISED)
    return NULL;

  keys = fd >= 0 ? accel_get_keys (self) : NULL;
  key = keys != NULL ? accel_take_key (self, keys, fd) : NULL;
  Py_XDECREF (keys);
  if (PyErr_Occurred ())
    return NULL;
  if (key == NULL)
    return accel_call_python (&selector_methods[METHOD_UNREGISTER], self, args, n_args, kwnames);

  Py_BEGIN_ALLOW_THREADS
  success = sel_base_selector_unregister (selector, fd, &error);
  Py_END_ALLOW_THREADS

  if (success)
    return key;

  Py_DECREF (key);
  if (!g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED) &&
      !g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return accel_raise (self, error);

  /* The method in Python fails, too, and raises the right exception. */
  g_error_free (error);

  return accel_call_python (&selector_methods[METHOD_UNREGISTER], self, args, n_args, kwnames);
}

/* Changes the events in the library. Returns: FALSE with an exception */
static gboolean
accel_change_events (PyObject        *self,
                     SelBaseSelector *selector,
                     int              fd,
                     guint            events)
{
  GError *error = NULL;
  PyObject *number, *result = NULL;
  gboolean success;

  Py_BEGIN_ALLOW_THREADS
  success = sel_base_selector_modify_events (selector, fd, events, &error);
  Py_END_ALLOW_THREADS

  if (success)
    return TRUE;

  /* If the kernel refused the change, the library has unregistered the descriptor. */
  number = PyLong_FromLong (fd);
  if (number != NULL)
    result = PyObject_CallMethodOneArg (self, accel_names._forget_if_unregistered, number);
  if (result != NULL)
    accel_raise (self, error);
  else
    g_error_free (error);
  Py_XDECREF (number);
  Py_XDECREF (result);

  return FALSE;
}

static PyObject *
accel_modify_key (PyObject        *self,
                  SelBaseSelector *selector,
                  AccelKeys       *keys,
                  PyObject        *key,
                  PyObject        *events,
                  PyObject        *data)
{
  int fd = accel_convert_fd (PyTuple_GET_ITEM (key, 1));
  guint new_events = accel_get_events (events);
  PyObject *new_key;

  if (new_events != accel_get_events (PyTuple_GET_ITEM (key, 2)))
    {
      if (!accel_change_events (self, selector, fd, new_events))
        return NULL;
    }
  else if (PyTuple_GET_ITEM (key, 3) == data)
    return Py_NewRef (key);

  new_key = accel_make_key (PyTuple_GET_ITEM (key, 0), fd, events, data);
  if (new_key != NULL)
    accel_keys_set (keys, fd, new_key);

  return new_key;
}

static PyObject *
accel_modify (PyObject        *self,
              PyObject *const *args,
              Py_ssize_t       n_args,
              PyObject        *kwnames)
{
  SelBaseSelector *selector = accel_get_selector (self);
  gboolean is_usual = selector != NULL && kwnames == NULL && n_args >= 2 && n_args <= 3 &&
                      accel_get_events (args[1]) != 0;
  int fd = is_usual ? accel_get_fd (args[0]) : FD_UNUSUAL;
  PyObject *key, *result = NULL;
  AccelKeys *keys;

  if (selector == NULL || fd == FD_RAISED)
    return NULL;

  keys = fd >= 0 ? accel_get_keys (self) : NULL;
  key = keys != NULL ? accel_keys_peek (keys, fd) : NULL;
  if (key != NULL)
    {
      Py_INCREF (key);
      result = accel_modify_key (self, selector, keys, key, args[1], n_args == 3 ? args[2] : Py_None);
      Py_DECREF (key);
    }
  else if (!PyErr_Occurred ())
    result = accel_call_python (&selector_methods[METHOD_MODIFY], self, args, n_args, kwnames);
  Py_XDECREF (keys);

  return result;
}

/* TRUE if the selector is open and the descriptor is not registered, not even by C code. */
static gboolean
accel_is_unknown (SelBaseSelector *selector,
                  int              fd)
{
  SelSelectorMapping *map;
  gboolean is_unknown;

  Py_BEGIN_ALLOW_THREADS
  map = sel_base_selector_get_map (selector);
  is_unknown = map != NULL && !sel_selector_mapping_contains (map, fd);
  Py_END_ALLOW_THREADS

  return is_unknown;
}

static PyObject *
accel_get_key (PyObject        *self,
               PyObject *const *args,
               Py_ssize_t       n_args,
               PyObject        *kwnames)
{
  SelBaseSelector *selector = accel_get_selector (self);
  int fd = selector != NULL && kwnames == NULL && n_args == 1 ? accel_get_fd (args[0]) : FD_UNUSUAL;
  AccelKeys *keys;
  PyObject *key;

  if (fd == FD_RAISED && sel_base_selector_is_closed (selector))
    {
      /* The method in Python raises the exception of a closed selector. */
      PyErr_Clear ();
      fd = FD_UNUSUAL;
    }
  if (selector == NULL || fd == FD_RAISED)
    return NULL;
  if (fd >= 0)
    {
      keys = accel_get_keys (self);
      if (keys == NULL)
        return NULL;
      key = accel_keys_peek (keys, fd);
      Py_XINCREF (key);
      Py_DECREF (keys);
      if (key != NULL || PyErr_Occurred ())
        return key;
      if (accel_is_unknown (selector, fd))
        {
          PyErr_Format (PyExc_KeyError, "%R is not registered", args[0]);
          return NULL;
        }
    }

  return accel_call_python (&selector_methods[METHOD_GET_KEY], self, args, n_args, kwnames);
}

#define FAST(function) (PyCFunction) (void (*) (void)) function, METH_FASTCALL | METH_KEYWORDS, NULL

static AccelMethod selector_methods[] = {
  [METHOD_GET_KEY] = { .def = { "get_key", FAST (accel_get_key) }, .signature = "($self, fileobj)" },
  [METHOD_MODIFY] = { .def = { "modify", FAST (accel_modify) }, .signature = "($self, fileobj, events, data=None)" },
  [METHOD_REGISTER] = { .def = { "register", FAST (accel_register) },
                        .signature = "($self, fileobj, events, data=None)" },
  [METHOD_SELECT] = { .def = { "select", FAST (accel_select) },
                      .signature = "($self, timeout=None, cancellable=None)" },
  [METHOD_UNREGISTER] = { .def = { "unregister", FAST (accel_unregister) }, .signature = "($self, fileobj)" },
  { .def = { NULL, NULL, 0, NULL } },
};

/* accelerate_selector (BaseSelector, SelectorKey) */
PyObject *
accel_accelerate_selector (PyObject *module,
                           PyObject *args)
{
  PyObject *cls, *key_class;

  if (!PyArg_ParseTuple (args, "O!O!", &PyType_Type, &cls, &PyType_Type, &key_class))
    return NULL;
  if (!PyType_IsSubtype ((PyTypeObject *) key_class, &PyTuple_Type))
    {
      PyErr_SetString (PyExc_TypeError, "selectors.SelectorKey is no tuple");
      return NULL;
    }

  key_type = (PyTypeObject *) Py_NewRef (key_class);
  if (!accel_install_methods (cls, selector_methods))
    return NULL;

  Py_RETURN_NONE;
}
