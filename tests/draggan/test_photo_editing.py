"""A face into the generator and back: inversion, tuning, saving, editing, and the command on photos."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from common.commandline import run
from draggan import edit_faces, inversion
from draggan.editor import EditRun
from draggan.generators import load_generator
from draggan.generators.mobile_stylegan import SLOPE, SeparableConv
from draggan.generators.stylegan2 import config_f, random_generator
from draggan.inversion import Inversion, Preset, principal_axes
from draggan.landmarks import DlibDetector
from draggan.perceptual import Perceptual
from draggan.photo_editor import PhotoEditor, PhotoFace, open_saved, save
from draggan.photos import PhotoError, find_faces, open_photo

SHORT = Preset(8, 4)


@pytest.fixture(scope="module")
def generator():
    return load_generator()


@pytest.fixture(scope="module")
def perceptual():
    return Perceptual()


@pytest.fixture(scope="module")
def photo_path(generator, tmp_path_factory):
    """A drawn face, turned, at 420 pixels in a larger picture, grainy: nothing that the generator makes itself."""
    picture = generator.picture(generator.seed_styles(6))
    turn = cv2.getRotationMatrix2D((512, 512), 8, 420 / 1024)
    turn[:, 2] += (350 - 512, 300 - 512)
    canvas = np.full((620, 700, 3), (150, 130, 110), np.uint8)
    cv2.warpAffine(picture, turn, (700, 620), canvas, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    grain = np.random.RandomState(0).normal(0, 4, canvas.shape)
    path = tmp_path_factory.mktemp("photos") / "anna.png"
    Image.fromarray(np.clip(canvas + grain, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def face(photo_path):
    photo = open_photo(photo_path)
    return PhotoFace(photo, find_faces(photo, DlibDetector())[0], 1024)


@pytest.fixture(scope="module")
def found(face, generator, perceptual):
    """A short inversion: (inversion, its progress)."""
    search = face.invert(generator, SHORT, perceptual)
    return search, list(search)


@pytest.fixture
def editor(face, found):
    return PhotoEditor(face, found[0].result, DlibDetector())


# --- weights that can be tuned ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_gradients_of_the_separable_convolution(n):
    """Against the same operations one by one, which autograd differentiates."""
    torch.manual_seed(0)
    x, style = torch.randn(n, 6, 8, 8), torch.randn(n, 6)
    depthwise, weight = torch.randn(6, 1, 3, 3), torch.randn(5, 6, 1, 1)
    bias, noise = torch.randn(5), torch.randn(1, 1, 8, 8)
    free = [t.double().requires_grad_() for t in (x, style, weight, bias)]
    x, style, weight, bias = free
    depthwise, noise = depthwise.double(), noise.double()
    ours = SeparableConv.apply(x, style, depthwise, weight, bias, noise)
    plain = F.conv2d(x * style[:, :, None, None], depthwise, padding=1, groups=6)
    plain = F.leaky_relu(F.conv2d(plain, weight, bias) + noise, SLOPE)
    assert torch.allclose(ours, plain)
    push = torch.randn_like(plain)
    for a, b in zip(
        torch.autograd.grad((ours * push).sum(), free),
        torch.autograd.grad((plain * push).sum(), free),
        strict=True,
    ):
        assert torch.allclose(a, b)


def test_stylegan2_draws_the_same_while_its_weights_are_free():
    model = random_generator(config_f(32, is_face=True))
    styles = model.seed_styles(1)
    own = model.copy_with(model.tunable())
    for weight in own.tunable().values():
        weight.requires_grad_(True)
    image = own.image(styles)
    assert torch.allclose(image, model.image(styles), atol=1e-4)
    gradients = torch.autograd.grad(image.square().mean(), list(own.tunable().values()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_a_copy_owns_what_is_tuned_and_shares_the_rest(generator):
    weights = generator.tunable()
    assert weights
    assert not any("modulation" in name or "mapping" in name for name in weights)
    twin = generator.copy_with({"to_img.bias": weights["to_img.bias"] + 0.5})
    styles = generator.seed_styles(0)
    before = generator.picture(styles)
    assert twin.picture(styles).mean() > before.mean() + 20
    assert (generator.picture(styles) == before).all()
    theirs = dict(generator.named_parameters())
    own = [name for name, weight in twin.named_parameters() if weight is not theirs[name]]
    assert own == ["to_img.bias"]
    assert twin.mean_w is generator.mean_w
    with pytest.raises(ValueError, match="no weight mapping.0.weight"):
        generator.copy_with({"mapping.0.weight": torch.zeros(512, 512)})
    with pytest.raises(ValueError, match="no weight to_img.bias of the shape"):
        generator.copy_with({"to_img.bias": torch.zeros(3)})


# --- inversion --------------------------------------------------------------------------------------------


def test_principal_axes_make_w(generator):
    """Normal coordinates along them have W's covariance."""
    axes = principal_axes(generator)
    with torch.no_grad():
        w = generator.map(torch.randn(4000, 512, generator=torch.Generator().manual_seed(5)))
    wanted = torch.cov(w.T)
    assert torch.linalg.norm(axes.T @ axes - wanted) < 0.35 * torch.linalg.norm(wanted)
    assert torch.allclose(axes @ axes.T, torch.diag((axes**2).sum(1)), atol=1e-3)


