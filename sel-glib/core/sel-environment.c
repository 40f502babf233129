/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which variables of the environment count? See sel-environment-private.h. */

#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/sel-environment-private.h"

const char *
sel_environment_get (const char *name)
{
#if defined (HAVE_SECURE_GETENV)
  return secure_getenv (name);
#elif defined (HAVE_ISSETUGID)
  return issetugid () ? NULL : getenv (name);
#else
  return geteuid () != getuid () || getegid () != getgid () ? NULL : getenv (name);
#endif
}
