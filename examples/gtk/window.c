/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The window shows the state of the service, and controls the service and the load generator.
 *
 * It is updated at two rates. Changes of the list are collected and shown in the next frame. The figures and the
 * graph are updated four times a second. */

#include "../echo-common.h"
#include "connection-columns.h"
#include "throughput-graph.h"
#include "window.h"

/* The messages per second of each client, in the order of the drop-down. */
static const guint rates[] = { 0, 1, 10, 100 };
#define DEFAULT_RATE 2

/* The figures are averages over one second. */
#define SAMPLES_PER_SECOND (1000 / THROUGHPUT_GRAPH_INTERVAL_MS)
#define LATENCIES_PER_SECOND 100

/* The connections do not get all descriptors, because the program needs some, for example to load an icon. */
#define DESCRIPTORS_TO_SPARE 100

typedef struct
{
  gint64 time;
  EchoTotals totals;
} Sample;

struct _MonitorWindow
{
  GtkApplicationWindow parent_instance;

  GtkDropDown *backend;
  GtkDropDown *rate;
  GtkSpinButton *step;
  GtkLabel *subtitle;
  GtkRevealer *message_revealer;
  GtkLabel *message;
  GtkStack *pages;
  GtkStack *list_pages;
  GtkLabel *empty_hint;
  GtkLabel *failure;
  GtkInscription *n_connections_value;
  GtkInscription *messages_value;
  GtkInscription *bytes_value;
  GtkInscription *latency_value;
  ThroughputGraph *graph;
  GtkColumnView *view;

  char *first_backend;
  EchoService *service;
  LoadGenerator *load;
  LatencyMeter *latency;
  GtkSelectionModel *selection;
  guint flush_id;
  guint sample_id;
  guint n_samples;
  Sample samples[SAMPLES_PER_SECOND];    /* a ring buffer */
};

G_DEFINE_TYPE (MonitorWindow, monitor_window, GTK_TYPE_APPLICATION_WINDOW)

static void
monitor_window_set_action_enabled (MonitorWindow *self,
                                   const char    *name,
                                   gboolean       enabled)
{
  g_simple_action_set_enabled (G_SIMPLE_ACTION (g_action_map_lookup_action (G_ACTION_MAP (self), name)), enabled);
}

static void
monitor_window_show_message (MonitorWindow *self,
                             const char    *text)
{
  gtk_label_set_label (self->message, text);
  gtk_revealer_set_reveal_child (self->message_revealer, TRUE);
  monitor_window_set_action_enabled (self, "dismiss-message", TRUE);
}

/* Both ends of a connection are in this process, so the limit of descriptors allows half as many clients. */
void
monitor_window_set_n_clients (MonitorWindow *self,
                              guint          n_clients)
{
  guint limit = echo_raise_descriptor_limit ();
  guint n_max = (limit - MIN (limit, DESCRIPTORS_TO_SPARE)) / 2;

  load_generator_set_n_clients (self->load, MIN (n_clients, n_max));
  if (n_clients > n_max)
    {
      g_autofree char *text = g_strdup_printf ("There can be no more than %'u clients: this process may have %'u files "
                                               "open at a time. \342\200\234ulimit -n\342\200\235 changes that.",
                                               n_max, limit);

      monitor_window_show_message (self, text);
    }
}

/* Shows an error. If the process has run out of descriptors, because other parts of it need some too, closes some of
 * the clients. */
static void
monitor_window_failed (MonitorWindow *self,
                       const GError  *error)
{
  monitor_window_show_message (self, error->message);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES))
    {
      guint n_clients = load_generator_get_n_clients (self->load);
      guint n_open = n_clients + echo_service_get_n_connections (self->service);

      load_generator_set_n_clients (self->load, MIN (n_clients, (n_open - MIN (n_open, DESCRIPTORS_TO_SPARE)) / 2));
    }
}

/* The list. */

static void
monitor_window_update_close_action (MonitorWindow *self)
{
  ConnectionItem *item = gtk_single_selection_get_selected_item (GTK_SINGLE_SELECTION (self->selection));

  monitor_window_set_action_enabled (self, "close-connection",
                                     item != NULL && !echo_service_is_listener (self->service, item));
}

