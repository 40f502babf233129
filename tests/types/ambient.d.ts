// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The types of GJS and of the libraries that the examples use.

import '@girs/gjs';
import '@girs/gjs/dom';
import '@girs/glib-2.0/ambient';
import '@girs/gobject-2.0/ambient';
import '@girs/gio-2.0/ambient';
import '@girs/gio-2.0/import';
