"""One picture of many faces and several edits, from folders of edit_faces.py: before, and after each of them.

    python benchmarks/sheet.py output/slim output/smile output/close-eyes output/together --seeds 0-31

Faces that are in all of the folders, some to a row; an edit that a face does not show has a red frame.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image, ImageDraw

from common.commandline import UserError, option, parse, parse_seeds, run, write_atomically
from draggan.edit_files import read_records

GAP, QUALITY = 8, 82


@dataclass
class Options:
    folders: tuple[str, ...] = option((), "of edit_faces.py, one for each edit")
    seeds: str | None = option(None, "faces; None: all that are in each folder")
    output: str = option("pics/instant.jpg", "picture to write, .jpg or .png")
    columns: int = option(4, "faces to a row")
    side: int = option(112, "of each picture, pixels")


def main() -> None:
    options = parse(Options, __doc__)
    target, folders = Path(options.output), [Path(name) for name in options.folders]
    if not folders or target.suffix not in (".jpg", ".png"):
        raise UserError("name folders of edit_faces.py, and a picture to write with --output (.jpg or .png)")
    if options.columns < 1 or options.side < 8:
        raise UserError("--columns must be 1 or more and --side 8 or more")
    records = [{record["id"]: record for record in read_records(folder)} for folder in folders]
    ids = sorted(set.intersection(*(set(found) for found in records)))
    if options.seeds is not None:
        wanted = parse_seeds(options.seeds)
        ids = [face for face in ids if face in wanted]
    if not ids:
        raise UserError(f"no such face is in all of {', '.join(map(str, folders))}")
    side, columns = options.side, min(options.columns, len(ids))
    width = (len(folders) + 1) * side + GAP
    rows = -(-len(ids) // columns)
    sheet = Image.new("RGB", (columns * width - GAP, rows * (side + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, face in enumerate(ids):
        x, y = (i % columns) * width, (i // columns) * (side + GAP)
        names = [
            folders[0] / f"{face:04d}_before.png",
            *(folder / f"{face:04d}_after.png" for folder in folders),
        ]
        for j, name in enumerate(names):
            if not name.is_file():
                continue
            picture = Image.open(name).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + j * side, y))
            if j and not records[j - 1][face]["ok"]:
                box = (x + j * side, y, x + (j + 1) * side - 1, y + side - 1)
                draw.rectangle(box, outline="red", width=2)
    kind = {"quality": QUALITY, "optimize": True} if target.suffix == ".jpg" else {}
    form = "JPEG" if target.suffix == ".jpg" else "PNG"
    write_atomically(target, lambda temporary: sheet.save(temporary, form, **kind))
    print(f"{target}: {len(ids)} faces, {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run(main)
