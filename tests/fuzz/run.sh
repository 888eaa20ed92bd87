#!/bin/sh
# Builds the preset `fuzz`, runs every input of corpus/ and regressions/ once, then mutations of them:
#   tests/fuzz/run.sh [SECONDS [SEED]]        20 s from a fixed seed, unless said otherwise
# What goes wrong is written to build/fuzz/findings/; mended, it belongs into regressions/.
set -eu
seconds=${1:-20}
seed=${2:-1}
cd "$(dirname "$0")/../.."
if ! command -v clang++ >/dev/null; then
  echo "skipped: there is no clang++ (Debian's packages clang and libclang-rt-14-dev)"
  exit 77
fi
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
cmake --build --preset fuzz

# Short stacks of allocations, no weighing of the corpus: twice as fast. Few mutations at a time: what is mutated often
# is soon no scenario.
export ASAN_OPTIONS="malloc_context_size=2:quarantine_size_mb=16"
mkdir -p build/fuzz/findings
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
# The target itself takes 10 s of the processor for a hang; -timeout is for what never ends.
fuzz() { # fuzz OPTION... INPUT...
  if ! build/fuzz/podsim_fuzz -seed="$seed" -print_funcs=0 -entropic=0 -mutate_depth=2 -max_len=8192 -timeout=100 \
    -rss_limit_mb=2048 -artifact_prefix=build/fuzz/findings/ -print_final_stats=1 "$@" >build/fuzz/log 2>&1; then
    cat build/fuzz/log
    exit 1
  fi
}

fuzz tests/fuzz/regressions/*
fuzz -max_total_time="$seconds" "$found" tests/fuzz/corpus tests/fuzz/regressions
grep "DONE\|^stat::" build/fuzz/log
