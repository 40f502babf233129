/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An echo server: a selector in the context of a GMainLoop, with a callback for each connection.
 *
 * All descriptors are non-blocking. Data that was read but could not be written yet stays in the buffer of the
 * connection. While this buffer is full, the server does not read from the connection. So a client that does not read
 * cannot make the server use more and more memory. */

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo-common.h"

#define BUFFER_SIZE (16 * 1024)
#define SOCKET_BUFFER_SIZE (64 * 1024)
#define ACCEPTS_PER_TURN 64
#define PAUSE_MS 100
#define MANY_DESCRIPTORS 1024

typedef struct
{
  SelBaseSelector *selector;
  int listener;
  guint pause_id;
  gboolean running;
  guint exit_after;

  guint n_open;
  guint max_open;
  guint n_gone;
  guint n_errors;
  guint n_pauses;
  guint64 n_bytes;
  guint64 n_waits;
  guint64 n_turns;
} Server;

typedef struct
{
  Server *server;
  int fd;
  SelEventMask events;
  gboolean at_end;
  gsize start;
  gsize end;
  guint8 buffer[BUFFER_SIZE];
} Connection;

static gboolean
would_block (int error_number)
{
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

static void
server_error (Server     *server,
              const char *what,
              const char *why)
{
  server->n_errors++;
  g_printerr ("echo-server: %s: %s\n", what, why);
}

static Connection *
connection_new (Server *server,
                int     fd)
{
  Connection *connection = g_new (Connection, 1);

  connection->server = server;
  connection->fd = fd;
  connection->events = SEL_EVENT_READ;
  connection->at_end = FALSE;
  connection->start = connection->end = 0;

  server->n_open++;
  server->max_open = MAX (server->max_open, server->n_open);

  return connection;
}

/* The selector calls this when the registration ends for any reason. */
static void
connection_free (gpointer data)
{
  Connection *connection = data;
  Server *server = connection->server;

  close (connection->fd);
  server->n_open--;
  server->n_gone++;
  if (server->n_gone == server->exit_after)
    server->running = FALSE;

  g_free (connection);
}

/* Reads once for each report, so that no connection starves if there are many. */
static gboolean
connection_read (Connection *connection)
{
  gssize n = read (connection->fd, connection->buffer + connection->end,
                   BUFFER_SIZE - connection->end);

  if (n < 0 && !would_block (errno))
    {
      server_error (connection->server, "read", g_strerror (errno));
      return FALSE;
    }

  if (n == 0)
    connection->at_end = TRUE;
  else if (n > 0)
    connection->end += n;

  return TRUE;
}

static gboolean
connection_write (Connection *connection)
{
  while (connection->start < connection->end)
    {
      gssize n = write (connection->fd, connection->buffer + connection->start,
                        connection->end - connection->start);

      if (n < 0 && would_block (errno))
        {
          connection->server->n_waits++;
          return TRUE;
        }
      if (n < 0)
        {
          server_error (connection->server, "write", g_strerror (errno));
          return FALSE;
        }

      connection->start += n;
      connection->server->n_bytes += n;
    }

  connection->start = connection->end = 0;
  return TRUE;
}

/* Returns: the events to wait for; 0 if the connection is finished */
static SelEventMask
connection_wanted_events (Connection *connection)
{
  SelEventMask events = 0;

  if (!connection->at_end && connection->end < BUFFER_SIZE)
    events |= SEL_EVENT_READ;
  if (connection->start < connection->end)
    events |= SEL_EVENT_WRITE;

  return events;
}

static gboolean
connection_ready (SelBaseSelector *selector,
                  SelSelectorKey  *key,
                  SelEventMask     ready,
                  gpointer         user_data)
{
  Connection *connection = user_data;
  SelEventMask wanted = 0;
  g_autoptr (GError) error = NULL;

  if (((ready & SEL_EVENT_READ) == 0 || connection_read (connection))
      && connection_write (connection))
    wanted = connection_wanted_events (connection);

  /* Ending the registration closes the connection. */
  if (wanted == 0)
    return G_SOURCE_REMOVE;

  if (wanted != connection->events
      && !sel_base_selector_modify_events (selector, connection->fd, wanted, &error))
    server_error (connection->server, "selector", error->message);
  connection->events = wanted;

  return G_SOURCE_CONTINUE;
}

static gboolean server_accept (SelBaseSelector *selector,
                               SelSelectorKey  *key,
                               SelEventMask     ready,
                               gpointer         user_data);

static gboolean
server_listen_again (gpointer data)
{
  Server *server = data;
  g_autoptr (GError) error = NULL;

  server->pause_id = 0;
  if (!sel_base_selector_register_callback (server->selector, server->listener, SEL_EVENT_READ,
                                            server_accept, server, NULL, &error))
    server_error (server, "selector", error->message);

  return G_SOURCE_REMOVE;
}

/* If no descriptor is free, accept() fails and the listener stays ready. The main loop would spin with any selector,
 * so the listener is paused for a while. Clients wait in the kernel's queue meanwhile. */
static void
server_pause (Server *server)
{
  server->pause_id = g_timeout_add (PAUSE_MS, server_listen_again, server);
  server->n_pauses++;
}

static void
server_add (Server *server,
            int     fd)
{
  Connection *connection = connection_new (server, fd);
  g_autoptr (GError) error = NULL;

  /* The selector now owns the connection and frees it, also if this call fails. */
  if (sel_base_selector_register_callback (server->selector, fd, SEL_EVENT_READ, connection_ready,
                                           connection, connection_free, &error)
      && g_unix_set_fd_nonblocking (fd, TRUE, &error))
    return;

  server_error (server, "new connection", error->message);
  sel_base_selector_unregister (server->selector, fd, NULL);
}

static gboolean
server_accept (SelBaseSelector *selector,
               SelSelectorKey  *key,
               SelEventMask     ready,
               gpointer         user_data)
{
  Server *server = user_data;

  for (int i = 0; i < ACCEPTS_PER_TURN; i++)
    {
      int fd = accept (server->listener, NULL, NULL);

      if (fd >= 0)
        server_add (server, fd);
      else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        {
          server_pause (server);
          return G_SOURCE_REMOVE;
        }
      else if (errno != ECONNABORTED && errno != EINTR)
        {
          if (!would_block (errno))
            server_error (server, "accept", g_strerror (errno));
          break;
        }
    }

  return G_SOURCE_CONTINUE;
}

static gboolean
server_listen (Server  *server,
               int      port,
               GError **error)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int yes = 1;
  int size = SOCKET_BUFFER_SIZE;

  address.sin_port = htons (port);
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);

  /* Connections inherit the sizes of the buffers. This limits the memory for each connection. */
  server->listener = socket (AF_INET, SOCK_STREAM, 0);
  if (server->listener < 0
      || setsockopt (server->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0
      || setsockopt (server->listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0
      || setsockopt (server->listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0
      || bind (server->listener, (struct sockaddr *) &address, sizeof address) < 0
      || listen (server->listener, SOMAXCONN) < 0
      || getsockname (server->listener, (struct sockaddr *) &address, &length) < 0)
    {
      g_set_error (error, SEL_OS_ERROR, errno, "listening: %s", g_strerror (errno));
      return FALSE;
    }

  g_print ("echo-server: listening on 127.0.0.1 port %d with %s\n",
           ntohs (address.sin_port), G_OBJECT_TYPE_NAME (server->selector));
  g_print ("echo-server: try 'nc 127.0.0.1 %d', several times at once; Ctrl-C ends it\n",
           ntohs (address.sin_port));

  return g_unix_set_fd_nonblocking (server->listener, TRUE, error)
         && sel_base_selector_register_callback (server->selector, server->listener,
                                                 SEL_EVENT_READ, server_accept, server, NULL,
                                                 error);
}

static gboolean
server_stop (gpointer data)
{
  Server *server = data;

  server->running = FALSE;

  return G_SOURCE_CONTINUE;
}

/* Does the same as g_main_loop_run(), and counts the iterations. */
static void
server_run (Server *server)
{
  guint source_id = sel_base_selector_attach (server->selector, NULL, G_PRIORITY_DEFAULT,
                                              NULL, NULL, NULL);
  guint interrupt_id = g_unix_signal_add (SIGINT, server_stop, server);
  guint terminate_id = g_unix_signal_add (SIGTERM, server_stop, server);

  for (server->running = TRUE; server->running; server->n_turns++)
    g_main_context_iteration (NULL, TRUE);

  g_source_remove (terminate_id);
  g_source_remove (interrupt_id);
  g_source_remove (source_id);
  g_clear_handle_id (&server->pause_id, g_source_remove);
}

static void
server_print_summary (Server *server)
{
  g_print ("echo-server: %s in a GMainContext\n"
           "  connections       %u, at most %u at a time\n"
           "  bytes echoed      %" G_GUINT64_FORMAT "\n"
           "  main-loop turns   %" G_GUINT64_FORMAT "\n"
           "  waits for room    %" G_GUINT64_FORMAT "\n"
           "  accept() pauses   %u\n"
           "  errors            %u\n",
           G_OBJECT_TYPE_NAME (server->selector), server->n_gone + server->n_open,
           server->max_open, server->n_bytes, server->n_turns, server->n_waits, server->n_pauses,
           server->n_errors);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *backend = NULL;
  gboolean list_backends = FALSE;
  int port = 0;
  int exit_after = 0;
  const GOptionEntry options[] = {
    { "backend", 'b', 0, G_OPTION_ARG_STRING, &backend,
      "default, select, poll, epoll, devpoll or kqueue", "NAME" },
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1; 0 takes a free one", "PORT" },
    { "exit-after", 'n', 0, G_OPTION_ARG_INT, &exit_after,
      "End when N connections have come and gone", "N" },
    { "list-backends", 0, 0, G_OPTION_ARG_NONE, &list_backends,
      "Print the backends that this system has", NULL },
    { NULL }
  };
  g_autoptr (GError) error = NULL;
  Server server = { .listener = -1 };
  guint limit;
  int status;

  echo_parse_arguments ("- echo what clients send", options, &argc, &argv);
  if (list_backends)
    {
      echo_print_backends ();
      return 0;
    }

  signal (SIGPIPE, SIG_IGN);
  server.exit_after = MAX (exit_after, 0);
  limit = echo_raise_descriptor_limit ();
  if (limit < MANY_DESCRIPTORS)
    echo_explain_limit ("echo-server", limit);

  server.selector = echo_selector_new (backend, &error);
  if (server.selector != NULL && server_listen (&server, port, &error))
    {
      server_run (&server);
      server_print_summary (&server);
    }

  if (error != NULL)
    server_error (&server, "not started", error->message);
  status = server.n_errors > 0 ? 1 : 0;
  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED))
    status = ECHO_EXIT_NOT_SUPPORTED;

  /* Closing the selector ends the registrations, which closes the connections. */
  if (server.selector != NULL)
    sel_base_selector_close (server.selector);
  g_clear_object (&server.selector);
  if (server.listener >= 0)
    close (server.listener);

  return status;
}
