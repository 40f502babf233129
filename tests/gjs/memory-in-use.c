/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <malloc.h>

#include "memory-in-use.h"

/**
 * sel_test_memory_in_use:
 *
 * Tells how much of what malloc() gave has not been freed, for scripts that look for leaks.
 *
 * Returns: bytes
 */
gdouble
sel_test_memory_in_use (void)
{
  return mallinfo2 ().uordblks;
}
