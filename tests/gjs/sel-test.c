/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* C functions for the tests in JavaScript. */

#include <malloc.h>

#include "sel-test.h"

/**
 * sel_test_memory_in_use:
 *
 * Measures the memory in use: allocated with malloc() and not freed.
 *
 * Returns: the number of bytes
 */
gdouble
sel_test_memory_in_use (void)
{
  return mallinfo2 ().uordblks;
}

/**
 * sel_test_register:
 * @selector: a selector that a script has too
 * @fd: a descriptor
 * @events: what to wait for
 * @error: return location for an error
 *
 * Registers @fd as a library in C does, without the script.
 *
 * Returns: %TRUE on success
 */
gboolean
sel_test_register (SelBaseSelector  *selector,
                   int               fd,
                   SelEventMask      events,
                   GError          **error)
{
  return sel_base_selector_register (selector, fd, events, NULL, NULL, error);
}

/**
 * sel_test_unregister:
 * @selector: a selector that a script has too
 * @fd: a descriptor
 * @error: return location for an error
 *
 * Unregisters @fd as a library in C does.
 *
 * Returns: %TRUE on success
 */
gboolean
sel_test_unregister (SelBaseSelector  *selector,
                     int               fd,
                     GError          **error)
{
  return sel_base_selector_unregister (selector, fd, error);
}
