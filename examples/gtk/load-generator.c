/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The clients of the echo server. They run in a separate thread, which has its own selector and no main loop. The
 * thread waits in sel_base_selector_select_ready(). If the settings change, another thread calls
 * sel_base_selector_wakeup() to end the wait.
 *
 * Each client sends a message at its time, unless it still waits for the last echo, and compares the echo with the
 * message. */

#include <string.h>

#include <sel-glib/sel-glib.h>

#include "load-generator.h"

#define LENGTH_MIN 32
#define LENGTH_MAX 480
#define EVENTS_PER_TURN 256
#define OPENED_PER_TURN 64
#define SHORTEST_WAIT 0.004

struct _LoadGenerator
{
  GObject parent_instance;

  GSocketAddress *server;
  GMainContext *context;
  GThread *thread;
  SelBaseSelector *selector;

  GMutex mutex;    /* protects the following members: the settings and the results of the thread */
  guint n_wanted;
  guint rate;
  gboolean stopping;
  LoadTotals totals;
};

typedef struct
{
  GSocket *socket;
  guint number;
  guint n_messages;
  gboolean connected;
  gsize length;      /* of the current message; 0 if there is none */
  gsize sent;
  gsize echoed;
  char message[LENGTH_MAX];
} Client;

/* Only the thread uses this. */
typedef struct
{
  LoadGenerator *generator;
  SelBaseSelector *selector;
  GPtrArray *clients;
  guint n_opened;
  guint next;
  double due;
  gint64 last_turn;
  LoadTotals totals;
} Load;

typedef struct
{
  LoadGenerator *generator;
  GError *error;
} Failure;

enum
{
  SIGNAL_FAILED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (LoadGenerator, load_generator, G_TYPE_OBJECT)

static void
failure_free (gpointer data)
{
  Failure *failure = data;

  g_object_unref (failure->generator);
  g_error_free (failure->error);
  g_free (failure);
}

static gboolean
failure_emit (gpointer data)
{
  Failure *failure = data;

  g_signal_emit (failure->generator, signals[SIGNAL_FAILED], 0, failure->error);
  return G_SOURCE_REMOVE;
}

/* Signals are emitted in the thread that created the generator. */
static void
load_failed (Load   *self,
             GError *error)
{
  Failure *failure = g_new (Failure, 1);

  failure->generator = g_object_ref (self->generator);
  failure->error = error;

  g_main_context_invoke_full (self->generator->context, G_PRIORITY_DEFAULT, failure_emit, failure, failure_free);
}

static void
client_free (gpointer data)
{
  Client *client = data;

  g_socket_close (client->socket, NULL);
  g_object_unref (client->socket);
  g_free (client);
}

static void
load_close_client (Load   *self,
                   Client *client)
{
  /* Unregister before closing: after that the number may belong to another file. */
  sel_base_selector_unregister_object (self->selector, G_OBJECT (client->socket), NULL);
  g_ptr_array_remove_fast (self->clients, client);
}

static gboolean
load_open_client (Load    *self,
                  GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT,
                                             error);
  g_autoptr (GError) local_error = NULL;
  Client *client;

  if (socket == NULL)
    return FALSE;

  g_socket_set_blocking (socket, FALSE);
  if (!g_socket_connect (socket, self->generator->server, NULL, &local_error)
      && !g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_PENDING))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }

  client = g_new0 (Client, 1);
  client->socket = g_steal_pointer (&socket);
  client->number = self->n_opened++;

  /* The socket becomes ready for writing when it is connected, or when connecting has failed. */
  if (!sel_base_selector_register_object (self->selector, G_OBJECT (client->socket), SEL_EVENT_WRITE, client, NULL,
                                          error))
    {
      client_free (client);
      return FALSE;
    }

  g_ptr_array_add (self->clients, client);
  return TRUE;
}

static void
load_open_and_close (Load  *self,
                     guint  n_wanted)
{
  g_autoptr (GError) error = NULL;

  for (int i = 0; i < OPENED_PER_TURN && self->clients->len < n_wanted && error == NULL; i++)
    load_open_client (self, &error);

  while (self->clients->len > n_wanted)
    load_close_client (self, g_ptr_array_index (self->clients, self->clients->len - 1));

  if (error == NULL)
    return;

  /* Reduce the wanted number to the open clients, because the next iteration would fail in the same way. */
  g_mutex_lock (&self->generator->mutex);
  self->generator->n_wanted = MIN (self->generator->n_wanted, self->clients->len);
  g_mutex_unlock (&self->generator->mutex);

  load_failed (self, g_steal_pointer (&error));
}

