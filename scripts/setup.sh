# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Functions for examples/run.sh and tests/run.sh. Source this file with $top set to the checkout.
# The functions look for the tools and libraries that the build uses, not for packages. If all of them are available,
# nothing is installed and no network is needed.

# shellcheck disable=SC2154
case ${BUILDDIR:=$top/build} in
  /*) builddir=$BUILDDIR ;;
  *) builddir=$PWD/$BUILDDIR ;;
esac

say ()
{
  printf '%s\n' "$*" >&2
}

die ()
{
  say "error: $*"
  exit 1
}

have ()
{
  command -v "$1" > /dev/null 2>&1
}

have_compiler ()
{
  for compiler in "${CC:-cc}" gcc clang; do
    # shellcheck disable=SC2086
    printf '#include <stdio.h>\nint main (void) { return 0; }\n' \
      | $compiler -x c -o /dev/null - > /dev/null 2>&1 && return 0
  done
  return 1
}

have_module ()
{
  ${PKG_CONFIG:-pkg-config} --exists "$1" > /dev/null 2>&1
}

have_python_gi ()
{
  for python in python3 /usr/bin/python3; do
    "$python" -c 'import gi' > /dev/null 2>&1 && return 0
  done
  return 1
}

# Checks for the headers with which the C part of the override for Python is built.
have_python_headers ()
{
  [ -f "$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2> /dev/null)/Python.h" ] \
    && have_module 'pygobject-3.0 >= 3.42'
}

# Checks for what builds and installs a Python wheel without a network.
have_wheel_tools ()
{
  /usr/bin/python3 -c 'import mesonpy, pip, venv, ensurepip' > /dev/null 2>&1
}

have_lua_gi ()
{
  for lua in lua5.4 lua5.3 lua5.1 lua; do
    "$lua" -e 'assert(require "lgi")' > /dev/null 2>&1 && return 0
  done
  return 1
}

# Prints the packages that are needed to build the Debian packages. A test builds them.
missing_for_packages ()
{
  have apt-get || return 0
  have lintian || echo lintian
  if have dpkg-checkbuilddeps; then
    dpkg-checkbuilddeps "$top/debian/control" 2>&1 \
      | sed -n 's/.*[Uu]nmet build dependencies: //p' | sed 's/([^)]*)//g; s/:[a-z]*//g'
  else
    echo dpkg-dev
  fi
}

# Checks for the runtime libraries of clang's sanitizers and fuzzers. Debian 13 has them in a separate package.
have_sanitizers ()
{
  printf 'int LLVMFuzzerTestOneInput (const unsigned char *d, unsigned long n) { return !d && n; }\n' \
    | clang -fsanitize=address,undefined,fuzzer -x c -o /dev/null - > /dev/null 2>&1
}

# Prints the package of these libraries, or nothing if clang is not installed yet.
sanitizers_package ()
{
  have clang && clang -dumpversion | sed 's/\..*//; s/.*/libclang-rt-&-dev/'
}

# Checks for CPython's own tests of the selectors and asyncio modules.
have_python_tests ()
{
  /usr/bin/python3 -c 'import test.test_selectors, test.test_asyncio' > /dev/null 2>&1
}

# Prints the package of these tests. Its name contains the version of Python, so Python must be installed.
python_tests_package ()
{
  /usr/bin/python3 -c 'import sys; print("libpython%d.%d-testsuite" % sys.version_info[:2])' 2> /dev/null
}

# Prints the Debian packages of the missing tools and libraries without which nothing can be built.
missing ()
{
  have meson || echo meson
  have ninja || have ninja-build || have samu || echo ninja-build
  have_compiler || echo gcc libc6-dev
  have "${PKG_CONFIG:-pkg-config}" || echo pkg-config
  have_module 'gio-unix-2.0 >= 2.74' || echo libglib2.0-dev
  { have g-ir-scanner && have g-ir-compiler; } || echo gobject-introspection
  have_module gobject-introspection-1.0 || echo libgirepository1.0-dev
}

