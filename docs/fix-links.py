#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs gtkdoc-fixxref, and corrects pages that gtk-doc writes.

meson calls this program instead of gtkdoc-fixxref. gtkdoc-fixxref writes links to GLib's manual that are only right in
the directory in which the distribution installs all manuals; they lead to the web site instead. The links of "Since"
name an anchor that gtk-doc does not write. "[skip]", which is for bindings, says nothing to a reader. The licence of a
program is left out of its listing.
"""

import glob
import os
import re
import subprocess
import sys

LINK = re.compile(r'href="(?:\.\.|/[^"]*/gtk-doc/html)/(glib|gobject|gio)/([^"#]*)(?:#([^"]*))?"')
SKIP = re.compile(r'<p><span class="annotation">\[<acronym [^>]*><span class="acronym">skip</span></acronym>\]</span></p>'
                  '\n')


LICENCE = r'[^\n]*SPDX-License-Identifier[^\n]*\n\n?'
PLAIN = re.compile(r'(<pre class="programlisting">(?:#![^\n]*\n)?)' + LICENCE)
NUMBERED = re.compile(r'(class="listing_lines"[^>]*><pre>)([\d\n]+)(</pre></td>\s*<td class="listing_code">'
                      r'<pre class="programlisting">)(' + LICENCE + ')')


def web_site(match):
    """Returns the address that searches the web site for the symbol of a link, or of its front page for other pages."""
    module, page, anchor = match.groups()
    if not anchor and page.startswith(module + '-'):
        return 'href="https://docs.gtk.org/%s/"' % module
    symbol = re.sub(':CAPS$|-struct$', '', anchor or page[:-len('.html')]).replace('-', '_')
    return 'href="https://docs.gtk.org/%s/?q=%s"' % (module, symbol)


def without_licence(match):
    """Returns the beginning of a listing without the licence, and without as many of the numbers of its lines."""
    before, numbers, between, licence = match.groups()
    return before + '\n'.join(numbers.split()[:-licence.count('\n')]) + between


def main():
    subprocess.run(['gtkdoc-fixxref'] + sys.argv[1:], check=True)
    directory = next(word.split('=', 1)[1] for word in sys.argv if word.startswith('--module-dir='))
    for page in glob.glob(os.path.join(directory, '*.html')):
        with open(page, encoding='utf-8') as f:
            text = f.read()
        text = PLAIN.sub(r'\1', NUMBERED.sub(without_licence, SKIP.sub('', text)))
        with open(page, 'w', encoding='utf-8') as f:
            f.write(LINK.sub(web_site, text).replace('.html#api-index-1.0"', '.html"'))


main()
