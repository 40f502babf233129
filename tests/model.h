/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

/*
 * A simple model of a selector, in step with the real ones.
 *
 * Operations are plain bytes, four for each after one that holds settings, and any bytes are a valid sequence: so a
 * generator of random numbers, a fuzzer, and a shrinker that cuts pieces out can all make them. Each operation is
 * done with every backend, over the same descriptors, and each result is compared with the model's.
 */

#define MODEL_HEADER_SIZE 1
#define MODEL_STEP_SIZE 4

typedef struct
{
  guint64 n_steps;           /* operations of sequences */
  guint64 n_operations;      /* the same, counted once for each backend */
} ModelCount;

/* The backends as a set of bits, in the order of backends.h: those that this system or a simulator has. */
guint  model_supported_backends (void);

/* Runs a sequence. Returns NULL, or what was different from the model. @n_steps_done, if not NULL, is the
 * number of steps up to and with the one that was. */
char  *model_run                (const guint8 *bytes,
                                 gsize         n_bytes,
                                 guint         backends,
                                 ModelCount   *count,
                                 gsize        *n_steps_done);

/* A sequence in words. */
char  *model_describe           (const guint8 *bytes,
                                 gsize         n_bytes);
