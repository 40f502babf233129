/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>
#include <signal.h>

static SelBaseSelector *selector;
static volatile sig_atomic_t n_signals;

static void
on_signal (int number)
{
  n_signals++;
  sel_base_selector_wakeup (selector); /* async-signal-safe */
}

int
main (void)
{
  struct sigaction action = { .sa_handler = on_signal };

  selector = sel_default_selector_new (NULL);
  sigaction (SIGUSR1, &action, NULL);
  raise (SIGUSR1);

  do
    {
      /* A signal that arrives just before the wait is not missed: wakeup() then ends the next wait. */
      g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, NULL);

      g_print ("%u ready\n", ready->len);
    }
  while (n_signals == 0);

  g_print ("a signal came\n");
  g_object_unref (selector);
  return 0;
}
