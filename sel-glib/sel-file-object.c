/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <gio/gfiledescriptorbased.h>
#include <gio/gio.h>

#include "sel-error.h"
#include "sel-file-object.h"

/**
 * SECTION:sel-file-object
 * @Title: SelFileObject
 * @Short_description: Objects that have a file descriptor
 *
 * See the description of #SelFileObject.
 */

/**
 * SelFileObject:
 *
 * An interface for objects that have a file descriptor.
 *
 * An object of a class that implements #SelFileObject can be registered with a selector instead of its descriptor. The
 * classes of GIO that have a descriptor do not need the interface, because sel_fileobj_to_fd() knows them.
 *
 * Buffered streams and encrypted connections may hold data that was already read from the descriptor. The descriptor
 * does not become ready for this data, so read all of it before waiting.
 *
 * Since: 1.0
 */

G_DEFINE_INTERFACE (SelFileObject, sel_file_object, G_TYPE_OBJECT)

static void
sel_file_object_default_init (SelFileObjectInterface *iface)
{
}

/**
 * sel_file_object_fileno:
 * @self: a file object
 * @error: return location for an error, or %NULL
 *
 * Gets the descriptor of @self, by calling #SelFileObjectInterface.query_fd().
 *
 * Fails with the error of the implementation. If the implementation sets no error, but fails or returns a negative
 * descriptor, fails with %SEL_SELECTOR_ERROR_INVALID_FILE.
 *
 * Returns: the descriptor, which @self owns, or -1 on error
 *
 * Since: 1.0
 */
int
sel_file_object_fileno (SelFileObject  *self,
                        GError        **error)
{
  SelFileObjectInterface *iface;
  GError *local_error = NULL;
  int fd = -1;

  g_return_val_if_fail (SEL_IS_FILE_OBJECT (self), -1);

  iface = SEL_FILE_OBJECT_GET_IFACE (self);
  if (iface->query_fd == NULL || !iface->query_fd (self, &fd, &local_error))
    fd = -1;

  if (local_error != NULL)
    {
      g_propagate_error (error, local_error);
      return -1;
    }
  if (fd < 0)
    {
      g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE,
                   "File object %s has no descriptor", G_OBJECT_TYPE_NAME (self));
      return -1;
    }

  return fd;
}

static int sel_fileobj_peek_fd (GObject *fileobj);

/* A connection has a descriptor if its two streams have the same one. */
static int
sel_io_stream_peek_fd (GIOStream *stream)
{
  int fd;

  if (g_io_stream_is_closed (stream))
    return -1;

  if (G_IS_SOCKET_CONNECTION (stream))
    return g_socket_get_fd (g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream)));

  if (G_IS_TLS_CONNECTION (stream))
    {
      g_autoptr(GIOStream) base = NULL;

      g_object_get (stream, "base-io-stream", &base, NULL);

      return base != NULL ? sel_fileobj_peek_fd (G_OBJECT (base)) : -1;
    }

  fd = sel_fileobj_peek_fd (G_OBJECT (g_io_stream_get_input_stream (stream)));

  return fd == sel_fileobj_peek_fd (G_OBJECT (g_io_stream_get_output_stream (stream))) ? fd : -1;
}

/* Gets the descriptor of an object, or -1. A closed stream may still return its number, but another file may have this
 * number by now. */
static int
sel_fileobj_peek_fd (GObject *fileobj)
{
  if (G_IS_SOCKET (fileobj))
    return g_socket_get_fd (G_SOCKET (fileobj));

  if (G_IS_IO_STREAM (fileobj))
    return sel_io_stream_peek_fd (G_IO_STREAM (fileobj));

  if (G_IS_INPUT_STREAM (fileobj) && g_input_stream_is_closed (G_INPUT_STREAM (fileobj)))
    return -1;

  if (G_IS_OUTPUT_STREAM (fileobj) && g_output_stream_is_closed (G_OUTPUT_STREAM (fileobj)))
    return -1;

  if (G_IS_FILE_DESCRIPTOR_BASED (fileobj))
    return g_file_descriptor_based_get_fd (G_FILE_DESCRIPTOR_BASED (fileobj));

  if (G_IS_FILTER_INPUT_STREAM (fileobj))
    return sel_fileobj_peek_fd (G_OBJECT (g_filter_input_stream_get_base_stream (G_FILTER_INPUT_STREAM (fileobj))));

  if (G_IS_FILTER_OUTPUT_STREAM (fileobj))
    return sel_fileobj_peek_fd (G_OBJECT (g_filter_output_stream_get_base_stream (G_FILTER_OUTPUT_STREAM (fileobj))));

  if (SEL_IS_FILE_OBJECT (fileobj))
    return sel_file_object_fileno (SEL_FILE_OBJECT (fileobj), NULL);

  return -1;
}

/**
 * sel_fileobj_to_fd:
 * @fileobj: an object
 * @error: return location for an error, or %NULL
 *
 * Gets the descriptor of any object that has exactly one: a #SelFileObject, a #GSocket, a #GSocketConnection, a
 * #GFileDescriptorBased stream, and streams and connections on top of one of these.
 *
 * Fails with %SEL_SELECTOR_ERROR_INVALID_FILE if the object has no descriptor, has a different one for each direction,
 * or is closed, and like sel_file_object_fileno() for a #SelFileObject.
 *
 * Returns: the descriptor, which @fileobj owns, or -1 on error
 *
 * Since: 1.0
 */
int
sel_fileobj_to_fd (GObject  *fileobj,
                   GError  **error)
{
  int fd;

  g_return_val_if_fail (G_IS_OBJECT (fileobj), -1);

  if (SEL_IS_FILE_OBJECT (fileobj))
    return sel_file_object_fileno (SEL_FILE_OBJECT (fileobj), error);

  fd = sel_fileobj_peek_fd (fileobj);
  if (fd < 0)
    {
      g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE,
                   "File object %s has no descriptor or is closed", G_OBJECT_TYPE_NAME (fileobj));
      return -1;
    }

  return fd;
}
