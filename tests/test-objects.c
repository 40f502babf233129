/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Keys, mapping, data, file objects, errors and enumerations. */

#include "backends.h"
#include "system-facts.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gfiledescriptorbased.h>
#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const SelEventMask BOTH = SEL_EVENT_READ | SEL_EVENT_WRITE;

/* A user-defined file object. */

#define TEST_TYPE_FILE (test_file_get_type ())
G_DECLARE_FINAL_TYPE (TestFile, test_file, TEST, FILE, GObject)

struct _TestFile
{
  GObject parent_instance;

  int      fd;
  GError  *error;   /* the error of query_fd () */
  gboolean refuse;  /* query_fd () returns FALSE */
};

static gboolean
test_file_query_fd (SelFileObject  *file_object,
                    int            *fd,
                    GError        **error)
{
  TestFile *self = TEST_FILE (file_object);

  if (self->error != NULL)
    {
      g_propagate_error (error, g_error_copy (self->error));
      return FALSE;
    }

  *fd = self->fd;
  return !self->refuse;
}

static void
test_file_file_object_init (SelFileObjectInterface *iface)
{
  iface->query_fd = test_file_query_fd;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestFile, test_file, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (SEL_TYPE_FILE_OBJECT,
                                                      test_file_file_object_init))

static void
test_file_finalize (GObject *object)
{
  g_clear_error (&TEST_FILE (object)->error);

  G_OBJECT_CLASS (test_file_parent_class)->finalize (object);
}

static void
test_file_class_init (TestFileClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_file_finalize;
}

static void
test_file_init (TestFile *self)
{
  self->fd = -1;
}

static GObject *
test_file_new (int fd)
{
  TestFile *self = g_object_new (TEST_TYPE_FILE, NULL);

  self->fd = fd;
  return G_OBJECT (self);
}

/* Keys */

static void
test_key_identity (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (SelSelectorKey) looked_up = NULL;
  g_autoptr (SelSelectorKey) unregistered = NULL;
  g_autoptr (GPtrArray) keys = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  key = sel_base_selector_get_key (selector, fds[1], NULL);
  looked_up = sel_selector_mapping_lookup (map, fds[1]);
  keys = sel_selector_mapping_get_keys (map);
  ready = sel_base_selector_select (selector, 0, NULL, NULL);
  g_assert_cmpuint (ready->len, ==, 1);

  g_assert_true (looked_up == key);
  g_assert_true (g_ptr_array_index (keys, 0) == key);
  g_assert_true (sel_selector_event_get_key (g_ptr_array_index (ready, 0)) == key);

  /* A modify () with the same values does not change the key. */
  rewatch (selector, fds[1], SEL_EVENT_WRITE);
  unregistered = sel_base_selector_unregister_key (selector, fds[1], NULL);
  g_assert_true (unregistered == key);

  close_pair (fds);
}

/* A key is immutable: it stays the same when its registration changes or ends. */
static void
test_key_immutable (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) first = NULL;
  g_autoptr (SelSelectorKey) second = NULL;
  g_autoptr (SelSelectorKey) third = NULL;
  char data[2];
  int fds[2];
  int fd;
  SelEventMask events;
  GObject *fileobj;

  open_pipe (fds);
  sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, &data[0], NULL, NULL);
  first = sel_base_selector_get_key (selector, fds[0], NULL);
  sel_base_selector_modify (selector, fds[0], BOTH, &data[0], NULL, NULL);
  second = sel_base_selector_get_key (selector, fds[0], NULL);
  sel_base_selector_modify (selector, fds[0], BOTH, &data[1], NULL, NULL);
  third = sel_base_selector_get_key (selector, fds[0], NULL);
  unwatch (selector, fds[0]);
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));

  g_assert_true (first != second && second != third && first != third);
  g_assert_cmpuint (sel_selector_key_get_events (first), ==, SEL_EVENT_READ);
  g_assert_cmpuint (sel_selector_key_get_events (second), ==, BOTH);
  g_assert_cmpuint (sel_selector_key_get_events (third), ==, BOTH);
  g_assert_true (sel_selector_key_get_data (first) == &data[0]);
  g_assert_true (sel_selector_key_get_data (second) == &data[0]);
  g_assert_true (sel_selector_key_get_data (third) == &data[1]);

  g_object_get (second, "fd", &fd, "events", &events, "fileobj", &fileobj, NULL);
  g_assert_cmpint (fd, ==, fds[0]);
  g_assert_cmpuint (events, ==, BOTH);
  g_assert_null (fileobj);

  close_pair (fds);
}

/* Mapping */

