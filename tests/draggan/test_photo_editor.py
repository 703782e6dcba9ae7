"""Editing a face of a photo, pasting it back, saving and opening what was found."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from draggan.editor import EditTask
from draggan.generators.stylegan2 import random_generator
from draggan.generators.stylegan2_layers import config_f
from draggan.landmarks import DlibDetector
from draggan.photo_editor import CutOut, PhotoSubject, open_saved, save
from draggan.photos import PhotoError, open_photo


@pytest.fixture
def subject(found):
    return found[0].face.subject


def test_saved_and_opened_again(subject, cut_out, generator, detector, photo_path, tmp_path):
    save(tmp_path / "anna.safetensors", subject)
    again = open_saved(tmp_path / "anna.safetensors", open_photo(photo_path), generator, detector)
    assert (again.cut_out.aligned == cut_out.aligned).all()
    assert torch.equal(again.inverted.styles, subject.inverted.styles)
    drawn = [each.generator.picture(each.inverted.styles) for each in (again, subject)]
    assert (drawn[0] == drawn[1]).all()

    other = open_photo(photo_path)
    other.pixels[0, 0] ^= 1
    with pytest.raises(PhotoError, match="belongs to another photo than anna.png"):
        open_saved(tmp_path / "anna.safetensors", other, generator, detector)
    model = random_generator(config_f(32, is_face=True))
    with pytest.raises(PhotoError, match="made with the model mobile-ffhq, not random"):
        open_saved(tmp_path / "anna.safetensors", open_photo(photo_path), model, detector)
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "anna.safetensors").read_bytes()[:5000])
    with pytest.raises(PhotoError, match="no saved face"):
        open_saved(tmp_path / "half.safetensors", open_photo(photo_path), generator, detector)


def test_without_an_edit_not_one_pixel_changes(subject, cut_out):
    start = subject.face()
    assert (start.picture == cut_out.aligned).all()
    assert (subject.paste(start) == cut_out.photo.pixels).all()


def test_a_face_that_is_seen_in_the_photo_alone(cut_out, found):
    class ShortSighted(DlibDetector):
        def detect(self, image):
            return []

    face = PhotoSubject(cut_out, found[0].inversion.result, ShortSighted()).face()
    assert np.linalg.norm(face.points - cut_out.points, axis=1).mean() < 25
    assert (face.picture == cut_out.aligned).all()


def test_an_edit_changes_its_region_and_nothing_else(subject, cut_out):
    task = EditTask(subject.face(), "smile")
    for progress in task:
        if progress.face is not None and progress.share > 0.2:
            break
    pasted, photo = subject.paste(task.face), cut_out.photo.pixels
    changed = (pasted != photo).any(axis=2)
    place = np.argwhere(changed)[:, ::-1]
    mouth = cut_out.face.points[48:60].mean(axis=0)
    assert changed[tuple(mouth.round().astype(int)[::-1])]
    unit = np.linalg.norm(cut_out.face.points[45] - cut_out.face.points[36])
    jaw = cut_out.face.points
    assert (place >= jaw.min(axis=0) - unit).all()
    assert (place <= jaw.max(axis=0) + 0.5 * unit).all()
    assert 0.005 < changed.mean() < 0.3
    # The most where the mouth is.
    amount = np.abs(pasted.astype(int) - photo).sum(axis=2).astype(np.float32)
    top = np.unravel_index(cv2.GaussianBlur(amount, (0, 0), 5).argmax(), amount.shape)[::-1]
    assert np.linalg.norm(np.array(top) - mouth) < 0.6 * unit


def test_a_grey_photo_stays_grey(cut_out, found, tmp_path):
    grey = cut_out.photo.pixels.mean(axis=2).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    other = CutOut(open_photo(tmp_path / "grey.png"), cut_out.face, 1024)
    subject = PhotoSubject(other, found[0].inversion.result, DlibDetector())
    face = subject.face()
    pasted = subject.paste(face.with_styles(face.styles + 0.3 * torch.randn(1, 23, 512)))
    assert (pasted != other.photo.pixels).any()
    assert (pasted == pasted[..., :1]).all()


def test_a_region_by_hand_is_added_to_that_face_alone(subject):
    start = subject.face()
    assert subject.region(start)[10:60, 480:540].max() == 0
    mask = np.zeros((1024, 1024), np.float32)
    mask[:200, 400:600] = 1
    reached = start.reaching(mask)
    assert subject.region(reached)[100, 500] == 1
    further = reached.reaching(np.zeros((256, 256), np.float32))  # the next edit takes nothing away
    assert subject.region(further)[100, 500] == 1
    assert subject.region(start)[100, 500] == 0  # as after an undo
