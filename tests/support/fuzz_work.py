"""Files of people's work, for fuzz_formats.py: training checkpoints, saved photos, latents and saved projects."""

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from common.commandline import UserError
from draggan import photo_editor, project
from draggan.drag import Settings
from draggan.face import Subject
from draggan.generators import ModelError
from draggan.generators.region import blend_mask
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import Config
from draggan.inversion import Inverted
from draggan.landmarks import Detection
from draggan.latents import read_latents
from draggan.photos import Photo
from draggan.project import Project, Result
from FCN_network2 import Generator, GeneratorParams
from training.checkpoint import load_generator, load_init
from training.run_folder import RunFolder

Files = dict[str, bytes]


class NoDetector:
    """Finds nothing: what is read here does not depend on landmarks that are found."""

    name = "none"

    def detect(self, image: np.ndarray) -> list:
        return []


@cache
def model():
    return random_generator(Config(16, (12, 12, 8), (32, 32), clamp=256.0), name="tiny")


@cache
def portraits():
    """A generator that says of itself that it draws faces."""
    return random_generator(Config(64, (12, 12, 8, 8, 8), (32, 32), is_face=True), name="tiny")


def saved(content, write=torch.save, **how) -> bytes:
    stream = io.BytesIO()
    write(content, stream, **how)
    return stream.getvalue()


def written(name: str, write: Callable[[Path], None]) -> bytes:
    """What a function writes that wants a path."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


# --- training ---------------------------------------------------------------------------------------------


@cache
def training_files() -> list[Files]:
    """As train_l1.py writes them; all numbers are one, so that the file is small."""
    colours = ((0.0, 0.0, 0.0), (255.0, 0.0, 0.0), (0.0, 0.0, 255.0))
    network = Generator(GeneratorParams(colours, 64))
    state = {name: torch.zeros((), dtype=t.dtype).expand(t.shape) for name, t in network.state_dict().items()}
    palette = {"name": "own", "classes": {"a": [0, 0, 0], "b": [255, 0, 0], "c": [0, 0, 255]}, "void": [], "ids": {},
               "tolerance": 32.0, "ignores": False}  # fmt: skip
    content = {
        "settings": {"direction": "AtoB"},
        "options": {"direction": "AtoB", "image_size": 256},
        "generator": {"colours": [list(c) for c in colours], "width": 64},
        "palette": palette,
        "input": {"kind": "picture", "ids": []},
        "ema": state,
        "networks": {"generator": state},
        "optimisers": {"generator": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]}},
        "scaler": None,
        "rng": {"torch": torch.get_rng_state(), "cuda": []},
        "epoch": 3, "step": 30, "elapsed": 12.5, "best": 0.5, "log": [{"epoch": 1, "l1": 0.5}],
    }  # fmt: skip
    return [{"last.pt": saved(content)}]


def read_training(folder: Path) -> None:
    """Resume from it, start from it, and predict with it."""
    (run := folder / "checkpoints").mkdir()
    (folder / "last.pt").rename(run / "last.pt")
    refused = None
    last = run / "last.pt"
    for opens in (RunFolder(folder).load, partial(load_init, last), partial(predict, last)):
        try:
            opens()
        except UserError as error:
            refused = error
    if refused:
        raise refused


@torch.no_grad()
def predict(path: Path) -> None:
    network, found = load_generator(path, torch.device("cpu"))
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert found["palette"] is None or len(found["palette"].colours) > 1


# --- photos, latents, projects ----------------------------------------------------------------------------


def landmarks(x: float, y: float, unit: float) -> np.ndarray:
    """Landmarks (68, 2) of a face that looks into the camera, around a place between its eyes."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack((0.85 * np.cos(turn), 1.25 * np.sin(turn)), 1)
    brows = np.stack(
        (np.concatenate((np.linspace(-0.6, -0.15, 5), np.linspace(0.15, 0.6, 5))), np.full(10, -0.25)), 1
    )
    nose = np.concatenate((np.stack((np.zeros(4), np.linspace(0, 0.45, 4)), 1),
                           np.stack((np.linspace(-0.15, 0.15, 5), np.full(5, 0.5)), 1)))  # fmt: skip
    eye = np.array([(-0.2, 0), (-0.07, -0.08), (0.07, -0.08), (0.2, 0), (0.07, 0.06), (-0.07, 0.06)])
    turn = np.linspace(np.pi, -np.pi, 13)[:12]
    lips = np.stack((0.3 * np.cos(turn), 0.85 - 0.1 * np.sin(turn)), 1)
    turn = np.linspace(np.pi, -np.pi, 9)[:8]
    inner = np.stack((0.2 * np.cos(turn), 0.85 - 0.03 * np.sin(turn)), 1)
    parts = (jaw, brows, nose, eye + (-0.3, 0), eye + (0.3, 0), lips, inner)
    return np.concatenate(parts).astype(np.float32) * unit + np.float32((x, y))


