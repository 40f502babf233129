/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>
#include <math.h>

#include <sel-glib/sel-version-macros.h>

G_BEGIN_DECLS

/**
 * SelEventMask:
 * @SEL_EVENT_READ: a read would not block: there is data, or the end, or an error to be told
 * @SEL_EVENT_WRITE: a write would not block: there is room, or an error to be told
 *
 * What to wait for on a descriptor, and what it is ready for.
 *
 * The values are those of Python's `selectors.EVENT_READ` and `selectors.EVENT_WRITE`.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  SEL_EVENT_READ  = 1 << 0,
  SEL_EVENT_WRITE = 1 << 1
} SelEventMask;

/**
 * SEL_WAIT_FOREVER:
 *
 * The time-out, in seconds, that never ends: positive infinity.
 *
 * Since: 1.0
 */
#define SEL_WAIT_FOREVER ((gdouble) INFINITY)

G_END_DECLS
