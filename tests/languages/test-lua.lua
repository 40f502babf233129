-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- Selectors in Lua, with lgi. Prints TAP.

local lgi = require 'lgi'
local Gio, GLib, GObject = lgi.Gio, lgi.GLib, lgi.GObject
local Sel = lgi.require('Sel', '1.0')

local rounds = tonumber(os.getenv('ROUNDS') or 100)

-- A socket that is always writable and never readable.
local function new_socket()
  return assert(Gio.Socket.new('IPV4', 'DATAGRAM', 'DEFAULT'))
end

local function new_selector()
  return assert(Sel.default_selector_new())
end

-- The binding makes an empty table of a list that is NULL, also if there is an error.
local function list(result, err)
  if err then
    error(err.message, 2)
  end
  return result
end

local function same(actual, expected)
  if actual ~= expected then
    error(('%s, expected %s'):format(tostring(actual), tostring(expected)), 2)
  end
end

local function collect()
  collectgarbage()
  collectgarbage()
end

local function run_until(condition)
  local context = GLib.MainContext.default()
  while not condition() do
    context:iteration(true)
  end
end

local tests = {}

local function test(name, func)
  tests[#tests + 1] = {name = name, func = func}
end

test('register, modify and unregister', function ()
  local selector, socket = new_selector(), new_socket()
  local fd = socket:get_fd()
  local key = assert(selector:register(fd, 'READ', nil))

  same(key:get_fd(), fd)
  same(key.fd, fd)
  same(key:get_events().READ, true)
  same(key:get_events().WRITE, nil)

  local changed = assert(selector:modify(fd, {'READ', 'WRITE'}, nil))
  same(changed:get_events().WRITE, true)
  same(key:get_events().WRITE, nil)

  same(assert(selector:unregister(fd)):get_fd(), fd)
  same(selector:get_map():get_size(), 0)
end)

test('an object is a file object', function ()
  local selector, socket = new_selector(), new_socket()

  same(assert(selector:register_object(socket, 'WRITE', nil)):get_fileobj(), socket)
  same(selector:select(0, nil)[1]:get_key():get_fileobj(), socket)
  same(selector:get_key_object(socket):get_fd(), socket:get_fd())
end)

test('select gives events', function ()
  local selector, writable, silent = new_selector(), new_socket(), new_socket()

  assert(selector:register(writable:get_fd(), {'READ', 'WRITE'}, nil))
  assert(selector:register(silent:get_fd(), 'READ', nil))

  local events = list(selector:select(math.huge, nil))
  same(#events, 1)
  same(events[1]:get_key():get_fd(), writable:get_fd())
  same(events[1]:get_events().WRITE, true)
  same(events[1]:get_events().READ, nil)

  assert(selector:unregister(writable:get_fd()))
  same(#list(selector:select(0, nil)), 0)
end)

test('events outlive their list and their selector', function ()
  local socket, kept = new_socket(), {}

  for _ = 1, rounds do
    local selector = new_selector()
    assert(selector:register(socket:get_fd(), 'WRITE', nil))
    kept[#kept + 1] = list(selector:select(0, nil))[1]
  end
  collect()
  for _, event in ipairs(kept) do
    same(event:get_key():get_fd(), socket:get_fd())
    same(event:get_events().WRITE, true)
  end
end)

test('select_fds gives two arrays', function ()
  local selector, socket = new_selector(), new_socket()

  assert(selector:register(socket:get_fd(), 'WRITE', nil))
  local fds = selector:select_fds(0, nil)
  same(#fds, 1)
  same(fds[1], socket:get_fd())
end)

test('the mapping and check', function ()
  local selector, socket = new_selector(), new_socket()
  local fd, map = socket:get_fd(), selector:get_map()

  same(map:lookup(fd), nil)
  assert(selector:register(fd, 'READ', nil))
  same(map:get_size(), 1)
  same(map:contains(fd), true)
  same(map:lookup(fd):get_fd(), fd)
  same(#map:get_keys(), 1)
  same(map:get_keys()[1]:get_fd(), fd)

  same(#list(selector:check()), 0)
  socket:close()
  same(list(selector:check())[1]:get_fd(), fd)
  selector:close()
  same(selector:get_map(), nil)
end)

test('an error is the second result', function ()
  local selector, socket = new_selector(), new_socket()
  local fd = socket:get_fd()

  assert(selector:register(fd, 'READ', nil))
  local key, err = selector:register(fd, 'READ', nil)
  same(key, nil)
  same(err:matches(Sel.SelectorError, 'ALREADY_REGISTERED'), true)
  same(err:matches(Sel.SelectorError, 'CLOSED'), false)
  same(err.message:find(('%d'):format(fd), 1, true) ~= nil, true)

  key, err = selector:register(-1, 'READ', nil)
  same(key, nil)
  same(err:matches(Sel.SelectorError, 'INVALID_FILE'), true)

  selector:close()
  local events
  events, err = selector:select(0, nil)
  same(#events, 0)
  same(err:matches(Sel.SelectorError, 'CLOSED'), true)
end)

test('data', function ()
  local selector, socket = new_selector(), new_socket()
  local fd = socket:get_fd()

  assert(selector:register(fd, 'WRITE', GObject.Value('gchararray', 'a text')))
  collect()
  same(list(selector:select(0, nil))[1]:get_key():get_data().value, 'a text')
  assert(selector:modify(fd, 'WRITE', GObject.Value('gint', 42)))
  collect()
  same(selector:get_key(fd):get_data().value, 42)
  assert(selector:modify(fd, 'WRITE', nil))
  same(selector:get_key(fd):get_data(), nil)
end)

test('callbacks in a main loop', function ()
  local selector, socket = new_selector(), new_socket()
  local calls = 0

  assert(selector:register_callback(socket:get_fd(), 'WRITE', function (sel, key, events)
    same(sel, selector)
    same(key:get_fd(), socket:get_fd())
    same(events.WRITE, true)
    calls = calls + 1
    return calls < 3
  end))
  collect()
  same(selector:attach(nil, GLib.PRIORITY_DEFAULT, nil) > 0, true)
  run_until(function () return calls == 3 end)
  same(selector:get_map():get_size(), 0)
  selector:close()
end)

test('a callback of the source', function ()
  local selector, socket = new_selector(), new_socket()
  local fd

  assert(selector:register(socket:get_fd(), 'WRITE', nil))
  selector:attach(nil, GLib.PRIORITY_DEFAULT, function (_, key)
    fd = key:get_fd()
    return false
  end)
  collect()
  run_until(function () return fd ~= nil end)
  same(fd, socket:get_fd())
  selector:close()
end)

test('arguments that a callback keeps', function ()
  local selector, socket = new_selector(), new_socket()
  local kept, calls = {}, 0

  assert(selector:register_callback(socket:get_fd(), 'WRITE', function (sel, key, events)
    calls = calls + 1
    kept[calls] = {sel, key, events}
    collect()
    return calls < 10
  end))
  selector:attach(nil, GLib.PRIORITY_DEFAULT, nil)
  run_until(function () return calls == 10 end)
  selector:close()
  selector = nil
  collect()
  for _, arguments in ipairs(kept) do
    same(arguments[1]:is_closed(), true)
    same(arguments[2]:get_fd(), socket:get_fd())
    same(arguments[3].WRITE, true)
  end
end)

test('callbacks are released', function ()
  local selector, socket = new_selector(), new_socket()
  local alive = setmetatable({}, {__mode = 'k'})

  local function register()
    local token = {}
    alive[token] = true
    assert(selector:register_callback(socket:get_fd(), 'READ', function () return token ~= nil end))
  end

  for _ = 1, rounds do
    register()
    assert(selector:unregister(socket:get_fd()))
  end
  register()
  selector:close()
  collect()
  same(next(alive), nil)
end)

test('an asynchronous select', function ()
  local selector, socket = new_selector(), new_socket()
  local kept, pending = {}, false

  assert(selector:register(socket:get_fd(), 'WRITE', nil))
  for _ = 1, rounds do
    pending = true
    selector:select_async(math.huge, GLib.PRIORITY_DEFAULT, nil, function (object, result)
      local events = list(object:select_finish(result))
      same(#events, 1)
      kept[#kept + 1] = events[1]
      pending = false
    end)
    collectgarbage('step')
    run_until(function () return not pending end)
  end
  selector:close()
  collect()
  same(#kept, rounds)
  same(kept[1]:get_key():get_fd(), socket:get_fd())
end)

test('an asynchronous select is cancelled', function ()
  local selector, cancellable = new_selector(), Gio.Cancellable()
  local failure

  selector:select_async(math.huge, GLib.PRIORITY_DEFAULT, cancellable, function (object, result)
    local _, err = object:select_finish(result)
    failure = err
  end)
  cancellable:cancel()
  run_until(function () return failure ~= nil end)
  same(failure:matches(Gio.IOErrorEnum, 'CANCELLED'), true)
end)

test('a backend in Lua', function ()
  local own = lgi.package('Own')
  local fd = new_socket():get_fd()

  own:class('BareSelector', Sel.BaseSelector)
  own:class('HalfSelector', Sel.BaseSelector)
  own:class('Selector', Sel.BaseSelector)
  function own.HalfSelector:do_update() return true end
  function own.Selector:do_update(number) self.priv.fd = number return true end
  function own.Selector:do_wait() self:report(self.priv.fd, 'READ') return true end

  local _, err = own.BareSelector():register(fd, 'READ', nil)
  same(err.message, 'OwnBareSelector does not implement update ()')

  local half = own.HalfSelector()
  assert(half:register(fd, 'READ', nil))
  _, err = half:select(0, nil)
  same(err.message, 'OwnHalfSelector does not implement wait ()')

  local selector = own.Selector()
  assert(selector:register(fd, 'READ', nil))
  same(list(selector:select(0, nil))[1]:get_key():get_fd(), fd)
  selector:close()
end)

-- Calls a function 5 * n times. Returns the bytes that each call leaves: the median of five batches, because tables of the
-- interpreter grow and shrink in some of them.
local function growth_of(n, func)
  local growths = {}

  for _ = 1, 5 do
    local before
    -- An object of lgi may need several collections, because finalizers let go of others.
    for _ = 1, 10 do
      collectgarbage()
    end
    before = lgi.SelTest.memory_in_use()
    for _ = 1, n do
      func()
    end
    for _ = 1, 10 do
      collectgarbage()
    end
    growths[#growths + 1] = (lgi.SelTest.memory_in_use() - before) / n
  end
  table.sort(growths)
  return growths[3]
end

-- The library with memory_in_use () is built only where the C library has mallinfo2 (). In valgrind there are few rounds.
if rounds >= 100 and pcall(lgi.require, 'SelTest', '1.0') then
  test('a growth is seen', function ()
    local kept = {}
    same(growth_of(1000, function () kept[#kept + 1] = Gio.Cancellable() end) > 1, true)
  end)

  test('lists do not grow', function ()
    local selector, one, other = new_selector(), new_socket(), new_socket()
    local map = selector:get_map()

    for _, socket in ipairs {one, other} do
      assert(selector:register(socket:get_fd(), 'WRITE', nil))
    end
    other:close()
    for name, func in pairs {
      select = function () return #selector:select(0, nil) end,
      get_keys = function () return #map:get_keys() end,
      check = function () return #selector:check() end,
      select_finish = function ()
        local number
        selector:select_async(0, GLib.PRIORITY_DEFAULT, nil, function (_, result)
          number = #selector:select_finish(result)
        end)
        run_until(function () return number end)
        return number
      end,
    } do
      same(func() > 0, true)
      local growth = growth_of(name == 'select_finish' and 4000 or 20000, func)
      print(('# %s: %g bytes for each call'):format(name, growth))
      same(growth < 1, true)
    end
  end)
end

print('1..' .. #tests)
print(('# %s, lgi %s'):format(_VERSION, lgi._VERSION))
local failed = false
for number, case in ipairs(tests) do
  local ok, message = xpcall(case.func, debug.traceback)
  print(('%sok %d %s'):format(ok and '' or 'not ', number, case.name))
  if not ok then
    failed = true
    print((tostring(message):gsub('^', '# '):gsub('\n', '\n# ')))
  end
  collect()
end
os.exit(not failed, true)
