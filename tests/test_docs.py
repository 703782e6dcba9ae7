"""README.md and the pages of docs/ keep their word: their commands run, their links lead somewhere, and the
Chinese pages say the same.

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
import warm
from app_server import free_port
from comparison_data import make_run
from pages import CHINESE, NOTES, PAGES, ROOT, Link, read, twin
from PIL import Image
from segmentation_data import SIDE, SMALL, make_pairs, picture_pair

from draggan.face import Subject
from draggan.inversion import Preset
from draggan.photo_editor import CutOut, PhotoTask
from draggan.photo_editor import save as save_inversion
from draggan.photos import find_faces, open_photo
from draggan.project import Project, Result, save

READ = {page: read(page) for page in PAGES}
COMMANDS = list(dict.fromkeys(command for page in READ.values() for command in page.commands))
SCRIPTS = [script for page in READ.values() for script in page.scripts if "gradio_client" not in script]
README_LINES = 220  # at most
PORT = free_port()
TRAIN = " ".join([*SMALL, "--epochs 1 --max-minutes 0"])
STARTED: set[str] = set()  # scripts
SHELLS = set("$*?[]{}|&;<>~`\\")  # characters that are not words
ONE_TEST = "-q -p no:cacheprovider tests/test_docs.py::test_every_page_is_in_both_languages"
# What the caller's own make and pytest were given must not reach those of a trial.
CALLERS = ("ARGS", "VENV", "PYTHON", "JOBS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "PYTEST_")
# Names that README.md says are no more.
GONE = {"training.py", "train_options.py", "label_colours.py"}
OF_THE_USER = {"photos/", "labels/"}


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
    "make torture": Trial("--only downloads --scale 0.02"),
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
    "python draggan/edit_faces.py --image": Trial(
        "--inversion fast --inversions kept --max-steps 1", codes=(0, 1)
    ),
    "python draggan/edit_faces.py --list-models": Trial(),
    "python draggan/edit_faces.py --report": Trial(),
    "python draggan/edit_faces.py --project": Trial("--device cpu"),
    # the stand-in for StyleGAN2 makes no faces; the minutes are over after the first drag, which is no failure
    "python draggan/learn_directions.py": Trial(
        "--model mobile-ffhq --edits smile --max-steps 4 --max-minutes 0.001"
    ),
    "bash download_dataset.sh": Trial(skip="fetches from the web; see test_download_dataset.py"),
    "python pix2pix_dataset.py": Trial(),
    "python train_l1.py": Trial(TRAIN),
    "python train_cgan.py": Trial(TRAIN),
    "accelerate launch --num_processes": Trial(TRAIN),
    "accelerate launch --multi_gpu --num_machines": Trial(skip="needs two machines"),
    "python predict.py": Trial("--device cpu"),
    # ONNX takes long; tests/test_export.py writes it with the same command
    "python export.py": Trial("--format torchscript"),
    "python compare_runs.py": Trial(),
    "python benchmarks/gan_ratio.py": Trial(
        "--epochs 1 --ratios 1:50 --image-size 32 --batch-size 2 --encoder scratch --device cpu"
    ),
    "python benchmarks/generator.py": Trial("--repeats 1 --device cpu"),
    "python benchmarks/likeness.py": Trial("photos photos"),
    "python benchmarks/classes.py": Trial("--classes 2,3 --steps 1 --rounds 1 --image-size 32 --device cpu"),
    "python tests/robustness/fuzz.py": Trial("--count 3 --format npy"),
    "python benchmarks/app.py": Trial(f"--rounds 1 --sessions 2 --steps 3 --port {PORT}"),
    "python benchmarks/photos.py": Trial(
        "--only face.jpg --presets fast --edits slim --max-steps 5 --device cpu"
    ),
    "python benchmarks/sliders.py": Trial("--seeds 3 --frames 3 --device cpu"),
    "python benchmarks/drag_step.py": Trial("--steps 1 --points 1 --resolution 64 --device cpu"),
    "python benchmarks/landmark_manipulation.py": Trial("--pairs 2 --points 1 --ways landmarks --device cpu"),
    "tensorboard": Trial(f"--port {PORT}", serves=True),
}


def trial(command: str) -> Trial:
    fits = [start for start in TRIALS if " ".join(command.split()).startswith(start)]
    assert fits, f"a page has the command `{command}` and TRIALS does not say how to try it"
    return TRIALS[max(fits, key=len)]


@pytest.fixture(scope="module")
def project(tmp_path_factory, generator, detector):
    """A copy of the project with tiny pairs as data sets, photos, runs, a saved project, a stand-in for StyleGAN2."""
    copy = tmp_path_factory.mktemp("docs") / "project"
    leave = shutil.ignore_patterns(
        ".git", ".venv*", "__pycache__", "output", "test-output", "checkpoints", "camvid"
    )
    shutil.copytree(ROOT, copy, ignore=leave)
    for folder in ("checkpoints", "output"):
        (copy / folder).mkdir()
        for file in (ROOT / folder).iterdir():
            if file.is_file():
                (copy / folder / file.name).symlink_to(file)
    # random weights under the name that the pages fetch: it is read and run, and finds no face
    tiny = ROOT / "tests/fixtures/stylegan2_tiny.pkl"
    shutil.copy(tiny, copy / "checkpoints/stylegan2-ffhq-512x512.pkl")
    make_pairs(copy / "datasets/camvid")
    for pair in sorted((copy / "datasets/camvid").glob("*/*.png")):  # the same as photos and labels apart
        for side, left in (("A", 0), ("B", SIDE)):
            half = copy / "datasets/mine" / pair.parent.name / side / pair.name
            half.parent.mkdir(parents=True, exist_ok=True)
            Image.open(pair).crop((left, 0, left + SIDE, SIDE)).save(half)
    save(copy / "work.draggan", Project([Result(Subject(generator, detector, seed=3).face(), "seed")], 0))
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
    keep_inversions(copy, generator, detector)
    return copy


def keep_inversions(copy: Path, generator, detector) -> None:
    """Faces of the photos in the generator, badly but soon, where --inversions takes them from."""
    for name, number in (("photo.jpg", 0), ("photos/face.jpg", 0), ("group.jpg", 1)):
        photo = open_photo(copy / name)
        cut_out = CutOut(photo, find_faces(photo, detector)[number], generator.resolution)
        task = PhotoTask(cut_out, generator, detector, preset=Preset(1, 1))
        for _ in task:
            pass
        (copy / "kept").mkdir(exist_ok=True)
        save_inversion(copy / f"kept/{Path(name).name}.fast.{number}.safetensors", task.face.subject)


def start(command: str, trial: Trial, project: Path) -> subprocess.Popen:
    """The command as a shell with the environment activated understands it.

    A script's first start finds torch loaded, and nothing else; later ones find all libraries. What make, accelerate
    and Python's own modules start finds nothing.
    """
    if command.startswith("make "):
        command += f" VENV={sys.prefix} JOBS=1 ARGS={shlex.quote(trial.more)}"
    else:
        command = f"{command.replace('…', '')} {trial.more}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CALLERS)}
    environment |= {"PATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    words = shlex.split(command)
    if words[0] == "python" and words[1].endswith(".py") and not SHELLS & set(command):
        words[0], first = sys.executable, words[1] not in STARTED
        STARTED.add(words[1])
        how = {"torch_only": first, "start_new_session": True}
        return warm.Process(words, cwd=project, env=environment, **how, **pipes)
    return subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=project, env=environment, start_new_session=True, **pipes
    )


def end(process: subprocess.Popen) -> None:
    """With all that it started: make is not the server."""
    if process.poll() is None:
        os.killpg(process.pid, 15)
    process.communicate(timeout=600)


@pytest.mark.parametrize("command", COMMANDS)
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
        output, _ = process.communicate(timeout=600)
        assert process.returncode in how.codes, f"{command}\n{output[-3000:]}"


def wait_for_page(process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=60) as page:
                assert page.status == 200
                return
        except OSError:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.3)


# Put before a block of Python: what it calls fast is a search of few steps, and an edit is as short as --max-steps 4.
SHORTER = """
from dataclasses import replace
from draggan import editor, inversion
inversion.PRESETS["fast"] = inversion.Preset(4, 1)
whole = editor.edit_settings
editor.edit_settings = lambda *given: replace(whole(*given), max_steps=4)
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.splitlines()[0])
def test_python(project, script):
    """The blocks of Python. That which talks to the app: tests/draggan/app/test_endpoints.py."""
    (project / "block.py").write_text(SHORTER + script, encoding="utf-8")
    done = warm.run([sys.executable, "block.py"], cwd=project, timeout=600, torch_only=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_trial_is_of_a_command_that_is_there():
    used = {id(trial(command)) for command in COMMANDS}
    assert [start for start, how in TRIALS.items() if id(how) not in used] == []


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*PAGES, *map(twin, PAGES), *NOTES], ids=name_of)
def test_links_lead_somewhere(path):
    local = [link for link in read(path).links if isinstance(link.target, Path)]
    assert [name_of(link.target) for link in local if not link.target.exists()] == []
    assert [name_of(link.target) for link in local if link.heading == -1] == []


