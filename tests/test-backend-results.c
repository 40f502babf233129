/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The mapping and the results of select (), also after random operations. The random operations are compared
 * with poll (). */

#include "backend-cases.h"
#include "system-facts.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
test_unregister_while_iterating (BackendFixture *fixture)
{
  SelSelectorMapping *map = sel_base_selector_get_map (fixture->selector);
  g_autoptr (GPtrArray) keys = NULL;
  int fds[10][2];

  for (guint i = 0; i < 10; i++)
    {
      open_pipe (fds[i]);
      watch (fixture->selector, fds[i][1], SEL_EVENT_WRITE);
    }

  keys = sel_selector_mapping_get_keys (map);
  g_assert_cmpuint (keys->len, ==, 10);

  for (guint i = 0; i < keys->len; i++)
    {
      SelSelectorKey *key = g_ptr_array_index (keys, i);

      g_assert_cmpint (sel_selector_key_get_fd (key), ==, fds[i][1]);
      unwatch (fixture->selector, fds[i][1]);
      g_assert_cmpuint (sel_selector_mapping_get_size (map), ==, 9 - i);
    }

  for (guint i = 0; i < 10; i++)
    close_pair (fds[i]);
}

/* The events of a call stay valid after their descriptors were unregistered and the selector was closed. */
static void
test_unregister_in_batch (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GPtrArray) ready = NULL;
  int fds[2];
  int others[2];

  open_pipe (fds);
  open_pipe (others);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  watch (selector, others[1], SEL_EVENT_WRITE);
  ready = sel_base_selector_select (selector, 0, NULL, NULL);
  g_assert_cmpuint (ready->len, ==, 2);
  unwatch (selector, fds[1]);
  unwatch (selector, others[1]);
  sel_base_selector_close (selector);

  for (guint i = 0; i < 2; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (ready, i);
      SelSelectorKey *key = sel_selector_event_get_key (event);

      g_assert_cmpuint (sel_selector_event_get_events (event), ==, SEL_EVENT_WRITE);
      g_assert_cmpuint (sel_selector_key_get_events (key), ==, SEL_EVENT_WRITE);
      g_assert_true (sel_selector_key_get_fd (key) == fds[1] ||
                     sel_selector_key_get_fd (key) == others[1]);
    }

  close_pair (fds);
  close_pair (others);
}