/* Makes lines of letters, which differ for each client and each message. */
static void
client_compose (Client *client)
{
  guint seed = client->number * 31 + client->n_messages++;

  client->length = LENGTH_MIN + seed % (LENGTH_MAX - LENGTH_MIN + 1);
  client->sent = client->echoed = 0;
  for (gsize i = 0; i < client->length - 1; i++)
    client->message[i] = 'a' + (seed + i) % 26;
  client->message[client->length - 1] = '\n';
}

/* Sends the rest of the message. If the socket does not accept all of it, waits until the socket is writable. */
static gboolean
load_send (Load    *self,
           Client  *client,
           GError **error)
{
  g_autoptr (GError) local_error = NULL;
  SelEventMask wanted = SEL_EVENT_READ;
  gssize n = g_socket_send (client->socket, client->message + client->sent, client->length - client->sent, NULL,
                            &local_error);

  if (n < 0 && !g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }

  if (n > 0)
    {
      client->sent += n;
      self->totals.bytes_sent += n;
    }
  if (client->sent < client->length)
    wanted |= SEL_EVENT_WRITE;

  /* This makes no system call if the events do not change. */
  return sel_base_selector_modify_events (self->selector, g_socket_get_fd (client->socket), wanted, error);
}

/* Returns: FALSE without an error if the server has closed the connection */
static gboolean
load_receive (Load    *self,
              Client  *client,
              GError **error)
{
  char echo[LENGTH_MAX];
  g_autoptr (GError) local_error = NULL;
  gssize n = g_socket_receive (client->socket, echo, sizeof echo, NULL, &local_error);

  if (g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return TRUE;
  if (n < 0)
    g_propagate_error (error, g_steal_pointer (&local_error));
  if (n <= 0)
    return FALSE;

  self->totals.bytes_echoed += n;
  if ((gsize) n > client->length - client->echoed || memcmp (echo, client->message + client->echoed, n) != 0)
    self->totals.mismatches++;

  client->echoed += n;
  if (client->echoed >= client->length)
    {
      self->totals.messages++;
      client->length = 0;
    }

  return TRUE;
}

static gboolean
load_client_ready (Load          *self,
                   Client        *client,
                   SelEventMask   ready,
                   GError       **error)
{
  if (!client->connected)
    {
      if (!g_socket_check_connect_result (client->socket, error))
        return FALSE;
      client->connected = TRUE;
      return sel_base_selector_modify_events (self->selector, g_socket_get_fd (client->socket), SEL_EVENT_READ, error);
    }

  return ((ready & SEL_EVENT_READ) == 0 || load_receive (self, client, error))
         && ((ready & SEL_EVENT_WRITE) == 0 || load_send (self, client, error));
}

/* Closes a client whose connection ended or failed. */
static void
load_drop_client (Load   *self,
                  Client *client,
                  GError *error)
{
  load_close_client (self, client);

  /* Do not replace the client. */
  g_mutex_lock (&self->generator->mutex);
  if (self->generator->n_wanted > 0)
    self->generator->n_wanted--;
  g_mutex_unlock (&self->generator->mutex);

  /* The server resets the connection if it closes it before it has read everything. This is an ordinary end. */
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED))
    g_clear_error (&error);
  if (error != NULL)
    load_failed (self, error);
}

/* Sends the messages that are due. The messages are distributed over time, so that the clients do not all send at
 * once. */
static void
load_send_what_is_due (Load  *self,
                       guint  rate)
{
  gint64 now = g_get_monotonic_time ();
  guint n_clients = self->clients->len;
  guint n_due;

  self->due += (double) (now - self->last_turn) / G_USEC_PER_SEC * rate * n_clients;
  self->due = MIN (self->due, n_clients);
  self->last_turn = now;

  n_due = self->due;
  self->due -= n_due;

  /* Go backwards, because the last client takes the place of a dropped one. */
  for (; n_due > 0; n_due--)
    {
      Client *client;
      GError *error = NULL;

      if (self->clients->len == 0)
        return;

      if (self->next == 0)
        self->next = self->clients->len;
      self->next = MIN (self->next, self->clients->len) - 1;
      client = g_ptr_array_index (self->clients, self->next);

      if (!client->connected || client->length > 0)
        continue;

      client_compose (client);
      if (!load_send (self, client, &error))
        load_drop_client (self, client, error);
    }
}

/* Returns: the seconds until the next work that the selector does not report */
static double
load_timeout (Load  *self,
              guint  rate,
              guint  n_wanted)
{
  if (self->clients->len < n_wanted)
    return 0;
  if (rate == 0 || self->clients->len == 0)
    return SEL_WAIT_FOREVER;

  return MAX (SHORTEST_WAIT, (1 - self->due) / ((double) rate * self->clients->len));
}

