/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-dispatch-private.h"
#include "core/sel-wait-private.h"
#include "sel-base-selector-private.h"
#include "sel-list-private.h"

/* The public functions that wait, and those that report to a wait or end it. */

/**
 * sel_base_selector_select:
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Waits until a registered descriptor is ready, or until the timeout is over. The list has
 * one element for each descriptor that is ready, in no particular order.
 *
 * sel_base_selector_wakeup() ends the wait early, as does a signal if #SelBaseSelector:interruptible is set. The list
 * then has the descriptors that are ready by then, or is empty. Nothing else ends the wait before its time. The wait
 * can be longer than @timeout by the resolution of the kernel's clock.
 *
 * Fails with %SEL_SELECTOR_ERROR_INVALID_TIMEOUT if @timeout is not a number, with %SEL_SELECTOR_ERROR_BUSY if another
 * thread waits, an asynchronous wait is in progress, or a virtual function of @self calls this, with
 * %SEL_SELECTOR_ERROR_CLOSED, also if @self is closed during the wait, with %SEL_SELECTOR_ERROR_FORKED, with
 * %G_IO_ERROR_CANCELLED, or with a %SEL_OS_ERROR. If @self was not opened before, this function opens it, and also
 * fails if that fails. Nothing is lost by a failure: the next call reports the same descriptors, if they are still
 * ready.
 *
 * Returns: (transfer container) (element-type SelSelectorEvent): the descriptors that are ready, or %NULL on error;
 *   free with g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_base_selector_select (SelBaseSelector  *self,
                          gdouble           timeout,
                          GCancellable     *cancellable,
                          GError          **error)
{
  GPtrArray *list;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (sel_wait_run (sel_core (self), timeout, NULL, NULL, 0, sel_dispatch_get_wait_flags (sel_core (self)), cancellable,
                    error) < 0)
    return NULL;

  list = sel_wait_make_list (sel_core (self));
  sel_dispatch_end_own (sel_core (self), NULL, 0);

  return list;
}

/**
 * sel_base_selector_select_list: (rename-to sel_base_selector_select)
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @error: return location for an error, or %NULL
 *
 * The form of sel_base_selector_select() for other languages, with the same arguments and errors. In them it has the
 * name `select`. C programs do not need it, because an array is faster.
 *
 * Returns: (transfer full) (element-type SelSelectorEvent): the descriptors that are ready; %NULL if there are none,
 *   and on error. Free with `g_list_free_full (list, (GDestroyNotify) sel_selector_event_unref)`
 *
 * Since: 1.0
 */
GList *
sel_base_selector_select_list (SelBaseSelector  *self,
                               gdouble           timeout,
                               GCancellable     *cancellable,
                               GError          **error)
{
  return sel_list_from_array (sel_base_selector_select (self, timeout, cancellable, error));
}

/**
 * sel_base_selector_select_ready: (skip)
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @events: (out caller-allocates) (array length=n_events): where to store the ready descriptors
 * @n_events: how many elements @events has, at least 1
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Waits as sel_base_selector_select() does, but stores the ready descriptors in an array of the caller and allocates
 * nothing. If more descriptors are ready than @events can hold, later calls report the rest; each descriptor gets its
 * turn.
 *
 * The elements do not own anything: the data of an element is valid as long as its descriptor is registered.
 *
 * Fails like sel_base_selector_select(). On failure the contents of @events are undefined.
 *
 * Returns: how many elements were stored, or -1 on error
 *
 * Since: 1.0
 */
gssize
sel_base_selector_select_ready (SelBaseSelector  *self,
                                gdouble           timeout,
                                SelReadyEvent    *events,
                                gsize             n_events,
                                GCancellable     *cancellable,
                                GError          **error)
{
  gssize n_ready;

  g_return_val_if_fail (sel_is_base_selector (self), -1);
  g_return_val_if_fail (events != NULL && n_events > 0, -1);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  n_ready = sel_wait_run (sel_core (self), timeout, events, NULL, n_events,
                          sel_dispatch_get_wait_flags (sel_core (self)), cancellable, error);
  if (n_ready >= 0)
    sel_dispatch_end_own (sel_core (self), (gsize) n_ready == n_events ? events : NULL, n_events);

  return n_ready;
}

