/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"
#include "fake-selector.h"

/* What depends on the core alone, over a selector whose kernel is a script. */

#define ALL_EVENTS (SEL_EVENT_READ | SEL_EVENT_WRITE)

typedef struct
{
  FakeSelector    *fake;
  SelBaseSelector *selector;
  int              a;
  int              b;
  int              a_pair[2];
  int              b_pair[2];

  /* How often data was freed. They outlive the selector, which may be the last to do so. */
  int              old_destroyed;
  int              new_destroyed;
} Fixture;

typedef void (*FixtureFunc) (Fixture *fixture);

typedef struct
{
  const char  *name;
  FixtureFunc  func;
} CoreCase;

static void
core_case_run (gconstpointer data)
{
  const CoreCase *core_case = data;
  Fixture fixture = { 0 };

  open_socketpair (fixture.a_pair);
  open_socketpair (fixture.b_pair);
  fixture.a = fixture.a_pair[0];
  fixture.b = fixture.b_pair[0];
  fixture.fake = fake_selector_new ();
  fixture.selector = SEL_BASE_SELECTOR (fixture.fake);

  core_case->func (&fixture);

  if (fixture.selector != NULL)
    g_assert_finalize_object (G_OBJECT (fixture.selector));
  close_pair (fixture.a_pair);
  close_pair (fixture.b_pair);
}

/* Forgets the script's log, and so what came before the act. */
static void
watch_quietly (Fixture      *fixture,
               int           fd,
               SelEventMask  events)
{
  watch (fixture->selector, fd, events);
  fake_selector_clear_log (fixture->fake);
}

static void
count_destroyed (gpointer data)
{
  (*(int *) data)++;
}

static void
assert_not_registered (SelBaseSelector *selector,
                       int              fd)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (selector, fd, &error);
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (key);
  g_assert_false (sel_selector_mapping_contains (map, fd));
  g_assert_null (sel_selector_mapping_lookup (map, fd));
}

static void
assert_registered (SelBaseSelector *selector,
                   int              fd,
                   SelEventMask     events,
                   gpointer         data)
{
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (selector, fd, &error);
  g_assert_no_error (error);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, events);
  g_assert_true (sel_selector_key_get_data (key) == data);
}

static void
assert_map_size (SelBaseSelector *selector,
                 guint            size)
{
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (GPtrArray) keys = sel_selector_mapping_get_keys (map);

  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, size);
  g_assert_cmpuint (keys->len, ==, size);
}

/* The three forms of select(), as one function each that tells success and how many. */

typedef gboolean (*SelectForm) (SelBaseSelector  *selector,
                                gdouble           timeout,
                                GCancellable     *cancellable,
                                gsize            *n_ready,
                                GError          **error);

static gboolean
select_list (SelBaseSelector  *selector,
             gdouble           timeout,
             GCancellable     *cancellable,
             gsize            *n_ready,
             GError          **error)
{
  g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, timeout, cancellable, error);

  *n_ready = ready != NULL ? ready->len : 0;

  return ready != NULL;
}

static gboolean
select_array (SelBaseSelector  *selector,
              gdouble           timeout,
              GCancellable     *cancellable,
              gsize            *n_ready,
              GError          **error)
{
  SelReadyEvent events[8];
  gssize n = sel_base_selector_select_ready (selector, timeout, events, G_N_ELEMENTS (events),
                                             cancellable, error);

  *n_ready = MAX (n, 0);

  return n >= 0;
}

static gboolean
select_two_arrays (SelBaseSelector  *selector,
                   gdouble           timeout,
                   GCancellable     *cancellable,
                   gsize            *n_ready,
                   GError          **error)
{
  g_autofree int *fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds = 0, n_masks = 0;
  gboolean success = sel_base_selector_select_fds (selector, timeout, cancellable, &fds, &n_fds,
                                                   &masks, &n_masks, error);

  g_assert_cmpuint (n_fds, ==, n_masks);
  *n_ready = n_fds;

  return success;
}

static const SelectForm select_forms[] = { select_list, select_array, select_two_arrays };

static void
assert_select_fails (SelBaseSelector *selector,
                     gdouble          timeout,
                     GCancellable    *cancellable,
                     GQuark           domain,
                     int              code)
{
  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      g_assert_false (select_forms[i] (selector, timeout, cancellable, &n_ready, &error));
      assert_failed (&error, domain, code);
      g_assert_cmpuint (n_ready, ==, 0);
    }
}

/* Opening and releasing */

static void
test_open_once (Fixture *fixture)
{
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_assert_log (fixture->fake, "open update(%d,0,1)", fixture->a);

  watch (fixture->selector, fixture->b, ALL_EVENTS);
  fake_selector_assert_log (fixture->fake, "update(%d,0,3)", fixture->b);

  assert_ready (fixture->selector, 0, -1);
  fake_selector_assert_log (fixture->fake, "wait");
}

static void
test_open_by_select (Fixture *fixture)
{
  assert_ready (fixture->selector, 0, -1);
  fake_selector_assert_log (fixture->fake, "open wait");
}

static void
test_open_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fake_selector_fail (fixture->fake, FAKE_OPEN, SEL_OS_ERROR, EMFILE);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, EMFILE);
  assert_not_registered (fixture->selector, fixture->a);

  /* It is remembered, not tried again. */
  fake_selector_assert_log (fixture->fake, "open");

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "open");
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
}

