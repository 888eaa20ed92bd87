#!/bin/sh
# What ./run and ./test share: installs the Debian packages that are missing, configures, builds.
# Sourced, in the project's folder; `test_packages` are what only tests need, `preset` is what is built.
set -eu

packages="g++ cmake ninja-build libsimgrid-dev nlohmann-json3-dev libfmt-dev libboost-graph-dev libcli11-dev \
libxxhash-dev libsqlite3-dev libmimalloc-dev catch2 libbenchmark-dev python3-jsonschema"

missing=""
for package in $packages ${test_packages:-}; do
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    *" installed") ;;
    *) missing="$missing $package" ;;
  esac
done
if [ -n "$missing" ]; then
  echo "installing:$missing" >&2
  as_root=""
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  $as_root apt-get update -q >&2
  # shellcheck disable=SC2086 # a list of words
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >&2
fi

build() { # build TARGET...
  [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >&2
  cmake --build --preset "$preset" --target "$@" >&2
}
