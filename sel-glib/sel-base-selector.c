/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <pthread.h>

#include "core/sel-dispatch-private.h"
#include "core/sel-fork-private.h"
#include "core/sel-wait-private.h"
#include "sel-base-selector-private.h"
#include "sel-enum-types.h"
#include "sel-selector-mapping-private.h"

/* The class, its properties and its life cycle. The rooms in core/ do the work; sel-registration.c, sel-modification.c,
 * sel-lookup.c, sel-select.c and sel-settings.c have the other public functions. */

/**
 * SECTION:sel-base-selector
 * @Title: SelBaseSelector
 * @Short_description: Waits until registered file objects are ready
 *
 * See the description of #SelBaseSelector.
 */

/**
 * SelBaseSelector:
 *
 * A selector waits for many file objects at once. Register each file object with the events to wait for, and
 * sel_base_selector_select() tells which of them are ready. The functions, their names and their behaviour
 * are those of the `selectors` module of Python.
 *
 * #SelBaseSelector is the abstract base class of all selectors. Use sel_default_selector_new() to get a selector for
 * the best mechanism of the system.
 *
 * # Readiness # {#readiness}
 *
 * A descriptor is ready for reading or writing if a read or a write would not block. An error or a hang-up lets
 * both return at once, so it counts as both. Readiness is a hint: another process or thread may read the data first, so
 * descriptors should not block.
 *
 * A descriptor stays ready until the cause is gone, and each call reports it again.
 *
 * # Closing # {#closing}
 *
 * Unregister a descriptor before closing it. If a program does not, the key stays, but the descriptor is not
 * reported any more, and nothing else suffers. sel_base_selector_check() finds such keys, and
 * unregistering them works. With epoll, a closed descriptor is still reported as long as a duplicate of
 * it is open somewhere.
 *
 * If the environment variable `SEL_DEBUG` contains `fd`, there is a warning about a descriptor that was closed, and
 * opened again for another file, without being unregistered. The descriptor is examined when it is modified or
 * unregistered, and by sel_base_selector_check().
 *
 * # Threads # {#threads}
 *
 * All functions may be called from any thread. If a thread registers, modifies or unregisters a descriptor, another
 * thread that waits sees the change. Only one thread can wait at a time.
 *
 * # Forking # {#forking}
 *
 * A child process cannot wait on a selector of its parent: this fails with %SEL_SELECTOR_ERROR_FORKED. Changes in
 * the child have no effect on the parent. After sel_base_selector_reinit() the selector belongs to the child.
 *
 * # Hang-ups # {#hang-ups}
 *
 * A descriptor whose other end is gone is always ready. If its callback does not unregister it, a #GMainContext would
 * call the callback in every turn, and the program would use all the time of a processor;
 * #SelBaseSelector:hangup-policy says how the main loop treats such a descriptor instead. The callback of a
 * registered descriptor that was closed is not called any more. To find out, the library calls `poll()` now and then:
 * in the long run before each 128th call of a callback; more often if the kernel reports a hang-up, or if the mechanism
 * does not tell them.
 *
 * # Loops in callbacks # {#nested-loops}
 *
 * A callback may run a main loop of its own, for example for a modal dialog. Other callbacks are called meanwhile, but
 * no callback that is running already, as with one g_unix_fd_add() for each descriptor: its descriptors wait until
 * it returns. Set #SelBaseSelector:can-recurse if it is to be called all the same.
 *
 * Since: 1.0
 */

/* The core is the first member: sel_core() finds it at the offset of the private data. */
typedef struct
{
  SelCore core;
  SelSelectorMapping *map;
} SelBaseSelectorPrivate;

/* The numbers of the properties: first those of the settings, then those that can only be read. */
#define PROP(setting) ((setting) + 1)
#define PROP_CLOSED PROP (SEL_N_SETTINGS)
#define PROP_MAP (PROP_CLOSED + 1)
#define N_PROPERTIES (PROP_MAP + 1)

static GParamSpec *properties[N_PROPERTIES];

gssize sel_core_offset;

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (SelBaseSelector, sel_base_selector, G_TYPE_OBJECT)

#define PRIV(self) \
  ((SelBaseSelectorPrivate *) sel_base_selector_get_instance_private ((SelBaseSelector *) (self)))

/* In a child process: the other threads of the parent do not exist here, so that their calls never return. */
static void
sel_base_selector_forked (SelCore *core)
{
  sel_wait_forked (core);
  sel_dispatch_forked (core);
  sel_notify_forked (core);
  sel_lifecycle_forked (core);
}

