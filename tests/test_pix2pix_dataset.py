"""Pairs: layouts, kinds of pictures, paired augmentation, broken files, order and shares."""

import os
import re
import shutil

import numpy as np
import pytest
import torch
from label_sets import bands, painted, write
from PIL import Image
from segmentation_data import SIDE, command, error_of, make_pairs, picture_pair

from common.commandline import UserError
from pix2pix_dataset import Augment, EpochSampler, PairDataset
from training.pairs import find_pairs, resolve
from training.pictures import PICTURE, read_picture
from training.sizes import square
from training.survey import kind_of_input


def halves(item) -> tuple[np.ndarray, np.ndarray]:
    return tuple(item[key].permute(1, 2, 0).numpy() for key in ("photo", "label"))


def test_a_and_b_and_direction(tmp_path):
    make_pairs(tmp_path)
    photo, label = halves(PairDataset(tmp_path, "train", scaling=square(32))[2])
    want = picture_pair(2)
    assert (photo == want[0]).all()
    assert (label == want[1]).all()
    label, photo = halves(PairDataset(tmp_path, "train", scaling=square(32), direction="BtoA")[2])
    assert (photo == want[0]).all()
    assert (label == want[1]).all()


@pytest.mark.parametrize("layout", ["{split}/{side}", "{side}/{split}"])
@pytest.mark.parametrize("cache_mb", [0, 100])
def test_two_folders_keep_exact_colours(tmp_path, layout, cache_mb):
    want = picture_pair(5)
    for side, picture in zip("AB", want, strict=True):
        folder = tmp_path / layout.format(split="train", side=side)
        folder.mkdir(parents=True)
        Image.fromarray(picture).save(folder / "one.png")
    data = PairDataset(tmp_path, "train", scaling=square(32), cache_mb=cache_mb)
    for found, wanted in zip(halves(data[0]), want, strict=True):
        assert (found == wanted).all()


def test_unpaired_files_are_named(tmp_path):
    for side, names in (("A", ["x", "y"]), ("B", ["x"])):
        (tmp_path / "train" / side).mkdir(parents=True)
        for name in names:
            Image.fromarray(picture_pair(0)[0]).save(tmp_path / "train" / side / f"{name}.png")
    with pytest.raises(UserError, match=r"no partner: .*A/y\.\* is missing in .*B"):
        find_pairs(tmp_path, "train")


def test_all_that_keeps_pairs_apart_is_named_at_once(tmp_path):
    root = write(tmp_path, lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (200, 30, 30)]))
    photos, labels = root / "train/A", root / "train/B"
    for dead in (labels / "0.png", labels / "1.png"):
        dead.unlink()
        dead.symlink_to("nowhere.png")
    os.mkfifo(photos / "pipe.png")
    for missing in (labels / "2.png", photos / "3.png"):
        missing.unlink()
    with pytest.raises(UserError) as error:
        find_pairs(root, "train")
    said = str(error.value)
    assert f"{labels}/0.png is a link that leads nowhere and no picture" in said
    assert f"{labels}/1.png is a link that leads nowhere and no picture" in said
    assert f"{photos}/pipe.png is a named pipe and no picture" in said
    assert "remove them and their partners on the other side. 2 pictures have no partner" in said
    assert f"{photos}/2.* is missing in {labels}, {labels}/3.* is missing in {photos}" in said
    assert f"{photos}/0.*" not in said  # its partner is there, a bad one
    done = command(root, script="pix2pix_dataset.py")
    assert f"train: {said}" in done.stdout
    assert "mend what stands above and run this again" in error_of(done)


def test_a_dead_link_without_a_partner_is_removed_alone(tmp_path):
    root = write(tmp_path, lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (200, 30, 30)]))
    (root / "train/B/x.png").symlink_to("nowhere.png")
    with pytest.raises(UserError, match=r"x.png is a link that leads nowhere and no picture; remove it$"):
        find_pairs(root, "train")
    (root / "train/A/x.png").symlink_to(root / "train/A/0.png")
    with pytest.raises(UserError, match=r"remove it and its partner on the other side$"):
        find_pairs(root, "train")


def test_two_files_of_different_sizes_are_named(tmp_path):
    for side, size in (("A", 32), ("B", 30)):
        (tmp_path / "train" / side).mkdir(parents=True)
        Image.new("RGB", (size, 32)).save(tmp_path / "train" / side / "x.png")
    with pytest.raises(UserError, match=r"A/x.png is 32 x 32 but .*B/x.png is 30 x 32"):
        PairDataset(tmp_path, "train")


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_odd_width_is_named(tmp_path, cache_mb):
    make_pairs(tmp_path)
    Image.new("RGB", (65, 32)).save(tmp_path / "train" / "odd.png")
    with pytest.raises(UserError, match=r"odd.png is 65 pixels wide"):
        PairDataset(tmp_path, "train", cache_mb=cache_mb)


