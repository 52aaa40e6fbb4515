#!/bin/bash
# A sweep on four GPUs of a Slurm cluster: four runners that share a PostgreSQL database.
#
#   export DARTS_SWEEP_DB=postgresql://darts@dbhost:5432/sweeps     # the password is in ~/.pgpass
#   sbatch configs/sweep.slurm.sh
#
# To be submitted from the copy of the repository, once `uv sync` was run there. All four start the same command: whoever
# comes first makes the sweep, the others join it. When time is up, each puts its trial back; submit it again to go on.

#SBATCH --job-name=darts-sweep
#SBATCH --array=0-3
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=darts-sweep-%A-%a.log

set -eu
: "${DARTS_SWEEP_DB:?is the URL of the database, as in postgresql://darts@dbhost:5432/sweeps}"

# exec: SIGTERM reaches darts itself, and not a shell around it. Each job sees its own GPU as number 0.
exec .venv/bin/darts optuna-sweep-smp \
    --config-file configs/sentinel2.toml \
    --sweep-config configs/sweep.yaml \
    --sweep-id s2-first \
    --n-trials 60 \
    --total-trials 60 \
    --device 0
