/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

/* Makes a list of the elements of @array, which is freed. An array that is %NULL gives an empty list.
 *
 * The functions that return lists are for other languages. lua-lgi, Perl and Node free the elements of a #GPtrArray
 * with a free function although the caller keeps them, and Ruby cannot read such an array. */
static inline GList *
sel_list_from_array (GPtrArray *array)
{
  GList *list = NULL;

  if (array == NULL)
    return NULL;

  for (guint i = array->len; i > 0; i--)
    list = g_list_prepend (list, array->pdata[i - 1]);

  g_ptr_array_set_free_func (array, NULL);
  g_ptr_array_unref (array);

  return list;
}
