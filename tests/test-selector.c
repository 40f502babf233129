/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The cases of Python's own tests of selectors, for every backend. */

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const SelEventMask BOTH = SEL_EVENT_READ | SEL_EVENT_WRITE;

/* A number that no test reaches, so it is closed as well. */
#define UNKNOWN_FD 999999

static void
assert_key (SelSelectorKey *key,
            int             fd,
            SelEventMask    events,
            gpointer        data)
{
  g_assert_true (SEL_IS_SELECTOR_KEY (key));
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, fd);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, events);
  g_assert_true (sel_selector_key_get_data (key) == data);
}

static void
test_register (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  char data[] = "data";
  int fds[2];

  open_socketpair (fds);

  g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, data, NULL, &error));
  g_assert_no_error (error);
  key = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_no_error (error);
  assert_key (key, fds[0], SEL_EVENT_READ, data);
  g_assert_null (sel_selector_key_get_fileobj (key));

  g_assert_false (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, NULL, NULL,
                                              &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);
  g_assert_false (sel_base_selector_register (selector, fds[0], BOTH, NULL, NULL, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED);

  close_pair (fds);
}

static void
test_register_invalid_events (BackendFixture *fixture)
{
  static const guint masks[] = { 0, 4, 7, 0x8000, 999999, 0x80000001, G_MAXUINT };
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  int fds[2];

  open_socketpair (fds);

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (sel_base_selector_register (fixture->selector, fds[0], masks[i], NULL, NULL,
                                                  &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS);
      g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
    }

  close_pair (fds);
}

static void
test_register_negative (BackendFixture *fixture)
{
  static const int numbers[] = { -1, -2, -10, -100, G_MININT };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (sel_base_selector_register (fixture->selector, numbers[i], SEL_EVENT_READ,
                                                  NULL, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);
    }
}

static void
test_register_bad_fd (BackendFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  int numbers[] = { closed_fd (), 19000, UNKNOWN_FD, G_MAXINT };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (sel_base_selector_register (fixture->selector, numbers[i], SEL_EVENT_READ,
                                                  NULL, NULL, &error));
      assert_failed (&error, SEL_OS_ERROR, EBADF);
      g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
      g_assert_null (sel_selector_mapping_lookup (map, numbers[i]));
    }

  assert_ready (fixture->selector, 0, -1);
}

