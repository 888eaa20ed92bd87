#!/bin/sh
# The README's GNU parallel line: shards side by side on one machine, then the merge; the table of an undivided run.
#
# Usage: parallel_test.sh PODSIM SOURCE_DIR. Exit code 77: skipped, as GNU parallel is not installed.
set -eu

podsim=$1
study=$2/scenarios/studies/palm-meshes.json
parallel --version 2>/dev/null | grep -q '^GNU parallel' || { echo "skipped: GNU parallel is not installed"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/podsim-parallel-XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cd "$folder"

parallel "$podsim" sweep "$study" --shard {}/3 --db shard-{}.sqlite --workers 1 --quiet ::: 1 2 3 </dev/null 2>parallel.log ||
  { cat parallel.log; exit 1; }
"$podsim" merge shard-*.sqlite --db merged.sqlite
"$podsim" results merged.sqlite >merged.txt
"$podsim" sweep "$study" --db local.sqlite >local.txt 2>/dev/null
cmp local.txt merged.txt
