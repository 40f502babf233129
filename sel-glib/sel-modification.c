/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-dispatch-private.h"
#include "core/sel-lifecycle-private.h"
#include "sel-base-selector-private.h"
#include "sel-lookup-private.h"
#include "sel-registration-private.h"

/* The public functions that change a registration. They check the arguments, and take and give back the lock;
 * sel-registry.c does the rest. */

/* Keeps the data if @registration is NULL. Inlined, because most of it does not apply to each of its callers. */
static SEL_ALWAYS_INLINE gboolean
sel_base_selector_change (SelBaseSelector        *self,
                          int                     fd,
                          SelEventMask            events,
                          const SelRegistration  *registration,
                          SelSelectorKey        **key,
                          GError                **error)
{
  SelCore *core = sel_core (self);
  SelKeyExtra removed = { 0 };
  gboolean success;

  sel_registry_check_identity (core, fd);
  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_lifecycle_ensure_open (core, error) &&
            sel_base_selector_check_events (events, error) &&
            (registration == NULL || sel_base_selector_check_value (registration->value, error)) &&
            sel_registry_modify (core, fd, events, registration, key, &removed, error);
  sel_dispatch_unlock_and_free (core, &removed);

  return success;
}

/**
 * sel_base_selector_modify: (skip)
 * @self: a selector
 * @fd: a registered descriptor
 * @events: the events to wait for on @fd from now on
 * @data: (nullable): the pointer to keep with @fd from now on
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Changes the events that the selector waits for on @fd, and the data of the registration.
 *
 * If the registration has the same @data and @destroy already, nothing is freed. Use
 * sel_base_selector_modify_events() to leave them alone in any case. The kernel is only asked if
 * @events differ; use sel_base_selector_refresh() if @fd was closed and opened again.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_EVENTS,
 * %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative, %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_FORKED, or
 * %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self calls this; then nothing is changed. Fails with a
 * %SEL_OS_ERROR if the kernel refuses; then @fd is no longer registered, as in Python. In both cases @data remains the
 * caller's.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_modify (SelBaseSelector  *self,
                          int               fd,
                          SelEventMask      events,
                          gpointer          data,
                          GDestroyNotify    destroy,
                          GError          **error)
{
  SelRegistration registration = { .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_change (self, fd, events, &registration, NULL, error);
}

/**
 * sel_base_selector_modify_value: (rename-to sel_base_selector_modify)
 * @self: a selector
 * @fd: a registered descriptor
 * @events: the events to wait for on @fd from now on
 * @data: (nullable): the value to keep with @fd from now on, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes the events and the data of @fd, as sel_base_selector_modify() does.
 *
 * Fails like that function and sel_base_selector_register_value().
 *
 * Returns: (transfer full): the key of @fd, a new one if anything has changed; %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_modify_value (SelBaseSelector  *self,
                                int               fd,
                                SelEventMask      events,
                                const GValue     *data,
                                GError          **error)
{
  SelRegistration registration = { .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_change (self, fd, events, &registration, &key, error);

  return key;
}

/**
 * sel_base_selector_modify_object: (skip)
 * @self: a selector
 * @fileobj: a registered object
 * @events: the events to wait for from now on
 * @data: (nullable): the pointer to keep with it from now on
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Changes the events and the data of the descriptor of @fileobj, as sel_base_selector_modify() does; @fileobj is found
 * as in sel_base_selector_unregister_object(). Fails like these functions.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_modify_object (SelBaseSelector  *self,
                                 GObject          *fileobj,
                                 SelEventMask      events,
                                 gpointer          data,
                                 GDestroyNotify    destroy,
                                 GError          **error)
{
  SelRegistration registration = { .data = data, .destroy = destroy };
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  fd = sel_base_selector_resolve (self, fileobj, error);

  return fd >= 0 && sel_base_selector_change (self, fd, events, &registration, NULL, error);
}

/**
 * sel_base_selector_modify_object_value: (rename-to sel_base_selector_modify_object)
 * @self: a selector
 * @fileobj: a registered object
 * @events: the events to wait for from now on
 * @data: (nullable): the value to keep with it from now on, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes the events and the data of the descriptor of @fileobj, as sel_base_selector_modify_value() does; @fileobj is
 * found as in sel_base_selector_unregister_object(). Fails like these functions.
 *
 * Returns: (transfer full): the key of @fileobj, a new one if anything has changed; %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_modify_object_value (SelBaseSelector  *self,
                                       GObject          *fileobj,
                                       SelEventMask      events,
                                       const GValue     *data,
                                       GError          **error)
{
  SelRegistration registration = { .value = data };
  SelSelectorKey *key = NULL;
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = sel_base_selector_resolve (self, fileobj, error);
  if (fd >= 0)
    sel_base_selector_change (self, fd, events, &registration, &key, error);

  return key;
}

/**
 * sel_base_selector_modify_events:
 * @self: a selector
 * @fd: a registered descriptor
 * @events: the events to wait for on @fd from now on
 * @error: return location for an error, or %NULL
 *
 * Changes the events of @fd and keeps its data. Fails like sel_base_selector_modify().
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_modify_events (SelBaseSelector  *self,
                                 int               fd,
                                 SelEventMask      events,
                                 GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_change (self, fd, events, NULL, NULL, error);
}

/**
 * sel_base_selector_set_callback:
 * @self: a selector
 * @fd: a registered descriptor
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): the function to call when @fd is
 *   ready from now on, or %NULL to call the function of the source
 * @user_data: the data to pass to @func; ignored if @func is %NULL
 * @notify: (nullable): frees @user_data when @func is not called any more; ignored if @func is %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes the function that a main loop calls for @fd; see sel_base_selector_register_callback(). The kernel is
 * not asked.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative,
 * %SEL_SELECTOR_ERROR_CLOSED, or %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self calls this. Then nothing is
 * changed, and @notify is called.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_set_callback (SelBaseSelector  *self,
                                int               fd,
                                SelSelectorFunc   func,
                                gpointer          user_data,
                                GDestroyNotify    notify,
                                GError          **error)
{
  SelCallback *callback = NULL;
  SelKeyExtra removed = { 0 };
  gboolean success;
  SelCore *core;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (func != NULL)
    callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  core = sel_core (self);

  if (!sel_state_lock_to_change (core, error))
    {
      sel_callback_free (callback);
      return FALSE;
    }

  success = sel_registry_set_callback (core, fd, callback, &removed, error);
  if (!success)
    removed.callback = callback;
  sel_dispatch_unlock_and_free (core, &removed);

  return success;
}

/**
 * sel_base_selector_refresh:
 * @self: a selector
 * @fd: a registered descriptor
 * @error: return location for an error, or %NULL
 *
 * Tells the kernel the registration of @fd again. This is needed if @fd was closed and its number
 * now stands for another file, without sel_base_selector_unregister() in between.
 *
 * Fails like sel_base_selector_modify(), with the same effect if the kernel refuses.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_refresh (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  SelKeyExtra removed = { 0 };
  gboolean success;
  SelCore *core;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  core = sel_core (self);

  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_lifecycle_ensure_open (core, error) && sel_registry_refresh (core, fd, &removed, error);
  sel_dispatch_unlock_and_free (core, &removed);

  return success;
}
