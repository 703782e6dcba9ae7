"""README.md keeps its word: every command in it runs, its links exist, and the Chinese one says the same.

The commands run in their order in a copy of the project, as a newcomer types them, with flags put behind that
shorten them (of a flag given twice the last counts). What cannot run here is skipped with its reason. A command
that TRIALS does not know fails: say there how to try it.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from comparison_data import make_run
from PIL import Image
from readme import read
from segmentation_data import SIDE, SMALL, make_pairs, picture_pair

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
README = read(ENGLISH)
PORT = 8000 + os.getpid() % 800
TRAIN = " ".join([*SMALL, "--epochs 1 --max-minutes 0"])
ONE_TEST = "-q -p no:cacheprovider tests/test_compare_runs.py::test_names_and_ranges"


@dataclass
class Trial:
    """How a command that begins in a certain way is tried."""

    more: str = ""  # flags put behind it
    codes: tuple[int, ...] = (0,)  # exit codes that are right
    serves: bool = False  # it goes on until it is ended; its page is looked at
    skip: str = ""  # why it is not run


# The longest beginning that fits counts.
TRIALS = {
    "make app": Trial(f"--port {PORT} --device cpu", serves=True),
    "make test": Trial(ONE_TEST),
    "make train": Trial(TRAIN),
    "make compare": Trial(),
    "python -m pip install -r": Trial("--dry-run --quiet"),
    "python -m pip install torch": Trial(skip="needs another package index"),
    ".venv/bin/python -m pip install torch": Trial(skip="needs another package index"),
    "python3 -m venv": Trial(),
    "python -m pytest": Trial(ONE_TEST),
    "python download_models.py": Trial(),
    "python download_models.py stylegan2": Trial(skip="fetches from the web; see test_download_models.py"),
    # 1: some faces do not show their edit, which a few steps cannot bring about
    "python draggan/edit_faces.py --edit": Trial("--seeds 3-4 --max-steps 4", codes=(0, 1)),
    "python draggan/edit_faces.py --model": Trial("--seeds 3 --max-steps 4", codes=(0, 1)),
    "python draggan/edit_faces.py --image": Trial("--inversion fast --max-steps 1", codes=(0, 1)),
    "python draggan/edit_faces.py --report": Trial(),
    "bash download_dataset.sh": Trial(skip="fetches from the web; see test_segmentation_download.py"),
    "python pix2pix_dataset.py": Trial(),
    "python train_l1.py": Trial(TRAIN),
    "python train_cgan.py": Trial(TRAIN),
    "accelerate launch --num_processes": Trial(TRAIN),
    "accelerate launch --multi_gpu --num_machines": Trial(skip="needs two machines"),
    "python predict.py": Trial("--device cpu"),
    "python compare_runs.py": Trial(),
    "python benchmarks/gan_ratio.py": Trial(
        "--epochs 1 --ratios off,1:50 --image-size 32 --batch-size 2 --encoder scratch --device cpu"
    ),
    "python benchmarks/generator.py": Trial("--repeats 1 --device cpu"),
    "python benchmarks/app.py": Trial(f"--rounds 1 --sessions 2 --port {PORT}"),
    "python benchmarks/photos.py": Trial("--only face.jpg --presets fast --device cpu"),
    "python benchmarks/sliders.py": Trial("--seeds 3 --frames 3 --device cpu"),
    "python benchmarks/drag_step.py": Trial("--steps 1 --points 1 --resolution 64 --device cpu"),
    "tensorboard": Trial(f"--port {PORT}", serves=True),
}


def trial(command: str) -> Trial:
    fits = [start for start in TRIALS if " ".join(command.split()).startswith(start)]
    assert fits, f"README.md has the command `{command}` and TRIALS does not say how to try it"
    return TRIALS[max(fits, key=len)]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with tiny pairs as data sets, photos, runs, and a stand-in for StyleGAN2."""
    copy = tmp_path_factory.mktemp("readme") / "project"
    leave = shutil.ignore_patterns(
        ".git", ".venv*", "__pycache__", "output", "test-output", "checkpoints", "camvid"
    )
    shutil.copytree(ROOT, copy, ignore=leave)
    for folder in ("checkpoints", "output"):
        (copy / folder).mkdir()
        for file in (ROOT / folder).iterdir():
            if file.is_file():
                (copy / folder / file.name).symlink_to(file)
    # random weights under the name that README.md fetches: it is read and run, and finds no face
    tiny = ROOT / "tests/fixtures/stylegan2_tiny.pkl"
    shutil.copy(tiny, copy / "checkpoints/stylegan2-ffhq-512x512.pkl")
    make_pairs(copy / "datasets/camvid")
    for pair in sorted((copy / "datasets/camvid").glob("*/*.png")):  # the same as photos and labels apart
        for side, left in (("A", 0), ("B", SIDE)):
            half = copy / "datasets/mine" / pair.parent.name / side / pair.name
            half.parent.mkdir(parents=True, exist_ok=True)
            Image.open(pair).crop((left, 0, left + SIDE, SIDE)).save(half)
    for name in ("l1-15", "cgan-15"):
        make_run(copy / "output" / name)
    (copy / "photos").mkdir()
    Image.fromarray(picture_pair(0)[0]).save(copy / "photos/street.png")
    # faces of the sample set as portraits, alone and as two people, the first a little larger
    one, two = (Image.open(copy / f"datasets/faces/val/0000{n}8.jpg").crop((0, 0, 256, 256)) for n in (0, 1))
    group = Image.new("RGB", (1024, 512))
    group.paste(one.resize((512, 512)), (0, 0))
    group.paste(two.resize((448, 448)), (544, 32))
    for name, picture in (("photo.jpg", one), ("photos/face.jpg", two), ("group.jpg", group)):
        picture.resize((picture.width * 512 // picture.height, 512)).save(copy / name, quality=95)
    return copy


def start(command: str, trial: Trial, project: Path) -> subprocess.Popen:
    """The command as a shell with the environment activated understands it."""
    if command.startswith("make "):
        command += f" VENV={sys.prefix} " + (f"ARGS={shlex.quote(trial.more)}" if trial.more else "")
    else:
        command = f"{command.replace('…', '')} {trial.more}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen) -> None:
    """With all that it started: make is not the server."""
    if process.poll() is None:
        os.killpg(process.pid, 15)
    process.communicate(timeout=60)


@pytest.mark.parametrize("command", list(dict.fromkeys(README.commands)))
def test_command(project, command):
    how = trial(command)
    if how.skip:
        pytest.skip(f"{command}: {how.skip}")
    process = start(command, how, project)
    if how.serves:
        try:
            wait_for_page(process)
        finally:
            end(process)
    else:
        said, _ = process.communicate(timeout=600)
        assert process.returncode in how.codes, f"{command}\n{said[-3000:]}"


def wait_for_page(process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=5) as page:
                assert page.status == 200
                return
        except OSError:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.3)


@pytest.mark.parametrize("script", README.scripts, ids=lambda script: script.splitlines()[0])
def test_python(project, script):
    """The blocks of Python; one that talks to the app gets the app."""
    process = None
    if "gradio_client" in script:
        script = script.replace("http://127.0.0.1:7860", f"http://127.0.0.1:{PORT}")
        process = start("python draggan/gragan_modify.py", TRIALS["make app"], project)
    try:
        if process:
            wait_for_page(process)
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        if process:
            end(process)


def test_every_trial_is_of_a_command_that_is_there():
    used = {id(trial(command)) for command in README.commands}
    assert [start for start, how in TRIALS.items() if id(how) not in used] == []


def test_links_lead_somewhere():
    local = [link for link in README.links if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []
    assert -1 not in README.jumps


def test_pictures_are_shown_explained_and_small():
    pictures = sorted(path for path in (ROOT / "pics").iterdir() if path.suffix != ".md")
    assert {f"pics/{path.name}" for path in pictures} <= set(README.links)
    explained = (ROOT / "pics/README.md").read_text(encoding="utf-8")
    assert [path.name for path in pictures if f"`{path.name}`" not in explained] == []
    assert [path.name for path in pictures if path.stat().st_size > 500_000] == []


@pytest.mark.parametrize("what", ["levels", "commands", "scripts", "links", "jumps", "figures"])
def test_the_chinese_readme_keeps_step(what):
    """The same headings, commands, code, links and figures in tables, in the same order."""
    theirs, ours = getattr(read(CHINESE), what), getattr(README, what)
    if what == "links":  # the first of each leads to the other
        assert (ours[0], theirs[0]) == (CHINESE.name, ENGLISH.name)
        ours, theirs = ours[1:], theirs[1:]
    assert theirs == ours