def test_an_inversion_comes_nearer_and_shows_itself(found, face, generator):
    search, steps = found
    assert [p.step for p in steps] == list(range(1, 13))
    assert [p.stage for p in steps] == ["styles"] * 8 + ["weights"] * 4
    assert steps[7].loss < 0.8 * steps[0].loss
    assert steps[-1].loss < steps[8].loss
    shown = [p for p in steps if p.picture is not None]
    assert shown[0].step <= 5  # a preview after a few seconds
    assert steps[-1].picture.shape == (1024, 1024, 3)
    result = search.result
    assert face.error(result.generator.picture(result.styles)) < 0.6 * face.error(
        generator.picture(generator.styles(generator.mean_w[None]))
    )
    assert result.generator is not generator
    assert set(result.weights) == set(generator.tunable())
    # The generator that everybody uses is untouched, and nothing is left open in the other.
    again = load_generator()
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), generator.parameters(), strict=True))
    assert not any(weight.requires_grad for weight in result.generator.parameters())


def test_an_inversion_can_be_left_at_any_time(face, generator, perceptual):
    search = face.invert(generator, Preset(4, 2), perceptual)
    assert search.result.styles.shape == (1, 23, 512)  # even before it began
    losses = []
    for progress in search:
        losses.append(progress.loss)
        if progress.step == 3:
            break
    wanted = inversion.Wanted(face.aligned, face.points, perceptual, generator.device)
    with torch.no_grad():
        best = float(wanted.loss(generator.image(search.result.styles), inversion.PIXEL_WEIGHT))
    assert best == pytest.approx(min(losses), rel=1e-3)
    assert search.result.generator is generator


def test_other_generators_can_be_inverted(perceptual, face):
    model = random_generator(config_f(64, is_face=True))
    aligned = cv2.resize(face.aligned, (64, 64), interpolation=cv2.INTER_AREA)
    search = Inversion(model, aligned, (face.points + 0.5) / 16 - 0.5, Preset(12, 6), perceptual)
    losses = [progress.loss for progress in search]
    assert losses[11] < 0.9 * losses[0]
    assert losses[17] < losses[12]
    with pytest.raises(ValueError, match="unknown preset 'perfect'; known: fast, best"):
        Inversion(model, aligned, face.points, "perfect", perceptual)
    with pytest.raises(ValueError, match="expected an aligned picture"):
        Inversion(model, face.aligned, face.points, "fast", perceptual)


def test_saved_and_opened_again(found, face, generator, photo_path, tmp_path):
    result = found[0].result
    save(tmp_path / "anna.safetensors", face, result)
    again_face, again = open_saved(tmp_path / "anna.safetensors", open_photo(photo_path), generator)
    assert (again_face.aligned == face.aligned).all()
    assert torch.equal(again.styles, result.styles)
    assert (again.generator.picture(again.styles) == result.generator.picture(result.styles)).all()

    other = open_photo(photo_path)
    other.pixels[0, 0] ^= 1
    with pytest.raises(PhotoError, match="belongs to another photo than anna.png"):
        open_saved(tmp_path / "anna.safetensors", other, generator)
    model = random_generator(config_f(32, is_face=True))
    with pytest.raises(PhotoError, match="made with the model mobile-ffhq, not random"):
        open_saved(tmp_path / "anna.safetensors", open_photo(photo_path), model)
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "anna.safetensors").read_bytes()[:5000])
    with pytest.raises(PhotoError, match="no saved face"):
        open_saved(tmp_path / "half.safetensors", open_photo(photo_path), generator)


# --- editing ----------------------------------------------------------------------------------------------


def test_without_an_edit_not_one_pixel_changes(editor, face):
    start = editor.look(editor.styles)
    assert (start.picture == face.aligned).all()
    assert (editor.paste(editor.styles) == face.photo.pixels).all()


def test_a_face_that_is_seen_in_the_photo_alone(face, found):
    class ShortSighted(DlibDetector):
        def detect(self, image):
            return []

    editor = PhotoEditor(face, found[0].result, ShortSighted())
    state = editor.look(editor.styles)
    assert np.linalg.norm(state.points - face.points, axis=1).mean() < 25
    assert (state.picture == face.aligned).all()


def test_an_edit_changes_its_region_and_nothing_else(editor, face):
    edit_run = EditRun(editor, editor.look(editor.styles), "smile")
    for progress in edit_run:
        if progress.face is not None and progress.share > 0.2:
            break
    styles = edit_run.drag.styles if edit_run.result.steps == 0 else edit_run.result.face.styles
    pasted, photo = editor.paste(styles), face.photo.pixels
    changed = (pasted != photo).any(axis=2)
    place = np.argwhere(changed)[:, ::-1]
    mouth = face.face.points[48:60].mean(axis=0)
    assert changed[tuple(mouth.round().astype(int)[::-1])]
    unit = np.linalg.norm(face.face.points[45] - face.face.points[36])
    jaw = face.face.points
    assert (place >= jaw.min(axis=0) - unit).all()
    assert (place <= jaw.max(axis=0) + 0.5 * unit).all()
    assert 0.005 < changed.mean() < 0.3
    # The most where the mouth is.
    amount = np.abs(pasted.astype(int) - photo).sum(axis=2).astype(np.float32)
    top = np.unravel_index(cv2.GaussianBlur(amount, (0, 0), 5).argmax(), amount.shape)[::-1]
    assert np.linalg.norm(np.array(top) - mouth) < 0.6 * unit


