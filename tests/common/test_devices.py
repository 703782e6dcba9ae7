"""--device: what is known, what is there, and one line for everything else, in every script."""

import os
import sys
from pathlib import Path

import pytest
import torch
import warm

from common.commandline import UserError, choose_device, run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    *("train_l1.py", "train_cgan.py", "predict.py"),
    *("draggan/edit_faces.py", "draggan/learn_directions.py", "draggan/gragan_modify.py"),
    *(
        f"benchmarks/{name}.py"
        for name in ("drag_step", "gan_ratio", "generator", "gpu", "photos", "sliders")
    ),
]
FACES = ["--dataset", str(ROOT / "datasets" / "faces")]
NEEDS = {
    "benchmarks/photos.py": ["--photos", str(ROOT / "pics" / "photo.jpg")],
    **dict.fromkeys(("train_l1.py", "train_cgan.py", "benchmarks/gan_ratio.py"), FACES),
}


@pytest.fixture
def gpus(monkeypatch):
    """A function that makes torch see so many CUDA GPUs; gives the list of those made current."""
    current = []

    def see(count: int) -> list:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        return current

    return see


@pytest.mark.parametrize(
    ("name", "count", "is_it"),
    [
        ("cpu", 0, "cpu"),
        ("cpu", 2, "cpu"),
        ("auto", 0, "cpu"),
        ("auto", 1, "cuda"),
        ("cuda", 1, "cuda"),
        ("cuda:0", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
        ("cuda:9", 10, "cuda:9"),
    ],
)
def test_names_that_are_known(gpus, name, count, is_it):
    current = gpus(count)
    assert choose_device(name) == torch.device(is_it)
    assert current == ([int(is_it[-1])] if ":" in is_it else [])


def test_mps(monkeypatch, gpus):
    gpus(0)
    with pytest.raises(UserError, match="--device mps: this machine has no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == choose_device("auto") == torch.device("mps")


@pytest.mark.parametrize(
    ("name", "count", "says"),
    [
        *((name, 2, "unknown") for name in ("gpu", "0", "foo", "", "cuda:", "cuda:x", "cuda:-1", "cuda:1:1")),
        *((name, 2, "unknown") for name in ("CUDA", "cpu:0", "meta", "cuda:1 ", "cuda:²", "mps:0")),
        ("cuda", 0, "sees no CUDA GPU"),
        ("cuda:0", 0, "sees no CUDA GPU"),
        ("cuda:1", 1, "no such GPU; use cuda:0, or"),
        ("cuda:9", 2, "no such GPU; use cuda:0 to cuda:1, or"),
        ("cuda:99999999999999999999", 2, "no such GPU"),
    ],
)
def test_others_are_refused(gpus, name, count, says):
    current = gpus(count)
    with pytest.raises(UserError, match=says) as error:
        choose_device(name)
    assert str(error.value).startswith(f"--device {name}: ")
    assert "\n" not in str(error.value)
    assert not current


@pytest.mark.parametrize("command", COMMANDS)
def test_every_script_says_it_in_one_line(command, tmp_path):
    """With a device of each kind of mistake in turn."""
    name = ("gpu", "0", "foo", "cuda:9")[COMMANDS.index(command) % 4]
    arguments = [sys.executable, str(ROOT / command), "--device", name, *NEEDS.get(command, [])]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = warm.run(arguments, cwd=tmp_path, env=environment, timeout=600)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: --device {name}: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_gpu_ends_in_one_line(capsys):
    def main():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    with pytest.raises(SystemExit) as exit:
        run(main)
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: CUDA out of memory. Tried to allocate 2.00 GiB.; ")
    assert error.count("\n") == 1


def test_other_errors_are_not_taken_for_it():
    def main():
        raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run(main)


def test_training_on_one_gpu_of_several(gpus, monkeypatch):
    from training import ranks

    made = {}

    def accelerator(**how):
        made.update(how, device=os.environ.get("ACCELERATE_TORCH_DEVICE"))

    gpus(3)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(ranks, "Accelerator", accelerator)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name, device in (("cuda", None), ("cuda:2", "cuda:2")):
        ranks.make_accelerator(name, "auto")
        assert made == {"cpu": False, "mixed_precision": "bf16", "device": device}
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(UserError, match="several processes take a GPU each"):
        ranks.make_accelerator("cuda:2", "auto")
