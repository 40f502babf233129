/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

#include <sel-glib/sel-error.h>
#include <sel-glib/sel-selector-event.h>
#include <sel-glib/sel-selector-key.h>
#include <sel-glib/sel-selector-mapping.h>

G_BEGIN_DECLS

#define SEL_TYPE_BASE_SELECTOR (sel_base_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelBaseSelector, sel_base_selector, SEL, BASE_SELECTOR, GObject)

/**
 * SelBaseSelectorClass:
 * @parent_class: the parent class
 * @open: makes what the kernel needs
 * @update: tells the kernel what to wait for on one descriptor
 * @wait: waits in the kernel and reports what is ready
 * @release: gives back what @open made
 *
 * The virtual function table of #SelBaseSelector: what a mechanism has to bring.
 *
 * Time-outs, interrupted waits, looking up keys, threads, forks and the wording of
 * errors are not its concern. A function that returns %FALSE without an error is
 * taken to have failed with %SEL_SELECTOR_ERROR_FAILED.
 *
 * Since: 1.0
 */
struct _SelBaseSelectorClass
{
  GObjectClass parent_class;

  /**
   * SelBaseSelectorClass::open:
   * @self: a selector
   * @error: return location for an error, or %NULL
   *
   * Makes the kernel object. Called once before anything else, not before the object
   * is constructed, and again by sel_base_selector_reinit(). May be left out.
   *
   * Returns: %TRUE on success
   *
   * Since: 1.0
   */
  gboolean (*open)    (SelBaseSelector  *self,
                       GError          **error);

  /**
   * SelBaseSelectorClass::update:
   * @self: a selector
   * @fd: a descriptor
   * @old_events: what was waited for on @fd so far, or 0 to add it
   * @new_events: what to wait for from now on, or 0 to remove it
   * @error: return location for an error, or %NULL
   *
   * Adds, changes or removes one descriptor. If it fails the kernel is left as it was.
   * An error of a removal is ignored: the descriptor may be closed already.
   *
   * Besides the registered descriptors there is one of the selector's own, which
   * ends waits from other threads; it is added right after @open. The selector is locked
   * during the call: it may be asked for keys, but the function must not wait for a
   * thread that uses it.
   *
   * Returns: %TRUE on success
   *
   * Since: 1.0
   */
  gboolean (*update)  (SelBaseSelector  *self,
                       int               fd,
                       SelEventMask      old_events,
                       SelEventMask      new_events,
                       GError          **error);

  /**
   * SelBaseSelectorClass::wait:
   * @self: a selector
   * @timeout: seconds to wait at most; 0 does not wait, %SEL_WAIT_FOREVER has no end;
   *   never negative
   * @error: return location for an error, or %NULL
   *
   * Waits until a descriptor is ready, and calls sel_base_selector_report() for each.
   * It may return early, with nothing reported, and is then called again if time is left.
   * If a signal interrupts it, it fails with `EINTR` in %SEL_OS_ERROR.
   *
   * Returns: %TRUE on success, also if nothing is ready
   *
   * Since: 1.0
   */
  gboolean (*wait)    (SelBaseSelector  *self,
                       gdouble           timeout,
                       GError          **error);

  /**
   * SelBaseSelectorClass::release:
   * @self: a selector
   * @forked: whether this is a child of the process that called @open
   *
   * Gives back what @open made. If @forked, only memory and descriptors that the
   * child has inherited: the parent's kernel state must stay as it is. May be left out.
   *
   * Called by sel_base_selector_close(), sel_base_selector_reinit(), or when the last reference is
   * dropped. In the last case, what a script keeps on its own wrapper of @self may be gone already.
   *
   * Since: 1.0
   */
  void     (*release) (SelBaseSelector  *self,
                       gboolean          forked);

  /*< private >*/
  gpointer padding[12];
};

/**
 * SelReadyEvent: (skip)
 * @fd: the registered descriptor
 * @events: what it is ready for, never empty
 * @data: what was given to sel_base_selector_register() for @fd
 *
 * A ready descriptor, as sel_base_selector_select_ready() stores it.
 *
 * Since: 1.0
 */
typedef struct _SelReadyEvent SelReadyEvent;

struct _SelReadyEvent
{
  int          fd;
  SelEventMask events;
  gpointer     data;

  /*< private >*/
  guint        generation;
};

