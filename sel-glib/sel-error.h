/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-types.h>

G_BEGIN_DECLS

/**
 * SEL_SELECTOR_ERROR:
 *
 * The error domain of errors that the library detects itself. The codes are #SelSelectorError.
 *
 * Since: 1.0
 */
#define SEL_SELECTOR_ERROR (sel_selector_error_quark ())

/**
 * SEL_OS_ERROR:
 *
 * The error domain of errors that the operating system reports. The code of such an error is the value of
 * `errno`, for example `EBADF` or `EPERM`.
 *
 * Since: 1.0
 */
#define SEL_OS_ERROR (sel_os_error_domain ())

/**
 * SelSelectorError:
 * @SEL_SELECTOR_ERROR_FAILED: a virtual function of the selector failed and set no error
 * @SEL_SELECTOR_ERROR_NOT_REGISTERED: the file object or descriptor is not registered
 * @SEL_SELECTOR_ERROR_ALREADY_REGISTERED: the descriptor is already registered
 * @SEL_SELECTOR_ERROR_INVALID_FILE: the file object is not valid: a negative number, an object without a
 *   descriptor, or an object that is closed
 * @SEL_SELECTOR_ERROR_INVALID_EVENTS: the mask is empty or has bits that are not in #SelEventMask
 * @SEL_SELECTOR_ERROR_INVALID_TIMEOUT: the timeout is not a number
 * @SEL_SELECTOR_ERROR_CLOSED: the selector is closed
 * @SEL_SELECTOR_ERROR_NOT_SUPPORTED: the system does not have this mechanism or refuses to use it, or the
 *   value cannot be kept as data
 * @SEL_SELECTOR_ERROR_BUSY: another thread or an asynchronous wait already waits on the selector, or a virtual
 *   function of the selector made the call
 * @SEL_SELECTOR_ERROR_FORKED: the selector was opened by the parent process; see sel_base_selector_reinit()
 *
 * The error codes of %SEL_SELECTOR_ERROR.
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
