#!/bin/sh
# A study as a job array on a real Slurm: a controller and two nodes on loopback, run by an ordinary user, without munge.
# The merged table must be a local run's, byte for byte.
#
# Usage: slurm_test.sh PODSIM SOURCE_DIR. Exit code 77: skipped, as Slurm is not installed or cannot run.
set -eu

podsim=$1
source=$2
for program in slurmctld slurmd sbatch squeue scontrol; do
  command -v "$program" >/dev/null || PATH=$PATH:/usr/sbin
  command -v "$program" >/dev/null || { echo "skipped: $program is not installed (Debian: slurm-wlm)"; exit 77; }
done

# An ordinary user is the usual case; root becomes nobody, unless nobody may not look into root's checkout.
as_nobody="setpriv --reuid=nobody --regid=nogroup --clear-groups"
if [ "$(id -u)" -eq 0 ] && $as_nobody test -x "$podsim" -a -x "$0"; then
  exec $as_nobody env HOME=/nonexistent TMPDIR=/tmp "$0" "$podsim" "$source"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/podsim-slurm-XXXXXX")
daemons=""
clean() {
  code=$?
  trap - EXIT
  if [ "$code" -ne 0 ] && [ "$code" -ne 77 ]; then
    tail -n 15 "$folder"/*.log "$folder"/out/*.log 2>/dev/null || true
  fi
  # shellcheck disable=SC2086 # a list of process ids
  [ -z "$daemons" ] || kill $daemons 2>/dev/null || true
  wait
  rm -rf "$folder"
  exit "$code"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

# Ports that nobody listens on: others may run the same test on this machine.
ports=$(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
)
# shellcheck disable=SC2086
set -- $ports
user=$(id -un)
mkdir "$folder/state" "$folder/spool-a" "$folder/spool-b" "$folder/out"
cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$1
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/linear
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
NodeName=a NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$2 CPUs=1
NodeName=b NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$3 CPUs=1
PartitionName=all Nodes=a,b Default=YES MaxTime=10 State=UP
CONF
export SLURM_CONF="$folder/slurm.conf"

slurmctld -D 2>>"$folder/daemons.log" &
daemons="$daemons $!"
for node in a b; do
  slurmd -D -N "$node" 2>>"$folder/daemons.log" &
  daemons="$daemons $!"
done

await() { # await SECONDS WHAT COMMAND...
  left=$(($1 * 5)) what=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "$what: not within the time that the test gives it"; exit 1; }
    sleep 0.2
  done
}
nodes_idle() { [ "$(sinfo -h -N -o %T 2>/dev/null | grep -c '^idle')" -eq 2 ]; }
queue_empty() { [ -z "$(squeue -h 2>/dev/null)" ]; }
# Debian's slurmd wants a cgroup file system, which a bare chroot has not.
no_cgroups() { grep -qs "Unable to initialize cgroup plugin" "$folder"/slurmd-*.log; }
idle_or_never() { no_cgroups || nodes_idle; }
await 60 "two idle nodes" idle_or_never
if no_cgroups; then
  echo "skipped: slurmd finds no cgroup file system"
  exit 77
fi

study="$source/scenarios/studies/palm-meshes.json"
cd "$folder/out"
merging=$(PODSIM=$podsim "$source/scenarios/studies/slurm/submit.sh" "$study" 3 "$folder/out")
echo "submitted; job $merging merges"
await 120 "an empty queue" queue_empty
state=$(scontrol show job "$merging" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p')
[ "$state" = COMPLETED ] || { echo "the merging job ended as $state"; exit 1; }

"$podsim" sweep "$study" --db "$folder/local.sqlite" --csv "$folder/local.csv" >"$folder/local.txt" 2>/dev/null
"$podsim" results "$folder/out/study.sqlite" --csv "$folder/merged.csv" >"$folder/merged.txt"
cmp "$folder/local.txt" "$folder/merged.txt"
cmp "$folder/local.csv" "$folder/merged.csv"
echo "the merged table is the local one"