/* Takes everything out of a selector that is closed. Returns: (nullable): the watchers of this thread */
static GPtrArray *
sel_base_selector_take_all (SelCore     *core,
                            SelKeyTable *table,
                            GPtrArray   *callbacks)
{
  GPtrArray *watchers, *garbage;

  sel_state_lock (core);
  sel_dispatch_retain_all (core);
  sel_registry_take_all (core, table);
  sel_key_table_steal_callbacks (table, callbacks);
  for (guint i = callbacks->len; i-- > 0;)
    {
      if (sel_notify_give_garbage (core, g_ptr_array_index (callbacks, i)))
        g_ptr_array_steal_index (callbacks, i);
    }
  garbage = sel_notify_take_garbage (core);
  if (garbage != NULL)
    g_ptr_array_extend_and_steal (callbacks, garbage);
  watchers = sel_notify_close_watchers (core);
  if (sel_state_has (core, SEL_STATE_IN_WAIT))
    sel_notify_wake (core);
  sel_state_unlock (core);

  return watchers;
}

/* The second half of sel_base_selector_close(). It calls foreign code, which may drop the last reference. */
static void
sel_base_selector_finish_close (SelCore *core)
{
  SelBaseSelector *self = g_object_ref (sel_core_get_selector (core));
  g_autoptr(GPtrArray) callbacks = g_ptr_array_new_with_free_func ((GDestroyNotify) sel_callback_free);
  g_autoptr(GPtrArray) watchers = NULL;
  SelKeyTable table;

  SEL_POINT ("close-marked");
  watchers = sel_base_selector_take_all (core, &table, callbacks);
  SEL_POINT ("close-taken");
  for (guint i = 0; watchers != NULL && i < watchers->len; i++)
    sel_watcher_close (g_ptr_array_index (watchers, i));

  SEL_POINT ("close-release");
  sel_state_lock (core);
  sel_lifecycle_release_if_unused (core);
  sel_state_unlock (core);
  SEL_POINT ("close-free");

  g_ptr_array_set_size (callbacks, 0);
  sel_key_table_clear (&table);
  g_object_unref (self);
}

static const SelStateFuncs sel_base_selector_state_funcs = {
  .forked = sel_base_selector_forked,
  .finish_close = sel_base_selector_finish_close,
};

static void
sel_base_selector_dispose (GObject *object)
{
  SelCore *core = sel_core (SEL_BASE_SELECTOR (object));

  sel_base_selector_close (SEL_BASE_SELECTOR (object));
  sel_state_lock (core);
  sel_notify_keep_selector (core);
  sel_state_unlock (core);

  G_OBJECT_CLASS (sel_base_selector_parent_class)->dispose (object);
}

static void
sel_base_selector_finalize (GObject *object)
{
  SelBaseSelectorPrivate *priv = PRIV (object);
  SelCore *core = &priv->core;

  SEL_POINT ("finalize");
  if (priv->map != NULL)
    sel_selector_mapping_detach (priv->map);
  g_clear_object (&priv->map);
  sel_wait_clear (core);
  sel_lifecycle_clear (core);
  sel_pause_clear (core);
  sel_registry_clear (core);
  sel_notify_clear (core);
  sel_state_clear (core);

  G_OBJECT_CLASS (sel_base_selector_parent_class)->finalize (object);
}

void
sel_base_selector_set_setting (SelBaseSelector *self,
                               SelSetting       setting,
                               guint            value)
{
  SelCore *core = sel_core (self);
  gboolean changed = __atomic_exchange_n (&core->settings[setting], value, __ATOMIC_SEQ_CST) != value;

  if (changed && setting == SEL_SETTING_FORCE_MIRRORED)
    {
      sel_state_lock (core);
      sel_notify_changed (core, -1);
      sel_state_unlock (core);
    }

  /* The new policy may report a descriptor that the old one has paused. Mirrored mode has no alarms. */
  if (changed && (setting == SEL_SETTING_HANGUP_POLICY || setting == SEL_SETTING_FORCE_MIRRORED))
    sel_pause_resume_all (core);

  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP (setting)]);
}

static void
sel_base_selector_get_property (GObject    *object,
                                guint       property_id,
                                GValue     *value,
                                GParamSpec *pspec)
{
  guint setting;

  if (property_id == PROP_CLOSED)
    {
      g_value_set_boolean (value, sel_base_selector_is_closed (SEL_BASE_SELECTOR (object)));
      return;
    }
  if (property_id == PROP_MAP)
    {
      g_value_set_object (value, sel_base_selector_get_map (SEL_BASE_SELECTOR (object)));
      return;
    }

  setting = sel_core_get_setting (sel_core (object), property_id - PROP (0));
  if (G_VALUE_HOLDS_BOOLEAN (value))
    g_value_set_boolean (value, setting != 0);
  else if (G_VALUE_HOLDS_UINT (value))
    g_value_set_uint (value, setting);
  else
    g_value_set_enum (value, (int) setting);
}

