/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-key-table-private.h"
#include "sel-selector-key-private.h"

typedef struct
{
  SelKeyTable table;
} Fixture;

static void
tear_down (Fixture       *fixture,
           gconstpointer  data)
{
  sel_key_table_clear (&fixture->table);
  g_assert_cmpuint (fixture->table.n_keys, ==, 0);
}

static void
remove_key (SelKeyTable *table,
            int          fd)
{
  SelKeyExtra removed;

  sel_key_table_remove (table, fd, &removed);
  sel_key_extra_clear (&removed);
}

static void
test_empty (Fixture       *fixture,
            gconstpointer  data)
{
  static const int fds[] = { G_MININT, -1, 0, 63, 64, 100000, G_MAXINT };
  g_autoptr(GPtrArray) keys = sel_key_table_get_keys (&fixture->table);

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_null (sel_key_table_lookup (&fixture->table, fds[i]));
  g_assert_cmpuint (keys->len, ==, 0);
}

/* A slot keeps its address when others are inserted after it. */
static void
test_stable (Fixture       *fixture,
             gconstpointer  data)
{
  static const int fds[] = { 0, 1, 63, 64, 65, 4095, 4096, 1000000 };
  SelKeySlot *slots[G_N_ELEMENTS (fds)];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      slots[i] = sel_key_table_insert (&fixture->table, fds[i], SEL_EVENT_READ);
      for (guint j = 0; j < G_N_ELEMENTS (fds); j++)
        g_assert_true (sel_key_table_lookup (&fixture->table, fds[j]) == (j <= i ? slots[j] : NULL));
    }
  g_assert_cmpuint (fixture->table.n_keys, ==, G_N_ELEMENTS (fds));
  g_assert_null (sel_key_table_lookup (&fixture->table, 2));
  g_assert_null (sel_key_table_lookup (&fixture->table, 999999));

  remove_key (&fixture->table, 64);
  g_assert_null (sel_key_table_lookup (&fixture->table, 64));
  g_assert_true (sel_key_table_lookup (&fixture->table, 65) == slots[4]);
  g_assert_cmpuint (fixture->table.n_keys, ==, G_N_ELEMENTS (fds) - 1);
}

/* Keys are listed in the order of registration, not by descriptor. */
static void
test_order (Fixture       *fixture,
            gconstpointer  data)
{
  static const int fds[] = { 700, 3, 64, 1, 5000, 2 };
  static const int expected[] = { 700, 64, 1, 5000, 2, 3 };
  g_autoptr(GPtrArray) keys = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    sel_key_table_insert (&fixture->table, fds[i], SEL_EVENT_WRITE);
  remove_key (&fixture->table, 3);
  sel_key_table_insert (&fixture->table, 3, SEL_EVENT_READ);

  keys = sel_key_table_get_keys (&fixture->table);
  g_assert_cmpuint (keys->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpint (sel_selector_key_get_fd (g_ptr_array_index (keys, i)), ==, expected[i]);
}

static void
test_key (Fixture       *fixture,
          gconstpointer  data)
{
  SelKeySlot *slot = sel_key_table_insert (&fixture->table, 9, SEL_EVENT_READ | SEL_EVENT_WRITE);
  SelSelectorKey *key;

  slot->data = fixture;
  key = sel_key_slot_ref_key (slot, 9);
  g_object_unref (sel_key_slot_ref_key (slot, 9));
  g_assert_true (sel_key_slot_get_extra (slot, 9)->key == key);
  g_assert_cmpint (sel_selector_key_get_fd (key), ==, 9);
  g_assert_cmpuint (sel_selector_key_get_events (key), ==, SEL_EVENT_READ | SEL_EVENT_WRITE);
  g_assert_true (sel_selector_key_get_data (key) == fixture);

  remove_key (&fixture->table, 9);
  g_assert_finalize_object (key);
}

/* The table uses an event again as long as the descriptor is ready for the same events. Programs may keep events. */
static void
test_event (Fixture       *fixture,
            gconstpointer  data)
{
  SelKeySlot *slot = sel_key_table_insert (&fixture->table, 9, SEL_EVENT_READ | SEL_EVENT_WRITE);
  SelSelectorKey *key = sel_key_slot_ref_key (slot, 9);
  SelSelectorEvent *event = sel_selector_key_ref_event (key, SEL_EVENT_READ);
  g_autoptr(SelSelectorEvent) same = sel_selector_key_ref_event (key, SEL_EVENT_READ);
  g_autoptr(SelSelectorEvent) other = sel_selector_key_ref_event (key, SEL_EVENT_WRITE);

  g_assert_true (same == event);
  g_assert_true (other != event);
  g_assert_true (sel_selector_event_get_key (event) == key);
  g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_READ);
  g_assert_cmpuint (sel_selector_event_get_events (other), ==, SEL_EVENT_WRITE);

  remove_key (&fixture->table, 9);
  g_clear_pointer (&same, sel_selector_event_unref);
  g_clear_pointer (&other, sel_selector_event_unref);
  g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (event)), ==, 9);
  g_clear_pointer (&event, sel_selector_event_unref);
  g_assert_finalize_object (key);
}