static gboolean
monitor_window_flush (GtkWidget     *widget,
                      GdkFrameClock *clock,
                      gpointer       user_data)
{
  MonitorWindow *self = MONITOR_WINDOW (widget);
  ConnectionList *list = echo_service_get_connections (self->service);

  connection_list_flush (list);
  gtk_stack_set_visible_child_name (self->list_pages,
                                    g_list_model_get_n_items (G_LIST_MODEL (list)) > 1 ? "connections" : "empty");

  self->flush_id = 0;
  return G_SOURCE_REMOVE;
}

static void
monitor_window_list_pending (MonitorWindow *self)
{
  if (self->flush_id == 0)
    self->flush_id = gtk_widget_add_tick_callback (GTK_WIDGET (self), monitor_window_flush, NULL, NULL);
}

/* The figures. */

static void
monitor_window_show_rates (MonitorWindow *self,
                           double         messages,
                           double         bytes)
{
  g_autofree char *n_connections = g_strdup_printf ("%'u", echo_service_get_n_connections (self->service));
  g_autofree char *messages_text = g_strdup_printf ("%'.0f", messages);
  g_autofree char *bytes_text = g_format_size (bytes);
  g_autofree char *latency = g_strdup_printf ("%.1f ms", latency_meter_get_worst (self->latency, LATENCIES_PER_SECOND));

  gtk_inscription_set_text (self->n_connections_value, n_connections);
  gtk_inscription_set_text (self->messages_value, messages_text);
  gtk_inscription_set_text (self->bytes_value, bytes_text);
  gtk_inscription_set_text (self->latency_value, latency);
  throughput_graph_add (self->graph, messages);
}

static gboolean
monitor_window_sample (gpointer data)
{
  MonitorWindow *self = data;
  Sample now = { g_get_monotonic_time (), echo_service_get_totals (self->service) };
  Sample *before = &self->samples[self->n_samples % SAMPLES_PER_SECOND];
  double seconds = (double) (now.time - before->time) / G_USEC_PER_SEC;
  guint n_clients = load_generator_get_n_clients (self->load);

  if (self->n_samples >= SAMPLES_PER_SECOND)
    monitor_window_show_rates (self, (now.totals.messages - before->totals.messages) / seconds,
                               (now.totals.bytes_in - before->totals.bytes_in) / seconds);
  *before = now;
  self->n_samples++;

  if (self->n_samples % SAMPLES_PER_SECOND == 0)
    connection_columns_sort_again (self->view);

  monitor_window_set_action_enabled (self, "remove-clients", n_clients > 0);
  monitor_window_set_action_enabled (self, "remove-all-clients", n_clients > 0);

  return G_SOURCE_CONTINUE;
}

/* Actions. */

static void
monitor_window_show_backend (MonitorWindow *self)
{
  const char *backend = echo_service_get_backend (self->service);
  GListModel *names = gtk_drop_down_get_model (self->backend);
  g_autoptr (GSocketAddress) address = echo_service_get_address (self->service);
  g_autofree char *address_text = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  g_autofree char *hint = NULL;

  for (guint i = 0; i < g_list_model_get_n_items (names); i++)
    if (g_str_equal (gtk_string_list_get_string (GTK_STRING_LIST (names), i), backend))
      gtk_drop_down_set_selected (self->backend, i);

  hint = g_strdup_printf ("An echo server waits on %s for clients,\nwith %s as the backend of its selector.",
                          address_text, backend);
  gtk_label_set_label (self->empty_hint, hint);
  gtk_label_set_label (self->subtitle, address_text);
  gtk_widget_set_visible (GTK_WIDGET (self->subtitle), TRUE);
  throughput_graph_mark (self->graph, backend);
  latency_meter_reset (self->latency);
}

static void
monitor_window_change_backend (GSimpleAction *action,
                               GVariant      *value,
                               gpointer       user_data)
{
  MonitorWindow *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!monitor_window_is_running (self))
    {
      /* The server did not start with the first backend. Start it with this one. */
      g_free (self->first_backend);
      self->first_backend = g_variant_dup_string (value, NULL);
      g_action_group_activate_action (G_ACTION_GROUP (self), "start", NULL);
      return;
    }
  if (g_str_equal (g_variant_get_string (value, NULL), echo_service_get_backend (self->service)))
    return;

  if (!echo_service_set_backend (self->service, g_variant_get_string (value, NULL), &error))
    monitor_window_failed (self, error);

  /* Also if this failed: then the drop-down shows the old backend again. */
  g_simple_action_set_state (action, g_variant_new_string (echo_service_get_backend (self->service)));
  monitor_window_show_backend (self);
}

