"""export.py: the files paint what the network paints, at any size."""

import io

import numpy as np
import pytest
import torch
from segmentation_data import command, error_of

from export import Exported, to_torchscript
from training.checkpoint import load_generator

SHAPES = ((1, 3, 32, 32), (2, 3, 45, 70), (1, 3, 100, 33))


@pytest.fixture
def exported(trained, tmp_path):
    """Write a file of a kind: its path, and the module that it was written from."""

    def write(kind: str):
        checkpoint, path = trained / "checkpoints/last.pt", tmp_path / f"model.{kind}"
        arguments = ("--checkpoint", checkpoint, "--format", kind, "--output", path)
        done = command(*arguments, script="export.py")
        assert done.returncode == 0, done.stderr
        assert "trained on pictures scaled to 32 x 32" in done.stdout
        return path, Exported(load_generator(checkpoint, torch.device("cpu"))[0]).eval()

    return write


@torch.no_grad()
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_the_file_paints_what_the_network_paints(exported, kind):
    path, module = exported(kind)
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        paint = lambda photo: torch.from_numpy(session.run(None, {"photo": photo.numpy()})[0])  # noqa: E731
    else:
        paint = torch.jit.load(path)
    for shape in SHAPES:
        photo = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        found = paint(photo)
        assert found.shape == photo.shape
        # Where two colours are as likely, another order of sums may choose the other one.
        assert (found != module(photo)).any(dim=1).float().mean() < 0.002


@torch.no_grad()
def test_the_file_of_a_network_that_looks_at_larger_photos(trained, tmp_path):
    saved = torch.load(trained / "checkpoints/last.pt", weights_only=True)
    saved["generator"]["zoom"] = 1.5
    torch.save(saved, tmp_path / "zoomed.pt")
    module = Exported(load_generator(tmp_path / "zoomed.pt", torch.device("cpu"))[0]).eval()
    paint = torch.jit.load(io.BytesIO(to_torchscript(module)))
    for shape in SHAPES:
        photo = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        assert (paint(photo) != module(photo)).any(dim=1).float().mean() < 0.002


def test_users_errors(trained, tmp_path):
    checkpoint = trained / "checkpoints/last.pt"
    assert "--output is needed" in error_of(command("--checkpoint", checkpoint, script="export.py"))
    done = command("--checkpoint", checkpoint, "--output", tmp_path, script="export.py")
    assert "is a folder" in error_of(done)
    done = command("--checkpoint", tmp_path / "none.pt", "--output", tmp_path / "a.onnx", script="export.py")
    assert "there is no checkpoint" in error_of(done)
    assert list(tmp_path.iterdir()) == []
