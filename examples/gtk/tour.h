/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "window.h"

G_BEGIN_DECLS

typedef struct
{
  guint n_clients;
  double seconds;            /* the time for each backend */
  const char *screenshot;    /* the file for the screenshot, or NULL */
} TourOptions;

typedef void (*TourDone) (gboolean success,
                          gpointer user_data);

void tour_start (MonitorWindow     *window,
                 const TourOptions *options,
                 TourDone           done,
                 gpointer           user_data);

G_END_DECLS
