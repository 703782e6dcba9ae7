"""A README as data: headings, commands, code, tables, links. Used by test_readme.py."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
# words with which a command in running text begins
PROGRAMS = ("python", "python3", "make", "bash", "accelerate", "tensorboard")


@dataclass
class Readme:
    """What two translations have in common, and what can be run."""

    levels: list[int]  # of the headings, in order
    commands: list[str]  # of the blocks and of the running text, in order, without comments
    scripts: list[str]  # Python blocks, without comments
    links: list[str]  # addresses of links and pictures, in order
    jumps: list[int]  # for each link to a heading of the same file the heading's number; -1: there is none
    figures: list[list[str]]  # numbers in each line of a table


def read(path: Path) -> Readme:
    text = path.read_text(encoding="utf-8")
    blocks = FENCE.findall(text)
    prose = FENCE.sub("", text)
    lines = [bare(line) for kind, block in blocks if kind == "bash" for line in block.splitlines()]
    # `code` may go over the end of a line
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    inline = [code for code in inline if code.split()[0] in PROGRAMS and len(code.split()) > 1]
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    headings = [anchor(heading) for heading in re.findall(r"^#+ (.*)", prose, re.M)]
    jumps = re.findall(r"\]\(#([^)]+)\)", prose)
    return Readme(
        levels=[len(marks) for marks in re.findall(r"^(#+) ", prose, re.M)],
        commands=[line for line in lines if line] + inline,
        scripts=["\n".join(map(bare, block.splitlines())) for kind, block in blocks if kind == "python"],
        links=re.findall(r"\]\(([^)#]+)\)", prose),
        jumps=[headings.index(name) if name in headings else -1 for name in jumps],
        figures=[re.findall(r"\d+(?:\.\d+)?", re.sub(r"\]\([^)]*\)", "", row)) for row in rows],
    )


def anchor(heading: str) -> str:
    """What GitHub calls a heading in addresses."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def bare(line: str) -> str:
    """A line of code without its comment; the comments are translated."""
    return re.sub(r"(^|\s+)#.*", "", line).rstrip()
