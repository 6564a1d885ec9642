"""Drive a headless Chromium through its pipe: real mouse, touch and screenshots, without a server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe")  # fmt: skip


def find_chromium() -> str | None:
    """Path of a Chromium: ``$CHROMIUM``, or the first one on PATH."""
    told = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [told] if told else NAMES)), None)


class Chromium:
    """A tab; a context manager.

    Args:
        browser: Path of the browser.
        folder: Where its profile lies.
    """

    def __init__(self, browser: str, folder: Path) -> None:
        (read_in, self._out), (self._in, write_out) = os.pipe(), os.pipe()

        def connect() -> None:
            os.dup2(read_in, 30), os.dup2(write_out, 31)  # 3 and 4 may be what is copied
            os.dup2(30, 3), os.dup2(31, 4)

        command = [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(command, close_fds=False, preexec_fn=connect, stderr=subprocess.DEVNULL)
        os.close(read_in), os.close(write_out)
        self._buffer, self._number, self._session = b"", 0, ""
        self.console: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.call("Runtime.enable")
        self.call("Page.enable")

    def be(self, size: tuple[int, int], phone: bool = False) -> None:
        """Take another size, width and height in pixels, and a touch screen or a mouse; forget the console."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone, maxTouchPoints=5)
        self.console.clear()

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(600)
        os.close(self._in), os.close(self._out)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Result of a method of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                piece = os.read(self._in, 1 << 20)
                assert piece, "the browser has ended"
                self._buffer += piece
            text, self._buffer = self._buffer.split(b"\0", 1)
            found = json.loads(text)
            if found.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.console.append(text.decode())
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a page."""
        self.call("Page.navigate", url=page.as_uri() + fragment)
        end = time.monotonic() + 600
        while time.monotonic() < end:
            if self.value("document.readyState") == "complete" and self.value("location.protocol") == "file:":
                return
            time.sleep(0.05)
        raise AssertionError(f"{page} does not load")

    def value(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A mouse event: ``mouseMoved``, ``mousePressed``, ``mouseReleased``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """A touch event with all fingers that are down: ``touchStart``, ``touchMove``, ``touchEnd``."""
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
