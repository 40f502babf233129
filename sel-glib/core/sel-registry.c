/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which descriptors are registered, and which registrations does the kernel know? See sel-registry-private.h. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "core/sel-registry-private.h"
#include "sel-error-private.h"

void
sel_registry_init (SelCore *core)
{
  core->registry.poll_fd = -1;
  core->registry.identities = sel_fd_identities_new ();
}

void
sel_registry_clear (SelCore *core)
{
  g_clear_pointer (&core->registry.changed_in_wait, g_array_unref);
  g_clear_pointer (&core->registry.always_ready, g_array_unref);
  g_clear_pointer (&core->registry.echoing, g_array_unref);
  g_clear_pointer (&core->registry.identities, sel_fd_identities_free);
}

static inline guint32
sel_registry_next_generation (SelCore *core)
{
  return ++core->registry.generation;
}

/* --- Telling the kernel --- */

gboolean
sel_registry_complete_error (SelCore     *core,
                             const char  *function,
                             gboolean     success,
                             GError     **error)
{
  if (success)
    g_clear_error (error);
  else if (*error == NULL)
    g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED,
                 "%s.%s () returned FALSE, or nothing, and set no error",
                 G_OBJECT_TYPE_NAME (sel_core_get_selector (core)), function);

  return success;
}

/* Calls update (). @error is not NULL.
 *
 * This function and others between it and the functions of the room are inlined. After a system call, returns from
 * functions that were called before it are slow, probably because the processor mispredicts them. */
static SEL_ALWAYS_INLINE gboolean
sel_registry_update (SelCore       *core,
                     int            fd,
                     SelEventMask   old_events,
                     SelEventMask   new_events,
                     guint32        generation,
                     GError       **error)
{
  SelBaseSelector *selector = sel_core_get_selector (core);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (selector);
  gboolean success;
  gpointer outer;

  SEL_POINT ("locked-update");
  sel_notify_will_update (core);
  outer = sel_state_enter_vfunc (core);
  core->registry.tag = generation;
  for (;;)
    {
      success = klass->update != NULL && klass->update (selector, fd, old_events, new_events, error);
      if (G_LIKELY (success) || !sel_error_is_os (*error, EINTR))
        break;
      g_clear_error (error);
    }
  SEL_POINT ("locked-updated");
  sel_state_leave_vfunc (core, outer);

  if (G_LIKELY (success && *error == NULL))
    return TRUE;

  return sel_registry_complete_error (core, "update", success, error);
}

static SEL_ALWAYS_INLINE void
sel_registry_disarm_inline (SelCore      *core,
                            int           fd,
                            SelEventMask  armed)
{
  g_autoptr(GError) ignored = NULL;

  if (armed != 0 && !sel_state_has (core, SEL_STATE_FORKED))
    sel_registry_update (core, fd, armed, 0, 0, &ignored);
}

/* The same for callers that are not called often. */
static void
sel_registry_disarm_events (SelCore      *core,
                            int           fd,
                            SelEventMask  armed)
{
  sel_registry_disarm_inline (core, fd, armed);
}

/* --- Descriptors that are always ready --- */

static void
sel_registry_change_always_ready (SelCore    *core,
                                  int         fd,
                                  SelKeySlot *slot,
                                  gboolean    always_ready)
{
  GArray *fds = core->registry.always_ready;

  slot->always_ready = always_ready != FALSE;

  if (fds == NULL)
    fds = core->registry.always_ready = g_array_new (FALSE, FALSE, sizeof (int));

  if (always_ready)
    {
      /* The kernel may have reported another file with this number in the current wait. */
      sel_registry_mark_changed (core, fd, slot);
      g_array_append_val (fds, fd);
      sel_state_set (core, SEL_STATE_ALWAYS_READY);
      sel_notify_wake (core);
      return;
    }

  for (guint i = 0; i < fds->len; i++)
    {
      if (g_array_index (fds, int, i) == fd)
        {
          g_array_remove_index_fast (fds, i);
          break;
        }
    }
  if (fds->len == 0)
    sel_state_unset (core, SEL_STATE_ALWAYS_READY);
}

