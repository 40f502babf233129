/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"
#include "fake-selector.h"

/* Functions and types of the test-core-*.c programs, which test the base class with a scripted selector. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct
{
  FakeSelector    *fake;
  SelBaseSelector *selector;
  int              a;
  int              b;
  int              a_pair[2];
  int              b_pair[2];

  /* How often the data was freed. The counters outlive the selector, which may free data when it is finalized. */
  int              old_destroyed;
  int              new_destroyed;
} Fixture;

typedef void (*FixtureFunc) (Fixture *fixture);

typedef struct
{
  const char  *name;
  FixtureFunc  func;
} CoreCase;

/* Adds the cases as /core/<case>. */
void core_add_cases (const CoreCase *cases,
                     gsize           n_cases);

/* Calls register (), and clears the log of the scripted selector. */
void watch_quietly  (Fixture        *fixture,
                     int             fd,
                     SelEventMask    events);

/* A GDestroyNotify. @data is a counter. */
void count_destroyed (gpointer data);

void assert_not_registered (SelBaseSelector *selector,
                            int              fd);
void assert_registered     (SelBaseSelector *selector,
                            int              fd,
                            SelEventMask     events,
                            gpointer         data);
void assert_map_size       (SelBaseSelector *selector,
                            guint            size);

/* The three forms of select () with the same parameters. They return TRUE on success. */

typedef gboolean (*SelectForm) (SelBaseSelector  *selector,
                                gdouble           timeout,
                                GCancellable     *cancellable,
                                gsize            *n_ready,
                                GError          **error);

#define N_SELECT_FORMS 3

extern const SelectForm select_forms[N_SELECT_FORMS];

/* The first of them, which uses sel_base_selector_select (). */
gboolean select_list (SelBaseSelector  *selector,
                      gdouble           timeout,
                      GCancellable     *cancellable,
                      gsize            *n_ready,
                      GError          **error);

/* Checks that each form fails with this error. */
void assert_select_fails (SelBaseSelector *selector,
                          gdouble          timeout,
                          GCancellable    *cancellable,
                          GQuark           domain,
                          int              code);

typedef enum
{
  REGISTER,
  MODIFY,
  MODIFY_EVENTS,
  UNREGISTER,
  REFRESH,
  GET_KEY
} Method;

/* Calls one of the methods. register () and modify () get count_destroyed () for @data. */
gboolean call_method (SelBaseSelector  *selector,
                      Method            method,
                      int               fd,
                      guint             events,
                      gpointer          data,
                      GError          **error);
