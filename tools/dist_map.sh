#!/usr/bin/env bash
# Map with one process per GPU (or, without GPUs, that many CPU processes).
#
# Each process computes its part of the strips; they share nothing but the folder of the map, and the last one to end
# writes it.  When one dies, torchrun starts those of its node again, and each goes on after its last finished strip.
# When a run ends in an error, the same command, also with another number of processes, does what is missing.
set -euo pipefail

if [ $# -lt 3 ]; then
    cat >&2 <<'USAGE'
Usage: tools/dist_map.sh GPUS SRC DST [arguments of tools/map_raster.py]
Environment: NNODES (1), NODE_RANK (0), MASTER_ADDR (127.0.0.1), PORT (29500; both on several nodes only),
    RESTARTS (3, after a process has died), PYTHON (python), OMP_NUM_THREADS (1)
Two nodes: NNODES=2 NODE_RANK=0 MASTER_ADDR=<address of node 0> tools/dist_map.sh 8 ..., the same with NODE_RANK=1 on
    the other; both must see the folder of DST.
USAGE
    exit 2
fi

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${tools%/*}
root=${root%/rsseg/.mim} # installed tools lie in rsseg/.mim
gpus=$1
shift
nodes=(--standalone)
if [ "${NNODES:-1}" != 1 ]; then
    nodes=(--nnodes="$NNODES" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" -m rsseg.engine.torchrun "${nodes[@]}" --nproc_per_node="$gpus" \
    --max-restarts="${RESTARTS:-3}" "$tools/map_raster.py" "$@" --launcher pytorch
