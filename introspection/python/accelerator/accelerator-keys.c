/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "accelerator.h"

/* The table of the keys of a selector by descriptor. In Python it has the methods of a dictionary that the override
 * uses. It also keeps the pair of key and events that select () has made for a descriptor, for the next select (). */

struct _AccelKeys
{
  PyObject_HEAD
  GHashTable *entries;          /* of AccelEntry, by descriptor; none of its functions calls Python code */
  GPtrArray *low;               /* the same entries, or NULL: select () looks up small descriptors here */
};

/* Programs may also try to register large numbers. */
#define MAX_LOW 65536

typedef struct
{
  PyObject *key;
  PyObject *pair;               /* (key, events) of the last select (), or NULL */
  guint events;                 /* those of the pair */
} AccelEntry;

static AccelEntry *
accel_keys_find (AccelKeys *self,
                 int        fd)
{
  GPtrArray *low = self->low;

  return (guint) fd < low->len ? low->pdata[fd] : g_hash_table_lookup (self->entries, GINT_TO_POINTER (fd));
}

/* Stores an entry, or %NULL, for a small descriptor. */
static void
accel_keys_set_low (AccelKeys  *self,
                    int         fd,
                    AccelEntry *entry)
{
  if ((guint) fd >= MAX_LOW)
    return;

  if ((guint) fd >= self->low->len)
    g_ptr_array_set_size (self->low, fd + 1);
  self->low->pdata[fd] = entry;
}

/* Returns: (transfer none): the key, or %NULL without an exception */
PyObject *
accel_keys_peek (AccelKeys *self,
                 int        fd)
{
  AccelEntry *entry = accel_keys_find (self, fd);

  return entry != NULL ? entry->key : NULL;
}

/* Destroying the objects may run Python code that uses the table, so the entry is not in it any more. */
static void
accel_entry_free (AccelEntry *entry)
{
  Py_XDECREF (entry->pair);
  Py_XDECREF (entry->key);
  g_free (entry);
}

/* Stores a key, also in place of another one. */
void
accel_keys_set (AccelKeys *self,
                int        fd,
                PyObject  *key)
{
  AccelEntry *old = accel_keys_find (self, fd);
  AccelEntry *entry = g_new0 (AccelEntry, 1);

  entry->key = Py_NewRef (key);
  g_hash_table_insert (self->entries, GINT_TO_POINTER (fd), entry);
  accel_keys_set_low (self, fd, entry);
  if (old != NULL)
    accel_entry_free (old);
}

/* Returns: (transfer full): the key, which is not in the table any more, or %NULL without an exception */
PyObject *
accel_keys_take (AccelKeys *self,
                 int        fd)
{
  AccelEntry *entry = accel_keys_find (self, fd);
  PyObject *key;

  if (entry == NULL)
    return NULL;

  g_hash_table_remove (self->entries, GINT_TO_POINTER (fd));
  accel_keys_set_low (self, fd, NULL);
  key = g_steal_pointer (&entry->key);
  accel_entry_free (entry);

  return key;
}

/* Returns: (transfer full): the pair, or %NULL with an exception */
PyObject *
accel_keys_make_pair (PyObject *key,
                      guint     events)
{
  PyObject *number = PyLong_FromLong (events);
  PyObject *pair = number != NULL ? PyTuple_Pack (2, key, number) : NULL;

  Py_XDECREF (number);

  return pair;
}

/* Makes the pair of an entry anew, and keeps it. Returns: (transfer full): the pair, or %NULL with an exception */
G_NO_INLINE static PyObject *
accel_keys_renew_pair (AccelKeys *self,
                       int        fd,
                       guint      events)
{
  PyObject *key = Py_NewRef (accel_keys_peek (self, fd));
  PyObject *pair = accel_keys_make_pair (key, events);
  /* The garbage collector may have run, and changed the table. */
  AccelEntry *entry = accel_keys_find (self, fd);

  Py_DECREF (key);
  if (pair != NULL && entry != NULL && entry->key == PyTuple_GET_ITEM (pair, 0))
    {
      entry->events = events;
      Py_XSETREF (entry->pair, Py_NewRef (pair));
    }

  return pair;
}

