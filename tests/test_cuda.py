"""On a real GPU: the same results as on a CPU, few waits, and every command. Skipped where there is none.

TEST_DEVICE names another device: `TEST_DEVICE=cpu` tries these tests themselves.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from segmentation_data import ROOT, make_pairs

from draggan import generators
from draggan.drag import Drag, Settings
from draggan.edits import EDITS
from draggan.generators import CHECKPOINTS, RegionGenerator, load_directions, load_generator
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import config_f
from draggan.inversion import Inversion, Preset
from draggan.landmarks import DLIB_POINTS
from draggan.perceptual import FILE as PERCEPTUAL

DEVICE = os.environ.get("TEST_DEVICE", "cuda")
ON_GPU = DEVICE.startswith("cuda")
REFERENCES = Path(__file__).resolve().parent / "fixtures"
pytestmark = pytest.mark.skipif(ON_GPU and not torch.cuda.is_available(), reason="needs a CUDA GPU")


def needs(file: str):
    return pytest.mark.skipif(not (CHECKPOINTS / file).is_file(), reason=f"{file} is not in checkpoints/")


faces = needs("mobile-ffhq.safetensors")


@pytest.fixture(scope="module")
def model():
    return load_generator(device=DEVICE)


def waits(work) -> int:
    """How often some work waits for the GPU."""
    if not ON_GPU:
        work()
        return 0
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(each.message) for each in caught)


# --- the generators -------------------------------------------------------------------------------------------


@faces
@pytest.mark.parametrize("tf32", [False, True])
def test_mobile_stylegan_equals_openvino(model, tf32, monkeypatch):
    """To the rounding of float32; TF32, which convolutions use by default, keeps 10 bits of a number."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    with np.load(REFERENCES / "mobile_stylegan_reference.npz") as reference:
        w = model.map(torch.from_numpy(reference["z"]).to(DEVICE))
        assert np.abs(w.cpu().numpy() - reference["w"]).max() <= 1e-3
        for w, rows in zip(reference["w_psi07"], reference["image_rows"], strict=True):
            image = model.image(model.styles(torch.from_numpy(w[None]).to(DEVICE)))[0].cpu().numpy()
            difference = np.abs(image[:, ::16] - rows)
            assert difference.max() <= (0.1 if tf32 else 1e-3)
            assert difference.mean() <= (2e-3 if tf32 else 1e-4)


def test_stylegan2_equals_the_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(generators, "CHECKPOINTS", tmp_path)
    (tmp_path / "tiny.pkl").write_bytes((REFERENCES / "stylegan2_tiny.pkl").read_bytes())
    model = load_generator("tiny", DEVICE)
    with np.load(REFERENCES / "stylegan2_tiny_reference.npz") as reference:
        ws = torch.from_numpy(reference["ws"]).to(DEVICE)
        images = reference["img"]
    made = model.image(ws).cpu().numpy()
    assert np.abs(made - images).mean() <= 5e-3 * np.abs(images).max()


def test_half_precision_features_and_their_gradient_keep_their_direction():
    model = random_generator(config_f(256)).to(DEVICE, memory_format=torch.channels_last)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        model.feature_dtype = dtype
        styles = model.seed_styles(1).requires_grad_()
        features = model.features(styles)
        (gradient,) = torch.autograd.grad(features[:, :, 10:60, 30:90].abs().sum(), styles)
        results.append((features.detach().flatten(), gradient.flatten()))
    for exact, fast in zip(*results, strict=True):
        assert float(F.cosine_similarity(exact, fast, 0)) > 0.98


# --- the drag -------------------------------------------------------------------------------------------------

HANDLES = np.array([[512.0, 700.0], [400.0, 480.0]])
TARGETS = HANDLES + np.array([[0.0, 40.0], [0.0, 0.0]])


@faces
def test_a_drag_goes_where_it_goes_on_a_cpu(model):
    mask = np.zeros((256, 256), np.float32)
    mask[100:, 40:200] = 1
    ends = []
    for generator in (load_generator(), model):
        drag = Drag(generator, generator.seed_styles(0), HANDLES, TARGETS, mask, Settings(max_steps=20))
        steps = list(drag.run())
        ends.append((steps[0].loss, steps[-1].distances[0], drag.best_styles.cpu()))
    (loss_a, end_a, styles_a), (loss_b, end_b, styles_b) = ends
    assert loss_b == pytest.approx(loss_a, rel=0.02)
    assert end_b < 0.8 * 40
    assert end_b == pytest.approx(end_a, abs=8)
    start = load_generator().seed_styles(0)
    assert float(F.cosine_similarity((styles_a - start).flatten(), (styles_b - start).flatten(), 0)) > 0.9


@faces
@pytest.mark.parametrize("kind", ["mobile", "region", "stylegan2"])
def test_a_step_waits_once(model, kind):
    generator = model
    if kind == "stylegan2":
        generator = random_generator(config_f(256)).to(DEVICE, memory_format=torch.channels_last)
        generator.feature_dtype = torch.bfloat16
    styles = generator.seed_styles(0)
    mask = np.ones((256, 256), np.float32)
    if kind == "region":
        generator = RegionGenerator.over(model, styles, mask)
    size = generator.resolution
    settings = Settings(max_steps=1000, patience=1000)
    drag = Drag(generator, styles, HANDLES * size / 1024, TARGETS * size / 1024, mask, settings)
    for _ in range(6):
        drag.step()
    assert waits(lambda: [drag.step() for _ in range(10)]) <= 10


