/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

#define SEL_TYPE_POLL_SELECTOR (sel_poll_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelPollSelector, sel_poll_selector, SEL, POLL_SELECTOR, SelBaseSelector)

/**
 * SelPollSelectorClass:
 * @parent_class: the parent class
 *
 * The class structure of #SelPollSelector.
 *
 * Since: 1.0
 */
struct _SelPollSelectorClass
{
  SelBaseSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_poll_selector_new          (GError **error);
SEL_AVAILABLE_IN_1_0
gboolean         sel_poll_selector_is_supported (void);

G_END_DECLS
