// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Uses every name of Sel.d.ts, so that the compiler checks its types. This program is not run. After the
// comment "expect-error" comes a mistake that the types have to find.

import Gio from 'gi://Gio?version=2.0';
import GLib from 'gi://GLib?version=2.0';
import GObject from 'gi://GObject?version=2.0';
import Sel from 'gi://Sel';
import Versioned from 'gi://Sel?version=1.0';

declare const socket: Gio.Socket;
declare const stream: Gio.InputStream;
declare const descriptor: number;

// A value of exactly this type.
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function exactly<Expected>() {
    return <Actual>(_value: Actual, _equal: Equal<Actual, Expected>): void => {};
}

const {READ, WRITE} = Sel.EventMask;
const same: typeof Sel = Versioned;
const legacy: typeof Sel = imports.gi.Sel;
const numbers: number[] = [Sel.MAJOR_VERSION, Sel.MINOR_VERSION, Sel.MICRO_VERSION, Sel.WAIT_FOREVER,
    Sel.get_major_version(), Sel.get_minor_version(), Sel.get_micro_version(), Sel.fileobj_to_fd(socket)];
const strings: string[] = [Sel.__name__, Sel.__version__];
const quarks: GLib.Quark[] = [Sel.os_error_domain(), Sel.selector_error_quark(), Sel.SelectorError.quark()];
const codes: number[] = [Sel.SelectorError.FAILED, Sel.SelectorError.NOT_REGISTERED, Sel.SelectorError.ALREADY_REGISTERED,
    Sel.SelectorError.INVALID_FILE, Sel.SelectorError.INVALID_EVENTS, Sel.SelectorError.INVALID_TIMEOUT,
    Sel.SelectorError.CLOSED, Sel.SelectorError.NOT_SUPPORTED, Sel.SelectorError.BUSY, Sel.SelectorError.FORKED];
const types: GObject.GType[] = [Sel.default_selector_type(), Sel.EventMask.$gtype, Sel.HangupPolicy.$gtype,
    Sel.SelectorError.$gtype, Sel.FileObject.$gtype, Sel.SelectorKey.$gtype, Sel.SelectorEvent.$gtype,
    Sel.SelectorMapping.$gtype, Sel.BaseSelector.$gtype, Sel.DefaultSelector.$gtype];
const policies: Sel.HangupPolicy[] = [Sel.HangupPolicy.THROTTLE, Sel.HangupPolicy.REPORT, Sel.HangupPolicy.ONCE];

const all: Sel.BaseSelector[] = [Sel.default_selector_new(), Sel.main_context_get_selector(null)];
for (const Class of [Sel.SelectSelector, Sel.PollSelector, Sel.EpollSelector, Sel.DevpollSelector, Sel.KqueueSelector,
    Sel.DefaultSelector]) {
    if (Class.is_supported())
        all.push(new Class(), Class.new(), new Class({max_dispatch: 7, hangupPolicy: Sel.HangupPolicy.ONCE}));
}
const epoll = new Sel.EpollSelector({can_recurse: true, force_mirrored: true, interruptible: true});
numbers.push(epoll.get_fd(), epoll.fd);
numbers.push(new Sel.KqueueSelector().get_fd(), new Sel.DevpollSelector({emulate_always_ready: true}).get_fd());
numbers.push(new Sel.KqueueSelector().fd, new Sel.DevpollSelector().fd);

const selector: Sel.BaseSelector = new Sel.DefaultSelector();

// TypeScript 5.9 takes the other iterator of a type for `for await` if it has looked that one up before.
async function iteration(): Promise<void> {
    for await (const events of selector) {
        for (const [key, mask] of events)
            numbers.push(key.fd, mask);
    }
    for (const key of selector)
        numbers.push(key.fd);
}

