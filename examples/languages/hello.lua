#!/usr/bin/env lua
-- SPDX-License-Identifier: LGPL-2.1-or-later

-- Sends a message through a socket, and reads it in the main loop.

local lgi = require 'lgi'
local Gio, GLib = lgi.Gio, lgi.GLib
local Sel = lgi.require('Sel', '1.0')

local address = Gio.InetSocketAddress.new_from_string('127.0.0.1', 0)
local socket = assert(Gio.Socket.new('IPV4', 'DATAGRAM', 'DEFAULT'))
assert(socket:bind(address, false))

local loop = GLib.MainLoop()
local selector = assert(Sel.default_selector_new())

assert(selector:register_object_callback(socket, 'READ', function (_, key)
  print(('descriptor %d is readable'):format(key.fd))
  loop:quit()
  return GLib.SOURCE_REMOVE
end))
selector:attach(nil, GLib.PRIORITY_DEFAULT, nil)

assert(socket:send_to(socket:get_local_address(), 'hello', nil))
loop:run()
selector:close()
