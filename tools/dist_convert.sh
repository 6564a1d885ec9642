#!/usr/bin/env bash
# Convert with one process per GPU (or, without GPUs, that many CPU processes).
#
# The processes share nothing but the output folder: no process group, no waiting for each other.  When one dies,
# torchrun starts those of its node again, and each goes on after its last finished image.  When a run ends in an
# error, the same command, also with another number of processes, does what is missing.
set -euo pipefail

if [ $# -lt 2 ]; then
    cat >&2 <<'USAGE'
Usage: tools/dist_convert.sh CONFIG GPUS [arguments of tools/convert_labels.py]
Environment: NNODES (1), NODE_RANK (0), MASTER_ADDR (127.0.0.1), PORT (29500; both on several nodes only),
    RESTARTS (3, after a process has died), PYTHON (python), OMP_NUM_THREADS (1)
Two nodes: NNODES=2 NODE_RANK=0 MASTER_ADDR=<address of node 0> tools/dist_convert.sh CONFIG 8, the same with
    NODE_RANK=1 on the other; both must see the output folder.
One process by hand, number 3 of 8: RANK=3 WORLD_SIZE=8 LOCAL_RANK=3 python tools/convert_labels.py CONFIG
    --launcher pytorch
USAGE
    exit 2
fi

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${tools%/*}
root=${root%/rsseg/.mim} # installed tools lie in rsseg/.mim
config=$1 gpus=$2
shift 2
nodes=(--standalone)
if [ "${NNODES:-1}" != 1 ]; then
    nodes=(--nnodes="$NNODES" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" -m rsseg.engine.torchrun "${nodes[@]}" --nproc_per_node="$gpus" \
    --max-restarts="${RESTARTS:-3}" "$tools/convert_labels.py" "$config" --launcher pytorch "$@"
