// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library in Vala, and selectors that are written in Vala.

// A backend in Vala.
class ValaSelector : Sel.BaseSelector
{
  public Posix.pollfd[] fds;
  public uint n_waits;
  public string trace = "";
  public bool fails;
  public bool silent;

  public override bool open () throws Error
  {
    fds = {};
    trace += "open ";
    return true;
  }

  private static int find (Posix.pollfd[] fds, int fd)
  {
    for (int i = 0; i < fds.length; i++)
      {
        if (fds[i].fd == fd)
          return i;
      }
    return -1;
  }

  public override bool update (int fd, Sel.EventMask old_events, Sel.EventMask new_events) throws Error
  {
    int i = find (fds, fd);
    short events = 0;

    if (fails)
      throw new IOError.BUSY ("on purpose");
    if (silent)
      return false;

    if (new_events != 0 && Posix.fcntl (fd, Posix.F_GETFD) < 0)
      throw new Error (Sel.os_error_domain (), Posix.errno, "%s", Posix.strerror (Posix.errno));

    assert ((i < 0) == (old_events == 0));
    if (Sel.EventMask.READ in new_events)
      events |= (short) Posix.POLLIN;
    if (Sel.EventMask.WRITE in new_events)
      events |= (short) Posix.POLLOUT;

    if (i < 0)
      {
        fds += Posix.pollfd () { fd = fd, events = events };
      }
    else if (events != 0)
      {
        fds[i].events = events;
      }
    else
      {
        fds[i] = fds[fds.length - 1];
        fds.resize (fds.length - 1);
      }

    return true;
  }

  public override bool wait (double timeout) throws Error
  {
    // Rounded up, so that a wait never ends too early.
    int ms = timeout > 1000000 ? -1 : (int) (timeout * 1000 + 0.999);

    n_waits++;
    if (fails)
      throw new IOError.BUSY ("on purpose");
    if (silent)
      return false;

    if (Posix.poll (fds, ms) < 0 && Posix.errno != Posix.EINTR)
      throw new IOError.FAILED ("poll: %s", Posix.strerror (Posix.errno));

    foreach (unowned var ready in fds)
      {
        Sel.EventMask events = 0;

        if ((ready.revents & ~Posix.POLLOUT) != 0)
          events |= Sel.EventMask.READ;
        if ((ready.revents & ~Posix.POLLIN) != 0)
          events |= Sel.EventMask.WRITE;
        if (events != 0)
          report (ready.fd, events);
      }

    return true;
  }

  public override void release (bool forked)
  {
    trace += forked ? "forked " : "release ";
  }
}

// A selector that extends a backend of the library.
class CountingSelector : Sel.PollSelector
{
  public uint n_waits;

  public override bool wait (double timeout) throws Error
  {
    n_waits++;
    return base.wait (timeout);
  }
}

class NumberFile : Object, Sel.FileObject
{
  public int number;

  public bool query_fd (out int fd) throws Error
  {
    fd = number;
    if (number < 0)
      throw new IOError.CLOSED ("no number");
    return true;
  }
}

int pipe_fds[2];

void open_pipe ()
{
  assert (Posix.pipe (pipe_fds) == 0);
}

void close_pipe ()
{
  Posix.close (pipe_fds[0]);
  Posix.close (pipe_fds[1]);
}

void write_byte ()
{
  assert (Posix.write (pipe_fds[1], "x", 1) == 1);
}

Sel.BaseSelector make_selector (string kind) throws Error
{
  switch (kind)
    {
    case "default":
      return Sel.default_selector_new ();
    case "select":
      return new Sel.SelectSelector ();
    case "poll":
      return new Sel.PollSelector ();
    case "epoll":
      return new Sel.EpollSelector ();
    case "counting":
      return new CountingSelector ();
    case "vala":
      return new ValaSelector ();
    default:
      assert_not_reached ();
    }
}

delegate void Case (Sel.BaseSelector selector) throws Error;

bool finalized;

void test_kind (string kind, Case func)
{
  Sel.BaseSelector? selector = null;
  MainContext? context = new MainContext ();

  open_pipe ();
  context.push_thread_default ();
  try
    {
      selector = make_selector (kind);
      func (selector);
    }
  catch (Error e)
    {
      error ("%s: %s", kind, e.message);
    }
  context.pop_thread_default ();
  context = null;
  close_pipe ();

  // No callback, key or event holds a reference.
  finalized = false;
  selector.weak_ref (() => { finalized = true; });
  selector = null;
  assert (finalized);
}

void test_all (Case func)
{
  string[] kinds = { "default", "select", "poll", "epoll", "counting", "vala" };

  foreach (unowned var kind in kinds)
    {
      if (kind != "epoll" || Sel.EpollSelector.is_supported ())
        {
          Test.message ("over %s", kind);
          test_kind (kind, func);
        }
    }
}