# The same for what only the tests use. Tests whose tools are missing are skipped.
missing_for_tests ()
{
  have_python_gi || echo python3-gi
  have_python_headers || echo python3-dev python-gi-dev
  have appstreamcli || echo appstream
  have desktop-file-validate || echo desktop-file-utils
  have rpmbuild || echo rpm
  have_wheel_tools || echo patchelf python3-mesonpy python3-pip python3-venv
  have valgrind || echo valgrind
  have gjs || echo gjs
  { have valac && have_module vapigen; } || echo valac
  have_lua_gi || echo lua-lgi lua5.3
  perl -e 'use Glib::Object::Introspection;' > /dev/null 2>&1 || echo libglib-object-introspection-perl
  ruby -e 'require "gobject-introspection"' > /dev/null 2>&1 || echo ruby-gobject-introspection
  have_python_tests || python_tests_package
  have "${CXX:-c++}" || echo g++
  have gtkdoc-scan || echo gtk-doc-tools
  have gnome-desktop-testing-runner || echo gnome-desktop-testing
  missing_for_packages
  have clang || echo clang
  have_sanitizers || sanitizers_package
  have clang-tidy || echo clang-tidy
  have cppcheck || echo cppcheck
  have musl-gcc || echo musl-tools
  have gcovr || echo gcovr
  have_module 'gtk4 >= 4.8' || echo libgtk-4-dev
  have Xvfb || echo xvfb
  have spin || echo spin
  have mypy || echo mypy
  have node || echo nodejs
  have npm || echo npm
  may_have_many_files || have linux.uml || echo user-mode-linux
}

# Checks if a process may open as many files as the test of many descriptors needs. If not, that test runs in user-mode
# Linux.
may_have_many_files ()
{
  [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 201000 ]
}

# Sets $as_root. Fails if this user cannot become root.
find_root ()
{
  as_root=
  [ "$(id -u)" -eq 0 ] && return 0
  as_root=sudo
  have sudo
}

# Fetches the lists of packages, once.
update_lists ()
{
  [ -z "${lists_are_new-}" ] || return 0
  $as_root apt-get update >&2 || say "apt-get update failed; trying with the lists at hand"
  lists_are_new=yes
}

# Prints those of the packages that this release has.
available ()
{
  for package in "$@"; do
    apt-cache show "$package" > /dev/null 2>&1 && echo "$package"
  done
}

# Says at the start how many packages the run installs, and how large they are; with "tests", what the tests need. The
# names of a few packages are known only after others were installed. apt-get tells the sizes only to root.
# shellcheck disable=SC2046,SC2086
announce ()
{
  packages=$({ missing; [ "${1-}" != tests ] || missing_for_tests; } | sort -u)
  { [ -n "$packages" ] && have apt-get && find_root; } || return 0

  update_lists
  say "this run installs at least:"
  $as_root env LC_ALL=C apt-get install --no-install-recommends --assume-no $(available $packages) 2> /dev/null \
    < /dev/null | sed -n 's/.* \([0-9]*\) newly installed.*/  \1 packages with their dependencies/p
        s/^Need to get /  download: /p; s/^After this operation, \(.*\) of additional disk space.*/  on the disk: \1/p' >&2
}

apt_install ()
{
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" < /dev/null >&2
}

# Installs those of the packages that this release has. Prints the reason if that is not possible.
install_packages ()
{
  have apt-get || {
    say "something is missing here that Debian has in these packages: $*"
    return 1
  }
  find_root || {
    packages=$(available "$@" | tr '\n' ' ')
    say "as root, run: apt-get install --no-install-recommends ${packages:-$*}"
    return 1
  }

  update_lists
  packages=$(available "$@" | tr '\n' ' ')
  [ -n "$packages" ] || return 1
  say "installing: $packages"
  # If one package cannot be installed, the others are.
  # shellcheck disable=SC2086
  apt_install $packages || for package in $packages; do
    apt_install "$package"
  done
}

# Installs what a function tells, "missing" or "missing_for_tests". Prints what it still tells after that.
try_to_install ()
{
  # The name of a package may be known only after another package was installed.
  for _ in 1 2; do
    packages=$("$1" | sort -u)
    # shellcheck disable=SC2086
    [ -z "$packages" ] || install_packages $packages || break
  done

  "$1" | sort -u | tr '\n' ' '
}

install_missing ()
{
  packages=$(try_to_install missing)
  [ -z "$packages" ] || die "these packages are missing or too old, and could not be installed: $packages"
}

install_for_tests ()
{
  packages=$(try_to_install missing_for_tests)
  [ -z "$packages" ] || say "some tests are skipped, as these packages are missing: $packages"
}

# Uses an existing build directory, or creates it.
configure ()
{
  if [ -f "$builddir/build.ninja" ]; then
    grep -q "\"source\": \"$top\"" "$builddir/meson-info/meson-info.json" \
      || die "$builddir belongs to another checkout; remove it, or set BUILDDIR"
  else
    meson setup "$builddir" "$top" >&2 || die "could not configure in $builddir"
  fi
}

# An old build directory has to be configured again before it accepts new options. It also has to look again for tools
# that were installed after it was created.
set_options ()
{
  meson configure --clearcache "$builddir" >&2
  meson configure "$builddir" "$@" >&2 \
    || meson setup --reconfigure "$builddir" "$top" "$@" >&2 \
    || die "could not configure in $builddir"
}

# Builds the targets in the arguments, or everything.
build ()
{
  meson compile -C "$builddir" "$@" >&2 || die "could not build in $builddir"
}
