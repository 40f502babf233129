/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/sel-registry-private.h"

/* The functions of the registry that do not change a registration: they look up, and keep the numbers of registered
 * descriptors away from those that the library opens. See sel-registry-private.h. */

/* --- Looking up --- */

SelSelectorKey *
sel_registry_ref_key (SelCore *core,
                      int      fd)
{
  SelSelectorKey *key = NULL;
  SelKeySlot *slot;

  sel_state_lock (core);
  slot = sel_registry_lookup (core, fd);
  if (slot != NULL)
    key = sel_key_slot_ref_key (slot, fd);
  sel_state_unlock (core);

  return key;
}

int
sel_registry_find_object (SelCore *core,
                          GObject *fileobj)
{
  int fd;

  sel_state_lock (core);
  fd = sel_key_table_find (&core->registry.table, fileobj);
  sel_state_unlock (core);

  return fd;
}

GPtrArray *
sel_registry_get_keys (SelCore *core)
{
  GPtrArray *keys;

  sel_state_lock (core);
  keys = sel_key_table_get_keys (&core->registry.table);
  sel_state_unlock (core);

  return keys;
}

guint
sel_registry_get_n_keys (SelCore *core)
{
  return sel_key_table_get_n_keys (&core->registry.table);
}

/* --- For other rooms --- */

void
sel_registry_foreach (SelCore         *core,
                      SelKeyTableFunc  func,
                      gpointer         user_data)
{
  sel_key_table_foreach (&core->registry.table, func, user_data);
}

typedef struct
{
  GFunc func;
  gpointer user_data;
} ForeachArmed;

static void
sel_registry_call_with_fd (int         fd,
                           SelKeySlot *slot,
                           gpointer    user_data)
{
  ForeachArmed *foreach = user_data;

  foreach->func (GINT_TO_POINTER (fd), foreach->user_data);
}

void
sel_registry_foreach_armed (SelCore  *core,
                            GFunc     func,
                            gpointer  user_data)
{
  ForeachArmed foreach = { func, user_data };

  if (sel_state_has (core, SEL_STATE_OPEN))
    func (GINT_TO_POINTER (sel_notify_get_fd (core)), user_data);
  sel_registry_foreach (core, sel_registry_call_with_fd, &foreach);
}

SelEventMask
sel_registry_get_armed (SelCore *core,
                        int      fd)
{
  SelKeySlot *slot = sel_registry_lookup (core, fd);

  if (!sel_state_is_usable (core))
    return 0;

  if (slot != NULL)
    return slot->alarm ? 0 : slot->armed;

  return fd == sel_notify_get_fd (core) ? SEL_EVENT_READ : 0;
}

/* F_DUPFD does not take a number away from a file that another thread has just opened, as dup2() would. */
static void
sel_registry_reserve_number (int         fd,
                             SelKeySlot *slot,
                             gpointer    user_data)
{
  GArray *reserved = user_data;
  int source = g_array_index (reserved, int, 0);

  if (fcntl (fd, F_GETFD) < 0)
    {
      int placeholder = fcntl (source, F_DUPFD_CLOEXEC, fd);

      if (placeholder >= 0)
        g_array_append_val (reserved, placeholder);
    }
}

GArray *
sel_registry_reserve_numbers (SelCore *core)
{
  GArray *reserved;
  int source;

  if (sel_registry_get_n_keys (core) == 0)
    return NULL;

  source = open ("/", O_RDONLY | O_CLOEXEC);
  if (source < 0)
    return NULL;

  reserved = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (reserved, source);
  sel_registry_foreach (core, sel_registry_reserve_number, reserved);

  return reserved;
}

void
sel_registry_unreserve_numbers (GArray *reserved)
{
  for (guint i = 0; reserved != NULL && i < reserved->len; i++)
    close (g_array_index (reserved, int, i));
  g_clear_pointer (&reserved, g_array_unref);
}

void
sel_registry_open_bell (SelCore   *core,
                        SelWakeup *bell)
{
  GArray *reserved;

  if (!sel_wakeup_open (bell, NULL) ||
      (sel_registry_lookup (core, bell->read_fd) == NULL && sel_registry_lookup (core, bell->write_fd) == NULL))
    return;

  sel_wakeup_close (bell);
  reserved = sel_registry_reserve_numbers (core);
  sel_wakeup_open (bell, NULL);
  sel_registry_unreserve_numbers (reserved);
}

int
sel_registry_get_poll_fd (SelCore *core)
{
  if (sel_state_has (core, SEL_STATE_FORKED) || sel_core_get_setting (core, SEL_SETTING_FORCE_MIRRORED))
    return -1;

  return core->registry.poll_fd;
}

void
sel_registry_set_poll_fd (SelCore *core,
                          int      poll_fd)
{
  core->registry.poll_fd = poll_fd;
}

/* A log handler may use the selector, so the warning comes after the unlock. */
void
sel_registry_check_identity_slow (SelCore *core,
                                  int      fd)
{
  gboolean changed;

  sel_state_lock (core);
  changed = sel_fd_identities_take_change (core->registry.identities, fd);
  sel_state_unlock (core);

  if (changed)
    g_warning ("Descriptor %d was closed and stands for another file now, but it was not unregistered before", fd);
}