static inline void
sel_registry_set_always_ready (SelCore    *core,
                               int         fd,
                               SelKeySlot *slot,
                               gboolean    always_ready)
{
  if (G_UNLIKELY (slot->always_ready != always_ready))
    sel_registry_change_always_ready (core, fd, slot, always_ready);
}

const int *
sel_registry_get_always_ready (SelCore *core,
                               guint   *n_fds)
{
  *n_fds = core->registry.always_ready->len;

  return (const int *) (void *) core->registry.always_ready->data;
}

gboolean
sel_registry_check_always_ready (SelCore *core)
{
  GArray *fds = core->registry.always_ready;
  guint i = 0;

  if (!sel_state_has (core, SEL_STATE_ALWAYS_READY))
    return FALSE;

  while (i < fds->len)
    {
      int fd = g_array_index (fds, int, i);

      if (fcntl (fd, F_GETFD) >= 0)
        i++;
      else
        sel_registry_set_always_ready (core, fd, sel_registry_lookup (core, fd), FALSE);
    }

  return fds->len > 0;
}

void
sel_registry_disarm (SelCore    *core,
                     int         fd,
                     SelKeySlot *slot)
{
  sel_registry_disarm_events (core, fd, slot->armed);
  sel_registry_set_always_ready (core, fd, slot, FALSE);
  slot->armed = 0;
  slot->alarm = FALSE;
}

gboolean
sel_registry_arm_only (SelCore      *core,
                       int           fd,
                       SelKeySlot   *slot,
                       SelEventMask  events)
{
  g_autoptr(GError) ignored = NULL;

  if (events == 0 || (slot->armed == 0 && !slot->always_ready))
    {
      sel_registry_disarm (core, fd, slot);
      return TRUE;
    }

  if (!slot->always_ready && !sel_registry_update (core, fd, slot->armed, events, slot->generation, &ignored))
    {
      sel_registry_disarm (core, fd, slot);
      return FALSE;
    }
  if (!slot->always_ready)
    slot->armed = events & SEL_ALL_EVENTS;

  return TRUE;
}

gboolean
sel_registry_arm_alarm (SelCore    *core,
                        int         fd,
                        SelKeySlot *slot)
{
  g_autoptr(GError) ignored = NULL;

  if (!core->registry.has_alarms || sel_registry_get_poll_fd (core) < 0)
    return FALSE;

  core->registry.is_alarm = TRUE;
  slot->alarm = sel_registry_update (core, fd, 0, slot->registered, slot->generation, &ignored) != FALSE;
  core->registry.is_alarm = FALSE;
  slot->armed = slot->alarm ? slot->registered : 0;
  if (!slot->alarm)
    return FALSE;

  sel_key_slot_get_extra (slot, fd)->echoes = slot->armed;
  if (core->registry.echoing == NULL)
    core->registry.echoing = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (core->registry.echoing, fd);
  core->registry.n_alarms++;

  return TRUE;
}

gboolean
sel_registry_take_echo (SelCore      *core,
                        int           fd,
                        SelKeySlot   *slot,
                        SelEventMask  events)
{
  SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);
  SelEventMask taken = extra->echoes;

  if (core->registry.splits_alarms)
    taken &= events;
  extra->echoes &= ~(guint64) taken;

  return taken != 0;
}

void
sel_registry_end_echoes (SelCore *core,
                         guint    n_alarms)
{
  GArray *fds = core->registry.echoing;

  if (fds == NULL || n_alarms != core->registry.n_alarms)
    return;

  for (guint i = 0; i < fds->len; i++)
    {
      int fd = g_array_index (fds, int, i);
      SelKeySlot *slot = sel_registry_lookup (core, fd);

      if (slot != NULL)
        sel_key_slot_get_extra (slot, fd)->echoes = 0;
    }
  g_array_set_size (fds, 0);
}

