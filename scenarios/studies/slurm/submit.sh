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
study=$(realpath "$1")
shards=$2
mkdir -p "$3"
folder=$(realpath "$3")
shift 3
podsim=$(command -v "${PODSIM:-podsim}") || { echo "submit.sh: there is no podsim; set PODSIM" >&2; exit 2; }
podsim=$(realpath "$podsim")
export PODSIM_PROGRAM="$podsim" PODSIM_STUDY="$study" PODSIM_SHARDS="$shards" PODSIM_FOLDER="$folder"

# Exit code 3 of a shard: none of its combinations can run, which is a result as well. The quoted scripts expand on the
# nodes, where sbatch has handed on the environment.
array=$(sbatch --parsable --job-name=podsim-sweep --array="1-$shards" --output="$folder/shard-%a.log" "$@" <<'TASK'
#!/bin/sh
"$PODSIM_PROGRAM" sweep "$PODSIM_STUDY" --shard "$SLURM_ARRAY_TASK_ID/$PODSIM_SHARDS" \
  --db "$PODSIM_FOLDER/shard-$SLURM_ARRAY_TASK_ID.sqlite" --workers "${SLURM_CPUS_PER_TASK:-1}" || [ $? -eq 3 ]
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
