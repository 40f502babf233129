/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

/* The heap of timers. The module heapq calls TimerHandle.__lt__ () for each comparison, which is written in Python.
 * These functions make the same steps, so that timers of the same time keep the order that they have there. */

/* Returns 1 if the first element is smaller than the second one, 0 if not, or -1 with an exception. */
static int
accel_heap_is_less (PyObject   *heap,
                    Py_ssize_t  i,
                    Py_ssize_t  j)
{
  PyObject *a = PyList_GET_ITEM (heap, i), *b = PyList_GET_ITEM (heap, j);
  Py_ssize_t n = PyList_GET_SIZE (heap);
  double when_a, when_b;
  int result;

  if (accel_handle_peek_when (a, &when_a) && accel_handle_peek_when (b, &when_b))
    return when_a < when_b;

  Py_INCREF (a);
  Py_INCREF (b);
  result = PyObject_RichCompareBool (a, b, Py_LT);
  Py_DECREF (a);
  Py_DECREF (b);
  if (result >= 0 && PyList_GET_SIZE (heap) != n)
    {
      PyErr_SetString (PyExc_RuntimeError, "The list of timers changed during a comparison");
      return -1;
    }

  return result;
}

static void
accel_heap_swap (PyObject   *heap,
                 Py_ssize_t  i,
                 Py_ssize_t  j)
{
  PyObject *item = PyList_GET_ITEM (heap, i);

  PyList_SET_ITEM (heap, i, PyList_GET_ITEM (heap, j));
  PyList_SET_ITEM (heap, j, item);
}

/* Moves an element towards the root. Returns: FALSE with an exception */
static gboolean
accel_heap_move_up (PyObject   *heap,
                    Py_ssize_t  i)
{
  while (i > 0)
    {
      Py_ssize_t parent = (i - 1) / 2;
      int is_less = accel_heap_is_less (heap, i, parent);

      if (is_less <= 0)
        return is_less == 0;
      accel_heap_swap (heap, i, parent);
      i = parent;
    }

  return TRUE;
}

/* Moves the root to a leaf, and from there to its place. Returns: FALSE with an exception */
static gboolean
accel_heap_move_root_down (PyObject *heap)
{
  Py_ssize_t i = 0, child;

  while ((child = 2 * i + 1) < PyList_GET_SIZE (heap))
    {
      int is_less = child + 1 < PyList_GET_SIZE (heap) ? accel_heap_is_less (heap, child, child + 1) : 1;

      if (is_less < 0)
        return FALSE;
      child += !is_less;
      accel_heap_swap (heap, i, child);
      i = child;
    }

  return accel_heap_move_up (heap, i);
}

/* Adds a timer. Returns: FALSE with an exception */
gboolean
accel_heap_push (PyObject *heap,
                 PyObject *timer)
{
  return PyList_Append (heap, timer) == 0 && accel_heap_move_up (heap, PyList_GET_SIZE (heap) - 1);
}

/* Takes the first timer out of a heap that is not empty. Returns: (transfer full): the timer, or %NULL with an
 * exception */
PyObject *
accel_heap_pop (PyObject *heap)
{
  Py_ssize_t last = PyList_GET_SIZE (heap) - 1;
  PyObject *timer = Py_NewRef (PyList_GET_ITEM (heap, 0));

  accel_heap_swap (heap, 0, last);
  if (PyList_SetSlice (heap, last, last + 1, NULL) < 0 || !accel_heap_move_root_down (heap))
    Py_CLEAR (timer);

  return timer;
}
