/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define THROUGHPUT_TYPE_GRAPH (throughput_graph_get_type ())

G_DECLARE_FINAL_TYPE (ThroughputGraph, throughput_graph, THROUGHPUT, GRAPH, GtkWidget)

/* The interval between calls of throughput_graph_add(). */
#define THROUGHPUT_GRAPH_INTERVAL_MS 250

void throughput_graph_add  (ThroughputGraph *self,
                            double           messages_per_second);
void throughput_graph_mark (ThroughputGraph *self,
                            const char      *label);

G_END_DECLS
