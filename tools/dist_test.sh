#!/usr/bin/env bash
# Test with one process per GPU (or, without GPUs, that many CPU processes).
set -euo pipefail

if [ $# -lt 3 ]; then
    cat >&2 <<'USAGE'
Usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
Environment: NNODES (1), NODE_RANK (0), MASTER_ADDR (127.0.0.1), PORT (a free one; 29500 on several nodes),
    PYTHON (python), OMP_NUM_THREADS (1)
USAGE
    exit 2
fi

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${tools%/*}
root=${root%/rsseg/.mim} # installed tools lie in rsseg/.mim
config=$1 checkpoint=$2 gpus=$3
shift 3
nodes=(--standalone) # a free port, which is held from the first moment
if [ "${NNODES:-1}" != 1 ] || [ -n "${PORT:-}" ]; then
    nodes=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" -m rsseg.engine.torchrun "${nodes[@]}" --nproc_per_node="$gpus" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
