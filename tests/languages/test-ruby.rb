#!/usr/bin/ruby
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Selectors in Ruby, with ruby-gobject-introspection. Prints TAP.

require 'gobject-introspection'

module Sel
  class Loader < GObjectIntrospection::Loader
  end
  Loader.load('Sel', self)
end

module Gio
  GObjectIntrospection::Loader.load('Gio', self) unless const_defined?(:Cancellable)
end

ROUNDS = (ENV['ROUNDS'] || 100).to_i
READ = Sel::EventMask::READ
WRITE = Sel::EventMask::WRITE
BINDING = "ruby-gobject-introspection #{GLib::BINDING_VERSION.join('.')}".freeze

# Raised by a test of something that the binding cannot do.
class Missing < StandardError
end

def same(actual, expected)
  raise "#{actual.inspect}, expected #{expected.inspect}" unless actual == expected
end

def new_selector
  Sel.default_selector_new
end

# Calls the block with the writable end of a pipe, and with the other one.
def with_pipe
  reader, writer = IO.pipe
  yield writer, reader
ensure
  reader&.close
  writer&.close
end

def run_until
  GLib::MainContext.default.iteration(true) until yield
end

# Returns the error of a block that has to fail.
def failure
  yield
rescue StandardError => e
  e
else
  raise 'no exception'
end

TESTS = {}

def test(name, &block)
  TESTS[name] = block
end

test 'register, modify and unregister' do
  with_pipe do |writer|
    selector = new_selector
    key = selector.register(writer.fileno, READ)
    same(key.fd, writer.fileno)
    same(key.events, READ)

    same(selector.modify(writer.fileno, READ | WRITE).events, READ | WRITE)
    same(key.events, READ)

    same(selector.unregister(writer.fileno).fd, writer.fileno)
    same(selector.map.size, 0)
  end
end

test 'select gives events' do
  with_pipe do |writer, reader|
    selector = new_selector
    selector.register(writer.fileno, WRITE)
    selector.register(reader.fileno, READ)

    events = selector.select(Float::INFINITY)
    same(events.length, 1)
    same(events[0].key.fd, writer.fileno)
    same(events[0].events, WRITE)

    writer.write('!')
    writer.flush
    same(selector.select(Float::INFINITY).map { |event| event.key.fd }.sort, [writer.fileno, reader.fileno].sort)

    selector.unregister(writer.fileno)
    reader.readpartial(10)
    same(selector.select(0), [])
  end
end

test 'events outlive their list and their selector' do
  with_pipe do |writer|
    kept = Array.new(ROUNDS) do
      selector = new_selector
      selector.register(writer.fileno, WRITE)
      selector.select(0)[0]
    end
    GC.start
    kept.each do |event|
      same(event.key.fd, writer.fileno)
      same(event.events, WRITE)
    end
  end
end

test 'select_fds gives two arrays' do
  with_pipe do |writer|
    selector = new_selector
    selector.register(writer.fileno, WRITE)
    begin
      result = selector.select_fds(0)
    rescue NotImplementedError => e
      raise Missing, e.message.lines.first.strip
    end
    same(result.flatten.include?(writer.fileno), true)
  end
end

test 'the mapping and check' do
  with_pipe do |writer|
    selector = new_selector
    fd = writer.fileno
    map = selector.map
    same(map.lookup(fd), nil)
    selector.register(fd, READ)
    same(map.size, 1)
    same(map.contains(fd), true)
    same(map.lookup(fd).fd, fd)
    same(map.keys.map(&:fd), [fd])

    same(selector.check, [])
    writer.close
    same(selector.check.map(&:fd), [fd])
    selector.close
    same(selector.map, nil)
  end
end

test 'an error is an exception' do
  with_pipe do |writer|
    selector = new_selector
    selector.register(writer.fileno, READ)
    error = failure { selector.register(writer.fileno, READ) }
    same(error.class, Sel::SelectorError::AlreadyRegistered)
    same(error.message.include?(writer.fileno.to_s), true)

    same(failure { selector.register(-1, READ) }.class, Sel::SelectorError::InvalidFile)
    selector.close
    same(failure { selector.select(0) }.class, Sel::SelectorError::Closed)
  end
end

test 'data' do
  with_pipe do |writer|
    selector = new_selector
    selector.register(writer.fileno, WRITE, 'a text')
    GC.start
    same(selector.select(0)[0].key.data.value, 'a text')
    selector.modify(writer.fileno, WRITE, 42)
    same(selector.get_key(writer.fileno).data.value, 42)
    selector.modify(writer.fileno, WRITE)
    same(selector.get_key(writer.fileno).data, nil)
  end
end

