#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that the built manual is complete and that every link has a target. Prints TAP.

usage: test-manual.py SOURCE-DIRECTORY DIRECTORY-OF-THE-BUILT-MANUAL
"""

import glob
import html
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

SOURCE, BUILT = map(os.path.abspath, sys.argv[1:3])
DOCS = os.path.join(SOURCE, 'docs')
HTML = os.path.join(BUILT, 'html')
EXAMPLES = os.path.join(SOURCE, 'examples')
PROGRAMS = os.path.join(DOCS, 'snippets'), EXAMPLES, os.path.join(EXAMPLES, 'getting-started')


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def chapters():
    return sorted(set(glob.glob(DOCS + '/*.xml')) - {os.path.join(DOCS, 'sel-glib-docs.xml')})


def without_licence(program):
    return re.sub(r'^.*SPDX-License-Identifier.*\n\n?', '', program, count=1, flags=re.M).strip()


def public_symbols():
    return [line.split()[0] for line in read(SOURCE, 'tests', 'packaging', 'libsel-glib-1.0.symbols').splitlines()]


def sections():
    """Returns the documented symbols of each section, without the standard ones."""
    documented = set()
    for section in re.findall(r'<SECTION>(.*?)</SECTION>', read(DOCS, 'sel-glib-sections.txt'), re.S):
        shown = re.split(r'<SUBSECTION (?:Standard|Private)>', section)[0]
        documented |= set(re.findall(r'^\w+$', shown, re.M))
    return documented


def pages():
    return {os.path.basename(path): read(path) for path in sorted(glob.glob(HTML + '/*.html'))}


def check_coverage():
    """everything that is declared is documented"""
    text = read(BUILT, 'sel-glib-undocumented.txt')
    if '100% symbol docs coverage' not in text or '0 symbols incomplete' not in text:
        yield from text.splitlines()
    for name in 'undeclared', 'unused':
        for symbol in read(BUILT, 'sel-glib-%s.txt' % name).split():
            yield '%s: %s' % (name, symbol)


def check_exports():
    """everything that the library exports is documented"""
    documented = sections()
    for symbol in public_symbols():
        if symbol not in documented and not symbol.endswith('_get_type'):
            yield symbol


def check_since():
    """everything is in the index of the version that brought it"""
    version = '1.0'
    index = read(BUILT, 'xml', 'api-index-%s.xml' % version)
    for symbol in sorted(sections()):
        if not re.search(r'>%s</' % symbol, index) and symbol + '()' not in index and '>%s,' % symbol not in index:
            yield symbol


def check_pages():
    """each page of the guide, the glossary and the indexes are there"""
    built = pages()
    for page in re.findall(r'href="xml/([\w-]+)\.xml"', read(DOCS, 'sel-glib-docs.xml')):
        if not os.path.exists(os.path.join(DOCS, page + '.xml')):
            continue
        name = ElementTree.parse(os.path.join(DOCS, page + '.xml')).getroot().get('id') + '.html'
        if name not in built:
            yield name
    for name in 'annotation-glossary.html', 'api-index-full.html', 'api-index-1-0.html', 'index.html':
        if name not in built:
            yield name
    devhelp = read(HTML, 'sel-glib.devhelp2')
    for symbol in 'sel_base_selector_select\u00a0()', 'SelHangupPolicy', 'Getting started':
        if symbol not in devhelp:
            yield 'Devhelp does not know ' + symbol


def check_links():
    """every link leads to a place that there is"""
    built = pages()
    anchors = {name: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for name, text in built.items()}
    for name, text in built.items():
        for target in re.findall(r'href="([^"]+)"', text):
            if re.search(r'\?q=g(?:lib|object|io)_[A-Z]', target):
                yield '%s: %s looks for the name of a page' % (name, target)
            if re.match(r'\w+:', target):
                continue
            page, _, anchor = target.partition('#')
            page = page or name
            if page not in built:
                if '/' in page or not os.path.exists(os.path.join(HTML, page)):
                    yield '%s: %s' % (name, target)
            elif anchor and anchor not in anchors[page]:
                yield '%s: %s' % (name, target)
        for picture in re.findall(r'<(?:img|object)[^>]*(?:src|data)="([^"]+)"', text):
            if not os.path.exists(os.path.join(HTML, picture)):
                yield '%s: %s' % (name, picture)


def check_names():
    """every name of the library's own is a link, and none is misspelt"""
    known = sections() | set(public_symbols())
    for name, text in pages().items():
        without_code = re.sub(r'<pre.*?</pre>', '', text, flags=re.S)
        for symbol in re.findall(r'[#%](?:Sel\w+|SEL_\w+)', re.sub(r'<[^>]+>', '', without_code)):
            yield '%s: %s was not understood' % (name, symbol)
        plain = html.unescape(re.sub(r'<a\b.*?</a>|<[^>]+>', ' ', without_code, flags=re.S))
        for symbol in re.findall(r'\bsel_\w+(?=\s?\()|\bSel[A-Z]\w+', plain):
            if symbol not in known:
                yield '%s: there is no %s' % (name, symbol)


