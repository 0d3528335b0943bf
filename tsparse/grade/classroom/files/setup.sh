#!/usr/bin/env bash
# Runs once, when Gradescope builds the image: finds a Python that the course knows, and installs what it needs.
# AUTOGRADER names the folder where it is not /autograder; pip reads its own PIP_... settings.
set -euo pipefail
home=${AUTOGRADER:-/autograder}
export PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL-@TORCH_INDEX@}
export DEBIAN_FRONTEND=noninteractive

find_python() { # sets python to one that fits, is no preview, and can make environments
    for version in 3.12 3.13 3.11; do
        python=$(command -v "python$version") &&
            "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info.releaselevel != "final")' && return
    done
    return 1
}

install_python() { # the first of these that apt has
    apt-get update
    for version in 3.12 3.13 3.11; do
        apt-get install -y "python$version" "python$version-venv" && return
    done
    return 1
}

find_python || { install_python && find_python; } || { # Ubuntu 22.04 has 3.11 only as a preview, too early for PyTorch
    apt-get install -y software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    install_python
    find_python
}
"$python" -m venv "$home/venv"
"$home/venv/bin/python" -m pip install --disable-pip-version-check --no-cache-dir \
    --requirement "$home/source/requirements.txt" --constraint "$home/source/constraints.txt"
cd "$home/source"
"$home/venv/bin/python" -c 'import tsparse.grade.classroom.submitted' # no image is built that cannot grade
