/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>

#include "core/sel-registry-private.h"
#include "sel-base-selector-private.h"
#include "sel-error-private.h"
#include "sel-file-object.h"
#include "sel-list-private.h"
#include "sel-lookup-private.h"

/* The public functions that look up registrations. */

int
sel_base_selector_resolve (SelBaseSelector  *self,
                           GObject          *fileobj,
                           GError          **error)
{
  g_autoptr(GError) local_error = NULL;
  int fd;

  if (sel_base_selector_is_closed (self))
    {
      sel_error_set_closed (error);
      return -1;
    }

  fd = sel_fileobj_to_fd (fileobj, &local_error);
  if (fd >= 0)
    return fd;

  fd = sel_registry_find_object (sel_core (self), fileobj);
  if (fd < 0)
    g_propagate_error (error, g_steal_pointer (&local_error));

  return fd;
}

/**
 * sel_base_selector_get_key:
 * @self: a selector
 * @fd: a registered descriptor
 * @error: return location for an error, or %NULL
 *
 * Gets the key of @fd: the same object each time, until @fd is modified or unregistered.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is
 * negative, or %SEL_SELECTOR_ERROR_CLOSED.
 *
 * Returns: (transfer full): the key, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_get_key (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  SelSelectorKey *key = NULL;
  SelKeySlot *slot;
  SelCore *core;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  core = sel_core (self);

  sel_state_lock (core);
  slot = sel_registry_find (core, fd, error);
  if (slot != NULL)
    key = sel_key_slot_ref_key (slot, fd);
  sel_state_unlock (core);

  return key;
}

/**
 * sel_base_selector_get_key_object:
 * @self: a selector
 * @fileobj: a registered object
 * @error: return location for an error, or %NULL
 *
 * Gets the key of the descriptor of @fileobj, which is found as in
 * sel_base_selector_unregister_object(). Fails like that function.
 *
 * Returns: (transfer full): the key, or %NULL on error
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_get_key_object (SelBaseSelector  *self,
                                  GObject          *fileobj,
                                  GError          **error)
{
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = sel_base_selector_resolve (self, fileobj, error);

  return fd >= 0 ? sel_base_selector_get_key (self, fd, error) : NULL;
}

/**
 * sel_base_selector_check:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Looks for registered descriptors that are closed. The selector never reports them, so this helps to find
 * out why a program waits forever. It makes one system call for each key.
 *
 * If the environment variable `SEL_DEBUG` contains `fd`, this also warns of descriptors that stand for another file
 * than when they were registered.
 *
 * Fails with %SEL_SELECTOR_ERROR_CLOSED if @self is closed.
 *
 * Returns: (transfer container) (element-type SelSelectorKey): the keys of closed descriptors, in the order of their
 *   registration, or %NULL on error; free with g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_base_selector_check (SelBaseSelector  *self,
                         GError          **error)
{
  SelCore *core;
  GPtrArray *keys;
  guint n = 0;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (sel_base_selector_is_closed (self))
    {
      sel_error_set_closed (error);
      return NULL;
    }

  core = sel_core (self);
  keys = sel_registry_get_keys (core);
  while (n < keys->len)
    {
      int fd = sel_selector_key_get_fd (g_ptr_array_index (keys, n));

      sel_registry_check_identity (core, fd);
      if (fcntl (fd, F_GETFD) < 0)
        n++;
      else
        g_ptr_array_remove_index (keys, n);
    }

  return keys;
}

/**
 * sel_base_selector_check_list: (rename-to sel_base_selector_check)
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * The form of sel_base_selector_check() for other languages, with the same arguments and errors.
 * In them it has the name `check`. C programs do not need it, because an array is faster.
 *
 * Returns: (transfer full) (element-type SelSelectorKey): the keys of closed descriptors; %NULL if there are none,
 *   and on error. Free with `g_list_free_full (list, g_object_unref)`
 *
 * Since: 1.0
 */
GList *
sel_base_selector_check_list (SelBaseSelector  *self,
                              GError          **error)
{
  return sel_list_from_array (sel_base_selector_check (self, error));
}
