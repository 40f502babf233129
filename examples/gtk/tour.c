/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An automatic tour through the program. It adds clients, uses all backends one after another, and checks at the end
 * that no byte was lost. It uses the actions of the window, as a user does, and prints the results.
 *
 * Each step is polled until it is done. No step depends on the duration of anything. */

#include "../echo-common.h"
#include "tour.h"

#define POLL_MS 20
#define PATIENCE_S 60

typedef struct
{
  MonitorWindow *window;
  TourOptions options;
  TourDone done;
  gpointer user_data;

  GStrv backends;
  guint backend;       /* the index of the current backend */
  guint step;
  gint64 step_began;
  EchoTotals before;
  guint n_frames;
} Tour;

/* Returns: TRUE if the step is done */
typedef gboolean (*TourStep) (Tour    *self,
                              GError **error);

static double
tour_get_seconds (Tour *self)
{
  return (double) (g_get_monotonic_time () - self->step_began) / G_USEC_PER_SEC;
}

static void
tour_begin_step (Tour *self)
{
  self->step_began = g_get_monotonic_time ();
  self->before = echo_service_get_totals (monitor_window_get_service (self->window));
  self->n_frames = 0;
}

static gboolean
tour_fail (GError     **error,
           const char  *reason)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, reason);
  return FALSE;
}

/* The list has one more row, for the listener. */
static gboolean
tour_has_connections (Tour  *self,
                      guint  n)
{
  EchoService *service = monitor_window_get_service (self->window);
  GListModel *rows = G_LIST_MODEL (echo_service_get_connections (service));

  return echo_service_get_n_connections (service) == n
         && g_list_model_get_n_items (rows) == n + 1
         && load_generator_get_totals (monitor_window_get_load (self->window)).n_clients == n;
}

static gboolean
tour_wait_for_clients (Tour    *self,
                       GError **error)
{
  if (!tour_has_connections (self, self->options.n_clients))
    return FALSE;

  g_print ("tour: %u clients were added in %.2f seconds, and are listed\n", self->options.n_clients,
           tour_get_seconds (self));
  return TRUE;
}

static void
tour_switch (Tour       *self,
             const char *backend)
{
  g_action_group_change_action_state (G_ACTION_GROUP (self->window), "backend", g_variant_new_string (backend));
  tour_begin_step (self);
}

/* Stays with each backend until the total of messages is a few times the number of clients. */
static gboolean
tour_go_through_backends (Tour    *self,
                          GError **error)
{
  EchoService *service = monitor_window_get_service (self->window);
  guint64 n_messages = echo_service_get_totals (service).messages - self->before.messages;
  const char *backend = self->backends[self->backend];
  g_autofree char *latency = NULL;

  if (!g_str_equal (echo_service_get_backend (service), backend))
    {
      tour_switch (self, backend);
      return FALSE;
    }

  if (tour_get_seconds (self) < self->options.seconds || n_messages < 2 * (guint64) self->options.n_clients)
    return FALSE;

  latency = latency_meter_summarize (monitor_window_get_latency (self->window));
  g_print ("tour: %s echoed %" G_GUINT64_FORMAT " messages, %.0f per second; %s; %.0f frames per second\n", backend,
           n_messages, n_messages / tour_get_seconds (self), latency, self->n_frames / tour_get_seconds (self));
  if (!tour_has_connections (self, self->options.n_clients))
    return tour_fail (error, "connections were lost");

  self->backend++;
  if (self->backends[self->backend] == NULL)
    return TRUE;

  tour_switch (self, self->backends[self->backend]);
  return FALSE;
}

static gboolean
tour_take_screenshot (Tour    *self,
                      GError **error)
{
  if (self->options.screenshot == NULL)
    return TRUE;

  if (!monitor_window_save_screenshot (self->window, self->options.screenshot, error))
    return FALSE;

  g_print ("tour: saved %s\n", self->options.screenshot);
  return TRUE;
}

static gboolean
tour_pause_clients (Tour    *self,
                    GError **error)
{
  load_generator_set_rate (monitor_window_get_load (self->window), 0);
  return TRUE;
}

/* Waits until no message is in transit. Then the counters of both sides must be equal. */
static gboolean
tour_compare_counts (Tour    *self,
                     GError **error)
{
  EchoTotals server = echo_service_get_totals (monitor_window_get_service (self->window));
  LoadTotals clients = load_generator_get_totals (monitor_window_get_load (self->window));

  if (clients.mismatches > 0)
    return tour_fail (error, "an echo was not what had been sent");

  if (clients.bytes_sent != clients.bytes_echoed || server.bytes_in != clients.bytes_sent
      || server.bytes_out != clients.bytes_sent || server.messages != clients.messages)
    return FALSE;

  g_print ("tour: %" G_GUINT64_FORMAT " messages, %" G_GUINT64_FORMAT " bytes: "
           "sent, received, sent back and received again, and every byte compared\n", server.messages, server.bytes_in);
  return TRUE;
}

static gboolean
tour_remove_clients (Tour    *self,
                     GError **error)
{
  g_action_group_activate_action (G_ACTION_GROUP (self->window), "remove-all-clients", NULL);
  return TRUE;
}

static gboolean
tour_wait_for_none (Tour    *self,
                    GError **error)
{
  if (!tour_has_connections (self, 0))
    return FALSE;

  g_print ("tour: all clients were removed in %.2f seconds, and are not listed any more\n", tour_get_seconds (self));
  return TRUE;
}

static const TourStep steps[] = {
  tour_wait_for_clients,
  tour_go_through_backends,
  tour_take_screenshot,
  tour_pause_clients,
  tour_compare_counts,
  tour_remove_clients,
  tour_wait_for_none,
};

static void
tour_count_frame (Tour *self)
{
  self->n_frames++;
}

static gboolean
tour_poll (gpointer data)
{
  Tour *self = data;
  const char *message = monitor_window_get_message (self->window);
  g_autoptr (GError) error = NULL;

  if (message != NULL)
    tour_fail (&error, message);
  else if (steps[self->step] (self, &error))
    {
      self->step++;
      tour_begin_step (self);
    }
  else if (error == NULL && tour_get_seconds (self) > PATIENCE_S + self->options.seconds)
    tour_fail (&error, "nothing happens any more");

  if (error != NULL)
    g_printerr ("tour: %s\n", error->message);
  if (error == NULL && self->step < G_N_ELEMENTS (steps))
    return G_SOURCE_CONTINUE;

  self->done (error == NULL, self->user_data);
  return G_SOURCE_REMOVE;
}

static void
tour_free (gpointer data)
{
  Tour *self = data;

  g_object_unref (self->window);
  g_strfreev (self->backends);
  g_free (self);
}

/* Calls @done when the tour is over. The server of the window must have started. */
void
tour_start (MonitorWindow     *window,
            const TourOptions *options,
            TourDone           done,
            gpointer           user_data)
{
  Tour *self = g_new0 (Tour, 1);

  self->window = g_object_ref (window);
  self->options = *options;
  self->done = done;
  self->user_data = user_data;
  self->backends = echo_list_backends ();

  monitor_window_set_n_clients (window, options->n_clients);
  g_signal_connect_swapped (gtk_widget_get_frame_clock (GTK_WIDGET (window)), "after-paint",
                            G_CALLBACK (tour_count_frame), self);
  tour_begin_step (self);
  g_timeout_add_full (G_PRIORITY_DEFAULT, POLL_MS, tour_poll, self, tour_free);
}