/* Publishes the totals before each wait, which may be long. */
static void
load_publish (Load *self)
{
  self->totals.n_clients = self->clients->len;

  g_mutex_lock (&self->generator->mutex);
  self->generator->totals = self->totals;
  g_mutex_unlock (&self->generator->mutex);
}

static void
load_turn (Load  *self,
           guint  rate,
           guint  n_wanted)
{
  SelReadyEvent events[EVENTS_PER_TURN];
  g_autoptr (GError) error = NULL;
  gssize n_events;

  load_open_and_close (self, n_wanted);
  load_send_what_is_due (self, rate);
  load_publish (self);

  n_events = sel_base_selector_select_ready (self->selector, load_timeout (self, rate, n_wanted), events,
                                             G_N_ELEMENTS (events), NULL, &error);
  if (n_events < 0)
    load_failed (self, g_steal_pointer (&error));

  /* Each client is reported at most once, so closing one leaves the other events valid. */
  for (gssize i = 0; i < n_events; i++)
    {
      GError *client_error = NULL;

      if (!load_client_ready (self, events[i].data, events[i].events, &client_error))
        load_drop_client (self, events[i].data, client_error);
    }
}

static gpointer
load_generator_thread (gpointer data)
{
  LoadGenerator *self = data;
  Load load = { .generator = self, .selector = self->selector, .last_turn = g_get_monotonic_time () };
  gboolean stopping;

  load.clients = g_ptr_array_new_with_free_func (client_free);

  do
    {
      guint rate, n_wanted;

      g_mutex_lock (&self->mutex);
      stopping = self->stopping;
      rate = self->rate;
      n_wanted = self->n_wanted;
      g_mutex_unlock (&self->mutex);

      if (!stopping)
        load_turn (&load, rate, n_wanted);
    }
  while (!stopping);

  sel_base_selector_close (load.selector);
  g_ptr_array_unref (load.clients);

  return NULL;
}

static void
load_generator_dispose (GObject *object)
{
  LoadGenerator *self = LOAD_GENERATOR (object);

  if (self->thread != NULL)
    {
      g_mutex_lock (&self->mutex);
      self->stopping = TRUE;
      g_mutex_unlock (&self->mutex);
      sel_base_selector_wakeup (self->selector);
      g_thread_join (g_steal_pointer (&self->thread));
    }

  G_OBJECT_CLASS (load_generator_parent_class)->dispose (object);
}

static void
load_generator_finalize (GObject *object)
{
  LoadGenerator *self = LOAD_GENERATOR (object);

  g_clear_object (&self->selector);
  g_clear_object (&self->server);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->mutex);

  G_OBJECT_CLASS (load_generator_parent_class)->finalize (object);
}

static void
load_generator_class_init (LoadGeneratorClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = load_generator_dispose;
  G_OBJECT_CLASS (klass)->finalize = load_generator_finalize;

  signals[SIGNAL_FAILED] = g_signal_new ("failed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0,
                                         NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
load_generator_init (LoadGenerator *self)
{
  self->context = g_main_context_ref_thread_default ();
  g_mutex_init (&self->mutex);
}

/* The generator starts without clients. */
LoadGenerator *
load_generator_new (GSocketAddress  *server,
                    GError         **error)
{
  g_autoptr (LoadGenerator) self = g_object_new (LOAD_TYPE_GENERATOR, NULL);

  self->server = g_object_ref (server);
  self->selector = sel_default_selector_new (error);
  if (self->selector == NULL)
    return NULL;

  self->thread = g_thread_try_new ("load", load_generator_thread, self, error);

  return self->thread != NULL ? g_steal_pointer (&self) : NULL;
}

/* Opens or closes clients until there are @n_clients. If that fails, the signal "failed" gives the error, and the
 * wanted number becomes the current number. */
void
load_generator_set_n_clients (LoadGenerator *self,
                              guint          n_clients)
{
  g_mutex_lock (&self->mutex);
  self->n_wanted = n_clients;
  g_mutex_unlock (&self->mutex);

  sel_base_selector_wakeup (self->selector);
}

/* Returns: the wanted number of clients; load_generator_get_totals() gives the current number */
guint
load_generator_get_n_clients (LoadGenerator *self)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->mutex);

  return self->n_wanted;
}

/* Sets the rate of each client; 0 pauses the clients. */
void
load_generator_set_rate (LoadGenerator *self,
                         guint          messages_per_second)
{
  g_mutex_lock (&self->mutex);
  self->rate = messages_per_second;
  g_mutex_unlock (&self->mutex);

  sel_base_selector_wakeup (self->selector);
}

LoadTotals
load_generator_get_totals (LoadGenerator *self)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->mutex);

  return self->totals;
}
