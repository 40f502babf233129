#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the library and its tests in another way and runs them, or analyzes the code with a tool. Prints TAP.
# usage: checks.sh CHECK SOURCE-DIR BUILD-DIR
# CHECK is sanitizers, threads, valgrind, helgrind, coverage, hardened, 32bit, many, busy, cppcheck, clang-tidy, fuzz,
# musl or without.
# SEL_TEST_FUZZ_SECONDS is the duration of each fuzzer in seconds. The default is 10.

check=$1
source=$2
build=$3/checks/$check
failures=

# Introspection is off: it takes time, and the sanitizers cannot load the typelib.
set_up ()
{
  [ -f "$build/build.ninja" ] || meson setup "$build" "$source" \
    -Dintrospection=disabled -Dexamples=false -Dwerror=true "$@" || failures="$failures configuring"
}

skip ()
{
  echo 1..1 >&3
  echo "ok 1 - $check # SKIP $*" >&3
  exit 0
}

need ()
{
  command -v "$1" > /dev/null 2>&1 || skip "missing tool $1"
}

# Sets $programs. A name stands for the program test-NAME and for the programs test-NAME-*, which test other parts of
# the same subject.
find_programs ()
{
  programs=
  for name in "$@"; do
    found=
    for file in "$source/tests/test-$name.c" "$source/tests/test-$name"-*.c; do
      [ -e "$file" ] || continue
      found=yes
      program=tests/$(basename "$file" .c)
      case " $programs " in
        *" $program "*) ;;
        *) programs="$programs $program" ;;
      esac
    done
    [ -n "$found" ] || failures="$failures $name"
  done
}

# Runs the programs in $build. The environment may be set before.
run_programs ()
{
  for program in $programs; do
    (cd "$build" && $wrapper "./$program" --tap) || failures="$failures ${program#tests/test-}"
  done
}

# Builds the named tests and runs them.
run_tests ()
{
  find_programs "$@"
  # shellcheck disable=SC2086
  ninja -C "$build" $programs || { failures="$failures building"; return; }
  run_programs
}

exec 3>&1
wrapper=
# For test-interleavings in other builds. The build itself runs its pairs over each mechanism.
export SEL_TEST_PAIRS=epoll
export G_DEBUG=fatal-criticals,gc-friendly G_SLICE=always-malloc G_TEST_SRCDIR="$source/tests"

