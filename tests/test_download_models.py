"""download_models.py: the table of models, the list, and the conversion. No test leaves this machine.

How files come by address and out of packages is tested in tests/common/.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from download_site import DATA, by_address, files, one_error_line, sha256, wheel
from segmentation_data import ROOT

import download_models
from common.fetching import File
from common.models import Model
from common.packages import Package


def test_registry_is_consistent():
    models = download_models.MODELS
    names = [model.name for model in models]
    assert len(set(names)) == len(names)
    default = {m.name for m in models if m.default}
    assert default == {"mobile-ffhq", "dlib-landmarks", "dlib-identity", "mobilenet_v2"}
    final = [file.name for model in models for file in model.files]
    assert len(set(final)) == len(final)
    for model in models:
        assert model.files
        assert model.licence
        assert model.purpose
        assert bool(model.converter) == bool(model.made_from)
        assert model.converter in {"", *download_models.CONVERTERS}
        if model.package:
            assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", model.package.requirement)
            assert re.fullmatch("[0-9a-f]{64}", model.package.sha256)
        for file in model.made_from or model.files:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size >= 0
            assert bool(file.member) == bool(model.package)
            assert bool(file.urls) != bool(model.package)
            assert all(url.startswith("https://") for url in file.urls)
            if model.package:
                assert file.sha256
                assert file.size
            if found := re.search(r"-([0-9a-f]{8,})\.pth", file.name):  # torch hub's names carry the digits
                assert file.sha256.startswith(found[1])


def test_converted_model_is_what_the_generators_read():
    from draggan import generators

    model = next(model for model in download_models.MODELS if model.name == generators.DEFAULT_MODEL)
    path = generators.models()[generators.DEFAULT_MODEL]
    assert download_models.CHECKPOINTS / model.files[0].name == path


@pytest.mark.parametrize("setting", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_hub_folder_is_that_of_torch(monkeypatch, setting):
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv(setting, "~/somewhere")
    assert download_models.hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_list_is_instant_and_fetches_nothing(tmp_path):
    code = (
        "import sys, download_models as d; code = d.main(['--list', '--dir', sys.argv[1]]);"
        "assert not {'torch', 'numpy', 'draggan'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c")], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    for model in download_models.MODELS:
        line = next(line for line in done.stdout.splitlines() if line.split()[:1] == [model.name])
        assert (" * " in line) == model.default
        assert model.licence in line
        assert model.purpose in line
        assert " no " in line
    assert not (tmp_path / "c").exists()


def test_the_list_may_be_cut_off():
    command = [sys.executable, "download_models.py", "--list"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_list_says_what_is_here(download, tmp_path):
    models = by_address("http://127.0.0.1:9/x")
    for data, here in ((DATA, " yes "), (DATA[:-1], " broken ")):
        (tmp_path / "c").mkdir(exist_ok=True)
        (tmp_path / "c/net.bin").write_bytes(data)
        assert here in download(models, "--list")[1]


def test_unknown_name(download):
    code, _, err = download(by_address("http://127.0.0.1:9/x"), "nett")
    assert code == 2
    assert "'nett'" in one_error_line(err)
    assert "known: net" in err


# --- conversion -------------------------------------------------------------------------------------------

NETWORK = """<net name="n" version="10"><layers><layer id="0" name="x" type="Const" version="opset1">
<data element_type="f32" offset="0" shape="4" size="16"/></layer></layers><edges/></net>"""


def converted(path: Path, members: dict[str, bytes], converter: str) -> list[Model]:
    """A registry of one model that is converted from members of the package at ``path``."""
    made_from = tuple(
        File(Path(member).name, len(data), sha256(data), member=member) for member, data in members.items()
    )
    package = Package("tiny-face==1.0", sha256(path.read_bytes()))
    return [
        Model(
            "net",
            "a test",
            "MIT",
            (File("net.safetensors"),),
            package,
            made_from=made_from,
            converter=converter,
            default=True,
        )
    ]


@pytest.mark.parametrize("broken", ["xml", "bin"])
def test_network_that_is_cut_short(download, shelf, tmp_path, broken):
    members = {}
    for network in ("MappingNetwork", "SynthesisNetwork"):
        xml, data = NETWORK.encode(), bytes(16)
        members[f"tiny/{network}.xml"] = xml[:100] if broken == "xml" else xml
        members[f"tiny/{network}.bin"] = data[:8] if broken == "bin" else data
    models = converted(wheel(shelf, members), members, "mobile_stylegan")
    code, _, err = download(models)
    assert code == 2
    assert {"xml": "not an XML file", "bin": "cut short"}[broken] in one_error_line(err)
    assert files(tmp_path / "c") == []


def test_converted_file_that_is_cut_short_is_made_again(download, shelf, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file, save

    def convert(folder: Path, target: Path, metadata: dict[str, str]) -> None:
        target.write_bytes(save({"a": torch.arange(1000)}, metadata=metadata))

    models = converted(wheel(shelf, {"tiny/a.bin": DATA}), {"tiny/a.bin": DATA}, "test")
    monkeypatch.setitem(download_models.CONVERTERS, "test", convert)
    path = tmp_path / "c/net.safetensors"
    assert download(models)[0] == 0
    whole = path.read_bytes()
    assert " yes " in download(models, "--list")[1]
    assert b"tiny-face==1.0" in whole  # says what it was made from
    for rest in (whole[:-1], whole[:20], b"", b"\xff" * 100):
        path.write_bytes(rest)
        assert " broken " in download(models, "--list")[1]
    code, out, _ = download(models)
    assert code == 0
    assert "fetching it again" in out
    assert len(path.read_bytes()) == len(whole)
    assert load_file(path)["a"][-1] == 999