/* Returns: (transfer full): the key and the events of a ready descriptor, or %NULL, perhaps with an exception */
PyObject *
accel_keys_get_pair (AccelKeys *self,
                     int        fd,
                     guint      events)
{
  AccelEntry *entry = accel_keys_find (self, fd);

  if (entry == NULL)
    return NULL;
  if (entry->pair != NULL && entry->events == events)
    return Py_NewRef (entry->pair);

  return accel_keys_renew_pair (self, fd, events);
}

/* --- The methods in Python --- */

/* Gets a descriptor, or -1 for a number that is none. Returns: FALSE with an exception */
static gboolean
accel_keys_convert_fd (PyObject *number,
                       int      *fd)
{
  int overflow;
  long value = PyLong_AsLongAndOverflow (number, &overflow);

  *fd = overflow == 0 && value >= 0 && value <= G_MAXINT ? (int) value : -1;

  return !PyErr_Occurred ();
}

/* Parses (fd) or (fd, object). Returns: FALSE with an exception */
static gboolean
accel_keys_parse (PyObject *const *args,
                  Py_ssize_t       n_args,
                  int             *fd,
                  PyObject       **object)
{
  if (n_args < 1 || n_args > 2)
    {
      PyErr_SetString (PyExc_TypeError, "Expected a descriptor, and perhaps an object");
      return FALSE;
    }

  *object = n_args == 2 ? args[1] : Py_None;

  return accel_keys_convert_fd (args[0], fd);
}

static PyObject *
accel_keys_get (PyObject        *self,
                PyObject *const *args,
                Py_ssize_t       n_args)
{
  PyObject *key, *other;
  int fd;

  if (!accel_keys_parse (args, n_args, &fd, &other))
    return NULL;
  key = accel_keys_peek ((AccelKeys *) self, fd);

  return Py_NewRef (key != NULL ? key : other);
}

static PyObject *
accel_keys_pop (PyObject        *self,
                PyObject *const *args,
                Py_ssize_t       n_args)
{
  PyObject *key, *other;
  int fd;

  if (!accel_keys_parse (args, n_args, &fd, &other))
    return NULL;
  key = accel_keys_take ((AccelKeys *) self, fd);

  return key != NULL ? key : Py_NewRef (other);
}

static PyObject *
accel_keys_setdefault (PyObject        *self,
                       PyObject *const *args,
                       Py_ssize_t       n_args)
{
  PyObject *key, *other;
  int fd;

  if (!accel_keys_parse (args, n_args, &fd, &other))
    return NULL;
  key = accel_keys_peek ((AccelKeys *) self, fd);
  /* The library refuses other numbers. */
  if (key == NULL && fd >= 0)
    accel_keys_set ((AccelKeys *) self, fd, other);

  return Py_NewRef (key != NULL ? key : other);
}

static PyObject *
accel_keys_values (PyObject *object,
                   PyObject *unused)
{
  AccelKeys *self = (AccelKeys *) object;
  PyObject *list = PyList_New (0);
  GHashTableIter iter;
  gpointer entry;

  /* Appending does not run the garbage collector, which could change the table. */
  g_hash_table_iter_init (&iter, self->entries);
  while (list != NULL && g_hash_table_iter_next (&iter, NULL, &entry))
    {
      if (PyList_Append (list, ((AccelEntry *) entry)->key) < 0)
        Py_CLEAR (list);
    }

  return list;
}

static int
accel_keys_clear (PyObject *object)
{
  AccelKeys *self = (AccelKeys *) object;
  GHashTable *entries = self->entries;
  GHashTableIter iter;
  gpointer entry;

  self->entries = g_hash_table_new (NULL, NULL);
  g_ptr_array_set_size (self->low, 0);
  g_hash_table_iter_init (&iter, entries);
  while (g_hash_table_iter_next (&iter, NULL, &entry))
    accel_entry_free (entry);
  g_hash_table_unref (entries);

  return 0;
}

