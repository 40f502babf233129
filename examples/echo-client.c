/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A client that opens many connections and checks every byte that the server sends back.
 *
 * It waits with sel_base_selector_select_ready(), which allocates nothing. First it opens all connections. No
 * connection ends before every connection has received its first answer. Then each connection sends its messages one
 * after another, shuts down the sending side and expects the end of the stream. */

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo-common.h"

#define CHUNK_SIZE (64 * 1024)
#define SOCKET_BUFFER_SIZE (64 * 1024)
#define EVENTS_PER_WAIT 256
#define OTHER_DESCRIPTORS 32
#define ERRORS_SHOWN 5
#define QUIET_SECONDS 0.25

/* One in this number of connections sends a message that is larger than the socket buffers. */
#define LARGE_EVERY 100

typedef enum
{
  STATE_CONNECTING,
  STATE_TALKING,
  STATE_WAITING,
  STATE_ENDING,
  STATE_OVER
} State;

typedef struct
{
  guint index;
  int fd;
  State state;
  SelEventMask events;
  gboolean is_held_up;
  guint message;
  gsize size;
  gsize n_sent;
  gsize n_checked;
} Connection;

typedef struct
{
  SelBaseSelector *selector;
  struct sockaddr_in address;
  Connection *connections;
  int n_connections;
  int n_messages;
  int size;
  int large_size;
  int patience;
  gboolean hurry;
  gboolean slow_readers;

  guint n_live;
  guint n_held_up;
  guint max_live;
  guint n_answered;
  guint n_failed;
  guint64 n_turns;
  guint64 n_messages_checked;
  guint64 n_bytes_checked;
  gint64 start_time;
  gint64 progress_time;
} Client;

/* The bytes of a message depend only on the connection, the message and the position, so that the client does not
 * have to store sent messages. The mixing function is that of SplitMix64. */