static void
test_unregister (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  char data[] = "data";
  int fds[2];

  open_socketpair (fds);
  g_assert_true (sel_base_selector_register (selector, fds[0], BOTH, data, NULL, &error));
  key = sel_base_selector_unregister_key (selector, fds[0], &error);
  g_assert_no_error (error);
  assert_key (key, fds[0], BOTH, data);
  assert_ready (selector, 0, -1);

  g_assert_false (sel_base_selector_unregister (selector, fds[0], &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (sel_base_selector_unregister_key (selector, fds[0], &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_false (sel_base_selector_unregister (selector, UNKNOWN_FD, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_false (sel_base_selector_unregister (selector, -1, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);

  watch (selector, fds[0], SEL_EVENT_WRITE);
  assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);
  close_pair (fds);
}

static void
test_unregister_after_fd_close (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  close_pair (fds);
  unwatch (fixture->selector, fds[0]);
  unwatch (fixture->selector, fds[1]);
  assert_ready (fixture->selector, 0, -1);
}

static void
test_unregister_after_fd_close_and_reuse (BackendFixture *fixture)
{
  int fds[2];
  int others[2];

  open_socketpair (fds);
  open_socketpair (others);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);
  close_pair (fds);
  g_assert_cmpint (dup2 (others[0], fds[0]), ==, fds[0]);
  g_assert_cmpint (dup2 (others[1], fds[1]), ==, fds[1]);

  unwatch (fixture->selector, fds[0]);
  unwatch (fixture->selector, fds[1]);
  put_byte (others[0]);
  put_byte (others[1]);
  assert_ready (fixture->selector, 0, -1);

  close_pair (fds);
  close_pair (others);
}

static void
test_unregister_after_socket_close (BackendFixture *fixture)
{
  GSocket *sockets[2];
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_socketpair (fds);

  for (guint i = 0; i < 2; i++)
    {
      sockets[i] = g_socket_new_from_fd (fds[i], &error);
      g_assert_no_error (error);
      g_assert_true (sel_base_selector_register_object (fixture->selector, G_OBJECT (sockets[i]),
                                                        BOTH, NULL, NULL, &error));
      g_assert_no_error (error);
    }

  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (g_socket_close (sockets[i], &error));
      g_assert_true (sel_base_selector_unregister_object (fixture->selector,
                                                          G_OBJECT (sockets[i]), &error));
      g_assert_no_error (error);
      g_assert_finalize_object (G_OBJECT (sockets[i]));
    }

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (fixture->selector)),
                    ==, 0);
}

static void
test_modify (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (SelSelectorKey) other_events = NULL;
  g_autoptr (SelSelectorKey) other_data = NULL;
  g_autoptr (GError) error = NULL;
  char first[] = "first";
  char second[] = "second";
  int fds[2];

  open_socketpair (fds);
  g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, first, NULL,
                                             &error));
  key = sel_base_selector_get_key (selector, fds[0], &error);
  assert_ready (selector, 0, -1);

  g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_WRITE, first, NULL,
                                           &error));
  g_assert_no_error (error);
  other_events = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_true (other_events != key);
  assert_key (other_events, fds[0], SEL_EVENT_WRITE, first);
  assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);

  g_assert_true (sel_base_selector_modify (selector, fds[0], SEL_EVENT_WRITE, second, NULL,
                                           &error));
  g_assert_no_error (error);
  other_data = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_true (other_data != other_events);
  assert_key (other_data, fds[0], SEL_EVENT_WRITE, second);
  assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);

  rewatch (selector, fds[0], SEL_EVENT_READ);
  g_clear_object (&other_data);
  other_data = sel_base_selector_get_key (selector, fds[0], &error);
  assert_key (other_data, fds[0], SEL_EVENT_READ, second);
  assert_ready (selector, 0, -1);

  assert_key (key, fds[0], SEL_EVENT_READ, first);
  assert_key (other_events, fds[0], SEL_EVENT_WRITE, first);

  g_assert_false (sel_base_selector_modify (selector, UNKNOWN_FD, SEL_EVENT_READ, NULL, NULL,
                                            &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_false (sel_base_selector_modify_events (selector, fds[1], SEL_EVENT_READ, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_false (sel_base_selector_modify_events (selector, -1, SEL_EVENT_READ, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);

  close_pair (fds);
}

static void
test_modify_invalid_events (BackendFixture *fixture)
{
  static const guint masks[] = { 0, 4, 7, 0x8000, 0x80000001, G_MAXUINT };
  SelBaseSelector *selector = fixture->selector;
  char data[] = "data";
  int fds[2];

  open_socketpair (fds);
  g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_WRITE, data, NULL, NULL));

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      g_autoptr (SelSelectorKey) key = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_false (sel_base_selector_modify (selector, fds[0], masks[i], NULL, NULL, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS);
      g_assert_false (sel_base_selector_modify_events (selector, fds[0], masks[i], &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS);

      key = sel_base_selector_get_key (selector, fds[0], &error);
      assert_key (key, fds[0], SEL_EVENT_WRITE, data);
      assert_ready (selector, 0, fds[0], SEL_EVENT_WRITE, -1);
    }

  close_pair (fds);
}

/* If the kernel refuses a change, the key is removed. */
static void
test_modify_unregister (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  close (fds[0]);
  g_assert_true (sel_selector_mapping_contains (map, fds[0]));

  g_assert_false (sel_base_selector_modify (selector, fds[0], SEL_EVENT_WRITE, NULL, NULL,
                                            &error));
  assert_failed (&error, SEL_OS_ERROR, EBADF);
  g_assert_false (sel_selector_mapping_contains (map, fds[0]));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  assert_ready (selector, 0, -1);

  close (fds[1]);
}

static void
test_close (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorMapping) map = g_object_ref (sel_base_selector_get_map (selector));
  g_autoptr (GPtrArray) keys = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  g_assert_false (sel_base_selector_is_closed (selector));

  sel_base_selector_close (selector);
  g_assert_true (sel_base_selector_is_closed (selector));
  g_assert_null (sel_base_selector_get_key (selector, fds[0], &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED);
  g_assert_null (sel_base_selector_get_map (selector));

  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (map, fds[0]));
  g_assert_null (sel_selector_mapping_lookup (map, fds[0]));
  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 0);

  sel_base_selector_close (selector);
  g_assert_true (sel_base_selector_is_closed (selector));

  close_pair (fds);
}

static void
test_closed_methods (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelReadyEvent events[2];
  g_autofree int *ready_fds = NULL;
  g_autofree guint8 *ready_masks = NULL;
  gsize n_fds = 0;
  gsize n_masks = 0;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  sel_base_selector_close (selector);

#define ASSERT_CLOSED(call)                                                       \
  g_assert_true (!(call));                                                        \
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED)

  ASSERT_CLOSED (sel_base_selector_register (selector, fds[1], BOTH, NULL, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_register_value (selector, fds[1], BOTH, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_unregister (selector, fds[0], &error));
  ASSERT_CLOSED (sel_base_selector_unregister_key (selector, fds[0], &error));
  ASSERT_CLOSED (sel_base_selector_modify (selector, fds[0], BOTH, NULL, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_modify_value (selector, fds[0], BOTH, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_modify_events (selector, fds[0], BOTH, &error));
  ASSERT_CLOSED (sel_base_selector_refresh (selector, fds[0], &error));
  ASSERT_CLOSED (sel_base_selector_get_key (selector, fds[0], &error));
  ASSERT_CLOSED (sel_base_selector_check (selector, &error));
  ASSERT_CLOSED (sel_base_selector_select (selector, 0, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error));
  ASSERT_CLOSED (sel_base_selector_select_ready (selector, 0, events, 2, NULL, &error) != -1);
  ASSERT_CLOSED (sel_base_selector_select_fds (selector, 0, NULL, &ready_fds, &n_fds,
                                               &ready_masks, &n_masks, &error));
  ASSERT_CLOSED (sel_base_selector_reinit (selector, &error));

  if (fixture->backend->get_fd != NULL)
    {
      ASSERT_CLOSED (fixture->backend->get_fd (selector, &error) != -1);
    }

#undef ASSERT_CLOSED

  sel_base_selector_wakeup (selector);
  close_pair (fds);
}

static void
test_get_key (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (SelSelectorKey) again = NULL;
  g_autoptr (GError) error = NULL;
  char data[] = "data";
  int fds[2];

  open_socketpair (fds);
  g_assert_true (sel_base_selector_register (selector, fds[0], SEL_EVENT_READ, data, NULL, NULL));
  key = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_no_error (error);
  assert_key (key, fds[0], SEL_EVENT_READ, data);
  again = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_true (again == key);

  g_assert_null (sel_base_selector_get_key (selector, UNKNOWN_FD, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (sel_base_selector_get_key (selector, fds[1], &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_assert_null (sel_base_selector_get_key (selector, -1, &error));
  assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE);

  close_pair (fds);
}

static void
test_get_map (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelSelectorMapping *map = sel_base_selector_get_map (selector);
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (SelSelectorKey) found = NULL;
  g_autoptr (GPtrArray) keys = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_socketpair (fds);
  g_assert_true (SEL_IS_SELECTOR_MAPPING (map));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_false (sel_selector_mapping_contains (map, fds[0]));
  g_assert_null (sel_selector_mapping_lookup (map, fds[0]));
  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 0);
  g_clear_pointer (&keys, g_ptr_array_unref);

  watch (selector, fds[0], SEL_EVENT_READ);
  key = sel_base_selector_get_key (selector, fds[0], &error);
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 1);
  g_assert_true (sel_selector_mapping_contains (map, fds[0]));
  found = sel_selector_mapping_lookup (map, fds[0]);
  g_assert_true (found == key);
  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 1);
  g_assert_true (g_ptr_array_index (keys, 0) == key);

  g_assert_null (sel_selector_mapping_lookup (map, UNKNOWN_FD));
  g_assert_null (sel_selector_mapping_lookup (map, fds[1]));
  g_assert_null (sel_selector_mapping_lookup (map, -1));
  g_assert_false (sel_selector_mapping_contains (map, -1));
  g_assert_true (sel_base_selector_get_map (selector) == map);

  close_pair (fds);
}

static void
test_select (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (SelSelectorKey) key = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;
  SelSelectorEvent *event;
  int fds[2];

  open_socketpair (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  key = sel_base_selector_get_key (selector, fds[1], &error);

  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);
  event = g_ptr_array_index (ready, 0);
  g_assert_true (sel_selector_event_get_key (event) == key);
  g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);

  put_byte (fds[1]);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, fds[1], SEL_EVENT_WRITE, -1);

  /* level-triggered */
  assert_ready (selector, 0, fds[0], SEL_EVENT_READ, fds[1], SEL_EVENT_WRITE, -1);
  drain (fds[0]);
  assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);

  close_pair (fds);
}

static void
test_select_read_write (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], BOTH);
  put_byte (fds[1]);
  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], BOTH, -1);
  drain (fds[0]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_WRITE, -1);
  fill (fds[0]);
  assert_ready (fixture->selector, 0, -1);
  put_byte (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  close_pair (fds);
}

