/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <stddef.h>

/* How often this process has asked for memory. With the C library of GNU only, and without sanitizers. */
size_t allocations_count (void);
