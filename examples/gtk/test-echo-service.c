/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tests the parts of the GTK example that do not use GTK. */

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../echo-common.h"
#include "echo-service.h"
#include "load-generator.h"

#define N_CLIENTS 20

typedef struct
{
  EchoService *service;
  LoadGenerator *load;
  GError *failure;    /* the last one */
  guint n_failures;
} Fixture;

/* Runs the main loop until @condition is true. There is no time limit here, because Meson has one. */
#define wait_until(condition) \
  G_STMT_START { \
    while (!(condition)) \
      iterate (); \
  } G_STMT_END

static gboolean
set_true (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* The clients are in another thread, so the main loop must not wait without a limit. */
static void
iterate (void)
{
  gboolean over = FALSE;

  g_timeout_add (1, set_true, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
}

static void
count_failure (Fixture      *fixture,
               const GError *error)
{
  g_clear_error (&fixture->failure);
  fixture->failure = g_error_copy (error);
  fixture->n_failures++;
}

static void
set_up (Fixture       *fixture,
        gconstpointer  data)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;

  fixture->service = echo_service_new ();
  echo_service_start (fixture->service, data, &error);
  g_assert_no_error (error);
  g_signal_connect_swapped (fixture->service, "failed", G_CALLBACK (count_failure), fixture);

  address = echo_service_get_address (fixture->service);
  fixture->load = load_generator_new (address, &error);
  g_assert_no_error (error);
  g_signal_connect_swapped (fixture->load, "failed", G_CALLBACK (count_failure), fixture);
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  /* The last signal of the thread may not have reached this thread yet. */
  if (fixture->load != NULL)
    {
      load_generator_set_n_clients (fixture->load, 0);
      wait_until (load_generator_get_totals (fixture->load).n_clients == 0
                  && echo_service_get_n_connections (fixture->service) == 0);
      iterate ();
      g_assert_finalize_object (fixture->load);
    }
  g_assert_finalize_object (fixture->service);
  g_clear_error (&fixture->failure);
}

static guint
get_n_open (Fixture *fixture)
{
  return load_generator_get_totals (fixture->load).n_clients;
}

/* Checks the number of clients on both sides. */
static gboolean
has_clients (Fixture *fixture,
             guint    n)
{
  return get_n_open (fixture) == n && echo_service_get_n_connections (fixture->service) == n;
}

static void
add_clients (Fixture *fixture,
             guint    n)
{
  load_generator_set_n_clients (fixture->load, n);
  load_generator_set_rate (fixture->load, 100);
  wait_until (has_clients (fixture, n));
}

static void
wait_for_messages (Fixture *fixture,
                   guint    n)
{
  guint64 before = load_generator_get_totals (fixture->load).messages;

  wait_until (load_generator_get_totals (fixture->load).messages >= before + n);
}

/* Waits until no message is in transit. Then the counters of all parts must be equal. */
static void
check_totals (Fixture *fixture)
{
  LoadTotals clients;
  EchoTotals server;

  load_generator_set_rate (fixture->load, 0);
  do
    {
      iterate ();
      clients = load_generator_get_totals (fixture->load);
      server = echo_service_get_totals (fixture->service);
    }
  while (clients.bytes_sent != clients.bytes_echoed || server.bytes_out != clients.bytes_echoed
         || server.messages != clients.messages);

  g_assert_cmpuint (clients.mismatches, ==, 0);
  g_assert_cmpuint (server.bytes_in, ==, clients.bytes_sent);
}

static void
test_echo (Fixture       *fixture,
           gconstpointer  backend)
{
  g_assert_cmpstr (echo_service_get_backend (fixture->service), ==, backend);

  add_clients (fixture, N_CLIENTS);
  wait_for_messages (fixture, 3 * N_CLIENTS);
  check_totals (fixture);
  g_assert_no_error (fixture->failure);
}

static void
check_rows (Fixture *fixture)
{
  GListModel *rows = G_LIST_MODEL (echo_service_get_connections (fixture->service));

  connection_list_flush (CONNECTION_LIST (rows));
  g_assert_cmpuint (g_list_model_get_n_items (rows), ==, N_CLIENTS + 1);

  for (guint i = 0; i < N_CLIENTS + 1; i++)
    {
      g_autoptr (ConnectionItem) item = g_list_model_get_item (rows, i);
      SelSelectorKey *key = connection_item_get_key (item);

      g_assert_true (sel_selector_key_get_fileobj (key) == G_OBJECT (connection_item_get_socket (item)));
      g_assert_cmpint (sel_selector_key_get_fd (key), ==, g_socket_get_fd (connection_item_get_socket (item)));
      g_assert_cmpint (sel_selector_key_get_events (key), ==, SEL_EVENT_READ);
    }
}

static void
test_switch (Fixture       *fixture,
             gconstpointer  first)
{
  g_auto (GStrv) backends = echo_list_backends ();

  add_clients (fixture, N_CLIENTS);
  for (guint i = 0; backends[i] != NULL; i++)
    {
      g_autoptr (GError) error = NULL;

      wait_for_messages (fixture, N_CLIENTS);
      echo_service_set_backend (fixture->service, backends[i], &error);
      g_assert_no_error (error);
      g_assert_cmpstr (echo_service_get_backend (fixture->service), ==, backends[i]);
      wait_for_messages (fixture, N_CLIENTS);
      g_assert_true (has_clients (fixture, N_CLIENTS));
    }

  check_rows (fixture);
  check_totals (fixture);
  g_assert_no_error (fixture->failure);
}

/* Sets the limit so that only @n_more descriptors can be opened. */
static rlim_t
forbid_more_descriptors (guint n_more)
{
  struct rlimit limit;
  rlim_t before;
  int next = dup (0);

  g_assert_cmpint (next, >=, 0);
  close (next);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  before = limit.rlim_cur;
  limit.rlim_cur = next + n_more;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  return before;
}

static void
allow_descriptors (rlim_t n)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = n;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
}

