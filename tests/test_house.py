"""The rules of the house: who may import whom, no circles, no file that cannot be read in one sitting."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 350
# Its first lines say why a longer file is one table.
TABLES = {"draggan/app/texts.py", "common/models.py"}
# A script whose upper part is a library: what reads pairs.
ALSO_LIBRARIES = {"pix2pix_dataset"}


def tracked(ending: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", f"*{ending}"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split() if listed.returncode == 0 else []
    names = names or [str(path.relative_to(ROOT)) for path in ROOT.rglob(f"*{ending}")]  # of an archive
    return [
        Path(name)
        for name in names
        if not name.startswith((".", "tests/fixtures")) and (ROOT / name).is_file()
    ]


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in tracked(".py") if path.parts[0] != "tests"}


def imports(name: str) -> set[str]:
    """The project's modules that one imports, anywhere in it, also for types alone."""
    path = SOURCES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return {each for each in found if each in SOURCES and each != name}


GRAPH = {name: imports(name) for name in SOURCES}


def outside(name: str) -> set[str]:
    """The packages from elsewhere that a module imports."""
    tree = ast.parse((ROOT / SOURCES[name]).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {each.split(".")[0] for each in names}


def test_the_imports_are_read():
    assert "draggan.drag" in GRAPH["draggan.editor"]
    assert "training.loop" in GRAPH["train_cgan"]
    assert "torch" in outside("losses")


def test_every_import_of_the_project_leads_somewhere():
    """A script that no test starts would say so to a user first."""
    tops, missing = {name.split(".")[0] for name in SOURCES}, set()
    for path in SOURCES.values():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                source = node.module
                known = source in SOURCES or any(name.startswith(f"{source}.") for name in SOURCES)
                if source.split(".")[0] in tops and not known:
                    missing.add(f"{path}: {source}")
    # The official StyleGAN2 has a package of the same name; drag_step.py imports it in a process of its own.
    assert missing == {"benchmarks/drag_step.py: training.networks_stylegan2"}


def test_no_circle_of_imports():
    done, path = set(), []

    def visit(name: str) -> None:
        if name in path:
            pytest.fail("circle: " + " → ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        path.append(name)
        for other in sorted(GRAPH[name]):
            # A package's __init__ hands names on; its own modules import one another, not it.
            if not name.startswith(f"{other}."):
                visit(other)
        path.pop()
        done.add(name)

    for name in sorted(GRAPH):
        visit(name)


def test_nothing_imports_a_script():
    scripts = {
        name
        for name, path in SOURCES.items()
        if '__name__ == "__main__"' in (ROOT / path).read_text(encoding="utf-8")
    }
    assert "train_l1" in scripts
    found = {
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others & (scripts - ALSO_LIBRARIES)
        if not name.startswith("benchmarks.")  # they measure the scripts themselves
    }
    assert not found


@pytest.mark.parametrize(
    ("who", "never"),
    [
        ("common", ("training", "comparison", "draggan", "benchmarks")),
        ("training", ("comparison", "draggan", "benchmarks")),
        ("comparison", ("draggan", "benchmarks", "training")),
        ("draggan.drag", ("draggan.face", "draggan.edits", "draggan.landmarks", "draggan.editor", "draggan.app")),
        ("draggan.edits", ("draggan.generators", "draggan.drag", "draggan.face", "draggan.app")),
        ("draggan.generators", ("draggan.drag", "draggan.edits", "draggan.face", "draggan.editor", "draggan.app")),
        ("draggan.tasks", ("draggan.app", "draggan.editor", "draggan.edit_faces")),
        ("draggan.editor", ("draggan.app", "draggan.edit_faces")),
        ("draggan.instant", ("draggan.app", "draggan.editor", "draggan.drag")),
        ("draggan.points", ("draggan.app", "draggan.editor", "draggan.edits")),
        ("draggan.photo_editor", ("draggan.app", "draggan.editor", "draggan.drag")),
        ("draggan.app.queue", ("draggan", "common", "training")),
        ("draggan.app.jobs", ("draggan.app.session", "draggan.app.sessions")),
        ("draggan.app.stage", ("draggan.app.session", "draggan.app.sessions", "draggan.app.jobs")),
    ],
)  # fmt: skip
def test_who_may_not_import_whom(who, never):
    mine = [name for name in GRAPH if name == who or name.startswith(f"{who}.")]
    assert mine
    found = {
        f"{name} imports {other}"
        for name in mine
        for other in GRAPH[name]
        if any(other == each or other.startswith(f"{each}.") for each in never) and other not in mine
    }
    assert not found


def test_networks_are_not_known_to_the_geometry_of_edits():
    assert "torch" not in outside("draggan.edits")
    assert "torch" not in outside("draggan.alignment")


def test_the_app_is_known_to_nothing_below_it():
    app = {name for name in GRAPH if name.startswith("draggan.app")} | {
        "draggan.gragan_modify",
        "benchmarks.app",
    }
    found = {f"{n} imports {o}" for n, others in GRAPH.items() if n not in app for o in others if o in app}
    assert not found


def test_gradio_is_known_to_the_layout_and_what_comes_from_it_alone():
    assert {name for name in SOURCES if "gradio" in outside(name)} == {
        "draggan.gragan_modify",
        "draggan.app.layout",
        "draggan.app.handlers",
        "draggan.app.photo_events",
        "draggan.app.endpoints",
        "draggan.app.requests",
    }


def test_threads_are_known_to_few():
    """The queue has the threads and locks of tasks; the others guard what all sessions share."""
    assert {name for name in SOURCES if name.startswith("draggan.") and "threading" in outside(name)} <= {
        "draggan.app.queue", "draggan.app.models", "draggan.app.sessions", "draggan.app.folder", "draggan.app.fetches",
    }  # fmt: skip


@pytest.mark.parametrize("ending", [".py", ".js", ".css"])
def test_no_file_is_too_long(ending):
    found = {}
    for path in tracked(ending):
        lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
        if lines > MOST_LINES and "vendor" not in path.parts and str(path) not in TABLES:
            found[str(path)] = lines
    assert not found


def test_long_tables_say_why():
    for name in TABLES:
        path = ROOT / name
        if path.read_text(encoding="utf-8").count("\n") > MOST_LINES:
            assert "table" in ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).lower(), name
