// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Compares the names in Sel.d.ts with the reviewed list of the API, and with the objects at run time, which the typelib
// and the override make together. Prints TAP.
// usage: test-gjs-types.js Sel.d.ts Sel-1.0.api

import GLib from 'gi://GLib';
import Sel from 'gi://Sel?version=1.0';
import System from 'system';

import {assert, assertEqual, run, test, withSockets} from './harness.js';

const DECLARATION = /^(?:abstract )?(class|interface|enum|namespace|type|const|function) (\w+)/;
const MEMBER = /^(static )?(?:readonly )?(?:get |set |private )?\[?'?([$\w.]+)'?\]?(?:<.*?>)?\??(?:\(|:| =)/;

function readLines(path) {
    const [, bytes] = GLib.file_get_contents(path);

    return new TextDecoder().decode(bytes).split('\n');
}

// Returns the declarations: a Map from the name to {kind, members, statics}.
function parseTypes(lines) {
    const found = new Map();
    let current = null;

    for (const line of lines) {
        const [, indent, text] = line.match(/^( *)(.*)$/);
        const [, kind, name] = text.match(DECLARATION) ?? [];
        const [, isStatic, member] = text.match(MEMBER) ?? [];

        if (indent.length === 8 && kind) {
            current = found.get(name) ?? {kind, members: new Set(), statics: new Set()};
            current.kind = kind === 'const' ? current.kind : kind;
            found.set(name, current);
            if (!text.endsWith('{'))
                current = null;
        } else if (indent.length === 12 && member && member !== 'constructor') {
            current?.[isStatic ? 'statics' : 'members'].add(member);
        }
    }

    return found;
}

// Returns the API that bindings see, from the reviewed list: a Map from the name to {kind, members, values, properties}.
function parseApi(lines) {
    const found = new Map();
    let current = null;

    for (const line of lines) {
        const [, indent, kind, name] = line.match(/^( *)(?:(\w+) )?([-\w]+)/) ?? [];

        if (indent === '' && kind && kind !== 'Sel') {
            current = {kind, members: new Set(), statics: new Set(), values: new Set()};
            found.set(name, current);
        } else if (indent === '  ') {
            if (kind === 'method')
                current.members.add(name);
            else if (kind === 'vfunc')
                current.members.add(`vfunc_${name}`);
            else if (kind === 'property')
                current.members.add(name.replaceAll('-', '_'));
            else if (kind === 'constructor' || kind === 'function')
                current.statics.add(name);
            else if (!kind)
                current.values.add(name);
        }
    }

    return found;
}

const [typesPath, apiPath] = System.programArgs;
const types = parseTypes(readLines(typesPath));
const api = parseApi(readLines(apiPath));
const isClass = name => ['class', 'interface'].includes(types.get(name).kind) || name === 'SelectorEvent';

function has(object, name) {
    // A property of GObject is found when it is looked up.
    return name in object || Object.getOwnPropertyDescriptor(object, name) !== undefined;
}

function missing(names, check) {
    return [...names].filter(name => !check(name));
}

test('the files were parsed', () => {
    for (const parsed of [types, api]) {
        for (const name of ['BaseSelector', 'SelectorKey', 'EpollSelector', 'EventMask', 'default_selector_new'])
            assert(parsed.has(name), name);
        for (const name of ['register', 'attach', 'select_async', 'vfunc_wait', 'max_dispatch', 'get_map'])
            assert(parsed.get('BaseSelector').members.has(name), name);
        assert(parsed.get('EpollSelector').statics.has('is_supported') && parsed.get('EpollSelector').statics.has('new'));
    }
    assert(types.get('BaseSelector').members.has('Symbol.asyncIterator'));
    assert(types.get('SelectorMapping').members.has('has'));
    assert(api.get('EventMask').values.has('READ') && types.get('EventMask').members.has('WRITE'));
});

test('the API is in Sel.d.ts', () => {
    assertEqual(missing(api.keys(), name => types.has(name)), []);
    for (const [name, {members, statics, values}] of api) {
        const declared = types.get(name);

        assertEqual([name, ...missing(members, member => declared.members.has(member))], [name]);
        assertEqual([name, ...missing(statics, member => declared.statics.has(member))], [name]);
        assertEqual([name, ...missing(values, value => declared.members.has(value) || declared.statics.has(value))],
            [name]);
    }
});

test('the names of Sel.d.ts exist', () => {
    assertEqual(missing(types.keys(), name => types.get(name).kind === 'type' || has(Sel, name)), []);
});

// The objects that the override makes instead of those of the typelib.
function makeObjects(socket) {
    const selector = new Sel.DefaultSelector();
    const key = selector.register(socket, Sel.EventMask.WRITE);

    return {SelectorKey: key, SelectorMapping: selector.get_map(), SelectorEvent: selector.select()[0]};
}

function resolve(object, name) {
    return name.startsWith('Symbol.') ? Symbol[name.slice('Symbol.'.length)] in object : has(object, name);
}

test('the members of Sel.d.ts exist', () => withSockets(socket => {
    const objects = makeObjects(socket);

    for (const [name, {members, statics, kind}] of types) {
        if (kind === 'namespace' || kind === 'enum') {
            assertEqual([name, ...missing(members, value => has(Sel[name], value))], [name]);
        } else if (isClass(name)) {
            const object = objects[name] ?? Sel[name].prototype;

            // Only TypeScript has $signals. Only a class that implements a virtual function has it.
            assertEqual([name, ...missing(members, member => member === '$signals' ||
                (member.startsWith('vfunc_') ? api.get(name).members.has(member) : resolve(object, member)))], [name]);
            assertEqual([name, ...missing(statics, member => has(Sel[name], member))], [name]);
        }
    }
}));

function ownNames(object) {
    const symbols = Object.getOwnPropertySymbols(object).map(symbol => symbol.description);

    // Names with an underscore belong to GJS.
    return [...Object.getOwnPropertyNames(object), ...symbols]
        .filter(name => !['constructor', 'Symbol.toStringTag'].includes(name) && !name.startsWith('_'));
}

// What the override adds must be declared.
test('the names of the override are in Sel.d.ts', () => withSockets(socket => {
    const selector = new Sel.DefaultSelector();
    const names = {
        ...makeObjects(socket),
        BaseSelector: Sel.BaseSelector.prototype,
    };

    for (const [name, object] of Object.entries(names)) {
        const declared = types.get(name).members;
        const prototype = name === 'BaseSelector' ? object : Object.getPrototypeOf(object);
        const found = [...ownNames(prototype), ...name === 'SelectorKey' ? ownNames(object) : []];

        assert(found.length >= 2, `${name} has only ${found}`);
        // GJS 1.90 also defines each property under its GObject name, for example "can-recurse".
        assertEqual([name, ...missing(found, member => declared.has(member.replaceAll('-', '_')))], [name]);
    }
    for (const name of ['WAIT_FOREVER', 'DefaultSelector'])
        assert(types.has(name) && Sel[name] !== undefined);
    selector.close();
}));

await run('gjs-types');
