"""The pages that people read, as data: headings, commands, code, tables, links. Used by test_docs.py."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHINESE = ".zh-CN.md"
# In both languages. The README is first: a newcomer begins there, and its commands make what later ones need.
PAGES = [ROOT / "README.md", *sorted(p for p in ROOT.glob("docs/*.md") if not p.name.endswith(CHINESE))]
# In English only.
NOTES = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\(([^)]+)\)")
# words with which a command in running text begins
PROGRAMS = ("python", "python3", "make", "bash", "accelerate", "tensorboard")


@dataclass
class Link:
    """An address, or a file of the project and the number of a heading in it."""

    target: Path | str
    heading: int | None = None  # None: the link names no heading; -1: there is no such heading


@dataclass
class Page:
    """What two translations have in common, and what can be run."""

    levels: list[int]  # of the headings, in order
    anchors: list[str]  # of the headings, in order
    commands: list[str]  # of the blocks and of the running text, in order, without comments
    scripts: list[str]  # Python blocks, without comments
    links: list[Link]  # and pictures, in order
    figures: list[list[str]]  # numbers in each line of a table
    decimals: Counter[str]  # numbers like 0.25 anywhere but in code blocks and addresses
    files: set[str]  # names of scripts, wherever they stand
    folders: set[str]  # names in `code` that end with a slash


def twin(path: Path) -> Path:
    """The Chinese page of an English one."""
    return path.with_name(path.name.removesuffix(".md") + CHINESE)


def read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    blocks = FENCE.findall(text)
    prose = FENCE.sub("", text)
    lines = [bare(line) for kind, block in blocks if kind == "bash" for line in block.splitlines()]
    # `code` may go over the end of a line
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    commands = [code for code in inline if code.split()[0] in PROGRAMS and len(code.split()) > 1]
    without_addresses = LINK.sub("", prose)
    return Page(
        levels=[len(marks) for marks in re.findall(r"^(#+) ", prose, re.M)],
        anchors=anchors(path),
        commands=[line for line in lines if line] + commands,
        scripts=["\n".join(map(bare, block.splitlines())) for kind, block in blocks if kind == "python"],
        links=[link(path, address) for address in LINK.findall(prose)],
        figures=[
            re.findall(r"\d+(?:\.\d+)?", row) for row in without_addresses.splitlines() if row.startswith("|")
        ],
        decimals=Counter(re.findall(r"\d+\.\d+", without_addresses)),
        # not the addresses of links, which count from the page's folder
        files=set(re.findall(r"(?<!\]\()(?<![\w./:-])[\w./-]+\.(?:py|sh)\b", text)),
        folders={code for code in inline if re.fullmatch(r"\w[\w-]*(/[\w-]+)*/", code)},
    )


def anchors(path: Path) -> list[str]:
    """What GitHub calls the headings of a page in addresses."""
    prose = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)", prose, re.M)
    return [re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings]


def link(page: Path, address: str) -> Link:
    """A link of a page; addresses of files count from the page's folder."""
    if "://" in address:
        return Link(address)
    name, _, anchor = address.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not anchor:
        return Link(target)
    headings = anchors(target) if target.is_file() else []
    return Link(target, headings.index(anchor) if anchor in headings else -1)


def bare(line: str) -> str:
    """A line of code without its comment; the comments are translated."""
    return re.sub(r"(^|\s+)#.*", "", line).rstrip()