static void
test_context_manager (BackendFixture *fixture)
{
  g_autoptr (SelSelectorMapping) map = g_object_ref (sel_base_selector_get_map (fixture->selector));
  int fds[2];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  watch (fixture->selector, fds[1], SEL_EVENT_WRITE);

  /* Dropping the last reference closes the selector. */
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&fixture->selector)));
  g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 0);
  g_assert_null (sel_selector_mapping_lookup (map, fds[0]));

  close_pair (fds);
}

static void
test_fileno (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  int fd;

  if (fixture->backend->get_fd == NULL)
    {
      g_test_skip ("it has no descriptor of its own");
      return;
    }

  fd = fixture->backend->get_fd (fixture->selector, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fixture->backend->get_fd (fixture->selector, &error), ==, fd);
}

/* A selector that was not initialized is opened at its first use. */
static void
test_g_object_new (BackendFixture *fixture)
{
  g_autoptr (SelBaseSelector) selector = g_object_new (fixture->backend->get_type (), NULL);
  int fds[2];

  g_assert_true (G_TYPE_CHECK_INSTANCE_TYPE (selector, fixture->backend->get_type ()));
  g_assert_true (G_TYPE_CHECK_INSTANCE_TYPE (fixture->selector, fixture->backend->get_type ()));
  g_assert_false (sel_base_selector_is_closed (selector));
  assert_ready (selector, 0, -1);

  open_pipe (fds);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, 0, fds[1], SEL_EVENT_WRITE, -1);
  close_pair (fds);
  g_assert_finalize_object (G_OBJECT (g_steal_pointer (&selector)));
}

