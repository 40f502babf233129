/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can every mechanism use? See sel-backend-private.h. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "core/sel-backend-private.h"

gboolean
sel_backend_set_unsupported (SelBaseSelector  *self,
                             GError          **error)
{
  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED,
               "%s is not supported on this system", G_OBJECT_TYPE_NAME (self));

  return FALSE;
}

gboolean
sel_backend_check_fd (int      fd,
                      GError **error)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0)
    return sel_os_error_set (error, fd, errno);

#ifdef O_PATH
  if ((flags & O_PATH) != 0)
    return sel_os_error_set (error, fd, EBADF);
#endif

  return TRUE;
}

gboolean
sel_backend_rearm_all (SelBaseSelector  *self,
                       GError          **error)
{
  gboolean success = sel_pause_arm_all (sel_core (self), error);

  sel_notify_changed (sel_core (self), -1);

  return success;
}

gboolean
sel_backend_ensure_open (SelBaseSelector  *self,
                         GError          **error)
{
  return sel_lifecycle_ensure_open_locking (sel_core (self), error);
}

void
sel_backend_install_fd (GObjectClass *klass,
                        void        (*get_property) (GObject    *object,
                                                     guint       property_id,
                                                     GValue     *value,
                                                     GParamSpec *pspec))
{
  klass->get_property = get_property;
  g_object_class_install_property (klass, 1,
                                   g_param_spec_int ("fd", NULL, "The descriptor of the mechanism, or -1",
                                                     -1, G_MAXINT, -1,
                                                     G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

SelBaseSelector *
sel_backend_new (GType    type,
                 GError **error)
{
  g_autoptr(SelBaseSelector) self = g_object_new (type, NULL);

  if (!sel_backend_ensure_open (self, error))
    return NULL;

  return g_steal_pointer (&self);
}

gboolean
sel_backend_can_open (GType type)
{
  g_autoptr(SelBaseSelector) self = sel_backend_new (type, NULL);

  return self != NULL;
}
