/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <pthread.h>

#include "sel-default-selector.h"
#include "sel-main-context.h"
#include "sel-source.h"

/**
 * SECTION:sel-main-context
 * @Title: The selector of a main context
 * @Short_description: One shared selector for each main context
 *
 * A program that calls g_unix_fd_add() for each descriptor can use the selector of the main context instead. It does
 * not have to make, attach or close a selector:
 *
 * |[<!-- language="C" -->
 * sel_base_selector_register_callback (sel_main_context_get_selector (NULL, &error), fd, SEL_EVENT_READ,
 *                                      on_ready, user_data, NULL, &error);
 * ]|
 */

/* No foreign code runs, and nothing is logged, with the lock. */
static GMutex lock;
static GHashTable *selectors; /* by context; holds a reference to each selector */

static void
sel_main_context_lock (void)
{
  g_mutex_lock (&lock);
}

static void
sel_main_context_unlock (void)
{
  g_mutex_unlock (&lock);
}

/* A thread that forks has the lock, so that no other thread is in the middle of a change of the table. */
static void
sel_main_context_watch_forks (void)
{
  static gsize watches = FALSE;

  if (g_once_init_enter (&watches))
    {
      pthread_atfork (sel_main_context_lock, sel_main_context_unlock, sel_main_context_unlock);
      g_once_init_leave (&watches, 1);
    }
}

/* The source of the selector is being destroyed. If the context is, too, a new context may get its address. The
 * reference is dropped without the lock. */
static void
sel_main_context_forget (gpointer data)
{
  g_autoptr(SelBaseSelector) selector = NULL;
  GHashTableIter iter;
  gpointer value;

  sel_main_context_lock ();
  g_hash_table_iter_init (&iter, selectors);
  while (selector == NULL && g_hash_table_iter_next (&iter, NULL, &value))
    {
      if (value != data)
        continue;

      selector = value;
      g_hash_table_iter_steal (&iter);
    }
  sel_main_context_unlock ();
}

/* With the lock. Returns: (nullable): the selector of @context, unless it was closed */
static SelBaseSelector *
sel_main_context_look_up (GMainContext *context)
{
  SelBaseSelector *selector = selectors != NULL ? g_hash_table_lookup (selectors, context) : NULL;

  return selector != NULL && !sel_base_selector_is_closed (selector) ? selector : NULL;
}

/* With the lock. Returns: (transfer full) (nullable): the selector that @context had before */
static SelBaseSelector *
sel_main_context_set_selector (GMainContext    *context,
                               SelBaseSelector *selector)
{
  gpointer replaced = NULL;

  if (selectors == NULL)
    selectors = g_hash_table_new (NULL, NULL);
  g_hash_table_steal_extended (selectors, context, NULL, &replaced);
  g_hash_table_insert (selectors, context, selector);
  sel_base_selector_attach (selector, context, G_PRIORITY_DEFAULT, NULL, selector, sel_main_context_forget);

  return replaced;
}

/* Another thread may add one meanwhile, which is then the selector of @context. */
static SelBaseSelector *
sel_main_context_add_selector (GMainContext  *context,
                               GError       **error)
{
  g_autoptr(SelBaseSelector) added = sel_default_selector_new (error);
  g_autoptr(SelBaseSelector) replaced = NULL;
  SelBaseSelector *selector;

  if (added == NULL)
    return NULL;

  sel_main_context_lock ();
  selector = sel_main_context_look_up (context);
  if (selector == NULL)
    {
      selector = g_steal_pointer (&added);
      replaced = sel_main_context_set_selector (context, selector);
    }
  sel_main_context_unlock ();

  return selector;
}

/**
 * sel_main_context_get_selector:
 * @context: (nullable): a main context, or %NULL for the thread-default context
 * @error: return location for an error, or %NULL
 *
 * Gets the selector of @context. All callers get the same selector. The first call makes it with
 * sel_default_selector_new() and attaches it to @context with %G_PRIORITY_DEFAULT. It is released together with
 * @context.
 *
 * Register descriptors with sel_base_selector_register_callback(). Do not close the selector and do not change its
 * properties, because other parts of the program may use it as well. If it was closed, the next call makes a new one.
 *
 * This function may be called from any thread. Fails like sel_default_selector_new(), for example with `EMFILE` in
 * %SEL_OS_ERROR.
 *
 * Returns: (transfer none): the selector, or %NULL on error; take a reference to use it longer than @context exists
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_main_context_get_selector (GMainContext  *context,
                               GError       **error)
{
  g_autoptr(GMainContext) thread_default = NULL;
  SelBaseSelector *selector;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (context == NULL)
    context = thread_default = g_main_context_ref_thread_default ();

  sel_main_context_watch_forks ();
  sel_main_context_lock ();
  selector = sel_main_context_look_up (context);
  sel_main_context_unlock ();

  return selector != NULL ? selector : sel_main_context_add_selector (context, error);
}
