#!/bin/sh
# Installs the project that lies in this folder's parent into /opt/stridefold; run by Dockerfile, apptainer.def and make fresh-test.
#   sh containers/install.sh cpu|cuda
# VERSION is that of the project, whose tags are not among what is copied into a container; empty: the fallback of pyproject.toml.
# TORCH_INDEX names the index with the CPU build of PyTorch; PyPI's build for x86-64 brings CUDA, which is 3 GB more. Empty: pip's own.
set -eu
case "${1:-}" in
  cpu) index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu} ;;
  cuda) index= ;;
  *) echo "containers/install.sh takes cpu or cuda, not '${1:-}'" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
export SETUPTOOLS_SCM_PRETEND_VERSION_FOR_STRIDEFOLD="${VERSION:-}"
python3 -m venv /opt/stridefold
/opt/stridefold/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile --constraint constraints.txt \
  ${index:+--extra-index-url "$index"} '.[mlflow]'