#define N_PAIRS 12
#define MESSAGE " This is a test."

typedef struct
{
  int      fds[2];
  gboolean written;
  gboolean done;
} Pair;

static Pair *
find_pair (Pair *pairs,
           int   fd)
{
  for (guint i = 0; i < N_PAIRS; i++)
    if (pairs[i].fds[0] == fd || pairs[i].fds[1] == fd)
      return &pairs[i];

  g_assert_not_reached ();
}

/* Messages pass through twelve socket pairs, one after the other, in random order. */
static void
test_selector (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GRand) rand = g_rand_new_with_seed (12);
  g_autoptr (GError) error = NULL;
  Pair pairs[N_PAIRS] = { 0 };
  guint n_done = 0;

  for (guint i = 0; i < N_PAIRS; i++)
    {
      open_socketpair (pairs[i].fds);
      watch (selector, pairs[i].fds[0], SEL_EVENT_READ);
      watch (selector, pairs[i].fds[1], SEL_EVENT_WRITE);
    }

  while (n_done < N_PAIRS)
    {
      g_autoptr (GPtrArray) writable = NULL;
      g_autoptr (GPtrArray) readable = NULL;
      SelSelectorEvent *event;
      Pair *pair;
      char buffer[64];
      int fd;

      writable = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (writable->len, ==, N_PAIRS - n_done);
      event = g_ptr_array_index (writable, g_rand_int_range (rand, 0, writable->len));
      g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);
      pair = find_pair (pairs, sel_selector_key_get_fd (sel_selector_event_get_key (event)));
      g_assert_false (pair->written);
      g_assert_cmpint (write (pair->fds[1], MESSAGE, strlen (MESSAGE)), ==, strlen (MESSAGE));
      pair->written = TRUE;
      unwatch (selector, pair->fds[1]);

      readable = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
      g_assert_no_error (error);

      for (guint i = 0; i < readable->len; i++)
        {
          event = g_ptr_array_index (readable, i);

          if (sel_selector_event_get_events (event) == SEL_EVENT_WRITE)
            continue;

          fd = sel_selector_key_get_fd (sel_selector_event_get_key (event));
          g_assert_true (find_pair (pairs, fd) == pair);
          g_assert_cmpint (read (pair->fds[0], buffer, sizeof buffer), ==, strlen (MESSAGE));
          g_assert_cmpmem (buffer, strlen (MESSAGE), MESSAGE, strlen (MESSAGE));
          unwatch (selector, pair->fds[0]);
          close_pair (pair->fds);
          pair->fds[0] = pair->fds[1] = -1;
          pair->done = TRUE;
          n_done++;
        }

      g_assert_true (pair->done);
    }

  assert_ready (selector, 0, -1);
}

