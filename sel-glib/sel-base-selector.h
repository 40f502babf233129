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
 * @open: makes the kernel object
 * @update: tells the kernel which events to wait for on one descriptor
 * @wait: waits in the kernel and reports the ready descriptors
 * @release: frees everything that @open made
 *
 * The virtual function table of #SelBaseSelector. A mechanism implements these functions.
 *
 * The base class handles timeouts, interrupted waits, keys, threads, forks and error messages. A function that
 * returns %FALSE and sets no error fails with %SEL_SELECTOR_ERROR_FAILED.
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
   * Makes the kernel object. It is called before the other functions, but never before the object is
   * constructed. sel_base_selector_reinit() calls it again, after @release. It may be %NULL if there is
   * nothing to make.
   *
   * If it fails, @release is not called, so it must free its memory. The error is kept: later calls that
   * need the kernel object fail with it, until sel_base_selector_reinit() succeeds.
   *
   * The selector is locked during the call. The function may look up keys. Functions that change the selector or
   * wait fail with %SEL_SELECTOR_ERROR_BUSY.
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
   * @old_events: the events that the kernel waits for on @fd, or 0 to add @fd
   * @new_events: the events to wait for from now on, or 0 to remove @fd
   * @error: return location for an error, or %NULL
   *
   * Adds, changes or removes one descriptor. The change is complete when the function returns.
   *
   * If the function fails, it leaves the kernel as it was. If it fails with `EINTR` in %SEL_OS_ERROR, it is
   * called again. An error of a removal is ignored, because the descriptor may already be closed. With
   * `EPERM`, the file is always ready and can be registered only if #SelBaseSelector:emulate-always-ready is set.
   * With `EPIPE`, the descriptor is treated as always ready.
   *
   * The selector has one descriptor of its own, which ends waits from other threads. It is added right after
   * @open, before the registered descriptors.
   *
   * The function may be called while @wait runs in another thread. The selector is locked during the call. The
   * function may look up keys. Functions that change the selector or wait fail with %SEL_SELECTOR_ERROR_BUSY. The
   * function must not wait for a thread that uses the selector.
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
   * @timeout: the longest time to wait, in seconds; 0 does not wait, %SEL_WAIT_FOREVER waits without a limit;
   *   never negative and always a number
   * @error: return location for an error, or %NULL
   *
   * Waits until a descriptor is ready, and calls sel_base_selector_report() for each ready descriptor.
   * It may return early with nothing reported, and is then called again if there is time left. If a signal
   * interrupts it, it fails with `EINTR` in %SEL_OS_ERROR.
   *
   * All descriptors stay armed: the next call reports a descriptor again if it is still ready. Only one thread
   * calls this function at a time, but each call may come from another thread. The selector is not locked during
   * the call.
   *
   * Returns: %TRUE on success, even if nothing is ready
   *
   * Since: 1.0
   */
  gboolean (*wait)    (SelBaseSelector  *self,
                       gdouble           timeout,
                       GError          **error);

  /**
   * SelBaseSelectorClass::release:
   * @self: a selector
   * @forked: %TRUE if this process is a child of the process that called @open
   *
   * Frees everything that @open made. If @forked is %TRUE, it must not change the kernel object of the parent: it
   * may only free memory and close descriptors that the child has inherited. It may be %NULL if there is nothing to
   * free.
   *
   * It is called by sel_base_selector_close(), by sel_base_selector_reinit(), and when the last reference is
   * dropped. If the selector is closed while another thread waits, or while a source of another thread is attached,
   * the last of these threads calls it. When the last reference is dropped, the attributes that a scripting language
   * keeps for its wrapper of @self may already be gone.
   *
   * The selector is locked during the call, as in @open.
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
 * @fd: a registered descriptor
 * @events: the events that @fd is ready for, never empty
 * @data: the pointer that was given to sel_base_selector_register() for @fd
 *
 * A ready descriptor, as stored by sel_base_selector_select_ready().
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
  guint        ends;
};

/**
 * SelSelectorFunc:
 * @selector: the selector
 * @key: the key of a ready descriptor
 * @events: the events that the descriptor is ready for
 * @user_data: (closure): the data that was given together with the function
 *
 * The type of a callback that a main loop calls for each ready descriptor of a selector.
 *
 * The callback may call any function of the selector and of the source that called it. If it returns
 * %G_SOURCE_REMOVE, it is not called again: the callback of a descriptor is removed by unregistering the
 * descriptor, and the callback of a source by destroying the source.
 *
 * Returns: %G_SOURCE_CONTINUE to be called again, or %G_SOURCE_REMOVE
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
GList              *sel_base_selector_check_list            (SelBaseSelector  *self,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
GPtrArray          *sel_base_selector_select                (SelBaseSelector  *self,
                                                             gdouble           timeout,
                                                             GCancellable     *cancellable,
                                                             GError          **error);
SEL_AVAILABLE_IN_1_0
GList              *sel_base_selector_select_list           (SelBaseSelector  *self,
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