static guint64
pattern_word (guint   connection,
              guint   message,
              guint64 position)
{
  guint64 word = ((guint64) connection << 32 | message) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  word += (position + 1) * G_GUINT64_CONSTANT (0xd1342543de82ef95);
  word = (word ^ (word >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  word = (word ^ (word >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);

  return word ^ (word >> 31);
}

static void
pattern_fill (Connection *connection,
              gsize       offset,
              guint8     *bytes,
              gsize       n_bytes)
{
  guint64 word = 0;

  for (gsize i = 0; i < n_bytes; i++)
    {
      gsize position = offset + i;

      if (i == 0 || position % 8 == 0)
        word = pattern_word (connection->index, connection->message, position / 8);
      bytes[i] = word >> (position % 8 * 8);
    }
}

static gsize
message_size (Client *client,
              guint   connection,
              guint   message)
{
  if (client->large_size > 0 && connection % LARGE_EVERY == 0
      && message == (guint) client->n_messages / 2)
    return client->large_size;

  return 1 + pattern_word (connection, message, G_MAXUINT32) % client->size;
}

static gboolean
would_block (int error_number)
{
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

/* A slow reader does not read until no more progress is possible. All buffers between it and the server are full
 * then. */
static void
connection_hold_up (Client     *client,
                    Connection *connection,
                    gboolean    is_held_up)
{
  if (connection->is_held_up == is_held_up)
    return;

  connection->is_held_up = is_held_up;
  client->n_held_up += is_held_up ? 1 : -1;
}

static void
connection_over (Client     *client,
                 Connection *connection)
{
  if (connection->fd >= 0)
    {
      if (connection->events != 0)
        sel_base_selector_unregister (client->selector, connection->fd, NULL);
      close (connection->fd);
      client->n_live--;
    }

  connection_hold_up (client, connection, FALSE);
  connection->fd = -1;
  connection->events = 0;
  connection->state = STATE_OVER;
}

static void
connection_fail (Client     *client,
                 Connection *connection,
                 const char *what,
                 const char *why)
{
  if (client->n_failed++ < ERRORS_SHOWN)
    g_printerr ("echo-client: connection %u, message %u: %s: %s\n",
                connection->index, connection->message, what, why);
  if (connection->message == 0)
    client->n_answered++;

  connection_over (client, connection);
}

static void
connection_watch (Client       *client,
                  Connection   *connection,
                  SelEventMask  events)
{
  g_autoptr (GError) error = NULL;
  gboolean done = TRUE;

  if (connection->events == 0)
    done = sel_base_selector_register (client->selector, connection->fd, events, connection, NULL,
                                       &error);
  else if (connection->events != events)
    done = sel_base_selector_modify_events (client->selector, connection->fd, events, &error);

  if (done)
    connection->events = events;
  else
    connection_fail (client, connection, "selector", error->message);
}

static void
connection_begin_message (Client     *client,
                          Connection *connection)
{
  connection->size = message_size (client, connection->index, connection->message);
  connection->n_sent = 0;
  connection->n_checked = 0;
  connection->state = STATE_TALKING;
  connection_watch (client, connection, SEL_EVENT_WRITE);
}

static void
connection_end (Client     *client,
                Connection *connection)
{
  connection->state = STATE_ENDING;
  if (shutdown (connection->fd, SHUT_WR) < 0)
    connection_fail (client, connection, "shutdown", g_strerror (errno));
}

static void
connection_open (Client     *client,
                 Connection *connection)
{
  int size = SOCKET_BUFFER_SIZE;

  connection->fd = socket (AF_INET, SOCK_STREAM, 0);
  if (connection->fd < 0)
    {
      connection_fail (client, connection, "socket", g_strerror (errno));
      return;
    }

  client->n_live++;
  if (!g_unix_set_fd_nonblocking (connection->fd, TRUE, NULL)
      || setsockopt (connection->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0
      || setsockopt (connection->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0
      || (connect (connection->fd, (struct sockaddr *) &client->address,
                   sizeof client->address) < 0 && errno != EINPROGRESS))
    connection_fail (client, connection, "connect", g_strerror (errno));
  else
    connection_watch (client, connection, SEL_EVENT_WRITE);
}

static void
connection_opened (Client     *client,
                   Connection *connection)
{
  int error_number = 0;
  socklen_t length = sizeof error_number;

  if (getsockopt (connection->fd, SOL_SOCKET, SO_ERROR, &error_number, &length) < 0)
    error_number = errno;

  if (error_number != 0)
    connection_fail (client, connection, "connect", g_strerror (error_number));
  else
    connection_begin_message (client, connection);
}

static void
connection_send_is_stuck (Client     *client,
                          Connection *connection)
{
  gboolean is_slow = client->slow_readers && connection->n_checked == 0;

  connection_hold_up (client, connection, is_slow);
  connection_watch (client, connection, is_slow ? SEL_EVENT_WRITE
                                                : SEL_EVENT_READ | SEL_EVENT_WRITE);
}

/* Sends until the socket buffer is full, and starts to read only then. */
static void
connection_send (Client     *client,
                 Connection *connection)
{
  static guint8 chunk[CHUNK_SIZE];

  while (connection->n_sent < connection->size)
    {
      gsize n_wanted = MIN (connection->size - connection->n_sent, sizeof chunk);
      gssize n;

      pattern_fill (connection, connection->n_sent, chunk, n_wanted);
      n = write (connection->fd, chunk, n_wanted);
      if (n < 0 && would_block (errno))
        {
          connection_send_is_stuck (client, connection);
          return;
        }
      if (n < 0)
        {
          connection_fail (client, connection, "write", g_strerror (errno));
          return;
        }

      connection->n_sent += n;
      client->progress_time = g_get_monotonic_time ();
    }

  connection_hold_up (client, connection, FALSE);
  connection_watch (client, connection, SEL_EVENT_READ);
}

static void
connection_message_checked (Client     *client,
                            Connection *connection)
{
  client->n_messages_checked++;
  if (connection->message++ == 0)
    client->n_answered++;

  if (connection->message < (guint) client->n_messages)
    connection_begin_message (client, connection);
  else if (client->hurry)
    connection_end (client, connection);
  else
    connection->state = STATE_WAITING;
}

static void
connection_receive (Client     *client,
                    Connection *connection)
{
  static guint8 bytes[CHUNK_SIZE];
  static guint8 expected[CHUNK_SIZE];
  gssize n = read (connection->fd, bytes, sizeof bytes);

  if (n < 0 && would_block (errno))
    return;
  if (n < 0)
    {
      connection_fail (client, connection, "read", g_strerror (errno));
      return;
    }

  client->progress_time = g_get_monotonic_time ();

  if (n == 0 && connection->state == STATE_ENDING)
    connection_over (client, connection);
  else if (n == 0)
    connection_fail (client, connection, "read", "the end came too early");
  else if (connection->state != STATE_TALKING
           || (gsize) n > connection->n_sent - connection->n_checked)
    connection_fail (client, connection, "check", "more came back than was sent");
  else
    {
      pattern_fill (connection, connection->n_checked, expected, n);
      if (memcmp (bytes, expected, n) != 0)
        {
          connection_fail (client, connection, "check", "other bytes came back than were sent");
          return;
        }

      client->n_bytes_checked += n;
      connection->n_checked += n;
      if (connection->n_checked == connection->size)
        connection_message_checked (client, connection);
    }
}

static void
connection_ready (Client       *client,
                  Connection   *connection,
                  SelEventMask  ready)
{
  if (connection->state == STATE_CONNECTING)
    connection_opened (client, connection);
  else if (ready & SEL_EVENT_READ)
    connection_receive (client, connection);

  if (connection->state == STATE_TALKING && connection->n_sent < connection->size
      && (ready & SEL_EVENT_WRITE))
    connection_send (client, connection);
}

/* Ends the waiting connections, because every connection has received an answer. */
static void
client_release (Client *client)
{
  client->hurry = TRUE;
  client->max_live = client->n_live;

  for (int i = 0; i < client->n_connections; i++)
    if (client->connections[i].state == STATE_WAITING)
      connection_end (client, &client->connections[i]);
}

static void
client_let_slow_readers_read (Client *client)
{
  for (int i = 0; i < client->n_connections; i++)
    {
      Connection *connection = &client->connections[i];

      if (connection->is_held_up)
        {
          connection_hold_up (client, connection, FALSE);
          connection_watch (client, connection, SEL_EVENT_READ | SEL_EVENT_WRITE);
        }
    }
}

static void
client_give_up (Client     *client,
                const char *why)
{
  for (int i = 0; i < client->n_connections; i++)
    if (client->connections[i].state != STATE_OVER)
      connection_fail (client, &client->connections[i], "given up", why);
}

static void
client_run (Client *client)
{
  SelReadyEvent events[EVENTS_PER_WAIT];

  client->start_time = client->progress_time = g_get_monotonic_time ();
  for (int i = 0; i < client->n_connections; i++)
    connection_open (client, &client->connections[i]);

  while (client->n_live > 0)
    {
      gint64 elapsed = g_get_monotonic_time () - client->progress_time;
      gdouble patience = client->patience - elapsed / (gdouble) G_USEC_PER_SEC;
      g_autoptr (GError) error = NULL;
      gssize n = -1;

      if (client->n_held_up > 0)
        patience = MIN (patience, QUIET_SECONDS);
      if (patience > 0)
        n = sel_base_selector_select_ready (client->selector, patience, events,
                                            G_N_ELEMENTS (events), NULL, &error);
      if (n < 0)
        {
          client_give_up (client, error != NULL ? error->message
                                                : "no byte for too long; the server may be short "
                                                  "of descriptors (see --hurry)");
          return;
        }

      client->n_turns++;
      for (gssize i = 0; i < n; i++)
        connection_ready (client, events[i].data, events[i].events);

      if (n == 0)
        client_let_slow_readers_read (client);
      if (!client->hurry && client->n_answered == (guint) client->n_connections)
        client_release (client);
      client->max_live = MAX (client->max_live, client->n_live);
    }
}

static void
client_print_summary (Client *client)
{
  gdouble seconds = (g_get_monotonic_time () - client->start_time) / (gdouble) G_USEC_PER_SEC;

  g_print ("echo-client: %s, waited on directly\n"
           "  connections       %d, at most %u at a time\n"
           "  messages checked  %" G_GUINT64_FORMAT "\n"
           "  bytes checked     %" G_GUINT64_FORMAT "\n"
           "  messages/second   %.0f\n"
           "  waits             %" G_GUINT64_FORMAT "\n"
           "  errors            %u\n",
           G_OBJECT_TYPE_NAME (client->selector), client->n_connections, client->max_live,
           client->n_messages_checked, client->n_bytes_checked,
           client->n_messages_checked / seconds, client->n_turns, client->n_failed);
}

/* Reduces the number of connections to what the limit of descriptors allows. */
static void
client_fit_to_limit (Client *client)
{
  guint limit = echo_raise_descriptor_limit ();

  if (limit >= (guint) client->n_connections + OTHER_DESCRIPTORS)
    return;

  echo_explain_limit ("echo-client", limit);
  client->n_connections = MAX ((int) limit - OTHER_DESCRIPTORS, 1);
  g_printerr ("echo-client: going on with %d connections\n", client->n_connections);
}

int
main (int    argc,
      char **argv)
{
  Client client = {
    .n_connections = 1000, .n_messages = 20, .size = 4096, .large_size = 1024 * 1024,
    .patience = 60, .address = { .sin_family = AF_INET },
  };
  g_autofree char *backend = NULL;
  int port = 0;
  const GOptionEntry options[] = {
    { "backend", 'b', 0, G_OPTION_ARG_STRING, &backend,
      "default, select, poll, epoll, devpoll or kqueue", "NAME" },
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "The server's port on 127.0.0.1", "PORT" },
    { "connections", 'c', 0, G_OPTION_ARG_INT, &client.n_connections,
      "Connections, all at the same time", "N" },
    { "messages", 'm', 0, G_OPTION_ARG_INT, &client.n_messages, "Messages on each", "N" },
    { "size", 's', 0, G_OPTION_ARG_INT, &client.size, "Bytes in a message, at most", "N" },
    { "large-size", 'l', 0, G_OPTION_ARG_INT, &client.large_size,
      "Bytes in one message of every hundredth connection; 0: none", "N" },
    { "patience", 0, 0, G_OPTION_ARG_INT, &client.patience,
      "Seconds without a byte after which to give up", "SECONDS" },
    { "slow-readers", 0, 0, G_OPTION_ARG_NONE, &client.slow_readers,
      "Read nothing of a large message before the server can send no more", NULL },
    { "hurry", 0, 0, G_OPTION_ARG_NONE, &client.hurry,
      "Let a connection end before all have had an answer", NULL },
    { NULL }
  };
  g_autoptr (GError) error = NULL;

  echo_parse_arguments ("- talk to echo-server", options, &argc, &argv);
  if (port <= 0 || port > G_MAXUINT16 || client.n_connections < 1 || client.n_messages < 1 || client.size < 1)
    {
      g_printerr ("echo-client: start echo-server, then give me its --port (see --help)\n");
      return 2;
    }

  signal (SIGPIPE, SIG_IGN);
  client.address.sin_port = htons (port);
  client.address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  client_fit_to_limit (&client);

  client.selector = echo_selector_new (backend, &error);
  if (client.selector == NULL)
    {
      g_printerr ("echo-client: %s\n", error->message);
      return g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED)
             ? ECHO_EXIT_NOT_SUPPORTED : 2;
    }

  client.connections = g_new0 (Connection, client.n_connections);
  for (int i = 0; i < client.n_connections; i++)
    client.connections[i] = (Connection) { .index = i, .fd = -1 };

  client_run (&client);
  client_print_summary (&client);

  g_free (client.connections);
  sel_base_selector_close (client.selector);
  g_object_unref (client.selector);

  return client.n_failed > 0 ? 1 : 0;
}
