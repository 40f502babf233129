// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The collections and arrays of the library in Vala. Also runs in valgrind.

const int N_FDS = 5;

int[] fds;

// A selector with N_FDS descriptors, all of them ready.
Sel.BaseSelector new_selector () throws Error
{
  var selector = Sel.default_selector_new ();

  foreach (var fd in fds)
    selector.register (fd, Sel.EventMask.WRITE, fd);
  return selector;
}

delegate void Case () throws Error;

void run (Case func)
{
  fds = {};
  for (int i = 0; i < N_FDS; i++)
    fds += Posix.socket (Posix.AF_UNIX, Posix.SOCK_DGRAM, 0);
  try
    {
      func ();
    }
  catch (Error e)
    {
      error ("%s", e.message);
    }
  foreach (var fd in fds)
    Posix.close (fd);
}

void test_foreach () throws Error
{
  var selector = new_selector ();
  int n = 0;

  foreach (var key in selector.get_map ())
    assert (key.fd == fds[n++]);
  assert (n == N_FDS);

  n = 0;
  foreach (Sel.SelectorKey key in selector)
    assert (key.fd == fds[n++]);
  assert (n == N_FDS);

  n = 0;
  foreach (unowned var key in selector.map.get_keys ())
    assert (key.fd == fds[n++]);
  assert (n == N_FDS);
}

void test_foreach_break () throws Error
{
  var selector = new_selector ();
  Sel.SelectorKey? kept = null;

  foreach (var key in selector.get_map ())
    {
      if (key.fd == fds[2])
        {
          kept = key;
          break;
        }
    }
  selector = null;
  assert (kept.fd == fds[2] && kept.get_data ().get_int () == fds[2]);
}

// The keys are those of the beginning of the loop.
void test_foreach_change () throws Error
{
  var selector = new_selector ();
  int n = 0;

  foreach (var key in selector.get_map ())
    {
      assert (key.fd == fds[n]);
      selector.unregister (fds[N_FDS - 1 - n]);
      n++;
      if (n == N_FDS)
        selector.close ();
    }
  assert (n == N_FDS);
}

void test_foreach_nothing () throws Error
{
  var selector = Sel.default_selector_new ();

  foreach (var key in selector.get_map ())
    assert (key == null);
  selector = new_selector ();
  selector.close ();
  foreach (var key in selector)
    assert (key == null);
}

// An iterator also works without foreach, and ends more than once.
void test_iterator () throws Error
{
  var selector = new_selector ();
  var iterator = selector.get_map ().iterator ();
  var kept = iterator;
  int n = 0;

  for (var key = iterator.next_value (); key != null; key = iterator.next_value ())
    assert (key.fd == fds[n++]);
  assert (n == N_FDS);
  assert (kept.next_value () == null && iterator.next_value () == null);
}

void test_mapping () throws Error
{
  var selector = new_selector ();
  unowned var map = selector.get_map ();

  assert (map.size == N_FDS && map.get_size () == N_FDS);
  assert (fds[1] in map && !(54321 in map));
  assert (map[fds[1]].fd == fds[1] && map[54321] == null && map.get (fds[2]) == map.lookup (fds[2]));

  Sel.SelectorKey owned_key = map[fds[1]];
  selector.unregister (fds[1]);
  assert (map[fds[1]] == null && !(fds[1] in map) && map.size == N_FDS - 1);
  selector = null;
  assert (owned_key.fd == fds[1]);
}

void test_lookup_object () throws Error
{
  var selector = Sel.default_selector_new ();
  var socket = new Socket (SocketFamily.IPV4, SocketType.DATAGRAM, SocketProtocol.DEFAULT);

  assert (selector.get_map ().lookup_object (socket) == null);
  var key = selector.register_object (socket, Sel.EventMask.WRITE);
  assert (selector.get_map ().lookup_object (socket) == key && key.fileobj == socket);
  assert (selector.get_map ()[socket.fd] == key);
}

