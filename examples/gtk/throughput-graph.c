/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Shows the messages per second over the last minute, with a mark where the backend changed. The colours depend on
 * the theme, so that the graph is readable in light, dark and high-contrast themes. The curve has the colour that
 * style.css sets for the widget, everything else has the colour of other text. */

#include <math.h>

#include "throughput-graph.h"

#define SECONDS 60
#define N_SAMPLES (SECONDS * 1000 / THROUGHPUT_GRAPH_INTERVAL_MS + 1)
#define N_LINES 4
#define PADDING 10    /* room for half a line of text */
#define LABEL_GAP 5
#define LEAST_TOP 100

struct _ThroughputGraph
{
  GtkWidget parent_instance;

  double samples[N_SAMPLES];    /* the first n_samples are valid; the oldest comes first */
  char *marks[N_SAMPLES];       /* NULL if there is no mark */
  guint n_samples;
  char *next_mark;
};

G_DEFINE_TYPE (ThroughputGraph, throughput_graph, GTK_TYPE_WIDGET)

/* Returns: the top of the scale, which is easy to divide by N_LINES */
static double
throughput_graph_get_top (ThroughputGraph *self)
{
  static const double steps[] = { 1, 2, 4, 8, 10 };
  double most = LEAST_TOP, power;

  for (guint i = 0; i < self->n_samples; i++)
    most = MAX (most, self->samples[i]);

  power = pow (10, floor (log10 (most)));
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    if (most <= steps[i] * power)
      return steps[i] * power;

  return 10 * power;
}

static void
throughput_graph_snapshot_layout (GtkSnapshot   *snapshot,
                                  PangoLayout   *layout,
                                  float          x,
                                  float          y,
                                  const GdkRGBA *color)
{
  gtk_snapshot_save (snapshot);
  gtk_snapshot_translate (snapshot, &GRAPHENE_POINT_INIT (x, y));
  gtk_snapshot_append_layout (snapshot, layout, color);
  gtk_snapshot_restore (snapshot);
}

/* Draws the lines, with their numbers on the left. Returns: the width of the numbers */
static float
throughput_graph_snapshot_grid (ThroughputGraph *self,
                                GtkSnapshot     *snapshot,
                                float            width,
                                float            height,
                                double           top,
                                const GdkRGBA   *color)
{
  GdkRGBA line = *color, text = *color;
  float left = 0;

  line.alpha *= 0.12f;
  text.alpha *= THROUGHPUT_GRAPH_TEXT_ALPHA;

  /* Start at the top, because its number is the widest. */
  for (int i = N_LINES; i >= 0; i--)
    {
      g_autofree char *label = g_strdup_printf ("%'.0f", top * i / N_LINES);
      g_autoptr (PangoLayout) layout = gtk_widget_create_pango_layout (GTK_WIDGET (self), label);
      float y = roundf (height - height * i / N_LINES);
      int label_width, label_height;

      pango_layout_get_pixel_size (layout, &label_width, &label_height);
      left = MAX (left, label_width + 2 * LABEL_GAP);
      throughput_graph_snapshot_layout (snapshot, layout, left - label_width - 2 * LABEL_GAP, y - label_height / 2,
                                        &text);
      gtk_snapshot_append_color (snapshot, &line, &GRAPHENE_RECT_INIT (left, y, width - left, 1));
    }

  return left;
}

static float
throughput_graph_get_x (ThroughputGraph *self,
                        guint            i,
                        float            width)
{
  return width * (i + N_SAMPLES - self->n_samples) / (N_SAMPLES - 1);
}

/* Draws the marks from right to left, so that the space up to the next mark is known. A label that does not fit is
 * left out. */
static void
throughput_graph_snapshot_marks (ThroughputGraph *self,
                                 GtkSnapshot     *snapshot,
                                 float            width,
                                 float            height,
                                 const GdkRGBA   *color)
{
  GdkRGBA line = *color;
  float end = width;

  line.alpha *= 0.4f;

  for (guint i = self->n_samples; i-- > 0;)
    if (self->marks[i] != NULL)
      {
        g_autoptr (PangoLayout) layout = gtk_widget_create_pango_layout (GTK_WIDGET (self), self->marks[i]);
        float x = roundf (throughput_graph_get_x (self, i, width));
        int label_width, label_height;

        pango_layout_get_pixel_size (layout, &label_width, &label_height);
        gtk_snapshot_append_color (snapshot, &line, &GRAPHENE_RECT_INIT (x, 0, 1, height));
        if (x + LABEL_GAP + label_width <= end)
          throughput_graph_snapshot_layout (snapshot, layout, x + LABEL_GAP, 2, color);
        end = x;
      }
}

