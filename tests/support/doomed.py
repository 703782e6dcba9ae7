"""A script that ends at a moment of its own, as if somebody had killed it just then.

    python tests/support/doomed.py JOURNAL MOMENT script.py --its arguments

MOMENT is one of

    never
    before:K, half:K, after:K   SIGKILL before the K-th file is renamed into place, when half of it is written, after it
    import:K                    SIGKILL when the K-th module is asked for
    import:K:NUMBER             that signal instead

JOURNAL gets a line for each file that is renamed into place and, at the end, the number of imports: the journal of
"never" says what moments there are. The script itself knows nothing of this.
"""

import atexit
import os
import runpy
import signal
import sys


def arm(journal: str, moment: str) -> None:
    """From now on this process is watched, and ends at its moment."""
    kind, *numbers = moment.split(":")
    wanted = int(numbers[0]) if numbers else 0
    number = int(numbers[1]) if numbers[1:] else signal.SIGKILL
    replaced = imported = 0

    def end() -> None:
        os.kill(os.getpid(), number)

    def note(line: str) -> None:
        with open(journal, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def replace(source, target, *, plain=os.replace, **more) -> None:
        nonlocal replaced
        replaced += 1
        mine = kind != "import" and wanted == replaced
        if mine and kind == "half":
            os.truncate(source, os.path.getsize(source) // 2)
        if mine and kind in ("before", "half"):
            end()
        plain(source, target, **more)
        note("file " + "/".join(os.fspath(target).split("/")[-2:]))
        if mine:
            end()

    def watch(event: str, _: tuple) -> None:
        """Imports count from when the script listens to signals: before, nothing of it has run."""
        nonlocal imported
        if event == "import" and (imported or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL):
            imported += 1
            if kind == "import" and wanted == imported:
                end()

    os.replace = replace
    atexit.register(lambda: note(f"imports {imported}"))
    sys.addaudithook(watch)


if __name__ == "__main__":
    arm(*sys.argv[1:3])
    sys.argv = sys.argv[3:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