def test_a_grey_photo_stays_grey(face, found, tmp_path):
    grey = face.photo.pixels.mean(axis=2).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    other = PhotoFace(open_photo(tmp_path / "grey.png"), face.face, 1024)
    editor = PhotoEditor(other, found[0].result, DlibDetector())
    pasted = editor.paste(editor.styles + 0.3 * torch.randn(1, 23, 512))
    assert (pasted != other.photo.pixels).any()
    assert (pasted == pasted[..., :1]).all()


def test_a_region_by_hand_is_added(editor):
    assert editor.region[10:60, 480:540].max() == 0
    mask = np.zeros((1024, 1024), np.float32)
    mask[:200, 400:600] = 1
    editor.allow(mask)
    assert editor.region[100, 500] == 1
    editor.allow(np.zeros((256, 256), np.float32))  # the next edit takes nothing away
    assert editor.region[100, 500] == 1


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, capsys):
    """Run edit_faces.py in this process, with a very short inversion: (exit code, stdout, stderr)."""
    monkeypatch.setitem(inversion.PRESETS, "fast", Preset(5, 2))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edit_faces.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(edit_faces.main)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def test_a_folder_of_photos(command, photo_path, tmp_path, monkeypatch):
    folder, output, kept = tmp_path / "in", tmp_path / "out", tmp_path / "kept"
    folder.mkdir()
    (folder / "anna.png").write_bytes(photo_path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not looked at")
    arguments = (
        "--image",
        folder,
        "--edit",
        "smile",
        "--max-steps",
        4,
        "--output",
        output,
        "--inversions",
        kept,
    )
    code, out, err = command(*arguments)
    assert code == 1
    anna, broken = (json.loads(line) for line in (output / "edits.jsonl").read_text().splitlines())
    assert (anna["id"], anna["edit"]) == ("anna.png", "smile")
    assert anna["inversion_error"] > 0
    assert anna["inversion_seconds"] > 0
    assert anna["inversion_identity"] > 0
    assert 0 < anna["identity_distance"] < 0.6
    assert anna["mouth_width_after"] != anna["mouth_width_before"]
    assert (broken["id"], broken["ok"]) == ("broken.jpg", False)
    assert "broken.jpg is not a picture" in broken["reason"]
    assert "broken.jpg is not a picture" in out
    photo = np.array(Image.open(photo_path))
    with Image.open(output / "anna_before.png") as before, Image.open(output / "anna_after.png") as after:
        assert (np.array(before) == photo).all()
        assert after.size == before.size
        assert after.text["Comment"].startswith("AI-edited")
        assert json.loads(after.text["Edit"])["id"] == "anna.png"
        changed = (np.array(after) != photo).any(axis=2)
    assert 0 < changed.mean() < 0.4
    assert (output / "contact_sheet.png").is_file()
    assert [p.name for p in kept.iterdir()] == ["anna.png.fast.0.safetensors"]

    # Again: skipped; and another edit takes the face that is kept.
    code, out, err = command(*arguments)
    assert code == 1
    assert "already" in err
    monkeypatch.setattr(PhotoFace, "invert", None)
    code, out, err = command(
        *arguments[:2], "--edit", "slim", *arguments[4:6], "--output", tmp_path / "slim", *arguments[8:]
    )
    slim = json.loads((tmp_path / "slim" / "edits.jsonl").read_text().splitlines()[0])
    assert slim["steps"] > 0
    assert "inversion_seconds" not in slim


def test_ctrl_c_in_an_inversion(command, photo_path, tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Inversion, "__iter__", interrupted)
    code, out, err = command("--image", photo_path, "--output", tmp_path / "o")
    assert code == 130
    assert not list((tmp_path / "o").glob("*.png"))
    assert (tmp_path / "o" / "edits.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "nowhere.jpg"], "--image nowhere.jpg: there is no such file or folder"),
        (["--image", "."], "no photos in this folder; known endings: .jpg"),
        (["--image", "{photo}", "--face", "-1"], "0 is the largest face"),
        (["--image", "{photo}", "--inversion", "perfect"], "invalid choice: 'perfect'"),
    ],
)
def test_mistakes(command, tmp_path, monkeypatch, photo_path, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*(a.format(photo=photo_path) for a in arguments), "--output", "o")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not Path("o").exists()


def test_a_face_that_is_not_there(command, photo_path, tmp_path):
    code, out, err = command("--image", photo_path, "--face", 3, "--output", tmp_path / "o")
    assert code == 1
    assert "anna.png has 1 faces, so there is no --face 3" in out
