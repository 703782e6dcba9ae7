"""Are the eyes closed? A second opinion on pictures of edit_faces.py, by MediaPipe's attention mesh.

    python3.11 -m venv .venv-judge && .venv-judge/bin/pip install mediapipe==0.10.21 pillow
    .venv-judge/bin/python benchmarks/judge_eyes.py output/close-eyes

An environment of its own, because mediapipe wants numpy below 2. dlib's points read closed lids as half open;
the attention mesh follows them. For each folder: how many faces have an eye opening
(gap of the lids over the width of the eye) of at most 50 % of before, how many of these also kept to all limits
by the folder's own edits.jsonl, and the faces that did not.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLOSED = 0.50
IDENTITY, OUTSIDE = 0.40, 0.03  # of close-eyes, as in draggan/identity.py
EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))  # of the mesh, in iBUG's order


def opening(mesh, path: Path) -> float | None:
    """Eye opening of the face in a picture file, mean of both eyes; None where no face is found."""
    image = np.asarray(Image.open(path).convert("RGB"))
    found = mesh.process(image).multi_face_landmarks
    if not found:
        return None
    points = np.array([(p.x * image.shape[1], p.y * image.shape[0]) for p in found[0].landmark])

    def distance(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    return statistics.mean(
        (distance(e[1], e[5]) + distance(e[2], e[4])) / (2 * distance(e[0], e[3])) for e in EYES
    )


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders or any(not (folder / "edits.jsonl").is_file() for folder in folders):
        sys.exit("error: name folders of edit_faces.py --edit close-eyes, each with its edits.jsonl")
    try:
        from mediapipe import solutions
    except ImportError:
        sys.exit("error: no mediapipe here; the head of this file says how to get it")
    mesh = solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.3
    )
    for folder in folders:
        records = [json.loads(line) for line in (folder / "edits.jsonl").read_text().splitlines()]
        ratios = {}
        for record in records:
            files = [folder / f"{record['id']:04d}_{state}.png" for state in ("before", "after")]
            found = [opening(mesh, file) if file.is_file() else None for file in files]
            ratios[record["id"]] = found[1] / found[0] if all(found) else float("inf")
        closed = [r for r in records if ratios[r["id"]] <= CLOSED]
        within = [
            r
            for r in closed
            if r["ok"] and r["identity_distance"] <= IDENTITY and r["outside_change"] <= OUTSIDE
        ]
        print(f"{folder}: {len(records)} faces, median {statistics.median(ratios.values()):.2f} of before")
        print(f"  at most {CLOSED:.0%}: {len(closed)} ({len(closed) / len(records):.0%})")
        print(f"  ... and within the limits: {len(within)} ({len(within) / len(records):.0%})")
        failed = [f"{i} ({ratio:.2f})" for i, ratio in ratios.items() if ratio > CLOSED]
        if failed:
            print(f"  above: {', '.join(failed)}")


if __name__ == "__main__":
    main()