static void
sel_base_selector_set_property (GObject      *object,
                                guint         property_id,
                                const GValue *value,
                                GParamSpec   *pspec)
{
  guint setting;

  if (G_VALUE_HOLDS_BOOLEAN (value))
    setting = g_value_get_boolean (value);
  else if (G_VALUE_HOLDS_UINT (value))
    setting = g_value_get_uint (value);
  else
    setting = (guint) g_value_get_enum (value);

  sel_base_selector_set_setting (SEL_BASE_SELECTOR (object), property_id - PROP (0), setting);
}

static gboolean
sel_base_selector_set_missing (SelBaseSelector  *self,
                               const char       *function,
                               GError          **error)
{
  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED, "%s does not implement %s ()",
               G_OBJECT_TYPE_NAME (self), function);

  return FALSE;
}

/* The update () of a class that has none. */
static gboolean
sel_base_selector_real_update (SelBaseSelector  *self,
                               int               fd,
                               SelEventMask      old_events,
                               SelEventMask      new_events,
                               GError          **error)
{
  return sel_base_selector_set_missing (self, "update", error);
}

/* The wait () of a class that has none. */
static gboolean
sel_base_selector_real_wait (SelBaseSelector  *self,
                             gdouble           timeout,
                             GError          **error)
{
  return sel_base_selector_set_missing (self, "wait", error);
}

