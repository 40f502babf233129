/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programming errors: each one gives a message and a result that means failure, and has no other effect. */

#include "backends.h"

#include <errno.h>

/* g_return_if_fail () logs a critical message. The result is ignored. */
#define REFUSED(call)                                                              \
  G_STMT_START                                                                     \
    {                                                                              \
      g_test_expect_message ("Sel", G_LOG_LEVEL_CRITICAL, "*assertion*failed*");  \
      (void) (call);                                                               \
      g_test_assert_expected_messages ();                                          \
    }                                                                              \
  G_STMT_END

static gboolean
no_func (SelBaseSelector *selector,
         SelSelectorKey  *key,
         SelEventMask     events,
         gpointer         user_data)
{
  g_assert_not_reached ();
}

/* NULL, and an object of another type. */
static void
test_wrong_self (void)
{
  g_autoptr (GCancellable) other = g_cancellable_new ();
  gpointer selves[] = { NULL, other };

  for (guint i = 0; i < G_N_ELEMENTS (selves); i++)
    {
      gpointer self = selves[i];

      REFUSED (sel_base_selector_select_async (self, 0, 0, NULL, NULL, NULL));
      REFUSED (sel_base_selector_select_finish (self, NULL, NULL));
      REFUSED (sel_base_selector_reinit (self, NULL));
      REFUSED (sel_base_selector_register (self, 0, SEL_EVENT_READ, NULL, NULL, NULL));
      REFUSED (sel_base_selector_register_value (self, 0, SEL_EVENT_READ, NULL, NULL));
      REFUSED (sel_base_selector_register_object (self, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, NULL));
      REFUSED (sel_base_selector_register_object_value (self, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL));
      REFUSED (sel_base_selector_unregister (self, 0, NULL));
      REFUSED (sel_base_selector_unregister_key (self, 0, NULL));
      REFUSED (sel_base_selector_unregister_object (self, G_OBJECT (other), NULL));
      REFUSED (sel_base_selector_unregister_object_key (self, G_OBJECT (other), NULL));
      REFUSED (sel_base_selector_modify (self, 0, SEL_EVENT_READ, NULL, NULL, NULL));
      REFUSED (sel_base_selector_modify_value (self, 0, SEL_EVENT_READ, NULL, NULL));
      REFUSED (sel_base_selector_modify_object (self, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, NULL));
      REFUSED (sel_base_selector_modify_object_value (self, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL));
      REFUSED (sel_base_selector_modify_events (self, 0, SEL_EVENT_READ, NULL));
      REFUSED (sel_base_selector_refresh (self, 0, NULL));
      REFUSED (sel_base_selector_register_callback (self, 0, SEL_EVENT_READ, no_func, NULL, NULL, NULL));
      REFUSED (sel_base_selector_register_object_callback (self, G_OBJECT (other), SEL_EVENT_READ, no_func, NULL,
                                                           NULL, NULL));
      REFUSED (sel_base_selector_set_callback (self, 0, no_func, NULL, NULL, NULL));
      REFUSED (sel_base_selector_get_key (self, 0, NULL));
      REFUSED (sel_base_selector_get_key_object (self, G_OBJECT (other), NULL));
      REFUSED (sel_base_selector_get_map (self));
      REFUSED (sel_base_selector_check (self, NULL));
      REFUSED (sel_base_selector_select (self, 0, NULL, NULL));
      REFUSED (sel_base_selector_select_ready (self, 0, NULL, 1, NULL, NULL));
      REFUSED (sel_base_selector_select_fds (self, 0, NULL, NULL, NULL, NULL, NULL, NULL));
      REFUSED (sel_base_selector_wakeup (self));
      REFUSED (sel_base_selector_close (self));
      REFUSED (sel_base_selector_is_closed (self));
      REFUSED (sel_base_selector_get_interruptible (self));
      REFUSED (sel_base_selector_set_interruptible (self, 1));
      REFUSED (sel_base_selector_get_emulate_always_ready (self));
      REFUSED (sel_base_selector_set_emulate_always_ready (self, 1));
      REFUSED (sel_base_selector_get_force_mirrored (self));
      REFUSED (sel_base_selector_set_force_mirrored (self, 1));
      REFUSED (sel_base_selector_get_can_recurse (self));
      REFUSED (sel_base_selector_set_can_recurse (self, 1));
      REFUSED (sel_base_selector_get_max_dispatch (self));
      REFUSED (sel_base_selector_set_max_dispatch (self, 1));
      REFUSED (sel_base_selector_get_hangup_policy (self));
      REFUSED (sel_base_selector_set_hangup_policy (self, SEL_HANGUP_POLICY_ONCE));
      REFUSED (sel_base_selector_report (self, 0, SEL_EVENT_READ));
      REFUSED (sel_devpoll_selector_get_fd (self, NULL));
      REFUSED (sel_epoll_selector_get_fd (self, NULL));
      REFUSED (sel_file_object_fileno (self, NULL));
      if (self == NULL)
        REFUSED (sel_fileobj_to_fd (self, NULL));
      REFUSED (sel_kqueue_selector_get_fd (self, NULL));
      REFUSED (sel_selector_key_get_fileobj (self));
      REFUSED (sel_selector_key_get_fd (self));
      REFUSED (sel_selector_key_get_events (self));
      REFUSED (sel_selector_key_get_data (self));
      REFUSED (sel_selector_key_get_data_value (self));
      REFUSED (sel_selector_mapping_get_size (self));
      REFUSED (sel_selector_mapping_contains (self, 0));
      REFUSED (sel_selector_mapping_lookup (self, 0));
      REFUSED (sel_selector_mapping_lookup_object (self, G_OBJECT (other)));
      REFUSED (sel_selector_mapping_get_keys (self));
      REFUSED (sel_base_selector_create_source (self));
      REFUSED (sel_base_selector_create_dispatch_source (self, no_func, NULL, NULL));
      REFUSED (sel_base_selector_attach (self, NULL, 0, no_func, NULL, NULL));
    }
}