static void
test_wake_fails (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();
  g_autoptr (GError) error = NULL;

  fake_selector_fail (fixture->fake, FAKE_WAKE, SEL_OS_ERROR, ENOSPC);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              NULL, NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOSPC);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, ENOSPC);

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_reinit (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  watch_quietly (fixture, fixture->b, SEL_EVENT_WRITE);

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);

  g_assert_true (g_str_has_prefix (fake_selector_get_log (fixture->fake), "release(0) open "));
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, SEL_EVENT_READ);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->b), ==, SEL_EVENT_WRITE);
  g_assert_cmpuint (fake_selector_get_n_watched (fixture->fake), ==, 2);

  fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_WRITE, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->b, SEL_EVENT_WRITE, -1);

  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
}

static void
test_reinit_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_OPEN, SEL_OS_ERROR, EMFILE);

  g_assert_false (sel_base_selector_reinit (fixture->selector, &error));
  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  assert_select_fails (fixture->selector, 0, NULL, SEL_OS_ERROR, EMFILE);
  fake_selector_assert_log (fixture->fake, "release(0) open");

  g_assert_true (sel_base_selector_reinit (fixture->selector, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "open update(%d,0,1)", fixture->a);
}

static void
test_release_by_close (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  sel_base_selector_close (fixture->selector);
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);

  sel_base_selector_close (fixture->selector);
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_by_dispose (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_by_run_dispose (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  g_object_run_dispose (G_OBJECT (fixture->selector));
  g_assert_true (sel_base_selector_is_closed (fixture->selector));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
}

static void
test_release_never_opened (Fixture *fixture)
{
  guint n_releases = fake_selector_get_n_releases ();

  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases);
}

/* Values */

typedef enum
{
  REGISTER,
  MODIFY,
  MODIFY_EVENTS,
  UNREGISTER,
  REFRESH,
  GET_KEY
} Method;

typedef enum
{
  REGISTERED,
  UNKNOWN,
  NEGATIVE
} Descriptor;

static const struct
{
  Method           method;
  Descriptor       descriptor;
  guint            events;
  SelSelectorError code;
}
invalid_values[] =
{
  { REGISTER, UNKNOWN, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, 4, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, SEL_EVENT_READ | 1u << 31, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, UNKNOWN, G_MAXUINT, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },
  { REGISTER, REGISTERED, SEL_EVENT_READ, SEL_SELECTOR_ERROR_ALREADY_REGISTERED },
  { REGISTER, REGISTERED, SEL_EVENT_WRITE, SEL_SELECTOR_ERROR_ALREADY_REGISTERED },

  { MODIFY, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY, REGISTERED, 4, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY, UNKNOWN, SEL_EVENT_READ, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { MODIFY, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },

  { MODIFY_EVENTS, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY_EVENTS, REGISTERED, G_MAXUINT, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { MODIFY_EVENTS, UNKNOWN, SEL_EVENT_READ, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { MODIFY_EVENTS, NEGATIVE, SEL_EVENT_READ, SEL_SELECTOR_ERROR_INVALID_FILE },

  { UNREGISTER, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { UNREGISTER, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  { REFRESH, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { REFRESH, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  { GET_KEY, UNKNOWN, 0, SEL_SELECTOR_ERROR_NOT_REGISTERED },
  { GET_KEY, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_FILE },

  /* As in Python the mask is looked at first, then the file, then the map. */
  { REGISTER, NEGATIVE, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
  { REGISTER, REGISTERED, 0, SEL_SELECTOR_ERROR_INVALID_EVENTS },
};

static gboolean
call_method (SelBaseSelector  *selector,
             Method            method,
             int               fd,
             guint             events,
             gpointer          data,
             GError          **error)
{
  g_autoptr (SelSelectorKey) key = NULL;

  switch (method)
    {
    case REGISTER:
      return sel_base_selector_register (selector, fd, events, data, count_destroyed, error);
    case MODIFY:
      return sel_base_selector_modify (selector, fd, events, data, count_destroyed, error);
    case MODIFY_EVENTS:
      return sel_base_selector_modify_events (selector, fd, events, error);
    case UNREGISTER:
      return sel_base_selector_unregister (selector, fd, error);
    case REFRESH:
      return sel_base_selector_refresh (selector, fd, error);
    case GET_KEY:
      key = sel_base_selector_get_key (selector, fd, error);
      return key != NULL;
    default:
      g_assert_not_reached ();
    }
}

static void
test_invalid_values (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);

  for (gsize i = 0; i < G_N_ELEMENTS (invalid_values); i++)
    {
      const int fds[] = { [REGISTERED] = fixture->a, [UNKNOWN] = fixture->b, [NEGATIVE] = -1 };

      g_test_message ("case %" G_GSIZE_FORMAT, i);
      g_assert_false (call_method (fixture->selector, invalid_values[i].method,
                                   fds[invalid_values[i].descriptor], invalid_values[i].events,
                                   &fixture->new_destroyed, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, invalid_values[i].code);

      assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->old_destroyed);
      assert_map_size (fixture->selector, 1);
    }

  fake_selector_assert_log (fixture->fake, "%s", "");
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);
}

/* Time-outs */

static const struct
{
  gdouble timeout;
  gdouble at_least;
  gdouble at_most;
}
timeouts[] =
{
  { 0, 0, 0 },
  { -0.0, 0, 0 },
  { -1, 0, 0 },
  { -1e-300, 0, 0 },
  { -1e300, 0, 0 },
  { -INFINITY, 0, 0 },
  { 1e-300, 0, 1e-3 },
  { DBL_TRUE_MIN, 0, 1e-3 },
  { 1e-9, 0, 1e-3 },
  { 0.5, 0, 0.5 },
  { 86400, 3600, 86400 },
  { 4294967.296, 1e6, 4294967.296 },
  { 1e10, 1e6, 1e10 },
  { 1e300, 1e6, INFINITY },
  { DBL_MAX, 1e6, INFINITY },
  { SEL_WAIT_FOREVER, SEL_WAIT_FOREVER, SEL_WAIT_FOREVER },
};

static void
test_timeouts (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (timeouts); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
      {
        g_autoptr (GError) error = NULL;
        gsize n_ready;

        g_test_message ("time-out %g", timeouts[i].timeout);
        fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

        g_assert_true (select_forms[j] (fixture->selector, timeouts[i].timeout, NULL, &n_ready,
                                        &error));
        g_assert_no_error (error);
        g_assert_cmpuint (n_ready, ==, 1);
        g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 1);
        g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), >=, timeouts[i].at_least);
        g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), <=, timeouts[i].at_most);
        fake_selector_clear_log (fixture->fake);
      }
}

static void
test_timeout_polls_once (Fixture *fixture)
{
  static const gdouble polls[] = { 0, -0.0, -1, -1e-300, -INFINITY };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (polls); i++)
    {
      assert_ready (fixture->selector, polls[i], -1);
      fake_selector_assert_log (fixture->fake, "wait");
    }
}