/* The area of the drawing is larger than the graph at the top, because the line has a width. */
static void
throughput_graph_snapshot_curve (ThroughputGraph *self,
                                 GtkSnapshot     *snapshot,
                                 float            width,
                                 float            height,
                                 double           top,
                                 const GdkRGBA   *color)
{
  cairo_t *cr = gtk_snapshot_append_cairo (snapshot, &GRAPHENE_RECT_INIT (0, -PADDING, width, height + PADDING));

  for (guint i = 0; i < self->n_samples; i++)
    cairo_line_to (cr, throughput_graph_get_x (self, i, width), height * (1 - self->samples[i] / top));

  gdk_cairo_set_source_rgba (cr, color);
  cairo_set_line_width (cr, 2);
  cairo_set_line_join (cr, CAIRO_LINE_JOIN_ROUND);
  cairo_stroke_preserve (cr);

  /* Close the area along the bottom. */
  cairo_line_to (cr, width, height);
  cairo_line_to (cr, throughput_graph_get_x (self, 0, width), height);
  cairo_close_path (cr);
  cairo_set_source_rgba (cr, color->red, color->green, color->blue, color->alpha * 0.18);
  cairo_fill (cr);

  cairo_destroy (cr);
}

static void
throughput_graph_snapshot (GtkWidget   *widget,
                           GtkSnapshot *snapshot)
{
  ThroughputGraph *self = THROUGHPUT_GRAPH (widget);
  GtkStyleContext *context = gtk_widget_get_style_context (widget);
  float width = gtk_widget_get_width (widget);
  float height = gtk_widget_get_height (widget) - 2 * PADDING;
  double top = throughput_graph_get_top (self);
  GdkRGBA text, curve;
  float left;

  gtk_style_context_get_color (context, &curve);
  if (!gtk_style_context_lookup_color (context, "theme_fg_color", &text))
    text = curve;

  gtk_snapshot_translate (snapshot, &GRAPHENE_POINT_INIT (0, PADDING));
  left = throughput_graph_snapshot_grid (self, snapshot, width, height, top, &text);

  gtk_snapshot_translate (snapshot, &GRAPHENE_POINT_INIT (left, 0));
  width -= left;
  if (self->n_samples > 0)
    throughput_graph_snapshot_curve (self, snapshot, width, height, top, &curve);
  throughput_graph_snapshot_marks (self, snapshot, width, height, &text);
}

static void
throughput_graph_finalize (GObject *object)
{
  ThroughputGraph *self = THROUGHPUT_GRAPH (object);

  for (guint i = 0; i < N_SAMPLES; i++)
    g_free (self->marks[i]);
  g_free (self->next_mark);

  G_OBJECT_CLASS (throughput_graph_parent_class)->finalize (object);
}

static void
throughput_graph_class_init (ThroughputGraphClass *klass)
{
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = throughput_graph_finalize;
  widget_class->snapshot = throughput_graph_snapshot;

  gtk_widget_class_set_css_name (widget_class, "throughput-graph");
  gtk_widget_class_set_accessible_role (widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void
throughput_graph_init (ThroughputGraph *self)
{
}

/* Adds a sample at the right. The accessible description gives the number to users who cannot see the curve. */
void
throughput_graph_add (ThroughputGraph *self,
                      double           messages_per_second)
{
  g_autofree char *description = g_strdup_printf ("Now %'.0f messages per second", messages_per_second);

  if (self->n_samples == N_SAMPLES)
    {
      g_free (self->marks[0]);
      memmove (self->samples, self->samples + 1, sizeof self->samples - sizeof self->samples[0]);
      memmove (self->marks, self->marks + 1, sizeof self->marks - sizeof self->marks[0]);
      self->n_samples--;
    }

  self->samples[self->n_samples] = messages_per_second;
  self->marks[self->n_samples] = g_steal_pointer (&self->next_mark);
  self->n_samples++;

  gtk_accessible_update_property (GTK_ACCESSIBLE (self), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, description, -1);
  gtk_widget_queue_draw (GTK_WIDGET (self));
}

/* Sets a mark with @label at the next sample. */
void
throughput_graph_mark (ThroughputGraph *self,
                       const char      *label)
{
  g_free (self->next_mark);
  self->next_mark = g_strdup (label);
}
