/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "backends.h"

/* The selector of a main context, with the default backend of this system. */

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  GThread **thread = user_data;

  drain (sel_selector_key_get_fd (key));
  *thread = g_thread_self ();

  return G_SOURCE_REMOVE;
}

static SelBaseSelector *
get_selector (GMainContext *context)
{
  g_autoptr (GError) error = NULL;
  SelBaseSelector *selector = sel_main_context_get_selector (context, &error);

  g_assert_no_error (error);
  g_assert_true (SEL_IS_BASE_SELECTOR (selector));

  return selector;
}

/* Registers a pipe with the selector of @context, and waits for data from the pipe. */
static void
assert_works (GMainContext *context)
{
  g_autoptr (GError) error = NULL;
  GThread *thread = NULL;
  int pair[2];

  open_pipe (pair);
  g_assert_true (sel_base_selector_register_callback (get_selector (context), pair[0], SEL_EVENT_READ, on_ready,
                                                      &thread, NULL, &error));
  g_assert_no_error (error);
  put_byte (pair[1]);
  while (thread == NULL)
    g_main_context_iteration (context, TRUE);
  g_assert_true (thread == g_thread_self ());
  close_pair (pair);
}

static void
test_same (void)
{
  GMainContext *context = g_main_context_new ();
  GMainContext *other = g_main_context_new ();

  g_assert_true (get_selector (context) == get_selector (context));
  g_assert_true (get_selector (context) != get_selector (other));
  assert_works (context);
  assert_works (other);
  g_assert_true (get_selector (NULL) == get_selector (g_main_context_default ()));
  assert_works (NULL);

  g_main_context_unref (context);
  g_main_context_unref (other);
}

static void
test_thread_default (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  g_assert_true (get_selector (NULL) == get_selector (context));
  assert_works (context);
  g_main_context_pop_thread_default (context);
}

/* The context owns the only reference, and frees everything. */
static void
test_released (void)
{
  guint n_open = count_open_fds ();

  for (guint i = 0; i < 20; i++)
    {
      GMainContext *context = g_main_context_new ();
      gpointer weak = get_selector (context);

      g_object_add_weak_pointer (weak, &weak);
      assert_works (context);
      g_main_context_unref (context);
      g_assert_null (weak);
    }
  g_assert_cmpuint (count_open_fds (), ==, n_open);
}

/* The selector may outlive its context, but it does nothing any more. */
static void
test_outlives (void)
{
  GMainContext *context = g_main_context_new ();
  g_autoptr (SelBaseSelector) kept = g_object_ref (get_selector (context));

  g_main_context_unref (context);
  g_assert_finalize_object (g_steal_pointer (&kept));
}

/* A detached selector is not found again, not even if a new context has the address of the old one. */
static void
test_source_destroyed (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (SelBaseSelector) kept = g_object_ref (get_selector (context));

  /* The ID of the only source is 1. */
  g_source_destroy (g_main_context_find_source_by_id (context, 1));
  g_assert_true (get_selector (context) != kept);
  assert_works (context);
}

static void
test_closed (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (SelBaseSelector) closed = g_object_ref (get_selector (context));

  sel_base_selector_close (closed);
  g_assert_true (get_selector (context) != closed);
  assert_works (context);

  /* Finalizing the closed selector last does not affect the new one. */
  g_clear_object (&closed);
  assert_works (context);
}

static void
test_no_descriptors (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GError) error = NULL;
  struct rlimit saved;

  forbid_open (&saved);
  if (g_getenv ("SEL_SELECTOR") != NULL)
    g_test_expect_message ("Sel", G_LOG_LEVEL_WARNING, "SEL_SELECTOR=* is ignored*");
  g_assert_null (sel_main_context_get_selector (context, &error));
  g_test_assert_expected_messages ();
  allow_open (&saved);

  assert_failed (&error, SEL_OS_ERROR, EMFILE);
  assert_works (context);
}

static gpointer
get_in_thread (gpointer user_data)
{
  return get_selector (user_data);
}

static void
test_threads (void)
{
  for (guint round = 0; round < 50; round++)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();
      GThread *threads[4];

      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("get", get_in_thread, context);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_assert_true (g_thread_join (threads[i]) == get_selector (context));
    }
}

typedef struct
{
  GMainContext    *context;  /* whose selector is made while the warning is logged */
  GMainContext    *other;    /* which another thread frees meanwhile */
  SelBaseSelector *selector; /* the result that the handler got for context */
} Handler;

static gpointer
release_in_thread (gpointer user_data)
{
  g_main_context_unref (user_data);

  return NULL;
}

/* The handler of a warning that sel_main_context_get_selector () logs while it makes a selector. */
static void
use_context_selectors (const char     *domain,
                       GLogLevelFlags  level,
                       const char     *message,
                       gpointer        user_data)
{
  Handler *handler = user_data;

  if (handler->other == NULL)
    return;

  g_thread_join (g_thread_new ("release", release_in_thread, g_steal_pointer (&handler->other)));
  handler->selector = get_selector (handler->context);
}

static gboolean
is_fatal (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        user_data)
{
  return (level & G_LOG_LEVEL_WARNING) == 0;
}

/* No lock is held while a warning is logged: its handler may use the selectors of contexts, and wait for other threads
 * that do so. */
static void
test_log_handler (void)
{
  g_autofree char *saved = g_strdup (g_getenv ("SEL_SELECTOR"));
  g_autoptr (GMainContext) context = g_main_context_new ();
  Handler handler = { .context = context, .other = g_main_context_new () };
  gpointer weak;
  guint id;

  weak = get_selector (handler.other);
  g_object_add_weak_pointer (weak, &weak);

  g_setenv ("SEL_SELECTOR", "unknown", TRUE);
  g_test_log_set_fatal_handler (is_fatal, NULL);
  id = g_log_set_handler ("Sel", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, use_context_selectors, &handler);
  g_assert_true (get_selector (context) == handler.selector);
  g_log_remove_handler ("Sel", id);
  g_test_log_set_fatal_handler (NULL, NULL);
  if (saved != NULL)
    g_setenv ("SEL_SELECTOR", saved, TRUE);
  else
    g_unsetenv ("SEL_SELECTOR");

  g_assert_null (handler.other);
  g_assert_null (weak);
  assert_works (context);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/main-context/same", test_same);
  g_test_add_func ("/main-context/thread-default", test_thread_default);
  g_test_add_func ("/main-context/released", test_released);
  g_test_add_func ("/main-context/outlives", test_outlives);
  g_test_add_func ("/main-context/source-destroyed", test_source_destroyed);
  g_test_add_func ("/main-context/closed", test_closed);
  g_test_add_func ("/main-context/no-descriptors", test_no_descriptors);
  g_test_add_func ("/main-context/threads", test_threads);
  g_test_add_func ("/main-context/log-handler", test_log_handler);

  return g_test_run ();
}
