#!/bin/sh
# Builds podsim_fuzz under sanitizers, runs every input of corpus/TARGET and regressions/TARGET once, then mutations of
# them:
#   tests/fuzz/run.sh [TARGET [SECONDS [SEED]]]        all targets, 8 s each, from a fixed seed, unless said otherwise
# What goes wrong is written to build/asan-ubsan/findings/; mended, it belongs into regressions/TARGET.
set -eu
targets=${1:-all}
seconds=${2:-8}
seed=${3:-1}
cd "$(dirname "$0")/../.."
[ "$targets" != all ] || targets=$(ls tests/fuzz/corpus)
if ! command -v clang++ >/dev/null; then
  echo "skipped: there is no clang++ (Debian's packages clang and libclang-rt-14-dev)"
  exit 77
fi
[ -f build/asan-ubsan/build.ninja ] || cmake --preset asan-ubsan
cmake --build --preset fuzz

# Short stacks of allocations, no weighing of the corpus: twice as fast. Few mutations at a time: what is mutated often
# is soon no scenario.
export ASAN_OPTIONS="malloc_context_size=2:quarantine_size_mb=16"
mkdir -p build/asan-ubsan/findings
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM

# A target takes 10 s of the processor for a hang itself; -timeout is for what never ends.
fuzz() { # fuzz TARGET
  mkdir "$TMPDIR/$1"
  inputs=tests/fuzz/corpus/$1
  [ ! -d "tests/fuzz/regressions/$1" ] || inputs="$inputs tests/fuzz/regressions/$1"
  # shellcheck disable=SC2086 # a list of words
  if PODSIM_FUZZ_TARGET=$1 build/asan-ubsan/podsim_fuzz -seed="$seed" -print_funcs=0 -entropic=0 -mutate_depth=2 \
    -max_len=16384 -timeout=600 -report_slow_units=600 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/asan-ubsan/findings/$1-" -max_total_time="$seconds" "$TMPDIR/$1" $inputs \
    >"build/asan-ubsan/$1.log" 2>&1; then
    echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/asan-ubsan/$1.log") inputs"
  else
    tail -n 60 "build/asan-ubsan/$1.log"
    return 1
  fi
}

# As many at a time as there are cores.
failed=0
running=""
for target in $targets; do
  fuzz "$target" &
  running="$running $!"
  # shellcheck disable=SC2086 # a list of words
  set -- $running
  if [ $# -ge "$(nproc)" ]; then
    wait "$1" || failed=1
    shift
    running=$*
  fi
done
for process in $running; do
  wait "$process" || failed=1
done
exit $failed
