"""No file runs code or eats the memory, and each that is refused ends in one line.

The hostile files are real: loaded with pickle.load or torch.load without weights_only, they do what they say.
"""

import builtins
import collections
import io
import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from model_files import ROOT, TINY, Named, copy_tiny, images, in_generator, load_file, refused, rosinality
from safetensors.torch import save_file

from draggan.generators import ModelError, weights
from draggan.generators.plain_objects import Refused
from draggan.generators.plain_pickle import LEGACY_MAGIC, Machine, outline
from draggan.generators.stylegan2 import StyleGAN2, random_generator
from draggan.generators.stylegan2_layers import Config

BOMBS = {
    "memo": b"\x80\x04}r\xff\xff\xff\x7f.",
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 10 << 30) + b"x.",
    "text": b"\x80\x04X" + struct.pack("<I", 0xFFFFFFFF) + b"x.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 10 << 30) + b"N.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 10 << 30) + b"x.",
    "integer": b"\x80\x04\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "lists": b"\x80\x04" + b"]" * 1_100_000 + b".",
    "tuples": b"\x80\x04)" + b"\x85" * 200_000 + b".",
    "tuple as key": b"\x80\x04})" + b"\x85" * 200_000 + b"Ns.",
    "laughs": b"\x80\x04]\x94" + b"2\x86" * 200_000 + b".",
    "marks": b"\x80\x04" + b"(" * 200_000 + b"t.",
    "nothing on the stack": b"\x80\x04R.",
    "registry": b"\x80\x04\x82\x01.",
    "instance": b"\x80\x02(ios\nsystem\n.",
    "name without an end": b"\x80\x04c" + b"a" * 1_000_000,
    "digits": b"\x80\x04I" + b"9" * 4_000 + b"\n.",
}


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_system_call_is_refused(tmp_path, trap, protocol):
    payload = Named(os.system, f"touch {trap}")
    (path := tmp_path / "evil.pkl").write_bytes(pickle.dumps(in_generator(payload), protocol))
    message = refused(path)
    if protocol >= 2:  # older ones begin unlike any model
        assert "posix.system" in message


@pytest.mark.parametrize(
    "make",
    [
        lambda t: Named(builtins.eval, f"open({str(t)!r}, 'w')"),
        lambda t: Named(builtins.exec, f"open({str(t)!r}, 'w')"),
        lambda t: Named(builtins.open, str(t), "w"),
        lambda t: Named(subprocess.Popen, ["touch", str(t)]),
        lambda t: Named(builtins.getattr, 1, "real"),
        lambda t: Named(torch.load, str(t)),
        lambda t: Named(collections.OrderedDict, [Named(builtins.eval, f"open({str(t)!r}, 'w')")]),
    ],
)
def test_other_functions_are_refused_by_name(tmp_path, trap, make):
    (path := tmp_path / "evil.pkl").write_bytes(pickle.dumps(in_generator(make(trap)), 4))
    refused(path, "the file asks for", "which is not read here")


def test_dotted_names_do_not_reach_further(tmp_path, trap):
    """`STACK_GLOBAL` follows dots: collections.OrderedDict.__init__.__globals__ and the like."""
    for module, name in (
        ("collections", "OrderedDict.fromkeys"),
        ("numpy", "dtype.__class__"),
        ("torch", "os"),
    ):
        code = (
            b"\x80\x04" + b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name)) + b"\x93."
        )
        (path := tmp_path / "evil.pkl").write_bytes(code)
        refused(path, f"{module}.{name}")


def without_frames(data: bytes) -> bytes:
    """The same pickle without the announced lengths of its parts, so that something can be put in."""
    starts = [(code.name, start) for code, _, start in pickletools.genops(data)]
    ends = [start for _, start in starts[1:]] + [len(data)]
    parts = zip(starts, ends, strict=True)
    return b"".join(data[start:end] for (name, start), end in parts if name != "FRAME")


def test_embedded_source_is_not_executed(tmp_path, trap):
    """NVIDIA's files carry Python source in `module_src`; here it is hostile, and the model still loads."""
    source = f"open({str(trap)!r}, 'w').close()\n".encode() * 3
    key = b"\x8c\nmodule_src\x94"
    empty, filled = key + b"\x8c\x00\x94", key + b"X" + struct.pack("<I", len(source)) + source + b"\x94"
    data = without_frames(TINY.read_bytes())
    assert empty in data
    (path := tmp_path / "with-source.pkl").write_bytes(data.replace(empty, filled))
    torch.testing.assert_close(images(load_file(path)), images(load_file(copy_tiny(tmp_path))))


def storage_bytes(count: int, numbers: bytes, kind: str = "FloatStorage") -> bytes:
    """What torch.save writes for a storage, with any claim."""
    out = io.BytesIO()
    for value in (LEGACY_MAGIC, 1001, {"little_endian": True}):
        pickle.dump(value, out, protocol=2)
    key = b"X\x01\x00\x00\x000"
    size = b"\x8a\x08" + struct.pack("<q", count)
    out.write(b"\x80\x02(X\x07\x00\x00\x00storagectorch\n" + kind.encode() + b"\n" + key)
    out.write(b"X\x03\x00\x00\x00cpu" + size + b"NtQ.")
    pickle.dump(["0"], out, protocol=2)
    out.write(struct.pack("<q", count) + numbers)
    return out.getvalue()