@faces
@needs(PERCEPTUAL)
def test_an_inversion_waits_once_a_step(model):
    picture = model.picture(model.seed_styles(3))
    inversion = Inversion(model, picture, landmarks(), Preset(14, 12))
    losses = []

    def all_steps():
        losses.extend(progress.loss for progress in inversion)

    count = waits(all_steps)
    assert losses[13] < 0.7 * losses[0]
    assert losses[-1] < losses[14]
    assert count <= len(losses) + 30  # beside the steps: what is compared with, axes, a picture every ten


def landmarks() -> np.ndarray:
    """68 points of a face as it lies in an aligned picture of 1024 pixels: an ellipse, brows, nose, eyes, mouth."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack((512 + 260 * np.cos(angle), 520 + 300 * np.sin(angle)), 1)
    brows = np.stack((np.r_[np.linspace(330, 470, 5), np.linspace(554, 694, 5)], np.full(10, 420)), 1)
    nose = np.stack((np.r_[np.full(4, 512), np.linspace(470, 554, 5)], np.r_[480:600:4j, np.full(5, 620)]), 1)
    ring = np.linspace(np.pi, 3 * np.pi, 7)[:-1]
    eyes = [np.stack((x + 50 * np.cos(ring), 480 + 18 * np.sin(ring)), 1) for x in (400, 624)]
    ring = np.linspace(np.pi, 3 * np.pi, 13)[:-1]
    mouth = np.stack((512 + 100 * np.cos(ring), 710 + 35 * np.sin(ring)), 1)
    inner = np.stack((512 + 70 * np.cos(ring[:8]), 710 + 12 * np.sin(ring[:8])), 1)
    return np.concatenate((jaw, brows, nose, *eyes, mouth, inner))


# --- edits ----------------------------------------------------------------------------------------------------


@faces
@needs(DLIB_POINTS)
@pytest.mark.parametrize("name", ["smile", "slim", "close-eyes"])
@pytest.mark.parametrize("directions", [True, False])
def test_one_click_edits(model, name, directions):
    pytest.importorskip("dlib")
    from draggan.editor import EditTask
    from draggan.face import Subject
    from draggan.landmarks import landmark_detector

    learned = load_directions(model) if directions else None
    edit = EditTask(Subject(model, landmark_detector("dlib"), learned, seed=5).face(), name)
    for _ in edit:
        pass
    assert edit.result.ok, edit.result
    assert edit.result.face.picture.shape == (1024, 1024, 3)
    assert edit.result.share >= EDITS[name].goal - 0.12


# --- training -------------------------------------------------------------------------------------------------

SMALL = ["--image-size", 32, "--batch-size", 2, "--encoder", "scratch", "--width", 64, "--workers", 2]
SMALL += ["--pictures", 2, "--val-every", 30, "--epochs", 60, "--lr", 0.003, "--ema", 0.9]
SMALL += ["--crop", 1, "--jitter", 0, "--device", DEVICE]


def command(script: str, *arguments: object) -> str:
    words = [sys.executable, ROOT / script, *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "precision", "compiled"),
    [
        ("l1", "bf16", "on"),
        ("l1", "fp32", "off"),
        ("l1", "fp16", "off"),
        ("cgan", "bf16", "off"),
        ("cgan", "fp16", "off"),
    ],
)
def test_training_resume_and_predict(tmp_path, script, precision, compiled):
    if not ON_GPU and (precision == "fp16" or compiled == "on"):
        pytest.skip("for a GPU")
    pairs, run = make_pairs(tmp_path / "pairs"), tmp_path / "run"
    how = ["--dataset", pairs, "--output", run, "--precision", precision, "--compile", compiled, *SMALL]
    said = command(f"train_{script}.py", *how)
    assert f"on {DEVICE}" in said
    last = (run / "training_log.txt").read_text().splitlines()[-1]
    values = {k: float(v) for k, v in (part.split("=") for part in last.split())}
    assert values["val_miou"] > 0.9
    epochs = how.index("--epochs") + 1
    how[epochs] = 62
    assert "going on after epoch 60" in command(f"train_{script}.py", *how, "--resume")

    painted = {}
    for device in (DEVICE, "cpu"):
        out = tmp_path / device
        arguments = (
            "--checkpoint",
            run / "checkpoints/best.pt",
            "--input",
            pairs / "val",
            "--pairs",
            "--score",
        )
        painted[device] = json.loads(command("predict.py", *arguments, "--output", out, "--device", device))
    assert painted[DEVICE]["miou"] == pytest.approx(painted["cpu"]["miou"], abs=0.02)
    assert painted[DEVICE]["l1"] == pytest.approx(painted["cpu"]["l1"], abs=0.002)


@pytest.mark.skipif(not ON_GPU, reason="for a GPU")
def test_a_full_gpu_is_one_line(tmp_path):
    pairs = make_pairs(tmp_path / "pairs")
    program = (
        "import sys, torch; torch.cuda.set_per_process_memory_fraction(0.002); sys.path.insert(0, '.');"
        "from common.commandline import run; import train_l1; run(train_l1.main)"
    )
    arguments = ["--dataset", pairs, "--output", tmp_path / "run", *SMALL, "--compile", "off"]
    arguments[arguments.index("--image-size") + 1] = 512
    words = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert "lower one of them" in errors[0]
    assert "Traceback" not in done.stderr