void test_round (Sel.BaseSelector selector) throws Error
{
  int r = pipe_fds[0];
  var key = selector.register (r, Sel.EventMask.READ, "data");

  assert (key.fd == r && key.events == Sel.EventMask.READ && key.fileobj == null);
  assert (key.get_data ().get_string () == "data");
  assert (selector.get_key (r) == key);
  assert (selector.select (0).length == 0);

  write_byte ();
  var events = selector.select ();
  assert (events.length == 1);
  assert (events[0].get_key () == key && events[0].get_events () == Sel.EventMask.READ);

  int[] fds;
  uint8[] masks;
  assert (selector.select_fds (Sel.WAIT_FOREVER, null, out fds, out masks));
  assert (fds.length == 1 && fds[0] == r && masks.length == 1 && masks[0] == Sel.EventMask.READ);

  var changed = selector.modify (r, Sel.EventMask.READ | Sel.EventMask.WRITE, 7);
  assert (changed != key && changed.get_data ().get_int () == 7);
  selector.modify_events (r, Sel.EventMask.READ);
  assert (selector.get_key (r).get_data ().get_int () == 7);

  unowned var map = selector.get_map ();
  assert (map.get_size () == 1 && map.contains (r) && map.lookup (r) == selector.get_key (r));
  assert (map.get_keys ()[0].fd == r);

  assert (selector.unregister (r).fd == r);
  assert (map.get_size () == 0);
  assert (selector.select (0).length == 0);

  // An event outlives its selector and its registration.
  assert (events[0].get_key ().fd == r);
  selector.close ();
  assert (selector.is_closed () && selector.get_map () == null);
}

void test_waits (Sel.BaseSelector selector) throws Error
{
  int64 before = get_monotonic_time ();

  assert (selector.select (0.02).length == 0);
  assert (get_monotonic_time () - before >= 20000);
  selector.wakeup ();
  assert (selector.select ().length == 0);
}

void test_errors (Sel.BaseSelector selector) throws Error
{
  int r = pipe_fds[0];
  string trace = "";

  selector.register (r, Sel.EventMask.READ);
  try
    {
      selector.register (r, Sel.EventMask.READ);
    }
  catch (Sel.SelectorError.ALREADY_REGISTERED e)
    {
      trace += "twice ";
    }
  try
    {
      selector.register (pipe_fds[1], 0);
    }
  catch (Sel.SelectorError e)
    {
      assert (e is Sel.SelectorError.INVALID_EVENTS);
      trace += "events ";
    }
  try
    {
      selector.register (54321, Sel.EventMask.READ);
    }
  catch (Error e)
    {
      assert (e.domain == Sel.os_error_domain () && e.code == Posix.EBADF);
      trace += "closed ";
    }
  try
    {
      selector.unregister (pipe_fds[1]);
    }
  catch (Sel.SelectorError.NOT_REGISTERED e)
    {
      trace += "not ";
    }
  var cancellable = new Cancellable ();
  cancellable.cancel ();
  try
    {
      selector.select (Sel.WAIT_FOREVER, cancellable);
    }
  catch (IOError.CANCELLED e)
    {
      trace += "cancelled ";
    }
  selector.close ();
  try
    {
      selector.select (0);
    }
  catch (Sel.SelectorError.CLOSED e)
    {
      trace += "done";
    }
  assert (trace == "twice events closed not cancelled done");
}

void test_delegates (Sel.BaseSelector selector) throws Error
{
  var context = MainContext.get_thread_default ();
  int r = pipe_fds[0];
  string trace = "";

  selector.register_callback (r, Sel.EventMask.READ, (sel, key, events) => {
    assert (sel == selector && key.fd == r && events == Sel.EventMask.READ);
    trace += "own ";
    return Source.CONTINUE;
  });
  selector.attach (context, Priority.DEFAULT, (sel, key, events) => {
    trace += "source ";
    return Source.REMOVE;
  });
  write_byte ();
  while (trace == "")
    context.iteration (true);
  selector.set_callback (r, null);
  while (trace == "own ")
    context.iteration (true);
  assert (trace == "own source ");

  selector.set_callback (r, () => {
    trace += "last ";
    return Source.REMOVE;
  });
  selector.attach (context);
  while (selector.get_map ().contains (r))
    context.iteration (true);
  assert (trace == "own source last ");
  selector.close ();
}

async string wait_async (Sel.BaseSelector selector)
{
  string trace = "";
  var cancellable = new Cancellable ();

  try
    {
      var events = yield selector.select_async (0);
      assert (events.length == 0);
      selector.register (pipe_fds[0], Sel.EventMask.READ);
      write_byte ();
      events = yield selector.select_async ();
      assert (events.length == 1 && events[0].get_key ().fd == pipe_fds[0]);
      trace += "ready ";

      selector.unregister (pipe_fds[0]);
      cancellable.cancel ();
      yield selector.select_async (5, Priority.HIGH, cancellable);
    }
  catch (IOError.CANCELLED e)
    {
      trace += "cancelled ";
    }
  catch (Error e)
    {
      trace += e.message;
    }

  try
    {
      yield selector.select_async (double.NAN);
    }
  catch (Sel.SelectorError.INVALID_TIMEOUT e)
    {
      trace += "timeout";
    }
  catch (Error e)
    {
      trace += e.message;
    }

  return trace;
}