/**
 * SelSelectorFunc:
 * @selector: the selector
 * @key: the key of a ready descriptor
 * @events: what it is ready for
 * @user_data: (closure): what was given together with the function
 *
 * Called from a main loop for each ready descriptor of a selector.
 *
 * It may do anything with the selector and with the source it is called from.
 *
 * Returns: %G_SOURCE_CONTINUE, or %G_SOURCE_REMOVE to be called no more
 *
 * Since: 1.0
 */
typedef gboolean (*SelSelectorFunc) (SelBaseSelector *selector,
                                     SelSelectorKey  *key,
                                     SelEventMask     events,
                                     gpointer         user_data);

SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_register              (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             gpointer          data,
                                                             GDestroyNotify    destroy,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_register_value        (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             const GValue     *data,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_register_object       (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             SelEventMask      events,
                                                             gpointer          data,
                                                             GDestroyNotify    destroy,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_register_object_value (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             SelEventMask      events,
                                                             const GValue     *data,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_unregister            (SelBaseSelector  *self,
                                                             int               fd,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_unregister_key        (SelBaseSelector  *self,
                                                             int               fd,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_unregister_object     (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_unregister_object_key (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_modify                (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             gpointer          data,
                                                             GDestroyNotify    destroy,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_modify_value          (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             const GValue     *data,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_modify_object         (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             SelEventMask      events,
                                                             gpointer          data,
                                                             GDestroyNotify    destroy,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_modify_object_value   (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             SelEventMask      events,
                                                             const GValue     *data,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_modify_events         (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_refresh               (SelBaseSelector  *self,
                                                             int               fd,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_register_callback     (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events,
                                                             SelSelectorFunc   func,
                                                             gpointer          user_data,
                                                             GDestroyNotify    notify,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_register_object_callback (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             SelEventMask      events,
                                                             SelSelectorFunc   func,
                                                             gpointer          user_data,
                                                             GDestroyNotify    notify,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_set_callback          (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelSelectorFunc   func,
                                                             gpointer          user_data,
                                                             GDestroyNotify    notify,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_get_key               (SelBaseSelector  *self,
                                                             int               fd,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorKey     *sel_base_selector_get_key_object        (SelBaseSelector  *self,
                                                             GObject          *fileobj,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
SelSelectorMapping *sel_base_selector_get_map               (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
GPtrArray          *sel_base_selector_check                 (SelBaseSelector  *self,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
GPtrArray          *sel_base_selector_select                (SelBaseSelector  *self,
                                                             gdouble           timeout,
                                                             GCancellable     *cancellable,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gssize              sel_base_selector_select_ready          (SelBaseSelector  *self,
                                                             gdouble           timeout,
                                                             SelReadyEvent    *events,
                                                             gsize             n_events,
                                                             GCancellable     *cancellable,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_select_fds            (SelBaseSelector  *self,
                                                             gdouble           timeout,
                                                             GCancellable     *cancellable,
                                                             int             **fds,
                                                             gsize            *n_fds,
                                                             guint8          **masks,
                                                             gsize            *n_masks,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_wakeup                (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_reinit                (SelBaseSelector  *self,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_close                 (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_is_closed             (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_get_interruptible     (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_interruptible     (SelBaseSelector  *self,
                                                             gboolean          interruptible);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_get_emulate_always_ready (SelBaseSelector *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_emulate_always_ready (SelBaseSelector *self,
                                                                gboolean         emulate_always_ready);

SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_get_force_mirrored    (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_force_mirrored    (SelBaseSelector  *self,
                                                             gboolean          force_mirrored);
SEL_AVAILABLE_IN_1_0
gboolean            sel_base_selector_get_can_recurse       (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_can_recurse       (SelBaseSelector  *self,
                                                             gboolean          can_recurse);
SEL_AVAILABLE_IN_1_0
guint               sel_base_selector_get_max_dispatch      (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_max_dispatch      (SelBaseSelector  *self,
                                                             guint             max_dispatch);
SEL_AVAILABLE_IN_1_0
SelHangupPolicy     sel_base_selector_get_hangup_policy     (SelBaseSelector  *self);
SEL_AVAILABLE_IN_1_0
void                sel_base_selector_set_hangup_policy     (SelBaseSelector  *self,
                                                             SelHangupPolicy   hangup_policy);

SEL_AVAILABLE_IN_1_0
void                sel_base_selector_report                (SelBaseSelector  *self,
                                                             int               fd,
                                                             SelEventMask      events);

G_END_DECLS