static void
test_timeout_nan (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  assert_select_fails (fixture->selector, NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  assert_select_fails (fixture->selector, -NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
  fake_selector_assert_log (fixture->fake, "%s", "");
}

static void
assert_timeouts_never_grow (FakeSelector *fake,
                            gdouble       timeout)
{
  for (guint i = 0; i < fake_selector_get_n_waits (fake); i++)
    {
      g_assert_cmpfloat (fake_selector_get_timeout (fake, i), <=, timeout);
      timeout = fake_selector_get_timeout (fake, i);
    }
}

/* The script's wait() always returns early here, so the core has to wait again and again. */
static void
test_deadline (Fixture *fixture)
{
  gint64 start;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  start = g_get_monotonic_time ();
  assert_ready (fixture->selector, 0.002, -1);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 2000);

  g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), >, 1);
  assert_timeouts_never_grow (fixture->fake, 0.002);
}

/* A file that needed no wait was closed: no wait is cut short for it, or the loop would be a busy one. */
static void
test_always_ready_closed (Fixture *fixture)
{
  int fd = fcntl (fixture->a, F_DUPFD_CLOEXEC, 0);

  sel_base_selector_set_emulate_always_ready (fixture->selector, TRUE);
  watch_quietly (fixture, fixture->b, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);
  watch_quietly (fixture, fd, SEL_EVENT_READ);

  assert_ready (fixture->selector, 86400, fd, SEL_EVENT_READ, -1);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), <=, 0);
  fake_selector_clear_log (fixture->fake);

  close (fd);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, 86400, fixture->b, SEL_EVENT_READ, -1);
  g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 2);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 0), >, 0);
  g_assert_cmpfloat (fake_selector_get_timeout (fixture->fake, 1), >, 0);
}

static void
test_early_return (Fixture *fixture)
{
  static const gdouble waits[] = { 86400, 1e300, SEL_WAIT_FOREVER };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

      assert_ready (fixture->selector, waits[i], fixture->a, SEL_EVENT_READ, -1);
      g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 3);
      assert_timeouts_never_grow (fixture->fake, waits[i]);
      fake_selector_clear_log (fixture->fake);
    }
}

static void
test_eintr (Fixture *fixture)
{
  static const gdouble waits[] = { 86400, SEL_WAIT_FOREVER };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (waits); i++)
    {
      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

      assert_ready (fixture->selector, waits[i], fixture->a, SEL_EVENT_READ, -1);
      g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 3);
      assert_timeouts_never_grow (fixture->fake, waits[i]);
      fake_selector_clear_log (fixture->fake);
    }
}

static void
test_interruptible (Fixture *fixture)
{
  gboolean interruptible = TRUE;

  g_object_get (fixture->selector, "interruptible", &interruptible, NULL);
  g_assert_false (interruptible);
  sel_base_selector_set_interruptible (fixture->selector, TRUE);
  g_assert_true (sel_base_selector_get_interruptible (fixture->selector));

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      fake_selector_push_error (fixture->fake, SEL_OS_ERROR, EINTR);

      g_assert_true (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, NULL, &n_ready,
                                      &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_ready, ==, 0);
      fake_selector_assert_log (fixture->fake, "wait");
    }

  /* Only a signal ends the wait, not an early return. */
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
test_wait_fails (Fixture *fixture)
{
  static const struct
  {
    gboolean with_error;
    int      code;
  }
  failures[] =
  {
    { TRUE, EBADF },
    { TRUE, ENOMEM },
    { FALSE, SEL_SELECTOR_ERROR_FAILED },
  };

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      GQuark domain = failures[i].with_error ? SEL_OS_ERROR : 0;

      for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
        fake_selector_push_error (fixture->fake, domain, failures[i].code);

      assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, NULL,
                           failures[i].with_error ? SEL_OS_ERROR : SEL_SELECTOR_ERROR,
                           failures[i].code);
    }

  /* An EINTR of another domain is no interruption. */
  for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
    fake_selector_push_error (fixture->fake, G_IO_ERROR, EINTR);
  assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, NULL, G_IO_ERROR, EINTR);

  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

/* Reports */

static void
test_report_masked (Fixture *fixture)
{
  static const guint reported[] = { 0, 1, 2, 3, 4, 5, 8, 15, 1u << 31, G_MAXUINT };

  watch (fixture->selector, fixture->b, SEL_EVENT_READ);

  for (SelEventMask interest = SEL_EVENT_READ; interest <= ALL_EVENTS; interest++)
    for (gsize i = 0; i < G_N_ELEMENTS (reported); i++)
      {
        SelEventMask expected = reported[i] & interest;

        watch_quietly (fixture, fixture->a, interest);

        /* An empty mask is as good as no report: the wait goes on. */
        fake_selector_push (fixture->fake, fixture->a, reported[i], FAKE_END);
        if (expected == 0)
          fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_READ, FAKE_END);

        if (expected == 0)
          assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->b, SEL_EVENT_READ, -1);
        else
          assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, expected, -1);

        g_assert_cmpuint (fake_selector_get_n_steps (fixture->fake), ==, 0);
        g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, NULL));
      }
}