static void
assert_order (SelSelectorMapping *map,
              const char         *want,
              int                 fds[4][2])
{
  g_autoptr (GPtrArray) keys = sel_selector_mapping_get_keys (map);
  g_autoptr (GString) got = g_string_new (NULL);

  for (guint i = 0; i < keys->len; i++)
    for (guint j = 0; j < 4; j++)
      if (sel_selector_key_get_fd (g_ptr_array_index (keys, i)) == fds[j][0])
        g_string_append_c (got, 'a' + j);

  g_assert_cmpstr (got->str, ==, want);
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, strlen (want));
}

/* In the order of registration, which modify () does not change. */
static void
test_map_order (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  int fds[4][2];

  for (guint i = 0; i < 4; i++)
    open_pipe (fds[i]);

  watch (selector, fds[2][0], SEL_EVENT_READ);
  watch (selector, fds[0][0], SEL_EVENT_READ);
  watch (selector, fds[3][0], SEL_EVENT_READ);
  watch (selector, fds[1][0], SEL_EVENT_READ);
  assert_order (map, "cadb", fds);
  rewatch (selector, fds[2][0], BOTH);
  assert_order (map, "cadb", fds);
  unwatch (selector, fds[0][0]);
  assert_order (map, "cdb", fds);
  watch (selector, fds[0][0], SEL_EVENT_READ);
  assert_order (map, "cdba", fds);
  unwatch (selector, fds[2][0]);
  unwatch (selector, fds[0][0]);
  assert_order (map, "db", fds);

  for (guint i = 0; i < 4; i++)
    close_pair (fds[i]);
}

/* The mapping is a view until the selector is closed. A list of keys is a snapshot and does not change. */
static void
test_map_outlives (BackendFixture *fixture)
{
  g_autoptr (SelSelectorMapping) map = NULL;
  g_autoptr (GPtrArray) keys = NULL;
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GObject) file = NULL;
  int fds[2];

  open_pipe (fds);
  map = g_object_ref (sel_base_selector_get_map (fixture->selector));
  file = test_file_new (fds[0]);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  keys = sel_selector_mapping_get_keys (map);
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));

  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (map, fds[0]));
  g_assert_null (sel_selector_mapping_lookup (map, fds[0]));
  g_assert_null (sel_selector_mapping_lookup_object (map, file));
  none = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (keys->len, ==, 1);
  g_assert_cmpint (sel_selector_key_get_fd (g_ptr_array_index (keys, 0)), ==, fds[0]);

  close_pair (fds);
}

/* Data. Each value is freed once, when neither the selector nor a key holds it any more. */

static void
count_destroyed (gpointer data)
{
  (*(guint *) data)++;
}

static void
count_destroyed_otherwise (gpointer data)
{
  *(guint *) data += 100;
}

static gboolean
register_counted (SelBaseSelector *selector,
                  int              fd,
                  guint           *n_destroyed)
{
  return sel_base_selector_register (selector, fd, SEL_EVENT_READ, n_destroyed, count_destroyed,
                                     NULL);
}

static void
test_data_unregister (BackendFixture *fixture)
{
  guint n_destroyed = 0;
  int fds[2];

  open_pipe (fds);

  for (guint i = 1; i <= 3; i++)
    {
      g_assert_true (register_counted (fixture->selector, fds[0], &n_destroyed));
      g_assert_cmpuint (n_destroyed, ==, i - 1);
      unwatch (fixture->selector, fds[0]);
      g_assert_cmpuint (n_destroyed, ==, i);
    }

  close_pair (fds);
}

static void
test_data_key (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  guint n_destroyed = 0;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);

  g_assert_true (register_counted (selector, fds[0], &n_destroyed));
  key = sel_base_selector_unregister_key (selector, fds[0], NULL);
  g_assert_cmpuint (n_destroyed, ==, 0);
  g_assert_true (sel_selector_key_get_data (key) == &n_destroyed);
  g_clear_object (&key);
  g_assert_cmpuint (n_destroyed, ==, 1);

  g_assert_true (register_counted (selector, fds[0], &n_destroyed));
  ready = sel_base_selector_select (selector, 0, NULL, NULL);
  g_assert_cmpuint (ready->len, ==, 1);
  unwatch (selector, fds[0]);
  g_assert_cmpuint (n_destroyed, ==, 1);
  g_clear_pointer (&ready, g_ptr_array_unref);
  g_assert_cmpuint (n_destroyed, ==, 2);

  close_pair (fds);
}

