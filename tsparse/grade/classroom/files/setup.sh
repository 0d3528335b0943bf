#!/usr/bin/env bash
# Runs once, when Gradescope builds the image: finds a Python that the course knows, and installs what it needs.
# AUTOGRADER names the folder where it is not /autograder; pip reads its own PIP_... settings.
set -euo pipefail
home=${AUTOGRADER:-/autograder}
export PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL-@TORCH_INDEX@}
export DEBIAN_FRONTEND=noninteractive

find_python() { # sets python to one that fits and can make environments
    for version in 3.13 3.12 3.11; do
        python=$(command -v "python$version") && "$python" -c 'import ensurepip, venv' && return
    done
    return 1
}

if ! find_python; then
    apt-get update
    apt-get install -y python3.12 python3.12-venv || apt-get install -y python3.11 python3.11-venv
    find_python
fi
"$python" -m venv "$home/venv"
"$home/venv/bin/python" -m pip install --disable-pip-version-check --no-cache-dir \
    --requirement "$home/source/requirements.txt" --constraint "$home/source/constraints.txt"
