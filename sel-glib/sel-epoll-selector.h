/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-base-selector.h>

G_BEGIN_DECLS

#define SEL_TYPE_EPOLL_SELECTOR (sel_epoll_selector_get_type ())

SEL_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (SelEpollSelector, sel_epoll_selector, SEL, EPOLL_SELECTOR, SelBaseSelector)

/**
 * SelEpollSelectorClass:
 * @parent_class: the parent class
 *
 * The class structure of #SelEpollSelector.
 *
 * Since: 1.0
 */
struct _SelEpollSelectorClass
{
  SelBaseSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

SEL_AVAILABLE_IN_1_0
SelBaseSelector *sel_epoll_selector_new          (GError **error);
SEL_AVAILABLE_IN_1_0
gboolean         sel_epoll_selector_is_supported (void);
SEL_AVAILABLE_IN_1_0
int              sel_epoll_selector_get_fd       (SelEpollSelector  *self,
                                               GError        **error);

G_END_DECLS