static void
test_data_modify (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  guint first = 0;
  guint second = 0;
  int fds[2];

  open_pipe (fds);
  g_assert_true (register_counted (selector, fds[0], &first));

  /* the same data, once with the same events and once with other events */
  g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_READ, &first,
                                           count_destroyed, &error));
  g_assert_true (sel_base_selector_modify (selector, fds[0], BOTH, &first, count_destroyed,
                                           &error));
  rewatch (selector, fds[0], SEL_EVENT_WRITE);
  g_assert_cmpuint (first, ==, 0);

  /* other data */
  g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_WRITE, &second,
                                           count_destroyed, &error));
  g_assert_cmpuint (first, ==, 1);
  g_assert_cmpuint (second, ==, 0);

  /* a key has the old data */
  key = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_true (sel_base_selector_modify (selector, fds[0], BOTH, NULL, NULL, &error));
  g_assert_cmpuint (second, ==, 0);
  g_clear_object (&key);
  g_assert_cmpuint (second, ==, 1);

  unwatch (selector, fds[0]);
  g_assert_cmpuint (first, ==, 1);
  g_assert_cmpuint (second, ==, 1);

  /* another GDestroyNotify means another owner */
  g_assert_true (register_counted (selector, fds[0], &first));
  g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_READ, &first,
                                           count_destroyed_otherwise, &error));
  g_assert_cmpuint (first, ==, 2);
  unwatch (selector, fds[0]);
  g_assert_cmpuint (first, ==, 102);

  close_pair (fds);
}

/* If a call fails, the caller keeps the data. If the kernel refuses a change, the old registration ends. */
static void
test_data_failure (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  guint kept = 0;
  guint refused = 0;
  int fds[2];

  open_pipe (fds);
  g_assert_true (register_counted (selector, fds[0], &kept));

  g_assert_false (register_counted (selector, fds[0], &refused));
  g_assert_false (register_counted (selector, closed_fd (), &refused));
  g_assert_false (register_counted (selector, -1, &refused));
  g_assert_false (sel_base_selector_register (selector, fds[1], 0, &refused, count_destroyed,
                                              NULL));
  g_assert_false (sel_base_selector_modify (selector, fds[0], 0, &refused, count_destroyed, NULL));
  g_assert_false (sel_base_selector_modify (selector, fds[1], SEL_EVENT_READ, &refused,
                                            count_destroyed, NULL));
  g_assert_cmpuint (refused, ==, 0);
  g_assert_cmpuint (kept, ==, 0);

  close (fds[0]);
  g_assert_false (sel_base_selector_modify (selector, fds[0], BOTH, &refused, count_destroyed,
                                            &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);
  g_assert_cmpuint (refused, ==, 0);
  g_assert_cmpuint (kept, ==, 1);
  close (fds[1]);

  sel_base_selector_close (selector);
  g_assert_false (register_counted (selector, 0, &refused));
  g_assert_cmpuint (refused, ==, 0);
}

static void
test_data_close (BackendFixture *fixture)
{
  guint n_destroyed[4] = { 0 };
  g_autoptr (SelSelectorKey) key = NULL;
  int fds[2][2];

  for (guint round = 0; round < 2; round++)
    {
      for (guint i = 0; i < 2; i++)
        {
          open_pipe (fds[i]);
          g_assert_true (register_counted (fixture->selector, fds[i][0],
                                           &n_destroyed[2 * round + i]));
        }

      key = sel_base_selector_get_key (fixture->selector, fds[1][0], NULL);

      /* In the first round the selector is closed, in the second one only dropped. */
      if (round == 0)
        {
          sel_base_selector_close (fixture->selector);
          g_assert_cmpuint (n_destroyed[0], ==, 1);
          g_object_unref (fixture->selector);
          fixture->selector = fixture->backend->new_selector (NULL);
        }
      else
        {
          g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
        }

      g_assert_cmpuint (n_destroyed[2 * round], ==, 1);
      g_assert_cmpuint (n_destroyed[2 * round + 1], ==, 0);
      g_clear_object (&key);
      g_assert_cmpuint (n_destroyed[2 * round + 1], ==, 1);
      close_pair (fds[0]);
      close_pair (fds[1]);
    }
}

typedef struct
{
  SelBaseSelector *selector;
  int              fd;
  guint            n_calls;
} Reentrant;

/* The GDestroyNotify is called without a lock, so it may use the selector. */
static void
use_selector (gpointer data)
{
  Reentrant *reentrant = data;
  g_autoptr (GError) error = NULL;

  reentrant->n_calls++;
  g_assert_false (sel_base_selector_unregister (reentrant->selector, reentrant->fd, &error));
  g_assert_true (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED) ||
                 g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED));
}

static void
test_data_reentrant (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  Reentrant reentrant = { .selector = selector };
  int fds[2];

  open_pipe (fds);
  reentrant.fd = fds[0];

  sel_base_selector_register (selector, fds[0], BOTH, &reentrant, use_selector, NULL);
  unwatch (selector, fds[0]);
  g_assert_cmpuint (reentrant.n_calls, ==, 1);

  sel_base_selector_register (selector, fds[0], BOTH, &reentrant, use_selector, NULL);
  sel_base_selector_close (selector);
  g_assert_cmpuint (reentrant.n_calls, ==, 2);

  close_pair (fds);
}

