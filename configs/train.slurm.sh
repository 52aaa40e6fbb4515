#!/bin/bash
# One training on one GPU of a Slurm cluster, for longer than a job may last.
#
#   sbatch configs/train.slurm.sh
#   sbatch --export=ALL,DARTS_CONFIG=my.toml,DARTS_RUN_NAME=first configs/train.slurm.sh
#
# To be submitted from the copy of the repository, once `uv sync` was run there. The jobs of the array run one after the
# other, all of them with the same command: the first begins the run, each later one goes on with it. Two minutes before its
# time is up, Slurm sends SIGTERM; the step is finished and the state saved. Jobs that come after the end find the run finished,
# and end at once. A job that was preempted, or whose node failed, is queued again and goes on from the last epoch.

#SBATCH --job-name=darts-train
#SBATCH --array=1-7%1
#SBATCH --requeue
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=darts-train-%A-%a.log

set -eu

# exec: SIGTERM reaches darts itself, and not a shell around it. The job sees its own GPU as number 0.
exec .venv/bin/darts train-smp \
    --config-file "${DARTS_CONFIG:-configs/recipe-sentinel2-few-labels.toml}" \
    --run-name "${DARTS_RUN_NAME:-first}" \
    --resume last \
    --num-workers 8 \
    --device 0
