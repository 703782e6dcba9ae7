"""Scores of runs over several seeds as Markdown tables: mean and spread, and a paired test against the first.

Used by gan_ratio.py; it is no command.
"""

import math

import numpy as np
from scipy import stats

COLUMNS = {
    "l1": "L1",
    "pixel_acc": "pixel acc.",
    "class_acc": "class acc.",
    "miou": "mIoU",
    "small": "small classes' IoU",
    "boundary_f1": "boundary F1",
}
# Thin or small classes, where L1 blurs; by palette.
SMALL_CLASSES = {
    "pole",
    "sign",
    "pedestrian",
    "bicyclist",
    "traffic_light",
    "traffic_sign",
    "person",
    "rider",
}
SMALL_CLASSES |= {"bicycle", "motorcycle", "sill", "deco", "brows", "eyes", "lips", "mouth"}


def spread(values: list[float], digits: int = 3) -> str:
    """Mean, and standard deviation where there are several; a dash where there is no value."""
    if np.isnan(values).all():
        return "-"
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {np.std(values, ddof=1):.{digits}f}"


def paired(values: list[float], against: list[float], digits: int = 3) -> str:
    """Mean difference, p of the paired t-test (two-sided), and "apart" where the two ranges do not overlap."""
    differences = np.subtract(values, against)
    if np.isnan(differences).any():
        return "-"
    text = f"{differences.mean():+.{digits}f}"
    if len(values) < 2:
        return text
    if np.ptp(differences) > 0:  # else there is nothing to test
        text += f", p {stats.ttest_rel(values, against).pvalue:.3f}"
    apart = min(values) > max(against) or max(values) < min(against)
    return text + (", apart" if apart else "")


def with_small(values: dict[str, float]) -> dict[str, float]:
    """The scores with ``small``, the mean IoU of the thin and small classes that there are."""
    small = [values[f"iou_{name}"] for name in sorted(SMALL_CLASSES) if f"iou_{name}" in values]
    there = [value for value in small if not math.isnan(value)]
    return values | ({"small": float(np.mean(there)) if there else math.nan} if small else {})


def tables(found: dict[str, list[dict[str, float]]], logs: dict[str, list[dict[str, float]]]) -> str:
    """The numbers of a split as Markdown: means and spreads, tests against "off", and IoU by class.

    Args:
        found: by ratio, the scores of each seed.
        logs: by ratio, the last epoch's log of each seed.
    """
    found = {ratio: [with_small(values) for values in rows] for ratio, rows in found.items()}
    first = next(iter(found.values()))[0]
    columns = [key for key in COLUMNS if key in first]
    digits = {key: 4 if key == "l1" else 3 for key in columns}
    lines = _table(
        ["GAN : L1", "runs", *(COLUMNS[key] for key in columns), "images/s"],
        [
            [ratio, str(len(rows)), *(spread([row[key] for row in rows], digits[key]) for key in columns)]
            + [spread([log["images_per_s"] for log in logs[ratio]], 1)]
            for ratio, rows in found.items()
        ],
    )
    others = [ratio for ratio in found if ratio != "off"]
    if "off" in found and others:
        lines += ["", "against off, seed by seed:", ""]
        lines += _table(
            ["GAN : L1", *(COLUMNS[key] for key in columns)],
            [
                [ratio]
                + [
                    paired(*([row[key] for row in found[name]] for name in (ratio, "off")), digits[key])
                    for key in columns
                ]
                for ratio in others
                if len(found[ratio]) == len(found["off"])
            ],
        )
    classes = [key for key in first if key.startswith("iou_")]
    if classes:
        names = [key.removeprefix("iou_") for key in classes]
        small = ", ".join(name for name in names if name in SMALL_CLASSES)
        lines += ["", f"small classes: {small}" if small else "no small classes", ""]
        rows = [
            [name, *(spread([row[key] for row in rows]) for rows in found.values())]
            for name, key in zip(names, classes, strict=True)
        ]
        lines += _table(["IoU", *found], rows)
    return "\n".join(lines)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