static void
test_report_merged (Fixture *fixture)
{
  watch (fixture->selector, fixture->a, ALL_EVENTS);
  watch (fixture->selector, fixture->b, ALL_EVENTS);

  fake_selector_push (fixture->fake,
                      fixture->a, SEL_EVENT_READ,
                      fixture->b, SEL_EVENT_READ,
                      fixture->a, SEL_EVENT_WRITE,
                      fixture->b, SEL_EVENT_READ,
                      fixture->a, SEL_EVENT_READ,
                      FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER,
                fixture->a, ALL_EVENTS, fixture->b, SEL_EVENT_READ, -1);

  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      fake_selector_push (fixture->fake,
                          fixture->a, SEL_EVENT_READ,
                          fixture->a, SEL_EVENT_WRITE,
                          FAKE_END);
      g_assert_true (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, NULL, &n_ready,
                                      &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_ready, ==, 1);
    }

  /* And nothing of it is left for the next call. */
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_WRITE, FAKE_END);
  assert_ready (fixture->selector, 0, fixture->a, SEL_EVENT_WRITE, -1);
  assert_ready (fixture->selector, 0, -1);
}

static void
test_report_unknown (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  fake_selector_push (fixture->fake,
                      fixture->b, SEL_EVENT_READ,
                      -1, SEL_EVENT_READ,
                      G_MAXINT, SEL_EVENT_READ,
                      G_MININT + 1, SEL_EVENT_READ,
                      fake_selector_get_wake_fd (fixture->fake) + 4096, SEL_EVENT_READ,
                      FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);

  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
  g_assert_cmpuint (fake_selector_get_n_waits (fixture->fake), ==, 2);
}

static void
test_report_outside_wait (Fixture *fixture)
{
  sel_base_selector_report (fixture->selector, fixture->a, SEL_EVENT_READ);

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  watch (fixture->selector, fixture->b, SEL_EVENT_READ);
  sel_base_selector_report (fixture->selector, fixture->a, SEL_EVENT_READ);
  sel_base_selector_report (fixture->selector, -1, SEL_EVENT_READ);

  assert_ready (fixture->selector, 0, -1);
  fake_selector_push (fixture->fake, fixture->b, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->b, SEL_EVENT_READ, -1);

  sel_base_selector_close (fixture->selector);
  sel_base_selector_report (fixture->selector, fixture->a, SEL_EVENT_READ);
}

static void
test_report_wake_fd (Fixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  int wake_fd;

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  wake_fd = fake_selector_get_wake_fd (fixture->fake);

  assert_not_registered (fixture->selector, wake_fd);
  assert_map_size (fixture->selector, 1);
  g_assert_true (map == sel_base_selector_get_map (fixture->selector));

  fake_selector_push (fixture->fake,
                      wake_fd, ALL_EVENTS,
                      fixture->a, SEL_EVENT_READ,
                      FAKE_END);
  assert_ready (fixture->selector, 0, fixture->a, SEL_EVENT_READ, -1);

  sel_base_selector_wakeup (fixture->selector);
  fake_selector_push (fixture->fake, wake_fd, ALL_EVENTS, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
}

static void
test_select_ready_limit (Fixture *fixture)
{
  SelReadyEvent events[3] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
  g_autoptr (GError) error = NULL;
  int c_pair[2];
  gssize n;

  open_socketpair (c_pair);
  watch (fixture->selector, fixture->a, ALL_EVENTS);
  watch (fixture->selector, fixture->b, ALL_EVENTS);
  watch (fixture->selector, c_pair[0], ALL_EVENTS);

  fake_selector_push (fixture->fake,
                      fixture->a, SEL_EVENT_READ,
                      fixture->b, SEL_EVENT_READ,
                      c_pair[0], SEL_EVENT_READ,
                      fixture->b, SEL_EVENT_WRITE,
                      FAKE_END);
  n = sel_base_selector_select_ready (fixture->selector, SEL_WAIT_FOREVER, events, 2, NULL,
                                      &error);
  g_assert_no_error (error);
  g_assert_cmpint (n, ==, 2);
  g_assert_cmpint (events[0].fd, !=, events[1].fd);
  g_assert_cmpint (events[2].fd, ==, -1);

  g_assert_true (sel_base_selector_unregister (fixture->selector, c_pair[0], &error));
  g_assert_no_error (error);
  close_pair (c_pair);
}

static void
test_select_ready_data (Fixture *fixture)
{
  SelReadyEvent event;
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, ALL_EVENTS,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);

  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_WRITE, FAKE_END);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, SEL_WAIT_FOREVER, &event, 1,
                                                   NULL, &error), ==, 1);
  g_assert_no_error (error);
  g_assert_cmpint (event.fd, ==, fixture->a);
  g_assert_cmpuint (event.events, ==, SEL_EVENT_WRITE);
  g_assert_true (event.data == &fixture->old_destroyed);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
}

/* Registering, modifying, unregistering */

static void
test_register_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->b, SEL_EVENT_READ);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EPERM);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              &fixture->old_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_OS_ERROR, EPERM);
  assert_not_registered (fixture->selector, fixture->a);
  assert_map_size (fixture->selector, 1);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  fake_selector_assert_log (fixture->fake, "update(%d,0,1)", fixture->a);

  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, 0, -1);

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_WRITE, &fixture->old_destroyed);
}

