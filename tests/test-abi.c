/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts of the ABI that are compiled into programs. They must stay the same in all versions 1.x. The names of the
 * functions are in packaging/libsel-glib-1.0.symbols. */

#include <sel-glib/sel-glib.h>

typedef struct
{
  const char *what;
  gint64      is;
  gint64      must_be;
} AbiFact;

#define FACT(expression, value) { #expression, (gint64) (expression), (gint64) (value) }
#define POINTERS(n) ((n) * sizeof (gpointer))

static const AbiFact enum_facts[] = {
  FACT (SEL_EVENT_READ, 1),
  FACT (SEL_EVENT_WRITE, 2),
  FACT (SEL_HANGUP_POLICY_THROTTLE, 0),
  FACT (SEL_HANGUP_POLICY_REPORT, 1),
  FACT (SEL_HANGUP_POLICY_ONCE, 2),
  FACT (SEL_SELECTOR_ERROR_FAILED, 0),
  FACT (SEL_SELECTOR_ERROR_NOT_REGISTERED, 1),
  FACT (SEL_SELECTOR_ERROR_ALREADY_REGISTERED, 2),
  FACT (SEL_SELECTOR_ERROR_INVALID_FILE, 3),
  FACT (SEL_SELECTOR_ERROR_INVALID_EVENTS, 4),
  FACT (SEL_SELECTOR_ERROR_INVALID_TIMEOUT, 5),
  FACT (SEL_SELECTOR_ERROR_CLOSED, 6),
  FACT (SEL_SELECTOR_ERROR_NOT_SUPPORTED, 7),
  FACT (SEL_SELECTOR_ERROR_BUSY, 8),
  FACT (SEL_SELECTOR_ERROR_FORKED, 9),
};

/* A new virtual function replaces one pointer of the padding. */
static const AbiFact struct_facts[] = {
  FACT (sizeof (SelBaseSelectorClass), sizeof (GObjectClass) + POINTERS (16)),
  FACT (G_STRUCT_OFFSET (SelBaseSelectorClass, open), sizeof (GObjectClass)),
  FACT (G_STRUCT_OFFSET (SelBaseSelectorClass, update), sizeof (GObjectClass) + POINTERS (1)),
  FACT (G_STRUCT_OFFSET (SelBaseSelectorClass, wait), sizeof (GObjectClass) + POINTERS (2)),
  FACT (G_STRUCT_OFFSET (SelBaseSelectorClass, release), sizeof (GObjectClass) + POINTERS (3)),
  FACT (sizeof (SelSelectSelectorClass), sizeof (SelBaseSelectorClass) + POINTERS (4)),
  FACT (sizeof (SelPollSelectorClass), sizeof (SelBaseSelectorClass) + POINTERS (4)),
  FACT (sizeof (SelEpollSelectorClass), sizeof (SelBaseSelectorClass) + POINTERS (4)),
  FACT (sizeof (SelDevpollSelectorClass), sizeof (SelBaseSelectorClass) + POINTERS (4)),
  FACT (sizeof (SelKqueueSelectorClass), sizeof (SelBaseSelectorClass) + POINTERS (4)),
  FACT (sizeof (SelBaseSelector), sizeof (GObject)),
  FACT (sizeof (SelFileObjectInterface), sizeof (GTypeInterface) + POINTERS (1)),
  FACT (G_STRUCT_OFFSET (SelFileObjectInterface, query_fd), sizeof (GTypeInterface)),
  FACT (sizeof (SelReadyEvent), sizeof (gpointer) == 8 ? 24 : 16),
  FACT (G_STRUCT_OFFSET (SelReadyEvent, fd), 0),
  FACT (G_STRUCT_OFFSET (SelReadyEvent, events), 4),
  FACT (G_STRUCT_OFFSET (SelReadyEvent, data), 8),
};

static void
check_facts (const AbiFact *facts,
             gsize          n_facts)
{
  for (gsize i = 0; i < n_facts; i++)
    {
      if (facts[i].is != facts[i].must_be)
        g_test_fail_printf ("%s is %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT, facts[i].what, facts[i].is,
                            facts[i].must_be);
    }
}

static void
test_enums (void)
{
  check_facts (enum_facts, G_N_ELEMENTS (enum_facts));
}

static void
test_structs (void)
{
  check_facts (struct_facts, G_N_ELEMENTS (struct_facts));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/abi/enums", test_enums);
  g_test_add_func ("/abi/structs", test_structs);
  return g_test_run ();
}