@pytest.mark.parametrize("path", [*PAGES, *map(twin, PAGES), *NOTES], ids=name_of)
def test_the_files_it_names_are_there(path):
    """A name with a folder counts from the root of the project; one without may be anywhere below it."""
    skipped = {"datasets", "output", "checkpoints"}
    hidden = lambda top: top.is_dir() and top.name.startswith(".") and top.name != ".ci"  # noqa: E731
    tops = [top for top in ROOT.iterdir() if top.name not in skipped and not hidden(top)]
    names = {file.name for top in tops for file in ([top] if top.is_file() else top.rglob("*.*"))}
    assert not GONE & names
    page = read(path)
    named = sorted(page.files - GONE - {"benchmarks/NAME.py"})
    assert [name for name in named if not ((ROOT / name).exists() if "/" in name else name in names)] == []
    if path not in NOTES:  # those name the folders of runs and data sets
        assert [name for name in sorted(page.folders - OF_THE_USER) if not (ROOT / name).is_dir()] == []


def test_pictures_are_shown_explained_and_small():
    pictures = sorted(path for path in (ROOT / "pics").iterdir() if path.suffix != ".md")
    shown = [link.target for page in READ.values() for link in page.links]
    assert [path.name for path in pictures if path not in shown] == []
    explained = (ROOT / "pics/README.md").read_text(encoding="utf-8")
    assert [path.name for path in pictures if f"`{path.name}`" not in explained] == []
    assert [path.name for path in pictures if path.stat().st_size > 500_000] == []


def test_every_page_is_in_both_languages():
    assert sorted(map(twin, PAGES[1:])) == sorted(ROOT.glob(f"docs/*{CHINESE}"))
    assert len(PAGES) > 5


def test_the_readme_is_short_and_leads_to_every_page():
    for path in (PAGES[0], twin(PAGES[0])):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= README_LINES
    assert [name_of(path) for path in PAGES[1:] if Link(path) not in READ[PAGES[0]].links] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_two_headings_have_one_address(path):
    for one in (path, twin(path)):
        anchors = read(one).anchors
        assert len(set(anchors)) == len(anchors)


@pytest.mark.parametrize("what", ["levels", "commands", "scripts", "links", "figures", "decimals"])
@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_chinese_page_keeps_step(path, what):
    """The same headings, commands, code, links and figures in tables, in the same order, and the same decimals."""
    theirs, ours = getattr(read(twin(path)), what), getattr(READ[path], what)
    if what == "links":  # the first of each leads to the other
        assert (ours[0], theirs[0]) == (Link(twin(path)), Link(path))
        # a link to a page leads to the page of the same language
        ours = [Link(twin(link.target), link.heading) if link.target in PAGES else link for link in ours[1:]]
        theirs = theirs[1:]
    assert theirs == ours
