/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-types.h>

G_BEGIN_DECLS

#define SEL_TYPE_FILE_OBJECT (sel_file_object_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (SelFileObject, sel_file_object, SEL, FILE_OBJECT, GObject)

/**
 * SelFileObjectInterface:
 * @parent_iface: the parent interface
 * @query_fd: gets the file descriptor of the object
 *
 * The virtual function table of #SelFileObject.
 *
 * Since: 1.0
 */
struct _SelFileObjectInterface
{
  GTypeInterface parent_iface;

  /**
   * SelFileObjectInterface::query_fd:
   * @self: a file object
   * @fd: (out): return location for the descriptor
   * @error: return location for an error, or %NULL
   *
   * Gets the descriptor of @self, which still owns it. A function that returns %FALSE does not have to set an error.
   *
   * Returns: %TRUE if @fd was set, or %FALSE if @self has no descriptor, or has none any more
   *
   * Since: 1.0
   */
  gboolean (*query_fd) (SelFileObject  *self,
                        int            *fd,
                        GError        **error);
};

SEL_AVAILABLE_IN_1_0
int sel_file_object_fileno (SelFileObject  *self,
                            GError        **error);
SEL_AVAILABLE_IN_1_0
int sel_fileobj_to_fd      (GObject        *fileobj,
                            GError        **error);

G_END_DECLS