static void
test_register_twice (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  g_assert_false (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                              &fixture->old_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  fake_selector_assert_log (fixture->fake, "%s", "");
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
}

static void
test_modify_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, ENOMEM);

  g_assert_false (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                            &fixture->new_destroyed, count_destroyed, &error));
  assert_failed (&error, SEL_OS_ERROR, ENOMEM);
  assert_not_registered (fixture->selector, fixture->a);
  assert_map_size (fixture->selector, 0);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);

  /* update() left the kernel as it was, so the core has to take the descriptor out. */
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, 0);

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
}

static void
test_modify_events_fails (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, 0, 0);

  g_assert_false (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                   &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  assert_not_registered (fixture->selector, fixture->a);
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, 0);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
}

static void
test_unregister_ignores_errors (Fixture *fixture)
{
  static const gboolean with_error[] = { TRUE, FALSE };

  for (gsize i = 0; i < G_N_ELEMENTS (with_error); i++)
    {
      g_autoptr (GError) error = NULL;

      watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
      fake_selector_fail (fixture->fake, FAKE_UPDATE, with_error[i] ? SEL_OS_ERROR : 0, EBADF);

      g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
      g_assert_no_error (error);
      fake_selector_assert_log (fixture->fake, "update(%d,1,0)", fixture->a);
      assert_not_registered (fixture->selector, fixture->a);
    }
}

static void
test_modify_updates (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);

  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE,
                                           &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,1,2)", fixture->a);

  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                  &error));
  g_assert_no_error (error);
  fake_selector_assert_log (fixture->fake, "update(%d,2,3)", fixture->a);

  /* The same data all the time, so it is still in use. */
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  assert_registered (fixture->selector, fixture->a, ALL_EVENTS, &fixture->old_destroyed);
}

static void
test_modify_without_update (Fixture *fixture)
{
  g_autoptr (SelSelectorKey) old_key = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  fake_selector_clear_log (fixture->fake);
  old_key = sel_base_selector_get_key (fixture->selector, fixture->a, &error);
  g_assert_no_error (error);

  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, SEL_EVENT_READ,
                                                  &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ,
                                           &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->old_destroyed);

  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ,
                                           &fixture->new_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, &fixture->new_destroyed);

  fake_selector_assert_log (fixture->fake, "%s", "");

  /* The old key still has the old data. */
  g_assert_true (sel_selector_key_get_data (old_key) == &fixture->old_destroyed);
  g_assert_cmpint (fixture->old_destroyed, ==, 0);
  g_clear_object (&old_key);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  g_assert_cmpint (fixture->new_destroyed, ==, 0);
}

static void
test_refresh (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  g_assert_true (sel_base_selector_refresh (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_nonnull (strstr (fake_selector_get_log (fixture->fake), "update("));
  g_assert_cmpuint (fake_selector_get_mask (fixture->fake, fixture->a), ==, SEL_EVENT_READ);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
}

/* Looking things up while the kernel is asked */

static void
ask_in_update (FakeSelector *fake,
               gpointer      user_data)
{
  SelBaseSelector *selector = SEL_BASE_SELECTOR (fake);
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  Fixture *fixture = user_data;

  assert_registered (selector, fixture->b, SEL_EVENT_WRITE, NULL);
  g_assert_true (sel_selector_mapping_contains (map, fixture->b));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), >=, 1);
  g_ptr_array_unref (sel_selector_mapping_get_keys (map));
  g_object_unref (sel_selector_mapping_lookup (map, fixture->b));
  g_assert_false (sel_base_selector_is_closed (selector));
  g_assert_false (sel_base_selector_get_interruptible (selector));
  sel_base_selector_wakeup (selector);
}

static void
ask_while_adding (FakeSelector *fake,
                  gpointer      user_data)
{
  Fixture *fixture = user_data;

  ask_in_update (fake, user_data);
  assert_not_registered (fixture->selector, fixture->a);
}

static void
ask_while_changing (FakeSelector *fake,
                    gpointer      user_data)
{
  Fixture *fixture = user_data;

  ask_in_update (fake, user_data);
  assert_registered (fixture->selector, fixture->a, SEL_EVENT_READ, NULL);
}

static void
test_ask_in_update (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->b, SEL_EVENT_WRITE);

  fake_selector_set_update_func (fixture->fake, ask_while_adding, fixture);
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  fake_selector_set_update_func (fixture->fake, ask_while_changing, fixture);
  g_assert_true (sel_base_selector_modify_events (fixture->selector, fixture->a, ALL_EVENTS,
                                                  &error));
  g_assert_no_error (error);

  fake_selector_set_update_func (fixture->fake, ask_in_update, fixture);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
}

/* Nothing is locked while user code runs: another thread may use the selector, too. */

typedef struct
{
  Fixture *fixture;
  int      n_calls;
} Destroyed;

static gpointer
use_selector (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  key = sel_base_selector_get_key (fixture->selector, fixture->b, &error);
  if (sel_base_selector_is_closed (fixture->selector))
    {
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
      return NULL;
    }

  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  watch (fixture->selector, fixture->b, SEL_EVENT_READ);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->b, &error));
  g_assert_no_error (error);
  assert_ready (fixture->selector, 0, -1);

  return NULL;
}

static void
use_selector_when_destroyed (gpointer data)
{
  Destroyed *destroyed = data;

  use_selector (destroyed->fixture);
  g_thread_join (g_thread_new ("user", use_selector, destroyed->fixture));
  destroyed->n_calls++;
}

static void
register_destroyed (Fixture   *fixture,
                    Destroyed *destroyed)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             destroyed, use_selector_when_destroyed, &error));
  g_assert_no_error (error);
}