static void
test_timeout (BackendFixture *fixture)
{
  static const gdouble polls[] = { 0, -0.0, -1, -1e-300, -1e300, -INFINITY };
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  open_socketpair (fds);

  watch (selector, fds[1], SEL_EVENT_WRITE);

  for (guint i = 0; i < G_N_ELEMENTS (polls); i++)
    assert_ready (selector, polls[i], fds[1], SEL_EVENT_WRITE, -1);

  unwatch (selector, fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);

  for (guint i = 0; i < G_N_ELEMENTS (polls); i++)
    assert_ready (selector, polls[i], -1);

  assert_quiet (selector, 0.05);
  close_pair (fds);
}

/* The timeout applies without any descriptor as well. */
static void
test_empty_select_timeout (BackendFixture *fixture)
{
  assert_quiet (fixture->selector, 0.02);
  assert_ready (fixture->selector, 0, -1);
  assert_ready (fixture->selector, -1, -1);
}

static volatile sig_atomic_t n_signals;
static int signal_fd;

static void
on_signal (int signum)
{
  n_signals = n_signals + 1;
}

static void
on_signal_write (int signum)
{
  int saved_errno = errno;

  n_signals = n_signals + 1;

  if (n_signals == 3 && write (signal_fd, "x", 1) != 1)
    abort ();

  errno = saved_errno;
}

/* Interrupts system calls every millisecond, without SA_RESTART. */
static void
start_signals (void (*handler) (int))
{
  struct sigaction action = { .sa_handler = handler };
  struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };

  n_signals = 0;
  sigemptyset (&action.sa_mask);
  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
}

static void
stop_signals (void)
{
  struct itimerval timer = { { 0, 0 }, { 0, 0 } };

  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
  signal (SIGALRM, SIG_IGN);
}

/* If the property is set, an interrupted wait ends early, in each form, so that a Python signal handler can run. */
static void
test_select_interruptible (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  SelReadyEvent events[2];
  g_autofree int *ready_fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds = 1;
  gsize n_masks = 1;
  g_autoptr (GError) error = NULL;
  gboolean ok;
  int fds[2];

  if (skip_signals_of_select (fixture))
    return;

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  g_assert_false (sel_base_selector_get_interruptible (selector));
  sel_base_selector_set_interruptible (selector, TRUE);
  g_assert_true (sel_base_selector_get_interruptible (selector));

  start_signals (on_signal);
  assert_ready (selector, SEL_WAIT_FOREVER, -1);
  g_assert_cmpint (sel_base_selector_select_ready (selector, SEL_WAIT_FOREVER, events, 2, NULL,
                                                   &error), ==, 0);
  g_assert_no_error (error);
  ok = sel_base_selector_select_fds (selector, SEL_WAIT_FOREVER, NULL, &ready_fds, &n_fds, &masks,
                                     &n_masks, &error);
  stop_signals ();

  g_assert_no_error (error);
  g_assert_true (ok);
  g_assert_cmpuint (n_fds, ==, 0);
  g_assert_cmpuint (n_masks, ==, 0);
  g_assert_cmpint (n_signals, >=, 3);
  close_pair (fds);
}

