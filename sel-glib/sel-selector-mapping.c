/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-fork-private.h"
#include "core/sel-registry-private.h"
#include "sel-file-object.h"
#include "sel-list-private.h"
#include "sel-selector-mapping-private.h"

/**
 * SECTION:sel-selector-mapping
 * @Title: SelSelectorMapping
 * @Short_description: A live, read-only view of the registrations
 *
 * See the description of #SelSelectorMapping.
 */

/**
 * SelSelectorMapping:
 *
 * A view of the keys of a selector, which sel_base_selector_get_map() returns. It always shows the registrations that
 * the selector has at the moment.
 *
 * The mapping does not keep the selector alive. It is empty after the selector was closed or freed.
 *
 * sel_selector_mapping_get_keys() returns a snapshot, so that a program may register and unregister descriptors while
 * it iterates over the keys.
 *
 * Since: 1.0
 */
struct _SelSelectorMapping
{
  GObject parent_instance;

  /* Not a GWeakRef: taking a reference to the selector may run code of a language binding, which watches references,
   * while GLib holds a lock of its own. */
  GRWLock lock;
  guint fork_count;          /* atomic: as that of the state room */
  SelBaseSelector *selector; /* NULL after it was finalized */
};

G_DEFINE_FINAL_TYPE (SelSelectorMapping, sel_selector_mapping, G_TYPE_OBJECT)

SelSelectorMapping *
sel_selector_mapping_new (SelBaseSelector *selector)
{
  SelSelectorMapping *self = g_object_new (SEL_TYPE_SELECTOR_MAPPING, NULL);

  self->selector = selector;

  return self;
}

static void
sel_selector_mapping_forked (gpointer owner)
{
  g_rw_lock_init (&((SelSelectorMapping *) owner)->lock);
}

/* Before each use of the lock. */
static void
sel_selector_mapping_check_process (SelSelectorMapping *self)
{
  if (G_UNLIKELY (!sel_fork_is_own_process (&self->fork_count)))
    sel_fork_notice (&self->fork_count, sel_selector_mapping_forked, self);
}

void
sel_selector_mapping_detach (SelSelectorMapping *self)
{
  sel_selector_mapping_check_process (self);
  g_rw_lock_writer_lock (&self->lock);
  self->selector = NULL;
  g_rw_lock_writer_unlock (&self->lock);
}

static void
sel_selector_mapping_finalize (GObject *object)
{
  SelSelectorMapping *self = SEL_SELECTOR_MAPPING (object);

  g_rw_lock_clear (&self->lock);

  G_OBJECT_CLASS (sel_selector_mapping_parent_class)->finalize (object);
}

static void
sel_selector_mapping_class_init (SelSelectorMappingClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = sel_selector_mapping_finalize;
}

static void
sel_selector_mapping_init (SelSelectorMapping *self)
{
  g_rw_lock_init (&self->lock);
  self->fork_count = sel_fork_count;
}

/* Returns: (nullable): the selector, which is not freed before the unlock */
static SelBaseSelector *
sel_selector_mapping_lock (SelSelectorMapping *self)
{
  sel_selector_mapping_check_process (self);
  g_rw_lock_reader_lock (&self->lock);

  return self->selector;
}

static void
sel_selector_mapping_unlock (SelSelectorMapping *self)
{
  g_rw_lock_reader_unlock (&self->lock);
}

/**
 * sel_selector_mapping_get_size:
 * @self: a mapping
 *
 * Gets how many descriptors are registered.
 *
 * Returns: the number of keys
 *
 * Since: 1.0
 */
guint
sel_selector_mapping_get_size (SelSelectorMapping *self)
{
  SelBaseSelector *selector;
  guint n_keys = 0;

  g_return_val_if_fail (SEL_IS_SELECTOR_MAPPING (self), 0);

  selector = sel_selector_mapping_lock (self);
  if (selector != NULL)
    n_keys = sel_registry_get_n_keys (sel_core (selector));
  sel_selector_mapping_unlock (self);

  return n_keys;
}

