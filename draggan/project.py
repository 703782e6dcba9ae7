"""A piece of work as one file: its results, the points and the region that are marked, and the settings.

    save(Path("work.draggan"), Project([Result(face, "smile 1")], at=0))
    project = open_project(Path("work.draggan"), tools)
    project.shown.picture                      # the same as it was, on the same machine

A safetensors file: styles, masks and, of photos, pixels and tuned weights as tensors; everything else as JSON in its
metadata. Nothing in it is code. `edit_faces.py --project FILE` draws what it shows; the app opens it again.
"""

import io
import json
import math
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from common.commandline import UserError, write_atomically
from draggan import photo_editor
from draggan.drag import Settings
from draggan.face import Face, Region, Subject
from draggan.generators import Directions, Generator, ModelError
from draggan.generators.plain_objects import one_line
from draggan.generators.region import BLEND_RESOLUTION
from draggan.generators.tensor_table import check_header, read_json
from draggan.landmarks import LandmarkDetector
from draggan.photo_editor import PhotoSubject
from draggan.photos import MAX_PIXELS, Photo, PhotoError

FILE_KIND = "draggan-project-1"  # in a file's metadata
SUFFIX = ".draggan"
MOST_RESULTS = 40
# What draws and measures the faces of a model, by its name.
Tools = Callable[[str], tuple[Generator, LandmarkDetector, Directions | None]]


class ProjectError(ValueError):
    """A file is no project, or cannot be used here; one sentence."""


@dataclass(frozen=True)
class Result:
    face: Face
    title: str  # "seed", "photo", "points", or edits and strengths


@dataclass
class Project:
    """Points are [x, y] in pixels of the shown face's picture."""

    results: list[Result]  # oldest first
    at: int  # which of them is shown
    handles: list[list[float]] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)
    region: np.ndarray | None = None  # (H, W), above 0 where the picture may change
    settings: dict = field(default_factory=dict)  # what differs from drag.Settings

    @property
    def shown(self) -> Face:
        return self.results[self.at].face


# --- writing ----------------------------------------------------------------------------------------------


def save(path: Path, project: Project) -> None:
    """Write a project. UserError if the file cannot be written."""
    writer = _Writer()
    about = {
        "kind": FILE_KIND,
        "results": [{"face": writer.face(one.face), "title": one.title} for one in project.results],
        "at": project.at,
        "handles": project.handles,
        "targets": project.targets,
        "settings": project.settings,
        "faces": writer.faces,
        "subjects": writer.subjects,
    }
    if project.region is not None:
        writer.tensors["region"] = torch.from_numpy((np.asarray(project.region) > 0).astype(np.uint8))
    # Copies: the file may not hold two tensors that share memory.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in writer.tensors.items()}
    metadata = {"draggan": json.dumps(about)}
    write_atomically(path, lambda part: save_file(tensors, part, metadata=metadata))


class _Writer:
    """Faces and subjects by number, each once: results lie over one another."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.faces: list[dict] = []
        self.subjects: list[dict] = []
        self._known: dict[int, int] = {}  # id of a face or subject -> its number

    def face(self, face: Face) -> int:
        if id(face) in self._known:
            return self._known[id(face)]
        under = self.face(face.region.under) if face.region else None
        subject = self._subject(face.subject)
        number = len(self.faces)
        self.tensors[f"face{number}.styles"] = face.styles
        if face.region and face.region.mask is not None:
            self.tensors[f"face{number}.mask"] = face.region.mask
        if face.changeable is not None:
            self.tensors[f"face{number}.changeable"] = torch.from_numpy(face.changeable.astype(np.uint8))
        by_motion = face.region is not None and face.region.by_motion
        self.faces.append({"subject": subject, "under": under, "by_motion": by_motion})
        self._known[id(face)] = number
        return number

    def _subject(self, subject: Subject) -> int:
        if id(subject) in self._known:
            return self._known[id(subject)]
        number = len(self.subjects)
        about: dict = {"model": subject.generator.name, "seed": subject.seed, "psi": subject.psi}
        if isinstance(subject, PhotoSubject):
            photo = subject.cut_out.photo
            about |= {"photo": photo.name, "grey": photo.grey}
            parts = photo_editor.to_tensors(subject) | _photo_tensors(photo)
            self.tensors |= {f"subject{number}.{name}": tensor for name, tensor in parts.items()}
        self.subjects.append(about)
        self._known[id(subject)] = number
        return number


def _photo_tensors(photo: Photo) -> dict[str, Tensor]:
    found = {"photo": _png(photo.pixels)}
    if photo.own is not photo.pixels:
        found["own"] = _png(photo.own)
    if photo.alpha is not None:
        found["alpha"] = _png(photo.alpha)
    if photo.profile:
        found["profile"] = torch.frombuffer(bytearray(photo.profile), dtype=torch.uint8)
    return found


def _png(pixels: np.ndarray) -> Tensor:
    """The bytes of a PNG, (N,) uint8."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=3)
    return torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)


# --- reading ----------------------------------------------------------------------------------------------


def is_project(path: Path) -> bool:
    """Whether a file says of itself that it is a project."""
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            return read_json((file.metadata() or {})["draggan"])["kind"] == FILE_KIND
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return False


