"""One real JupyterLab for all browser tests, and pages of a headless Chromium in it."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--disable-component-update",
    "--use-fake-device-for-media-stream",  # a camera, which a page has only where the test permits it
]
LAB_SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # every cell is in the page
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}
KERNEL_READY = """() => {
    const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const session = panel && panel.context && panel.context.sessionContext.session;
    const kernel = session && session.kernel;
    return !!kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
RUN_ALL = "window.jupyterapp.commands.execute('notebook:run-all-cells').then(fine => fine)"


class Lab(NamedTuple):
    """A running JupyterLab and the folder it shows."""

    url: str
    token: str
    root: Path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path. Without one the tests are skipped on a desk, and fail in CI."""
    named = os.environ.get("COURSE_CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else CHROMIUM_NAMES)), None)
    if found:
        return found
    reason = "no Chromium: apt-get install chromium, or name one with COURSE_CHROMIUM=/path/to/it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab with settings, data and kernels of its own: nothing of the tester's is read or written."""
    base = tmp_path_factory.mktemp("lab")
    root, settings = base / "root", base / "config" / "labconfig"
    root.mkdir()
    settings.mkdir(parents=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(LAB_SETTINGS))
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "IPYTHONDIR": "ipython",
    }
    environment = os.environ | {name: str(base / folder) for name, folder in folders.items()}
    token, port = secrets.token_hex(8), free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"]
    log_path = base / "lab.log"
    with open(log_path, "wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(server, f"{url}/api/status?token={token}", log_path)
            yield Lab(url, token, root)
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(server: subprocess.Popen, url: str, log: Path, limit_s: float = 90) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + limit_s
    while True:
        try:
            direct.open(url, timeout=2).close()
            return
        except OSError:
            said = log.read_text(errors="replace")[-2000:]
            assert server.poll() is None, f"JupyterLab ended: {said}"
            assert time.monotonic() < deadline, f"JupyterLab is not up after {limit_s:.0f} s: {said}"
            time.sleep(0.5)


@pytest.fixture(scope="session")
def browser(request):
    """Chromium, or the Firefox that COURSE_FIREFOX=/path/to/it names (Playwright 1.58 drives Debian's 153)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        if firefox := os.environ.get("COURSE_FIREFOX"):
            running = playwright.firefox.launch(channel="moz-firefox", executable_path=firefox)
        else:
            chromium = request.getfixturevalue("chromium")
            running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def open_and_run(lab, browser) -> Callable:
    """A function that opens a notebook in JupyterLab, runs all of it and returns the page.

    ``page.problems`` collects what the page itself threw.
    """

    def run(notebook: nbformat.NotebookNode, name: str, timeout_s: float = 240):
        nbformat.write(notebook, lab.root / name)
        page = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(f"{lab.url}/lab/tree/{name}?reset&token={lab.token}", timeout=120_000)  # a busy machine
        page.wait_for_function(KERNEL_READY, timeout=120_000)
        page.set_default_timeout(timeout_s * 1000)
        assert page.evaluate(RUN_ALL) is not False, f"a cell of {name} raised:\n{errors_in(page)}"
        page.wait_for_function(KERNEL_READY)
        page.set_default_timeout(60_000)
        return page

    return run


def errors_in(page) -> str:
    """The end of the tracebacks that the page shows."""
    shown = page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
    return "\n".join(text[-1500:] for text in shown.all_inner_texts())
