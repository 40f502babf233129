/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reports of a wait, and calls of the selector during a wait. */

#include "core-fixture.h"

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

        /* A report without an event of interest does not end the wait. */
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

  /* The next call starts without reports. */
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

/* A report for a registration that ends during the wait is dropped, because its data may be freed already. It is not
 * given to a new registration of the same number either. */
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

  /* The wait still uses the kernel object. It is released when the wait returns. */
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

static const CoreCase cases[] =
{
  { "report/masked", test_report_masked },
  { "report/merged", test_report_merged },
  { "report/unknown", test_report_unknown },
  { "report/outside-wait", test_report_outside_wait },
  { "report/wake-fd", test_report_wake_fd },
  { "select-ready/limit", test_select_ready_limit },
  { "select-ready/data", test_select_ready_data },
  { "during-wait/select", test_busy },
  { "during-wait/unregister", test_unregister_in_wait },
  { "during-wait/close", test_close_in_wait },
};

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  core_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