/* A GError that is set already. */
static void
test_error_set (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  g_autoptr (GCancellable) other = g_cancellable_new ();
  g_autoptr (GError) error = g_error_new_literal (SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED, "earlier");
  SelReadyEvent event;
  guint8 *masks;
  int *fds;
  gsize n;

  REFUSED (sel_base_selector_register (selector, 0, SEL_EVENT_READ, NULL, NULL, &error));
  REFUSED (sel_base_selector_register_value (selector, 0, SEL_EVENT_READ, NULL, &error));
  REFUSED (sel_base_selector_register_object (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, &error));
  REFUSED (sel_base_selector_register_object_value (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, &error));
  REFUSED (sel_base_selector_unregister (selector, 0, &error));
  REFUSED (sel_base_selector_unregister_key (selector, 0, &error));
  REFUSED (sel_base_selector_unregister_object (selector, G_OBJECT (other), &error));
  REFUSED (sel_base_selector_unregister_object_key (selector, G_OBJECT (other), &error));
  REFUSED (sel_base_selector_modify (selector, 0, SEL_EVENT_READ, NULL, NULL, &error));
  REFUSED (sel_base_selector_modify_value (selector, 0, SEL_EVENT_READ, NULL, &error));
  REFUSED (sel_base_selector_modify_object (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, &error));
  REFUSED (sel_base_selector_modify_object_value (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, &error));
  REFUSED (sel_base_selector_modify_events (selector, 0, SEL_EVENT_READ, &error));
  REFUSED (sel_base_selector_refresh (selector, 0, &error));
  REFUSED (sel_base_selector_register_callback (selector, 0, SEL_EVENT_READ, no_func, NULL, NULL, &error));
  REFUSED (sel_base_selector_register_object_callback (selector, G_OBJECT (other), SEL_EVENT_READ, no_func, NULL,
                                                       NULL, &error));
  REFUSED (sel_base_selector_set_callback (selector, 0, no_func, NULL, NULL, &error));
  REFUSED (sel_base_selector_get_key (selector, 0, &error));
  REFUSED (sel_base_selector_get_key_object (selector, G_OBJECT (other), &error));
  REFUSED (sel_base_selector_check (selector, &error));
  REFUSED (sel_base_selector_select (selector, 0, NULL, &error));
  REFUSED (sel_base_selector_select_ready (selector, 0, &event, 1, NULL, &error));
  REFUSED (sel_base_selector_select_fds (selector, 0, NULL, &fds, &n, &masks, &n, &error));
  g_assert_cmpstr (error->message, ==, "earlier");
}

