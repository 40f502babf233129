#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the API of a GIR file for other languages, with one line for each function, property and value.

`Sel-1.0.api` is the reviewed list. A test compares it with the GIR. After a change of the API, run
meson compile -C build update-api-list
"""

import sys
import xml.etree.ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'


def is_visible(element):
    return element.get('introspectable') != '0' and element.get('shadowed-by') is None


def name_of(element):
    return element.get('shadows') or element.get('name') or element.get(GLIB + 'name')


def type_of(element):
    """Returns the type of a parameter, a property, a return value or an array element."""
    array = element.find(CORE + 'array')
    if array is not None:
        return '%s[%s]' % ('' if array.get('name') is None else array.get('name') + ' ', type_of(array))
    type_ = element.find(CORE + 'type')
    if type_ is None:
        return '...'
    contained = [type_of(type_)] if type_.find(CORE + 'type') is not None else []
    return type_.get('name') + ''.join(' of ' + name for name in contained)


def describe_parameter(parameter):
    text = parameter.get('name') + ': ' + type_of(parameter)
    if parameter.get('nullable') == '1':
        text += '?'
    words = []
    if parameter.get('direction', 'in') != 'in':
        words += [parameter.get('direction'), 'transfer ' + parameter.get('transfer-ownership')]
    elif parameter.get('transfer-ownership', 'none') != 'none':
        words += ['transfer ' + parameter.get('transfer-ownership')]
    if parameter.get('scope'):
        words.append('scope ' + parameter.get('scope'))
    return text + (' (%s)' % ', '.join(words) if words else '')


def describe_callable(element):
    parameters = element.findall(CORE + 'parameters/' + CORE + 'parameter')
    value = element.find(CORE + 'return-value')
    kind = element.tag[len(CORE):].replace('virtual-method', 'vfunc').replace(GLIB, '')
    text = '%s %s (%s)' % (kind, name_of(element), ', '.join(map(describe_parameter, parameters)))
    if type_of(value) != 'none':
        text += ' -> ' + type_of(value) + ('?' if value.get('nullable') == '1' else '')
        if value.get('transfer-ownership') != 'none':
            text += ' (transfer %s)' % value.get('transfer-ownership')
    if element.get('throws') == '1':
        text += ' throws'
    if element.get('shadows'):
        text += ' = ' + element.get(C + 'identifier')
    return text


def describe_property(element):
    words = ['read'] if element.get('readable') != '0' else []
    words += [word for word, attribute in (('write', 'writable'), ('construct-only', 'construct-only'),
                                           ('construct', 'construct')) if element.get(attribute) == '1']
    return 'property %s: %s (%s)' % (element.get('name'), type_of(element), ', '.join(words))


def describe_type(element):
    kind = element.tag.rpartition('}')[2]
    text = '%s %s' % (kind, name_of(element))
    parent = element.get('parent') or element.get(GLIB + 'error-domain')
    if parent:
        text += ' : ' + parent
    return text + ''.join(' ' + word for word in ('abstract', 'final', 'deprecated') if element.get(word) == '1')


CALLABLES = {CORE + tag for tag in ('constructor', 'function', 'method', 'virtual-method')} | {GLIB + 'signal'}


def list_members(element):
    for member in element:
        if not is_visible(member):
            continue
        if member.tag in CALLABLES:
            yield describe_callable(member)
        elif member.tag == CORE + 'property':
            yield describe_property(member)
        elif member.tag == CORE + 'implements':
            yield 'implements ' + member.get('name')
        elif member.tag == CORE + 'member':
            yield '%s = %s' % (member.get('name').upper(), member.get('value'))
        elif member.tag == CORE + 'field' and element.get('disguised') != '1' and element.tag == CORE + 'record':
            yield 'field ' + member.get('name')


def list_api(path):
    namespace = xml.etree.ElementTree.parse(path).getroot().find(CORE + 'namespace')
    blocks = []

    for element in namespace:
        # Skip the class structures, because the classes list the virtual functions.
        if not is_visible(element) or element.get(GLIB + 'is-gtype-struct-for') or element.get('name', '_')[0] == '_':
            continue
        if element.tag in CALLABLES or element.tag == CORE + 'callback':
            blocks.append([describe_callable(element)])
        elif element.tag == CORE + 'constant':
            blocks.append(['constant %s = %s' % (element.get('name'), element.get('value'))])
        elif element.tag in {CORE + tag for tag in ('class', 'interface', 'record', 'enumeration', 'bitfield')}:
            blocks.append([describe_type(element)] + ['  ' + line for line in list_members(element)])

    return ['%s %s' % (namespace.get('name'), namespace.get('version'))] + [line for block in blocks for line in block]


if __name__ == '__main__':
    print('\n'.join(list_api(sys.argv[1])))
