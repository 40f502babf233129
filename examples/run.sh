#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the library and runs an echo server with 1,000 TCP connections on 127.0.0.1. The client checks every byte.
# usage: sh examples/run.sh [BACKEND [CLIENT-OPTION...]]
# If BUILDDIR is set, it is the build directory; the default is build/.

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"

announce
install_missing
configure
build examples/echo-server examples/echo-client

backend=${1-default}
[ $# -eq 0 ] || shift
bin=$builddir/examples
exec "$top/examples/echo-pair.sh" "$bin/echo-server" "$bin/echo-client" "$backend" "$@"
