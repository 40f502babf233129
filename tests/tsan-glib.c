/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tells ThreadSanitizer about the synchronization in GLib, which the distribution builds without it: these
 * functions take the place of GLib's in the test programs, call GLib's, and say what that means. Linked
 * into builds with -Db_sanitize=thread only.
 */

#include "config.h"

#include <dlfcn.h>
#include <glib-object.h>
#include <sanitizer/tsan_interface.h>

#define REAL(function) ((__typeof__ (&function)) dlsym (RTLD_NEXT, #function))

void
g_mutex_lock (GMutex *mutex)
{
  REAL (g_mutex_lock) (mutex);
  __tsan_acquire (mutex);
}

void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_mutex_unlock) (mutex);
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked = REAL (g_mutex_trylock) (mutex);

  if (locked)
    __tsan_acquire (mutex);

  return locked;
}

void
g_cond_wait (GCond  *cond,
             GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_cond_wait) (cond, mutex);
  __tsan_acquire (mutex);
}

/* Who drops the last reference sees all that the others did before they dropped theirs. */
void
(g_object_unref) (gpointer object)
{
  __tsan_release (object);
  __tsan_acquire (object);
  REAL (g_object_unref) (object);
}

/* Whoever unregisters a callback hands it to the thread that runs the main context by a source (sel_source_invoke ()):
 * what protects that is a lock which GLib takes by itself, where the functions above are not called. */
#pragma GCC diagnostic ignored "-Wredundant-decls" /* newer headers declare it */
const char *__tsan_default_suppressions (void);

const char *
__tsan_default_suppressions (void)
{
  return "race:sel_callback_free\n";
}

/* A new thread sees what was done before it was made, and who joins it what it did: ThreadSanitizer knows
 * that from pthread_create() and pthread_join(), which GLib calls. */
