"""Synthetic output folders for compare_runs.py: training runs with logs and grids, and folders of edited faces."""

import json
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = np.array([(128, 128, 128), (128, 0, 0), (128, 64, 128), (0, 0, 0)], np.uint8)  # the last is void
CLASSES = ("sky", "building", "road")


def make_run(folder: Path, seed: int = 0, epochs: int = 6, every: int = 2, **changes) -> Path:
    """A run folder as a training leaves it: ``epochs`` in the log, a grid for every ``every``-th.

    Args:
        seed: of the numbers; a higher one is better by a little in every score.
        changes: ``status``, ``side``, ``samples`` and ``link`` (a run whose grids are linked instead of made);
            anything else goes into the options, or with ``found_`` before its name into what was found.
    """
    changes = {"status": "finished", "side": 64, "samples": 3, "link": None} | changes
    status, side, samples, link = (changes.pop(name) for name in ("status", "side", "samples", "link"))
    (folder / "val_results").mkdir(parents=True)
    options = {
        "dataset": "datasets/camvid",
        "direction": "AtoB",
        "image_size": side,
        "epochs": epochs,
        "lr": 0.002,
    }
    found = {"script": "train_l1", "val_pairs": 101, "train_pairs": 367, "palette": "camvid", "device": "cpu"}
    found |= {"val_fingerprint": "aaaaaaaaaaaa", "train_fingerprint": "bbbbbbbbbbbb", "void": [[0, 0, 0]]}
    found |= {"val_samples": [f"street_{k}" for k in range(samples)]}
    for name, value in changes.items():
        if name.startswith("found_"):
            found[name.removeprefix("found_")] = value
        else:
            options[name] = value
    (folder / "config.json").write_text(json.dumps({"options": options, "found": found}))
    if status:
        (folder / "status.json").write_text(
            json.dumps({"status": status, "reason": "", "host": "elsewhere", "pid": 1})
        )
    (folder / "training_log.txt").write_text(
        "".join(log_line(e, e % every == 0, seed) for e in range(1, epochs + 1))
    )
    for epoch in range(every, epochs + 1, every):
        grid = folder / "val_results" / f"epoch_{epoch:04d}.png"
        if link:
            grids = sorted((link / "val_results").glob("epoch_*.png"))
            os.link(grids[epoch // every % len(grids)], grid)
        else:
            make_grid(side, samples, seed, 1 - epoch / (epochs + 1)).save(grid, compress_level=1)
    return folder


def log_line(epoch: int, validated: bool, seed: int) -> str:
    """One line as run_folder.format_row writes it; L1 falls and the rest rises with epoch and seed."""
    good = 1 - math.exp(-epoch / 20) * (1 - 0.01 * seed)
    text = f"epoch={epoch} train_l1={0.2 - 0.15 * good:.6f}"
    if validated:
        text += f" val_l1={0.22 - 0.15 * good:.6f} val_pixel_acc={0.5 + 0.4 * good:.6f}"
        text += f" val_class_acc={0.4 + 0.4 * good:.6f} val_miou={0.3 + 0.4 * good:.6f}"
        text += (
            "".join(f" val_iou_{name}={good / (k + 1):.6f}" for k, name in enumerate(CLASSES))
            + " val_iou_sign=nan"
        )
    return text + f" images_per_s={10 + seed / 10:.1f} seconds=20.0\n"


def make_grid(side: int, samples: int, seed: int, wrong: float) -> Image.Image:
    """input | prediction | truth with 4 white pixels between; predictions are off by the fraction ``wrong``."""
    grid = np.full((samples * (side + 4) + 4, 3 * (side + 4) + 4, 3), 255, np.uint8)
    for row in range(samples):
        truth = np.repeat((np.arange(side) * 4 // side)[:, None], side, axis=1)
        # sample 0 is where runs of different seeds agree most
        shift = round(wrong * side / 3) + row * seed
        prediction = np.minimum(np.roll(truth, shift, axis=0), 2)
        noise = np.random.default_rng(row).integers(0, 60, (side, side, 3))
        tiles = (COLOURS[truth] // 2 + noise, COLOURS[prediction], COLOURS[truth])
        for column, tile in enumerate(tiles):
            top, left = 4 + row * (side + 4), 4 + column * (side + 4)
            grid[top : top + side, left : left + side] = tile
    return Image.fromarray(grid)


def make_edits(folder: Path, edit: str, seeds: range, failed: tuple[int, ...] = ()) -> Path:
    """A folder as draggan/edit_faces.py leaves it; the "before" of a seed is the same in every folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"edit": edit, "strength": "1.0", "model": "mobile-ffhq"}))
    lines = []
    for seed in seeds:
        ok = seed not in failed
        record = {
            "id": seed,
            "edit": edit,
            "strength": 1.0,
            "ok": ok,
            "reason": "" if ok else f"{edit}: too little",
        }
        record |= {
            "steps": 10 + seed,
            "seconds": 2.0 + seed,
            "landmark_distance_px": 5.0,
            "identity_distance": 0.3,
        }
        record |= {
            "mouth_width_before": 0.6,
            "mouth_width_after": 0.7,
            "mean_distance_px": 6.0,
            "outside_change": 0.01,
        }
        lines.append(json.dumps(record) + "\n")
        Image.new("RGB", (64, 64), (seed * 9 % 256, 120, 60)).save(folder / f"{seed:04d}_before.png")
        red = sum(map(ord, edit)) % 200
        Image.new("RGB", (64, 64), (red, seed * 9 % 256, 200)).save(folder / f"{seed:04d}_after.png")
    (folder / "edits.jsonl").write_text("".join(lines))
    return folder
