"""A data set with a bad picture, read as a training reads it, in a process of its own with limits."""

from pathlib import Path

import numpy as np
import torch
from forked import Ended, forked
from picture_files import Case, data_set
from PIL import Image
from segmentation_data import options

SECONDS, MIB = 60, 1024  # of computing, and of memory, at most
PATIENCE = 600  # seconds of the clock, which a busy machine may take for it


def read_all(root: Path, *more: str) -> None:
    """What a run does with its data at the start and in an epoch; fails where a picture that it takes is not right."""
    from accelerate import Accelerator

    from training.data import load_data

    torch.set_num_threads(1)
    data = load_data(root, options(root, root / "run", *more), Accelerator(cpu=True))
    for loader in (data.train_loader, data.val_loader):
        for batch in loader:
            assert batch["photo"].dtype == torch.uint8
    assert not any("val_" in pair.name for pair in data.train.pairs), (
        "validation pictures are in the training"
    )
    taken = [pair for pair in data.train.pairs if Path(pair.name).name in ("x", "X")]
    if taken and data.train.cache is not None:
        a, b = data.train.cache[data.train.pairs.index(taken[0])]
        path = taken[0].b or taken[0].a
        ours = b if taken[0].b else np.hstack([a, b])
        with Image.open(path) as picture:
            if picture.mode in ("RGB", "L", "P", "1") and not picture.getexif() and data.survey.kind != "ids":
                theirs = np.asarray(picture.convert("RGB"))
                assert ours.shape == theirs.shape
                assert (ours == theirs).all(), "it is not the picture that Pillow reads"
    print(f"{len(data.train)} pairs, {len(data.train.broken)} left out")


def trial(case: Case, root: Path, *more: str) -> tuple[str, Ended]:
    """ "" if the case is right or named within the limits, else in words what broke; and how it ended."""
    try:
        data_set(root, case)
    except OSError as error:
        return "" if error.errno in (36, 84) else f"cannot be set up: {error}", Ended(0, "", "", 0, 0)
    done = forked(lambda: read_all(root, *more), seconds=PATIENCE)
    found = "right" if done.code == 0 else done.error
    if done.code is None:
        broke = "hangs"
    elif not found:
        broke = f"neither right nor named: {done.code} {done.err[-600:]}"
    elif case.says is not None and (done.code == 0) != (case.says == ""):
        broke = f"should be {case.says or 'right'!r}: {done.err[-300:]}"
    elif case.says and case.says not in found:
        broke = f"should say {case.says!r}: {found}"
    elif done.cpu > SECONDS:
        broke = f"computes for {done.cpu:.0f} s"
    elif done.mib > MIB:
        broke = f"takes {done.mib:.0f} MiB"
    else:
        broke = ""
    return broke, done