/* Makes the backend in the drop-down, if there is one, the first to try. */
static void
monitor_window_set_first_backend (MonitorWindow *self)
{
  GtkStringObject *selected = gtk_drop_down_get_selected_item (self->backend);

  if (selected == NULL)
    return;

  g_free (self->first_backend);
  self->first_backend = g_strdup (gtk_string_object_get_string (selected));
}

static void
monitor_window_backend_selected (MonitorWindow *self)
{
  GtkStringObject *selected = gtk_drop_down_get_selected_item (self->backend);

  if (selected == NULL)
    return;

  g_action_group_change_action_state (G_ACTION_GROUP (self), "backend",
                                      g_variant_new_string (gtk_string_object_get_string (selected)));
}

static void
monitor_window_rate_selected (MonitorWindow *self)
{
  if (self->load != NULL)
    load_generator_set_rate (self->load, rates[gtk_drop_down_get_selected (self->rate)]);
}

static void
monitor_window_add_clients (GSimpleAction *action,
                            GVariant      *parameter,
                            gpointer       user_data)
{
  MonitorWindow *self = user_data;

  monitor_window_set_n_clients (self, load_generator_get_n_clients (self->load)
                                      + gtk_spin_button_get_value_as_int (self->step));
}

static void
monitor_window_remove_clients (GSimpleAction *action,
                               GVariant      *parameter,
                               gpointer       user_data)
{
  MonitorWindow *self = user_data;
  guint n_clients = load_generator_get_n_clients (self->load);

  monitor_window_set_n_clients (self,
                                n_clients - MIN (n_clients, (guint) gtk_spin_button_get_value_as_int (self->step)));
}

static void
monitor_window_remove_all_clients (GSimpleAction *action,
                                   GVariant      *parameter,
                                   gpointer       user_data)
{
  monitor_window_set_n_clients (user_data, 0);
}

static void
monitor_window_close_connection (GSimpleAction *action,
                                 GVariant      *parameter,
                                 gpointer       user_data)
{
  MonitorWindow *self = user_data;
  g_autoptr (GError) error = NULL;

  /* The row that takes the place of this one is selected then, so that Delete closes it, too. */
  gtk_single_selection_set_autoselect (GTK_SINGLE_SELECTION (self->selection), TRUE);

  if (!echo_service_close_connection (self->service,
                                      gtk_single_selection_get_selected_item (GTK_SINGLE_SELECTION (self->selection)),
                                      &error))
    monitor_window_failed (self, error);
}

static void
monitor_window_dismiss_message (GSimpleAction *action,
                                GVariant      *parameter,
                                gpointer       user_data)
{
  gtk_revealer_set_reveal_child (MONITOR_WINDOW (user_data)->message_revealer, FALSE);
  g_simple_action_set_enabled (action, FALSE);
}

static void
monitor_window_start (GSimpleAction *action,
                      GVariant      *parameter,
                      gpointer       user_data)
{
  MonitorWindow *self = user_data;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;
  static const char *needing_service[] = { "add-clients", "remove-clients", "remove-all-clients" };

  if (echo_service_start (self->service, self->first_backend, &error))
    {
      address = echo_service_get_address (self->service);
      self->load = load_generator_new (address, &error);
    }

  if (error != NULL)
    {
      echo_service_stop (self->service);
      gtk_label_set_label (self->failure, error->message);
      monitor_window_set_first_backend (self);
    }
  else
    {
      g_signal_connect_swapped (self->load, "failed", G_CALLBACK (monitor_window_failed), self);
      load_generator_set_rate (self->load, rates[gtk_drop_down_get_selected (self->rate)]);
      self->sample_id = g_timeout_add (THROUGHPUT_GRAPH_INTERVAL_MS, monitor_window_sample, self);
      g_action_change_state (g_action_map_lookup_action (G_ACTION_MAP (self), "backend"),
                             g_variant_new_string (echo_service_get_backend (self->service)));
      monitor_window_show_backend (self);
      monitor_window_show_rates (self, 0, 0);
    }

  gtk_stack_set_visible_child_name (self->pages, error == NULL ? "running" : "failed");
  g_simple_action_set_enabled (action, error != NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (needing_service); i++)
    monitor_window_set_action_enabled (self, needing_service[i], error == NULL);
}

