/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tests the window of the GTK example through its actions, which menus, keys and buttons use. It needs a display. */

#include <errno.h>
#include <math.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../echo-common.h"
#include "throughput-graph.h"
#include "window.h"

#define N_CLIENTS 100    /* what the button adds if nothing else is typed in */

typedef struct
{
  MonitorWindow *window;
} Fixture;

/* The program has one application. GTK keeps it on the session bus, if there is one, and a second one could not use the
 * same object path. */
static GtkApplication *application;

static void
set_up (Fixture       *fixture,
        gconstpointer  backend)
{
  fixture->window = MONITOR_WINDOW (monitor_window_new (application, backend));
  gtk_window_present (GTK_WINDOW (fixture->window));
}

static void
tear_down (Fixture       *fixture,
           gconstpointer  backend)
{
  EchoService *service = g_object_ref (monitor_window_get_service (fixture->window));

  gtk_window_destroy (GTK_WINDOW (fixture->window));
  while (g_main_context_iteration (NULL, FALSE))
    ;

  /* Nothing in the window keeps the service. */
  g_assert_finalize_object (service);
}

#define wait_until(condition) \
  G_STMT_START { \
    while (!(condition)) \
      g_main_context_iteration (NULL, TRUE); \
  } G_STMT_END

static GListModel *
get_rows (Fixture *fixture)
{
  return G_LIST_MODEL (echo_service_get_connections (monitor_window_get_service (fixture->window)));
}

static gboolean
has_rows (Fixture *fixture,
          guint    n)
{
  return echo_service_get_n_connections (monitor_window_get_service (fixture->window)) + 1 == n
         && g_list_model_get_n_items (get_rows (fixture)) == n;
}

static void
activate (Fixture    *fixture,
          const char *action)
{
  g_assert_true (gtk_widget_activate_action (GTK_WIDGET (fixture->window), action, NULL));
}

static gboolean
is_enabled (Fixture    *fixture,
            const char *action)
{
  return g_action_group_get_action_enabled (G_ACTION_GROUP (fixture->window), action);
}

/* Returns: (nullable): the first visible widget of the type, @widget or one of its descendants */
static GtkWidget *
find (GtkWidget *widget,
      GType      type)
{
  GtkWidget *found = g_type_is_a (G_OBJECT_TYPE (widget), type) ? widget : NULL;

  for (GtkWidget *child = gtk_widget_get_first_child (widget); child != NULL && found == NULL;
       child = gtk_widget_get_next_sibling (child))
    if (gtk_widget_get_child_visible (child))
      found = find (child, type);

  return found;
}

static gboolean
shows_text (GtkWidget  *widget,
            const char *part)
{
  if (GTK_IS_LABEL (widget) && strstr (gtk_label_get_text (GTK_LABEL (widget)), part) != NULL)
    return gtk_widget_get_mapped (widget);

  for (GtkWidget *child = gtk_widget_get_first_child (widget); child != NULL;
       child = gtk_widget_get_next_sibling (child))
    if (shows_text (child, part))
      return TRUE;

  return FALSE;
}

static void
test_empty (Fixture       *fixture,
            gconstpointer  backend)
{
  wait_until (has_rows (fixture, 1));
  wait_until (shows_text (GTK_WIDGET (fixture->window), "No Connections"));
  g_assert_null (monitor_window_get_message (fixture->window));
  g_assert_false (is_enabled (fixture, "close-connection"));
  g_assert_false (is_enabled (fixture, "dismiss-message"));
  wait_until (!is_enabled (fixture, "remove-clients"));
}

static void
test_add_and_remove (Fixture       *fixture,
                     gconstpointer  backend)
{
  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));
  wait_until (!shows_text (GTK_WIDGET (fixture->window), "No Connections"));
  wait_until (is_enabled (fixture, "remove-clients"));

  gtk_spin_button_set_value (GTK_SPIN_BUTTON (find (GTK_WIDGET (fixture->window), GTK_TYPE_SPIN_BUTTON)), 10);
  activate (fixture, "win.remove-clients");
  wait_until (has_rows (fixture, N_CLIENTS - 10 + 1));

  activate (fixture, "win.remove-all-clients");
  wait_until (has_rows (fixture, 1));
  wait_until (shows_text (GTK_WIDGET (fixture->window), "No Connections"));
}

