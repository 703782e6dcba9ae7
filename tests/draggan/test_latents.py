"""Latents as people have them: what is read, what is written, and what is said of the rest."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from draggan import edit_faces
from draggan.face_sources import LATENT_ENDINGS
from draggan.latents import MOBILE_ROWS, LatentError, read_latents, write_latent

RNG = np.random.RandomState(0)
W = RNG.randn(512).astype(np.float32)
W_PLUS = RNG.randn(1, 23, 512).astype(np.float32)
OF_STYLEGAN2 = RNG.randn(3, 18, 512).astype(np.float32)


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array, **how):
    stream = io.BytesIO()
    np.save(stream, array, **how)
    return stream.getvalue()


def pt(content, **how):
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


def safetensors(tmp_path, **tensors):
    save_file({name: torch.from_numpy(each) for name, each in tensors.items()}, tmp_path / "x")
    return (tmp_path / "x").read_bytes()


GOOD = {
    "w.npy": (npy(W), ["w"]),
    "ws.npy": (npy(np.stack([W] * 3).astype(np.float64)), ["ws_0000", "ws_0001", "ws_0002"]),
    "half.npy": (npy(W.astype(np.float16)[None]), ["half"]),
    "columns.npy": (npy(np.asfortranarray(np.stack([W] * 2))), ["columns_0000", "columns_0001"]),
    "projected_w.npz": (npz(w=W_PLUS), ["projected_w"]),
    "one_row.npz": (npz(w=W[None, None]), ["one_row"]),
    "many.npz": (npz(seed=np.array(5), noise=np.zeros((4, 4), np.float32), ws=W_PLUS), ["many"]),
    "rows.npy": (npy(W_PLUS[0]), ["rows"]),  # one face in W+, not 23 in W
    "pti.pt": (pt(torch.from_numpy(W_PLUS)), ["pti"]),
    "e4e.pt": (pt(torch.from_numpy(OF_STYLEGAN2)), ["e4e_0000", "e4e_0001", "e4e_0002"]),
    "old.pt": (pt(torch.from_numpy(W_PLUS), _use_new_zipfile_serialization=False), ["old"]),
    "psp.pt": (
        pt({"a/anna.jpg": torch.from_numpy(W_PLUS[0]), "bert.png": torch.from_numpy(W_PLUS[0])}),
        ["psp_anna", "psp_bert"],
    ),
    "rosinality.pt": (
        pt({"anna.jpg": {"img": torch.zeros(3, 8, 8), "latent": torch.from_numpy(W), "noise": [torch.zeros(4)]}}),
        ["rosinality"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_files_as_people_have_them(tmp_path, generator, name):
    data, keys = GOOD[name]
    (tmp_path / name).write_bytes(data)
    found = read_latents(tmp_path / name, generator)
    assert list(found) == keys
    first = found[keys[0]]
    assert first.shape == (1, 23, 512)
    assert first.dtype == generator.dtype
    if name.startswith("e4e"):
        wanted = OF_STYLEGAN2[:1, MOBILE_ROWS]
    elif name.split(".")[0] in ("projected_w", "many", "rows", "pti", "old", "psp"):
        wanted = W_PLUS
    else:
        wanted = np.broadcast_to(W, (1, 23, 512))
    assert np.allclose(first, wanted, atol=1e-2 if name.startswith("half") else 1e-6)


def test_safetensors_are_read_and_written(tmp_path, generator):
    (tmp_path / "a.safetensors").write_bytes(safetensors(tmp_path, w=W_PLUS))
    (styles,) = read_latents(tmp_path / "a.safetensors", generator).values()
    for ending in (".npz", ".safetensors"):
        write_latent(tmp_path / f"b{ending}", styles, "mobile-ffhq")
        (again,) = read_latents(tmp_path / f"b{ending}", generator).values()
        assert torch.equal(again, styles)
    with np.load(tmp_path / "b.npz", allow_pickle=False) as file:  # as NVIDIA's tools read it
        assert file["w"].shape == (1, 23, 512)
        assert str(file["model"]) == "mobile-ffhq"
    assert sorted(LATENT_ENDINGS) == ["both", "no", "npz", "safetensors"]


def test_the_rows_of_stylegan2_go_to_layers_of_the_same_size(generator):
    """One w in all rows stays so; the first and the last row are those of the first and last layer."""
    assert len(MOBILE_ROWS) == generator.num_rows
    assert list(MOBILE_ROWS) == sorted(MOBILE_ROWS)
    assert (MOBILE_ROWS[0], MOBILE_ROWS[-1]) == (0, 17)


class Evil:
    def __reduce__(self):
        return (print, ("run",))


BOMB = io.BytesIO()
with zipfile.ZipFile(BOMB, "w", zipfile.ZIP_DEFLATED) as archive:
    header = npy(np.zeros(8, np.float32)).split(b"\n")[0]
    archive.writestr("w.npy", header + bytes(3 << 20))
OBJECTS = npy(np.array([Evil()], dtype=object), allow_pickle=True)
BAD = {
    "letter.npz": (b"dear aunt", "cannot be read as latents .no file of these kinds."),
    "empty.pt": (b"", "cannot be read as latents"),
    "cut.npz": (npz(w=W_PLUS)[:3000], "cannot be read as latents"),
    "cut.npy": (npy(W_PLUS)[:3000], "cannot be read as latents .cut off."),
    "objects.npy": (OBJECTS, "holds no numbers that are latents"),
    "evil.pt": (pt(Evil()), "cannot be read as latents .the file asks for"),
    "evil.pkl": (pickle.dumps(Evil()), "cannot be read as latents"),
    "words.npz": (npz(w=np.array(["a"])), "holds no numbers that are latents"),
    "whole.npz": (npz(w=np.zeros((1, 512), int)), "holds no numbers that are latents"),
    "nan.npz": (npz(w=np.full((1, 512), np.nan)), "has values that are no numbers"),
    "shape.npz": (npz(w=np.zeros((3, 7))), r"has the shape \(3, 7\); wanted are W"),
    "rows.npz": (npz(w=np.zeros((1, 14, 512))), "is W. of 14 rows, and mobile-ffhq has 23"),
    "none.npz": (npz(w=np.zeros((0, 512))), r"has the shape \(0, 512\)"),
    "other.pt": (pt({"weight": torch.zeros(3)}), "holds no numbers that are latents"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_one_line(tmp_path, generator, capsys, name):
    data, says = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LatentError, match=says) as error:
        read_latents(tmp_path / name, generator)
    assert str(error.value).startswith(name)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""  # nothing was run


def test_what_claims_more_than_there_is(tmp_path, generator, monkeypatch):
    (tmp_path / "bomb.npz").write_bytes(BOMB.getvalue())
    monkeypatch.setattr("draggan.latents.MAX_BYTES", 1 << 20)
    with pytest.raises(LatentError, match="more than 1 MiB when unpacked"):
        read_latents(tmp_path / "bomb.npz", generator)


@pytest.mark.parametrize("kind", ["list", "names"])
def test_one_tensor_that_is_shown_many_times(tmp_path, generator, monkeypatch, kind):
    """Each file has 2 or 20 KiB of numbers and shows 4 MiB."""
    one, some = torch.zeros(1, 512), torch.zeros(20, 512).half()
    content = {
        "list": {"w": [one] * 2000},
        "names": {f"face {i}": some for i in range(100)},
    }[kind]
    torch.save(content, tmp_path / "many.pt")
    read = read_latents(tmp_path / "many.pt", generator)
    assert len(read) == 2000
    assert sum(
        {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in read.values()}.values()
    ) < (
        5 << 20  # and not the rows of each face besides
    )
    monkeypatch.setattr("draggan.latents.MAX_BYTES", 1 << 20)
    with pytest.raises(LatentError, match="more than 1 MiB of numbers"):
        read_latents(tmp_path / "many.pt", generator)


# --- the command ------------------------------------------------------------------------------------------


def test_latents_in_and_out_of_the_command(command, tmp_path, generator):
    """What --save-latent writes of an edited seed is the face that --latent then begins with."""
    first, again = tmp_path / "first", tmp_path / "again"
    how = ("--instant", "--device", "cpu")
    command(edit_faces, "--seeds", 3, "--edit", "slim", "--output", first, "--save-latent", "both", *how)
    assert sorted(path.name for path in first.glob("*latent*")) == [
        "0003_latent.npz",
        "0003_latent.safetensors",
    ]
    latent = first / "0003_latent.npz"
    code, out, err = command(edit_faces, "--latent", latent, "--edit", "smile", "--output", again, *how)
    assert code in (0, 1), err
    (record,) = (json.loads(line) for line in (again / "edits.jsonl").read_text().splitlines())
    assert (record["id"], record["edit"]) == ("0003_latent", "smile")
    (styles,) = read_latents(latent, generator).values()
    with Image.open(again / "0003_latent_before.png") as picture:
        assert np.array_equal(np.array(picture), generator.picture(styles))
    code, out, err = command(edit_faces, "--latent", latent, "--edit", "smile", "--output", again, *how)
    assert "already" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--latent", "nowhere.npz"], "--latent nowhere.npz: there is no such file"),
        (["--latent", "bad.npz"], "--latent: bad.npz cannot be read as latents"),
        (["--latent", "bad.npz", "--image", "bad.npz"], "--image and --latent: give one of them"),
        (["--latent", "bad.npz", "--model", "nosuch"], "no model 'nosuch'"),
    ],
)
def test_mistakes(command, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"no latents")
    code, out, err = command(edit_faces, *arguments, "--output", "o", "--device", "cpu")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()
