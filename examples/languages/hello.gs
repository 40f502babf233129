// SPDX-License-Identifier: LGPL-2.1-or-later

// Writes to a pipe, and reads from it in the main loop.

[indent=2]

class Reader : Object
  main_loop : MainLoop = new MainLoop ()

  def ready (selector : Sel.BaseSelector, key : Sel.SelectorKey, events : Sel.EventMask) : bool
    text : uint8[100]
    var length = Posix.read (key.fd, text, text.length)
    stdout.printf ("descriptor %d: %.*s\n", key.fd, (int) length, (string) text)
    main_loop.quit ()
    return Source.REMOVE

init
  fds : int[2] = {-1, -1}
  var reader = new Reader ()

  try
    var selector = Sel.default_selector_new ()

    Unix.open_pipe (fds, Posix.FD_CLOEXEC)
    selector.register_callback (fds[0], Sel.EventMask.READ, reader.ready)
    selector.attach ()

    Posix.write (fds[1], "hello", 5)
    reader.main_loop.run ()
    selector.close ()
  except e : Error
    error ("%s", e.message)