static void
sel_base_selector_class_init (SelBaseSelectorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  sel_core_offset = SelBaseSelector_private_offset;
  sel_state_set_funcs (&sel_base_selector_state_funcs);
  pthread_atfork (NULL, NULL, sel_fork_begin_child);

  object_class->dispose = sel_base_selector_dispose;
  object_class->finalize = sel_base_selector_finalize;
  object_class->get_property = sel_base_selector_get_property;
  object_class->set_property = sel_base_selector_set_property;
  klass->update = sel_base_selector_real_update;
  klass->wait = sel_base_selector_real_wait;

  /**
   * SelBaseSelector:interruptible:
   *
   * %TRUE if a signal ends a wait early, with nothing ready. Otherwise the wait continues with the time
   * that is left, as in Python since PEP 475.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_INTERRUPTIBLE)] =
    g_param_spec_boolean ("interruptible", NULL, "TRUE if a signal ends a wait early",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:emulate-always-ready:
   *
   * %TRUE if files that are always ready can be registered although the kernel refuses to wait for them, for example
   * regular files and directories with epoll and kqueue. Every call then reports them, and no wait blocks while one is
   * registered. If this is %FALSE, registering them fails with `EPERM` as in Python.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_EMULATE_ALWAYS_READY)] =
    g_param_spec_boolean ("emulate-always-ready", NULL, "TRUE if files that are always ready can be registered",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:force-mirrored:
   *
   * %TRUE if a main loop polls each registered descriptor, even if it could poll a single descriptor of the selector
   * instead. Callbacks are called in the same way; a turn of the loop takes time in proportion to the number of
   * descriptors. Descriptors that are reported as ready only once when they are polled, such as perf events and
   * `/proc/self/mountinfo`, need this in a main loop.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_FORCE_MIRRORED)] =
    g_param_spec_boolean ("force-mirrored", NULL, "TRUE if a main loop polls each registered descriptor",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:can-recurse:
   *
   * %TRUE if a callback is called again, for another descriptor or the same one, while it runs a main loop of its
   * own, for example for a modal dialog. If this is %FALSE, only other callbacks are called meanwhile, and
   * descriptors with this callback wait until it returns. A callback that runs a loop whenever it is called, and
   * reads nothing before, calls itself endlessly if this is %TRUE.
   *
   * It also holds for the function of sel_base_selector_create_source(); g_source_set_can_recurse() has no effect on
   * that source.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_CAN_RECURSE)] =
    g_param_spec_boolean ("can-recurse", NULL, "TRUE if a callback is called again while it runs a main loop",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:max-dispatch:
   *
   * The number of ready descriptors for which callbacks are called in one turn of a main loop, before other sources
   * of the same priority get their turn. The other callbacks are called in the next turns.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_MAX_DISPATCH)] =
    g_param_spec_uint ("max-dispatch", NULL, "For how many ready descriptors callbacks are called in one turn",
                       1, SEL_MAX_DISPATCH, SEL_MAX_DISPATCH,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:hangup-policy:
   *
   * How a main loop treats a descriptor whose other end is gone, if its callback neither modifies nor unregisters it.
   * Such a descriptor is always ready. Only the direction that has ended is paused. The same holds for the callback of
   * a plain source and for sel_base_selector_select_async(). All sources of a selector share its pauses. A change of
   * the property resumes all paused descriptors.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_HANGUP_POLICY)] =
    g_param_spec_enum ("hangup-policy", NULL, "How a main loop treats a hang-up that a callback ignores",
                       SEL_TYPE_HANGUP_POLICY, SEL_HANGUP_POLICY_THROTTLE,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:closed:
   *
   * %TRUE if the selector was closed. There is no notification, because any thread may close a selector.
   *
   * Since: 1.0
   */
  properties[PROP_CLOSED] =
    g_param_spec_boolean ("closed", NULL, "TRUE if the selector was closed",
                          FALSE,
                          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:map:
   *
   * The live view of the registered descriptors, or %NULL if the selector was closed.
   *
   * Since: 1.0
   */
  properties[PROP_MAP] =
    g_param_spec_object ("map", NULL, "The live view of the registered descriptors",
                         SEL_TYPE_SELECTOR_MAPPING,
                         G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

static void
sel_base_selector_init (SelBaseSelector *self)
{
  SelCore *core = sel_core (self);

  sel_state_init (core);
  sel_notify_init (core);
  sel_registry_init (core);
  sel_wait_init (core);
  core->settings[SEL_SETTING_MAX_DISPATCH] = SEL_MAX_DISPATCH;
}

/**
 * sel_base_selector_get_map:
 * @self: a selector
 *
 * Gets a live view of the registered descriptors: the same object each time. The mapping lives as long as @self. It
 * is empty after @self was closed.
 *
 * Returns: (transfer none) (nullable): the mapping, or %NULL if @self is closed
 *
 * Since: 1.0
 */
SelSelectorMapping *
sel_base_selector_get_map (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv;
  SelSelectorMapping *map;
  gboolean closed;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);

  priv = PRIV (self);

  sel_state_lock (&priv->core);
  closed = sel_state_has (&priv->core, SEL_STATE_CLOSED);
  if (priv->map == NULL && !closed)
    priv->map = sel_selector_mapping_new (self);
  map = closed ? NULL : priv->map;
  sel_state_unlock (&priv->core);
  SEL_POINT ("map-found");

  return map;
}

/**
 * sel_base_selector_reinit:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Opens the selector again: the kernel is told about every registered descriptor anew. A child process must call this
 * before it can use a selector of its parent. Descriptors that are closed in the child keep their keys.
 *
 * Fails with %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_BUSY if another thread waits or a virtual function of
 * @self calls this, or a %SEL_OS_ERROR if the kernel refuses. In the last case the selector is not open, and this
 * function may be called again; an asynchronous wait that is in progress fails with the same error.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_reinit (SelBaseSelector  *self,
                          GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return sel_lifecycle_reinit (sel_core (self), error);
}

/**
 * sel_base_selector_close:
 * @self: a selector
 *
 * Closes @self: forgets all keys and gives back the kernel's objects. Registered descriptors stay
 * open. A thread that waits gets %SEL_SELECTOR_ERROR_CLOSED, and so does every later call.
 *
 * Sources of the calling thread are destroyed. Sources of other threads are destroyed in the next turn of their main
 * loops; callbacks are freed there, too. The last one that uses the kernel's objects gives them back: this function, a
 * thread that waits, or such a source.
 *
 * If a virtual function of @self calls this, the call that has called the virtual function closes @self when it is
 * done.
 *
 * This function may be called more than once. Dropping the last reference closes a selector as well.
 *
 * Since: 1.0
 */
void
sel_base_selector_close (SelBaseSelector *self)
{
  gboolean finish;
  SelCore *core;

  g_return_if_fail (sel_is_base_selector (self));

  core = sel_core (self);

  /* The memory that is freed may include the last other reference. */
  g_object_ref (self);
  sel_state_lock (core);
  /* A thread of the parent process may have begun to close it; it does not exist in the child. */
  finish = !sel_state_has (core, SEL_STATE_CLOSED) || sel_state_has (core, SEL_STATE_FORKED);
  if (finish)
    {
      sel_state_set (core, SEL_STATE_CLOSED);
      finish = !sel_state_close_later (core);
    }
  sel_state_unlock (core);

  if (finish)
    sel_base_selector_finish_close (core);
  g_object_unref (self);
}

/**
 * sel_base_selector_is_closed:
 * @self: a selector
 *
 * Tells whether sel_base_selector_close() was called.
 *
 * Returns: %TRUE if @self is closed
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_is_closed (SelBaseSelector *self)
{
  g_return_val_if_fail (sel_is_base_selector (self), TRUE);

  return sel_state_has (sel_core (self), SEL_STATE_CLOSED);
}
