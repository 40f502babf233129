#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a test in Node.js with node-gtk, which comes from the npm registry and is kept in the work directory. Prints TAP.
# usage: run-node.sh SCRIPT PACKAGE.JSON WORK-DIRECTORY

script=$1
package=$2
work=$3

skip ()
{
  echo "1..0 # SKIP $*"
  exit 0
}

for tool in node npm; do
  command -v "$tool" > /dev/null 2>&1 || skip "missing: $tool"
done

mkdir -p "$work" || exit 1
if ! cmp -s "$package" "$work/installed.json"; then
  cp "$package" "$work/package.json" || exit 1
  # The package brings its library for several versions of Node.js, so its script, which would build one, is not needed.
  (cd "$work" && npm install --no-audit --no-fund --ignore-scripts --fetch-retries=1) > "$work/npm.log" 2>&1 < /dev/null || {
    sed 's/^/# /' "$work/npm.log"
    skip "the npm registry did not provide the packages of $(basename "$(dirname "$package")")/package.json"
  }
  cp "$package" "$work/installed.json" || exit 1
fi

export NODE_PATH="$work/node_modules"
node -e 'require ("node-gtk")' > "$work/load.log" 2>&1 || {
  sed 's/^/# /' "$work/load.log"
  skip "node-gtk has no library for Node.js $(node --version), or its library cannot be loaded"
}

exec node --expose-gc "$script"