def check_warnings():
    """gtk-doc had nothing to warn of"""
    for prop in read(BUILT, 'sel-glib.args').split('</ARG>'):
        if '<BLURB>(null)<' in prop:
            yield 'no blurb: ' + prop.strip().splitlines()[1]
    for name, text in pages().items():
        for function in re.findall(r'<code class="function">([a-z]+_\w+)', re.sub(r'<a\b.*?</a>', '', text, flags=re.S)):
            # Since GLib 2.80 its manual is not built with gtk-doc, so gtk-doc cannot resolve links to it.
            if not function.startswith('g_') or glob.glob('/usr/share/gtk-doc/html/glib/*.devhelp2'):
                yield '%s: no link for %s' % (name, function)


def check_annotations():
    """no page shows an annotation that is only for bindings"""
    for name, text in pages().items():
        if name != 'annotation-glossary.html' and '<span class="acronym">skip</span>' in text:
            yield name


def check_commands():
    """commands look different from output"""
    for path in chapters():
        for screen in ElementTree.parse(path).iter('screen'):
            if screen.get('role') not in ('commands', 'output'):
                yield '%s: %s' % (os.path.basename(path), ''.join(screen.itertext()).strip())


def check_licence_lines():
    """no listing begins with a licence, and each line of a listing has its number"""
    for name, text in pages().items():
        if 'SPDX-License-Identifier' in text:
            yield name
        for numbers, code in re.findall(r'class="listing_lines"[^>]*><pre>(.*?)</pre>.*?<pre[^>]*>(.*?)</pre>', text, re.S):
            if numbers.split() != [str(i + 1) for i in range(code.strip('\n').count('\n') + 1)]:
                yield '%s: %d lines' % (name, len(numbers.split()))


def check_programs():
    """each program of the manual is in its page as it is in the tree, without its licence"""
    built = [html.unescape(re.sub(r'<[^>]+>', '', text)) for text in pages().values()]
    found = 0
    for path in chapters():
        for include in ElementTree.parse(path).iter('{http://www.w3.org/2003/XInclude}include'):
            name = os.path.basename(include.get('href'))
            sources = [os.path.join(directory, name) for directory in PROGRAMS
                       if os.path.exists(os.path.join(directory, name))]
            if not sources or not any(without_licence(read(sources[0])) in page for page in built):
                yield '%s of %s is nowhere' % (name, os.path.basename(path))
            found += 1
    if found < 10:
        yield 'there are only %d' % found


def main():
    checks = (check_coverage, check_exports, check_since, check_pages, check_links, check_names, check_warnings,
              check_annotations, check_commands, check_licence_lines, check_programs)
    print('1..%d' % len(checks))
    for number, check in enumerate(checks, 1):
        wrong = list(check())
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, check.__doc__))
        for line in wrong:
            print('# ' + line)


main()
