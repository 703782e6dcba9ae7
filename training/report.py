"""What a run finds at its start: printed for the user, and kept in config.json."""

import dataclasses

import torch
from accelerate import Accelerator

from training.data import Data, evenly
from training.labels import Labels
from training.networks import Networks
from training.pairs import fingerprint
from training.palettes import Palette, class_shares, truth_classes
from training.survey import Survey


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
        "labels": data.survey.kind,
        "why": data.survey.why,
        "input": data.input.kind,
        "scaling": str(data.train.scaling),
        "palette": palette.name if palette else None,
        "classes": list(palette.classes) if palette else [],
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
        if labels.weights is not None:
            weights = dict(zip(labels.colours, labels.weights.tolist(), strict=False))
            known = {name: tuple(map(float, colour)) for name, colour in palette.classes.items()}
            found["class_weights"] = {name: weights[c] for name, c in known.items() if c in weights}
    return found


def show(found: dict, data: Data, folder: str) -> None:
    """Say in a few lines what ``describe`` found."""
    print(f"{data.root}: {found['train_pairs']} training and {found['val_pairs']} validation pairs")
    for text in found["broken"]:
        print(f"left out: {text}")
    print(f"labels: {found['labels']} ({found['why']}); input: {found['input']}; pictures {found['scaling']}")
    if found["palette"]:
        classes, void = found["classes"], len(found["void"])
        print(
            f"palette {found['palette']}: {len(classes)} classes ({', '.join(classes[:8])}{', …' * (len(classes) > 8)})"
            f"{f', {void} void' if void else ''}; {found['outside_palette']:.2%} of the pixels of "
            f"{len(data.label_sample)} sampled training labels have colours outside it; in validation such "
            "pixels are void"
        )
        weights = of_training(found.get("class_weights", {}), data.survey, data.palette)
        if len(set(weights.values())) > 1:
            least, most = min(weights, key=weights.get), max(weights, key=weights.get)
            print(
                f"in the loss a pixel counts from {weights[least]:.2f} ({least}) to {weights[most]:.2f} ({most}), see "
                "--balance; config.json has all class_weights"
            )
        for text in data.survey.notes(data.palette):
            print(text)
    else:
        print(
            "no classes are scored; L1, PSNR and SSIM are the measures"
            + (" (--palette none)" if found["labels"] != "picture" else "")
        )
    precision = "fp32" if found["precision"] == "no" else found["precision"]
    print(f"run folder {folder}, on {found['device']}, {precision} precision")


def of_training(weights: dict[str, float], seen: Survey, palette: Palette) -> dict[str, float]:
    """The weights of those classes that the training labels have; nothing learns from another's."""
    pixels = dataclasses.replace(seen, val={}).painted(palette)
    shares = class_shares(pixels, palette) if pixels else {}
    return {name: weight for name, weight in weights.items() if shares.get(name)}
