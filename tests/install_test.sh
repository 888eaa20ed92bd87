#!/bin/sh
# An installed podsim finds its catalogue and runs from any folder. usage: install_test.sh BUILD_FOLDER SCENARIO
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --prefix "$prefix" >/dev/null
cd /
"$prefix/bin/podsim" list models | grep -q palm-540b
"$prefix/bin/podsim" run "$prefix/share/podsim/scenarios/$2" --json "$prefix/result.json" | grep -q MFU
grep -q '"status": "ok"' "$prefix/result.json"
"$prefix/bin/podsim" run "$prefix/share/podsim/scenarios/$2" | grep -q 'validated TPU v4: [1-9]'
"$prefix/bin/podsim" check "$prefix/share/podsim/none.json" 2>&1 | grep -q 'no such file'
for document in bash-completion/completions/podsim zsh/site-functions/_podsim fish/vendor_completions.d/podsim.fish \
  man/man1/podsim.1; do
  grep -q granularity "$prefix/share/$document"
done