void test_events () throws Error
{
  var one = new_selector ();
  var other = new_selector ();
  GenericArray<Sel.SelectorEvent> all = one.select (0);

  // The array owns its elements, so it can take others, and give its own away.
  foreach (var event in other.select (0))
    all.add (event);
  assert (all.length == 2 * N_FDS);
  var copies = all.copy ((event) => event);
  all.remove_index (0);
  var stolen = (Sel.SelectorEvent[]) all.steal ();
  assert (all.length == 0 && stolen.length == 2 * N_FDS - 1);
  all = null;
  one = null;
  other = null;
  for (int i = 0; i < copies.length; i++)
    {
      assert (copies[i].get_key ().fd == fds[i % N_FDS]);
      assert (copies[i].get_events () == Sel.EventMask.WRITE);
    }
  assert (stolen[0] == copies[1]);
}

void test_keys () throws Error
{
  var selector = new_selector ();
  GenericArray<Sel.SelectorKey> keys = selector.get_map ().get_keys ();

  keys.add (selector.get_key (fds[0]));
  assert (keys.length == N_FDS + 1 && keys[N_FDS] == keys[0]);
  foreach (var key in keys.copy ((key) => key))
    assert (key.get_data ().get_int () == key.fd);
  assert (keys.steal_index (0).fd == fds[0]);

  Posix.close (fds[3]);
  GenericArray<Sel.SelectorKey> closed = selector.check ();
  keys.extend_and_steal ((owned) closed);
  assert (keys[keys.length - 1].fd == fds[3]);
}

async void wait_async (Sel.BaseSelector selector, GenericArray<Sel.SelectorEvent> all)
{
  try
    {
      GenericArray<Sel.SelectorEvent> events = yield selector.select_async ();

      all.extend_and_steal ((owned) events);
    }
  catch (Error e)
    {
      error ("%s", e.message);
    }
}

void test_async () throws Error
{
  var selector = new_selector ();
  var all = new GenericArray<Sel.SelectorEvent> ();

  wait_async.begin (selector, all);
  while (all.length == 0)
    MainContext.default ().iteration (true);
  selector = null;
  assert (all.length == N_FDS && all[0].get_key ().fd == fds[0]);
}

void test_dispatch_source () throws Error
{
  var context = new MainContext ();
  var selector = new_selector ();
  var source = selector.create_dispatch_source ();
  var seen = new GenericArray<Sel.SelectorKey> ();

  source.set_callback ((sel, key, events) => {
    assert (sel == selector && events == Sel.EventMask.WRITE);
    seen.add (key);
    return seen.length < N_FDS;
  });
  source.attach (context);
  while (!source.is_destroyed ())
    context.iteration (true);
  assert (seen.length == N_FDS && seen[0].fd == fds[0]);
}

void test_properties () throws Error
{
  var selector = new_selector ();
  string trace = "";

  selector.notify.connect ((pspec) => { trace += pspec.name + " "; });
  assert (!selector.closed && selector.map.size == N_FDS);
  selector.max_dispatch = 7;
  selector.close ();
  assert (selector.closed && selector.map == null);
  assert (trace == "max-dispatch ");
}

int main (string[] args)
{
  Test.init (ref args);
  Test.add_func ("/vala-collections/foreach", () => run (test_foreach));
  Test.add_func ("/vala-collections/foreach-break", () => run (test_foreach_break));
  Test.add_func ("/vala-collections/foreach-change", () => run (test_foreach_change));
  Test.add_func ("/vala-collections/foreach-nothing", () => run (test_foreach_nothing));
  Test.add_func ("/vala-collections/iterator", () => run (test_iterator));
  Test.add_func ("/vala-collections/mapping", () => run (test_mapping));
  Test.add_func ("/vala-collections/lookup-object", () => run (test_lookup_object));
  Test.add_func ("/vala-collections/events", () => run (test_events));
  Test.add_func ("/vala-collections/keys", () => run (test_keys));
  Test.add_func ("/vala-collections/async", () => run (test_async));
  Test.add_func ("/vala-collections/dispatch-source", () => run (test_dispatch_source));
  Test.add_func ("/vala-collections/properties", () => run (test_properties));
  return Test.run ();
}