static const GActionEntry actions[] = {
  { "start", monitor_window_start },
  { "add-clients", monitor_window_add_clients },
  { "remove-clients", monitor_window_remove_clients },
  { "remove-all-clients", monitor_window_remove_all_clients },
  { "close-connection", monitor_window_close_connection },
  { "dismiss-message", monitor_window_dismiss_message },
  { "backend", .parameter_type = "s", .state = "''", .change_state = monitor_window_change_backend },
};

static void
monitor_window_dispose (GObject *object)
{
  MonitorWindow *self = MONITOR_WINDOW (object);

  g_clear_handle_id (&self->sample_id, g_source_remove);

  /* Stop the clients first, because the server reports each client that ends. */
  if (self->load != NULL)
    g_signal_handlers_disconnect_by_data (self->load, self);
  g_clear_object (&self->load);
  if (self->service != NULL)
    {
      g_signal_handlers_disconnect_by_data (self->service, self);
      g_signal_handlers_disconnect_by_data (echo_service_get_connections (self->service), self);
      echo_service_stop (self->service);
    }
  g_clear_object (&self->service);
  g_clear_object (&self->latency);

  G_OBJECT_CLASS (monitor_window_parent_class)->dispose (object);
}

static void
monitor_window_finalize (GObject *object)
{
  g_free (MONITOR_WINDOW (object)->first_backend);

  G_OBJECT_CLASS (monitor_window_parent_class)->finalize (object);
}

static void
monitor_window_class_init (MonitorWindowClass *klass)
{
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  G_OBJECT_CLASS (klass)->dispose = monitor_window_dispose;
  G_OBJECT_CLASS (klass)->finalize = monitor_window_finalize;

  g_type_ensure (THROUGHPUT_TYPE_GRAPH);

  gtk_widget_class_set_template_from_resource (widget_class, "/org/example/SelectorMonitor/window.ui");
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, backend);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, rate);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, step);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, subtitle);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, message_revealer);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, message);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, pages);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, list_pages);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, empty_hint);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, failure);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, n_connections_value);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, messages_value);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, bytes_value);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, latency_value);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, graph);
  gtk_widget_class_bind_template_child (widget_class, MonitorWindow, view);
  gtk_widget_class_bind_template_callback_full (widget_class, "backend_selected",
                                                G_CALLBACK (monitor_window_backend_selected));
  gtk_widget_class_bind_template_callback_full (widget_class, "rate_selected",
                                                G_CALLBACK (monitor_window_rate_selected));
}

static void
monitor_window_init_list (MonitorWindow *self)
{
  ConnectionList *list = echo_service_get_connections (self->service);
  GtkSortListModel *sorted = gtk_sort_list_model_new (g_object_ref (G_LIST_MODEL (list)),
                                                      g_object_ref (gtk_column_view_get_sorter (self->view)));

  connection_columns_add (self->view);

  self->selection = GTK_SELECTION_MODEL (gtk_single_selection_new (G_LIST_MODEL (sorted)));
  gtk_single_selection_set_autoselect (GTK_SINGLE_SELECTION (self->selection), FALSE);
  gtk_single_selection_set_can_unselect (GTK_SINGLE_SELECTION (self->selection), TRUE);
  gtk_column_view_set_model (self->view, self->selection);
  g_object_unref (self->selection);

  g_signal_connect_object (self->selection, "notify::selected-item", G_CALLBACK (monitor_window_update_close_action),
                           self, G_CONNECT_SWAPPED);
  g_signal_connect_swapped (list, "pending", G_CALLBACK (monitor_window_list_pending), self);
}

