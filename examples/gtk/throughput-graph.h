/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define THROUGHPUT_TYPE_GRAPH (throughput_graph_get_type ())

G_DECLARE_FINAL_TYPE (ThroughputGraph, throughput_graph, THROUGHPUT, GRAPH, GtkWidget)

/* The interval between calls of throughput_graph_add(). */
#define THROUGHPUT_GRAPH_INTERVAL_MS 250

/* The opacity of the numbers on the left. The contrast of text has to be at least 4.5. */
#define THROUGHPUT_GRAPH_TEXT_ALPHA 0.75f

void throughput_graph_add  (ThroughputGraph *self,
                            double           messages_per_second);
void throughput_graph_mark (ThroughputGraph *self,
                            const char      *label);

G_END_DECLS
