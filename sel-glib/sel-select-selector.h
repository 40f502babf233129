/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

#define SEL_TYPE_SELECT_SELECTOR (sel_select_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelSelectSelector, sel_select_selector, SEL, SELECT_SELECTOR, SelBaseSelector)

/**
 * SelSelectSelectorClass:
 * @parent_class: the parent class
 *
 * The class structure of #SelSelectSelector.
 *
 * Since: 1.0
 */
struct _SelSelectSelectorClass
{
  SelBaseSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_select_selector_new          (GError **error);
SEL_AVAILABLE_IN_1_0
gboolean         sel_select_selector_is_supported (void);

G_END_DECLS
