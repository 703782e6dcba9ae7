"""Let ``import torchvision`` work beside a CPU-only torch.

The package index's torchvision is built for CUDA. Beside a CPU build of torch its compiled library cannot
be loaded, and the import then fails with ``operator torchvision::nms does not exist``, although nothing
that this project uses (transforms.v2, models, utils) needs a compiled operator. Import this module before
torchvision; it declares the two operators that torchvision describes at import time.

Where torchvision's own library loads (a matching CUDA or CPU pair) nothing is declared: a second
declaration would be an error.
"""

import importlib.util
from pathlib import Path

import torch

# The schemas as torchvision itself registers them.
SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def operators_load() -> bool:
    """True if torchvision's operators are registered, loading its own compiled library where that works.

    The library is the one that ``torchvision.extension`` loads; loading it twice does nothing. Without an
    installed torchvision the answer is True: there is nothing to mend.
    """
    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        return True
    for library in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:  # wants CUDA libraries that are not here
            return False
    return hasattr(torch.ops.torchvision, "nms")


def declare() -> torch.library.Library | None:
    """Declare the missing operators; return the library that holds them, or None where none is missing."""
    if operators_load():
        return None
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS.values():
        library.define(schema)
    return library


# Kept as long as the process lives, also over a reload of this module: the declarations end with it.
_library = globals().get("_library") or declare()
