#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that the GIR has the reviewed API, and only types that every binding supports. Prints TAP.

usage: test-gir.py GIR LIST-API-SCRIPT API-LIST
"""

import difflib
import subprocess
import sys
import xml.etree.ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

FUNCTIONS = [CORE + tag for tag in ('function', 'method', 'constructor', 'virtual-method', 'callback')] + [GLIB + 'signal']
SCALARS = {'none', 'gboolean', 'gint', 'guint', 'guint8', 'gint64', 'guint64', 'gsize', 'gssize', 'gdouble', 'GType', 'GLib.Quark'}


class Api:
    """The content of a GIR file: `functions`, each with its parent element, and the kinds of types."""

    def __init__(self, text):
        namespace = xml.etree.ElementTree.fromstring(text).find(CORE + 'namespace')
        self.functions = [(owner, function) for owner in namespace.iter() for function in owner
                          if function.tag in FUNCTIONS and function.get('introspectable') != '0'
                          and not function.get('shadowed-by')]
        self.boxed = {element.get('name') for tag in ('record', 'union') for element in namespace.iter(CORE + tag)}
        self.flags = {element.get('name') for element in namespace.iter(CORE + 'bitfield')}

    def is_boxed(self, name):
        return name in self.boxed or name in {'GLib.PtrArray', 'GLib.List', 'GLib.Bytes', 'GLib.Error', 'GLib.Variant',
                                              'GObject.Value'}


def name_of(owner, function):
    return '%s.%s' % (owner.get('name'), function.get('shadows') or function.get('name'))


def values(function):
    yield from function.findall(CORE + 'parameters/' + CORE + 'parameter')
    yield function.find(CORE + 'return-value')


def type_name(element):
    type_ = element.find(CORE + 'type')
    return '' if type_ is None else type_.get('name')


def full_pointer_arrays(api):
    """A GPtrArray with a free function must be transfer container: transfer full crashes PyGObject and gjs."""
    for owner, function in api.functions:
        for value in values(function):
            array = value.find(CORE + 'array')
            if array is not None and array.get('name') and value.get('transfer-ownership') == 'full':
                yield name_of(owner, function)


def boxed_pointer_arrays(api):
    """lua-lgi and Perl use the boxed elements of a GPtrArray after they were freed, Node crashes: return a GList."""
    for owner, function in api.functions:
        array = function.find(CORE + 'return-value/' + CORE + 'array')
        if array is not None and array.get('name') and api.is_boxed(type_name(array)):
            yield name_of(owner, function)


def odd_arrays(api):
    """Bindings read wrong values from arrays of flags, and crash on or leak arrays of structures."""
    for owner, function in api.functions:
        for value in values(function):
            array = value.find(CORE + 'array')
            if array is not None and array.get('name') is None and type_name(array) not in SCALARS | {'utf8', 'filename'}:
                yield name_of(owner, function)


def boxed_in_callbacks(api):
    """gjs does not copy the boxed arguments of a JavaScript function: those that it keeps are used after free."""
    for owner, function in api.functions:
        if function.tag not in (CORE + 'callback', CORE + 'virtual-method', GLIB + 'signal'):
            continue
        for value in values(function):
            if value.find(CORE + 'array') is not None or api.is_boxed(type_name(value)):
                yield name_of(owner, function)


def descriptors_from_vfuncs(api):
    """A virtual function that throws in a script returns 0, so it must return success and not a number."""
    for owner, function in api.functions:
        if function.tag == CORE + 'virtual-method' and type_name(function.find(CORE + 'return-value')) not in (
                'none', 'gboolean'):
            yield name_of(owner, function)


def misleading_names(api):
    """The scanner and vapigen take a name with the ending of a type function for such a function."""
    for owner, function in api.functions:
        symbol = function.get(C + 'identifier') or ''
        if symbol.endswith(('_get_type', '_get_gtype')):
            yield symbol


def incomplete(api):
    """Each parameter and result must have a transfer, and each callback a scope."""
    for owner, function in api.functions:
        for value in values(function):
            scope = value.get('scope')
            if value.get('transfer-ownership') is None:
                yield name_of(owner, function)
            if type_name(value).endswith('Func') and (scope is None or scope == 'call'):
                yield name_of(owner, function)


def missing_finish(api):
    names = {name_of(owner, function) for owner, function in api.functions}
    for name in names:
        if name.endswith('_async') and name[:-len('async')] + 'finish' not in names:
            yield name


RULES = (full_pointer_arrays, boxed_pointer_arrays, odd_arrays, boxed_in_callbacks, descriptors_from_vfuncs, misleading_names, incomplete,
         missing_finish)

# An API that violates each rule.
BAD = '''<repository xmlns="http://www.gtk.org/introspection/core/1.0" xmlns:c="http://www.gtk.org/introspection/c/1.0"
  xmlns:glib="http://www.gtk.org/introspection/glib/1.0"><namespace name="Bad">
  <record name="Event"/><bitfield name="Mask"/>
  <class name="Thing">
    <method name="full_pointer_arrays"><return-value transfer-ownership="full"><array name="GLib.PtrArray">
      <type name="Thing"/></array></return-value></method>
    <method name="boxed_pointer_arrays"><return-value transfer-ownership="container"><array name="GLib.PtrArray">
      <type name="Event"/></array></return-value></method>
    <method name="odd_arrays"><return-value transfer-ownership="full"><array><type name="Mask"/></array></return-value></method>
    <method name="odd_arrays"><return-value transfer-ownership="none"><array><type name="Event"/></array></return-value></method>
    <virtual-method name="boxed_in_callbacks"><return-value transfer-ownership="none"><type name="none"/></return-value>
      <parameters><parameter name="event" transfer-ownership="none"><type name="Event"/></parameter></parameters>
    </virtual-method>
    <glib:signal name="boxed_in_callbacks"><return-value transfer-ownership="none"><type name="none"/></return-value>
      <parameters><parameter name="all" transfer-ownership="none"><array name="GLib.PtrArray"><type name="Event"/></array>
      </parameter></parameters></glib:signal>
    <virtual-method name="descriptors_from_vfuncs"><return-value transfer-ownership="none"><type name="gint"/></return-value>
    </virtual-method>
    <method name="misleading_names" c:identifier="misleading_names_get_gtype"><return-value transfer-ownership="none">
      <type name="GType"/></return-value></method>
    <method name="incomplete"><return-value><type name="Event"/></return-value></method>
    <method name="incomplete"><return-value transfer-ownership="none"><type name="none"/></return-value>
      <parameters><parameter name="func" transfer-ownership="none"><type name="Func"/></parameter></parameters></method>
    <method name="missing_finish_async"><return-value transfer-ownership="none"><type name="none"/></return-value></method>
  </class>
  <callback name="boxed_in_callbacks"><return-value transfer-ownership="none"><type name="none"/></return-value>
    <parameters><parameter name="event" transfer-ownership="none"><type name="Event"/></parameter></parameters></callback>
</namespace></repository>'''


def compare(gir, list_api, reviewed):
    actual = subprocess.run([sys.executable, list_api, gir], stdout=subprocess.PIPE, check=True, encoding='utf-8').stdout
    with open(reviewed, encoding='utf-8') as file:
        yield from difflib.unified_diff(file.read().splitlines(), actual.splitlines(), 'reviewed', 'actual', lineterm='')


def main():
    gir, list_api, reviewed = sys.argv[1:]
    with open(gir, encoding='utf-8') as file:
        api, bad = Api(file.read()), Api(BAD)
    number = failed = 0

    def result(name, complaints):
        nonlocal number, failed
        number += 1
        failed += bool(complaints)
        print('%sok %d /gir/%s' % ('not ' if complaints else '', number, name))
        for complaint in complaints:
            print('#', complaint)

    print('1..%d' % (2 * len(RULES) + 1))
    result('list', list(compare(gir, list_api, reviewed)))
    for rule in RULES:
        result(rule.__name__, list(rule(api)))
        found = list(rule(bad))
        expected = BAD.count(rule.__name__) - (rule is misleading_names)
        result(rule.__name__ + ' is found', [] if len(found) == expected and all(rule.__name__ in name for name in found)
               else ['found %s' % found])

    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
