/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#include <sel-glib/sel-version-numbers.h>

#ifndef _SEL_EXTERN
#define _SEL_EXTERN extern
#endif

/**
 * SEL_CHECK_VERSION:
 * @major: the major version to check for
 * @minor: the minor version to check for
 * @micro: the micro version to check for
 *
 * %TRUE if the headers have this version or a newer one. It can be used in `#if`. For the version of the library that
 * the program runs with, see sel_get_major_version().
 *
 * Since: 1.0
 */
#define SEL_CHECK_VERSION(major, minor, micro)                             \
  (SEL_MAJOR_VERSION > (major)                                             \
   || (SEL_MAJOR_VERSION == (major) && SEL_MINOR_VERSION > (minor))        \
   || (SEL_MAJOR_VERSION == (major) && SEL_MINOR_VERSION == (minor)        \
       && SEL_MICRO_VERSION >= (micro)))

/**
 * SEL_VERSION_1_0:
 *
 * The version 1.0 as a number that can be compared in `#if`, and used for %SEL_VERSION_MIN_REQUIRED and
 * %SEL_VERSION_MAX_ALLOWED.
 *
 * Since: 1.0
 */
#define SEL_VERSION_1_0 (G_ENCODE_VERSION (1, 0))

#define SEL_VERSION_CURRENT (G_ENCODE_VERSION (SEL_MAJOR_VERSION, SEL_MINOR_VERSION))

/**
 * SEL_VERSION_MIN_REQUIRED:
 *
 * The oldest version that the program can be compiled with, for example %SEL_VERSION_1_0. Define it before including
 * the headers. The compiler then does not warn about symbols that were deprecated in later versions. The default is
 * the version of the headers.
 *
 * Since: 1.0
 */
#ifndef SEL_VERSION_MIN_REQUIRED
#define SEL_VERSION_MIN_REQUIRED SEL_VERSION_CURRENT
#endif

/**
 * SEL_VERSION_MAX_ALLOWED:
 *
 * The newest version whose functions the program uses, for example %SEL_VERSION_1_0. Define it before including the
 * headers. The compiler then warns about functions that are newer. The default is the version of the headers.
 *
 * Since: 1.0
 */
#ifndef SEL_VERSION_MAX_ALLOWED
#define SEL_VERSION_MAX_ALLOWED SEL_VERSION_CURRENT
#endif

#if SEL_VERSION_MIN_REQUIRED < SEL_VERSION_1_0
#error "SEL_VERSION_MIN_REQUIRED must be SEL_VERSION_1_0 or newer"
#endif
#if SEL_VERSION_MAX_ALLOWED < SEL_VERSION_MIN_REQUIRED
#error "SEL_VERSION_MAX_ALLOWED must not be older than SEL_VERSION_MIN_REQUIRED"
#endif
#if SEL_VERSION_CURRENT < SEL_VERSION_MIN_REQUIRED
#error "SEL_VERSION_MIN_REQUIRED is newer than these headers"
#endif

/* Symbols are hidden unless their declaration has one of these macros. Each new minor version adds its own
 * SEL_VERSION_1_x and SEL_AVAILABLE_IN_1_x. For all versions after 1.0, the second macro begins with
 *
 *   #if SEL_VERSION_MAX_ALLOWED < SEL_VERSION_1_x
 *   #define SEL_AVAILABLE_IN_1_x _SEL_EXTERN G_UNAVAILABLE (1, x)
 *
 * 1.0 does not need this, because SEL_VERSION_MAX_ALLOWED cannot be older. */
#define SEL_AVAILABLE_IN_1_0 _SEL_EXTERN