/* Copies the events of the list, and ends the wait. */
static void
sel_base_selector_copy_fds (SelCore  *core,
                            int     **fds,
                            guint8  **masks,
                            gsize    *n_fds)
{
  const SelReadyEvent *events = sel_ready_list_get_events (core, n_fds);

  *fds = g_new (int, *n_fds);
  *masks = g_new (guint8, *n_fds);
  for (gsize i = 0; i < *n_fds; i++)
    {
      (*fds)[i] = events[i].fd;
      (*masks)[i] = (guint8) events[i].events;
    }
  sel_wait_end (core);
}

/**
 * sel_base_selector_select_fds:
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @fds: (out) (array length=n_fds) (transfer full): return location for the descriptors that are ready
 * @n_fds: (out): return location for their number
 * @masks: (out) (array length=n_masks) (transfer full): return location for the events that they are ready for,
 *   as #SelEventMask
 * @n_masks: (out): return location for the number of masks, the same as @n_fds
 * @error: return location for an error, or %NULL
 *
 * Waits as sel_base_selector_select() does, and returns plain numbers, which a language binding converts
 * fastest. A signal always ends the wait early, with nothing ready, so that the signal handlers of the language
 * can run; see #SelBaseSelector:interruptible.
 *
 * Fails like sel_base_selector_select(). On failure the arrays are %NULL and the numbers are 0.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_select_fds (SelBaseSelector  *self,
                              gdouble           timeout,
                              GCancellable     *cancellable,
                              int             **fds,
                              gsize            *n_fds,
                              guint8          **masks,
                              gsize            *n_masks,
                              GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (fds != NULL && n_fds != NULL && masks != NULL && n_masks != NULL, FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  *fds = NULL;
  *masks = NULL;
  *n_fds = *n_masks = 0;

  if (sel_wait_run (sel_core (self), timeout, NULL, NULL, 0,
                    SEL_WAIT_INTERRUPTIBLE | sel_dispatch_get_wait_flags (sel_core (self)), cancellable, error) < 0)
    return FALSE;

  sel_base_selector_copy_fds (sel_core (self), fds, masks, n_fds);
  *n_masks = *n_fds;
  sel_dispatch_end_own (sel_core (self), NULL, 0);

  return TRUE;
}

/**
 * sel_base_selector_report:
 * @self: a selector
 * @fd: a descriptor that is ready
 * @events: the events that it is ready for
 *
 * Reports a ready descriptor. Implementations of #SelBaseSelectorClass.wait() call this once or more for each
 * descriptor. Descriptors and events that are not registered are dropped. Only the thread that is in the wait may
 * call this. Outside of a wait this function does nothing.
 *
 * Since: 1.0
 */
void
sel_base_selector_report (SelBaseSelector *self,
                          int              fd,
                          SelEventMask     events)
{
  SelCore *core;

  g_return_if_fail (sel_is_base_selector (self));

  core = sel_core (self);

  sel_state_lock (core);
  if (sel_ready_list_is_open (core))
    sel_ready_list_report_untagged (core, fd, events, SEL_UNKNOWN_END);
  sel_state_unlock (core);
}

/**
 * sel_base_selector_wakeup:
 * @self: a selector
 *
 * Ends the wait that is in progress, in another thread or asynchronously. If none is in progress, the next wait does
 * not block. Several calls before that count as one. The callbacks of a main loop are not called.
 *
 * This function may be called from any thread, and from a signal handler.
 *
 * Since: 1.0
 */
void
sel_base_selector_wakeup (SelBaseSelector *self)
{
  g_return_if_fail (sel_is_base_selector (self));

  sel_wait_wake (sel_core (self));
}
