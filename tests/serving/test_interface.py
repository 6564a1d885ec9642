"""Random requests by the interface's own description: errors are those that it names, never faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.serving.world import write_image, write_map

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

REQUESTS = 15
"""For each route."""


@pytest.fixture(scope="module")
def interface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description of a server that shows something of every kind."""
    from PIL import Image

    from rsseg.serving.app import create_app
    from rsseg.serving.settings import ServeSettings
    from tests.serving.review_world import write_set

    folder = tmp_path_factory.mktemp("interface")
    shown = folder / "shown"
    shown.mkdir()
    image = write_image(shown / "ground.tif", np.full((3, 64, 64), 90, np.uint8))
    write_map(shown / "map.tif", np.arange(64 * 64).reshape(64, 64) % 3, image, cog=True)
    Image.fromarray(np.full((40, 50, 3), 128, np.uint8)).save(shown / "plain.png")
    labels = write_set(folder / "set")
    app = create_app(ServeSettings((shown, labels), folder / "out", request_seconds=3600))
    ids = [layer.id for layer in app.state.rsseg.layers.all()]
    assert len(ids) >= 4

    def known(context: Any, value: Any) -> Any:
        """Two of three layers are known ones; the others stay as they were drawn.  Nobody waits long."""
        if isinstance(value, dict) and isinstance(value.get("wait"), float | int) and 1 < value["wait"] <= 600:
            value["wait"] = 1
        for name in ("layer_id", "id", "layer"):
            if isinstance(value, dict) and isinstance(value.get(name), str) and len(value[name]) % 3:
                value[name] = ids[len(value[name]) % len(ids)]
        return value

    found = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "127.0.0.1"})
    for part in ("path_parameters", "query", "body"):
        found.hook(f"map_{part}")(known)
    yield found
    app.state.rsseg.queue.close()


@pytest.mark.slow
def test_no_request_is_a_fault(interface: Any) -> None:
    from schemathesis.core.failures import FailureGroup

    faults = []
    for found in interface.get_all_operations():
        operation = found.ok()
        try:
            _ask(operation)
        except (Exception, FailureGroup) as error:
            faults.append(f"{operation.label}: {type(error).__name__}: {error}")
    assert not faults, "\n\n".join(faults)


def _ask(operation: Any) -> None:
    """Ask a route many times; an answer that its description does not name is an error.

    Areas whose south is north of their north fit the description, and are refused all the same.
    """
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    @hypothesis.settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(headers={"host": "127.0.0.1"}, excluded_checks=[positive_data_acceptance])

    ask()