def test_hostile_bytes_inside_a_storage(tmp_path, trap):
    """A storage is a file of its own inside the file: the same payload one level deeper."""
    evil = io.BytesIO()
    for value in (LEGACY_MAGIC, 1001, {}, Named(os.system, f"touch {trap}"), ["0"]):
        pickle.dump(value, evil, protocol=2)
    inner = Named(torch.storage._load_from_bytes, evil.getvalue())
    (path := tmp_path / "evil.pkl").write_bytes(pickle.dumps(in_generator(inner), 4))
    refused(path, "posix.system")
    # and a storage within a storage, which would multiply the memory with every level
    nested = Named(torch.storage._load_from_bytes, storage_bytes(1, b"1234"))
    for value in (nested, Named(torch._utils._rebuild_parameter, 1)):
        evil = io.BytesIO()
        for part in (LEGACY_MAGIC, 1001, {}, value, ["0"]):
            pickle.dump(part, evil, protocol=2)
        outer = Named(torch.storage._load_from_bytes, evil.getvalue())
        path.write_bytes(pickle.dumps(in_generator(outer), 4))
        refused(path, "which is not read here")


def test_claim_of_ten_gigabytes(tmp_path):
    tensor = Named(
        torch._utils._rebuild_tensor_v2,
        Named(torch.storage._load_from_bytes, storage_bytes(2_500_000_000, b"1234" * 4)),
        0,
        (2_500_000_000,),
        (1,),
        False,
        collections.OrderedDict(),
    )
    (path := tmp_path / "huge.pkl").write_bytes(pickle.dumps(in_generator(tensor), 4))
    refused(path, "10,000,000,000 bytes", "16 follow")


def test_tensor_larger_than_its_storage(tmp_path):
    storage = Named(torch.storage._load_from_bytes, storage_bytes(4, b"1234" * 4))
    for shape, stride, offset in (
        ((10**9,), (0,), 0),
        ((5,), (1,), 0),
        ((2,), (9,), 0),
        ((1,), (1,), 4),
        ((-1,), (1,), 0),
    ):
        tensor = Named(torch._utils._rebuild_tensor_v2, storage, offset, shape, stride, False, {})
        (path := tmp_path / "wide.pkl").write_bytes(pickle.dumps(in_generator(tensor), 4))
        refused(path, "a tensor")


def test_zip_bomb(tmp_path):
    """A checkpoint with a packed record of zeros, and one whose directory claims four gigabytes."""
    torch.save(
        {"g_ema": rosinality(random_generator(Config(8, (8, 8), (8, 8))))}, good := tmp_path / "good.pt"
    )
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(packed := tmp_path / "packed.pt", "w") as target:
        for name in source.namelist():
            bomb = name.endswith("/data/0")
            data = bytes(64 << 20) if bomb else source.read(name)
            target.writestr(name, data, zipfile.ZIP_DEFLATED if bomb else zipfile.ZIP_STORED)
    assert packed.stat().st_size < 1 << 20
    refused(packed, "packed members that claim")
    content = bytearray(good.read_bytes())
    at = content.rfind(b"PK\x01\x02")  # the last entry of the directory: its sizes
    content[at + 24 : at + 28] = struct.pack("<I", 4_000_000_000)
    (claims := tmp_path / "claims.pt").write_bytes(content)
    refused(claims, "packed members that claim")


