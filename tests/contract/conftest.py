"""One test is one rule: it goes over all files, and fails once, naming every one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

REPO = Path(__file__).resolve().parents[2]
Item = TypeVar("Item")


def _name(item: Any) -> str:
    return item.relative_to(REPO).as_posix() if isinstance(item, Path) else str(item)


@pytest.fixture(scope="session")
def every() -> Callable[[Iterable[Any], Callable[[Any], None]], None]:
    """``every(items, check)``: call ``check`` with each item; fail once, with all that it has to say."""

    def run(items: Iterable[Item], check: Callable[[Item], None]) -> None:
        wrong, seen = [], 0
        for item in items:
            seen += 1
            try:
                check(item)
            except Exception as error:  # a check that cannot go on is as bad as one that fails
                kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                wrong.append(f"{_name(item)}: {kind}{error}")
        assert seen, "there is nothing to check"
        if wrong:
            pytest.fail(f"{len(wrong)} of {seen} break the rule:\n" + "\n".join(wrong), pytrace=False)

    return run
