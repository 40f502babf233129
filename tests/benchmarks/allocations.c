/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "allocations.h"

/* The other names of the functions of the C library. The functions below replace them. */
extern void *__libc_malloc  (size_t  size);
extern void *__libc_calloc  (size_t  n,
                             size_t  size);
extern void *__libc_realloc (void   *memory,
                             size_t  size);

void *malloc  (size_t  size);
void *calloc  (size_t  n,
               size_t  size);
void *realloc (void   *memory,
               size_t  size);

static size_t n_allocations;

size_t
allocations_count (void)
{
  return n_allocations;
}

void *
malloc (size_t size)
{
  n_allocations++;

  return __libc_malloc (size);
}

void *
calloc (size_t n,
        size_t size)
{
  n_allocations++;

  return __libc_calloc (n, size);
}

void *
realloc (void   *memory,
         size_t  size)
{
  n_allocations++;

  return __libc_realloc (memory, size);
}