@cache
def photo() -> Photo:
    pixels = np.random.RandomState(0).randint(0, 255, (120, 160, 3)).astype(np.uint8)
    return Photo("anna.png", pixels, pixels)


@cache
def person() -> photo_editor.PhotoSubject:
    generator, points = portraits(), landmarks(80, 50, 40)
    name = "blocks.3.conv1.bias"
    own = {name: generator.tunable()[name] + 0.1}
    cut_out = photo_editor.CutOut(
        photo(), Detection(points, (50.0, 30.0, 110.0, 110.0), 1.0), generator.resolution
    )
    inverted = Inverted(generator.copy_with(own), generator.seed_styles(3), own)
    return photo_editor.PhotoSubject(cut_out, inverted, NoDetector())


def photo_files() -> list[Files]:
    return [{"anna.safetensors": written("a.safetensors", lambda path: photo_editor.save(path, person()))}]


def read_photo(folder: Path) -> None:
    subject = photo_editor.open_saved(folder / "anna.safetensors", photo(), portraits(), NoDetector())
    face = subject.face()
    edited = face.with_styles(face.styles + 0.1)
    assert edited.picture.shape == (64, 64, 3)
    assert subject.paste(edited).shape == photo().pixels.shape


def latent_files(ending: str) -> list[Files]:
    w = np.random.RandomState(0).randn(1, 6, 32).astype(np.float32)
    if ending == "npy":
        return [{"a.npy": saved(w, lambda array, stream: np.save(stream, array))}]
    return [
        {"a.npz": saved(w, lambda array, stream: np.savez(stream, w=array, model=np.array("tiny")))},
        {"a.npz": saved(w, lambda array, stream: np.savez_compressed(stream, latents=array, anna=array[0]))},
    ]


def latents_of_torch() -> list[Files]:
    w = torch.randn(1, 6, 32)
    return [
        {"a.pt": saved(w)},
        {"a.pt": saved({"latent": w, "x": 1}, _use_new_zipfile_serialization=False)},
        {"a.pt": saved({"anna.jpg": {"latent": w[0], "noise": [torch.zeros(3)]}})},
    ]


def read_latent(folder: Path) -> None:
    for path in folder.iterdir():
        for styles in read_latents(path, model()).values():
            assert model().picture(styles).shape == (16, 16, 3)


def tools(name: str):
    if name != "tiny":
        raise ModelError(f"no model {ascii(name)[:80]}")
    return portraits(), NoDetector(), None


def project_files() -> list[Files]:
    face = Subject(portraits(), NoDetector(), seed=5).face()
    lower = np.zeros((64, 64), np.float32)
    lower[40:] = 1
    edited = face.inside(blend_mask(portraits(), lower), face.styles + 0.2)
    work = Project(
        [Result(face, "seed"), Result(edited, "smile 1"), Result(edited.freed(), "points")], 1,
        [[10.0, 20.5], [30.0, 31.0]], [[12.0, 20.0]], lower[::2, ::2], {"lr": 0.004, "max_steps": 20},
    )  # fmt: skip
    mine = person().face()
    pasted = Project([Result(mine, "photo"), Result(mine.with_styles(mine.styles + 0.1), "smile 1")], 1)
    return [
        {"a.draggan": written("a.draggan", lambda path, one=one: project.save(path, one))}
        for one in (work, pasted)
    ]


def read_project(folder: Path) -> None:
    path = folder / "a.draggan"
    project.is_project(path)
    opened = project.open_project(path, tools)
    Settings(**opened.settings)
    for one in opened.results:
        assert one.face.picture.shape == (64, 64, 3)
    if isinstance(opened.shown.subject, photo_editor.PhotoSubject):
        opened.shown.subject.paste(opened.shown)
    json.dumps([opened.handles, opened.targets, opened.settings], allow_nan=False)