/* If it is not set, the wait continues with the remaining time, and still reports events. */
static void
test_select_interrupt (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  int fds[2];

  if (skip_signals_of_select (fixture))
    return;

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);

  start_signals (on_signal);
  assert_quiet (selector, 0.05);
  stop_signals ();
  g_assert_cmpint (n_signals, >=, 1);

  signal_fd = fds[1];
  start_signals (on_signal_write);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  stop_signals ();
  g_assert_cmpint (n_signals, >=, 3);

  close_pair (fds);
}

/* More descriptors than an fd_set has bits. One call reports all writing ends. */
static void
test_above_fd_setsize (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  guint n_fds = MIN (2000, raise_fd_limit () - 64) & ~1u;
  g_autofree int *fds = g_new (int, n_fds);
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n_fds; i += 2)
    {
      open_pipe (&fds[i]);

      if (!sel_base_selector_register (selector, fds[i], SEL_EVENT_READ, NULL, NULL, &error) ||
          !sel_base_selector_register (selector, fds[i + 1], SEL_EVENT_WRITE, NULL, NULL, &error))
        {
          if (g_error_matches (error, SEL_OS_ERROR, ENOSPC))
            {
              g_test_skip ("the system does not watch that many descriptors");
              n_fds = i + 2;
              goto out;
            }

          g_assert_no_error (error);
        }
    }

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector)), ==,
                    n_fds);
  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
  g_assert_no_error (error);

  for (guint i = 0; i < ready->len; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (ready, i);
      int fd = sel_selector_key_get_fd (sel_selector_event_get_key (event));

      g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);
      g_assert_true (g_hash_table_add (seen, GINT_TO_POINTER (fd)));
    }

  g_assert_cmpuint (g_hash_table_size (seen), ==, n_fds / 2);

out:
  for (guint i = 0; i < n_fds; i++)
    close (fds[i]);
}

static void
test_register_file (BackendFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  int fd = g_file_open_tmp ("sel-XXXXXX", &name, &error);

  g_assert_no_error (error);
  unlink (name);

  if (fixture->backend->refuses_regular_files)
    {
      g_assert_false (sel_base_selector_register (fixture->selector, fd, SEL_EVENT_READ, NULL,
                                                  NULL, &error));
      assert_failed (&error, SEL_OS_ERROR, EPERM);
      g_assert_false (sel_selector_mapping_contains (sel_base_selector_get_map (fixture->selector),
                                                     fd));
      g_assert_null (sel_base_selector_get_key (fixture->selector, fd, &error));
      assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
      assert_ready (fixture->selector, 0, -1);
    }
  else
    {
      watch (fixture->selector, fd, BOTH);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, fd, BOTH, -1);
      rewatch (fixture->selector, fd, SEL_EVENT_READ);
      assert_ready (fixture->selector, SEL_WAIT_FOREVER, fd, SEL_EVENT_READ, -1);
    }

  close (fd);
}

static void
test_types (void)
{
  g_assert_true (G_TYPE_IS_ABSTRACT (SEL_TYPE_BASE_SELECTOR));

  for (guint i = 0; i < N_BACKENDS; i++)
    {
      GType type = backends[i].get_type ();

      g_assert_true (g_type_is_a (type, SEL_TYPE_BASE_SELECTOR));
      g_assert_false (G_TYPE_IS_ABSTRACT (type));
    }
}

