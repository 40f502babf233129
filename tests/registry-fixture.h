/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-registry-private.h"
#include "room-fixture.h"

G_BEGIN_DECLS

/* For unit tests of the registry room and of rooms above it: an open selector whose update () is scripted. The test
 * holds the lock. POLLING is set, as if a main loop waited, so that a test can check whether the waiting thread is
 * woken. */

/* Descriptors that only the script knows. */
#define A 700
#define B 64
#define C 5000

typedef Room RegistryFixture;

typedef struct
{
  const char *path;
  void (*test) (RegistryFixture *fixture, gconstpointer data);
} RegistryCase;

extern const SelRegistration no_data;

void        registry_add_cases     (const RegistryCase    *cases,
                                    guint                  n_cases);

void        registry_set_up        (RegistryFixture       *fixture,
                                    gconstpointer          data);
void        registry_tear_down     (RegistryFixture       *fixture,
                                    gconstpointer          data);

/* Scripts the results of the next update () calls. */
void        fail_updates           (RegistryFixture       *fixture,
                                    int                    first,
                                    int                    second,
                                    int                    third);

/* Checks that the waiting thread was told about a change of @fd, and forgets that. */
void        assert_told            (RegistryFixture       *fixture,
                                    int                    fd);
void        assert_not_told        (RegistryFixture       *fixture);

/* Registers @fd, and forgets the log and the changes that the waiting thread was told about. */
SelKeySlot *add                    (RegistryFixture       *fixture,
                                    int                    fd,
                                    SelEventMask           events,
                                    const SelRegistration *registration);

/* The same for a descriptor that the kernel finds to be always ready. */
SelKeySlot *add_always_ready       (RegistryFixture       *fixture,
                                    int                    fd);

void        assert_slot            (SelKeySlot            *slot,
                                    SelEventMask           registered,
                                    SelEventMask           active,
                                    SelEventMask           armed,
                                    gboolean               always_ready);
void        assert_always_ready    (RegistryFixture       *fixture,
                                    const int             *expected,
                                    guint                  n_expected);

G_END_DECLS
