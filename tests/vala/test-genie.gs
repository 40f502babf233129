// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library in Genie.

[indent=2]

uses
  GLib

def open_pipe () : array of int
  fds : int[2] = {-1, -1}
  assert (Posix.pipe (fds) == 0)
  return {fds[0], fds[1]}

def close_pipe (fds : array of int)
  Posix.close (fds[0])
  Posix.close (fds[1])

def write_byte (fd : int)
  assert (Posix.write (fd, "x", 1) == 1)

def test_select ()
  var fds = open_pipe ()
  try
    var selector = Sel.default_selector_new ()
    var key = selector.register (fds[0], Sel.EventMask.READ, "data")
    assert (key.fd == fds[0])
    assert (key.get_data ().get_string () == "data")
    assert (selector.select (0).length == 0)

    write_byte (fds[1])
    var n = 0
    for var event in selector.select ()
      assert (event.get_key () == key)
      assert (event.get_events () == Sel.EventMask.READ)
      n++
    assert (n == 1)

    selector.modify_events (fds[0], Sel.EventMask.READ | Sel.EventMask.WRITE)
    for var changed in selector.get_map ()
      assert (changed.events == (Sel.EventMask.READ | Sel.EventMask.WRITE))
    assert (selector.unregister (fds[0]).fd == fds[0])
    assert (selector.get_map ().size == 0)
  except e : Error
    error ("%s", e.message)
  close_pipe (fds)

def test_error ()
  var fds = open_pipe ()
  var trace = ""
  try
    var selector = Sel.default_selector_new ()
    try
      selector.unregister (fds[0])
    except e : Sel.SelectorError
      assert (e isa Sel.SelectorError.NOT_REGISTERED)
      trace += "not "
    selector.close ()
    try
      selector.select (0)
    except e : Sel.SelectorError
      assert (e isa Sel.SelectorError.CLOSED)
      trace += "closed"
  except e : Error
    error ("%s", e.message)
  assert (trace == "not closed")
  close_pipe (fds)

class Counter : Object
  calls : int

  def ready (selector : Sel.BaseSelector, key : Sel.SelectorKey, events : Sel.EventMask) : bool
    assert (events == Sel.EventMask.WRITE)
    calls++
    return calls < 3

def test_callback ()
  var fds = open_pipe ()
  var counter = new Counter ()
  try
    var selector = Sel.default_selector_new ()
    selector.register_callback (fds[1], Sel.EventMask.WRITE, counter.ready)
    selector.attach ()
    while counter.calls < 3
      MainContext.default ().iteration (true)
    assert (not selector.get_map ().contains (fds[1]))
    selector.close ()
  except e : Error
    error ("%s", e.message)
  close_pipe (fds)

class Waiter : Object
  n_events : int = -1

  def async wait (selector : Sel.BaseSelector)
    try
      var events = yield selector.select_async ()
      n_events = events.length
    except e : Error
      error ("%s", e.message)

def test_async ()
  var fds = open_pipe ()
  var waiter = new Waiter ()
  try
    var selector = Sel.default_selector_new ()
    selector.register (fds[0], Sel.EventMask.READ)
    waiter.wait.begin (selector)
    write_byte (fds[1])
    while waiter.n_events < 0
      MainContext.default ().iteration (true)
    assert (waiter.n_events == 1)
  except e : Error
    error ("%s", e.message)
  close_pipe (fds)

init
  Test.init (ref args)
  Test.add_func ("/genie/select", test_select)
  Test.add_func ("/genie/error", test_error)
  Test.add_func ("/genie/callback", test_callback)
  Test.add_func ("/genie/async", test_async)
  Test.run ()
