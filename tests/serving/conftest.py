"""A server of this page on 127.0.0.1, and a browser that looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.reports.chromium import find_chromium

try:
    import fastapi
    import rio_tiler
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    assert fastapi and rio_tiler

FLAGS = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--use-gl=angle",
         "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # fmt: skip
LONG = 3600.0  # seconds that no request takes, however busy the machine is
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


@contextmanager
def running(settings: Any) -> Iterator[str]:
    """The address of a server in a thread; it has ended when the block has."""
    import uvicorn

    from rsseg.serving.app import create_app
    from rsseg.serving.command import listen
    from rsseg.serving.connections import server_config

    listener = listen(settings.host, settings.port)
    server = uvicorn.Server(server_config(create_app(settings)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://{settings.host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Function of paths and settings that starts a server and gives its address."""
    from rsseg.serving.settings import ServeSettings

    with ExitStack() as stack:

        def start(*paths: Path, **settings: Any) -> str:
            settings = {"port": 0, "out": tmp_path / "served", "request_seconds": LONG, **settings}
            return stack.enter_context(running(ServeSettings(tuple(paths), **settings)))

        yield start


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium with WebGL in software."""
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Function of an address and a size of :data:`SIZES` that opens the page and waits until it is ready.

    At the end, nothing may have been written to the console as an error.
    """
    errors: list[str] = []
    with ExitStack() as stack:

        def open_page(address: str, size: str = "desktop") -> Any:
            width, height = SIZES[size]
            context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
            stack.callback(context.close)
            tab = context.new_page()
            tab.set_default_timeout(600_000)
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
            tab.goto(address)
            tab.wait_for_selector("body[data-ready='true']")
            return tab

        yield open_page
    assert not errors
