#!/usr/bin/env bash
# Map on a Slurm cluster, one task per GPU; a task that dies does not end the others.
#
# The tasks share nothing but the folder of the maps, and the last one to end with a map writes it.  When some have
# died, the same command, also with another number of tasks, does what is missing.
set -euo pipefail

if [ $# -lt 4 ]; then
    cat >&2 <<'USAGE'
Usage: tools/slurm_map.sh PARTITION JOB_NAME SRC DST [arguments of tools/map_raster.py]
Environment: GPUS (8), GPUS_PER_NODE (8, at most GPUS), CPUS_PER_TASK (5), SRUN_ARGS (more arguments for srun),
    PYTHON (python), OMP_NUM_THREADS (1)
An array of jobs instead, each of which starts when there is room: --shard "$SLURM_ARRAY_TASK_ID/N"
USAGE
    exit 2
fi

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${tools%/*}
root=${root%/rsseg/.mim} # installed tools lie in rsseg/.mim
partition=$1 job_name=$2 source=$3 target=$4
shift 4
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
read -ra srun_args <<<"${SRUN_ARGS:-}"

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec srun --partition="$partition" --job-name="$job_name" \
    --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=0 --wait=0 ${srun_args[@]+"${srun_args[@]}"} \
    "${PYTHON:-python}" -u "$tools/map_raster.py" "$source" "$target" --launcher slurm "$@"