/*
 * TRUE if the kernel's refusal to wait for a descriptor means that it is always ready. EPIPE comes from kqueue for a
 * pipe whose other end is closed, where the other mechanisms report an error or a hang-up. EPERM comes from epoll
 * and kqueue for files; it counts only if the program has asked for emulation.
 */
static gboolean
sel_registry_refusal_is_ready (SelCore      *core,
                               const GError *error)
{
  return sel_error_is_os (error, EPIPE) ||
         (sel_core_get_setting (core, SEL_SETTING_EMULATE_ALWAYS_READY) && sel_error_is_os (error, EPERM));
}

/* --- Arming --- */

/* The result of telling the kernel about a descriptor. */
typedef struct
{
  guint32 generation;
  SelEventMask armed;
  gboolean always_ready;
} Arming;

/* Tells the kernel about a slot that is in the table, or will be. */
static SEL_ALWAYS_INLINE gboolean
sel_registry_arm (SelCore       *core,
                  int            fd,
                  SelEventMask   old_events,
                  SelEventMask   new_events,
                  Arming        *arming,
                  GError       **error)
{
  g_autoptr(GError) local_error = NULL;

  arming->armed = new_events;
  arming->always_ready = FALSE;
  if (sel_registry_update (core, fd, old_events, new_events, arming->generation, &local_error))
    return TRUE;

  if (sel_registry_refusal_is_ready (core, local_error))
    {
      sel_registry_disarm_events (core, fd, old_events);
      arming->armed = 0;
      arming->always_ready = TRUE;
      return TRUE;
    }

  g_propagate_error (error, g_steal_pointer (&local_error));

  return FALSE;
}

static inline void
sel_registry_set_armed (SelCore      *core,
                        int           fd,
                        SelKeySlot   *slot,
                        const Arming *arming)
{
  slot->generation = arming->generation;
  slot->armed = arming->armed & SEL_ALL_EVENTS;
  slot->alarm = FALSE;
  if (G_UNLIKELY (core->registry.identities != NULL))
    sel_fd_identities_remember (core->registry.identities, fd);
  sel_registry_set_always_ready (core, fd, slot, arming->always_ready);
}

gboolean
sel_registry_arm_slot (SelCore     *core,
                       int          fd,
                       SelKeySlot  *slot,
                       gboolean     is_new,
                       GError     **error)
{
  Arming arming = { .generation = is_new ? sel_registry_next_generation (core) : slot->generation };
  SelEventMask old_events;

  /* A registration that is only modified would still report changes only. */
  if (is_new && slot->alarm)
    sel_registry_disarm (core, fd, slot);
  old_events = is_new ? slot->armed : 0;
  slot->generation = arming.generation;
  slot->armed = 0;
  if (!sel_registry_arm (core, fd, old_events, slot->active, &arming, error))
    {
      sel_registry_disarm_events (core, fd, old_events);
      return FALSE;
    }

  sel_registry_set_armed (core, fd, slot, &arming);

  return TRUE;
}

gboolean
sel_registry_arm_wakeup (SelCore  *core,
                         GError  **error)
{
  return sel_registry_update (core, sel_notify_get_fd (core), 0, SEL_EVENT_READ, 0, error);
}

/* --- Changes during a wait --- */

void
sel_registry_mark_changed_slow (SelCore    *core,
                                int         fd,
                                SelKeySlot *slot)
{
  sel_state_set (core, SEL_STATE_CHANGED);
  if (slot == NULL || slot->changed_in_wait)
    return;

  slot->changed_in_wait = TRUE;
  if (core->registry.changed_in_wait == NULL)
    core->registry.changed_in_wait = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (core->registry.changed_in_wait, fd);
}

void
sel_registry_clear_changed (SelCore *core)
{
  GArray *fds = core->registry.changed_in_wait;

  for (guint i = 0; fds != NULL && i < fds->len; i++)
    {
      SelKeySlot *slot = sel_registry_lookup (core, g_array_index (fds, int, i));

      if (slot != NULL)
        slot->changed_in_wait = FALSE;
    }
  if (fds != NULL)
    g_array_set_size (fds, 0);
  sel_state_unset (core, SEL_STATE_CHANGED);
}

