/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-types.h"

G_BEGIN_DECLS

/* Why a descriptor may be ready for ever. */
typedef enum
{
  SEL_FD_IN_USE,
  SEL_FD_NOT_READY,
  SEL_FD_HUNG_UP, /* there was a hang-up or an error, and there is nothing left to read */
  SEL_FD_CLOSED
} SelFdState;

SelFdState sel_fd_get_state (int          fd,
                             SelEventMask events);

G_END_DECLS
