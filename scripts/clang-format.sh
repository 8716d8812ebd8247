#!/usr/bin/env bash
# Runs clang-format with the given options over all our C++: -i to write, --dry-run -Werror to check.
set -euo pipefail
cd "$(dirname "$0")/.."
find native test bench -name '*.cc' -o -name '*.h' | xargs -r clang-format "$@"
