"""Data -> one HTML file: page.html with the style, the scripts in scripts/ and the data put in."""

import datetime
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# placeholder in page.html -> files put in its place
PARTS = {
    "{{style}}": ("vendor/uPlot.min.css", "page.css"),
    "{{script}}": (
        "vendor/uPlot.iife.min.js",
        *(
            f"scripts/{name}.js"  # in this order: each uses what is above it
            for name in ("tools", "tables", "runs", "pictures", "samples", "faces", "start")
        ),
    ),
}


def render(data: dict[str, Any]) -> str:
    """The page. ``data`` are plain values as compare_runs.py collects them, without nan."""
    page = (HERE / "page.html").read_text(encoding="utf-8")
    for mark, files in PARTS.items():
        page = page.replace(mark, "\n".join((HERE / file).read_text(encoding="utf-8") for file in files))
    now = f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    # "<" must not end the script element that holds the data
    values = json.dumps(data | {"made": now}, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
    return page.replace("{{data}}", values)
