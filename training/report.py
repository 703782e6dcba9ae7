"""What a run finds at its start: printed for the user, and kept in config.json."""

import torch
from accelerate import Accelerator

from pix2pix_dataset import fingerprint
from training.data import Data, evenly
from training.labels import Labels
from training.networks import Networks
from training.palettes import truth_classes


def describe(
    script: str, data: Data, labels: Labels, networks: Networks, accelerator: Accelerator, pictures: int
) -> dict:
    """What was found, as plain values; compare_runs.py reads them.

    Args:
        pictures: how many validation samples are shown.
    """
    palette = labels.palette
    found = {
        "script": script,
        "train_pairs": len(data.train),
        "val_pairs": len(data.val),
        "train_fingerprint": fingerprint(data.train.pairs),
        "val_fingerprint": fingerprint(data.val.pairs),
        "val_samples": [data.val.pairs[i].name for i in evenly(data.val, pictures)],
        "broken": data.train.broken + data.val.broken,
        "palette": palette.name if palette else None,
        "colours": labels.colours,
        "void": palette.void if palette else (),
        "device": str(accelerator.device),
        "processes": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
        "torch": torch.__version__,
        "generator_parameters": sum(p.numel() for p in networks.ema.parameters()),
    }
    if palette:
        outside = truth_classes(data.label_sample, palette)[1]
        found["outside_palette"] = outside.float().mean().item()
    return found


def show(found: dict, data: Data, folder: str) -> None:
    """Say in a few lines what ``describe`` found."""
    print(f"{data.root}: {found['train_pairs']} training and {found['val_pairs']} validation pairs")
    for text in found["broken"]:
        print(f"left out: {text}")
    if found["palette"]:
        print(
            f"palette {found['palette']}: {found['outside_palette']:.2%} of the pixels of "
            f"{len(data.label_sample)} sampled training labels have colours outside it; in validation such "
            "pixels are void"
        )
    else:
        print("no palette fits these labels: L1 is the only measure (see --palette)")
    print(f"run folder {folder}, on {found['device']}, {found['precision']} precision")
