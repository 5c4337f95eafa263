"""A headless Chromium, driven over the DevTools protocol through two pipes (``--remote-debugging-pipe``)."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["Browser", "Page", "started"]

_PATIENCE = 60
"""Seconds for what a page is waited for, and for the browser to end."""


class Browser:
    """One browser; answers come in the order of its work, events between them."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = os.fdopen(read, "rb", buffering=0)
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        """What it told unasked, in order."""

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def wait(self, method: str, session: str) -> None:
        """Wait until the browser tells this of a page."""
        while True:
            told = self._next()
            self.events.append(told)
            if told["method"] == method and told.get("sessionId") == session:
                return

    def page(self) -> Page:
        """A new page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._read.read(1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


class Page:
    """One page, of whose life everything is listened to."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def open(self, path: Path, fragment: str = "", *, width: int, height: int, dark: bool = False) -> None:
        """Open a report, and wait until its first timeline is drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self._browser.wait("Page.loadEventFired", self._session)
        self.until("document.documentElement.dataset.ready")

    def run(self, script: str) -> Any:
        """The value of an expression; of a promise that which it comes to."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true, looked at in every turn of the page's own loop."""
        self.run(
            f"""new Promise((done, fail) => {{
              const limit = setTimeout(() => fail(new Error("it never came true")), {_PATIENCE * 1000});
              const look = () => {{
                if (!({condition})) return setTimeout(look, 0);
                clearTimeout(limit);
                return done(true);
              }};
              look();
            }})"""
        )

    def press(self, key: str) -> None:
        """A key, by its name in DOM."""
        text = key if len(key) == 1 else ""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self) -> bytes:
        """What is in view, a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser told of this page by these methods, so far."""
        self.run("1")
        return [
            event["params"]
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] in methods
        ]


@contextmanager
def started(program: str) -> Iterator[Browser]:
    """A browser that ends with the block.

    :param program: Chromium.
    """
    hear, answer = os.pipe()
    listen, tell = os.pipe()
    with TemporaryDirectory(prefix="procnotify-chromium-") as profile:
        argv = [
            # Its pipes are 3 and 4. (A plain sh names none above 9.)
            *("bash", "-c", f'exec "$0" "$@" 3<&{hear} 4>&{tell}', program, "--headless=new"),
            *("--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-dev-shm-usage", "--disable-extensions", f"--user-data-dir={profile}"),
        ]
        child = subprocess.Popen(
            argv, pass_fds=(hear, tell), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(hear)
        os.close(tell)
        browser = Browser(answer, listen)
        try:
            yield browser
            browser.call("Browser.close")
            child.wait(_PATIENCE)
        finally:
            child.kill()
            child.wait()
            os.close(answer)
            browser._read.close()
