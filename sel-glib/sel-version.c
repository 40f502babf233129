/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "sel-version.h"

/**
 * SECTION:sel-version
 * @Title: Versions
 * @Short_description: Of the headers and of the library
 *
 * The macros tell the version of the headers that a program is compiled with; the functions that of the library it
 * runs with, which may be newer.
 *
 * Each symbol is available since the version that its description names. A program that has to work with an older
 * version than the one it is developed with says so, and the compiler warns of what is newer:
 *
 * |[
 * cc -DSEL_VERSION_MIN_REQUIRED=SEL_VERSION_1_0 -DSEL_VERSION_MAX_ALLOWED=SEL_VERSION_1_0 ...
 * ]|
 */

/**
 * sel_get_major_version:
 *
 * Gets the major version of the library that the program runs with. For the headers that it was compiled with
 * that is %SEL_MAJOR_VERSION.
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
 * Gets the minor version of the library that the program runs with. For the headers that it was compiled with
 * that is %SEL_MINOR_VERSION.
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
 * Gets the micro version of the library that the program runs with. For the headers that it was compiled with
 * that is %SEL_MICRO_VERSION.
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
