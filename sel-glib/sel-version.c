/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-version.h"

/**
 * SECTION:sel-version
 * @Title: Versions
 * @Short_description: The versions of the headers and of the library
 *
 * The macros give the version of the headers that a program is compiled with. The functions give the version of the
 * library that the program runs with, which may be newer. A release candidate has the numbers of its release: 1.0.0~rc1
 * is 1.0.0 here.
 *
 * The description of each symbol names the version since which it is available. A program that has to work with an
 * older version than the one it is developed with can define these macros. The compiler then warns about symbols that
 * are newer:
 *
 * |[
 * cc -DSEL_VERSION_MIN_REQUIRED=SEL_VERSION_1_0 -DSEL_VERSION_MAX_ALLOWED=SEL_VERSION_1_0 ...
 * ]|
 */

/**
 * sel_get_major_version:
 *
 * Gets the major version of the library that the program runs with. %SEL_MAJOR_VERSION is the major version of the
 * headers that the program was compiled with.
 *
 * Returns: the major version number
 *
 * Since: 1.0
 */
guint
sel_get_major_version (void)
{
  return SEL_MAJOR_VERSION;
}

/**
 * sel_get_minor_version:
 *
 * Gets the minor version of the library that the program runs with. %SEL_MINOR_VERSION is the minor version of the
 * headers that the program was compiled with.
 *
 * Returns: the minor version number
 *
 * Since: 1.0
 */
guint
sel_get_minor_version (void)
{
  return SEL_MINOR_VERSION;
}

/**
 * sel_get_micro_version:
 *
 * Gets the micro version of the library that the program runs with. %SEL_MICRO_VERSION is the micro version of the
 * headers that the program was compiled with.
 *
 * Returns: the micro version number
 *
 * Since: 1.0
 */
guint
sel_get_micro_version (void)
{
  return SEL_MICRO_VERSION;
}
