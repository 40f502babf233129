/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sel-glib/sel-glib.h>
#include <sys/wait.h>

#include "input.h"

/* Returns the number of ready descriptors, or -1 on error. */
static int
count_ready (SelBaseSelector *selector)
{
  SelReadyEvent ready[4];

  return (int) sel_base_selector_select_ready (selector, 0, ready, G_N_ELEMENTS (ready), NULL, NULL);
}

int
main (void)
{
  SelBaseSelector *selector = sel_default_selector_new (NULL);
  int status = 1;
  pid_t pid;

  sel_base_selector_register (selector, open_input (), SEL_EVENT_READ, NULL, NULL, NULL);

  pid = fork ();
  if (pid == 0)
    {
      int before = count_ready (selector); /* SEL_SELECTOR_ERROR_FORKED */

      sel_base_selector_reinit (selector, NULL);
      _exit (before == -1 && count_ready (selector) == 1 ? 0 : 1);
    }

  waitpid (pid, &status, 0);
  g_print ("child: %d, parent: %d ready\n", status, count_ready (selector));
  g_object_unref (selector);
  return 0;
}
