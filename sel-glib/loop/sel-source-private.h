/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "sel-source.h"

G_BEGIN_DECLS

/* A source that calls its GSourceFunc whenever something may be ready, also if nothing is. */
GSource *sel_source_new_wait (SelBaseSelector *selector);

G_END_DECLS