def test_checkpoint_claims_more_than_it_stores(tmp_path):
    state = rosinality(random_generator(Config(8, (8, 8), (8, 8))))
    torch.save({"g_ema": state}, good := tmp_path / "good.pt")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "short.pt", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:8] if name.endswith("/data/1") else data)
    refused(tmp_path / "short.pt", "bytes where 8 are stored")
    torch.save({"g_ema": state}, old := tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    data = old.read_bytes()
    count = b"K@Nt"  # a storage of 64 numbers, as a byte
    assert count in data
    old.write_bytes(data.replace(count, b"\x8a\x05\x00\x00\x00\x00\x02Nt", 1))
    refused(old, "in a file of")


def test_evil_checkpoints(tmp_path, trap):
    for zipped in (True, False):
        content = {"g_ema": rosinality(random_generator(Config(8, (8, 8), (8, 8))))}
        content["args"] = Named(os.system, f"touch {trap}")
        path = tmp_path / f"evil-{zipped}.pt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        assert not weights.recognise(path)
        refused(path, "posix.system")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_truncated_files(tmp_path, part):
    torch.save({"g_ema": rosinality(random_generator(Config(8, (8, 8), (8, 8))))}, tmp_path / "z.pt")
    tensors = torch.load(tmp_path / "z.pt", weights_only=True)
    torch.save(tensors, tmp_path / "l.pt", _use_new_zipfile_serialization=False)
    model = random_generator(config := Config(8, (8, 8), (8, 8)))
    weights.write_ours(tmp_path / "s.safetensors", config, model.state_dict())
    copy_tiny(tmp_path)
    for path in [p for p in tmp_path.iterdir() if p.suffix in (".pt", ".pkl", ".safetensors")]:
        data = path.read_bytes()
        (cut := tmp_path / f"cut-{path.name}").write_bytes(data[: int(len(data) * part)])
        refused(cut)


def test_wrong_shapes(tmp_path):
    state = rosinality(random_generator(Config(8, (8, 8), (8, 8))))
    for key in ("convs.0.conv.weight", "style.1.weight", "input.input", "to_rgbs.0.bias", "noises.noise_1"):
        wrong = state | {key: torch.zeros(3, 5)}
        torch.save({"g_ema": wrong}, path := tmp_path / "wrong.pt")
        refused(path, key, "(3, 5)")
        torch.save({"g_ema": {k: v for k, v in state.items() if k != key}}, path)
        if key != "noises.noise_1":  # the oldest files bring none
            refused(path)
    torch.save({"g_ema": state | {"conv1.activate.bias": torch.zeros(8) / 0}}, path)
    refused(path, "not numbers")
    model = random_generator(config := Config(8, (8, 8), (8, 8)))
    weights.write_ours(path := tmp_path / "s.safetensors", config, model.state_dict())
    for change in (
        {"channels": [8, 9]},
        {"resolution": 1 << 30},
        {"mapping": [8, "x"]},
        {"clamp": -1},
        {"y": 1},
    ):
        metadata = {"format": weights.FORMAT, "config": json.dumps(config.as_dict() | change)}
        save_file(model.state_dict(), path, metadata)
        refused(path)


def test_same_numbers_for_every_layer(tmp_path):
    """Small file, many big tensors: all layers share one storage."""
    torch.save({"g_ema": giant_state(torch.zeros(512 * 512 * 9))}, path := tmp_path / "shared.pt")
    assert path.stat().st_size < 20e6
    refused(path, "the same numbers serve as many tensors")


def giant_state(kernel: torch.Tensor) -> dict:
    """A 1024x1024 model whose tensors all look at the same numbers."""
    flat = kernel.flatten()
    with torch.device("meta"):
        state = rosinality(StyleGAN2(Config(1024, (512,) * 9, (512,) * 9)))
    return {key: flat[: value.numel()].view(value.shape) for key, value in state.items()}


def test_small_bombs(tmp_path):
    """In a process with 1 GB to spare, so that reserving too much would end it."""
    for name, data in BOMBS.items():
        (tmp_path / f"{name}.pkl").write_bytes(data)
    code = """
import resource, sys, time
from pathlib import Path
from draggan.generators import weights
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        weights.recognise(path)
        weights.load(path, "bomb")
    except weights.ModelError as error:
        print(path.stem, "refused:", error)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-2000:]
    lines = run.stdout.splitlines()
    assert [line.partition(" refused:")[0] for line in lines] == sorted(BOMBS), run.stdout


def test_damaged_files_load_or_end_in_one_line(tmp_path):
    """Random bytes changed in each kind of file: no traceback whatever happens to be hit."""
    model = random_generator(config := Config(8, (8, 8), (8, 8)))
    torch.save({"g_ema": rosinality(model)}, tmp_path / "zip.pt")
    torch.save({"g_ema": rosinality(model)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    weights.write_ours(tmp_path / "own.safetensors", config, model.state_dict())
    random = np.random.RandomState(0)
    good = {path.name: path.read_bytes() for path in (TINY, *sorted(tmp_path.iterdir()))}
    for name, data in good.items():
        head = min(len(data), 20_000 if name.endswith("l") else 3_000)  # where the structure is
        for _ in range(40):
            broken = bytearray(data)
            for at in random.randint(0, head, random.randint(1, 4)):
                broken[at] = random.randint(256)
            (path := tmp_path / f"broken-{name}").write_bytes(broken)
            weights.recognise(path)
            try:
                load_file(path)
            except ModelError as error:
                assert "\n" not in str(error)  # noqa: PT017


def test_unknown_objects_say_what_they_are(tmp_path):
    (path := tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": {"a": 1}}))
    refused(path, "no generator in it")
    path.write_bytes(b"hello")
    refused(path, "neither a pickle")
    with pytest.raises(Refused):
        outline(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_comes_through(protocol):
    data = [1, -(1 << 70), "ä", {"b": (2.5, None, {True, 3}), 4: []}, np.float64(0.125), np.int64(-3)]
    if protocol > 2:  # which has no bytes of its own
        assert Machine().load(io.BytesIO(pickle.dumps([*data, b"x"], protocol))) == [*data, b"x"]
    assert Machine().load(io.BytesIO(pickle.dumps(data[:4], protocol))) == data[:4]
