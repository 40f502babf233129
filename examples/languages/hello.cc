/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writes to a pipe, and reads from it in the main loop. */

#include <glib-unix.h>
#include <sel-glib/sel-glib.h>

#include <functional>
#include <iostream>
#include <string>
#include <unistd.h>

using Callback = std::function<bool (int fd, SelEventMask events)>;

/* Registers any function. The library deletes it when it is not needed any more. */
static bool
register_callback (SelBaseSelector *selector, int fd, SelEventMask events, Callback func, GError **error)
{
  return sel_base_selector_register_callback (
      selector, fd, events,
      [] (SelBaseSelector *, SelSelectorKey *key, SelEventMask ready, gpointer user_data) -> gboolean {
        return (*static_cast<Callback *> (user_data)) (sel_selector_key_get_fd (key), ready);
      },
      new Callback (std::move (func)), [] (gpointer user_data) { delete static_cast<Callback *> (user_data); }, error);
}

int
main ()
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (GMainLoop) loop = g_main_loop_new (nullptr, FALSE);
  g_autoptr (SelBaseSelector) selector = sel_default_selector_new (&error);
  int fds[2];

  auto ready = [&] (int fd, SelEventMask) {
    std::string text (100, '\0');
    auto length = read (fd, &text[0], text.size ());

    text.resize (length > 0 ? static_cast<std::size_t> (length) : 0);
    std::cout << "descriptor " << fd << ": " << text << std::endl;
    g_main_loop_quit (loop);
    return false;
  };

  if (selector == nullptr
      || !g_unix_open_pipe (fds, FD_CLOEXEC, &error)
      || !register_callback (selector, fds[0], SEL_EVENT_READ, ready, &error))
    {
      std::cerr << error->message << std::endl;
      return 1;
    }

  sel_base_selector_attach (selector, nullptr, G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
  if (write (fds[1], "hello", 5) == 5)
    g_main_loop_run (loop);

  sel_base_selector_close (selector);
  return 0;
}
