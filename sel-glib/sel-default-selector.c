/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-backend-private.h"
#include "core/sel-environment-private.h"
#include "sel-default-selector.h"
#include "sel-devpoll-selector.h"
#include "sel-epoll-selector.h"
#include "sel-kqueue-selector.h"
#include "sel-poll-selector.h"
#include "sel-select-selector.h"

/**
 * SECTION:sel-default-selector
 * @Title: The default selector
 * @Short_description: A selector for the best mechanism that works
 *
 * The mechanisms are tried in this order: kqueue, epoll, /dev/poll, poll, select. The first one that can be opened is
 * used. It is not enough that the system has the function, because the system may refuse to use it.
 *
 * The environment variable `SEL_SELECTOR` selects another mechanism, for tests and for debugging: `kqueue`, `epoll`,
 * `devpoll`, `poll` or `select`. If this mechanism does not work, or does not exist, the variable is ignored and
 * a warning is logged once. The variable is also ignored in programs that run with other privileges than their user
 * has.
 */

/* In the order in which they are tried. */
static const struct
{
  const char *name;
  GType (*get_type) (void);
} mechanisms[] = {
  { "kqueue", sel_kqueue_selector_get_type },
  { "epoll", sel_epoll_selector_get_type },
  { "devpoll", sel_devpoll_selector_get_type },
  { "poll", sel_poll_selector_get_type },
  { "select", sel_select_selector_get_type },
};

static SelBaseSelector *
sel_default_selector_new_from_override (void)
{
  const char *name = sel_environment_get ("SEL_SELECTOR");
  g_autoptr(GError) error = NULL;
  SelBaseSelector *selector;

  if (name == NULL || *name == '\0')
    return NULL;

  for (guint i = 0; i < G_N_ELEMENTS (mechanisms); i++)
    {
      if (g_str_equal (mechanisms[i].name, name))
        {
          selector = sel_backend_new (mechanisms[i].get_type (), &error);
          if (selector == NULL)
            g_warning_once ("SEL_SELECTOR=%s is ignored: %s", name, error->message);

          return selector;
        }
    }

  g_warning_once ("SEL_SELECTOR=%s is ignored: there is no such selector", name);

  return NULL;
}

/**
 * sel_default_selector_type:
 *
 * Gets the type of the selector that sel_default_selector_new() would make. To find it out, this makes a selector and
 * frees it.
 *
 * Returns: the type, or %G_TYPE_INVALID if no selector can be made now, for example because too many files are open
 *
 * Since: 1.0
 */
GType
sel_default_selector_type (void)
{
  g_autoptr(SelBaseSelector) selector = sel_default_selector_new (NULL);

  return selector != NULL ? G_OBJECT_TYPE (selector) : G_TYPE_INVALID;
}

/**
 * sel_default_selector_new:
 * @error: return location for an error, or %NULL
 *
 * Makes a selector with the best mechanism that works on this system, and opens it.
 *
 * If no mechanism works, fails with the error of the last one that was tried, for example a %SEL_OS_ERROR with
 * `EMFILE`.
 *
 * Returns: (transfer full): a new selector, or %NULL on error
 *
 * Since: 1.0
 */
SelBaseSelector *
sel_default_selector_new (GError **error)
{
  SelBaseSelector *selector = sel_default_selector_new_from_override ();
  g_autoptr(GError) local_error = NULL;

  for (guint i = 0; selector == NULL && i < G_N_ELEMENTS (mechanisms); i++)
    {
      g_clear_error (&local_error);
      selector = sel_backend_new (mechanisms[i].get_type (), &local_error);
    }

  if (selector == NULL)
    g_propagate_error (error, g_steal_pointer (&local_error));

  return selector;
}
