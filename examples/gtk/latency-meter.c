/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Measures how long an event waits until the main loop handles it. It uses a timer with the priority of input events,
 * and measures the delay of the timer. Up to a millisecond of it is the resolution of GLib's timers. */

#include "latency-meter.h"

#define INTERVAL_MS 10
#define SAMPLES_MAX 60000

struct _LatencyMeter
{
  GObject parent_instance;

  guint timer_id;
  GArray *samples;    /* float, in ms */
};

G_DEFINE_TYPE (LatencyMeter, latency_meter, G_TYPE_OBJECT)

static gboolean
latency_meter_tick (gpointer data)
{
  LatencyMeter *self = data;
  gint64 due = g_source_get_ready_time (g_main_current_source ());
  float late = (g_get_monotonic_time () - due) / 1000.0f;

  if (self->samples->len == SAMPLES_MAX)
    g_array_remove_range (self->samples, 0, SAMPLES_MAX / 2);
  g_array_append_val (self->samples, late);

  return G_SOURCE_CONTINUE;
}

static void
latency_meter_finalize (GObject *object)
{
  LatencyMeter *self = LATENCY_METER (object);

  g_source_remove (self->timer_id);
  g_array_unref (self->samples);

  G_OBJECT_CLASS (latency_meter_parent_class)->finalize (object);
}

static void
latency_meter_class_init (LatencyMeterClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = latency_meter_finalize;
}

static void
latency_meter_init (LatencyMeter *self)
{
  self->samples = g_array_new (FALSE, FALSE, sizeof (float));
  self->timer_id = g_timeout_add (INTERVAL_MS, latency_meter_tick, self);
}

LatencyMeter *
latency_meter_new (void)
{
  return g_object_new (LATENCY_TYPE_METER, NULL);
}

/* Returns: the maximum of the last @n_last samples in milliseconds; there are up to 100 samples each second */
double
latency_meter_get_worst (LatencyMeter *self,
                         guint         n_last)
{
  guint first = self->samples->len - MIN (self->samples->len, n_last);
  float worst = 0;

  for (guint i = first; i < self->samples->len; i++)
    worst = MAX (worst, g_array_index (self->samples, float, i));

  return worst;
}

static int
compare_floats (gconstpointer a,
                gconstpointer b)
{
  const float *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

/* Describes the samples since the last reset, or those of the last minutes if the reset was earlier.
 * Returns: (transfer full): a line of text */
char *
latency_meter_summarize (LatencyMeter *self)
{
  g_autoptr (GArray) sorted = g_array_copy (self->samples);

  if (sorted->len == 0)
    return g_strdup ("main loop: nothing measured");

  g_array_sort (sorted, compare_floats);

  return g_strdup_printf ("main loop late by %.1f ms (median), %.1f ms (99 %%), %.1f ms (worst of %u)",
                          (double) g_array_index (sorted, float, sorted->len / 2),
                          (double) g_array_index (sorted, float, sorted->len * 99 / 100),
                          (double) g_array_index (sorted, float, sorted->len - 1), sorted->len);
}

void
latency_meter_reset (LatencyMeter *self)
{
  g_array_set_size (self->samples, 0);
}
