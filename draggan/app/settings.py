"""Numbers that people type or move: the advanced settings, and seeds."""

import math
from dataclasses import fields

from draggan.app.texts import TranslatedError
from draggan.drag import Settings

# Advanced settings: name → (least, most, step); defaults and meaning are those of drag.Settings.
RANGES = {
    "lr": (0.0005, 0.02, 0.0005),
    "free_rows": (0, 23, 1),
    "mask_weight": (0, 50, 1),
    "supervision_radius": (1, 12, 0.5),
    "tracking_radius": (2, 32, 1),
    "max_steps": (1, 300, 1),
    "tolerance": (0.5, 8, 0.5),
}
SETTINGS = ("w_plus", *RANGES)  # in the page's order
DEFAULTS = {field.name: field.default for field in fields(Settings)} | {"free_rows": 0}  # 0: the model's own


def is_number(value) -> bool:
    """Whether it is a finite number that a float holds: JSON's may have thousands of digits."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def whole_number(text: str) -> int:
    """A seed as it is typed. TranslatedError where it is none."""
    text = str(text).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise TranslatedError("bad_seed")
    return int(text)


def setting(name: str, value) -> float | bool | None:
    """The value of a setting of drag.Settings; None for its default. TranslatedError where it cannot be that."""
    if name not in RANGES:
        value = bool(value)
    else:
        least, most, step = RANGES[name]
        if not is_number(value) or not least <= value <= most:
            raise TranslatedError("bad_number", name=name, least=least, most=most)
        value = int(value) if isinstance(step, int) else value
    return None if value == DEFAULTS[name] else value
