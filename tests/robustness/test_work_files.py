"""Saved photos, projects and latents that were changed on purpose: one sentence each, soon, within little memory."""

import json
import struct
import time
import zlib

import numpy as np
import pytest
import torch
from fuzz_work import (
    NoDetector,
    model,
    person,
    photo,
    photo_files,
    portraits,
    project_files,
    read_photo,
    tools,
)
from safetensors.torch import load, save

from common.commandline import UserError
from draggan import photo_editor, project
from draggan.generators import ModelError
from draggan.latents import LatentError, read_latents
from draggan.photos import PhotoError
from draggan.project import ProjectError, open_project


def with_changes(data: bytes, about=None, **tensors) -> bytes:
    """A file with other tensors, and other values or another text in its JSON."""
    size = struct.unpack("<Q", data[:8])[0]
    known = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["draggan"])
    text = about if isinstance(about, str) else json.dumps(known | (about or {}))
    return save(
        load(data) | {name.replace("__", "."): value for name, value in tensors.items()}, {"draggan": text}
    )


def points(change) -> torch.Tensor:
    found = torch.from_numpy(person().cut_out.face.points.copy())
    change(found)
    return found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"points": points(lambda p: p.__setitem__(3, 1e29))}, "landmarks far outside the photo"),
        ({"points": points(lambda p: p.add_(-1e9))}, "landmarks far outside the photo"),
        (
            {"points": points(lambda p: p.__setitem__((4, 1), float("nan")))},
            "landmarks far outside the photo",
        ),
        ({"points": torch.zeros(68, 2)}, "the eyes fall together"),
        ({"points": torch.zeros(3, 2)}, "does not fit the model"),
        ({"box": torch.tensor([0.0, 0.0, float("inf"), 9.0])}, "landmarks far outside the photo"),
        ({"styles": torch.full((1, 10, 32), float("nan"))}, "not numbers"),
        ({"styles": torch.zeros(1, 3, 32)}, "styles must be"),
        ({"weights__blocks.3.conv1.bias": torch.full((8,), float("inf"))}, "not numbers"),
        ({"weights__mean_w": torch.zeros(32)}, "has no weight mean_w"),
        ({"about": "[" * 100_000}, "no saved face"),
        ({"about": "9" * 5000}, "no saved face"),
        ({"about": {"model": "\ud800\n\x1b[31m"}}, r"with the model \\ud800\\n\\x1b\[31m"),
        ({"about": {"photo": None}}, "belongs to another photo"),
    ],
)
def test_saved_photos(tmp_path, changes, words):
    (files,) = photo_files()
    (path := tmp_path / "anna.safetensors").write_bytes(with_changes(files["anna.safetensors"], **changes))
    start = time.process_time()
    with pytest.raises(PhotoError, match=words) as error:
        read_photo(tmp_path)
    assert "\n" not in str(error.value)
    assert time.process_time() - start < 1
    path.write_bytes(files["anna.safetensors"])
    read_photo(tmp_path)  # the whole file


def png(width: int, height: int, colours: int = 2) -> torch.Tensor:
    """A PNG of one colour that is much larger than its file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


@pytest.mark.parametrize(
    "changes",
    [
        {"about": "[" * 100_000 + "]" * 100_000},
        {"about": {"at": 10**30}},
        {"about": {"handles": [[1e400, 1]], "targets": [[1, 1]]}},
        {"about": {"subjects": []}},
        {"about": {"results": {}}},
        {"about": {"settings": {"lr": 1e300 * 1e300}}},
        {"about": {"settings": {"max_steps": "9"}}},
        {"subject0__photo": png(60_000, 60_000)},
        {"subject0__photo": png(12_000, 9_000)},  # 108 megapixels
        {"subject0__photo": png(100, 120, 0)},
        {"subject0__own": png(50, 60)},
        {"subject0__alpha": png(50, 60, 0)},
        {"subject0__points": torch.full((68, 2), 1e20)},
        {"face1__styles": torch.full((1, 10, 32), float("inf"))},
        {"face1__changeable": torch.zeros(3, 3, dtype=torch.uint8)},
    ],
)
def test_projects(tmp_path, changes):
    _, pasted = project_files()
    (path := tmp_path / "a.draggan").write_bytes(with_changes(pasted["a.draggan"], **changes))
    start = time.process_time()
    with pytest.raises(ProjectError, match=r"no saved project|cannot be used") as error:
        open_project(path, tools)
    assert "\n" not in str(error.value)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("kind", [ModelError, UserError])
def test_what_is_missing_for_a_project_is_said_as_it_is(tmp_path, kind):
    """Not that its parts do not fit together."""

    def missing(name):
        raise kind(f"no model {name} here")

    files, _ = project_files()
    (path := tmp_path / "a.draggan").write_bytes(files["a.draggan"])
    with pytest.raises(kind, match="no model tiny here"):
        open_project(path, missing)


def test_whole_ones_come_back(tmp_path):
    for files in project_files():
        (path := tmp_path / "a.draggan").write_bytes(files["a.draggan"])
        assert project.is_project(path)
        assert len(open_project(path, tools).results) >= 2
    photo_editor.save(path := tmp_path / "a.safetensors", person())
    again = photo_editor.open_saved(path, photo(), portraits(), NoDetector())
    np.testing.assert_array_equal(again.face().picture, person().face().picture)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("length", [20_000, (1 << 32) - 1])
def test_a_header_of_an_array_that_announces_too_much(tmp_path, version, length):
    width, length = (2, length & 0xFFFF) if version == 1 else (4, length)
    data = b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(width, "little") + b"{'descr': '<f4'}"
    (path := tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(LatentError, match="a header without an end"):
        read_latents(path, model())
