/* SPDX-License-Identifier: LGPL-2.1-or-later */

#define ACCELERATOR_MODULE
#include "accelerator.h"

AccelNames accel_names;

/* Replaces a method of a Python class. Returns: FALSE with an exception */
static gboolean
accel_install_method (PyObject    *cls,
                      AccelMethod *method)
{
  PyObject *python = PyObject_GetAttrString (cls, method->def.ml_name);
  PyObject *doc, *descriptor;
  int status;

  if (python == NULL)
    return FALSE;

  /* Another thread may load the module at the same time. */
  if (Py_IS_TYPE (python, &PyMethodDescr_Type) && ((PyMethodDescrObject *) python)->d_method == &method->def)
    {
      Py_DECREF (python);
      return TRUE;
    }

  /* The documentation stands in the Python code. The first lines are the form in which Python expects a signature. */
  method->python = python;
  doc = PyObject_GetAttrString (python, "__doc__");
  method->def.ml_doc = g_strdup_printf ("%s%s\n--\n\n%s", method->def.ml_name, method->signature,
                                        doc != NULL && PyUnicode_Check (doc) ? PyUnicode_AsUTF8 (doc) : "");
  Py_XDECREF (doc);

  descriptor = PyDescr_NewMethod ((PyTypeObject *) cls, &method->def);
  if (descriptor == NULL)
    return FALSE;
  status = PyObject_SetAttrString (cls, method->def.ml_name, descriptor);
  Py_DECREF (descriptor);

  return status == 0;
}

/* Replaces methods of a Python class. `methods` ends with an element without a name. */
gboolean
accel_install_methods (PyObject    *cls,
                       AccelMethod *methods)
{
  for (AccelMethod *method = methods; method->def.ml_name != NULL; method++)
    if (!accel_install_method (cls, method))
      return FALSE;

  return TRUE;
}

/* Calls the method in Python with the same arguments. */
PyObject *
accel_call_python (const AccelMethod *method,
                   PyObject          *self,
                   PyObject *const   *args,
                   Py_ssize_t         n_args,
                   PyObject          *kwnames)
{
  Py_ssize_t n = n_args + (kwnames != NULL ? PyTuple_GET_SIZE (kwnames) : 0);
  PyObject **all = g_new (PyObject *, n + 1);
  PyObject *result;

  all[0] = self;
  for (Py_ssize_t i = 0; i < n; i++)
    all[i + 1] = args[i];
  result = PyObject_Vectorcall (method->python, all, (size_t) n_args + 1, kwnames);
  g_free (all);

  return result;
}

/* Returns 1 or 0 for an attribute that is true or false, or -1 with an exception. */
int
accel_get_flag (PyObject *object,
                PyObject *name)
{
  PyObject *value = PyObject_GetAttr (object, name);
  int is_true;

  if (value == NULL)
    return -1;

  is_true = value == Py_False ? 0 : PyObject_IsTrue (value);
  Py_DECREF (value);

  return is_true;
}

static PyMethodDef accel_functions[] = {
  { "accelerate_selector", accel_accelerate_selector, METH_VARARGS, "Replaces methods of BaseSelector." },
  { "accelerate_loop", accel_accelerate_loop, METH_VARARGS, "Replaces methods of EventLoop." },
  { "iterate", accel_iterate, METH_O, "Runs iterations of the main context of a running loop, which may block." },
  { NULL, NULL, 0, NULL }
};

static struct PyModuleDef accel_module = {
  PyModuleDef_HEAD_INIT,
  .m_name = "sel_accelerator",
  .m_doc = "The parts of the override of Sel that are written in C, for speed.",
  .m_size = -1,
  .m_methods = accel_functions,
};

PyMODINIT_FUNC PyInit_sel_accelerator (void);

PyMODINIT_FUNC
PyInit_sel_accelerator (void)
{
  PyObject *module, *gobject = pygobject_init (3, 42, 0);

  if (gobject == NULL)
    return NULL;
  Py_DECREF (gobject);
  if (!accel_source_init ())
    return NULL;

#define ACCEL_INTERN_NAME(name) \
  accel_names.name = PyUnicode_InternFromString (#name); \
  if (accel_names.name == NULL) \
    return NULL;
  ACCEL_NAMES (ACCEL_INTERN_NAME)
#undef ACCEL_INTERN_NAME

  module = PyModule_Create (&accel_module);
  if (module != NULL && (PyModule_AddType (module, &accel_keys_type) < 0 ||
                         PyModule_AddType (module, &accel_source_type) < 0))
    Py_CLEAR (module);

  return module;
}
