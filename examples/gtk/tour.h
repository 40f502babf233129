/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "window.h"

G_BEGIN_DECLS

typedef struct
{
  guint n_clients;
  double seconds;            /* to stay with each backend */
  const char *screenshot;    /* where to save one, or NULL */
} TourOptions;

typedef void (*TourDone) (gboolean success,
                          gpointer user_data);

void tour_start (MonitorWindow     *window,
                 const TourOptions *options,
                 TourDone           done,
                 gpointer           user_data);

G_END_DECLS
