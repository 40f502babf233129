/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

#include <structmember.h>

/* Handles of asyncio are objects with slots. Their constructors are written in Python, and take longer than the rest of
 * call_soon (). Here the slots are filled, and read, directly, if the classes have exactly the slots that are known. */

#define HANDLE_SLOTS(SLOT) \
  SLOT (_callback) SLOT (_args) SLOT (_cancelled) SLOT (_loop) SLOT (_source_traceback) SLOT (_repr) SLOT (_context)
#define TIMER_SLOTS(SLOT) SLOT (_scheduled) SLOT (_when)

/* The slots with __weakref__, as the attribute __slots__ counts them. */
#define N_HANDLE_SLOTS 8
#define N_TIMER_SLOTS 2

/* The positions of the slots in an object. */
static struct
{
#define DECLARE_SLOT(name) Py_ssize_t name;
  HANDLE_SLOTS (DECLARE_SLOT)
  TIMER_SLOTS (DECLARE_SLOT)
#undef DECLARE_SLOT
} slots;

static PyTypeObject *handle_type, *timer_type;
static gboolean is_known;

#define GET_SLOT(handle, name) (*(PyObject **) (void *) ((char *) (handle) + slots.name))

static gboolean
accel_handle_find_slot (PyTypeObject *type,
                        const char   *name,
                        Py_ssize_t   *offset)
{
  PyObject *descriptor = PyObject_GetAttrString ((PyObject *) type, name);
  gboolean found = FALSE;

  if (descriptor != NULL && Py_IS_TYPE (descriptor, &PyMemberDescr_Type))
    {
      const PyMemberDef *member = ((PyMemberDescrObject *) descriptor)->d_member;

      found = member->type == T_OBJECT_EX;
      *offset = member->offset;
    }
  Py_XDECREF (descriptor);

  return found;
}

static gboolean
accel_handle_has_slots (PyTypeObject *type,
                        Py_ssize_t    n)
{
  PyObject *names = PyObject_GetAttrString ((PyObject *) type, "__slots__");
  gboolean result = names != NULL && PyObject_Size (names) == n;

  Py_XDECREF (names);

  return result;
}

/* Looks at the classes Handle and TimerHandle. */
void
accel_handle_init (PyObject *handle,
                   PyObject *timer)
{
  handle_type = (PyTypeObject *) Py_NewRef (handle);
  timer_type = (PyTypeObject *) Py_NewRef (timer);

#define FIND_HANDLE_SLOT(name) && accel_handle_find_slot (handle_type, #name, &slots.name)
#define FIND_TIMER_SLOT(name) && accel_handle_find_slot (timer_type, #name, &slots.name)
  is_known = accel_handle_has_slots (handle_type, N_HANDLE_SLOTS) &&
             accel_handle_has_slots (timer_type, N_TIMER_SLOTS) && timer_type->tp_base == handle_type
             HANDLE_SLOTS (FIND_HANDLE_SLOT) TIMER_SLOTS (FIND_TIMER_SLOT);
#undef FIND_HANDLE_SLOT
#undef FIND_TIMER_SLOT
  PyErr_Clear ();
}

/* TRUE if the slots of the object can be read here. Subclasses may have replaced methods, so they do not count. */
gboolean
accel_handle_is_plain (PyObject *handle)
{
  return is_known && (Py_IS_TYPE (handle, handle_type) || Py_IS_TYPE (handle, timer_type));
}

/* Returns: (transfer none) (nullable): the method _run () of the class, which tools replace to find slow callbacks */
PyObject *
accel_handle_peek_run (void)
{
  return PyDict_GetItemWithError (handle_type->tp_dict, accel_names._run);
}

/* Fills a new object as the constructor of Handle does outside of debug mode. Returns: FALSE with an exception */
static gboolean
accel_handle_fill (PyObject *handle,
                   PyObject *loop,
                   PyObject *callback,
                   PyObject *args,
                   PyObject *context)
{
  context = context == Py_None ? PyContext_CopyCurrent () : Py_NewRef (context);
  if (context == NULL)
    return FALSE;

  GET_SLOT (handle, _context) = context;
  GET_SLOT (handle, _loop) = Py_NewRef (loop);
  GET_SLOT (handle, _callback) = Py_NewRef (callback);
  GET_SLOT (handle, _args) = Py_NewRef (args);
  GET_SLOT (handle, _cancelled) = Py_NewRef (Py_False);
  GET_SLOT (handle, _repr) = Py_NewRef (Py_None);
  GET_SLOT (handle, _source_traceback) = Py_NewRef (Py_None);

  return TRUE;
}

