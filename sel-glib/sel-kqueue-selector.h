/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

#define SEL_TYPE_KQUEUE_SELECTOR (sel_kqueue_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelKqueueSelector, sel_kqueue_selector, SEL, KQUEUE_SELECTOR, SelBaseSelector)

/**
 * SelKqueueSelectorClass:
 * @parent_class: the parent class
 *
 * The class structure of #SelKqueueSelector.
 *
 * Since: 1.0
 */
struct _SelKqueueSelectorClass
{
  SelBaseSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_kqueue_selector_new          (GError **error);
SEL_AVAILABLE_IN_1_0
gboolean         sel_kqueue_selector_is_supported (void);
SEL_AVAILABLE_IN_1_0
int              sel_kqueue_selector_get_fd       (SelKqueueSelector  *self,
                                               GError        **error);

G_END_DECLS