static void
test_no_object (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  g_autoptr (GError) error = g_error_new_literal (SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED, "earlier");
  g_autoptr (GObject) other = g_object_new (G_TYPE_OBJECT, NULL);
  SelReadyEvent event;
  guint8 *masks;
  int *fds;
  gsize n;

  REFUSED (sel_base_selector_register_object (selector, NULL, SEL_EVENT_READ, NULL, NULL, NULL));
  REFUSED (sel_base_selector_register_object_value (selector, NULL, SEL_EVENT_READ, NULL, NULL));
  REFUSED (sel_base_selector_unregister_object (selector, NULL, NULL));
  REFUSED (sel_base_selector_unregister_object_key (selector, NULL, NULL));
  REFUSED (sel_base_selector_modify_object (selector, NULL, SEL_EVENT_READ, NULL, NULL, NULL));
  REFUSED (sel_base_selector_modify_object_value (selector, NULL, SEL_EVENT_READ, NULL, NULL));
  REFUSED (sel_base_selector_register_object_callback (selector, NULL, SEL_EVENT_READ, no_func, NULL, NULL, NULL));
  REFUSED (sel_base_selector_get_key_object (selector, NULL, NULL));

  REFUSED (sel_base_selector_register_callback (selector, 0, SEL_EVENT_READ, NULL, NULL, NULL, NULL));
  REFUSED (sel_base_selector_select_ready (selector, 0, NULL, 1, NULL, NULL));
  REFUSED (sel_base_selector_select_ready (selector, 0, &event, 0, NULL, NULL));
  REFUSED (sel_base_selector_select_ready (selector, 0, &event, 1, (GCancellable *) selector, NULL));
  REFUSED (sel_base_selector_select_fds (selector, 0, NULL, NULL, NULL, NULL, NULL, NULL));
  REFUSED (sel_base_selector_select_fds (selector, 0, NULL, &fds, NULL, NULL, NULL, NULL));
  REFUSED (sel_base_selector_select_fds (selector, 0, NULL, &fds, &n, NULL, NULL, NULL));
  REFUSED (sel_base_selector_select_fds (selector, 0, NULL, &fds, &n, &masks, NULL, NULL));
  REFUSED (sel_base_selector_select_fds (selector, 0, (GCancellable *) selector, &fds, &n, &masks, &n, NULL));
  REFUSED (sel_base_selector_select_async (selector, 0, 0, (GCancellable *) selector, NULL, NULL));
  REFUSED (sel_base_selector_register_object_callback (selector, other, SEL_EVENT_READ, NULL, NULL, NULL, NULL));
  REFUSED (sel_selector_mapping_lookup_object (sel_base_selector_get_map (selector), NULL));
  REFUSED (sel_main_context_get_selector (NULL, &error));
  REFUSED (sel_selector_event_ref (NULL));
  REFUSED (sel_selector_event_unref (NULL));
  REFUSED (sel_selector_event_get_key (NULL));
  REFUSED (sel_selector_event_get_events (NULL));
  REFUSED (sel_base_selector_select (selector, 0, (GCancellable *) selector, NULL));
  REFUSED (sel_base_selector_select_finish (selector, NULL, NULL));
}

/* The GError argument may be NULL. */
static void
test_error_not_wanted (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  g_autoptr (GCancellable) other = g_cancellable_new ();
  SelReadyEvent event;
  guint8 *masks;
  int *fds;
  gsize n;

  g_assert_false (sel_base_selector_register (selector, -1, SEL_EVENT_READ, NULL, NULL, NULL));
  g_assert_null (sel_base_selector_register_value (selector, -1, SEL_EVENT_READ, NULL, NULL));
  g_assert_false (sel_base_selector_register_object (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, NULL));
  g_assert_null (sel_base_selector_register_object_value (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL));
  g_assert_false (sel_base_selector_unregister (selector, -1, NULL));
  g_assert_null (sel_base_selector_unregister_key (selector, -1, NULL));
  g_assert_false (sel_base_selector_unregister_object (selector, G_OBJECT (other), NULL));
  g_assert_null (sel_base_selector_unregister_object_key (selector, G_OBJECT (other), NULL));
  g_assert_false (sel_base_selector_modify (selector, -1, SEL_EVENT_READ, NULL, NULL, NULL));
  g_assert_null (sel_base_selector_modify_value (selector, -1, SEL_EVENT_READ, NULL, NULL));
  g_assert_false (sel_base_selector_modify_object (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL, NULL));
  g_assert_null (sel_base_selector_modify_object_value (selector, G_OBJECT (other), SEL_EVENT_READ, NULL, NULL));
  g_assert_false (sel_base_selector_modify_events (selector, -1, SEL_EVENT_READ, NULL));
  g_assert_false (sel_base_selector_register_callback (selector, -1, SEL_EVENT_READ, no_func, NULL, NULL, NULL));
  g_assert_false (sel_base_selector_register_object_callback (selector, G_OBJECT (other), SEL_EVENT_READ, no_func,
                                                              NULL, NULL, NULL));
  g_assert_false (sel_base_selector_set_callback (selector, -1, no_func, NULL, NULL, NULL));
  g_assert_null (sel_base_selector_get_key (selector, -1, NULL));
  g_assert_null (sel_base_selector_get_key_object (selector, G_OBJECT (other), NULL));
  g_assert_cmpint (sel_base_selector_select_ready (selector, 0, &event, 1, other, NULL), ==, 0);
  g_assert_true (sel_base_selector_select_fds (selector, 0, other, &fds, &n, &masks, &n, NULL));
  g_free (fds);
  g_free (masks);
  g_assert_true (sel_base_selector_reinit (selector, NULL));
}