void test_async (Sel.BaseSelector selector) throws Error
{
  var context = MainContext.get_thread_default ();
  string? trace = null;

  wait_async.begin (selector, (obj, result) => { trace = wait_async.end (result); });
  while (trace == null)
    context.iteration (true);
  assert (trace == "ready cancelled timeout");
}

void test_file_object (Sel.BaseSelector selector) throws Error
{
  var file = new NumberFile () { number = pipe_fds[0] };
  var key = selector.register_object (file, Sel.EventMask.READ, "data");
  bool failed = false;

  assert (key.fileobj == file && key.fd == pipe_fds[0] && key.get_data ().get_string () == "data");
  assert (selector.get_key_object (file) == key);
  assert (selector.modify_object (file, Sel.EventMask.READ).get_data () == null);
  file.number = -1;
  assert (selector.unregister_object (file).fileobj == file);
  try
    {
      selector.register_object (file, Sel.EventMask.READ);
    }
  catch (IOError.CLOSED e)
    {
      failed = true;
    }
  assert (failed);
}

void test_subclass ()
{
  var selector = new ValaSelector ();
  uint n_failed = 0;

  open_pipe ();
  try
    {
      selector.register (pipe_fds[0], Sel.EventMask.READ);
      for (selector.fails = true; selector.fails || selector.silent;)
        {
          try
            {
              selector.register (pipe_fds[1], Sel.EventMask.WRITE);
            }
          catch (Error e)
            {
              assert (selector.fails ? e is IOError.BUSY : e is Sel.SelectorError.FAILED);
              n_failed++;
            }
          try
            {
              selector.select ();
            }
          catch (Error e)
            {
              assert (selector.fails ? e is IOError.BUSY : e is Sel.SelectorError.FAILED);
              n_failed++;
            }
          assert (!selector.get_map ().contains (pipe_fds[1]));
          selector.silent = selector.fails;
          selector.fails = false;
          if (n_failed == 4)
            selector.silent = false;
        }
      assert (n_failed == 4);
      assert (selector.select (0).length == 0);
      assert (selector.n_waits >= 3);
    }
  catch (Error e)
    {
      error ("%s", e.message);
    }
  selector.close ();
  assert (selector.trace == "open release ");
  close_pipe ();
}

// A class that implements nothing, and one that cannot wait.
class BareSelector : Sel.BaseSelector
{
}

class HalfSelector : Sel.BaseSelector
{
  public override bool update (int fd, Sel.EventMask old_events, Sel.EventMask new_events) throws Error
  {
    return true;
  }
}

void test_missing_functions ()
{
  var half = new HalfSelector ();

  open_pipe ();
  try
    {
      new BareSelector ().register (pipe_fds[0], Sel.EventMask.READ);
      assert_not_reached ();
    }
  catch (Error e)
    {
      assert (e is Sel.SelectorError.FAILED);
      assert ("BareSelector does not implement update ()" in e.message);
    }
  try
    {
      half.register (pipe_fds[0], Sel.EventMask.READ);
      half.select (0);
      assert_not_reached ();
    }
  catch (Error e)
    {
      assert (e is Sel.SelectorError.FAILED);
      assert ("HalfSelector does not implement wait ()" in e.message);
    }
  half.close ();
  close_pipe ();
}

void test_base_wait ()
{
  var selector = new CountingSelector ();

  open_pipe ();
  try
    {
      selector.register (pipe_fds[1], Sel.EventMask.WRITE);
      assert (selector.select ().length == 1 && selector.n_waits == 1);
    }
  catch (Error e)
    {
      error ("%s", e.message);
    }
  close_pipe ();
}

void test_context_selector ()
{
  var context = new MainContext ();
  uint n = 0;

  open_pipe ();
  try
    {
      unowned var selector = Sel.main_context_get_selector (context);

      selector.register_callback (pipe_fds[1], Sel.EventMask.WRITE, () => {
        n++;
        return Source.REMOVE;
      });
      while (n == 0)
        context.iteration (true);
    }
  catch (Error e)
    {
      error ("%s", e.message);
    }
  close_pipe ();
}

int main (string[] args)
{
  Test.init (ref args);
  Test.add_func ("/vala/round", () => test_all (test_round));
  Test.add_func ("/vala/waits", () => test_all (test_waits));
  Test.add_func ("/vala/errors", () => test_all (test_errors));
  Test.add_func ("/vala/delegates", () => test_all (test_delegates));
  Test.add_func ("/vala/async", () => test_all (test_async));
  Test.add_func ("/vala/file-object", () => test_all (test_file_object));
  Test.add_func ("/vala/subclass", test_subclass);
  Test.add_func ("/vala/missing-functions", test_missing_functions);
  Test.add_func ("/vala/base-wait", test_base_wait);
  Test.add_func ("/vala/context-selector", test_context_selector);
  return Test.run ();
}
