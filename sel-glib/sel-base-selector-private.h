/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-core-private.h"

G_BEGIN_DECLS

/* Functions that the other files of the class and the main loop use. */

void sel_base_selector_set_setting (SelBaseSelector *self,
                                    SelSetting       setting,
                                    guint            value);

/* Does the same as SEL_IS_BASE_SELECTOR(), which takes longer than the rest of some functions. It remembers the last
 * type. */
static inline gboolean
sel_is_base_selector (gconstpointer self)
{
  static GType known; /* atomic */
  const GTypeInstance *instance = self;
  GType type;

  if (instance == NULL || instance->g_class == NULL)
    return FALSE;

  type = instance->g_class->g_type;
  if (G_LIKELY (type == __atomic_load_n (&known, __ATOMIC_RELAXED)))
    return TRUE;

  if (!SEL_IS_BASE_SELECTOR ((gpointer) self))
    return FALSE;

  __atomic_store_n (&known, type, __ATOMIC_RELAXED);

  return TRUE;
}

G_END_DECLS
