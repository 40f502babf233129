/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Selector Monitor: a GTK program that contains an echo server and shows the work of its selector. The parts are:
 *
 *   echo-service       the server, which uses sel-glib in a main loop
 *   load-generator     its clients in a thread, which uses sel-glib without a main loop
 *   connection-item    one row of the list
 *   connection-list    the rows, which change once per frame
 *   connection-columns the columns of the list
 *   throughput-graph   the graph
 *   latency-meter      measures the delay of events in the main loop
 *   window             the window, which shows all of this
 *   tour               an automatic demonstration, which is also the test */

#include <locale.h>

#include "../echo-common.h"
#include "tour.h"
#include "window.h"

/* Also the name of the icon, and of the files for the desktop. */
#define APPLICATION_ID "org.example.SelectorMonitor"

typedef struct
{
  char *backend;
  int n_clients;
  double tour_seconds;
  char *screenshot;
  gboolean dark;
  gboolean version;
  int status;
} Monitor;

static void
monitor_about (GSimpleAction *action,
               GVariant      *parameter,
               gpointer       user_data)
{
  GtkApplication *application = user_data;
  g_autofree char *version = echo_get_version ();

  gtk_show_about_dialog (gtk_application_get_active_window (application),
                         "program-name", "Selector Monitor",
                         "version", version,
                         "comments", "An example of sel-glib: a selector at work in the main loop of a GTK program",
                         "license-type", GTK_LICENSE_LGPL_2_1,
                         "logo-icon-name", APPLICATION_ID,
                         NULL);
}

static void
monitor_quit (GSimpleAction *action,
              GVariant      *parameter,
              gpointer       user_data)
{
  GtkApplication *application = user_data;

  /* Closing the window ends the application and frees its parts in the right order. */
  gtk_window_destroy (gtk_application_get_active_window (application));
}

static void
monitor_startup (GtkApplication *application,
                 Monitor        *self)
{
  static const GActionEntry actions[] = {
    { "about", monitor_about },
    { "quit", monitor_quit },
  };
  static const struct
  {
    const char *action;
    const char *keys[4];
  } accels[] = {
    { "app.quit", { "<Control>q", "<Control>w" } },
    { "win.add-clients", { "<Control>plus", "<Control>equal", "<Control>KP_Add" } },
    { "win.remove-clients", { "<Control>minus", "<Control>KP_Subtract" } },
    { "win.remove-all-clients", { "<Control>0", "<Control>KP_0" } },
    { "win.close-connection", { "Delete" } },
    { "win.dismiss-message", { "Escape" } },
    { "win.show-help-overlay", { "<Control>question", "<Control>F1" } },
  };
  g_auto (GStrv) backends = echo_list_backends ();

  g_action_map_add_action_entries (G_ACTION_MAP (application), actions, G_N_ELEMENTS (actions), application);

  for (gsize i = 0; i < G_N_ELEMENTS (accels); i++)
    gtk_application_set_accels_for_action (application, accels[i].action, (const char **) accels[i].keys);
  for (guint i = 0; backends[i] != NULL; i++)
    {
      g_autofree char *action = g_strdup_printf ("win.backend::%s", backends[i]);
      g_autofree char *key = g_strdup_printf ("<Control>%u", i + 1);

      gtk_application_set_accels_for_action (application, action, (const char *[]) { key, NULL });
    }

  gtk_window_set_default_icon_name (APPLICATION_ID);

  if (self->dark)
    monitor_window_set_dark (TRUE);
}