def open_project(path: Path, tools: Tools) -> Project:
    """What `save` wrote. ProjectError for any other file; what ``tools`` raises where a model is missing."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            raise OSError("it is no file")
        check_header(path)
        with safe_open(path, framework="pt") as file:
            about = read_json((file.metadata() or {})["draggan"])
            if about["kind"] != FILE_KIND:
                raise KeyError("kind")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except OSError as error:
        raise ProjectError(f"{path} cannot be read ({error.strerror or error})") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        raise ProjectError(f"{path} is no saved project of this app, or it is damaged") from None
    try:
        return _read(about, tensors, tools)
    except (ProjectError, ModelError, UserError):  # of the tools
        raise
    except Exception as error:  # whatever is met in a file that is not trusted
        reason = one_line(error) if isinstance(error, PhotoError) else "its parts do not fit together"
        raise ProjectError(f"{path} cannot be used: {reason}") from None


def _read(about: dict, tensors: dict[str, Tensor], tools: Tools) -> Project:
    subjects = [_read_subject(each, number, tensors, tools) for number, each in enumerate(about["subjects"])]
    faces: list[Face] = []
    for number, each in enumerate(about["faces"]):
        faces.append(_read_face(each, number, tensors, subjects, faces))
    results = [Result(faces[_index(one["face"], faces)], str(one["title"])[:200]) for one in about["results"]]
    if len(results) > MOST_RESULTS:
        raise ValueError("results")
    at = _index(about["at"], results)
    size = results[at].face.generator.resolution
    handles, targets = (_points(about[name], size) for name in ("handles", "targets"))
    if not len(handles) - 1 <= len(targets) <= len(handles):
        raise ValueError("points")
    region = tensors.get("region")
    if region is not None and (region.ndim != 2 or not (region > 0).any()):
        raise ValueError("region")
    settings = dict(about["settings"])
    Settings(**settings)  # unknown names and values that cannot be
    region = None if region is None else (region > 0).numpy().astype(np.float32)
    return Project(results, at, handles, targets, region, settings)


def _read_subject(about: dict, number: int, tensors: dict[str, Tensor], tools: Tools) -> Subject:
    generator, detector, directions = tools(str(about["model"]))
    if "photo" not in about:
        seed = None if about["seed"] is None else int(about["seed"])  # None: the face of a latent
        return Subject(generator, detector, directions, seed, float(about["psi"]))
    start = f"subject{number}."
    parts = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    pixels = _picture(parts["photo"])
    own = _picture(parts["own"]) if "own" in parts else pixels
    alpha = _picture(parts["alpha"]) if "alpha" in parts else None
    if (
        pixels.ndim != 3
        or own.shape != pixels.shape
        or (alpha is not None and alpha.shape != pixels.shape[:2])
    ):
        raise ValueError("pictures of different sizes")
    photo = Photo(
        name=one_line(Path(str(about["photo"])).name)[:100],
        pixels=pixels,
        own=own,
        grey=bool(about["grey"]),
        alpha=alpha,
        profile=parts["profile"].numpy().tobytes() if "profile" in parts else None,
    )
    return photo_editor.from_tensors(parts, photo, generator, detector, directions)


def _read_face(
    about: dict, number: int, tensors: dict[str, Tensor], subjects: list[Subject], faces: list[Face]
) -> Face:
    subject = subjects[_index(about["subject"], subjects)]
    generator = subject.generator
    styles = tensors[f"face{number}.styles"].to(generator.device, generator.dtype)
    generator._check(styles)
    if not torch.isfinite(styles).all():
        raise ValueError("styles")
    region = None
    if about["under"] is not None:
        mask = tensors.get(f"face{number}.mask")
        side = min(BLEND_RESOLUTION, generator.resolution)
        if mask is not None and (mask.shape != (1, 1, side, side) or not torch.isfinite(mask).all()):
            raise ValueError("mask")
        mask = None if mask is None else mask.to(generator.device, generator.dtype)
        under = faces[_index(about["under"], faces)]
        if under.subject is not subject:
            raise ValueError("under")
        region = Region(under, mask, bool(about.get("by_motion", False)))
    changeable = tensors.get(f"face{number}.changeable")
    if changeable is not None and changeable.shape != (generator.resolution, generator.resolution):
        raise ValueError("changeable")
    changeable = None if changeable is None else changeable.numpy() > 0
    return Face(subject, styles, region, changeable)


def _picture(encoded: Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a picture that is large: how large it may be is asked below
        opened = Image.open(io.BytesIO(encoded.numpy().tobytes()), formats=["PNG"])
    with opened as picture:
        if picture.mode not in ("RGB", "L") or math.prod(picture.size) > MAX_PIXELS:
            raise ValueError(picture.mode)
        return np.asarray(picture)


def _index(value: int, among: list) -> int:
    """An index, not counted from the end. IndexError where there is nothing."""
    if type(value) is not int or not 0 <= value < len(among):
        raise IndexError(value)
    return value


def _points(values: list, size: int) -> list[list[float]]:
    points = [[float(x), float(y)] for x, y in values]
    if len(points) > 1000 or not all(
        math.isfinite(v) and 0 <= v <= size - 1 for point in points for v in point
    ):
        raise ValueError("points")
    return points
