/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "backend-cases.h"

#include <unistd.h>

void
backend_add_cases (const BackendTest *cases,
                   gsize              n_cases)
{
  for (gsize i = 0; i < n_cases; i++)
    backend_add (cases[i].name, cases[i].func);
}

gboolean
is_registered (SelBaseSelector *selector,
               int              fd)
{
  return sel_selector_mapping_contains (sel_base_selector_get_map (selector), fd);
}

void
reuse (int fd,
       int number)
{
  g_assert_cmpint (dup2 (fd, number), ==, number);
}

void
assert_dead (BackendFixture *fixture,
             int             fd)
{
  g_autoptr (GPtrArray) dead = NULL;
  g_autoptr (GError) error = NULL;

  assert_quiet (fixture->selector, QUIET);
  g_assert_true (is_registered (fixture->selector, fd));

  dead = sel_base_selector_check (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (dead->len, ==, 1);
  g_assert_cmpint (sel_selector_key_get_fd (g_ptr_array_index (dead, 0)), ==, fd);
}

guint
find_fd (const int *fds,
         guint      n_fds,
         int        fd)
{
  for (guint i = 0; i < n_fds; i++)
    if (fds[i] == fd)
      return i;

  g_assert_not_reached ();
}

const char *
mask_to_string (SelEventMask mask)
{
  static const char * const names[] = { "-", "R", "W", "RW" };

  return names[mask];
}
