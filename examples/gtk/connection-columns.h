/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gtk/gtk.h>

G_BEGIN_DECLS

void connection_columns_add        (GtkColumnView *view);
void connection_columns_sort_again (GtkColumnView *view);

G_END_DECLS
