"""Every path that a GPU user takes, on a machine without one: no tensor is made on the CPU by mistake.

torch's fake tensors have a shape, a type and a device, and no values. Under their mode the code runs as on a GPU:
two devices in one operation are an error, and reading a value is counted, because there a GPU is waited for. The
device is called "lazy"; "cuda" would need a torch that is linked with CUDA. What is read is given a value here.
Autocast knows no such device: tests/test_cuda.py tries it, where there is a GPU.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_devices import DEVICE, outside
from torch._subclasses.fake_tensor import unset_fake_temporarily

from draggan import inversion, perceptual
from draggan.drag import PAPER, Drag, Settings
from draggan.editor import EditTask
from draggan.face import Subject
from draggan.freedrag import FreeDrag
from draggan.generators import ContinuedGenerator, Direction, Directions, RegionGenerator
from draggan.generators.mobile_stylegan import MobileStyleGAN
from draggan.generators.region import blend_base
from draggan.generators.stylegan2 import StyleGAN2
from draggan.generators.stylegan2_layers import ARCHITECTURES, config_f
from draggan.inversion import Inversion, Preset
from draggan.landmarks import Detection
from draggan.newton import NewtonDrag
from draggan.perceptual import Perceptual
from draggan.photo_editor import PhotoTask


def mobile() -> MobileStyleGAN:
    with DEVICE:
        return MobileStyleGAN().eval()


def stylegan2(architecture: str = "skip", dtype: torch.dtype = torch.float32) -> StyleGAN2:
    with DEVICE:
        model = StyleGAN2(config_f(256, architecture=architecture)).eval()
    model.feature_dtype = dtype
    return model


def regional() -> RegionGenerator:
    model = mobile()
    return RegionGenerator.over(model, model.seed_styles(1), np.ones((256, 256), np.float32))


def continued() -> ContinuedGenerator:
    model = mobile()
    styles = model.seed_styles(1)
    return ContinuedGenerator(model, blend_base(regional(), styles), blend_base(model, styles))


GENERATORS = {
    "mobile": mobile,
    **{kind: lambda kind=kind: stylegan2(kind) for kind in ARCHITECTURES},
    "bfloat16": lambda: stylegan2(dtype=torch.bfloat16),
    "region": regional,
    "continued": continued,
}


def test_the_trap_works(reads):
    """Two devices at once are refused, and values that are read are counted."""
    there = torch.ones(3, device=DEVICE)
    with pytest.raises(RuntimeError, match="device"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="device"):
        there + torch.from_numpy(np.ones(3, np.float32))
    assert reads() == 0
    assert float(there.sum()) == 1.0
    assert bool(there.any())
    assert there.cpu().numpy().tolist() == [1.0, 1.0, 1.0]
    assert reads() == 3
    with pytest.raises(AssertionError, match="on the device"):
        there.numpy()


# --- the generators and the drag ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GENERATORS)
def test_generators(reads, kind):
    model = GENERATORS[kind]()
    assert model.device == DEVICE
    styles = model.seed_styles(3)
    assert styles.device == DEVICE
    for made in (model.features(styles), model.image(styles), model.preview(styles, 64)):
        assert made.device == DEVICE
    free = styles.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.features(free).square().mean(), free)
    assert gradient.device == DEVICE
    assert reads() == 0
    size = model.resolution
    assert model.picture(styles).shape == (size, size, 3)
    assert model.picture(styles, 128).shape == (128, 128, 3)
    assert reads() == 2


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("settings", [Settings(anchor=0.5), Settings(w_plus=False), PAPER])
def test_a_step_of_the_drag_reads_once(reads, kind, settings):
    model = GENERATORS[kind]()
    handles = np.array([(100.0, 120.0), (130.0, 90.0)])
    mask = np.ones((256, 256), np.float32)
    drag = Drag(model, model.seed_styles(0), handles, handles + 5, mask, settings)
    drag._judge = lambda *numbers: None
    reads()
    for _ in range(4):
        step = drag.step()
        assert reads() == 1
        assert step.points.shape == (2, 2)
    drag.set_points(handles[:1], handles[:1] + 9)
    drag.step()
    assert reads() == 1
    assert drag.styles.device == drag.best_styles.device == DEVICE


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_other_drags(reads, kind):
    model = GENERATORS[kind]()
    handles = np.array([(100.0, 120.0), (130.0, 90.0)])
    for drag in (
        NewtonDrag(model, model.seed_styles(0), handles, handles + 5),
        FreeDrag(model, model.seed_styles(0), handles, handles + 5),
    ):
        drag._judge = lambda: None
        for _ in range(2):
            assert drag.step().points.shape == (2, 2)
            drag.stopped = None
        assert drag.best_styles.device == DEVICE
    assert drag._renew(model.features(drag._styles()), drag._expected) is None
    assert drag._places.device == DEVICE


# --- edits ----------------------------------------------------------------------------------------------------


def face_points(size: int) -> np.ndarray:
    """68 points of a plain face in the middle of a picture."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack((512 + 260 * np.cos(angle), 520 + 300 * np.sin(angle)), 1)
    brows = np.stack((np.r_[np.linspace(330, 470, 5), np.linspace(554, 694, 5)], np.full(10, 420)), 1)
    nose = np.stack((np.r_[np.full(4, 512), np.linspace(470, 554, 5)], np.r_[480:600:4j, np.full(5, 620)]), 1)
    ring = np.linspace(np.pi, 3 * np.pi, 7)[:-1]
    eyes = [np.stack((x + 50 * np.cos(ring), 480 + 18 * np.sin(ring)), 1) for x in (400, 624)]
    ring = np.linspace(np.pi, 3 * np.pi, 13)[:-1]
    mouth = np.stack((512 + 100 * np.cos(ring), 710 + 35 * np.sin(ring)), 1)
    inner = np.stack((512 + 70 * np.cos(ring[:8]), 710 + 12 * np.sin(ring[:8])), 1)
    return np.concatenate((jaw, brows, nose, *eyes, mouth, inner)) * size / 1024


