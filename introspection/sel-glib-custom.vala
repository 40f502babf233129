// SPDX-License-Identifier: LGPL-2.1-or-later

namespace Sel
{
  [CCode (cname = "SEL_WAIT_FOREVER", cheader_filename = "sel-glib/sel-glib.h")]
  public const double WAIT_FOREVER;
}
