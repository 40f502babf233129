/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gtk/gtk.h>

#include "echo-service.h"
#include "latency-meter.h"
#include "load-generator.h"

G_BEGIN_DECLS

#define MONITOR_TYPE_WINDOW (monitor_window_get_type ())

G_DECLARE_FINAL_TYPE (MonitorWindow, monitor_window, MONITOR, WINDOW, GtkApplicationWindow)

GtkWidget     *monitor_window_new             (GtkApplication  *application,
                                               const char      *backend);
void           monitor_window_set_dark        (gboolean         dark);
gboolean       monitor_window_is_running      (MonitorWindow   *self);
EchoService   *monitor_window_get_service     (MonitorWindow   *self);
LoadGenerator *monitor_window_get_load        (MonitorWindow   *self);
LatencyMeter  *monitor_window_get_latency     (MonitorWindow   *self);
void           monitor_window_set_n_clients   (MonitorWindow   *self,
                                               guint            n_clients);
const char    *monitor_window_get_message     (MonitorWindow   *self);
gboolean       monitor_window_save_screenshot (MonitorWindow   *self,
                                               const char      *path,
                                               GError         **error);

G_END_DECLS