static void
test_destroy_unlocked (Fixture *fixture)
{
  Destroyed destroyed = { .fixture = fixture };
  g_autoptr (GError) error = NULL;

  register_destroyed (fixture, &destroyed);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 1);

  register_destroyed (fixture, &destroyed);
  g_assert_true (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_READ, NULL,
                                           NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 2);
  g_assert_true (sel_base_selector_unregister (fixture->selector, fixture->a, &error));
  g_assert_no_error (error);
  g_assert_cmpint (destroyed.n_calls, ==, 2);

  register_destroyed (fixture, &destroyed);
  fake_selector_fail (fixture->fake, FAKE_UPDATE, SEL_OS_ERROR, EIO);
  g_assert_false (sel_base_selector_modify (fixture->selector, fixture->a, SEL_EVENT_WRITE, NULL,
                                            NULL, &error));
  assert_failed (&error, SEL_OS_ERROR, EIO);
  g_assert_cmpint (destroyed.n_calls, ==, 3);

  register_destroyed (fixture, &destroyed);
  sel_base_selector_close (fixture->selector);
  g_assert_cmpint (destroyed.n_calls, ==, 4);
}

/* What another thread, or a callback, may do during a wait */

static void
select_in_wait (FakeSelector *fake,
                gpointer      user_data)
{
  SelBaseSelector *selector = SEL_BASE_SELECTOR (fake);
  Fixture *fixture = user_data;
  g_autoptr (GError) error = NULL;

  assert_select_fails (selector, 0, NULL, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);
  assert_select_fails (selector, SEL_WAIT_FOREVER, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  watch (selector, fixture->b, SEL_EVENT_READ);
  g_assert_true (sel_base_selector_modify_events (selector, fixture->b, ALL_EVENTS, &error));
  g_assert_no_error (error);
  assert_registered (selector, fixture->b, ALL_EVENTS, NULL);
}

static void
test_busy (Fixture *fixture)
{
  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);

  fake_selector_push_call (fixture->fake, select_in_wait, fixture);
  fake_selector_push (fixture->fake, fixture->b, ALL_EVENTS, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->b, ALL_EVENTS, -1);
  fake_selector_assert_log (fixture->fake, "wait update(%d,0,1) update(%d,1,3) wait",
                            fixture->b, fixture->b);

  assert_ready (fixture->selector, 0, -1);
}

static void
unregister_in_wait (FakeSelector *fake,
                    gpointer      user_data)
{
  SelBaseSelector *selector = SEL_BASE_SELECTOR (fake);
  Fixture *fixture = user_data;
  g_autoptr (GError) error = NULL;

  sel_base_selector_report (selector, fixture->a, SEL_EVENT_READ);
  g_assert_true (sel_base_selector_unregister (selector, fixture->a, &error));
  g_assert_no_error (error);
}

static void
reregister_in_wait (FakeSelector *fake,
                    gpointer      user_data)
{
  Fixture *fixture = user_data;

  unregister_in_wait (fake, user_data);
  watch (SEL_BASE_SELECTOR (fake), fixture->a, SEL_EVENT_READ);
}

/* What was reported belongs to a registration that is gone, not to whoever has its number; and
 * its data may be gone, too. */
static void
test_unregister_in_wait (Fixture *fixture)
{
  static const FakeFunc funcs[] = { unregister_in_wait, reregister_in_wait };

  watch (fixture->selector, fixture->b, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (funcs); i++)
    for (gsize j = 0; j < G_N_ELEMENTS (select_forms); j++)
      {
        g_autoptr (GError) error = NULL;
        gsize n_ready;

        watch (fixture->selector, fixture->a, SEL_EVENT_READ);

        fake_selector_push_call (fixture->fake, funcs[i], fixture);
        fake_selector_push (fixture->fake,
                            fixture->b, SEL_EVENT_READ,
                            FAKE_END);
        g_assert_true (select_forms[j] (fixture->selector, SEL_WAIT_FOREVER, NULL, &n_ready,
                                        &error));
        g_assert_no_error (error);
        g_assert_cmpuint (n_ready, ==, 1);
        g_assert_cmpuint (fake_selector_get_n_steps (fixture->fake), ==, 0);

        if (funcs[i] == reregister_in_wait)
          unwatch (fixture->selector, fixture->a);
      }
}

static void
close_in_wait (FakeSelector *fake,
               gpointer      user_data)
{
  guint n_releases = fake_selector_get_n_releases ();
  Fixture *fixture = user_data;

  sel_base_selector_report (fixture->selector, fixture->a, SEL_EVENT_READ);
  sel_base_selector_close (fixture->selector);
  g_assert_true (sel_base_selector_is_closed (fixture->selector));
  sel_base_selector_report (fixture->selector, fixture->a, SEL_EVENT_READ);

  /* The last one out gives back what the wait still uses. */
  g_assert_true (fake == fixture->fake);
  g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases);
}

static void
test_close_in_wait (Fixture *fixture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      guint n_releases = fake_selector_get_n_releases ();
      g_autoptr (FakeSelector) fake = fake_selector_new ();
      Fixture closing = { .fake = fake, .selector = SEL_BASE_SELECTOR (fake), .a = fixture->a };
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      watch (closing.selector, fixture->a, SEL_EVENT_READ);
      fake_selector_push_call (fake, close_in_wait, &closing);

      g_assert_false (select_forms[i] (closing.selector, SEL_WAIT_FOREVER, NULL, &n_ready,
                                       &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
      g_assert_cmpuint (fake_selector_get_n_releases (), ==, n_releases + 1);
    }
}

/* Waking */

static void
wake_in_wait (FakeSelector *fake,
              gpointer      user_data)
{
  (void) user_data;
  sel_base_selector_wakeup (SEL_BASE_SELECTOR (fake));
}

static void
test_wakeup (Fixture *fixture)
{
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  fake_selector_push_call (fixture->fake, wake_in_wait, NULL);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);

  /* Many make one, and that is used up. */
  for (guint i = 0; i < 3; i++)
    sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);

  /* A poll uses it up as well. */
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, 0, -1);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);

  /* It hides nothing. */
  sel_base_selector_wakeup (fixture->selector);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
