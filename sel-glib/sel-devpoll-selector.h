/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

#define SEL_TYPE_DEVPOLL_SELECTOR (sel_devpoll_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelDevpollSelector, sel_devpoll_selector, SEL, DEVPOLL_SELECTOR, SelBaseSelector)

/**
 * SelDevpollSelectorClass:
 * @parent_class: the parent class
 *
 * The class structure of #SelDevpollSelector.
 *
 * Since: 1.0
 */
struct _SelDevpollSelectorClass
{
  SelBaseSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_devpoll_selector_new          (GError **error);
SEL_AVAILABLE_IN_1_0
gboolean         sel_devpoll_selector_is_supported (void);
SEL_AVAILABLE_IN_1_0
int              sel_devpoll_selector_get_fd       (SelDevpollSelector  *self,
                                               GError        **error);

G_END_DECLS
