/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

#define LATENCY_TYPE_METER (latency_meter_get_type ())

G_DECLARE_FINAL_TYPE (LatencyMeter, latency_meter, LATENCY, METER, GObject)

LatencyMeter *latency_meter_new       (void);
double        latency_meter_get_worst (LatencyMeter *self,
                                       guint         n_last);
char         *latency_meter_summarize (LatencyMeter *self);
void          latency_meter_reset     (LatencyMeter *self);

G_END_DECLS
