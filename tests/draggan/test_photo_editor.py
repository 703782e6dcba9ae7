"""Editing a face of a photo, pasting it back, saving and opening what was found."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from draggan.editor import EditRun
from draggan.generators.stylegan2 import config_f, random_generator
from draggan.landmarks import DlibDetector
from draggan.photo_editor import PhotoEditor, PhotoFace, open_saved, save
from draggan.photos import PhotoError, open_photo


@pytest.fixture
def editor(face, found):
    return PhotoEditor(face, found[0].result, DlibDetector())


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