static void
test_find (Fixture       *fixture,
           gconstpointer  data)
{
  g_autoptr(GObject) known = g_object_new (G_TYPE_OBJECT, NULL);
  g_autoptr(GObject) unknown = g_object_new (G_TYPE_OBJECT, NULL);

  sel_key_table_insert (&fixture->table, 1, SEL_EVENT_READ);
  sel_key_slot_get_extra (sel_key_table_insert (&fixture->table, 200, SEL_EVENT_READ), 200)->attachment =
    sel_attachment_new (known, NULL, NULL, NULL);

  g_assert_cmpint (sel_key_table_find (&fixture->table, known), ==, 200);
  g_assert_cmpint (sel_key_table_find (&fixture->table, unknown), ==, -1);
}

/* If an object has several descriptors, the one that was registered first is found. */
static void
test_find_first (Fixture       *fixture,
                 gconstpointer  data)
{
  static const int fds[] = { 200, 5, 300, 64, 6 };
  g_autoptr(GObject) object = g_object_new (G_TYPE_OBJECT, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      SelKeySlot *slot = sel_key_table_insert (&fixture->table, fds[i], SEL_EVENT_READ);

      sel_key_slot_get_extra (slot, fds[i])->attachment = sel_attachment_new (object, NULL, NULL, NULL);
    }

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_cmpint (sel_key_table_find (&fixture->table, object), ==, fds[i]);
      remove_key (&fixture->table, fds[i]);
    }
  g_assert_cmpint (sel_key_table_find (&fixture->table, object), ==, -1);
}

static void
count_notified (gpointer user_data)
{
  (*(guint *) user_data)++;
}

/* The callbacks move from the slots to the array. */
static void
test_steal_callbacks (Fixture       *fixture,
                      gconstpointer  data)
{
  static const int fds[] = { 3, 70, 5000 };
  GPtrArray *callbacks = g_ptr_array_new_with_free_func ((GDestroyNotify) sel_callback_free);
  guint n_notified = 0;

  sel_key_table_insert (&fixture->table, 4, SEL_EVENT_READ);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      SelKeySlot *slot = sel_key_table_insert (&fixture->table, fds[i], SEL_EVENT_READ);

      sel_key_slot_get_extra (slot, fds[i])->callback = sel_callback_new (NULL, &n_notified, count_notified);
    }

  sel_key_table_steal_callbacks (&fixture->table, callbacks);
  g_assert_cmpuint (callbacks->len, ==, G_N_ELEMENTS (fds));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_null (sel_key_slot_get_extra (sel_key_table_lookup (&fixture->table, fds[i]), fds[i])->callback);
  g_assert_cmpuint (fixture->table.n_keys, ==, G_N_ELEMENTS (fds) + 1);

  sel_key_table_clear (&fixture->table);
  g_assert_cmpuint (n_notified, ==, 0);
  g_ptr_array_unref (callbacks);
  g_assert_cmpuint (n_notified, ==, G_N_ELEMENTS (fds));
}

#define N_FDS 300

static void
test_random (Fixture       *fixture,
             gconstpointer  data)
{
  gboolean model[N_FDS] = { FALSE };
  guint n = 0;

  for (guint i = 0; i < 20000; i++)
    {
      int fd = g_test_rand_int_range (0, N_FDS);

      g_assert_true ((sel_key_table_lookup (&fixture->table, fd) != NULL) == model[fd]);
      if (model[fd])
        remove_key (&fixture->table, fd);
      else
        sel_key_table_insert (&fixture->table, fd, SEL_EVENT_READ);
      n += model[fd] ? -1u : 1u;
      model[fd] = !model[fd];
      g_assert_cmpuint (fixture->table.n_keys, ==, n);
    }
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *path;
    void (*test) (Fixture *fixture, gconstpointer data);
  } cases[] = {
    { "/key-table/empty", test_empty },
    { "/key-table/find", test_find },
    { "/key-table/find-first", test_find_first },
    { "/key-table/key", test_key },
    { "/key-table/event", test_event },
    { "/key-table/order", test_order },
    { "/key-table/random", test_random },
    { "/key-table/stable", test_stable },
    { "/key-table/steal-callbacks", test_steal_callbacks },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, NULL, NULL, cases[i].test, tear_down);

  return g_test_run ();
}