static void
test_properties (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  gboolean interruptible, emulate, mirrored, recurse;
  SelHangupPolicy policy;
  guint max_dispatch;

  g_object_set (selector, "interruptible", TRUE, "emulate-always-ready", TRUE, "force-mirrored", TRUE,
                "can-recurse", TRUE, "max-dispatch", 7, "hangup-policy", SEL_HANGUP_POLICY_ONCE, NULL);
  g_object_get (selector, "interruptible", &interruptible, "emulate-always-ready", &emulate,
                "force-mirrored", &mirrored, "can-recurse", &recurse, "max-dispatch", &max_dispatch,
                "hangup-policy", &policy, NULL);
  g_assert_true (interruptible && emulate && mirrored && recurse);
  g_assert_cmpuint (max_dispatch, ==, 7);
  g_assert_cmpint (policy, ==, SEL_HANGUP_POLICY_ONCE);

  sel_base_selector_set_max_dispatch (selector, 0);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (selector), ==, 1);
  sel_base_selector_set_max_dispatch (selector, G_MAXUINT);
  g_assert_cmpuint (sel_base_selector_get_max_dispatch (selector), ==, 1024);
}

/* Setting an equal value is no change. Setting a value of another type is one. */
static void
test_values (void)
{
  g_autoptr (SelBaseSelector) selector = sel_poll_selector_new (NULL);
  g_auto (GValue) number = G_VALUE_INIT;
  g_auto (GValue) object = G_VALUE_INIT;
  const GValue *values[] = { &number, &number, &object, &object, NULL, NULL, &number };
  g_autoptr (SelSelectorKey) last = NULL;
  int fds[2];

  open_pipe (fds);
  g_value_init (&number, G_TYPE_INT);
  g_value_set_int (&number, 5);
  g_value_init (&object, G_TYPE_OBJECT);
  g_value_take_object (&object, g_object_new (G_TYPE_OBJECT, NULL));

  watch (selector, fds[0], SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr (GError) error = NULL;
      SelSelectorKey *key = sel_base_selector_modify_value (selector, fds[0], SEL_EVENT_READ, values[i], &error);

      g_assert_no_error (error);
      if (i > 0)
        g_assert_cmpint (key == last, ==, values[i] == values[i - 1]);
      g_clear_object (&last);
      last = key;
    }
  close_pair (fds);
}

static void
test_no_files (void)
{
  struct rlimit saved;

  forbid_open (&saved);
  g_assert_true (sel_default_selector_type () == G_TYPE_INVALID);
  g_setenv ("SEL_SELECTOR", "poll", TRUE);
  g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "SEL_SELECTOR=poll is ignored: *");
  g_assert_null (sel_default_selector_new (NULL));
  g_test_assert_expected_messages ();
  /* The warning is not logged again. */
  g_assert_null (sel_default_selector_new (NULL));
  g_unsetenv ("SEL_SELECTOR");
  allow_open (&saved);
}

static gpointer
wait_for_ever (gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = sel_base_selector_select (data, SEL_WAIT_FOREVER, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 0);

  return NULL;
}

/* reinit () fails while another thread waits. */
static void
test_busy (BackendFixture *fixture)
{
  GThread *thread = g_thread_new ("wait", wait_for_ever, fixture->selector);
  g_autoptr (GError) error = NULL;

  while (sel_base_selector_reinit (fixture->selector, &error))
    g_thread_yield ();
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY);

  sel_base_selector_wakeup (fixture->selector);
  g_thread_join (thread);
}

/* The core's own descriptor counts as registered with every mechanism, and the caller cannot unregister it. */
static void
test_own_descriptor (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  gboolean found = FALSE;

  for (int fd = 0; fd < 64; fd++)
    {
      if (sel_base_selector_register (fixture->selector, fd, SEL_EVENT_READ, NULL, NULL, &error))
        unwatch (fixture->selector, fd);
      else if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED))
        found = TRUE;
      g_clear_error (&error);
    }
  g_assert_true (found);
}

/* A timeout just below one second, which rounds up to a second. */
static void
test_timeout (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  assert_ready (fixture->selector, 0.9999999999, fds[0], SEL_EVENT_READ, -1);
  close_pair (fds);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/misuse/self", test_wrong_self);
  g_test_add_func ("/misuse/error", test_error_set);
  g_test_add_func ("/misuse/object", test_no_object);
  g_test_add_func ("/misuse/error-not-wanted", test_error_not_wanted);
  g_test_add_func ("/misuse/properties", test_properties);
  g_test_add_func ("/misuse/values", test_values);
  g_test_add_func ("/misuse/no-files", test_no_files);
  backend_add ("busy", test_busy);
  backend_add ("timeout", test_timeout);
  backend_add ("own-descriptor", test_own_descriptor);

  return g_test_run ();
}