# Builds targets with the sanitizers. check_fuzz and check_sanitizers share a build directory, and build one after the
# other. -fno-sanitize=function: GLib programs often pass a function as a GDestroyNotify that takes another pointer
# type.
build_with_sanitizers ()
{
  need clang
  need flock
  build=${build%/*}/sanitizers
  {
    flock 9
    CC=clang set_up -Db_sanitize=address,undefined -Db_lundef=false -Dfuzzers=true \
      -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize=function'
    ninja -C "$build" "$@" || failures="$failures building"
  } 9> "$build.lock"
}

check_sanitizers ()
{
  find_programs async backend callbacks contract core dispatch faults hangup interleavings key-table lifecycle \
    main-context mirror misuse model notify objects pause properties ready-list reentrancy registry security selector \
    simulated source state stress timeout wait wakeup
  # shellcheck disable=SC2086
  build_with_sanitizers $programs
  [ -n "$failures" ] \
    || UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_stack_use_after_return=1 run_programs
}

check_fuzz ()
{
  build_with_sanitizers tests/fuzz-operations tests/fuzz-values
  for name in operations values; do
    # New inputs are kept in the build directory, not in the sources.
    mkdir -p "$build/corpus-$name"
    (cd "$build" && ./tests/fuzz-$name -max_total_time="${SEL_TEST_FUZZ_SECONDS:-10}" -max_len=2000 -timeout=30 \
      -print_final_stats=1 "corpus-$name" "$source/tests/fuzz/$name" 2>&1 | sed 's/^/# /'
     [ -z "$(ls | grep -E '^(crash|timeout|leak|oom)-')" ]) || failures="$failures $name"
  done
}

check_threads ()
{
  set_up -Db_sanitize=thread -Db_lundef=false
  TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1 \
    run_tests threads source callbacks async interleavings stress
}

# The programs of the build itself are as good as those of another build.
check_valgrind ()
{
  need valgrind
  suppressions=$(pkg-config --variable=prefix glib-2.0)/share/glib-2.0/valgrind/glib.supp
  build=$3
  wrapper="valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect
    --errors-for-leak-kinds=definite,indirect --error-exitcode=9 --suppressions=$suppressions"
  find_programs core dispatch hangup key-table lifecycle main-context mirror misuse notify objects pause properties \
    ready-list registry state threads wait wakeup
  run_programs
}

# Finds data races with another method than ThreadSanitizer.
check_helgrind ()
{
  need valgrind
  echo '#include <valgrind/helgrind.h>' | ${CC:-cc} -E - > /dev/null || skip "missing tool valgrind/helgrind.h"
  set_up --buildtype=debug -Dc_args="$(pkg-config --cflags glib-2.0) -include $source/tests/helgrind.h"
  wrapper="valgrind --tool=helgrind --fair-sched=try --quiet --error-exitcode=9 --suppressions=$source/tests/helgrind.supp"
  run_tests threads source callbacks
}

# More descriptors than a process usually may have. Runs in user-mode Linux if the limit of this process is too low.
check_many ()
{
  n_files=100000
  backends='epoll poll select'
  if [ "${SEL_TEST_LOAD-}" = long ]; then
    n_files=200000
    backends="$backends kqueue devpoll"
  fi

  # In user-mode Linux the script is process 1, and has to halt the machine.
  mkdir -p "$build"
  cat > "$build/run" << EOF
#!/bin/sh
[ \$\$ -ne 1 ] || mount -t proc proc /proc
ulimit -n $((n_files + 1000)) && for backend in $backends; do
  echo "# $n_files: \$backend"
  SEL_TEST_LOAD=$n_files "$3/tests/test-load" -p /selector/\$backend/churn
done
[ \$\$ -ne 1 ] || { echo o > /proc/sysrq-trigger; sleep 10; }
EOF
  chmod +x "$build/run"

  if (ulimit -n $((n_files + 1000))) 2> /dev/null; then
    "$build/run" > "$build/output" 2>&1
  else
    command -v linux.uml > /dev/null 2>&1 || skip "RLIMIT_NOFILE is $(ulimit -Hn), and there is no user-mode Linux"
    TMPDIR="$build" timeout -k 10 840 linux.uml mem=2G rootfstype=hostfs rootflags=/ ro "init=$build/run" \
      con=null con0=null,fd:1 quiet > "$build/output" 2>&1 < /dev/null
    grep -q "^# $n_files: " "$build/output" || skip "RLIMIT_NOFILE is $(ulimit -Hn), and user-mode Linux does not run"
  fi

  tr -d '\r' < "$build/output" | sed 's/^/# /' | tee "$build/lines"
  for backend in $backends; do
    grep -q "^# ok 1 /selector/$backend/churn$" "$build/lines" || failures="$failures $backend"
  done
  [ "$(grep -c "^# # $n_files descriptors" "$build/lines")" -eq "$(echo "$backends" | wc -w)" ] \
    || failures="$failures number"
  grep -E '^# (ok|# .* descriptors)' "$build/lines" >&3
}

# Runs programs of the build itself on a busy machine, with settings of other users: a low limit of open files, no core
# files, private files, another time zone. No test may depend on these.
check_busy ()
{
  build=$3
  busy=
  for _ in 1 2 3 4; do
    timeout 600 sh -c 'while :; do :; done' &
    busy="$busy $!"
  done
  ulimit -S -n 256
  ulimit -c 0
  umask 077
  export TZ=Pacific/Chatham LC_ALL=C
  find_programs async backend-waits callbacks consistency core-wait selector situations source threads
  run_programs
  # shellcheck disable=SC2086
  kill $busy
}

check_coverage ()
{
  need gcovr
  set_up --buildtype=debug -Db_coverage=true
  find "$build" -name '*.gcda' -exec rm -f {} +
  run_tests async backend callbacks contract core debug dispatch faults fork found hangup ignored key-table \
    lifecycle main-context mirror misuse model notify objects pause properties ready-list registry security selector \
    simulated source state threads timeout version wait wakeup
  cd "$build" || return
  gcovr -r "$source" -f "$source/sel-glib/" . --print-summary --fail-under-line 97 \
    --fail-under-branch 90 > "$build/coverage.txt" || failures="$failures coverage"
  cat "$build/coverage.txt"
  grep -E '^(lines|branches):' "$build/coverage.txt" | sed 's/^/# /' >&3
}

# The compiler options of distributions, and more warnings. -Wnull-dereference is left out: it warns of each lookup of a
# key that is known to exist, in a dozen places, and each warning is wrong.
check_hardened ()
{
  set_up --buildtype=release -Dwarning_level=3 \
    -Dc_args='-D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection -Wno-pedantic -Wduplicated-cond
      -Wduplicated-branches -Wlogical-op -Wdate-time -Wformat-signedness -Wstrict-overflow=2'
  run_tests core backend selector simulated objects
}

# In 32 bits, with 64-bit times, if 32-bit libraries are available; see CONTRIBUTING.md.
check_32bit ()
{
  root=${SEL_TEST_I386_ROOT-}
  [ -n "$root" ] || skip "SEL_TEST_I386_ROOT does not name a directory with libraries for 32 bits"
  libraries=$root/usr/lib/i386-linux-gnu
  gcc=$root/usr/lib/gcc/i686-linux-gnu/$(gcc -dumpversion)
  loader=$root/lib/ld-linux.so.2
  [ -e "$loader" ] && [ -d "$gcc" ] || skip "SEL_TEST_I386_ROOT has no C library, or none for this compiler"
  "$loader" --version || skip "this system does not run 32-bit programs"

  mkdir -p "$build"
  cat > "$build.ini" <<EOF
[binaries]
c = ['gcc', '-m32', '--sysroot=$root', '-B$gcc', '-B$libraries', '-L$gcc', '-L$libraries']
ar = 'ar'
strip = 'strip'
pkgconfig = 'pkg-config'
[host_machine]
system = 'linux'
cpu_family = 'x86'
cpu = 'i686'
endian = 'little'
[properties]
needs_exe_wrapper = false
sys_root = '$root'
pkg_config_libdir = '$libraries/pkgconfig:$root/usr/share/pkgconfig'
[built-in options]
c_link_args = ['-Wl,-rpath-link,$libraries', '-Wl,--dynamic-linker=$loader']
EOF
  set_up --cross-file "$build.ini" -Dc_args='-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64'
  wrapper="env LD_LIBRARY_PATH=$libraries:$root/lib/i386-linux-gnu"
  # Without security: a set-user-ID program ignores LD_LIBRARY_PATH.
  run_tests abi async backend callbacks consistency contract core debug fork key-table main-context misuse model \
    objects properties selector simulated source threads timeout version wakeup
}

# Compiles the library and the tests against the headers of another C library, with the headers of this system's GLib.
# There is no GLib to link with.
check_musl ()
{
  need musl-gcc
  CC=musl-gcc set_up --buildtype=plain
  # The declarations of the types are generated.
  ninja -C "$build" sel-glib/sel-enum-types.h || failures="$failures types"
  # shellcheck disable=SC2046
  ninja -C "$build" $(ninja -C "$build" -t targets all | sed -n 's/^\(\(sel-glib\|tests\)\/.*\.o\): .*/\1/p') \
    || failures="$failures compiling"
}

# Builds without functions and variables that not every system has, and runs the C programs. Linux has no kqueue1 (),
# but the simulator has. The library does not use accept4 (). With SEL_TEST_LOAD=long, each is also hidden by itself; no
# program runs longer for that. Left out are ignored, load and situations: each takes more than 20 seconds, and others
# reach all the code of the library that depends on what is hidden.
check_without ()
{
  all='epoll_pwait2 eventfd kqueue1 __libc_single_threaded pipe2 ppoll'
  left_out=' ignored load situations '
  one_by_one=
  [ "${SEL_TEST_LOAD-}" != long ] || one_by_one=$all
  unset SEL_TEST_LOAD SEL_TEST_MODEL_SECONDS

  names=
  for file in "$source"/tests/test-*.c; do
    name=$(basename "$file" .c)
    name=${name#test-}
    case $left_out in
      *" $name "*) ;;
      *) names="$names $name" ;;
    esac
  done

  # Later, after a change of a meson.build, ninja would make config.h anew.
  set_up --buildtype=debug
  ninja -C "$build" build.ninja || failures="$failures configuring"
  cp "$build/config.h" "$build/config.all"
  echo '#define HAVE_KQUEUE1 1' >> "$build/config.all"
  for hidden in "$all" $one_by_one; do
    cp "$build/config.all" "$build/config.h"
    for name in $hidden; do
      sed -i "/ HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') /d" "$build/config.h"
    done
    # shellcheck disable=SC2086
    run_tests $names
    for name in $hidden; do
      if nm -u "$build/tests/libsel-glib-test.a" | grep -qw "$name"; then
        failures="$failures $name"
      fi
    done
  done
  grep -v HAVE_KQUEUE1 "$build/config.all" > "$build/config.h"
  rm "$build/config.all"
}

