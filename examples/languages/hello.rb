#!/usr/bin/ruby
# SPDX-License-Identifier: LGPL-2.1-or-later

# Writes to a pipe, and reads from it in the main loop.

require 'gobject-introspection'

module Sel
  GObjectIntrospection::Loader.load('Sel', self)
end

reader, writer = IO.pipe
main_loop = GLib::MainLoop.new
selector = Sel.default_selector_new

selector.register_callback(reader.fileno, Sel::EventMask::READ) do |_selector, key, _events|
  puts "descriptor #{key.fd}: #{reader.readpartial(100)}"
  main_loop.quit
  GLib::Source::REMOVE
end
selector.attach(nil, GLib::PRIORITY_DEFAULT)

writer.syswrite('hello')
main_loop.run
selector.close