/* --- Changing the table --- */

static G_NO_INLINE void
sel_registry_explain_missing (SelCore  *core,
                              int       fd,
                              GError  **error)
{
  if (sel_state_has (core, SEL_STATE_CLOSED))
    sel_error_set_closed (error);
  else if (sel_error_check_fd (fd, error))
    g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED,
                 "Descriptor %d is not registered", fd);
}

/* A closed selector has an empty table, and a negative number is never in it. */
static SEL_ALWAYS_INLINE SelKeySlot *
sel_registry_find_slot (SelCore  *core,
                        int       fd,
                        GError  **error)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  if (G_UNLIKELY (slot == NULL))
    sel_registry_explain_missing (core, fd, error);

  return slot;
}

SelKeySlot *
sel_registry_find (SelCore  *core,
                   int       fd,
                   GError  **error)
{
  return sel_registry_find_slot (core, fd, error);
}

gboolean
sel_registry_add (SelCore                *core,
                  int                     fd,
                  SelEventMask            events,
                  const SelRegistration  *registration,
                  SelSelectorKey        **key,
                  GError                **error)
{
  Arming arming;
  SelKeySlot *slot;
  SelKeyExtra *extra;

  if (fd == sel_notify_get_fd (core) || sel_registry_lookup (core, fd) != NULL)
    {
      g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED,
                   "Descriptor %d is already registered", fd);
      return FALSE;
    }

  arming.generation = sel_registry_next_generation (core);
  if (!sel_registry_arm (core, fd, 0, events, &arming, error))
    return FALSE;

  slot = sel_key_table_insert (&core->registry.table, fd, events);
  slot->data = registration->data;
  extra = sel_key_slot_get_extra (slot, fd);
  extra->attachment = sel_attachment_new (registration->fileobj, registration->data, registration->destroy,
                                          registration->value);
  extra->callback = registration->callback;
  sel_registry_set_armed (core, fd, slot, &arming);
  sel_registry_mark_changed (core, fd, slot);
  sel_notify_changed (core, fd);

  if (key != NULL)
    *key = sel_key_slot_ref_key (slot, fd);

  return TRUE;
}

static SEL_ALWAYS_INLINE void
sel_registry_remove_inline (SelCore     *core,
                            int          fd,
                            SelKeySlot  *slot,
                            SelKeyExtra *removed)
{
  if (G_UNLIKELY (core->registry.identities != NULL))
    sel_fd_identities_forget (core->registry.identities, fd);
  sel_registry_disarm_inline (core, fd, slot->armed);
  sel_registry_set_always_ready (core, fd, slot, FALSE);
  sel_key_table_remove (&core->registry.table, fd, removed);
  sel_registry_mark_changed (core, fd, NULL);
  sel_notify_changed (core, fd);
}

/* The same for callers that are not called often. */
static void
sel_registry_remove_slot (SelCore     *core,
                          int          fd,
                          SelKeySlot  *slot,
                          SelKeyExtra *removed)
{
  sel_registry_remove_inline (core, fd, slot, removed);
}

gboolean
sel_registry_remove (SelCore         *core,
                     int              fd,
                     SelSelectorKey **key,
                     SelKeyExtra     *removed,
                     GError         **error)
{
  SelKeySlot *slot = sel_registry_find_slot (core, fd, error);

  if (slot == NULL)
    return FALSE;

  if (key != NULL)
    *key = sel_key_slot_ref_key (slot, fd);
  sel_registry_remove_inline (core, fd, slot, removed);

  return TRUE;
}

void
sel_registry_remove_callback (SelCore     *core,
                              int          fd,
                              SelCallback *callback,
                              SelKeyExtra *removed)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  if (slot != NULL && sel_key_slot_get_extra (slot, fd)->callback == callback)
    sel_registry_remove_slot (core, fd, slot, removed);
}

