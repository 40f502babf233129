/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <stddef.h>

/* Returns the number of allocations of this process. Works with glibc only, and without sanitizers. */
size_t allocations_count (void);