function properties(): void {
    selector.can_recurse = selector.canRecurse = !selector.get_can_recurse();
    selector.set_can_recurse(selector.can_recurse);
    selector.emulate_always_ready = selector.emulateAlwaysReady = !selector.get_emulate_always_ready();
    selector.set_emulate_always_ready(selector.emulate_always_ready);
    selector.force_mirrored = selector.forceMirrored = !selector.get_force_mirrored();
    selector.set_force_mirrored(selector.force_mirrored);
    selector.interruptible = !selector.get_interruptible();
    selector.set_interruptible(selector.interruptible);
    selector.hangup_policy = selector.hangupPolicy = selector.get_hangup_policy();
    selector.set_hangup_policy(selector.hangup_policy);
    selector.max_dispatch = selector.maxDispatch = selector.get_max_dispatch();
    selector.set_max_dispatch(selector.max_dispatch);
    selector.connect('notify::max-dispatch', (object, pspec) => print(object.max_dispatch, pspec.get_name()));

    // @ts-expect-error
    selector.max_dispatch = 'many';
    // @ts-expect-error
    selector.closed_for_ever = true;
    // @ts-expect-error
    selector.closed = true;
}

function registrations(): void {
    const key = selector.register(socket, READ, {name: 'value'});

    exactly<Sel.SelectorKey<Gio.Socket, {name: string}>>()(key, true);
    exactly<Gio.Socket>()(key.fileobj, true);
    exactly<string>()(key.data.name, true);
    exactly<number>()(key.fd, true);
    exactly<Sel.EventMask>()(key.events, true);
    exactly<Gio.Socket>()(key.get_fileobj(), true);
    exactly<{name: string}>()(key.get_data(), true);
    numbers.push(key.get_fd(), key.get_events());
    exactly<Sel.SelectorKey<Gio.InputStream, null>>()(selector.register_object(stream, READ | WRITE), true);
    exactly<Sel.SelectorKey<number, null>>()(selector.register(descriptor, READ), true);
    for (const fileobj of [{fileno: () => 0}, {get_fd: () => 0}, GLib.IOChannel.unix_new(0), 0])
        selector.register(fileobj, WRITE);
    exactly<Sel.SelectorKey<any, number>>()(selector.modify(socket, WRITE, 7), true);
    exactly<Sel.SelectorKey<any, null>>()(selector.modify_object(socket, WRITE), true);

    const keys: Sel.SelectorKey[] = [key, selector.modify_events(socket, READ), selector.get_key(socket),
        selector.get_key_object(socket), selector.unregister(socket), selector.unregister_object(socket),
        ...selector.check(), ...selector];
    selector.refresh(socket);
    numbers.push(...keys.map(({fd}) => fd));

    // @ts-expect-error
    selector.register('socket', READ);
    // @ts-expect-error
    selector.register(socket);
    // @ts-expect-error
    selector.register(socket, 'read');
    // @ts-expect-error
    selector.register(null, READ);
    // @ts-expect-error
    key.fd = 7;
    // @ts-expect-error
    new Sel.SelectorKey();
}

function callbacks(): void {
    const func: Sel.SelectorFunc = (sel, key, events) => {
        exactly<Sel.BaseSelector>()(sel, true);
        numbers.push(key.fd, events);
        return GLib.SOURCE_CONTINUE;
    };

    exactly<Sel.SelectorKey<Gio.Socket, null>>()(selector.register_callback(socket, READ, func), true);
    selector.register_object_callback(socket, READ, () => GLib.SOURCE_REMOVE);
    selector.set_callback(socket, func);
    selector.set_callback(socket, null);
    selector.set_callback(socket);
    numbers.push(selector.attach(), selector.attach(null), selector.attach(null, 0, func),
        selector.attach(GLib.MainContext.default(), GLib.PRIORITY_HIGH, null));
    const sources: GLib.Source[] = [selector.create_source(), selector.create_dispatch_source(),
        selector.create_dispatch_source(func)];
    sources[0].set_callback(() => GLib.SOURCE_REMOVE);

    // @ts-expect-error
    selector.register_callback(socket, READ, async () => true);
    // @ts-expect-error
    selector.set_callback(socket, async () => true);
    // @ts-expect-error
    selector.register_callback(socket, func);
    // @ts-expect-error
    selector.attach(func);
}