def test_empty_and_missing_splits(tmp_path):
    with pytest.raises(UserError, match=r"holds no pictures; expected A|B files"):
        find_pairs(tmp_path, "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match=r"holds no pictures"):
        find_pairs(tmp_path, "train")


def test_missing_set_says_the_download_command(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"bash download_dataset.sh night2day"):
        resolve("datasets/night2day")
    with pytest.raises(UserError, match=r"download_dataset.sh NAME.*facades"):
        resolve("nowhere/at_all")


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_broken_files_are_named_or_skipped(tmp_path, cache_mb):
    make_pairs(tmp_path)
    whole = (tmp_path / "train" / "train_1.png").read_bytes()
    (tmp_path / "train" / "train_1.png").write_bytes(whole[: len(whole) // 2])  # cut off within the data
    (tmp_path / "train" / "train_0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"train_0.png cannot be read.*--skip-broken"):
        PairDataset(tmp_path, "train", cache_mb=cache_mb)
    data = PairDataset(tmp_path, "train", scaling=square(32), skip_broken=True, cache_mb=cache_mb)
    items = [data[k] for k in range(len(data))]
    assert all((halves(item)[0] == picture_pair(k)[0]).any() for k, item in enumerate(items))
    assert {text.split(" ")[0].rsplit("/")[-1] for text in data.broken} == {"train_0.png", "train_1.png"}
    if cache_mb:
        assert [pair.name for pair in data.pairs] == [f"train_{k}" for k in range(2, 6)]


def test_kinds_of_pictures(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (np.asarray(read_picture(tmp_path / "grey.png")) == grey[..., None]).all()

    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    assert (np.asarray(read_picture(tmp_path / "sixteen.png")) == grey[..., None]).all()

    colours = Image.fromarray(grey // 128, "P")
    colours.putpalette([10, 20, 30, 200, 100, 50])
    colours.save(tmp_path / "palette.png")
    found = np.asarray(read_picture(tmp_path / "palette.png"))
    assert {tuple(c) for c in found.reshape(-1, 3).tolist()} == {(10, 20, 30), (200, 100, 50)}

    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    Image.fromarray(rgba).save(tmp_path / "opaque.png")
    assert (np.asarray(read_picture(tmp_path / "opaque.png")) == grey[..., None]).all()
    rgba[0, 0, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    with pytest.raises(UserError, match=r"clear.png is partly transparent"):
        read_picture(tmp_path / "clear.png")
    Image.new("CMYK", (8, 8)).save(tmp_path / "print.jpg")
    with pytest.raises(UserError, match=r"print.jpg is a CMYK picture"):
        read_picture(tmp_path / "print.jpg")


def test_photos_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn clockwise shows it upright
    Image.new("RGB", (40, 20)).save(tmp_path / "phone.jpg", exif=exif)
    assert read_picture(tmp_path / "phone.jpg").size == (20, 40)


def test_labels_are_scaled_by_nearest_neighbour(tmp_path):
    make_pairs(tmp_path)
    for augment in (None, Augment(square(48), crop=0.4, jitter=0.5)):
        data = PairDataset(tmp_path, "train", scaling=square(48), augment=augment)
        for k in range(len(data)):
            colours = data[k]["label"].flatten(1).T.unique(dim=0).tolist()
            assert all(tuple(c) in {(128, 128, 128), (128, 0, 0), (128, 64, 128)} for c in colours)


def test_augmentation_moves_photo_and_label_together(tmp_path):
    """A photo equal to its label stays so through crop and flip; colour jitter changes the photo alone."""
    (tmp_path / "train").mkdir()
    blocks = np.kron(np.random.default_rng(0).integers(0, 256, (8, 8, 3)), np.ones((16, 16, 1))).astype(
        np.uint8
    )
    Image.fromarray(np.hstack([blocks, blocks])).save(tmp_path / "train" / "same.png")
    data = PairDataset(
        tmp_path, "train", scaling=square(128), augment=Augment(square(128), crop=0.3, jitter=0.0)
    )
    differences = []
    for epoch in range(6):
        photo, label = halves(data[epoch, 0])
        apart = np.abs(photo.astype(int) - label).max(axis=2)
        assert np.median(apart) <= 1  # away from the blocks' borders, where bilinear and nearest differ
        differences.append((label != blocks).any())
    assert all(differences)
    jittered = PairDataset(
        tmp_path, "train", scaling=square(128), augment=Augment(square(128), crop=1.0, jitter=0.8)
    )
    found = [halves(jittered[epoch, 0]) for epoch in range(6)]
    assert all((label == blocks).all() or (label == blocks[:, ::-1]).all() for _, label in found)
    assert sum(np.abs(photo.astype(int) - label).mean() > 4 for photo, label in found) >= 4


def test_nothing_is_mirrored_without_flip(tmp_path):
    """Where left and right are different classes, a mirrored pair would teach the opposite."""
    make_pairs(tmp_path, train=4, side=64)
    for flip in (True, False):
        augment = Augment(square(64), crop=1.0, jitter=0.0, flip=flip)
        data = PairDataset(tmp_path, "train", scaling=square(64), augment=augment)
        same = [np.array_equal(halves(data[epoch, 1])[0], data.cache[1][0]) for epoch in range(12)]
        assert all(same) != flip
        assert any(same)


def test_augmentation_depends_on_seed_epoch_and_index_alone(tmp_path):
    make_pairs(tmp_path)
    augment = Augment(square(32), crop=0.4, jitter=0.5)
    data = PairDataset(tmp_path, "train", scaling=square(32), augment=augment, seed=3)
    first = data[4, 1]["photo"]
    torch.rand(7)
    data[5, 2]
    assert torch.equal(data[4, 1]["photo"], first)
    assert not torch.equal(data[5, 1]["photo"], first)
    other = PairDataset(tmp_path, "train", scaling=square(32), augment=augment, seed=4)
    assert not torch.equal(other[4, 1]["photo"], first)


def test_training_shares_are_even_and_disjoint():
    samplers = [EpochSampler(23, 4, shuffle=True, rank=rank, ranks=2) for rank in range(2)]
    shares = [list(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [8, 8] == [len(sampler) for sampler in samplers]
    assert len({index for share in shares for _, index in share}) == 16
    samplers[0].epoch = 1
    assert list(samplers[0]) != shares[0]


def test_split_smaller_than_a_batch_is_repeated():
    assert len(list(EpochSampler(3, 8, shuffle=True))) == 8


def test_validation_shares_hold_every_picture_once():
    shares = [list(EpochSampler(11, 4, shuffle=False, rank=rank, ranks=3)) for rank in range(3)]
    assert sorted(index for share in shares for _, index in share) == list(range(11))


def test_survey_command(tmp_path):
    make_pairs(tmp_path)
    done = command(tmp_path, script="pix2pix_dataset.py")
    assert done.returncode == 0
    assert "train: 6 pairs, 0 broken" in done.stdout


def test_the_check_decodes_everything_and_says_what_stops_a_training(tmp_path):
    make_pairs(tmp_path)
    files = sorted((tmp_path / "train").iterdir())
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])  # the header is whole
    done = command(tmp_path, script="pix2pix_dataset.py")
    assert f"{files[0]} cannot be read as a picture" in done.stdout
    assert "train: 6 pairs, 1 broken" in done.stdout
    assert "1 fault, listed above" in error_of(done)
    assert "labels: " in done.stdout


@pytest.mark.parametrize("fault", ["stem", "partner", "pipe", "no val", "one class"])
def test_the_check_ends_with_an_error_where_a_training_would(tmp_path, fault):
    root = write(tmp_path, lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (200, 30, 30)]))
    said = "1 fault, listed above"
    if fault == "stem":
        Image.open(root / "val/B/6.png").save(root / "val/B/6.bmp")
    elif fault == "partner":
        (root / "val/B/6.png").unlink()
    elif fault == "pipe":
        os.mkfifo(root / "val/B/9.png")
    elif fault == "no val":
        shutil.rmtree(root / "val")
        said = "has no val/ and no test/"
    else:
        for file in root.glob("*/B/*.png"):
            Image.new("RGB", (SIDE, SIDE), (200, 30, 30)).save(file)
        said = "one class only (the colour 200 30 30 (100.00%))"
    assert said in error_of(command(root, script="pix2pix_dataset.py"))


def test_the_check_shows_the_classes(tmp_path):
    root = write(
        tmp_path, lambda k: painted(np.tile([0, 1, 1, 1], (SIDE, SIDE // 4)), [(0, 0, 0), (200, 30, 30)])
    )
    done = command(root, script="pix2pix_dataset.py")
    assert done.returncode == 0, done.stderr
    assert "labels: colours" in done.stdout
    assert re.search(r"2 classes\n +75.0000%  200-30-30\n +25.0000%  0-0-0\n +0.0000%  ignored", done.stdout)


def test_sides_of_pairs_under_other_names_are_no_files_with_two_halves(tmp_path):
    root = write(tmp_path, lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (200, 30, 30)]))
    for split in ("train", "val"):
        for side, name in (("A", "images"), ("B", "labels")):
            (root / split / side).rename(root / split / name)
    with pytest.raises(UserError, match=r"the same names in images/ and labels/; call .* A, the other B"):
        find_pairs(root, "train")
    with pytest.raises(UserError, match=r"test holds no pictures, for it is not there"):
        find_pairs(root, "test")


def test_photos_that_predict_takes_can_be_learned_from(tmp_path):
    root = write(tmp_path, lambda k: painted(bands(k, [0, 1]), [(0, 0, 0), (200, 30, 30)]))
    clear = np.full((SIDE, SIDE, 4), (10, 20, 30, 0), np.uint8)
    Image.fromarray(clear).save(root / "train/A/0.png")
    Image.open(root / "train/A/1.png").convert("CMYK").save(root / "train/A/1.tif")
    (root / "train/A/1.png").unlink()
    pairs = find_pairs(root, "train")
    given = kind_of_input(pairs, "a")
    data = PairDataset(root, "train", pairs=pairs, readers=(given.reader, PICTURE), scaling=square(SIDE))
    assert (given.kind, len(data)) == ("picture", 6)
    assert (data[0]["photo"] == 255).all()  # on white, as predict.py shows it
    with pytest.raises(UserError, match=r"0.png is partly transparent"):
        PairDataset(root, "train", pairs=pairs, scaling=square(SIDE))