static void
monitor_load_css (void)
{
  g_autoptr (GtkCssProvider) provider = gtk_css_provider_new ();

  gtk_css_provider_load_from_resource (provider, "/org/example/SelectorMonitor/style.css");
  gtk_style_context_add_provider_for_display (gdk_display_get_default (), GTK_STYLE_PROVIDER (provider),
                                              GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
}

static void
monitor_tour_done (gboolean success,
                   gpointer user_data)
{
  Monitor *self = user_data;

  self->status = success ? 0 : 1;
  gtk_window_destroy (gtk_application_get_active_window (GTK_APPLICATION (g_application_get_default ())));
}

/* The window shows the error and a button to try again. A tour has no user, so it prints the error and ends. */
static void
monitor_not_started (Monitor       *self,
                     MonitorWindow *window)
{
  if (self->tour_seconds < 0)
    return;

  g_printerr ("tour: %s\n", monitor_window_get_message (window));
  monitor_tour_done (FALSE, self);
}

static void
monitor_activate (GtkApplication *application,
                  Monitor        *self)
{
  GtkWindow *window = gtk_application_get_active_window (application);
  const TourOptions tour = { MAX (self->n_clients, 1), self->tour_seconds, self->screenshot };

  if (window != NULL)
    {
      gtk_window_present (window);
      return;
    }

  monitor_load_css ();
  window = GTK_WINDOW (monitor_window_new (application, self->backend));
  gtk_window_present (window);

  if (!monitor_window_is_running (MONITOR_WINDOW (window)))
    monitor_not_started (self, MONITOR_WINDOW (window));
  else if (self->tour_seconds >= 0)
    tour_start (MONITOR_WINDOW (window), &tour, monitor_tour_done, self);
  else
    monitor_window_set_n_clients (MONITOR_WINDOW (window), self->n_clients);
}

/* Refuses wrong options on the terminal. Returns: -1 to go on, or the exit status */
static int
monitor_check_options (GApplication *application,
                       GVariantDict *options,
                       Monitor      *self)
{
  g_autofree char *version = echo_get_version ();
  g_autoptr (GError) error = NULL;

  if (!echo_check_backend (self->backend, &error))
    {
      g_printerr ("selector-monitor: %s\n", error->message);
      return 2;
    }
  if (self->n_clients < 0)
    {
      g_printerr ("selector-monitor: the number of clients must not be negative: %d\n", self->n_clients);
      return 2;
    }
  if (self->version)
    {
      g_print ("selector-monitor: sel-glib %s\n", version);
      return 0;
    }

  return -1;
}

int
main (int    argc,
      char **argv)
{
  Monitor self = { .tour_seconds = -1 };
  const GOptionEntry options[] = {
    { "backend", 'b', 0, G_OPTION_ARG_STRING, &self.backend,
      "Start with select, poll, epoll, devpoll or kqueue", "NAME" },
    { "clients", 'n', 0, G_OPTION_ARG_INT, &self.n_clients, "Start with N clients", "N" },
    { "tour", 't', 0, G_OPTION_ARG_DOUBLE, &self.tour_seconds,
      "Go through all backends, each for some seconds, print what is measured and quit", "SECONDS" },
    { "screenshot", 0, 0, G_OPTION_ARG_FILENAME, &self.screenshot,
      "Save a picture of the window as a PNG at the end of the tour", "FILE" },
    { "dark", 0, 0, G_OPTION_ARG_NONE, &self.dark, "Prefer the dark variant of the theme", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &self.version, "Print the version of the library", NULL },
    { NULL }
  };
  g_autoptr (GtkApplication) application = NULL;
  int status;

  setlocale (LC_ALL, "");

  /* The application is not unique: each process has its own window and server. */
  application = gtk_application_new (APPLICATION_ID, G_APPLICATION_NON_UNIQUE);
  g_application_add_main_option_entries (G_APPLICATION (application), options);
  g_signal_connect (application, "handle-local-options", G_CALLBACK (monitor_check_options), &self);
  g_signal_connect (application, "startup", G_CALLBACK (monitor_startup), &self);
  g_signal_connect (application, "activate", G_CALLBACK (monitor_activate), &self);

  /* Each connection needs two descriptors, because both ends are in this process. */
  echo_raise_descriptor_limit ();

  status = g_application_run (G_APPLICATION (application), argc, argv);
  g_free (self.backend);
  g_free (self.screenshot);

  return status != 0 ? status : self.status;
}
