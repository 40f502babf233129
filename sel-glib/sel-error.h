/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-types.h>

G_BEGIN_DECLS

/**
 * SEL_SELECTOR_ERROR:
 *
 * Error domain of what the library itself refuses; the codes are #SelSelectorError.
 *
 * Since: 1.0
 */
#define SEL_SELECTOR_ERROR (sel_selector_error_quark ())

/**
 * SEL_OS_ERROR:
 *
 * Error domain of what the operating system refuses. The code of such an error is
 * the value of `errno`, for example `EBADF` or `EPERM`.
 *
 * Since: 1.0
 */
#define SEL_OS_ERROR (sel_os_error_domain ())

/**
 * SelSelectorError:
 * @SEL_SELECTOR_ERROR_FAILED: a selector implemented elsewhere failed without saying why
 * @SEL_SELECTOR_ERROR_NOT_REGISTERED: the file object or descriptor is not registered
 * @SEL_SELECTOR_ERROR_ALREADY_REGISTERED: the descriptor is registered already
 * @SEL_SELECTOR_ERROR_INVALID_FILE: not a file object: a negative number, an object without
 *   a descriptor, or one that is closed
 * @SEL_SELECTOR_ERROR_INVALID_EVENTS: the mask is empty or has bits that are not in #SelEventMask
 * @SEL_SELECTOR_ERROR_INVALID_TIMEOUT: the time-out is not a number
 * @SEL_SELECTOR_ERROR_CLOSED: the selector is closed
 * @SEL_SELECTOR_ERROR_NOT_SUPPORTED: this system has no such mechanism, or refuses it
 * @SEL_SELECTOR_ERROR_BUSY: another thread waits on the selector already, or a virtual function of the selector is running
 * @SEL_SELECTOR_ERROR_FORKED: the selector was made by the parent process; see
 *   sel_base_selector_reinit()
 *
 * Error codes of %SEL_SELECTOR_ERROR.
 *
 * Since: 1.0
 */
typedef enum
{
  SEL_SELECTOR_ERROR_FAILED,
  SEL_SELECTOR_ERROR_NOT_REGISTERED,
  SEL_SELECTOR_ERROR_ALREADY_REGISTERED,
  SEL_SELECTOR_ERROR_INVALID_FILE,
  SEL_SELECTOR_ERROR_INVALID_EVENTS,
  SEL_SELECTOR_ERROR_INVALID_TIMEOUT,
  SEL_SELECTOR_ERROR_CLOSED,
  SEL_SELECTOR_ERROR_NOT_SUPPORTED,
  SEL_SELECTOR_ERROR_BUSY,
  SEL_SELECTOR_ERROR_FORKED
} SelSelectorError;

SEL_AVAILABLE_IN_1_0
GQuark sel_selector_error_quark (void);
SEL_AVAILABLE_IN_1_0
GQuark sel_os_error_domain      (void);

G_END_DECLS