test_wakeup_before_open (Fixture *fixture)
{
  sel_base_selector_wakeup (fixture->selector);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, -1);
}

/* Cancelling */

static void
test_cancelled_before (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  watch_quietly (fixture, fixture->a, SEL_EVENT_READ);
  g_cancellable_cancel (cancellable);

  assert_select_fails (fixture->selector, 0, cancellable, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_select_fails (fixture->selector, SEL_WAIT_FOREVER, cancellable,
                       G_IO_ERROR, G_IO_ERROR_CANCELLED);
  fake_selector_assert_log (fixture->fake, "%s", "");

  /* Somebody else's wait goes on. */
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

static void
cancel_in_wait (FakeSelector *fake,
                gpointer      user_data)
{
  (void) fake;
  g_cancellable_cancel (user_data);
}

static void
test_cancelled_during (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);

  for (gsize i = 0; i < G_N_ELEMENTS (select_forms); i++)
    {
      g_autoptr (GError) error = NULL;
      gsize n_ready;

      fake_selector_push_call (fixture->fake, cancel_in_wait, cancellable);
      g_assert_false (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, cancellable,
                                       &n_ready, &error));
      assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_cancellable_reset (cancellable);

      /* The cancelled wait leaves nothing that ends the next one. */
      fake_selector_push (fixture->fake, FAKE_END);
      fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
      g_assert_true (select_forms[i] (fixture->selector, SEL_WAIT_FOREVER, cancellable, &n_ready,
                                      &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_ready, ==, 1);
    }
}

static void
report_and_cancel (FakeSelector *fake,
                   gpointer      user_data)
{
  Fixture *fixture = user_data;
  GCancellable *cancellable = g_object_get_data (G_OBJECT (fake), "cancellable");

  sel_base_selector_report (SEL_BASE_SELECTOR (fake), fixture->a, SEL_EVENT_READ);
  g_cancellable_cancel (cancellable);
}

static void
test_cancelled_beats_ready (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  gsize n_ready;

  g_object_set_data (G_OBJECT (fixture->fake), "cancellable", cancellable);
  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_push_call (fixture->fake, report_and_cancel, fixture);

  g_assert_false (select_list (fixture->selector, SEL_WAIT_FOREVER, cancellable, &n_ready,
                               &error));
  assert_failed (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  assert_ready (fixture->selector, 0, -1);
}

static void
test_cancellable_unused (Fixture *fixture)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;

  watch (fixture->selector, fixture->a, SEL_EVENT_READ);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  ready = sel_base_selector_select (fixture->selector, SEL_WAIT_FOREVER, cancellable, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);

  /* Nothing stays connected: a late cancel does not end a wait without a cancellable. */
  g_cancellable_cancel (cancellable);
  fake_selector_push (fixture->fake, FAKE_END);
  fake_selector_push (fixture->fake, fixture->a, SEL_EVENT_READ, FAKE_END);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fixture->a, SEL_EVENT_READ, -1);
}

/* After close() */

#define assert_closed(failed)                                                        \
  G_STMT_START                                                                       \
    {                                                                                \
      g_assert_true (failed);                                                        \
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);         \
    }                                                                                \
  G_STMT_END

static void
assert_all_closed (SelBaseSelector *selector,
                   int              fd,
                   GObject         *object)
{
  const SelEventMask events = SEL_EVENT_READ;
  g_autoptr (GError) error = NULL;

  assert_closed (!sel_base_selector_register (selector, fd, events, NULL, NULL, &error));
  assert_closed (!sel_base_selector_modify (selector, fd, events, NULL, NULL, &error));
  assert_closed (!sel_base_selector_modify_events (selector, fd, events, &error));
  assert_closed (!sel_base_selector_unregister (selector, fd, &error));
  assert_closed (!sel_base_selector_refresh (selector, fd, &error));

  assert_closed (sel_base_selector_register_value (selector, fd, events, NULL, &error) == NULL);
  assert_closed (sel_base_selector_modify_value (selector, fd, events, NULL, &error) == NULL);
  assert_closed (sel_base_selector_unregister_key (selector, fd, &error) == NULL);
  assert_closed (sel_base_selector_get_key (selector, fd, &error) == NULL);
  assert_closed (sel_base_selector_check (selector, &error) == NULL);

  assert_closed (!sel_base_selector_register_object (selector, object, events, NULL, NULL,
                                                     &error));
  assert_closed (!sel_base_selector_modify_object (selector, object, events, NULL, NULL,
                                                   &error));
  assert_closed (!sel_base_selector_unregister_object (selector, object, &error));
  assert_closed (sel_base_selector_register_object_value (selector, object, events, NULL,
                                                          &error) == NULL);
  assert_closed (sel_base_selector_modify_object_value (selector, object, events, NULL,
                                                        &error) == NULL);
  assert_closed (sel_base_selector_unregister_object_key (selector, object, &error) == NULL);
  assert_closed (sel_base_selector_get_key_object (selector, object, &error) == NULL);

  assert_closed (!sel_base_selector_reinit (selector, &error));

  assert_select_fails (selector, 0, NULL, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  assert_select_fails (selector, SEL_WAIT_FOREVER, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);

  g_assert_null (sel_base_selector_get_map (selector));
  g_assert_true (sel_base_selector_is_closed (selector));
  sel_base_selector_wakeup (selector);
  sel_base_selector_close (selector);
}

static void
test_after_close (Fixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autoptr (SelSelectorMapping) kept_map = g_object_ref (map);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  int fd = dup (fixture->b);

  socket = g_socket_new_from_fd (fd, &error);
  g_assert_no_error (error);

  g_assert_true (sel_base_selector_register (fixture->selector, fixture->a, SEL_EVENT_READ,
                                             &fixture->old_destroyed, count_destroyed, &error));
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_register_object (fixture->selector, G_OBJECT (socket),
                                                    SEL_EVENT_READ, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_false (sel_base_selector_is_closed (fixture->selector));

  sel_base_selector_close (fixture->selector);
  g_assert_cmpint (fixture->old_destroyed, ==, 1);
  fake_selector_clear_log (fixture->fake);

  assert_all_closed (fixture->selector, fixture->a, G_OBJECT (socket));
  fake_selector_assert_log (fixture->fake, "%s", "");

  g_assert_cmpuint (sel_selector_mapping_get_size (kept_map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (kept_map, fixture->a));
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&socket)));
}

