/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

/*
 * Tells valgrind's helgrind about GLib's locks, which consist of atomic operations and futexes, and about atomic
 * variables, which helgrind does not know. The check "helgrind" includes this header before every source file.
 */

#include <glib.h>
#include <valgrind/helgrind.h>

#define g_mutex_lock(mutex)                                \
  G_STMT_START                                             \
    {                                                      \
      (g_mutex_lock) (mutex);                              \
      ANNOTATE_RWLOCK_ACQUIRED (mutex, 1);                 \
    }                                                      \
  G_STMT_END

#define g_mutex_unlock(mutex)                              \
  G_STMT_START                                             \
    {                                                      \
      ANNOTATE_RWLOCK_RELEASED (mutex, 1);                 \
      (g_mutex_unlock) (mutex);                            \
    }                                                      \
  G_STMT_END

#define g_mutex_init(mutex)                                \
  G_STMT_START                                             \
    {                                                      \
      (g_mutex_init) (mutex);                              \
      ANNOTATE_RWLOCK_CREATE (mutex);                      \
    }                                                      \
  G_STMT_END

#define g_mutex_clear(mutex)                               \
  G_STMT_START                                             \
    {                                                      \
      ANNOTATE_RWLOCK_DESTROY (mutex);                     \
      (g_mutex_clear) (mutex);                             \
    }                                                      \
  G_STMT_END

/* A thread that reads an atomic variable sees all writes that came before the write to the variable. Simultaneous
 * access to the variable is not a race. */
#define HELGRIND_ATOMIC(type, variable, function, ...)     \
  (__extension__ ({                                        \
    type helgrind_result;                                  \
    VALGRIND_HG_DISABLE_CHECKING ((variable), sizeof *(variable)); \
    ANNOTATE_HAPPENS_BEFORE (variable);                    \
    helgrind_result = function (__VA_ARGS__, __ATOMIC_SEQ_CST); \
    ANNOTATE_HAPPENS_AFTER (variable);                     \
    helgrind_result;                                       \
  }))

#undef g_atomic_int_get
#undef g_atomic_int_set
#undef g_atomic_int_inc
#undef g_atomic_int_add
#undef g_atomic_int_or
#undef g_atomic_int_and
#undef g_atomic_int_compare_and_exchange
#define g_atomic_int_get(variable)                         \
  (__extension__ ({                                        \
    int helgrind_value;                                    \
    VALGRIND_HG_DISABLE_CHECKING ((variable), sizeof *(variable)); \
    helgrind_value = __atomic_load_n ((variable), __ATOMIC_SEQ_CST); \
    ANNOTATE_HAPPENS_AFTER (variable);                     \
    helgrind_value;                                        \
  }))
#define g_atomic_int_set(variable, value)                  \
  ((void) HELGRIND_ATOMIC (int, (variable), __atomic_exchange_n, (variable), (value)))
#define g_atomic_int_inc(variable)                         \
  ((void) HELGRIND_ATOMIC (int, (variable), __atomic_fetch_add, (variable), 1))
#define g_atomic_int_add(variable, value)                  \
  HELGRIND_ATOMIC (int, (variable), __atomic_fetch_add, (variable), (value))
#define g_atomic_int_or(variable, value)                   \
  HELGRIND_ATOMIC (guint, (variable), __atomic_fetch_or, (variable), (value))
#define g_atomic_int_and(variable, value)                  \
  HELGRIND_ATOMIC (guint, (variable), __atomic_fetch_and, (variable), (value))
#define g_atomic_int_compare_and_exchange(variable, old, value) \
  (__extension__ ({                                        \
    guint helgrind_old = (old);                            \
    HELGRIND_ATOMIC (gboolean, (variable), __atomic_compare_exchange_n, (variable), &helgrind_old, (value), FALSE, \
                     __ATOMIC_SEQ_CST);                    \
  }))
