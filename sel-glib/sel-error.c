/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>

#include "sel-error-private.h"

/**
 * SECTION:sel-error
 * @Title: Errors
 * @Short_description: Error domains and error codes
 *
 * There are two error domains. Errors that the library detects itself are in %SEL_SELECTOR_ERROR, for example that a
 * descriptor is not registered. Errors that the operating system reports are in %SEL_OS_ERROR. Their code is the value
 * of `errno`, so that no information is lost.
 */

G_DEFINE_QUARK (sel-selector-error-quark, sel_selector_error)

/**
 * sel_selector_error_quark:
 *
 * Gets the error domain whose codes are #SelSelectorError.
 *
 * Returns: the error domain
 *
 * Since: 1.0
 */

/**
 * sel_os_error_domain:
 *
 * Gets the error domain whose codes are values of `errno`.
 *
 * Returns: the error domain
 *
 * Since: 1.0
 */
GQuark
sel_os_error_domain (void)
{
  return g_quark_from_static_string ("sel-os-error-quark");
}

static const char *
sel_os_error_get_hint (int errsv)
{
  if (errsv == EPERM)
    return " (a file that is always ready cannot be waited for; see emulate-always-ready)";

  return "";
}

gboolean
sel_os_error_set (GError **error,
                  int      fd,
                  int      errsv)
{
  if (fd < 0)
    g_set_error (error, SEL_OS_ERROR, errsv, "Waiting is not possible: %s", g_strerror (errsv));
  else
    g_set_error (error, SEL_OS_ERROR, errsv, "Descriptor %d cannot be waited for: %s%s",
                 fd, g_strerror (errsv), sel_os_error_get_hint (errsv));

  return FALSE;
}

gboolean
sel_error_set_closed (GError **error)
{
  g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED, "The selector is closed");

  return FALSE;
}

gboolean
sel_error_check_fd (int      fd,
                    GError **error)
{
  if (fd >= 0)
    return TRUE;

  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE, "Invalid descriptor: %d", fd);

  return FALSE;
}

gboolean
sel_error_may_pass (const GError *error)
{
  static const int errnums[] = { EAGAIN, ENOMEM, ENOBUFS, EMFILE, ENFILE, ENOSPC };

  for (guint i = 0; i < G_N_ELEMENTS (errnums); i++)
    {
      if (g_error_matches (error, SEL_OS_ERROR, errnums[i]))
        return TRUE;
    }

  return FALSE;
}
