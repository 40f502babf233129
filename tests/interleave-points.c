/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "core/sel-point-private.h"

void (*sel_point_func) (const char *name);
