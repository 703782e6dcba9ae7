"""The sliders of a session: how they stand for what is shown, and the task that lets the face follow them.

All strengths count from the face on which the first slider was moved.
"""

import time

from draggan.app.history import Entry
from draggan.app.texts import Message, TranslatedError
from draggan.edits import EDITS, MAX_STRENGTH
from draggan.face import Face
from draggan.instant import Sliders, SliderTask, learned_edits

RESTING = 3.0  # seconds


class SliderState:
    def __init__(self):
        self.task: SliderTask | None = None
        self.start: Entry | None = None  # where all are at 0
        self._moved = -RESTING

    @property
    def resting(self) -> bool:
        """Nobody has moved one for some seconds."""
        return time.monotonic() - self._moved > RESTING

    def wanted(self, name: str) -> float:
        """How a slider stands."""
        return self.task.wanted.get(name, 0.0) if self.task else 0.0

    @property
    def behind(self) -> bool:
        """The face has not followed yet."""
        return self.task is not None and self.task.reason is None

    def move(self, shown: Entry, name: str, strength: float | None) -> None:
        """A slider is moved. TranslatedError where an edit has none, or for a strength out of its range."""
        if name not in learned_edits(shown.face):
            raise TranslatedError("no_slider", edit=name, model=shown.face.generator.name)
        if strength is None or not lowest(name) <= strength <= MAX_STRENGTH:
            raise bad_strength(name)
        self._moved = time.monotonic()
        if self.task is None:
            self.task, self.start = SliderTask(Sliders(shown.face)), shown
        self.task.move(self.task.wanted | {name: strength})

    def strengths(self, shown: Entry | None) -> dict[str, float]:
        """How they stand for a result; without those at 0."""
        known = shown and self.task and shown.slid_from is self.start
        return dict(shown.strengths) if known else {}

    def stand_for(self, shown: Entry, at_rest: bool = True) -> tuple[Face, ...]:
        """Another result is shown: they stand as they did for it, or begin anew from it.

        at_rest: False while the face follows; they may have been moved on by then.
        Returns the faces that all pictures of theirs begin with.
        """
        if shown.slid_from is None and shown is not self.start:
            self.close()
        elif shown.slid_from not in (
            None,
            self.start,
        ):  # one comes back to what they made, after something else
            self.task, self.start = SliderTask(Sliders(shown.slid_from.face)), shown.slid_from
        if self.task and at_rest:
            self.task.stand(self.strengths(shown))
        return (self.task.sliders.start,) if self.task else ()

    def close(self) -> None:
        self.task = self.start = None


def about(face: Face, problem: str | None) -> Message:
    """How to use the sliders of a face, or why there are none. problem: what is wrong with what was learned."""
    here, model = learned_edits(face), face.generator.name
    if here:
        others = [name for name in EDITS if name not in here]
        return Message("sliders_some", {"others": others}) if others else Message("sliders_how")
    if not face.generator.is_face:
        return Message("no_face_model", {"model": model})
    return (
        Message("sliders_broken", {"reason": problem})
        if problem
        else Message("sliders_none", {"model": model})
    )


def lowest(name: str) -> float:
    """The least strength of an edit."""
    return -MAX_STRENGTH if EDITS[name].signed else 0.0


def bad_strength(name: str) -> TranslatedError:
    return TranslatedError("bad_strength", edit=name, lowest=lowest(name), most=MAX_STRENGTH)
