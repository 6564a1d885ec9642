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
python=${PYTHON:-python} nnodes=${NNODES:-1} port=${PORT:-}
if [ -z "$port" ]; then
    port=29500
    if [ "$nnodes" = 1 ]; then
        port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
    fi
fi

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$python" -m rsseg.engine.torchrun \
    --nnodes="$nnodes" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
