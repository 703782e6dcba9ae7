#!/usr/bin/env bash
# Fetch a data set into datasets/NAME.
#
#     bash download_dataset.sh facades|cityscapes|camvid|faces|maps|night2day|edges2shoes|edges2handbags
#     bash download_dataset.sh faces --count 2000 --seed 1000    (made here, with our own face generator)
#
# Goes on where it stopped; what it does is in download_dataset.py, which runs on Windows as well.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="$here/.venv/bin/python"
[ -x "$python" ] || python="$(command -v python3 || command -v python)"
exec "$python" "$here/download_dataset.py" "$@"
