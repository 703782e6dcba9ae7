"""Both branches of torchvision_ops.py, each in its own process: operators can be registered only once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> str:
    """What a fresh Python prints for this code; its error is the test's."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TRY_OWN_OPERATORS = """
import torch, importlib.util, pathlib
for library in pathlib.Path(importlib.util.find_spec("torchvision").origin).parent.glob("_C.*"):
    try:
        torch.ops.load_library(str(library))
    except OSError:
        pass
print(hasattr(torch.ops.torchvision, "nms"))
"""

# Stands for a matching pair: loading the library registers the operators, as torchvision's own does.
MATCHING_PAIR = """
import torch
loaded = []
def load_library(path):
    if not loaded:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", lambda dets, scores, threshold: torch.arange(3), "CPU")
        loaded.append(library)
torch.ops.load_library = load_library
"""


@pytest.fixture(scope="module")
def own_operators_load() -> bool:
    return python(TRY_OWN_OPERATORS) == "True"


WORKS = """
from torchvision import models, tv_tensors
from torchvision.transforms import v2
picture = tv_tensors.Image(torch.zeros(3, 20, 30, dtype=torch.uint8))
assert tuple(v2.Resize((8, 12))(picture).shape) == (3, 8, 12)
assert sum(p.numel() for p in models.mobilenet_v2().parameters()) == 3504872
"""


def test_declares_what_cannot_be_loaded(own_operators_load):
    if own_operators_load:
        pytest.skip("torchvision's own operators load beside this torch")
    code = """
import importlib, torch
from common import torchvision_ops
assert torchvision_ops._library is not None
importlib.reload(torchvision_ops)  # the declaration neither goes nor is made again
"""
    python(code + WORKS)


def test_declares_nothing_where_the_operators_load(own_operators_load):
    if not own_operators_load:
        pytest.skip("torchvision's own operators do not load beside this torch; a stand-in is tested below")
    code = """
import importlib, torch
from common import torchvision_ops
import torchvision
assert torchvision_ops._library is None
importlib.reload(torchvision_ops)
boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0]])
assert torchvision.ops.nms(boxes, torch.tensor([0.5, 0.9]), 0.5).tolist() == [1]
"""
    python(code + WORKS)


def test_declares_nothing_beside_a_matching_pair():
    code = """
from common import torchvision_ops
assert torchvision_ops._library is None
assert torchvision_ops.declare() is None
assert len(loaded) == 1
print(torch.ops.torchvision.nms(torch.zeros(3, 4), torch.zeros(3), 0.5).tolist())

# The stand-in is as strict as the real thing: without the check, the second declaration is an error.
torchvision_ops.operators_load = lambda: False
try:
    torchvision_ops.declare()
except RuntimeError as error:
    print("refused")"""
    # its own operator answers, not a declaration without a body
    assert python(MATCHING_PAIR + code).splitlines() == ["[0, 1, 2]", "refused"]


def test_leaves_a_declaration_of_others_alone(own_operators_load):
    if own_operators_load:
        pytest.skip("torchvision's own operators load beside this torch")
    code = """
import torch
mine = torch.library.Library("torchvision", "DEF")
mine.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
mine.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from common import torchvision_ops
print(torchvision_ops._library)"""
    assert python(code) == "None"


def test_without_torchvision():
    code = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torchvision" else find_spec(name, *rest)
from common import torchvision_ops
print(torchvision_ops._library)"""
    assert python(code) == "None"
