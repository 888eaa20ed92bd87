#!/bin/sh
# A sweep as a person sees it, in tmux: a progress bar that fits the window, Ctrl-C, and the same command again.
#   terminal_test.sh PODSIM SOURCE_FOLDER
set -eu
podsim=$1
scenario=$2/scenarios/training/palm-8b.json
if ! command -v tmux >/dev/null || ! [ -e /dev/pts/ptmx ]; then
  echo "skipped: there is no tmux, or no /dev/pts for its terminals"
  exit 77
fi
export LC_ALL=C.UTF-8 # tmux wants one of UTF-8
folder=$(mktemp -d)
tmux() { command tmux -S "$folder/socket" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null || true; rm -rf "$folder"' EXIT
screen() { tmux capture-pane -p -J; } # long lines as one
fail() {
  echo "$1; the screen:"
  screen
  exit 1
}
wait_for() { # wait_for PATTERN: until a line of the screen has it, or nothing has changed on it for a minute
  tries=0
  before=""
  until now=$(screen) && echo "$now" | grep -q "$1"; do
    [ "$now" = "$before" ] || tries=0
    before=$now
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "there is no \"$1\""
    sleep 0.1
  done
}

cat >"$folder/study.json" <<STUDY
{ "schema_version": 1, "name": "many links", "scenario": "$scenario", "metrics": ["step_time", "mfu"],
  "axes": [{ "path": "machine.ici.link_bandwidth", "range": { "from": 10, "to": 9009, "step": 1, "unit": "GB/s" } }] }
STUDY

tmux new-session -d -x 50 -y 20 "cd '$folder' && PS1='$ ' exec sh"
tmux send-keys "'$podsim' sweep study.json --top 2" Enter
wait_for '^sweeping \[#*\.*\] [1-9][0-9]*/9000, [0-9.]*/s, [0-9]* s left$' # on one line, or more would be left of it
tmux send-keys C-c
wait_for '^podsim: interrupted: [0-9]* of 9000 scenarios are stored in study.sqlite; the same command again'
wait_for '^\$ *$'
! screen | grep -q 'sweeping \[' || fail "the bar was not wiped off"

tmux resize-window -x 100 -y 20
tmux send-keys "clear; '$podsim' sweep study.json --top 2; echo ended with \$?" Enter
wait_for '^podsim: study.sqlite: [0-9]* of 9000 scenarios are still to be simulated'
wait_for '^ended with 0'
screen | grep -q '^  9000 combinations: 9000 ran' || fail "the table does not count all"
[ "$(screen | grep -c 'GB/s ')" = 2 ] || fail "--top 2 has not two rows"
