"""Where the generator is in a file's content: contents that would be looked through without an end."""

import pytest

from draggan.generators.found import NAMES, find_generator
from draggan.generators.plain_objects import Instance, Persistent, Refused


def test_one_dict_in_many_places_is_looked_at_once():
    asked = []

    class Counted(dict):
        def items(self):
            asked.append(1)
            return super().items()

    content = Counted()
    content.update(dict.fromkeys(NAMES, content))
    assert find_generator(content) is None
    assert len(asked) == 1


def test_what_has_no_end_is_refused():
    array = Instance("array")
    with pytest.raises(Refused, match="a state dict with more than 100 generators"):
        find_generator({f"{i}.input.input": array for i in range(101)})
    leaf = Persistent("a", {"_modules": {"x" * 60_000: Persistent("b", {})}})
    with pytest.raises(Refused, match="a module's name has more than 1000 letters"):
        find_generator(leaf)
    shared = {f"{i}": None for i in range(21)}
    parts = {f"{i}": Persistent("b", {"_parameters": shared}) for i in range(1_000)}
    with pytest.raises(Refused, match="a module with more than 20,000 tensors"):
        find_generator(Persistent("a", {"_modules": parts}))