test 'callbacks in a main loop' do
  with_pipe do |writer|
    selector = new_selector
    calls = []
    selector.register_callback(writer.fileno, WRITE) do |sel, key, events|
      calls << [sel == selector, key.fd, events]
      calls.length < 3
    end
    GC.start
    selector.attach(nil, GLib::PRIORITY_DEFAULT)
    run_until { calls.length == 3 }
    same(calls.uniq, [[true, writer.fileno, WRITE]])
    same(selector.map.size, 0)
    selector.close
  end
end

test 'a callback of the source' do
  with_pipe do |writer|
    selector = new_selector
    fd = nil
    selector.register(writer.fileno, WRITE)
    selector.attach(nil, GLib::PRIORITY_DEFAULT) do |_, key, _|
      fd = key.fd
      false
    end
    GC.start
    run_until { fd }
    same(fd, writer.fileno)
    selector.close
  end
end

test 'arguments that a callback keeps' do
  with_pipe do |writer|
    selector = new_selector
    kept = []
    selector.register_callback(writer.fileno, WRITE) do |*arguments|
      kept << arguments
      GC.start
      kept.length < 10
    end
    selector.attach(nil, GLib::PRIORITY_DEFAULT)
    run_until { kept.length == 10 }
    selector.close
    selector = nil
    GC.start
    kept.each do |sel, key, events|
      same(sel.closed?, true)
      same(key.fd, writer.fileno)
      same(events, WRITE)
    end
  end
end

test 'an asynchronous select' do
  with_pipe do |writer|
    selector = new_selector
    kept = []
    selector.register(writer.fileno, WRITE)
    (1..ROUNDS).each do |round|
      selector.select_async(Float::INFINITY, GLib::PRIORITY_DEFAULT, nil) do |object, result|
        kept.concat(object.select_finish(result))
      end
      GC.start if (round % 10).zero?
      run_until { kept.length == round }
    end
    selector.close
    GC.start
    same(kept.map { |event| event.key.fd }.uniq, [writer.fileno])
  end
end

class BareSelector < Sel::BaseSelector
  type_register
end

class OwnSelector < Sel::BaseSelector
  type_register

  def virtual_do_update(fd, _old_events, _new_events)
    @watched = fd
    true
  end

  def virtual_do_wait(_timeout)
    report(@watched, READ)
    true
  end
end

test 'a class without virtual functions' do
  with_pipe do |writer|
    error = failure { BareSelector.new.register(writer.fileno, READ) }
    same(error.class, Sel::SelectorError::Failed)
    same(error.message, 'BareSelector does not implement update ()')
  end
end

test 'a backend in Ruby' do
  with_pipe do |writer|
    selector = OwnSelector.new
    begin
      selector.register(writer.fileno, READ)
    rescue Sel::SelectorError::Failed => e
      raise Missing, e.message
    end
    same(selector.select(0).map { |event| event.key.fd }, [writer.fileno])
    selector.close
  end
end

# Calls a block 100,000 times. Returns the bytes that each call leaves: the median of five batches, because tables of the
# interpreter grow and shrink in some of them.
def growth_of
  calls = 20_000
  growths = Array.new(5) do
    3.times { GC.start }
    before = SelTest.memory_in_use
    calls.times { yield }
    3.times { GC.start }
    (SelTest.memory_in_use - before) / calls.to_f
  end
  growths.sort[2]
end

# The library with memory_in_use () is built only where the C library has mallinfo2 ().
begin
  module SelTest
    GObjectIntrospection::Loader.load('SelTest', self)
  end

  test 'a growth is seen' do
    kept = []
    same(growth_of { kept << Gio::Cancellable.new } > 1, true)
  end

  # select_finish () is not here, because the binding itself keeps memory for each asynchronous callback.
  test 'lists do not grow' do
    with_pipe do |writer|
      with_pipe do |other|
        selector = new_selector
        map = selector.map
        [writer, other].each { |io| selector.register(io.fileno, WRITE) }
        other.close
        {
          'select' => -> { selector.select(0, nil).length },
          'get_keys' => -> { map.keys.length },
          'check' => -> { selector.check.length }
        }.each do |name, call|
          same(call.call.positive?, true)
          growth = growth_of(&call)
          puts "# #{name}: #{growth} bytes for each call"
          same(growth < 1, true)
        end
      end
    end
  end
rescue GObjectIntrospection::RepositoryError
  puts '# no SelTest'
end

puts "1..#{TESTS.length}"
puts "# Ruby #{RUBY_VERSION}, #{BINDING}"
failed = false
TESTS.each.with_index(1) do |(name, block), number|
  block.call
  puts "ok #{number} #{name}"
rescue Missing => e
  puts "ok #{number} #{name} # SKIP #{BINDING}: #{e.message}"
rescue Exception => e
  failed = true
  puts "not ok #{number} #{name}", "# #{e.class}: #{e.message}".gsub("\n", "\n# ")
  puts e.backtrace.first(3).map { |line| "# #{line}" }
end

# Without finalizers: ruby-glib2 4.2.2 reads memory at the end of each program that it has freed before.
$stdout.flush
exit!(!failed)
