/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <string.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-lifecycle-private.h"
#include "sel-base-selector-private.h"
#include "sel-error-private.h"
#include "sel-file-object.h"
#include "sel-lookup-private.h"
#include "sel-registration-private.h"

/* The public functions that register and unregister: one for each way to name the file and to give the data. They check
 * the arguments, lock and unlock; sel-registry.c does the rest. */

gboolean
sel_base_selector_check_events (SelEventMask   events,
                                GError       **error)
{
  if (events != 0 && ((guint) events & ~(guint) SEL_ALL_EVENTS) == 0)
    return TRUE;

  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS,
               "Invalid events: 0x%x", (guint) events);

  return FALSE;
}

gboolean
sel_base_selector_check_value (const GValue  *value,
                               GError       **error)
{
  const char *reason;

  if (value == NULL)
    return TRUE;

  if (!G_IS_VALUE (value))
    reason = "A value that is not initialized cannot be kept as data";
  else if (strcmp (G_VALUE_TYPE_NAME (value), "JSObject") == 0)
    reason = "A JavaScript object cannot be kept as data: its memory may be reused while it is registered";
  else
    return TRUE;

  g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED, reason);

  return FALSE;
}

/* Takes the callback of @registration. Frees it on failure. */
static SEL_ALWAYS_INLINE gboolean
sel_base_selector_add (SelBaseSelector        *self,
                       int                     fd,
                       SelEventMask            events,
                       const SelRegistration  *registration,
                       SelSelectorKey        **key,
                       GError                **error)
{
  SelCore *core = sel_core (self);
  gboolean success = FALSE;

  if (sel_state_lock_to_change (core, error))
    {
      success = sel_lifecycle_ensure_open (core, error) &&
                sel_base_selector_check_events (events, error) &&
                sel_error_check_fd (fd, error) &&
                sel_base_selector_check_value (registration->value, error) &&
                sel_registry_add (core, fd, events, registration, key, error);
      sel_state_unlock (core);
    }

  if (!success)
    sel_callback_free (registration->callback);

  return success;
}

/* Registers the descriptor of the file object. Takes the callback, as the function above. */
static gboolean
sel_base_selector_add_object (SelBaseSelector        *self,
                              SelEventMask            events,
                              const SelRegistration  *registration,
                              SelSelectorKey        **key,
                              GError                **error)
{
  int fd = -1;

  if (sel_base_selector_is_closed (self))
    sel_error_set_closed (error);
  else
    fd = sel_fileobj_to_fd (registration->fileobj, error);

  if (fd >= 0)
    return sel_base_selector_add (self, fd, events, registration, key, error);

  sel_callback_free (registration->callback);

  return FALSE;
}

static SEL_ALWAYS_INLINE gboolean
sel_base_selector_remove (SelBaseSelector  *self,
                          int               fd,
                          SelSelectorKey  **key,
                          GError          **error)
{
  SelCore *core = sel_core (self);
  SelKeyExtra removed = { 0 };
  gboolean success;

  sel_registry_check_identity (core, fd);
  if (!sel_state_lock_to_change (core, error))
    return FALSE;

  success = sel_registry_remove (core, fd, key, &removed, error);
  sel_dispatch_unlock_and_free (core, &removed);

  return success;
}