/* Handle (callback, args, loop, context) */
PyObject *
accel_handle_new (PyObject *loop,
                  PyObject *callback,
                  PyObject *args,
                  PyObject *context)
{
  PyObject *handle;

  if (!is_known)
    return PyObject_Vectorcall ((PyObject *) handle_type, (PyObject *[]) { callback, args, loop, context }, 4, NULL);

  handle = handle_type->tp_alloc (handle_type, 0);
  if (handle != NULL && !accel_handle_fill (handle, loop, callback, args, context))
    Py_CLEAR (handle);

  return handle;
}

/* TimerHandle (when, callback, args, loop, context), for a timer that is going to be scheduled */
PyObject *
accel_handle_new_timer (PyObject *loop,
                        PyObject *when,
                        PyObject *callback,
                        PyObject *args,
                        PyObject *context)
{
  PyObject *timer;

  if (!is_known)
    return PyObject_Vectorcall ((PyObject *) timer_type, (PyObject *[]) { when, callback, args, loop, context }, 5,
                                NULL);

  timer = timer_type->tp_alloc (timer_type, 0);
  if (timer != NULL && !accel_handle_fill (timer, loop, callback, args, context))
    Py_CLEAR (timer);
  if (timer != NULL)
    {
      GET_SLOT (timer, _when) = Py_NewRef (when);
      GET_SLOT (timer, _scheduled) = Py_NewRef (Py_False);
    }

  return timer;
}

/* Returns 1 if the handle is cancelled, 0 if not, or -1 with an exception. */
int
accel_handle_is_cancelled (PyObject *handle)
{
  if (accel_handle_is_plain (handle) && GET_SLOT (handle, _cancelled) == Py_False)
    return 0;

  return accel_get_flag (handle, accel_names._cancelled);
}

/* Gets the time of a timer, if that needs no Python code. */
gboolean
accel_handle_peek_when (PyObject *timer,
                        double   *when)
{
  if (!is_known || !Py_IS_TYPE (timer, timer_type) || GET_SLOT (timer, _when) == NULL ||
      !PyFloat_CheckExact (GET_SLOT (timer, _when)))
    return FALSE;

  *when = PyFloat_AS_DOUBLE (GET_SLOT (timer, _when));

  return TRUE;
}

/* Gets the time of a timer. Returns: FALSE with an exception */
gboolean
accel_handle_get_when (PyObject *timer,
                       double   *when)
{
  PyObject *value;

  if (accel_handle_peek_when (timer, when))
    return TRUE;

  value = PyObject_GetAttr (timer, accel_names._when);
  if (value == NULL)
    return FALSE;
  *when = PyFloat_AsDouble (value);
  Py_DECREF (value);

  return !PyErr_Occurred ();
}

gboolean
accel_handle_set_scheduled (PyObject *timer,
                            gboolean  scheduled)
{
  return PyObject_SetAttr (timer, accel_names._scheduled, scheduled ? Py_True : Py_False) == 0;
}

static PyObject *
accel_call_in_context (PyObject *context,
                       PyObject *callback,
                       PyObject *args)
{
  PyObject *result;

  if (PyContext_Enter (context) < 0)
    return NULL;
  result = PyObject_Call (callback, args, NULL);
  if (PyContext_Exit (context) < 0)
    Py_CLEAR (result);

  return result;
}

/* Calls the function of a handle in its context of contextvars.
 *
 * Returns: the result, or %NULL with an exception, or %NULL without an exception if _run () of the handle has to do it
 */
PyObject *
accel_handle_call (PyObject *handle)
{
  PyObject *context, *callback, *args, *result;

  if (!accel_handle_is_plain (handle))
    return NULL;
  context = GET_SLOT (handle, _context);
  callback = GET_SLOT (handle, _callback);
  args = GET_SLOT (handle, _args);
  if (context == NULL || !PyContext_CheckExact (context) || callback == NULL || args == NULL || !PyTuple_Check (args))
    return NULL;

  Py_INCREF (context);
  Py_INCREF (callback);
  Py_INCREF (args);
  result = accel_call_in_context (context, callback, args);
  Py_DECREF (context);
  Py_DECREF (callback);
  Py_DECREF (args);

  return result;
}
