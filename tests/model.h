/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

/*
 * A simple model of a selector. Each operation is done with every backend, over the same descriptors, and each
 * result is compared with the result of the model.
 *
 * A sequence of operations is one byte with settings, and four bytes for each operation. Any bytes are a valid
 * sequence: random bytes, the bytes of a fuzzer, and a sequence from which operations were removed.
 */

#define MODEL_HEADER_SIZE 1
#define MODEL_STEP_SIZE 4

typedef struct
{
  guint64 n_steps;           /* number of operations in the sequences */
  guint64 n_operations;      /* the same, but each operation counts once for each backend */
} ModelCount;

/* Room for a message about the wait that runs, or NULL. It is empty while no wait runs. */
#define MODEL_WAIT_SIZE 128
extern char *model_current_wait;

/* Returns the supported backends, including the simulated ones, as a set of bits in the order of the table in
 * backends.c. */
guint  model_supported_backends (void);

/* Runs a sequence with a set of backends. Returns NULL, or a description of the first difference from the model, to be
 * freed with g_free (). @count and @n_steps_done may be NULL. @n_steps_done gets the number of steps that were run,
 * including the one with the difference. */
char  *model_run                (const guint8 *bytes,
                                 gsize         n_bytes,
                                 guint         backends,
                                 ModelCount   *count,
                                 gsize        *n_steps_done);

/* Returns a description of a sequence, to be freed with g_free (). */
char  *model_describe           (const guint8 *bytes,
                                 gsize         n_bytes);