static PyObject *
accel_keys_clear_method (PyObject *self,
                         PyObject *unused)
{
  accel_keys_clear (self);

  Py_RETURN_NONE;
}

static Py_ssize_t
accel_keys_get_size (PyObject *self)
{
  return g_hash_table_size (((AccelKeys *) self)->entries);
}

static PyObject *
accel_keys_get_item (PyObject *self,
                     PyObject *number)
{
  PyObject *key;
  int fd;

  if (!accel_keys_convert_fd (number, &fd))
    return NULL;
  key = accel_keys_peek ((AccelKeys *) self, fd);
  if (key == NULL)
    PyErr_SetObject (PyExc_KeyError, number);

  return Py_XNewRef (key);
}

static int
accel_keys_set_item (PyObject *self,
                     PyObject *number,
                     PyObject *key)
{
  int fd;

  if (!accel_keys_convert_fd (number, &fd))
    return -1;
  if (key == NULL || fd < 0)
    {
      PyErr_SetString (PyExc_TypeError, "Expected a descriptor, and a key");
      return -1;
    }
  accel_keys_set ((AccelKeys *) self, fd, key);

  return 0;
}

/* --- The type --- */

static PyObject *
accel_keys_new (PyTypeObject *type,
                PyObject     *args,
                PyObject     *kwargs)
{
  AccelKeys *self = (AccelKeys *) type->tp_alloc (type, 0);

  if (self != NULL)
    {
      self->entries = g_hash_table_new (NULL, NULL);
      self->low = g_ptr_array_new ();
    }

  return (PyObject *) self;
}

static int
accel_keys_traverse (PyObject  *object,
                     visitproc  visit,
                     void      *arg)
{
  AccelKeys *self = (AccelKeys *) object;
  GHashTableIter iter;
  gpointer value;

  if (self->entries == NULL)
    return 0;

  g_hash_table_iter_init (&iter, self->entries);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      AccelEntry *entry = value;

      Py_VISIT (entry->key);
      Py_VISIT (entry->pair);
    }

  return 0;
}

static void
accel_keys_dealloc (PyObject *self)
{
  PyObject_GC_UnTrack (self);
  accel_keys_clear (self);
  g_hash_table_unref (((AccelKeys *) self)->entries);
  g_ptr_array_unref (((AccelKeys *) self)->low);
  Py_TYPE (self)->tp_free (self);
}

#define FAST(function) (PyCFunction) (void (*) (void)) function, METH_FASTCALL

static PyMethodDef accel_keys_methods[] = {
  { "get", FAST (accel_keys_get), "Returns the key of a descriptor, or the second argument." },
  { "pop", FAST (accel_keys_pop), "Removes and returns the key of a descriptor, or returns the second argument." },
  { "setdefault", FAST (accel_keys_setdefault), "Stores a key if there is none. Returns the one that is stored." },
  { "values", accel_keys_values, METH_NOARGS, "Returns a list of the keys." },
  { "clear", accel_keys_clear_method, METH_NOARGS, "Removes all keys." },
  { NULL, NULL, 0, NULL }
};

static PyMappingMethods accel_keys_mapping = {
  .mp_length = accel_keys_get_size,
  .mp_subscript = accel_keys_get_item,
  .mp_ass_subscript = accel_keys_set_item,
};

PyTypeObject accel_keys_type = {
  PyVarObject_HEAD_INIT (NULL, 0)
  .tp_name = "gi.overrides.sel_accelerator.Keys",
  .tp_doc = "The keys of a selector by descriptor.",
  .tp_basicsize = sizeof (AccelKeys),
  .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
  .tp_new = accel_keys_new,
  .tp_traverse = accel_keys_traverse,
  .tp_clear = accel_keys_clear,
  .tp_dealloc = accel_keys_dealloc,
  .tp_methods = accel_keys_methods,
  .tp_as_mapping = &accel_keys_mapping,
};