static void
test_failed_switch (Fixture       *fixture,
                    gconstpointer  backend)
{
  g_autoptr (GError) error = NULL;
  rlim_t limit;

  add_clients (fixture, N_CLIENTS);

  g_assert_false (echo_service_set_backend (fixture->service, "nonsense", &error));
  g_assert_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
  g_clear_error (&error);

  limit = forbid_more_descriptors (0);
  g_assert_false (echo_service_set_backend (fixture->service, "poll", &error));
  allow_descriptors (limit);
  g_assert_error (error, SEL_OS_ERROR, EMFILE);

  g_assert_cmpstr (echo_service_get_backend (fixture->service), ==, backend);
  wait_for_messages (fixture, N_CLIENTS);
  check_rows (fixture);
  check_totals (fixture);
}

/* There are not enough descriptors for all clients. The error is reported, and the open connections continue. */
static void
test_too_many (Fixture       *fixture,
               gconstpointer  backend)
{
  rlim_t limit = forbid_more_descriptors (2 * N_CLIENTS);

  load_generator_set_rate (fixture->load, 100);
  load_generator_set_n_clients (fixture->load, 10 * N_CLIENTS);
  wait_until (fixture->n_failures > 0);
  g_assert_error (fixture->failure, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);

  add_clients (fixture, N_CLIENTS / 2);
  wait_for_messages (fixture, N_CLIENTS);
  allow_descriptors (limit);

  /* New clients are served too. */
  add_clients (fixture, N_CLIENTS);
  wait_for_messages (fixture, N_CLIENTS);

  /* Do not call check_totals(): a closed client may have been waiting for an echo. */
  g_assert_cmpuint (load_generator_get_totals (fixture->load).mismatches, ==, 0);
}

