/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-base-selector-private.h"
#include "sel-file-object.h"

/* The public functions that register, change and unregister: one for each way to name the file and to
 * give the data. What they do stands in sel-base-selector.c. */

/**
 * sel_base_selector_register: (skip)
 * @self: a selector
 * @fd: an open file descriptor
 * @events: what to wait for
 * @data: (nullable): a pointer to keep with @fd
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Registers @fd. It stays the caller's: it is not changed, and never closed.
 *
 * Fails with %SEL_SELECTOR_ERROR_ALREADY_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_EVENTS,
 * %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative, %SEL_SELECTOR_ERROR_CLOSED,
 * %SEL_SELECTOR_ERROR_FORKED, or a %SEL_OS_ERROR: `EBADF` if @fd is closed, `EPERM` if epoll or kqueue cannot
 * wait for that kind of file (see #SelBaseSelector:emulate-always-ready). Then nothing is changed, and
 * @data remains the caller's.
 *
 * Use sel_base_selector_get_key() for the key that Python's function returns.
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
  SelData pointer = { .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_add (self, fd, NULL, events, &pointer, NULL, error);
}

/**
 * sel_base_selector_register_value: (rename-to sel_base_selector_register)
 * @self: a selector
 * @fd: an open file descriptor
 * @events: what to wait for
 * @data: (nullable): a value to keep with @fd, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Registers @fd, as sel_base_selector_register() does, with a value that is copied.
 *
 * Fails like that function, and with %SEL_SELECTOR_ERROR_NOT_SUPPORTED for a value that
 * cannot be kept: the plain objects of JavaScript, whose memory the language would reuse.
 *
 * Returns: (transfer full): the key of @fd
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
  SelData value = { .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_add (self, fd, NULL, events, &value, &key, error);

  return key;
}

static gboolean
sel_base_selector_add_object (SelBaseSelector  *self,
                              GObject          *fileobj,
                              SelEventMask      events,
                              const SelData    *data,
                              SelSelectorKey  **key,
                              GError          **error)
{
  int fd = -1;

  if (sel_base_selector_is_closed (self))
    sel_base_selector_fail_closed (error);
  else
    fd = sel_fileobj_to_fd (fileobj, error);

  if (fd >= 0)
    return sel_base_selector_add (self, fd, fileobj, events, data, key, error);

  sel_callback_free (data->callback);

  return FALSE;
}

/**
 * sel_base_selector_register_object: (skip)
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: what to wait for
 * @data: (nullable): a pointer to keep with it
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj. The key refers to @fileobj until it is unregistered.
 *
 * Fails like sel_base_selector_register(), and with %SEL_SELECTOR_ERROR_INVALID_FILE if @fileobj has
 * no descriptor or is closed.
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
  SelData pointer = { .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_add_object (self, fileobj, events, &pointer, NULL, error);
}

/**
 * sel_base_selector_register_object_value: (rename-to sel_base_selector_register_object)
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: what to wait for
 * @data: (nullable): a value to keep with it, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj, as sel_base_selector_register_object() does, with a value
 * that is copied.
 *
 * Fails like that function and sel_base_selector_register_value().
 *
 * Returns: (transfer full): the key of @fileobj
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
  SelData value = { .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_add_object (self, fileobj, events, &value, &key, error);

  return key;
}

/**
 * sel_base_selector_unregister: (skip)
 * @self: a selector
 * @fd: a registered descriptor, which may be closed by now
 * @error: return location for an error, or %NULL
 *
 * Unregisters @fd. Once this has returned it is not reported any more, in any thread, unless
 * it was already.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is
 * negative, or %SEL_SELECTOR_ERROR_CLOSED.
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
 * @fd: a registered descriptor, which may be closed by now
 * @error: return location for an error, or %NULL
 *
 * Unregisters @fd, as sel_base_selector_unregister() does.
 *
 * Returns: (transfer full): the key that @fd had
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
 * Unregisters the descriptor of @fileobj, however that was registered. If @fileobj is closed, what was
 * registered through it is unregistered.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fileobj has
 * no descriptor and never was registered, or %SEL_SELECTOR_ERROR_CLOSED.
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
 * Unregisters the descriptor of @fileobj, as sel_base_selector_unregister_object() does.
 *
 * Returns: (transfer full): the key that it had
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
 * sel_base_selector_modify: (skip)
 * @self: a selector
 * @fd: a registered descriptor
 * @events: what to wait for on @fd from now on
 * @data: (nullable): the pointer to keep with @fd from now on
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Changes what is waited for on @fd and what is kept with it.
 *
 * If @data and @destroy are what there is already, they stay and nothing is freed. Use
 * sel_base_selector_modify_events() to leave them alone in any case. The kernel is only asked if
 * @events differ; use sel_base_selector_refresh() if @fd was closed and opened again.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_EVENTS,
 * %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative, %SEL_SELECTOR_ERROR_CLOSED or
 * %SEL_SELECTOR_ERROR_FORKED; then nothing is changed. Fails with a %SEL_OS_ERROR if the kernel refuses; then
 * @fd is no longer registered, as in Python. In both cases @data remains the caller's.
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
  SelData pointer = { .data = data, .destroy = destroy };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_base_selector_change (self, fd, events, &pointer, NULL, error);
}

/**
 * sel_base_selector_modify_value: (rename-to sel_base_selector_modify)
 * @self: a selector
 * @fd: a registered descriptor
 * @events: what to wait for on @fd from now on
 * @data: (nullable): the value to keep with @fd from now on, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes what is waited for on @fd and what is kept with it, as sel_base_selector_modify() does.
 *
 * Fails like that function and sel_base_selector_register_value().
 *
 * Returns: (transfer full): the key of @fd; a new one if anything has changed
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
  SelData value = { .value = data };
  SelSelectorKey *key = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  sel_base_selector_change (self, fd, events, &value, &key, error);

  return key;
}

/**
 * sel_base_selector_modify_object: (skip)
 * @self: a selector
 * @fileobj: a registered object
 * @events: what to wait for from now on
 * @data: (nullable): the pointer to keep with it from now on
 * @destroy: (nullable): frees @data when nothing refers to it any more
 * @error: return location for an error, or %NULL
 *
 * Changes what is waited for on the descriptor of @fileobj and what is kept with it, as
 * sel_base_selector_modify() does; @fileobj is found as in sel_base_selector_unregister_object().
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
  SelData pointer = { .data = data, .destroy = destroy };
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  fd = sel_base_selector_resolve (self, fileobj, error);

  return fd >= 0 && sel_base_selector_change (self, fd, events, &pointer, NULL, error);
}

/**
 * sel_base_selector_modify_object_value: (rename-to sel_base_selector_modify_object)
 * @self: a selector
 * @fileobj: a registered object
 * @events: what to wait for from now on
 * @data: (nullable): the value to keep with it from now on, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes what is waited for on the descriptor of @fileobj and what is kept with it, as
 * sel_base_selector_modify_value() does.
 *
 * Returns: (transfer full): the key of @fileobj; a new one if anything has changed
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
  SelData value = { .value = data };
  SelSelectorKey *key = NULL;
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = sel_base_selector_resolve (self, fileobj, error);
  if (fd >= 0)
    sel_base_selector_change (self, fd, events, &value, &key, error);

  return key;
}

/**
 * sel_base_selector_modify_events:
 * @self: a selector
 * @fd: a registered descriptor
 * @events: what to wait for on @fd from now on
 * @error: return location for an error, or %NULL
 *
 * Changes what is waited for on @fd and keeps its data. Fails like sel_base_selector_modify().
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
 * sel_base_selector_register_callback:
 * @self: a selector
 * @fd: an open file descriptor
 * @events: what to wait for
 * @func: (scope notified) (closure user_data) (destroy notify): what to call when @fd is ready
 * @user_data: what to call it with
 * @notify: (nullable): frees @user_data when @func is not called any more
 * @error: return location for an error, or %NULL
 *
 * Registers @fd with a function of its own: the counterpart of g_unix_fd_add(), at a cost that does not grow with the
 * number of descriptors.
 *
 * @func is called from the main loop of every source that sel_base_selector_attach() or
 * sel_base_selector_create_dispatch_source() makes for @self, in place of the source's own function. If it
 * returns %G_SOURCE_REMOVE, @fd is unregistered. The functions that return what is ready, like
 * sel_base_selector_select(), do not call it. sel_base_selector_modify() and its siblings keep it.
 *
 * @notify is called once, and never while @func runs: by the function that unregisters @fd, or, if another
 * thread runs the main loop, from there. After that @func is not called any more, in any thread.
 *
 * Fails like sel_base_selector_register(). Then nothing is changed, and @notify is called.
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
  SelData data = { 0 };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  data.callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  return sel_base_selector_add (self, fd, NULL, events, &data, NULL, error);
}

/**
 * sel_base_selector_register_object_callback:
 * @self: a selector
 * @fileobj: an object with a descriptor; see sel_fileobj_to_fd()
 * @events: what to wait for
 * @func: (scope notified) (closure user_data) (destroy notify): what to call when @fileobj is ready
 * @user_data: what to call it with
 * @notify: (nullable): frees @user_data when @func is not called any more
 * @error: return location for an error, or %NULL
 *
 * Registers the descriptor of @fileobj with a function of its own, as sel_base_selector_register_callback()
 * does. The function gets @fileobj by sel_selector_key_get_fileobj().
 *
 * Fails like that function, and with %SEL_SELECTOR_ERROR_INVALID_FILE if @fileobj has no descriptor or
 * is closed.
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
  SelData data = { 0 };

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  data.callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  return sel_base_selector_add_object (self, fileobj, events, &data, NULL, error);
}

/**
 * sel_base_selector_set_callback:
 * @self: a selector
 * @fd: a registered descriptor
 * @func: (nullable) (scope notified) (closure user_data) (destroy notify): what to call when @fd is
 *   ready from now on, or %NULL to call the function of the source
 * @user_data: what to call it with; ignored if @func is %NULL
 * @notify: (nullable): frees @user_data when @func is not called any more; ignored if @func is %NULL
 * @error: return location for an error, or %NULL
 *
 * Changes what a main loop calls for @fd; see sel_base_selector_register_callback(). The kernel is
 * not asked.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is negative, or
 * %SEL_SELECTOR_ERROR_CLOSED. Then nothing is changed, and @notify is called.
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

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (func != NULL)
    callback = sel_callback_new (G_CALLBACK (func), user_data, notify);

  return sel_base_selector_replace_callback (self, fd, callback, error);
}
