/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs any sequence of operations and compares the results with the model. */

#include <signal.h>
#include <stdint.h>

#include "../model.h"

int LLVMFuzzerTestOneInput (const uint8_t *data,
                            size_t         size);

int
LLVMFuzzerTestOneInput (const uint8_t *data,
                        size_t         size)
{
  static guint supported;
  g_autofree char *difference = NULL;

  if (supported == 0)
    {
      signal (SIGPIPE, SIG_IGN);
      supported = model_supported_backends ();
    }

  difference = model_run (data, size, supported, NULL, NULL);
  if (difference != NULL)
    {
      g_autofree char *words = model_describe (data, size);

      g_error ("%s\n%s", difference, words);
    }

  return 0;
}
