"""The numbers: analytic answers, the void rules, agreement with torchmetrics."""

import math

import pytest
import torch

from common import torchvision_ops  # noqa: F401  (torchmetrics looks at torchvision)
from training.metrics import SplitMeter, boundary_f1, confusion, scores
from training.palettes import CAMVID, VOID_DISTANCE, truth_classes


def paint(classes: torch.Tensor, palette=CAMVID) -> torch.Tensor:
    """(N, H, W) class numbers -> (N, 3, H, W) uint8."""
    return palette.colours.to(torch.uint8)[classes].permute(0, 3, 1, 2)


def test_perfect_prediction_scores_one():
    labels = paint(torch.arange(11).repeat(2, 4, 1))
    meter = SplitMeter(CAMVID)
    meter.update(labels, labels)
    result = meter.result()
    assert (result["l1"], result["pixel_acc"], result["class_acc"], result["miou"]) == (0, 1, 1, 1)


def test_known_confusion():
    # truth: 3 x class 0, 1 x class 1; one of class 0 is predicted as class 1
    matrix = confusion(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]), 3)
    found = scores(matrix)
    assert found.pixel_acc == 3 / 4
    assert found.class_acc == pytest.approx((2 / 3 + 1) / 2)
    assert found.miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert math.isnan(found.iou[2])  # absent from both: not in the mean


def test_class_only_predicted_counts_as_zero():
    found = scores(confusion(torch.tensor([0, 0]), torch.tensor([0, 2]), 3))
    assert found.iou[2] == 0
    assert found.miou == pytest.approx((1 / 2 + 0) / 2)
    assert found.class_acc == 1 / 2


def test_colours_outside_the_palette_are_void_and_counted():
    grey = CAMVID.classes["sky"][0]
    near, far = grey + int(VOID_DISTANCE / 3**0.5) - 1, 255
    label = torch.tensor([grey, near, far, far], dtype=torch.uint8).repeat(1, 3, 1).reshape(1, 3, 1, 4)
    classes, outside = truth_classes(label, CAMVID)
    assert classes.flatten().tolist() == [0, 0, -1, -1]
    assert outside.flatten().tolist() == [False, False, True, True]
    meter = SplitMeter(CAMVID)
    meter.update(label, label)
    assert meter.outside == 0.5


def test_l1_is_on_zero_to_one():
    meter = SplitMeter(None)
    meter.update(torch.full((1, 3, 4, 4), 51, dtype=torch.uint8), torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    assert meter.l1 == pytest.approx(0.2)


def test_batches_add_up_to_the_whole_split():
    generator = torch.Generator().manual_seed(0)
    truth = paint(torch.randint(0, 11, (4, 16, 16), generator=generator))
    found = paint(torch.randint(0, 11, (4, 16, 16), generator=generator))
    whole, parts = SplitMeter(CAMVID), SplitMeter(CAMVID)
    whole.update(found, truth)
    for k in (slice(0, 1), slice(1, 4)):
        parts.update(found[k], truth[k])
    assert whole.result() == pytest.approx(parts.result())


def test_agrees_with_torchmetrics():
    classification = pytest.importorskip("torchmetrics.functional.classification")
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(-1, 11, (3, 32, 32), generator=generator)
    found = torch.where(
        torch.rand(truth.shape, generator=generator) < 0.6,
        truth.clamp(min=0),
        torch.randint(0, 11, truth.shape, generator=generator),
    )
    ours = scores(confusion(truth, found, 11))
    theirs = {"preds": found, "target": truth, "num_classes": 11, "ignore_index": -1}
    assert ours.pixel_acc == pytest.approx(
        classification.multiclass_accuracy(**theirs, average="micro").item(), abs=1e-6
    )
    assert ours.class_acc == pytest.approx(
        classification.multiclass_accuracy(**theirs, average="macro").item(), abs=1e-6
    )
    per_class = classification.multiclass_jaccard_index(**theirs, average="none")
    assert ours.iou == pytest.approx(per_class.tolist(), abs=1e-6)
    assert ours.miou == pytest.approx(per_class.mean().item(), abs=1e-6)


def test_pictures_are_scored_by_psnr_and_ssim():
    noise = torch.Generator().manual_seed(0)
    label = torch.randint(0, 256, (3, 3, 32, 32), generator=noise).to(torch.uint8)
    meter = SplitMeter(None)
    meter.update(label[:2], label[:2])
    assert meter.result() == pytest.approx({"l1": 0, "psnr": 100, "ssim": 1})
    meter.update((label[2:].int() // 2).to(torch.uint8), label[2:])
    found = meter.result()
    error = (label[2].float() / 255 - (label[2] // 2).float() / 255).square().mean()
    assert found["psnr"] == pytest.approx((200 - 10 * torch.log10(error).item()) / 3, abs=1e-3)
    assert 0.5 < found["ssim"] < 1


def squares(left: int, side: int = 8) -> torch.Tensor:
    """(1, 32, 32) of class 0 with a square of class 1 from column ``left`` on."""
    index = torch.zeros(1, 32, 32, dtype=torch.long)
    index[:, 8 : 8 + side, left : left + side] = 1
    return index


def test_borders_are_met_within_two_pixels():
    truth = squares(8)
    assert boundary_f1(truth, truth, 3)[0, :2].tolist() == [1, 1]
    assert boundary_f1(truth, truth, 3)[0, 2].isnan()  # a class of neither
    assert boundary_f1(truth, squares(10), 3)[0, :2].tolist() == [1, 1]
    assert (boundary_f1(truth, squares(11), 3)[0, :2] < 1).all()
    assert boundary_f1(truth, squares(22), 3)[0, 1] == 0
    assert boundary_f1(truth, torch.zeros_like(truth), 3)[0, :2].tolist() == [0, 0]


def test_boundary_f1_is_the_harmonic_mean_of_precision_and_recall():
    # within 0: the border of a square of 8 has 28 pixels; of one of 4 in its corner 12, of which 7 lie on it
    found = boundary_f1(squares(8), squares(8, side=4), 2, within=0)[0, 1]
    precision, recall = 7 / 12, 7 / 28
    assert found == pytest.approx(2 * precision * recall / (precision + recall))


def test_no_border_lies_beside_void():
    truth = squares(8)
    truth[:, :, 16:] = -1  # the square's right side is not known
    wider = truth.clone()
    wider[:, 8:16, 16:24] = 1  # what is painted into void does not count
    assert boundary_f1(truth, wider.clamp(min=0), 2)[0].tolist() == [1, 1]