/* The C form returns the data pointer as well. */
static void
test_data_ready (BackendFixture *fixture)
{
  SelReadyEvent event;
  char data[2];
  int fds[2];

  open_pipe (fds);
  sel_base_selector_register (fixture->selector, fds[1], SEL_EVENT_WRITE, &data[0], NULL, NULL);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL),
                   ==, 1);
  g_assert_cmpint (event.fd, ==, fds[1]);
  g_assert_cmpuint (event.events, ==, SEL_EVENT_WRITE);
  g_assert_true (event.data == &data[0]);

  sel_base_selector_modify (fixture->selector, fds[1], SEL_EVENT_WRITE, &data[1], NULL, NULL);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL),
                   ==, 1);
  g_assert_true (event.data == &data[1]);
  close_pair (fds);
}

/* Data of other languages: a GValue, which is copied. */

static void
test_value (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (SelSelectorKey) changed = NULL;
  g_autoptr (SelSelectorKey) without = NULL;
  g_autoptr (SelSelectorKey) gone = NULL;
  g_autoptr (SelSelectorKey) got = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GValue) text = G_VALUE_INIT;
  g_auto (GValue) number = G_VALUE_INIT;
  int fds[2];

  open_pipe (fds);
  g_value_init (&text, G_TYPE_STRING);
  g_value_set_string (&text, "some text");
  g_value_init (&number, G_TYPE_INT64);
  g_value_set_int64 (&number, G_MAXINT64);

  key = sel_base_selector_register_value (selector, fds[1], SEL_EVENT_WRITE, &text, &error);
  g_assert_no_error (error);
  g_value_set_string (&text, "another text");
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fds[1]);
  g_assert_cmpstr (g_value_get_string (sel_selector_key_get_data_value (key)), ==, "some text");
  g_assert_null (sel_selector_key_get_data (key));
  got = sel_base_selector_get_key (selector, fds[1], &error);
  g_assert_true (got == key);

  changed = sel_base_selector_modify_value (selector, fds[1], BOTH, &number, &error);
  g_assert_no_error (error);
  g_assert_true (changed != key);
  g_assert_cmpint (g_value_get_int64 (sel_selector_key_get_data_value (changed)), ==, G_MAXINT64);
  g_assert_cmpuint (sel_selector_key_get_events (changed), ==, BOTH);
  g_assert_cmpstr (g_value_get_string (sel_selector_key_get_data_value (key)), ==, "some text");

  without = sel_base_selector_modify_value (selector, fds[1], SEL_EVENT_WRITE, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (sel_selector_key_get_data_value (without));
  g_assert_nonnull (sel_selector_key_get_data_value (changed));

  gone = sel_base_selector_unregister_key (selector, fds[1], &error);
  g_assert_true (gone == without);

  g_assert_null (sel_base_selector_modify_value (selector, fds[1], BOTH, &number, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (sel_base_selector_register_value (selector, fds[1], 0, &number, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS);
  g_assert_null (sel_base_selector_register_value (selector, -10, BOTH, &number, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);

  close_pair (fds);
}

/* An object in a GValue lives as long as the last key that holds it. */
static void
test_value_object (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  SelSelectorKey *key;
  GValue value = G_VALUE_INIT;
  int fds[2];

  open_pipe (fds);
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_set_object (&value, object);
  key = sel_base_selector_register_value (selector, fds[0], SEL_EVENT_READ, &value, NULL);
  g_value_unset (&value);
  g_assert_true (g_value_get_object (sel_selector_key_get_data_value (key)) == object);
  unwatch (selector, fds[0]);
  g_assert_true (g_value_get_object (sel_selector_key_get_data_value (key)) == object);
  g_object_unref (key);
  g_assert_finalize_object (object);
  close_pair (fds);
}

/* File objects */

static GObject *
new_socket (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  return G_OBJECT (socket);
}

static GObject *
new_socket_connection (int fd)
{
  g_autoptr (GSocket) socket = G_SOCKET (new_socket (fd));

  return G_OBJECT (g_socket_connection_factory_create_connection (socket));
}

static GObject *
new_input_stream (int fd)
{
  return G_OBJECT (g_unix_input_stream_new (fd, TRUE));
}

static GObject *
new_output_stream (int fd)
{
  return G_OBJECT (g_unix_output_stream_new (fd, TRUE));
}

static GObject *
new_buffered_input_stream (int fd)
{
  g_autoptr (GInputStream) base = g_unix_input_stream_new (fd, TRUE);

  return G_OBJECT (g_buffered_input_stream_new (base));
}

static GObject *
new_data_output_stream (int fd)
{
  g_autoptr (GOutputStream) base = g_unix_output_stream_new (fd, TRUE);

  return G_OBJECT (g_data_output_stream_new (base));
}

static GObject *
new_io_stream (int fd)
{
  g_autoptr (GInputStream) input = g_unix_input_stream_new (fd, TRUE);
  g_autoptr (GOutputStream) output = g_unix_output_stream_new (fd, FALSE);

  return G_OBJECT (g_simple_io_stream_new (input, output));
}

/* A TLS connection on top of another connection. Only the base stream matters here. */

#define TEST_TYPE_TLS (test_tls_get_type ())
G_DECLARE_FINAL_TYPE (TestTls, test_tls, TEST, TLS, GTlsConnection)

struct _TestTls
{
  GTlsConnection parent_instance;

  GIOStream *base;
};

G_DEFINE_FINAL_TYPE (TestTls, test_tls, G_TYPE_TLS_CONNECTION)

/* The properties of the parent class, which stores none of them. */
enum
{
  TLS_BASE_IO_STREAM = 1,
  TLS_OTHERS
};

static void
test_tls_get_property (GObject    *object,
                       guint       property_id,
                       GValue     *value,
                       GParamSpec *pspec)
{
  if (property_id == TLS_BASE_IO_STREAM)
    g_value_set_object (value, TEST_TLS (object)->base);
}

static void
test_tls_set_property (GObject      *object,
                       guint         property_id,
                       const GValue *value,
                       GParamSpec   *pspec)
{
  if (property_id == TLS_BASE_IO_STREAM)
    TEST_TLS (object)->base = g_value_dup_object (value);
}

static gboolean
test_tls_close (GIOStream     *stream,
                GCancellable  *cancellable,
                GError       **error)
{
  return g_io_stream_close (TEST_TLS (stream)->base, cancellable, error);
}

static void
test_tls_finalize (GObject *object)
{
  g_clear_object (&TEST_TLS (object)->base);

  G_OBJECT_CLASS (test_tls_parent_class)->finalize (object);
}

static void
test_tls_class_init (TestTlsClass *klass)
{
  static const char *const others[] = {
    "require-close-notify", "rehandshake-mode", "use-system-certdb", "database", "interaction", "certificate",
    "peer-certificate", "peer-certificate-errors", "advertised-protocols", "negotiated-protocol", "protocol-version",
    "ciphersuite-name",
  };
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = test_tls_get_property;
  object_class->set_property = test_tls_set_property;
  object_class->finalize = test_tls_finalize;
  G_IO_STREAM_CLASS (klass)->close_fn = test_tls_close;

  g_object_class_override_property (object_class, TLS_BASE_IO_STREAM, "base-io-stream");
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_object_class_override_property (object_class, TLS_OTHERS + i, others[i]);
}

static void
test_tls_init (TestTls *self)
{
}

static GObject *
new_tls (int fd)
{
  g_autoptr (GObject) base = new_socket_connection (fd);

  return g_object_new (TEST_TYPE_TLS, "base-io-stream", base, NULL);
}

static void
close_object (GObject *object)
{
  g_autoptr (GError) error = NULL;

  if (G_IS_SOCKET (object))
    g_socket_close (G_SOCKET (object), &error);
  else if (G_IS_IO_STREAM (object))
    g_io_stream_close (G_IO_STREAM (object), NULL, &error);
  else if (G_IS_INPUT_STREAM (object))
    g_input_stream_close (G_INPUT_STREAM (object), NULL, &error);
  else
    g_output_stream_close (G_OUTPUT_STREAM (object), NULL, &error);

  g_assert_no_error (error);
}

static const struct
  {
    const char *name;
    GObject  *(*new_object) (int fd);  /* takes ownership of the descriptor */
  }
kinds[] =
  {
    { "GSocket", new_socket },
    { "GSocketConnection", new_socket_connection },
    { "GUnixInputStream", new_input_stream },
    { "GUnixOutputStream", new_output_stream },
    { "GBufferedInputStream", new_buffered_input_stream },
    { "GDataOutputStream", new_data_output_stream },
    { "GSimpleIOStream", new_io_stream },
    { "GTlsConnection", new_tls },
  };

/* A key is found by object and by number. After the object was closed, it is found by object only. */
static void
test_file_object_kinds (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelSelectorMapping *map = sel_base_selector_get_map (selector);

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (SelSelectorKey) key = NULL;
      g_autoptr (SelSelectorKey) by_object = NULL;
      g_autoptr (SelSelectorKey) in_map = NULL;
      g_autoptr (GError) error = NULL;
      GObject *object;
      int fds[2];

      g_test_message ("%s", kinds[i].name);
      open_socketpair (fds);
      object = kinds[i].new_object (fds[0]);
      g_assert_cmpint (sel_fileobj_to_fd (object, &error), ==, fds[0]);
      g_assert_no_error (error);

      g_assert_true (sel_base_selector_register_object (selector, object, BOTH, NULL, NULL,
                                                        &error));
      g_assert_no_error (error);
      assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);
      g_assert_false (sel_base_selector_register (selector, fds[0], BOTH, NULL, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);

      key = sel_base_selector_get_key (selector, fds[0], &error);
      g_assert_true (sel_selector_key_get_fileobj (key) == object);
      by_object = sel_base_selector_get_key_object (selector, object, &error);
      g_assert_true (by_object == key);
      in_map = sel_selector_mapping_lookup_object (map, object);
      g_assert_true (in_map == key);

      close_object (object);
      g_assert_cmpint (sel_fileobj_to_fd (object, &error), ==, -1);
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_clear_object (&in_map);
      in_map = sel_selector_mapping_lookup_object (map, object);
      g_assert_true (in_map == key);
      g_assert_true (sel_base_selector_unregister_object (selector, object, &error));
      g_assert_no_error (error);

      g_assert_false (sel_base_selector_unregister_object (selector, object, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_null (sel_selector_mapping_lookup_object (map, object));
      g_assert_false (sel_base_selector_register_object (selector, object, BOTH, NULL, NULL,
                                                         &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);

      g_clear_object (&key);
      g_clear_object (&by_object);
      g_clear_object (&in_map);
      g_assert_finalize_object (object);
      close (fds[1]);
    }
}

/* The descriptor number identifies a registration, through whatever object it was registered. */
static void
test_file_object_mixed (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GError) error = NULL;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GObject) first = NULL;
  g_autoptr (GObject) second = NULL;
  GObject *fileobj = NULL;
  char data[] = "data";
  int fds[2];

  open_pipe (fds);
  first = test_file_new (fds[1]);
  second = test_file_new (fds[1]);

  /* registered by number, then used by object */
  watch (selector, fds[1], SEL_EVENT_WRITE);
  key = sel_base_selector_get_key_object (selector, first, &error);
  g_assert_no_error (error);
  g_assert_null (sel_selector_key_get_fileobj (key));
  g_clear_object (&key);
  g_assert_true (sel_base_selector_modify_object (selector, first, BOTH, data, NULL, &error));
  key = sel_base_selector_get_key (selector, fds[1], &error);
  g_assert_true (sel_selector_key_get_data (key) == data);
  g_clear_object (&key);
  g_assert_true (sel_base_selector_unregister_object (selector, second, &error));

  /* registered by object, then used by another object and by number */
  key = sel_base_selector_register_object_value (selector, first, SEL_EVENT_WRITE, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (sel_selector_key_get_fileobj (key) == first);
  g_object_get (key, "fileobj", &fileobj, NULL);
  g_assert_true (fileobj == first);
  g_object_unref (fileobj);
  g_clear_object (&key);
  g_assert_false (sel_base_selector_register_object (selector, second, BOTH, NULL, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  rewatch (selector, fds[1], BOTH);
  assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  key = sel_base_selector_modify_object_value (selector, second, SEL_EVENT_READ, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (sel_selector_key_get_fileobj (key) == first);
  g_clear_object (&key);
  key = sel_base_selector_unregister_object_key (selector, second, &error);
  g_assert_no_error (error);
  g_assert_true (sel_selector_key_get_fileobj (key) == first);
  g_clear_object (&key);

  g_assert_null (sel_base_selector_get_key_object (selector, first, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_false (sel_base_selector_modify_object (selector, first, BOTH, NULL, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (sel_base_selector_unregister_object_key (selector, first, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);

  g_assert_finalize_object (g_steal_pointer (&first));
  g_assert_finalize_object (g_steal_pointer (&second));
  close_pair (fds);
}

static void
test_file_object_invalid (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GObject) object = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr (GObject) memory = G_OBJECT (g_memory_input_stream_new ());
  g_autoptr (GObject) negative = test_file_new (-7);
  g_autoptr (GObject) refusing = test_file_new (0);
  g_autoptr (GObject) failing = test_file_new (0);
  g_autoptr (GObject) closed = test_file_new (closed_fd ());
  GObject *objects[] = { object, memory, negative, refusing };
  g_autoptr (GError) error = NULL;

  TEST_FILE (refusing)->refuse = TRUE;
  TEST_FILE (failing)->error = g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "not yet");

  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      g_assert_cmpint (sel_fileobj_to_fd (objects[i], &error), ==, -1);
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_false (sel_base_selector_register_object (selector, objects[i], BOTH, NULL, NULL,
                                                         &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_null (sel_base_selector_register_object_value (selector, objects[i], BOTH, NULL,
                                                              &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_false (sel_base_selector_unregister_object (selector, objects[i], &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_false (sel_base_selector_modify_object (selector, objects[i], BOTH, NULL, NULL,
                                                       &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
      g_assert_null (sel_base_selector_get_key_object (selector, objects[i], &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
    }

  g_assert_cmpint (sel_file_object_fileno (SEL_FILE_OBJECT (negative), &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (sel_file_object_fileno (SEL_FILE_OBJECT (refusing), &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (sel_file_object_fileno (SEL_FILE_OBJECT (refusing), NULL), ==, -1);

  /* an error of the object itself is passed on */
  g_assert_cmpint (sel_file_object_fileno (SEL_FILE_OBJECT (failing), &error), ==, -1);
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
  g_assert_false (sel_base_selector_register_object (selector, failing, BOTH, NULL, NULL, &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);

  /* sel_fileobj_to_fd () accepts an object with a closed descriptor, register () refuses the descriptor */
  g_assert_cmpint (sel_fileobj_to_fd (closed, &error), ==, TEST_FILE (closed)->fd);
  g_assert_false (sel_base_selector_register_object (selector, closed, BOTH, NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector)), ==, 0);
}

/* A stream with one descriptor for reading and another one for writing is ambiguous. */
static void
test_file_object_two_descriptors (void)
{
  g_autoptr (GInputStream) input = NULL;
  g_autoptr (GOutputStream) output = NULL;
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  input = g_unix_input_stream_new (fds[0], TRUE);
  output = g_unix_output_stream_new (fds[1], TRUE);
  stream = g_simple_io_stream_new (input, output);
  g_assert_cmpint (sel_fileobj_to_fd (G_OBJECT (stream), &error), ==, -1);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
  g_assert_cmpint (sel_fileobj_to_fd (G_OBJECT (input), &error), ==, fds[0]);
  g_assert_cmpint (sel_fileobj_to_fd (G_OBJECT (output), &error), ==, fds[1]);
}

/* The object loses its descriptor. Its registration is still found through the object. */
static void
test_file_object_moves (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GObject) file = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_one_way (fds);
  file = test_file_new (fds[0]);
  g_assert_true (sel_base_selector_register_object (selector, file, SEL_EVENT_READ, NULL, NULL,
                                                    &error));
  TEST_FILE (file)->fd = -1;
  g_assert_true (sel_base_selector_modify_object (selector, file, BOTH, NULL, NULL, &error));
  g_assert_no_error (error);
  put_byte (fds[1]);
  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_true (sel_base_selector_unregister_object (selector, file, &error));
  g_assert_no_error (error);
  assert_ready (selector, 0, -1);
  close_pair (fds);
}

/* Errors and enumerations */

/* A message names the descriptor and the reason, and is not a full sentence. */
static void
test_error_messages (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  GError *errors[6] = { NULL };
  int number = closed_fd ();
  g_autofree char *number_text = g_strdup_printf ("%d", number);
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  sel_base_selector_register (selector, number, SEL_EVENT_READ, NULL, NULL, &errors[0]);
  sel_base_selector_unregister (selector, number, &errors[1]);
  sel_base_selector_get_key (selector, number, &errors[2]);
  sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, NULL, NULL, &errors[3]);
  sel_base_selector_modify_events (selector, fds[0], 4, &errors[4]);
  sel_base_selector_select (selector, NAN, NULL, &errors[5]);

  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_assert_nonnull (errors[i]);
      g_assert_false (g_str_has_suffix (errors[i]->message, "."));
      g_assert_null (strstr (errors[i]->message, "sel_base_selector"));

      if (i < 3)
        g_assert_nonnull (strstr (errors[i]->message, number_text));

      g_error_free (errors[i]);
    }

  close_pair (fds);
}

static void
test_error_domains (void)
{
  g_assert_cmpstr (g_quark_to_string (SEL_SELECTOR_ERROR), ==, "sel-selector-error-quark");
  g_assert_cmpstr (g_quark_to_string (SEL_OS_ERROR), ==, "sel-os-error-quark");
  g_assert_true (SEL_SELECTOR_ERROR == sel_selector_error_quark ());
  g_assert_true (SEL_OS_ERROR == sel_os_error_domain ());
  g_assert_true (SEL_OS_ERROR != SEL_SELECTOR_ERROR);
}

static void
test_error_codes (void)
{
  static const char * const nicks[] =
    {
      "failed", "not-registered", "already-registered", "invalid-file", "invalid-events",
      "invalid-timeout", "closed", "not-supported", "busy", "forked",
    };
  g_autoptr (GEnumClass) klass = g_type_class_ref (SEL_TYPE_SELECTOR_ERROR);

  g_assert_cmpuint (klass->n_values, ==, G_N_ELEMENTS (nicks));

  for (guint i = 0; i < G_N_ELEMENTS (nicks); i++)
    g_assert_cmpstr (g_enum_get_value (klass, i)->value_nick, ==, nicks[i]);
}

/* The values are those of Python's selectors module. */
static void
test_event_mask (void)
{
  g_autoptr (GFlagsClass) klass = g_type_class_ref (SEL_TYPE_EVENT_MASK);

  g_assert_cmpint (SEL_EVENT_READ, ==, 1);
  g_assert_cmpint (SEL_EVENT_WRITE, ==, 2);
  g_assert_cmpuint (klass->mask, ==, 3);
  g_assert_cmpuint (klass->n_values, ==, 2);
  g_assert_cmpstr (g_flags_get_value_by_nick (klass, "read")->value_name, ==, "SEL_EVENT_READ");
  g_assert_cmpstr (g_flags_get_value_by_nick (klass, "write")->value_name, ==, "SEL_EVENT_WRITE");
  g_assert_true (SEL_WAIT_FOREVER > G_MAXDOUBLE);
}

/* An event is a boxed value that holds its own reference. */
static void
test_event (BackendFixture *fixture)
{
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (SelSelectorEvent) event = NULL;
  SelSelectorEvent *copy;
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  ready = sel_base_selector_select (fixture->selector, 0, NULL, NULL);
  event = sel_selector_event_ref (g_ptr_array_index (ready, 0));
  g_clear_pointer (&ready, g_ptr_array_unref);
  unwatch (fixture->selector, fds[1]);

  g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (event)), ==, fds[1]);
  copy = g_boxed_copy (SEL_TYPE_SELECTOR_EVENT, event);
  g_assert_true (sel_selector_event_get_key (copy) == sel_selector_event_get_key (event));
  g_assert_cmpuint (sel_selector_event_get_events (copy), ==, SEL_EVENT_WRITE);
  g_boxed_free (SEL_TYPE_SELECTOR_EVENT, copy);
  close_pair (fds);
}

/* The events of a list are freed one by one, in any order and number, each with its reference to the key. */
static void
test_events (BackendFixture *fixture)
{
  static const guint counts[] = { 1, 2, 31, 32, 33, 65 };
  int fds[65];
  gpointer keys[65];
  int pipe_fds[2];

  open_pipe (pipe_fds);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = dup (pipe_fds[1]);
      g_assert_cmpint (fds[i], >=, 0);
    }

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    for (guint kept = 0; kept < counts[i]; kept += 7)
      {
        g_autoptr (GPtrArray) ready = NULL;
        SelSelectorEvent *event;
        guint n = counts[i];

        for (guint j = 0; j < n; j++)
          watch (fixture->selector, fds[j], SEL_EVENT_WRITE);
        ready = sel_base_selector_select (fixture->selector, 0, NULL, NULL);
        g_assert_cmpuint (ready->len, ==, n);
        for (guint j = 0; j < n; j++)
          {
            keys[j] = sel_selector_event_get_key (g_ptr_array_index (ready, j));
            g_object_add_weak_pointer (keys[j], &keys[j]);
          }
        event = sel_selector_event_ref (g_ptr_array_index (ready, kept));
        for (guint j = 0; j < n; j++)
          unwatch (fixture->selector, fds[j]);
        g_clear_pointer (&ready, g_ptr_array_unref);

        for (guint j = 0; j < n; j++)
          g_assert_true ((keys[j] != NULL) == (j == kept));
        g_assert_true (sel_selector_event_get_key (event) == keys[kept]);
        g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);
        sel_selector_event_unref (event);
        g_assert_null (keys[kept]);
      }

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  close_pair (pipe_fds);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
    {
      const char  *name;
      BackendFunc  func;
    }
  cases[] =
    {
      { "key-identity", test_key_identity },
      { "key-immutable", test_key_immutable },
      { "map-order", test_map_order },
      { "map-outlives", test_map_outlives },
      { "data-unregister", test_data_unregister },
      { "data-key", test_data_key },
      { "data-modify", test_data_modify },
      { "data-failure", test_data_failure },
      { "data-close", test_data_close },
      { "data-reentrant", test_data_reentrant },
      { "data-ready", test_data_ready },
      { "value", test_value },
      { "value-object", test_value_object },
      { "file-object-kinds", test_file_object_kinds },
      { "file-object-mixed", test_file_object_mixed },
      { "file-object-invalid", test_file_object_invalid },
      { "file-object-moves", test_file_object_moves },
      { "error-messages", test_error_messages },
      { "event", test_event },
      { "events", test_events },
    };

  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  g_test_add_func ("/objects/file-object-two-descriptors", test_file_object_two_descriptors);
  g_test_add_func ("/objects/error-domains", test_error_domains);
  g_test_add_func ("/objects/error-codes", test_error_codes);
  g_test_add_func ("/objects/event-mask", test_event_mask);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    backend_add (cases[i].name, cases[i].func);

  return g_test_run ();
}