gboolean
sel_registry_set_callback (SelCore      *core,
                           int           fd,
                           SelCallback  *callback,
                           SelKeyExtra  *removed,
                           GError      **error)
{
  SelKeySlot *slot = sel_registry_find_slot (core, fd, error);
  SelKeyExtra *extra;

  if (slot == NULL)
    return FALSE;

  extra = sel_key_slot_get_extra (slot, fd);
  removed->callback = extra->callback;
  extra->callback = callback;

  return TRUE;
}

/* Tells the kernel new events for a slot. If it refuses, the descriptor is no longer registered. */
static SEL_ALWAYS_INLINE gboolean
sel_registry_rearm (SelCore       *core,
                    int            fd,
                    SelKeySlot    *slot,
                    SelEventMask   old_events,
                    SelEventMask   new_events,
                    SelKeyExtra   *removed,
                    GError       **error)
{
  Arming arming = { .generation = sel_registry_next_generation (core) };

  if (G_UNLIKELY (slot->alarm))
    {
      sel_registry_disarm (core, fd, slot);
      old_events = 0;
    }
  if (!sel_registry_arm (core, fd, old_events, new_events, &arming, error))
    {
      sel_registry_remove_slot (core, fd, slot, removed);
      return FALSE;
    }

  slot->registered = new_events & SEL_ALL_EVENTS;
  sel_key_slot_resume (slot, SEL_ALL_EVENTS);
  sel_hangup_count_reset (&slot->hangup);
  sel_registry_set_armed (core, fd, slot, &arming);
  sel_registry_mark_changed (core, fd, slot);
  sel_notify_changed (core, fd);

  return TRUE;
}

/* The key and the attachment that are replaced move to @removed. */
static void
sel_registry_set_data (SelKeySlot            *slot,
                       int                    fd,
                       const SelRegistration *registration,
                       SelKeyExtra           *removed)
{
  SelKeyExtra *extra = sel_key_slot_get_extra (slot, fd);

  if (removed->key == NULL)
    removed->key = g_steal_pointer (&extra->key);
  removed->attachment = extra->attachment;
  extra->attachment = sel_attachment_new (sel_attachment_get_fileobj (removed->attachment),
                                          registration->data, registration->destroy, registration->value);
  slot->data = registration->data;
}

gboolean
sel_registry_modify (SelCore                *core,
                     int                     fd,
                     SelEventMask            events,
                     const SelRegistration  *registration,
                     SelSelectorKey        **key,
                     SelKeyExtra            *removed,
                     GError                **error)
{
  SelKeySlot *slot = sel_registry_find_slot (core, fd, error);
  SelKeyExtra *extra;

  if (slot == NULL)
    return FALSE;

  extra = sel_key_slot_get_extra (slot, fd);
  if (events != slot->registered || sel_key_slot_is_paused (slot))
    {
      gboolean new_key = events != slot->registered;

      if (!sel_registry_rearm (core, fd, slot, slot->armed, events, removed, error))
        return FALSE;

      if (new_key)
        removed->key = g_steal_pointer (&extra->key);
    }

  if (registration != NULL &&
      (slot->data != registration->data ||
       !sel_attachment_has_data (extra->attachment, registration->destroy, registration->value)))
    sel_registry_set_data (slot, fd, registration, removed);

  if (key != NULL)
    *key = sel_key_slot_ref_key (slot, fd);

  return TRUE;
}

gboolean
sel_registry_refresh (SelCore      *core,
                      int           fd,
                      SelKeyExtra  *removed,
                      GError      **error)
{
  SelKeySlot *slot = sel_registry_find_slot (core, fd, error);

  if (slot == NULL)
    return FALSE;

  sel_registry_disarm (core, fd, slot);

  return sel_registry_rearm (core, fd, slot, 0, slot->registered, removed, error);
}

void
sel_registry_take_all (SelCore     *core,
                       SelKeyTable *taken)
{
  sel_key_table_move (&core->registry.table, taken);
  sel_state_unset (core, SEL_STATE_ALWAYS_READY);
  g_clear_pointer (&core->registry.always_ready, g_array_unref);
}