/**
 * sel_selector_mapping_contains:
 * @self: a mapping
 * @fd: a descriptor; it may be any number
 *
 * Tells whether @fd is registered.
 *
 * Returns: %TRUE if @fd is registered
 *
 * Since: 1.0
 */
gboolean
sel_selector_mapping_contains (SelSelectorMapping *self,
                               int                 fd)
{
  g_autoptr(SelSelectorKey) key = NULL;

  g_return_val_if_fail (SEL_IS_SELECTOR_MAPPING (self), FALSE);

  key = sel_selector_mapping_lookup (self, fd);

  return key != NULL;
}

/**
 * sel_selector_mapping_lookup:
 * @self: a mapping
 * @fd: a descriptor; it may be any number
 *
 * Looks up the key of @fd.
 *
 * Returns: (transfer full) (nullable): the key, or %NULL if @fd is not registered
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_selector_mapping_lookup (SelSelectorMapping *self,
                             int                 fd)
{
  SelSelectorKey *key = NULL;
  SelBaseSelector *selector;

  g_return_val_if_fail (SEL_IS_SELECTOR_MAPPING (self), NULL);

  selector = sel_selector_mapping_lock (self);
  if (selector != NULL)
    key = sel_registry_ref_key (sel_core (selector), fd);
  sel_selector_mapping_unlock (self);

  return key;
}

/**
 * sel_selector_mapping_lookup_object:
 * @self: a mapping
 * @fileobj: a file object, as for sel_base_selector_register_object()
 *
 * Looks up the key of the descriptor of @fileobj, even if it was registered by its number or through another object. If
 * @fileobj has no descriptor any more, looks up the key that was registered through @fileobj; if there are several, the
 * first one.
 *
 * Returns: (transfer full) (nullable): the key, or %NULL if @fileobj is not registered
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_selector_mapping_lookup_object (SelSelectorMapping *self,
                                    GObject            *fileobj)
{
  SelSelectorKey *key = NULL;
  SelBaseSelector *selector;
  int fd;

  g_return_val_if_fail (SEL_IS_SELECTOR_MAPPING (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);

  /* May call code of the program, so the mapping is not locked. */
  fd = sel_fileobj_to_fd (fileobj, NULL);

  selector = sel_selector_mapping_lock (self);
  if (selector != NULL && fd < 0)
    fd = sel_registry_find_object (sel_core (selector), fileobj);
  if (selector != NULL)
    key = sel_registry_ref_key (sel_core (selector), fd);
  sel_selector_mapping_unlock (self);

  return key;
}

/**
 * sel_selector_mapping_get_keys:
 * @self: a mapping
 *
 * Gets all keys in the order of their registration. The array is a snapshot: later changes do not affect it.
 *
 * Returns: (transfer container) (element-type SelSelectorKey): the keys, or an empty array if there are none; free with
 *   g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_selector_mapping_get_keys (SelSelectorMapping *self)
{
  GPtrArray *keys = NULL;
  SelBaseSelector *selector;

  g_return_val_if_fail (SEL_IS_SELECTOR_MAPPING (self), NULL);

  selector = sel_selector_mapping_lock (self);
  if (selector != NULL)
    keys = sel_registry_get_keys (sel_core (selector));
  sel_selector_mapping_unlock (self);

  return keys != NULL ? keys : g_ptr_array_new_with_free_func (g_object_unref);
}

/**
 * sel_selector_mapping_list_keys: (rename-to sel_selector_mapping_get_keys)
 * @self: a mapping
 *
 * The form of sel_selector_mapping_get_keys() for other languages, with the same arguments and errors.
 * In them it has the name `get_keys`. C programs do not need it, because an array is faster.
 *
 * Returns: (transfer full) (element-type SelSelectorKey): the keys in the order of their registration; %NULL if
 *   there are none. Free with `g_list_free_full (list, g_object_unref)`
 *
 * Since: 1.0
 */
GList *
sel_selector_mapping_list_keys (SelSelectorMapping *self)
{
  return sel_list_from_array (sel_selector_mapping_get_keys (self));
}