/**
 * sel_base_selector_register: (skip)
 * @self: a selector
 * @fd: an open file descriptor
 * @events: the events to wait for
 * @data: (nullable): a pointer to keep with @fd
 * @destroy: (nullable): frees @data when neither @self nor a key refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Registers @fd. The caller still owns the descriptor: the selector does not change it and never closes it.
 *
 * Fails with %SEL_SELECTOR_ERROR_ALREADY_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_EVENTS,
 * %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative, %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_FORKED,
 * %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self calls this, or a %SEL_OS_ERROR: `EBADF` if @fd is closed,
 * `EPERM` if epoll or kqueue cannot wait for this kind of file (see #SelBaseSelector:emulate-always-ready). If @self
 * was not opened before, this function opens it, and also fails if that fails. On failure nothing is changed, and
 * the caller still owns @data.
 *
 * Use sel_base_selector_get_key() to get the key, which Python's function returns.
 *
 * Returns: %TRUE if @fd was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_register (SelBaseSelector  *self,
                            int               fd,
                            SelEventMask      events,
                            gpointer          data,
                            GDestroyNotify    destroy,
                            GError          **error)
{
  SelRegistration registration = { .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_add (self, fd, events, &registration, NULL, error);
}

/**
 * sel_base_selector_register_value: (rename-to sel_base_selector_register)
 * @self: a selector
 * @fd: an open file descriptor
 * @events: the events to wait for
 * @data: (nullable): a value to keep with @fd, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Registers @fd like sel_base_selector_register(), and keeps a copy of the value @data.
 *
 * Fails like that function, and with %SEL_SELECTOR_ERROR_NOT_SUPPORTED if the value cannot be kept: it is not
 * initialized, or it is a plain object of JavaScript, whose memory JavaScript could reuse.
 *
 * Returns: (transfer full): the key of @fd, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_register_value (SelBaseSelector  *self,
                                  int               fd,
                                  SelEventMask      events,
                                  const GValue     *data,
                                  GError          **error)
{
  SelRegistration registration = { .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_add (self, fd, events, &registration, &key, error);

  return key;
}

/**
 * sel_base_selector_register_object: (skip)
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: the events to wait for
 * @data: (nullable): a pointer to keep with the descriptor
 * @destroy: (nullable): frees @data when neither @self nor a key refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj. The selector holds a reference to @fileobj until it is unregistered, and each
 * key holds one as long as the key exists.
 *
 * Fails like sel_base_selector_register(), and like sel_fileobj_to_fd(), for example with
 * %SEL_SELECTOR_ERROR_INVALID_FILE if @fileobj has no descriptor or is closed. On failure nothing is changed, and the
 * caller still owns @data.
 *
 * Returns: %TRUE if @fileobj was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_register_object (SelBaseSelector  *self,
                                   GObject          *fileobj,
                                   SelEventMask      events,
                                   gpointer          data,
                                   GDestroyNotify    destroy,
                                   GError          **error)
{
  SelRegistration registration = { .fileobj = fileobj, .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_add_object (self, events, &registration, NULL, error);
}

/**
 * sel_base_selector_register_object_value: (rename-to sel_base_selector_register_object)
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: the events to wait for
 * @data: (nullable): a value to keep with the descriptor, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj like sel_base_selector_register_object(), and keeps a copy of the value
 * @data.
 *
 * Fails like that function and sel_base_selector_register_value().
 *
 * Returns: (transfer full): the key of @fileobj, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_register_object_value (SelBaseSelector  *self,
                                         GObject          *fileobj,
                                         SelEventMask      events,
                                         const GValue     *data,
                                         GError          **error)
{
  SelRegistration registration = { .fileobj = fileobj, .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_add_object (self, events, &registration, &key, error);

  return key;
}

/**
 * sel_base_selector_unregister: (skip)
 * @self: a selector
 * @fd: a registered descriptor; it may already be closed
 * @error: return location for an error, or %NULL
 *
 * Unregisters @fd. After this function has returned, no thread gets @fd in a new result. A result that a thread has
 * got before may still contain it.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative,
 * %SEL_SELECTOR_ERROR_CLOSED, or %SEL_SELECTOR_ERROR_BUSY if a virtual function of @self calls this. On failure
 * nothing is changed.
 *
 * Returns: %TRUE if @fd was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_unregister (SelBaseSelector  *self,
                              int               fd,
                              GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_remove (self, fd, NULL, error);
}

/**
 * sel_base_selector_unregister_key: (rename-to sel_base_selector_unregister)
 * @self: a selector
 * @fd: a registered descriptor; it may already be closed
 * @error: return location for an error, or %NULL
 *
 * Unregisters @fd like sel_base_selector_unregister(), and returns its key. Fails like that function.
 *
 * Returns: (transfer full): the key that @fd had, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_unregister_key (SelBaseSelector  *self,
                                  int               fd,
                                  GError          **error)
{
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_remove (self, fd, &key, error);

  return key;
}

/**
 * sel_base_selector_unregister_object: (skip)
 * @self: a selector
 * @fileobj: a registered object
 * @error: return location for an error, or %NULL
 *
 * Unregisters the descriptor of @fileobj, even if it was registered by its number or through another object. If
 * @fileobj has no descriptor any more, for example because it is closed, this unregisters the descriptor that was
 * registered through @fileobj; if there are several, the first one.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_CLOSED, or %SEL_SELECTOR_ERROR_BUSY if a virtual
 * function of @self calls this. If @fileobj has no descriptor and nothing was registered through it, fails like
 * sel_fileobj_to_fd(), for example with %SEL_SELECTOR_ERROR_INVALID_FILE. On failure nothing is changed.
 *
 * Returns: %TRUE if @fileobj was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_unregister_object (SelBaseSelector  *self,
                                     GObject          *fileobj,
                                     GError          **error)
{
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  fd = sel_base_selector_resolve (self, fileobj, error);

  return fd >= 0 && sel_base_selector_remove (self, fd, NULL, error);
}

/**
 * sel_base_selector_unregister_object_key: (rename-to sel_base_selector_unregister_object)
 * @self: a selector
 * @fileobj: a registered object
 * @error: return location for an error, or %NULL
 *
 * Unregisters the descriptor of @fileobj like sel_base_selector_unregister_object(), and returns its key. Fails like
 * that function.
 *
 * Returns: (transfer full): the key that the descriptor had, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_unregister_object_key (SelBaseSelector  *self,
                                         GObject          *fileobj,
                                         GError          **error)
{
  SelSelectorKey *key = NULL;
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = sel_base_selector_resolve (self, fileobj, error);
  if (fd >= 0)
    sel_base_selector_remove (self, fd, &key, error);

  return key;
}

/**
 * sel_base_selector_register_callback:
 * @self: a selector
 * @fd: an open file descriptor
 * @events: the events to wait for
 * @func: (scope notified) (closure user_data) (destroy notify): the function to call when @fd is ready
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when @func is not called any more
 * @error: return location for an error, or %NULL
 *
 * Registers @fd with a callback of its own. This is the counterpart of g_unix_fd_add(), but with epoll and kqueue its
 * cost does not grow with the number of descriptors.
 *
 * Every main loop with a source of @self calls @func when @fd is ready, instead of the function of the source. Such
 * sources are made by sel_base_selector_attach() and sel_base_selector_create_dispatch_source(). If @func returns
 * %G_SOURCE_REMOVE, @fd is unregistered. The functions that return ready descriptors, like
 * sel_base_selector_select(), do not call @func. sel_base_selector_modify() and the related functions keep @func.
 *
 * @notify is called exactly once, and never while @func runs. The function that unregisters @fd calls it, unless a
 * source of another thread is attached. In this case that thread calls @notify in a later turn of its main loop, or
 * when the source or its context is freed. If @func itself unregisters @fd, @notify is called after @func has
 * returned. After @notify was called, @func is not called any more, in any thread.
 *
 * Fails like sel_base_selector_register(). On failure nothing is changed, and @notify is called.
 *
 * Returns: %TRUE if @fd was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_register_callback (SelBaseSelector  *self,
                                     int               fd,
                                     SelEventMask      events,
                                     SelSelectorFunc   func,
                                     gpointer          user_data,
                                     GDestroyNotify    notify,
                                     GError          **error)
{
  SelRegistration registration = { 0 };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  registration.callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  return sel_base_selector_add (self, fd, events, &registration, NULL, error);
}

/**
 * sel_base_selector_register_object_callback:
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: the events to wait for
 * @func: (scope notified) (closure user_data) (destroy notify): the function to call when @fileobj is ready
 * @user_data: the data to pass to @func
 * @notify: (nullable): frees @user_data when @func is not called any more
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj with a callback of its own, like sel_base_selector_register_callback(). The
 * callback gets @fileobj from sel_selector_key_get_fileobj().
 *
 * Fails like sel_base_selector_register_object(). On failure nothing is changed, and @notify is called.
 *
 * Returns: %TRUE if @fileobj was registered
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_register_object_callback (SelBaseSelector  *self,
                                            GObject          *fileobj,
                                            SelEventMask      events,
                                            SelSelectorFunc   func,
                                            gpointer          user_data,
                                            GDestroyNotify    notify,
                                            GError          **error)
{
  SelRegistration registration = { .fileobj = fileobj };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  registration.callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  return sel_base_selector_add_object (self, events, &registration, NULL, error);
}