static void
test_close_connection (Fixture       *fixture,
                       gconstpointer  backend)
{
  GListModel *rows = G_LIST_MODEL (echo_service_get_connections (fixture->service));
  g_autoptr (ConnectionItem) listener = NULL;
  g_autoptr (ConnectionItem) item = NULL;
  g_autoptr (GError) error = NULL;

  add_clients (fixture, N_CLIENTS);
  connection_list_flush (CONNECTION_LIST (rows));

  listener = g_list_model_get_item (rows, 0);
  item = g_list_model_get_item (rows, 1);
  g_assert_true (echo_service_is_listener (fixture->service, listener));
  g_assert_false (echo_service_is_listener (fixture->service, item));

  echo_service_close_connection (fixture->service, item, &error);
  g_assert_no_error (error);
  wait_until (has_clients (fixture, N_CLIENTS - 1));
  g_assert_cmpuint (load_generator_get_n_clients (fixture->load), ==, N_CLIENTS - 1);

  connection_list_flush (CONNECTION_LIST (rows));
  g_assert_cmpuint (g_list_model_get_n_items (rows), ==, N_CLIENTS);

  g_assert_false (echo_service_close_connection (fixture->service, item, &error));
  g_assert_nonnull (error);
}

/* A client sends and does not read. The server keeps the data that it cannot send, and stops reading. */
static void
test_slow_reader (Fixture       *fixture,
                  gconstpointer  backend)
{
  GListModel *rows = G_LIST_MODEL (echo_service_get_connections (fixture->service));
  g_autoptr (GSocket) client = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GSocketAddress) address = echo_service_get_address (fixture->service);
  g_autoptr (ConnectionItem) item = NULL;
  g_autoptr (GError) error = NULL;
  guint8 data[4096];
  gsize n_sent = 0, n_read = 0;

  g_socket_connect (client, address, NULL, &error);
  g_assert_no_error (error);
  g_socket_set_blocking (client, FALSE);

  wait_until (echo_service_get_n_connections (fixture->service) == 1);
  connection_list_flush (CONNECTION_LIST (rows));
  item = g_list_model_get_item (rows, 1);

  while (sel_selector_key_get_events (connection_item_get_key (item)) != SEL_EVENT_WRITE)
    {
      gssize n;

      for (gsize i = 0; i < sizeof data; i++)
        data[i] = (n_sent + i) % 251;
      n = g_socket_send (client, (char *) data, sizeof data, NULL, NULL);
      if (n > 0)
        n_sent += n;
      else
        iterate ();
    }

  while (n_read < n_sent)
    {
      gssize n = g_socket_receive (client, (char *) data, sizeof data, NULL, NULL);

      for (gssize i = 0; i < n; i++)
        g_assert_cmpint (data[i], ==, n_read++ % 251);
      if (n < 0)
        iterate ();
    }

  wait_until (sel_selector_key_get_events (connection_item_get_key (item)) == SEL_EVENT_READ);
  g_socket_close (client, NULL);
  g_assert_no_error (fixture->failure);
}

/* A server sends other data than it received. */
static void
test_mismatch (void)
{
  g_autoptr (GSocket) listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any_port = g_inet_socket_address_new (loopback, 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) server = NULL;
  g_autoptr (GError) error = NULL;
  LoadGenerator *load;
  char data[1024];
  gssize n;

  g_assert_true (g_socket_bind (listener, any_port, TRUE, NULL) && g_socket_listen (listener, NULL));
  address = g_socket_get_local_address (listener, NULL);
  load = load_generator_new (address, &error);
  g_assert_no_error (error);
  load_generator_set_n_clients (load, 1);
  load_generator_set_rate (load, 100);

  server = g_socket_accept (listener, NULL, &error);
  g_assert_no_error (error);
  n = g_socket_receive (server, data, sizeof data, NULL, NULL);
  g_assert_cmpint (n, >, 0);
  data[0] ^= 1;
  g_assert_cmpint (g_socket_send (server, data, n, NULL, NULL), ==, n);
  wait_until (load_generator_get_totals (load).bytes_echoed == (guint64) n);

  g_assert_cmpuint (load_generator_get_totals (load).mismatches, ==, 1);
  g_assert_finalize_object (load);
}