static void
test_backends (Fixture       *fixture,
               gconstpointer  backend)
{
  GtkDropDown *drop_down = GTK_DROP_DOWN (find (GTK_WIDGET (fixture->window),
                                                GTK_TYPE_DROP_DOWN));
  EchoService *service = monitor_window_get_service (fixture->window);
  g_auto (GStrv) backends = echo_list_backends ();

  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));

  for (guint i = 0; backends[i] != NULL; i++)
    {
      guint64 before = echo_service_get_totals (service).messages;

      /* Alternate between the drop-down and the action that the keys use. */
      if (i % 2 == 0)
        gtk_drop_down_set_selected (drop_down, i);
      else
        g_action_group_change_action_state (G_ACTION_GROUP (fixture->window), "backend",
                                            g_variant_new_string (backends[i]));

      g_assert_cmpstr (echo_service_get_backend (service), ==, backends[i]);
      g_assert_cmpuint (gtk_drop_down_get_selected (drop_down), ==, i);
      wait_until (echo_service_get_totals (service).messages > before + N_CLIENTS);
      g_assert_true (has_rows (fixture, N_CLIENTS + 1));
    }
}

static void
test_close_connection (Fixture       *fixture,
                       gconstpointer  backend)
{
  GtkColumnView *view;
  GtkSingleSelection *selection;

  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));
  wait_until ((view = GTK_COLUMN_VIEW (find (GTK_WIDGET (fixture->window), GTK_TYPE_COLUMN_VIEW))) != NULL);
  selection = GTK_SINGLE_SELECTION (gtk_column_view_get_model (view));

  gtk_single_selection_set_selected (selection, 0);
  g_assert_false (is_enabled (fixture, "close-connection"));

  gtk_single_selection_set_selected (selection, 1);
  g_assert_true (is_enabled (fixture, "close-connection"));
  activate (fixture, "win.close-connection");
  wait_until (has_rows (fixture, N_CLIENTS));

  /* The next one is selected, and the same key closes it. */
  g_assert_cmpuint (gtk_single_selection_get_selected (selection), ==, 1);
  activate (fixture, "win.close-connection");
  wait_until (has_rows (fixture, N_CLIENTS - 1));
}

/* Sorts by the column of the messages. The connection that becomes the busiest moves to the top. */
static void
test_sort (Fixture       *fixture,
           gconstpointer  backend)
{
  EchoService *service = monitor_window_get_service (fixture->window);
  g_autoptr (GSocketAddress) address = echo_service_get_address (service);
  g_autoptr (GSocket) client = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GtkColumnViewColumn) column = NULL;
  g_autoptr (GError) error = NULL;
  GtkColumnView *view;
  char lines[1000];
  guint64 most = 0;

  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));
  wait_until ((view = GTK_COLUMN_VIEW (find (GTK_WIDGET (fixture->window), GTK_TYPE_COLUMN_VIEW))) != NULL);
  wait_until (echo_service_get_totals (service).messages > N_CLIENTS);
  load_generator_set_rate (monitor_window_get_load (fixture->window), 0);

  column = g_list_model_get_item (gtk_column_view_get_columns (view), 3);
  gtk_column_view_sort_by_column (view, column, GTK_SORT_DESCENDING);

  g_socket_connect (client, address, NULL, &error);
  g_assert_no_error (error);
  wait_until (has_rows (fixture, N_CLIENTS + 2));

  memset (lines, '\n', sizeof lines);
  g_assert_cmpint (g_socket_send (client, lines, sizeof lines, NULL, &error), ==, sizeof lines);

  while (most < sizeof lines)
    {
      g_autoptr (ConnectionItem) first = g_list_model_get_item (G_LIST_MODEL (gtk_column_view_get_model (view)), 0);

      g_object_get (first, "messages", &most, NULL);
      g_main_context_iteration (NULL, TRUE);
    }

  g_socket_close (client, NULL);
}

