// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An echo server in Vala: a selector in a MainLoop, with a callback for each descriptor. With the library installed:
// valac --pkg sel-glib-1.0 --pkg posix echo-server.vala && ./echo-server

const uint PAUSE_MS = 100;

// Writes all data back before it reads more. So a client that does not read cannot make the server use more memory.
class Connection : Object
{
  private unowned Server server;
  private Socket socket;
  private uint8 buffer[16384];
  private size_t start = 0;
  private size_t end = 0;
  private Sel.EventMask events = Sel.EventMask.READ;

  public Connection (Server server, Socket socket) throws Error
  {
    this.server = server;
    this.socket = socket;
    socket.blocking = false;
    // The callback holds a reference to the connection.
    server.selector.register_object_callback (socket, events, this.ready);
  }

  // The selector ends the registration if this returns Source.REMOVE.
  private bool ready ()
  {
    try
      {
        if (echo ())
          return Source.CONTINUE;
      }
    catch (IOError.WOULD_BLOCK e)
      {
        return Source.CONTINUE;
      }
    catch (Error e)
      {
        server.fail (e);
      }

    return Source.REMOVE;
  }

  private bool echo () throws Error
  {
    if (start == end)
      {
        start = 0;
        end = socket.receive (buffer);
        if (end == 0)
          return false;
      }

    try
      {
        size_t n = socket.send (buffer[start:end]);

        start += n;
        server.n_bytes += n;
      }
    catch (IOError.WOULD_BLOCK e)
      {
      }

    var wanted = start < end ? Sel.EventMask.WRITE : Sel.EventMask.READ;
    if (wanted != events)
      server.selector.modify_object (socket, wanted);
    events = wanted;

    return true;
  }
}

class Server
{
  public Sel.BaseSelector selector;
  public uint n_connections;
  public uint n_errors;
  public uint64 n_bytes;
  public uint port;

  private Socket listener;
  private MainLoop loop = new MainLoop ();

  public Server (Sel.BaseSelector selector, uint16 port) throws Error
  {
    this.selector = selector;
    listener = new Socket (SocketFamily.IPV4, SocketType.STREAM, SocketProtocol.TCP);
    listener.blocking = false;
    listener.listen_backlog = 1024;
    listener.bind (new InetSocketAddress.from_string ("127.0.0.1", port), true);
    listener.listen ();
    this.port = ((InetSocketAddress) listener.local_address).port;
    listen ();
  }

  private void listen () throws Error
  {
    selector.register_object_callback (listener, Sel.EventMask.READ, this.accept);
  }

  private bool accept ()
  {
    try
      {
        new Connection (this, listener.accept ());
        n_connections++;
      }
    catch (IOError.WOULD_BLOCK e)
      {
      }
    catch (Error e)
      {
        pause (e);
        return Source.REMOVE;
      }

    return Source.CONTINUE;
  }

  // If no descriptor is free, the listener stays ready and the main loop would spin.
  private void pause (Error e)
  {
    fail (e);
    Timeout.add (PAUSE_MS, () => {
      try
        {
          listen ();
        }
      catch (Error again)
        {
          fail (again);
          loop.quit ();
        }
      return Source.REMOVE;
    });
  }

  public void fail (Error e)
  {
    n_errors++;
    printerr ("echo-server-vala: %s\n", e.message);
  }

  private bool stop ()
  {
    loop.quit ();
    return Source.REMOVE;
  }

  public void run ()
  {
    Unix.signal_add (Posix.Signal.INT, stop);
    Unix.signal_add (Posix.Signal.TERM, stop);
    selector.attach ();
    loop.run ();
    selector.close ();
  }
}

Sel.BaseSelector make_selector (string backend) throws Error
{
  switch (backend)
    {
    case "default":
      return Sel.default_selector_new ();
    case "select":
      return new Sel.SelectSelector ();
    case "poll":
      return new Sel.PollSelector ();
    case "epoll":
      return new Sel.EpollSelector ();
    case "devpoll":
      return new Sel.DevpollSelector ();
    case "kqueue":
      return new Sel.KqueueSelector ();
    default:
      throw new OptionError.BAD_VALUE ("%s: no such backend", backend);
    }
}

string? backend = null;
int port = 0;
bool version = false;

const OptionEntry[] options = {
  { "backend", 'b', 0, OptionArg.STRING, ref backend, "default, select, poll, epoll, devpoll or kqueue", "NAME" },
  { "port", 'p', 0, OptionArg.INT, ref port, "Port on 127.0.0.1; 0 takes a free one", "PORT" },
  { "version", 0, 0, OptionArg.NONE, ref version, "Print the version of the library", null },
  { null }
};

int main (string[] args)
{
  Server server;

  try
    {
      var context = new OptionContext ("- echo what clients send");

      context.add_main_entries (options, null);
      context.parse (ref args);
      if (args.length > 1)
        throw new OptionError.UNKNOWN_OPTION ("unexpected argument: %s (see --help)", args[1]);
      if (version)
        {
          print ("echo-server-vala: sel-glib %u.%u.%u\n", Sel.get_major_version (), Sel.get_minor_version (),
                 Sel.get_micro_version ());
          return 0;
        }
      server = new Server (make_selector (backend ?? "default"), (uint16) port);
    }
  catch (Error e)
    {
      printerr ("echo-server-vala: %s\n", e.message);
      return 1;
    }

  print ("echo-server-vala: listening on 127.0.0.1 port %u with %s\n", server.port,
         server.selector.get_type ().name ());
  print ("  try: nc 127.0.0.1 %u, or any other client; Ctrl-C ends the server\n", server.port);
  server.run ();
  print ("  connections %u, bytes echoed %" + uint64.FORMAT + ", errors %u\n", server.n_connections, server.n_bytes,
         server.n_errors);

  return server.n_errors > 0 ? 1 : 0;
}