check_cppcheck ()
{
  need cppcheck
  # cppcheck does not read GLib's headers, so it does not know their macros.
  cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 --library=gtk \
    --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches --suppress=allocaCalled \
    -DHAVE_EPOLL -DHAVE_POLL -DHAVE_SELECT -DHAVE_EVENTFD -DHAVE_KQUEUE -DHAVE_DEVPOLL \
    -I "$source" -I "$source/sel-glib" "$source/sel-glib" || failures="$failures cppcheck"
}

check_clang_tidy ()
{
  need clang-tidy
  CC=clang set_up
  ninja -C "$build" sel-glib/sel-enum-types.h sel-glib/sel-enum-types.c > /dev/null 2>&1
  # Disabled checks: functions of Annex K of C11 (not in any C library here), stores that g_autoptr reads, sums of
  # flags.
  find "$source/sel-glib" -name '*.c' | xargs -n 3 -P 2 clang-tidy --quiet --warnings-as-errors='*' -p "$build" \
    --checks='-*,clang-analyzer-*,-clang-analyzer-deadcode.DeadStores,-clang-analyzer-security.insecureAPI.*,
      -clang-analyzer-optin.core.EnumCastOutOfRange' \
    || failures="$failures clang-tidy"
}

case $check in
  sanitizers|threads|valgrind|helgrind|coverage|hardened|32bit|many|busy|cppcheck|clang-tidy|fuzz|musl|without)
    mkdir -p "$3/checks"
    "check_$(echo "$check" | tr - _)" "$1" "$2" "$3" > "$3/checks/$check.log" 2>&1
    ;;
  *) echo "Bail out! no such check: $check"; exit 1 ;;
esac

echo 1..1
if [ -z "$failures" ]; then
  echo "ok 1 - $check"
else
  sed 's/^/# /' "$3/checks/$check.log"
  echo "# lines of this log that tell of failures:"
  grep -nE '^not ok|^Bail out|ERROR|[Ee]rror:' "$3/checks/$check.log" | tail -n 20 | sed 's/^/# /'
  echo "not ok 1 - $check:$failures"
  exit 1
fi
