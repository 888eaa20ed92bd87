#!/bin/sh
# Sweeps a study with a Slurm job array, one task a shard, and merges the shards in a job that starts when all are done.
#
# Usage: submit.sh STUDY SHARDS FOLDER [SBATCH OPTION...]
#
# FOLDER is on a file system that all nodes see; it gets shard-I.sqlite, the merged study.sqlite and the jobs' logs. The
# program is $PODSIM, or the first podsim of the PATH. A task that is requeued, or an array that is submitted again, goes
# on where it was. Prints the id of the merging job, for squeue and for jobs that depend on it.
set -eu

[ $# -ge 3 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
study=$1 # a name of the catalogue, unless there is such a file
[ ! -e "$1" ] || study=$(realpath "$1")
shards=$2
case $shards in
'' | *[!0-9]* | 0) echo "submit.sh: SHARDS: expected a whole number from 1, found \"$shards\"" >&2; exit 2 ;;
esac
mkdir -p "$3"
folder=$(realpath "$3")
shift 3
podsim=$(command -v "${PODSIM:-podsim}") || { echo "submit.sh: there is no podsim; set PODSIM" >&2; exit 2; }
podsim=$(realpath "$podsim")
# The largest index of an array is one less than Slurm's MaxArraySize; sbatch would say no more than that it is invalid.
limit=$(scontrol show config 2>/dev/null | sed -n 's/^MaxArraySize *= *\([0-9][0-9]*\).*/\1/p')
if [ -n "$limit" ] && [ "$shards" -ge "$limit" ]; then
  echo "submit.sh: $shards shards are more than this Slurm takes in one array, which is $((limit - 1)) (its" \
    "MaxArraySize is $limit); ask for fewer, each of which then sweeps more" >&2
  exit 2
fi
export PODSIM_PROGRAM="$podsim" PODSIM_STUDY="$study" PODSIM_SHARDS="$shards" PODSIM_FOLDER="$folder"

# Exit codes 3 and 70 of a shard: none of its combinations can run, or one of them crashed, which are results as well. The
# quoted scripts expand on the nodes, where sbatch has handed on the environment.
array=$(sbatch --parsable --job-name=podsim-sweep --array="1-$shards" --output="$folder/shard-%a.log" "$@" <<'TASK'
#!/bin/sh
"$PODSIM_PROGRAM" sweep "$PODSIM_STUDY" --shard "$SLURM_ARRAY_TASK_ID/$PODSIM_SHARDS" \
  --db "$PODSIM_FOLDER/shard-$SLURM_ARRAY_TASK_ID.sqlite" --workers "${SLURM_CPUS_PER_TASK:-1}" ||
  case $? in 3 | 70) ;; *) exit 1 ;; esac
TASK
)
sbatch --parsable --job-name=podsim-merge --dependency="afterok:$array" --kill-on-invalid-dep=yes \
  --output="$folder/merge.log" "$@" <<'TASK'
#!/bin/sh
set -e
shard=1
set --
while [ "$shard" -le "$PODSIM_SHARDS" ]; do
  set -- "$@" "$PODSIM_FOLDER/shard-$shard.sqlite"
  shard=$((shard + 1))
done
"$PODSIM_PROGRAM" merge "$@" --db "$PODSIM_FOLDER/study.sqlite"
TASK
