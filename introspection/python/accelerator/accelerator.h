/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifndef ACCELERATOR_MODULE
#define NO_IMPORT_PYGOBJECT
#endif
/* This header declares its variable without "extern" for the file that initializes it. */
#include <pygobject.h>
#include <sel-glib/sel-glib.h>

/* The accelerator is a Python module in C. It replaces methods of the override that are called often, for the usual
 * arguments. For everything else, and for most errors, it calls the methods in Python that it has replaced. */

/* The attributes and methods of Python objects that the C code uses, as interned strings. */
#define ACCEL_NAMES(NAME) \
  NAME (_args) NAME (_callback) NAME (_callbacks) NAME (_cancelled) NAME (_clock_resolution) NAME (_closed) \
  NAME (_context) NAME (_debug) NAME (_end) NAME (_fail) NAME (_find) NAME (_forget_if_unregistered) \
  NAME (_keys) NAME (_lose_selector) NAME (_process_events) NAME (_ready) NAME (_remove_reader) NAME (_remove_writer) \
  NAME (_report) NAME (_run) NAME (_run_once) NAME (_running_source) NAME (_scheduled) NAME (_source) \
  NAME (_stopping) NAME (_take_turn) NAME (_timer_cancelled_count) NAME (_to_exception) NAME (_when) NAME (_woken) \
  NAME (append) NAME (call_at) NAME (fileno) NAME (pop) NAME (popleft) NAME (time)

typedef struct
{
#define ACCEL_DECLARE_NAME(name) PyObject *name;
  ACCEL_NAMES (ACCEL_DECLARE_NAME)
#undef ACCEL_DECLARE_NAME
} AccelNames;

extern AccelNames accel_names;

/* A method in C, and the method in Python that it has replaced. */
typedef struct
{
  PyMethodDef def;
  const char *signature;
  PyObject *python;
} AccelMethod;

gboolean         accel_install_methods   (PyObject          *cls,
                                          AccelMethod       *methods);
PyObject        *accel_call_python       (const AccelMethod *method,
                                          PyObject          *self,
                                          PyObject *const   *args,
                                          Py_ssize_t         n_args,
                                          PyObject          *kwnames);
int              accel_get_flag          (PyObject          *object,
                                          PyObject          *name);

/* accelerator-keys.c */
typedef struct _AccelKeys AccelKeys;

extern PyTypeObject accel_keys_type;

PyObject        *accel_keys_peek         (AccelKeys         *self,
                                          int                fd);
PyObject        *accel_keys_take         (AccelKeys         *self,
                                          int                fd);
void             accel_keys_set          (AccelKeys         *self,
                                          int                fd,
                                          PyObject          *key);
PyObject        *accel_keys_get_pair     (AccelKeys         *self,
                                          int                fd,
                                          guint              events);
PyObject        *accel_keys_make_pair    (PyObject          *key,
                                          guint              events);

/* accelerator-selector.c */
SelBaseSelector *accel_get_selector      (PyObject          *self);
AccelKeys       *accel_get_keys          (PyObject          *self);
PyObject        *accel_find_key          (PyObject          *self,
                                          AccelKeys         *keys,
                                          int                fd);
PyObject        *accel_raise             (PyObject          *self,
                                          GError            *error);
PyObject        *accel_accelerate_selector (PyObject        *module,
                                          PyObject          *args);

/* accelerator-source.c */

/* Is the selector ready again, so that an iteration of the context can do without poll ()? */
typedef struct
{
  gboolean is_made;             /* in this iteration, which does not poll */
  gboolean is_free;             /* poll () would not wait in this iteration */
  gboolean was_ready;           /* the selector, in this iteration or, before it, in the last one */
  guint n_made;                 /* since the last poll () */
  gint64 poll_time;             /* of the last poll (); monotonic time, in microseconds */
  guint interval;               /* how many iterations poll after the next wrong guess */
  guint n_polls_left;           /* how many iterations poll before the next guess */
} AccelGuess;

typedef struct
{
  PyObject_HEAD
  PyObject *loop;               /* NULL when it is destroyed */
  PyObject *py_selector;
  AccelKeys *keys;              /* the table of the selector */
  PyObject *ready;              /* _ready of the loop, and two of its methods */
  PyObject *append;
  PyObject *popleft;
  PyObject *scheduled;          /* _scheduled of the loop */
  GThread *thread;
  guint n_forks;                /* of this process, when the loop began to run */
  SelBaseSelector *selector;
  gboolean is_subclass;         /* the selector, of a class that is not of the library */
  GMainContext *context;
  int priority;
  GSource *io_source;           /* ready if the selector is */
  GSource *timer_source;        /* ready at the time below */
  gint64 ready_time;            /* monotonic time, in microseconds; 0 for now, -1 for never */
  PyObject *handle_run;         /* Handle._run () when the loop began to run; only for comparing */
  gboolean is_plain;            /* nothing in Python has replaced a part of the turn */
  gboolean has_own_turn;        /* nor the whole turn */
  gboolean has_ended;           /* the loop, which takes no more turns */
  gboolean has_events;          /* the turn is taken because the selector is ready */
  gboolean in_turn;
  gboolean turn_taken;          /* in this iteration of the context */
  AccelGuess guess;
  gboolean is_blocked;          /* the selector is not polled until the turn is over */
} AccelSource;

extern PyTypeObject accel_source_type;

gboolean         accel_source_init       (void);
void             accel_source_unblock    (AccelSource       *self);
gboolean         accel_source_get_timers (AccelSource       *self,
                                          PyObject          *loop);
void             accel_fail              (PyObject          *loop);

/* accelerator-loop.c */
AccelSource     *accel_get_source        (PyObject          *loop,
                                          PyObject          *name);
gboolean         accel_loop_has_own_turn (PyObject          *loop);
int              accel_loop_take_turn    (PyObject          *loop,
                                          AccelSource       *source);
PyObject        *accel_accelerate_loop   (PyObject          *module,
                                          PyObject          *args);

/* accelerator-iteration.c */
PyObject        *accel_iterate           (PyObject          *module,
                                          PyObject          *loop);

/* accelerator-handle.c */
void             accel_handle_init       (PyObject          *handle,
                                          PyObject          *timer);
gboolean         accel_handle_is_plain   (PyObject          *handle);
PyObject        *accel_handle_peek_run   (void);
PyObject        *accel_handle_new        (PyObject          *loop,
                                          PyObject          *callback,
                                          PyObject          *args,
                                          PyObject          *context);
PyObject        *accel_handle_new_timer  (PyObject          *loop,
                                          PyObject          *when,
                                          PyObject          *callback,
                                          PyObject          *args,
                                          PyObject          *context);
int              accel_handle_is_cancelled (PyObject        *handle);
gboolean         accel_handle_peek_when  (PyObject          *timer,
                                          double            *when);
gboolean         accel_handle_get_when   (PyObject          *timer,
                                          double            *when);
gboolean         accel_handle_set_scheduled (PyObject       *timer,
                                          gboolean           scheduled);
PyObject        *accel_handle_call       (PyObject          *handle);

/* accelerator-heap.c */
gboolean         accel_heap_push         (PyObject          *heap,
                                          PyObject          *timer);
PyObject        *accel_heap_pop          (PyObject          *heap);

/* accelerator-turn.c */
gboolean         accel_turn_run          (AccelSource       *source,
                                          PyObject          *loop);
int              accel_turn_arm          (AccelSource       *source,
                                          PyObject          *loop);