class Detector:
    """Finds the same face in every picture, but for a wider mouth each time, as a smile would make it."""

    name = "stub"

    def __init__(self, faster: float):
        self.looks, self.faster = 0, faster

    def detect(self, picture: np.ndarray) -> list[Detection]:
        points = face_points(len(picture))
        points[48, 0] -= self.faster * self.looks
        points[54, 0] += self.faster * self.looks
        points[[48, 54], 1] -= self.faster * self.looks
        self.looks += 1
        return [Detection(points, (0.0, 0.0, 1.0, 1.0), 1.0)]


def directions(model) -> Directions:
    rows = torch.zeros(13, model.w_dim, device=DEVICE)
    parts = torch.zeros(2, 13, model.w_dim, device=DEVICE), torch.zeros(2, model.w_dim, device=DEVICE)
    return Directions({"smile": Direction(rows, *parts), "slim": Direction(rows)}, model.mean_w)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("edits", ["smile", {"smile": 1.0, "slim": 0.5}])
def test_edits(reads, learned, edits):
    model = mobile()
    detector = Detector(4.0 if learned else 1.5)
    face = Subject(model, detector, directions(model) if learned else None, seed=4).face()
    task = EditTask(face, edits, settings=Settings(max_steps=12))
    steps = 0
    for progress in task:
        steps += 1
        assert progress.face is None or progress.face.styles.device == DEVICE
    assert task.reason
    assert task.face.styles.device == DEVICE
    assert task.face.picture.shape == (1024, 1024, 3)
    assert steps >= 1


# --- photos ---------------------------------------------------------------------------------------------------


def fake_perceptual(monkeypatch) -> Perceptual:
    """Its network is read and folded on the CPU, as ever; whatever is made after that is fake."""
    with unset_fake_temporarily():
        network = perceptual.mobilenet_v2(weights=None)
        state = network.state_dict()
    network.load_state_dict = outside(network.load_state_dict)
    monkeypatch.setattr(perceptual, "mobilenet_v2", lambda weights: network)
    monkeypatch.setattr(perceptual, "fold_norms", outside(perceptual.fold_norms))
    monkeypatch.setattr(perceptual.torch, "load", lambda *_, **__: state)
    return Perceptual(DEVICE)


@pytest.mark.parametrize("kind", ["mobile", "skip"])
def test_an_inversion_reads_once_a_step(reads, kind, monkeypatch):
    model = GENERATORS[kind]()
    features = fake_perceptual(monkeypatch)
    assert features.mean.device == DEVICE
    size = model.resolution
    picture = np.zeros((size, size, 3), np.uint8)
    found = Inversion(model, picture, face_points(size), Preset(8, 11), features)
    axes = inversion.principal_axes(model)
    assert axes.device == DEVICE
    reads()
    for progress in found:
        allowed = 1 + (progress.picture is not None) + 2 * (progress.step == 1)  # axes, once
        assert reads() <= allowed
    assert progress.step == 19
    assert found.result.styles.device == DEVICE
    assert found.result.weights
    assert all(weight.device == DEVICE for weight in found.result.weights.values())
    assert found.result.generator.image(found.result.styles).device == DEVICE


def test_a_photo_and_an_edit_in_it(reads, monkeypatch):
    model, size = mobile(), 1024
    points = face_points(size)
    photo = SimpleNamespace(grey=False, pixels=np.zeros((size, size, 3), np.uint8), name="x")
    cut_out = SimpleNamespace(
        photo=photo, face=None, size=size, alignment=None, points=points, aligned=photo.pixels
    )
    detector = Detector(4.0)
    task = PhotoTask(cut_out, model, detector, directions(model), Preset(2, 10), fake_perceptual(monkeypatch))
    for _ in task:
        pass
    edit = EditTask(task.face, "smile", settings=Settings(max_steps=8))
    for _ in edit:
        pass
    assert edit.face.picture.shape == (size, size, 3)