static void
test_close_before_open (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;

  socket = g_socket_new_from_fd (dup (fixture->b), &error);
  g_assert_no_error (error);

  sel_base_selector_close (fixture->selector);
  assert_all_closed (fixture->selector, fixture->a, G_OBJECT (socket));
  fake_selector_assert_log (fixture->fake, "%s", "");
}

static void
test_closed_comes_first (Fixture *fixture)
{
  static const Method methods[] = { REGISTER, MODIFY, MODIFY_EVENTS, UNREGISTER, REFRESH, GET_KEY };

  sel_base_selector_close (fixture->selector);

  for (gsize i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (call_method (fixture->selector, methods[i], -1, 0, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
    }

  assert_select_fails (fixture->selector, NAN, NULL,
                       SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
}

/* A class that left out everything fails without harm. */

#define BARE_TYPE_SELECTOR (bare_selector_get_type ())
G_DECLARE_FINAL_TYPE (BareSelector, bare_selector, BARE, SELECTOR, SelBaseSelector)

struct _BareSelector
{
  SelBaseSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (BareSelector, bare_selector, SEL_TYPE_BASE_SELECTOR)

static void
bare_selector_class_init (BareSelectorClass *klass)
{
}

static void
bare_selector_init (BareSelector *self)
{
}

static void
test_bare (Fixture *fixture)
{
  g_autoptr (SelBaseSelector) selector = g_object_new (BARE_TYPE_SELECTOR, NULL);
  guint n_open = count_open_fds ();
  g_autoptr (GError) error = NULL;

  g_assert_false (sel_base_selector_register (selector, fixture->a, ALL_EVENTS, NULL, NULL, &error));
  g_assert_nonnull (strstr (error->message, "BareSelector.update ()"));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  assert_map_size (selector, 0);
  assert_select_fails (selector, 0, NULL, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED);
  sel_base_selector_close (selector);
  g_assert_cmpuint (count_open_fds (), ==, n_open);
}

static const CoreCase cases[] =
{
  { "open/once", test_open_once },
  { "open/by-select", test_open_by_select },
  { "open/fails", test_open_fails },
  { "open/wake-fails", test_wake_fails },
  { "reinit/ok", test_reinit },
  { "reinit/fails", test_reinit_fails },
  { "release/close", test_release_by_close },
  { "release/dispose", test_release_by_dispose },
  { "release/run-dispose", test_release_by_run_dispose },
  { "release/never-opened", test_release_never_opened },
  { "class-without-functions", test_bare },
  { "invalid-values", test_invalid_values },
  { "timeout/values", test_timeouts },
  { "timeout/polls-once", test_timeout_polls_once },
  { "timeout/nan", test_timeout_nan },
  { "wait/deadline", test_deadline },
  { "wait/always-ready-closed", test_always_ready_closed },
  { "wait/early-return", test_early_return },
  { "wait/eintr", test_eintr },
  { "wait/interruptible", test_interruptible },
  { "wait/fails", test_wait_fails },
  { "report/masked", test_report_masked },
  { "report/merged", test_report_merged },
  { "report/unknown", test_report_unknown },
  { "report/outside-wait", test_report_outside_wait },
  { "report/wake-fd", test_report_wake_fd },
  { "select-ready/limit", test_select_ready_limit },
  { "select-ready/data", test_select_ready_data },
  { "register/fails", test_register_fails },
  { "register/twice", test_register_twice },
  { "modify/fails", test_modify_fails },
  { "modify/events-fails", test_modify_events_fails },
  { "modify/updates", test_modify_updates },
  { "modify/without-update", test_modify_without_update },
  { "unregister/ignores-errors", test_unregister_ignores_errors },
  { "refresh", test_refresh },
  { "ask-in-update", test_ask_in_update },
  { "destroy-unlocked", test_destroy_unlocked },
  { "during-wait/select", test_busy },
  { "during-wait/unregister", test_unregister_in_wait },
  { "during-wait/close", test_close_in_wait },
  { "wakeup/ok", test_wakeup },
  { "wakeup/before-open", test_wakeup_before_open },
  { "cancel/before", test_cancelled_before },
  { "cancel/during", test_cancelled_during },
  { "cancel/beats-ready", test_cancelled_beats_ready },
  { "cancel/unused", test_cancellable_unused },
  { "closed/every-method", test_after_close },
  { "closed/before-open", test_close_before_open },
  { "closed/comes-first", test_closed_comes_first },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/core/%s", cases[i].name);

      g_test_add_data_func (path, &cases[i], core_case_run);
    }

  return g_test_run ();
}