/* The process runs out of descriptors. */
static void
test_too_many (Fixture       *fixture,
               gconstpointer  backend)
{
  struct rlimit limit;
  rlim_t before;
  int next;

  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));

  next = dup (0);
  close (next);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  before = limit.rlim_cur;
  limit.rlim_cur = next + 10;
  limit.rlim_max = MAX (limit.rlim_max, before);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  load_generator_set_n_clients (monitor_window_get_load (fixture->window), 2 * N_CLIENTS);
  wait_until (monitor_window_get_message (fixture->window) != NULL);
  g_assert_nonnull (strstr (monitor_window_get_message (fixture->window), g_strerror (EMFILE)));
  wait_until (load_generator_get_n_clients (monitor_window_get_load (fixture->window)) < N_CLIENTS);

  limit.rlim_cur = before;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  activate (fixture, "win.dismiss-message");
  g_assert_null (monitor_window_get_message (fixture->window));
}

static void
test_not_started (Fixture       *fixture,
                  gconstpointer  backend)
{
  GtkDropDown *backends = GTK_DROP_DOWN (find (GTK_WIDGET (fixture->window),
                                               GTK_TYPE_DROP_DOWN));
  gboolean shows_one = gtk_drop_down_get_selected_item (backends) != NULL;

  g_assert_false (monitor_window_is_running (fixture->window));
  g_assert_nonnull (strstr (monitor_window_get_message (fixture->window), "no such backend"));
  wait_until (shows_text (GTK_WIDGET (fixture->window), "no such backend"));
  g_assert_false (is_enabled (fixture, "add-clients"));
  g_assert_true (is_enabled (fixture, "backend"));

  g_assert_true (is_enabled (fixture, "start"));
  activate (fixture, "win.start");
  g_assert_cmpint (monitor_window_is_running (fixture->window), ==, shows_one);

  /* Choose another backend, with the drop-down or with a key. */
  if (g_test_rand_bit ())
    gtk_drop_down_set_selected (backends, 1);
  else
    gtk_widget_activate_action (GTK_WIDGET (fixture->window), "win.backend", "s", "poll");
  g_assert_true (monitor_window_is_running (fixture->window));
  g_assert_null (monitor_window_get_message (fixture->window));
  g_assert_false (is_enabled (fixture, "start"));
  activate (fixture, "win.add-clients");
  wait_until (has_rows (fixture, N_CLIENTS + 1));
}

/* Returns: TRUE if the widget takes input, or shows something that is not text */
static gboolean
needs_name (GtkWidget *widget)
{
  return GTK_IS_BUTTON (widget) || GTK_IS_MENU_BUTTON (widget) || GTK_IS_DROP_DOWN (widget)
         || GTK_IS_SPIN_BUTTON (widget) || GTK_IS_COLUMN_VIEW (widget) || THROUGHPUT_IS_GRAPH (widget)
         || GTK_IS_INSCRIPTION (widget);
}

static gboolean
has_name (GtkWidget *widget)
{
  return gtk_test_accessible_has_property (GTK_ACCESSIBLE (widget), GTK_ACCESSIBLE_PROPERTY_LABEL)
         || gtk_test_accessible_has_relation (GTK_ACCESSIBLE (widget), GTK_ACCESSIBLE_RELATION_LABELLED_BY)
         || (GTK_IS_BUTTON (widget) && gtk_button_get_label (GTK_BUTTON (widget)) != NULL);
}

/* Does not look into the children of GTK's own widgets. */
static guint
check_names (GtkWidget *widget)
{
  guint n = 0;

  if (GTK_IS_WINDOW_CONTROLS (widget))
    return 0;

  if (needs_name (widget))
    {
      if (!has_name (widget))
        g_test_message ("no name: %s %s", G_OBJECT_TYPE_NAME (widget), gtk_widget_get_name (widget));
      g_assert_true (has_name (widget));
      return 1;
    }

  for (GtkWidget *child = gtk_widget_get_first_child (widget); child != NULL;
       child = gtk_widget_get_next_sibling (child))
    n += check_names (child);

  return n;
}

static void
test_names (Fixture       *fixture,
            gconstpointer  backend)
{
  /* Spin button, add, remove, drop-down, menu; dismiss; four figures; drop-down, graph, add, list; try again. */
  g_assert_cmpuint (check_names (GTK_WIDGET (fixture->window)), ==, 15);
}

