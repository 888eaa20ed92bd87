#!/bin/sh
# An installed podsim finds its catalogue and runs from any folder. usage: install_test.sh BUILD_FOLDER SCENARIO LIBRARY_TEST
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --prefix "$prefix" >/dev/null
cd /
"$prefix/bin/podsim" list models | grep -q palm-540b
"$prefix/bin/podsim" run "$prefix/share/podsim/scenarios/$2" --json "$prefix/result.json" | grep -q MFU
grep -q '"status": "ok"' "$prefix/result.json"
"$prefix/bin/podsim" run "$prefix/share/podsim/scenarios/$2" | grep -q 'validated TPU v4: [1-9]'
# Names that podsim list prints are all that it takes.
for scenario in palm-8b a100/palm-62b faults/palm-540b-dead-link; do
  "$prefix/bin/podsim" list scenarios | grep -q "^$scenario "
  "$prefix/bin/podsim" run "$scenario" | grep -q MFU
done
"$prefix/bin/podsim" validate palm-540b --quiet
"$prefix/bin/podsim" compare palm-pods | grep -q 'Two pods'
"$prefix/bin/podsim" sweep palm-meshes --db "$prefix/s.sqlite" --quiet
printf '{"base": "palm-8b", "name": "mine"}' >"$prefix/mine.json"
"$prefix/bin/podsim" run "$prefix/mine.json" | grep -q mine
"$prefix/bin/podsim" run scenarios/training/palm-540b.json 2>&1 | grep -q 'did you mean "palm-540b"?'
bash -c ". '$prefix/share/bash-completion/completions/podsim'; COMP_WORDS=('$prefix/bin/podsim' run a100/palm-6)
  COMP_CWORD=2; _podsim; printf '%s\n' \"\${COMPREPLY[@]}\"" | grep -qx a100/palm-62b
"$prefix/bin/podsim" check "$prefix/share/podsim/none.json" 2>&1 | grep -q 'no such file'
for document in bash-completion/completions/podsim zsh/site-functions/_podsim fish/vendor_completions.d/podsim.fish \
  man/man1/podsim.1; do
  grep -q granularity "$prefix/share/$document"
done
# The library, from a project of its own.
cmake -G Ninja -S "$3" -B "$prefix/library" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$prefix/library" >"$prefix/log"
grep -q "s a step" "$prefix/log"
! ldd "$prefix/library/uses_podsim" | grep -Eiq "sqlite|simgrid"
