"""One picture of many faces and several edits, from folders of edit_faces.py: before, and after each of them.

    python benchmarks/sheet.py pics/instant.jpg output/slim output/smile output/close-eyes output/together

Faces that are in all of the folders, four to a row; an edit that a face does not show has a red frame.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image, ImageDraw

from commandline import UserError, run, write_atomically
from draggan.edit_files import read_records

SIDE, COLUMNS, GAP, QUALITY = 112, 4, 8, 82


def main() -> None:
    if len(sys.argv) < 3 or not sys.argv[1].endswith((".jpg", ".png")):
        raise UserError("name the picture to write (.jpg or .png) and one or more folders of edit_faces.py")
    target, folders = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    records = [{record["id"]: record for record in read_records(folder)} for folder in folders]
    ids = sorted(set.intersection(*(set(found) for found in records)))
    if not ids:
        raise UserError(f"no face is in all of {', '.join(map(str, folders))}")
    width = (len(folders) + 1) * SIDE + GAP
    rows = -(-len(ids) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(ids)) * width - GAP, rows * (SIDE + GAP) - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, face in enumerate(ids):
        x, y = (i % COLUMNS) * width, (i // COLUMNS) * (SIDE + GAP)
        names = [
            folders[0] / f"{face:04d}_before.png",
            *(folder / f"{face:04d}_after.png" for folder in folders),
        ]
        for j, name in enumerate(names):
            if not name.is_file():
                continue
            picture = Image.open(name).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + j * SIDE, y))
            if j and not records[j - 1][face]["ok"]:
                box = (x + j * SIDE, y, x + (j + 1) * SIDE - 1, y + SIDE - 1)
                draw.rectangle(box, outline="red", width=2)
    kind = {"quality": QUALITY, "optimize": True} if target.suffix == ".jpg" else {}
    form = "JPEG" if target.suffix == ".jpg" else "PNG"
    write_atomically(target, lambda temporary: sheet.save(temporary, form, **kind))
    print(f"{target}: {len(ids)} faces, {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run(main)