static void
count_signal (guint *n_signals)
{
  (*n_signals)++;
}

typedef struct
{
  guint n_signals, position, n_removed, n_added;
} Change;

static void
note_change (GListModel *model,
             guint       position,
             guint       n_removed,
             guint       n_added,
             gpointer    user_data)
{
  Change *change = user_data;

  *change = (Change) { change->n_signals + 1, position, n_removed, n_added };
}

static void
assert_change (Change *change,
               guint   position,
               guint   n_removed,
               guint   n_added)
{
  g_assert_cmpuint (change->n_signals, ==, 1);
  g_assert_cmpuint (change->position, ==, position);
  g_assert_cmpuint (change->n_removed, ==, n_removed);
  g_assert_cmpuint (change->n_added, ==, n_added);
  *change = (Change) { 0 };
}

static void
test_list (void)
{
  g_autoptr (ConnectionList) list = connection_list_new ();
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func (g_object_unref);
  GListModel *model = G_LIST_MODEL (list);
  Change change = { 0 };
  guint n_pending = 0, n_notified = 0;

  g_signal_connect (list, "items-changed", G_CALLBACK (note_change), &change);
  g_signal_connect_swapped (list, "pending", G_CALLBACK (count_signal), &n_pending);

  for (guint i = 0; i < 100; i++)
    {
      g_ptr_array_add (items, connection_item_new (socket));
      connection_list_add (list, items->pdata[i]);
    }
  g_assert_cmpuint (n_pending, ==, 1);
  g_assert_cmpuint (change.n_signals, ==, 0);
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, 0);

  connection_list_flush (list);
  assert_change (&change, 0, 0, 100);
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, 100);
  g_assert_true (g_list_model_get_item_type (model) == CONNECTION_TYPE_ITEM);
  g_assert_null (g_list_model_get_item (model, 100));

  /* Two of the rows from 10 to 20 are removed. */
  connection_list_remove (list, items->pdata[10]);
  connection_list_remove (list, items->pdata[20]);
  g_assert_cmpuint (n_pending, ==, 2);
  connection_list_flush (list);
  assert_change (&change, 10, 11, 9);
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, 98);

  /* An item that is added and removed between two frames is never shown. */
  connection_list_add (list, items->pdata[10]);
  connection_list_remove (list, items->pdata[10]);
  connection_list_flush (list);
  g_assert_cmpuint (change.n_signals, ==, 0);
  g_assert_cmpuint (g_list_model_get_n_items (model), ==, 98);

  g_signal_connect_swapped (items->pdata[0], "notify::messages", G_CALLBACK (count_signal), &n_notified);
  for (guint i = 0; i < 10; i++)
    {
      connection_item_count (items->pdata[0], 1, 5);
      connection_list_touch (list, items->pdata[0]);
    }
  g_assert_cmpuint (n_notified, ==, 0);
  connection_list_flush (list);
  g_assert_cmpuint (n_notified, ==, 1);
  connection_list_flush (list);
  g_assert_cmpuint (n_notified, ==, 1);
}

static void
add_for_each_backend (const char *name,
                      void      (*test) (Fixture *, gconstpointer))
{
  g_auto (GStrv) backends = echo_list_backends ();

  for (guint i = 0; backends[i] != NULL; i++)
    {
      g_autofree char *path = g_strdup_printf ("/echo-service/%s/%s", backends[i], name);

      g_test_add (path, Fixture, g_intern_string (backends[i]), set_up, test, tear_down);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/connection-list", test_list);
  g_test_add_func ("/load-generator/mismatch", test_mismatch);
  add_for_each_backend ("echo", test_echo);
  add_for_each_backend ("switch", test_switch);
  add_for_each_backend ("failed-switch", test_failed_switch);
  add_for_each_backend ("too-many", test_too_many);
  add_for_each_backend ("close-connection", test_close_connection);
  add_for_each_backend ("slow-reader", test_slow_reader);

  return g_test_run ();
}
