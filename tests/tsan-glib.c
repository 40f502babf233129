/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tells ThreadSanitizer about the synchronization in GLib, because distributions build GLib without instrumentation.
 * In the test programs these functions replace those of GLib: they call the originals and annotate the
 * synchronization. Linked into builds with -Db_sanitize=thread only.
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

/* The thread that drops the last reference sees all writes that other threads made before they dropped theirs. */
void
(g_object_unref) (gpointer object)
{
  __tsan_release (object);
  __tsan_acquire (object);
  REAL (g_object_unref) (object);
}

/* A context hands its sources over, from the thread that attaches them to the thread that runs the context or frees it,
 * and from one thread that runs it to the next one. GLib's lock of the context orders this. */
guint
g_source_attach (GSource      *source,
                 GMainContext *context)
{
  __tsan_release (context != NULL ? context : g_main_context_default ());

  return REAL (g_source_attach) (source, context);
}

gboolean
g_main_context_iteration (GMainContext *context,
                          gboolean      may_block)
{
  gboolean dispatched;

  if (context == NULL)
    context = g_main_context_default ();

  __tsan_acquire (context);
  dispatched = REAL (g_main_context_iteration) (context, may_block);
  __tsan_release (context);

  return dispatched;
}

void
g_main_context_unref (GMainContext *context)
{
  __tsan_release (context);
  __tsan_acquire (context);
  REAL (g_main_context_unref) (context);
}

/* A thread may attach a new source in the middle of a turn of the context, after g_main_context_iteration () has begun:
 * the thread that runs the context then sees what sel_source_new_full () has written. GLib's lock of the context orders
 * this, and GLib does not take it through the functions above. The same holds for a source that is destroyed while it
 * is dispatched: the thread that drops the last reference frees the mirror, after GLib has dropped its own in
 * g_main_context_dispatch (). */
#pragma GCC diagnostic ignored "-Wredundant-decls" /* newer headers declare it */
const char *__tsan_default_suppressions (void);

const char *
__tsan_default_suppressions (void)
{
  return "race:sel_source_new_full\n"
         "race:sel_mirror_clear\n";
}

/* ThreadSanitizer knows from pthread_create () and pthread_join (), which GLib calls, that a new thread sees earlier
 * writes and that joining a thread makes its writes visible. */