static void
monitor_window_init (MonitorWindow *self)
{
  g_auto (GStrv) backends = echo_list_backends ();
  g_autoptr (GtkStringList) names = gtk_string_list_new ((const char *const *) backends);

  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
  gtk_widget_init_template (GTK_WIDGET (self));

  self->service = echo_service_new ();
  self->latency = latency_meter_new ();
  g_signal_connect_swapped (self->service, "failed", G_CALLBACK (monitor_window_failed), self);

  /* Select nothing until the server has started. GTK 4.18 and newer always select an item. */
  g_signal_handlers_block_by_func (self->backend, monitor_window_backend_selected, self);
  gtk_drop_down_set_model (self->backend, G_LIST_MODEL (names));
  gtk_drop_down_set_selected (self->backend, GTK_INVALID_LIST_POSITION);
  g_signal_handlers_unblock_by_func (self->backend, monitor_window_backend_selected, self);

  gtk_drop_down_set_selected (self->rate, DEFAULT_RATE);
  monitor_window_set_action_enabled (self, "close-connection", FALSE);
  monitor_window_set_action_enabled (self, "dismiss-message", FALSE);
  monitor_window_init_list (self);
}

/* If @backend is NULL, the window uses the default backend. */
GtkWidget *
monitor_window_new (GtkApplication *application,
                    const char     *backend)
{
  MonitorWindow *self = g_object_new (MONITOR_TYPE_WINDOW, "application", application, NULL);

  self->first_backend = g_strdup (backend);
  g_action_group_activate_action (G_ACTION_GROUP (self), "start", NULL);

  return GTK_WIDGET (self);
}

/* For all windows of the program. */
void
monitor_window_set_dark (gboolean dark)
{
  GtkSettings *settings = gtk_settings_get_default ();

#if GTK_CHECK_VERSION (4, 20, 0)
  g_object_set (settings, "gtk-interface-color-scheme",
                dark ? GTK_INTERFACE_COLOR_SCHEME_DARK : GTK_INTERFACE_COLOR_SCHEME_LIGHT, NULL);
#else
  g_object_set (settings, "gtk-application-prefer-dark-theme", dark, NULL);
#endif
}

gboolean
monitor_window_is_running (MonitorWindow *self)
{
  return self->load != NULL;
}

EchoService *
monitor_window_get_service (MonitorWindow *self)
{
  return self->service;
}

/* Returns: (transfer none) (nullable): the load generator; NULL if the server did not start */
LoadGenerator *
monitor_window_get_load (MonitorWindow *self)
{
  return self->load;
}

LatencyMeter *
monitor_window_get_latency (MonitorWindow *self)
{
  return self->latency;
}

/* Returns: (nullable): the error message in the window; NULL if there is none */
const char *
monitor_window_get_message (MonitorWindow *self)
{
  if (!monitor_window_is_running (self))
    return gtk_label_get_label (self->failure);

  return gtk_revealer_get_reveal_child (self->message_revealer) ? gtk_label_get_label (self->message) : NULL;
}

gboolean
monitor_window_save_screenshot (MonitorWindow  *self,
                                const char     *path,
                                GError        **error)
{
  g_autoptr (GdkPaintable) paintable = gtk_widget_paintable_new (GTK_WIDGET (self));
  g_autoptr (GtkSnapshot) snapshot = gtk_snapshot_new ();
  int scale = gtk_widget_get_scale_factor (GTK_WIDGET (self));
  int width = gdk_paintable_get_intrinsic_width (paintable);
  int height = gdk_paintable_get_intrinsic_height (paintable);
  g_autoptr (GskRenderNode) node = NULL;
  g_autoptr (GdkTexture) texture = NULL;

  gtk_snapshot_scale (snapshot, scale, scale);
  gdk_paintable_snapshot (paintable, snapshot, width, height);
  node = gtk_snapshot_free_to_node (g_steal_pointer (&snapshot));
  if (node != NULL)
    texture = gsk_renderer_render_texture (gtk_native_get_renderer (GTK_NATIVE (self)), node,
                                           &GRAPHENE_RECT_INIT (0, 0, width * scale, height * scale));

  if (texture != NULL && gdk_texture_save_to_png (texture, path))
    return TRUE;

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "could not save a picture of the window as %s", path);
  return FALSE;
}