function mapping(): void {
    const map: Sel.SelectorMapping | null = selector.get_map() ?? selector.map;

    // @ts-expect-error
    map.size;
    if (map === null)
        return;

    numbers.push(map.size, map.get_size(), ...map.keys());
    const bools: boolean[] = [map.has(socket), map.contains(0)];
    const maybe: (Sel.SelectorKey | null | undefined)[] = [map.get(socket), map.lookup(0), map.lookup_object(socket)];
    const keys: Sel.SelectorKey[] = [...map.values(), ...map.get_keys()];
    for (const [fd, key] of [...map, ...map.entries()])
        numbers.push(fd, key.fd);
    map.forEach((key, fd, of) => numbers.push(key.fd, fd, of.size, bools.length, maybe.length, keys.length));

    // @ts-expect-error
    map.set(0, keys[0]);
    // @ts-expect-error
    map.lookup(0).fd;
}

async function waits(cancellable: Gio.Cancellable): Promise<void> {
    const events: Sel.SelectorEvent[] = [...selector.select(), ...selector.select(null),
        ...selector.select(0.5, cancellable), ...await selector.select_async(),
        ...await selector.select_async(Sel.WAIT_FOREVER, GLib.PRIORITY_LOW, cancellable)];

    for (const [key, mask] of events) {
        exactly<Sel.SelectorKey>()(key, true);
        numbers.push(mask);
    }
    for (const event of events) {
        exactly<Sel.SelectorKey>()(event.get_key(), true);
        exactly<Sel.EventMask>()(event.get_events(), true);
    }
    const [success, fds, masks] = selector.select_fds(0, null);
    numbers.push(Number(success), ...fds, ...masks);
    selector.select_async(1, 0, null, (source, result) => {
        numbers.push(source!.select_finish(result).length);
    });
    selector.wakeup();
    selector.reinit();
    selector.close();
    exactly<boolean>()(selector.is_closed(), true);
    exactly<boolean>()(selector.closed, true);

    // @ts-expect-error
    selector.select(cancellable);
    // @ts-expect-error
    await selector.select_async(cancellable);
    // @ts-expect-error
    selector.select_finish([]);
}

function narrowing(value: unknown): void {
    if (value instanceof Sel.SelectorKey)
        numbers.push(value.fd);
    else if (value instanceof Sel.SelectorEvent)
        numbers.push(value.get_key().fd);
    else if (value instanceof Sel.SelectorMapping)
        numbers.push(value.size);
    else if (value instanceof Sel.FileObject)
        numbers.push(value.fileno());
    else if (value instanceof Sel.SelectorError)
        numbers.push(value.code);
}

class OwnSelector extends Sel.BaseSelector {
    static {
        GObject.registerClass(this);
    }

    vfunc_open(): boolean {
        return super.vfunc_open();
    }

    vfunc_update(fd: number, old_events: Sel.EventMask, new_events: Sel.EventMask): boolean {
        numbers.push(fd, old_events, new_events);
        return true;
    }

    vfunc_wait(timeout: number): boolean {
        this.report(timeout, READ | WRITE);
        return true;
    }

    vfunc_release(forked: boolean): void {
        super.vfunc_release(forked);
    }
}

class OwnFile extends GObject.Object {
    static {
        GObject.registerClass({Implements: [Sel.FileObject]}, this);
    }

    vfunc_query_fd(): [boolean, number] {
        return [true, 0];
    }
}

// @ts-expect-error
new Sel.BaseSelector();
throw new Sel.SelectorError({code: Sel.SelectorError.BUSY, message: 'busy'});
export {OwnFile, OwnSelector, all, callbacks, codes, iteration, legacy, mapping, narrowing, policies, properties, quarks,
    registrations, same, strings, types, waits};