static void
test_narrow (Fixture       *fixture,
             gconstpointer  backend)
{
  int minimum;

  gtk_widget_measure (GTK_WIDGET (fixture->window), GTK_ORIENTATION_HORIZONTAL, -1, &minimum, NULL, NULL, NULL);
  g_assert_cmpint (minimum, <=, 360);
}

/* Returns: the relative luminance, as WCAG 2 defines it */
static double
get_luminance (const GdkRGBA *color)
{
  const double parts[] = { color->red, color->green, color->blue };
  double linear[3];

  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    linear[i] = parts[i] <= 0.03928 ? parts[i] / 12.92 : pow ((parts[i] + 0.055) / 1.055, 2.4);

  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

/* Returns: the contrast of @color, which is drawn with @alpha, to @background */
static double
get_contrast (const GdkRGBA *color,
              double         alpha,
              const GdkRGBA *background)
{
  const GdkRGBA drawn = {
    color->red * alpha + background->red * (1 - alpha),
    color->green * alpha + background->green * (1 - alpha),
    color->blue * alpha + background->blue * (1 - alpha),
    1,
  };
  double a = get_luminance (&drawn) + 0.05, b = get_luminance (background) + 0.05;

  return MAX (a, b) / MIN (a, b);
}

static void
test_contrast (Fixture       *fixture,
               gconstpointer  backend)
{
  GtkWidget *graph = find (GTK_WIDGET (fixture->window), THROUGHPUT_TYPE_GRAPH);
  GtkStyleContext *context = gtk_widget_get_style_context (graph);
  GtkSettings *settings = gtk_settings_get_default ();

  for (int dark = 0; dark <= 1; dark++)
    {
      GdkRGBA background, text, curve;

      g_object_set (settings, "gtk-theme-name", "Default", NULL);
      monitor_window_set_dark (dark);
      do
        {
          g_main_context_iteration (NULL, FALSE);
          g_assert_true (gtk_style_context_lookup_color (context, "theme_bg_color", &background));
          g_assert_true (gtk_style_context_lookup_color (context, "theme_fg_color", &text));
          gtk_style_context_get_color (context, &curve);
        }
      while ((get_luminance (&text) > get_luminance (&background)) != dark);

      g_assert_cmpfloat (get_contrast (&text, THROUGHPUT_GRAPH_TEXT_ALPHA, &background), >=, 4.5);
      g_assert_cmpfloat (get_contrast (&curve, 1, &background), >=, 3);
    }

  monitor_window_set_dark (FALSE);
  gtk_settings_reset_property (settings, "gtk-theme-name");
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  int status;

  /* gtk_test_init () demands a locale that the system may lack. */
  g_test_init (&argc, &argv, NULL);
  gtk_disable_setlocale ();
  /* It would win over the themes that a test chooses. */
  g_unsetenv ("GTK_THEME");
  gtk_init ();

  application = gtk_application_new (NULL, G_APPLICATION_NON_UNIQUE);
  g_application_register (G_APPLICATION (application), NULL, &error);
  g_assert_no_error (error);

  g_test_add ("/window/empty", Fixture, NULL, set_up, test_empty, tear_down);
  g_test_add ("/window/add-and-remove", Fixture, NULL, set_up, test_add_and_remove, tear_down);
  g_test_add ("/window/backends", Fixture, NULL, set_up, test_backends, tear_down);
  g_test_add ("/window/close-connection", Fixture, NULL, set_up, test_close_connection, tear_down);
  g_test_add ("/window/sort", Fixture, NULL, set_up, test_sort, tear_down);
  g_test_add ("/window/too-many", Fixture, NULL, set_up, test_too_many, tear_down);
  g_test_add ("/window/not-started", Fixture, "nonsense", set_up, test_not_started, tear_down);
  g_test_add ("/window/names", Fixture, NULL, set_up, test_names, tear_down);
  g_test_add ("/window/narrow", Fixture, NULL, set_up, test_narrow, tear_down);
  g_test_add ("/window/contrast", Fixture, NULL, set_up, test_contrast, tear_down);

  status = g_test_run ();
  g_object_unref (application);

  return status;
}