/* The three forms of select () report the same. */
static void
test_forms_agree (BackendFixture *fixture)
{
  SelBaseSelector *selector = fixture->selector;
  g_autoptr (GPtrArray) list = NULL;
  g_autofree int *ready_fds = NULL;
  g_autofree guint8 *masks = NULL;
  gsize n_fds;
  gsize n_masks;
  SelReadyEvent events[16];
  char data[8];
  gssize n;
  g_autoptr (GError) error = NULL;
  int fds[16];

  for (guint i = 0; i < 8; i++)
    {
      open_socketpair (&fds[2 * i]);

      if (i % 2 == 0)
        put_byte (fds[2 * i + 1]);

      g_assert_true (sel_base_selector_register (selector, fds[2 * i], 1 + i % 3, &data[i], NULL,
                                                 &error));
    }

  list = sel_base_selector_select (selector, 0, NULL, &error);
  g_assert_no_error (error);
  n = sel_base_selector_select_ready (selector, 0, events, G_N_ELEMENTS (events), NULL, &error);
  g_assert_no_error (error);
  g_assert_true (sel_base_selector_select_fds (selector, 0, NULL, &ready_fds, &n_fds, &masks,
                                               &n_masks, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (list->len, >, 0);
  g_assert_cmpuint (list->len, ==, n);
  g_assert_cmpuint (n_fds, ==, n);
  g_assert_cmpuint (n_masks, ==, n);

  for (gssize i = 0; i < n; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (list, i);
      SelSelectorKey *key = sel_selector_event_get_key (event);
      guint in_events = 0;
      guint in_fds = find_fd (ready_fds, n_fds, sel_selector_key_get_fd (key));

      while (events[in_events].fd != sel_selector_key_get_fd (key))
        g_assert_cmpuint (++in_events, <, n);

      g_assert_cmpuint (events[in_events].events, ==, sel_selector_event_get_events (event));
      g_assert_true (events[in_events].data == sel_selector_key_get_data (key));
      g_assert_cmpuint (masks[in_fds], ==, sel_selector_event_get_events (event));
    }

  for (guint i = 0; i < 16; i++)
    close (fds[i]);
}

#define N_SLOTS 24

typedef struct
{
  int          fds[2];    /* -1 if the files are closed */
  int          number;    /* the registered descriptor */
  SelEventMask interest;  /* 0 if it is not registered */
} Slot;

static void
slot_change_file (Slot  *slot,
                  GRand *rand)
{
  char buffer[16] = "";
  gssize n;

  switch (g_rand_int_range (rand, 0, 6))
    {
    case 0:
      n = write (slot->fds[1], "x", 1);
      break;

    case 1:
      n = read (slot->fds[0], buffer, sizeof buffer);
      break;

    case 2:
      while ((n = write (slot->fds[0], buffer, sizeof buffer)) > 0)
        ;
      break;

    case 3:
      while ((n = read (slot->fds[1], buffer, sizeof buffer)) > 0)
        ;
      break;

    case 4:
      n = shutdown (slot->fds[g_rand_int_range (rand, 0, 2)], SHUT_WR);
      break;

    default:
      /* Close the files, sometimes before they are unregistered. Another step opens new ones. */
      if (slot->interest != 0 && g_rand_boolean (rand))
        return;

      close_pair (slot->fds);
      slot->fds[0] = -1;
      n = 0;
    }

  (void) n;
}

static void
slot_change_registration (SelBaseSelector *selector,
                          Slot            *slot,
                          GRand           *rand)
{
  SelEventMask events = g_rand_int_range (rand, 0, 4);

  if (slot->interest == 0 && events != 0)
    {
      slot->number = slot->fds[0];
      watch (selector, slot->number, events);
    }
  else if (slot->interest != 0 && events != 0)
    {
      rewatch (selector, slot->number, events);
    }
  else if (slot->interest != 0)
    {
      unwatch (selector, slot->number);
    }

  slot->interest = events;
}

/* The new file may get the number of a file that was closed while it was registered. */
static void
slot_open (SelBaseSelector *selector,
           Slot            *slot,
           Slot            *slots)
{
  open_socketpair (slot->fds);

  for (guint i = 0; i < N_SLOTS; i++)
    if (slots[i].interest != 0 &&
        (slots[i].number == slot->fds[0] || slots[i].number == slot->fds[1]))
      {
        unwatch (selector, slots[i].number);
        slots[i].interest = 0;
      }
}

static void
slot_step (SelBaseSelector *selector,
           Slot            *slot,
           Slot            *slots,
           GRand           *rand)
{
  if (slot->fds[0] >= 0)
    {
      if (g_rand_boolean (rand))
        slot_change_file (slot, rand);
      else
        slot_change_registration (selector, slot, rand);

      return;
    }

  /* The files are closed: unregister and open new ones, sometimes in a later step. */
  if (g_rand_boolean (rand))
    return;

  if (slot->interest != 0)
    unwatch (selector, slot->number);

  slot->interest = 0;
  slot_open (selector, slot, slots);
}

static void
slot_append_expected (Slot    *slot,
                      GString *want)
{
  SelEventMask mask;

  if (slot->interest == 0 || slot->fds[0] < 0)
    return;

  mask = system_poll (slot->number) & slot->interest;

  if (mask != 0)
    g_string_append_printf (want, " %d:%s ", slot->number, mask_to_string (mask));
}

/* Checks that both lists have the same entries. @want is not sorted. */
static void
assert_same_entries (const char *got,
                     const char *want)
{
  g_auto (GStrv) entries = g_strsplit (got, " ", -1);
  gsize length = 0;

  for (guint i = 0; entries[i] != NULL && entries[i][0] != '\0'; i++)
    {
      g_autofree char *entry = g_strdup_printf (" %s ", entries[i]);

      if (strstr (want, entry) == NULL)
        g_error ("%s is reported, but ready are%s", entries[i], want);

      length += strlen (entry);
    }

  if (length != strlen (want))
    g_error ("reported are only %s, but ready are%s", got, want);
}

static void
test_random (BackendFixture *fixture)
{
  const guint32 seed = 4711;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Slot slots[N_SLOTS];
  guint n_registered = 0;

  g_test_message ("seed %u", seed);

  for (guint i = 0; i < N_SLOTS; i++)
    {
      slots[i].interest = 0;
      open_socketpair (slots[i].fds);
    }

  for (guint step = 0; step < 3000; step++)
    {
      slot_step (fixture->selector, &slots[g_rand_int_range (rand, 0, N_SLOTS)], slots, rand);

      if (step % 3 == 0)
        {
          g_autofree char *got = ready_to_string (fixture->selector, 0);
          g_autoptr (GString) want = g_string_new (NULL);

          for (guint i = 0; i < N_SLOTS; i++)
            slot_append_expected (&slots[i], want);

          assert_same_entries (got, want->str);
        }
    }

  for (guint i = 0; i < N_SLOTS; i++)
    {
      n_registered += slots[i].interest != 0;

      if (slots[i].fds[0] >= 0)
        close_pair (slots[i].fds);
    }

  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (fixture->selector)),
                    ==, n_registered);
}

static const BackendTest cases[] =
{
  { "unregister-while-iterating", test_unregister_while_iterating },
  { "unregister-in-batch", test_unregister_in_batch },
  { "forms-agree", test_forms_agree },
  { "random", test_random },
};

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
