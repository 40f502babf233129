/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-point-private.h"
#include "loop/sel-source-function-private.h"
#include "loop/sel-source-private.h"

/**
 * SECTION:sel-source
 * @Title: Main loop
 * @Short_description: Selectors in a GMainContext
 *
 * A source wakes a #GMainContext when a registered descriptor of a selector is ready. With epoll and
 * kqueue the context polls a single descriptor, however many are registered; with the
 * other mechanisms it polls each descriptor. A program sees no difference.
 *
 * Most programs need only sel_base_selector_attach(). It calls one function for each ready descriptor, or the
 * function that sel_base_selector_register_callback() was given for the descriptor. A program without a selector of
 * its own can use sel_main_context_get_selector(), which has one selector for each context. A source keeps its
 * selector alive, and is destroyed when the selector is closed.
 *
 * The description of #SelBaseSelector has sections on [hang-ups][hang-ups] and on
 * [loops in callbacks][nested-loops].
 *
 * # Errors # {#source-errors}
 *
 * If the system has no memory or no descriptors left when the source asks the selector, the source logs a warning,
 * polls nothing, and tries again ten times a second. Nothing is lost: descriptors that are still ready then are
 * reported later. If the selector does not work for another reason, for example because the program has closed the
 * selector's own descriptor, the source logs a warning and is destroyed.
 *
 * # Threads # {#source-threads}
 *
 * The thread that runs the context calls the callbacks. Another thread may register, modify and unregister descriptors
 * meanwhile. If it unregisters a descriptor whose callback is about to be called, the callback may still be called, but
 * never after its #GDestroyNotify, which the thread that runs the context calls.
 *
 * Other threads never touch the context. Besides the selector's descriptors the context polls one more for each
 * source, by which other threads tell the source about their changes. A source may be destroyed in any thread.
 */

/**
 * sel_base_selector_create_source:
 * @self: a selector
 *
 * Makes a source that calls its callback, a #GSourceFunc, when a registered descriptor is ready. The callback then
 * calls sel_base_selector_select(), or another form of it, with a timeout of 0. The first of these calls returns the
 * descriptors that the source has found, and does not ask the kernel again; a program that reads from a descriptor
 * before that call may still see it as ready. Later calls ask the kernel.
 *
 * The callback is also called when the time of g_source_set_ready_time() has come, so that one source can serve an
 * event loop with timers of its own. The callback has to set the next time, or -1.
 *
 * If @self is closed, the source is already destroyed and never calls its callback.
 *
 * Returns: (transfer full): a new source; attach it with g_source_attach()
 *
 * Since: 1.0
 */
GSource *
sel_base_selector_create_source (SelBaseSelector *self)
{
  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), NULL);

  return sel_source_new_plain (self);
}

/**
 * sel_base_selector_create_dispatch_source:
 * @self: a selector
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the function to call for descriptors
 *   that have no function of their own
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Makes a source that calls a function for each registered descriptor that is ready: the one that
 * sel_base_selector_register_callback() was given for the descriptor, or @func. If a callback modifies or unregisters a
 * descriptor, no function is called for this descriptor in the rest of the turn.
 *
 * @func may be %NULL, and may be set by g_source_set_callback() or g_source_set_closure() later. If a descriptor is
 * ready and there is no function to call for it, the source logs a warning, and the descriptor is not polled any
 * more until sel_base_selector_modify() or sel_base_selector_refresh() is called.
 *
 * GLib may dispatch the source again while it is being dispatched; see #SelBaseSelector:can-recurse.
 *
 * If @self is closed, the source is already destroyed, and @notify was called.
 *
 * Returns: (transfer full): a new source; attach it with g_source_attach()
 *
 * Since: 1.0
 */
GSource *
sel_base_selector_create_dispatch_source (SelBaseSelector *self,
                                          SelSelectorFunc  func,
                                          gpointer         user_data,
                                          GDestroyNotify   notify)
{
  GSource *source;

  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), NULL);

  source = sel_source_new_dispatch (self);
  if (g_source_is_destroyed (source))
    {
      if (notify != NULL)
        notify (user_data);
    }
  else
    {
      sel_source_function_set (source, func, user_data, notify);
    }

  return source;
}

/**
 * sel_base_selector_attach:
 * @self: a selector
 * @context: (nullable): a main context, or %NULL for the thread's default one
 * @priority: the priority, for example %G_PRIORITY_DEFAULT
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the function to call for descriptors
 *   that have no function of their own
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when the source is destroyed
 *
 * Calls a function from @context for each registered descriptor that is ready: the one that
 * sel_base_selector_register_callback() was given for the descriptor, or @func. This ends when @func returns
 * %G_SOURCE_REMOVE, when the source is destroyed, or when @self is closed. @func may be %NULL if all descriptors have a
 * function of their own; see sel_base_selector_create_dispatch_source().
 *
 * A selector may be attached more than once, also to several contexts. The source that asks first gets the
 * descriptors that are ready.
 *
 * Returns: the source's number in @context, or 0 if @self is closed; then @notify was called
 *
 * Since: 1.0
 */
guint
sel_base_selector_attach (SelBaseSelector *self,
                          GMainContext    *context,
                          int              priority,
                          SelSelectorFunc  func,
                          gpointer         user_data,
                          GDestroyNotify   notify)
{
  g_autoptr(GMainContext) thread_default = NULL;
  g_autoptr(GSource) source = NULL;

  g_return_val_if_fail (SEL_IS_BASE_SELECTOR (self), 0);

  source = sel_base_selector_create_dispatch_source (self, func, user_data, notify);
  if (g_source_is_destroyed (source))
    return 0;

  if (context == NULL)
    context = thread_default = g_main_context_ref_thread_default ();

  g_source_set_priority (source, priority);
  SEL_POINT ("attach-created");

  return g_source_attach (source, context);
}