/* Each constructor succeeds or fails with NOT_SUPPORTED. The type exists on every system. */
static void
test_supported (void)
{
  for (guint i = 0; i < N_BACKENDS; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (SelBaseSelector) selector = backends[i].new_selector (&error);
      g_autoptr (SelBaseSelector) lazy = g_object_new (backends[i].get_type (), NULL);

      if (backends[i].is_supported ())
        {
          g_assert_no_error (error);
          g_assert_true (G_TYPE_CHECK_INSTANCE_TYPE (selector, backends[i].get_type ()));
        }
      else
        {
          g_assert_null (selector);
          assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
          g_assert_null (sel_base_selector_select (lazy, 0, NULL, &error));
          assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
          g_assert_false (sel_base_selector_register (lazy, 0, SEL_EVENT_READ, NULL, NULL, &error));
          assert_failed (&error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED);
        }
    }
}

/* The best mechanism of the system, unless the environment selects another one. */
static void
test_default (void)
{
  const Backend *best = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (SelBaseSelector) selector = NULL;
  int fds[2];

  g_unsetenv ("SEL_SELECTOR");
  selector = sel_default_selector_new (&error);
  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (selector) == sel_default_selector_type ());

  for (guint i = 0; i < N_BACKENDS; i++)
    if (backends[i].is_supported () && (best == NULL || backends[i].preference < best->preference))
      best = &backends[i];

  g_assert_cmpstr (g_type_name (sel_default_selector_type ()), ==, g_type_name (best->get_type ()));

  open_pipe (fds);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, SEL_WAIT_FOREVER, fds[1], SEL_EVENT_WRITE, -1);
  close_pair (fds);
}

static void
test_default_environment (void)
{
  GType usual;

  g_unsetenv ("SEL_SELECTOR");
  usual = sel_default_selector_type ();

  for (guint i = 0; i < N_BACKENDS; i++)
    {
      g_autoptr (SelBaseSelector) selector = NULL;
      g_autoptr (GError) error = NULL;

      if (!backends[i].is_supported ())
        continue;

      g_setenv ("SEL_SELECTOR", backends[i].name, TRUE);
      g_assert_true (sel_default_selector_type () == backends[i].get_type ());
      selector = sel_default_selector_new (&error);
      g_assert_no_error (error);
      g_assert_true (G_OBJECT_TYPE (selector) == backends[i].get_type ());
    }

  g_setenv ("SEL_SELECTOR", "carrier-pigeon", TRUE);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*SEL_SELECTOR*carrier-pigeon*");
  g_assert_true (sel_default_selector_type () == usual);
  g_test_assert_expected_messages ();
  g_unsetenv ("SEL_SELECTOR");
}

int
main (int   argc,
      char *argv[])
{
  static const struct
    {
      const char  *name;
      BackendFunc  func;
    }
  cases[] =
    {
      { "register", test_register },
      { "register-invalid-events", test_register_invalid_events },
      { "register-negative", test_register_negative },
      { "register-bad-fd", test_register_bad_fd },
      { "register-file", test_register_file },
      { "unregister", test_unregister },
      { "unregister-after-fd-close", test_unregister_after_fd_close },
      { "unregister-after-fd-close-and-reuse", test_unregister_after_fd_close_and_reuse },
      { "unregister-after-socket-close", test_unregister_after_socket_close },
      { "modify", test_modify },
      { "modify-invalid-events", test_modify_invalid_events },
      { "modify-unregister", test_modify_unregister },
      { "close", test_close },
      { "closed-methods", test_closed_methods },
      { "get-key", test_get_key },
      { "get-map", test_get_map },
      { "select", test_select },
      { "select-read-write", test_select_read_write },
      { "context-manager", test_context_manager },
      { "fileno", test_fileno },
      { "g-object-new", test_g_object_new },
      { "selector", test_selector },
      { "timeout", test_timeout },
      { "empty-select-timeout", test_empty_select_timeout },
      { "select-interruptible", test_select_interruptible },
      { "select-interrupt", test_select_interrupt },
      { "above-fd-setsize", test_above_fd_setsize },
    };

  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/selectors/types", test_types);
  g_test_add_func ("/selectors/supported", test_supported);
  g_test_add_func ("/selectors/default", test_default);
  g_test_add_func ("/selectors/default-environment", test_default_environment);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    backend_add (cases[i].name, cases[i].func);

  return g_test_run ();
}
