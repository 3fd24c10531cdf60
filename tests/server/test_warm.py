"""Reloads of `portway dev` that do not import installed packages again, and when they must.

The packages are installed in a virtual environment of the test's own. Each writes a line when it is imported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import portway
from tests.support.developing import page, wait_for_word
from tests.support.processes import Portway
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no child subreapers elsewhere")

PACKAGE = """
import os
with open(os.environ["IMPORTS"], "a") as file:
    file.write(__name__ + "\\n")
VALUE = "{0}"
"""

APP = """{imports}
def app(environ, start_response):
    import sys
    start_response("200 OK", [])
    loaded = ",".join(sorted(name for name in sys.modules if name.startswith("heavy")))
    return [f"{{{value}}} {word} {{loaded}}".encode()]
"""


class Installation:
    """A virtual environment with packages, and a project beside it."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "project"
        self.project.mkdir()
        self._imports = directory / "imports"
        self._imports.touch()
        environment = directory / "venv"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", "--symlinks", environment], check=True, timeout=60
        )
        self.python = environment / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = environment / "lib" / version / "site-packages"

    def install(self, name: str, text: str) -> None:
        """Install a module."""
        (self.packages / f"{name}.py").write_text(text)

    def save(self, word: str, imports: str = "import heavy", value: str = "heavy.VALUE") -> None:
        """Save the application."""
        temporary = self.project / ".app.swp"
        temporary.write_text(APP.format(imports=imports, value=value, word=word))
        temporary.rename(self.project / "app.py")

    def count(self, name: str = "heavy") -> int:
        """Return how often a package has been imported."""
        return self._imports.read_text().splitlines().count(name)

    def dev(self) -> Portway:
        """Run `portway dev`."""
        paths = (str(Path(portway.__file__).parent.parent), sysconfig.get_paths()["purelib"])
        command = (self.python, "-m", "portway", "dev", "--bind", "127.0.0.1:0", "--log-level", "debug")
        env = {"PYTHONPATH": os.pathsep.join(paths), "IMPORTS": str(self._imports)}
        return Portway("", command=[str(part) for part in command], cwd=self.project, env=env)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One with a package `heavy` whose VALUE is 1, and an application that imports it."""
    made = Installation(tmp_path)
    made.install("heavy", PACKAGE.format(1))
    made.save("one")
    return made


def ready(server: Portway, installation: Installation, warm: bool = True) -> None:
    """Wait until saves are noticed, and there is a process for the next reload."""
    server.ready()

    def noticed() -> bool:
        (installation.project / "touched.py").write_text("")
        return "touched.py changed" in server.log

    wait_until(noticed, "watcher")
    settle(server)
    if warm:
        server.wait_for("debug: warm process .* has imported ahead")


def settle(server: Portway) -> None:
    """Wait until no reload is under way."""

    def still() -> bool:
        told = [line for line in server.lines if "info: serving " in line or "starting generation" in line]
        return "info: serving " in told[-1]

    wait_until(still, "end of the reloads")


def saved(server: Portway, installation: Installation, word: str, *how: str) -> str:
    """Save the application, and return what the new version answers."""
    installation.save(word, *how)
    wait_for_word(server.address, f" {word} ")
    return page(server.address).body.decode()


def imports_again(
    server: Portway, installation: Installation, name: str, imports: str = "import heavy"
) -> bool:
    """Save the application, and return whether a package was imported for it."""
    before = installation.count(name)
    word = str(time.monotonic_ns())
    assert saved(server, installation, word, imports, f"{name}.VALUE").split()[1] == word
    return installation.count(name) > before


def test_installed_packages_are_imported_once(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        wait_for_word(server.address, "one")
        wait_until(lambda: not imports_again(server, installation, "heavy"), "reload without imports")
        before = installation.count()
        for word in ("two", "six", "ten"):
            assert saved(server, installation, word) == f"1 {word} heavy"
        assert installation.count() == before
        assert " error: " not in server.log


def test_a_package_that_has_changed_is_imported_again(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        installation.install(
            "heavy",
            PACKAGE.format(22),  # of another size: Python's own cache knows only that and the second
        )
        assert saved(server, installation, "two") == "22 two heavy"
        server.wait_for("has imported ahead", count=2)
        wait_until(lambda: not imports_again(server, installation, "heavy"), "reload without imports")


def test_a_new_package_counts(installation: Installation) -> None:
    installation.install(
        "heavy", "try:\n    from heavy_more import VALUE\nexcept ImportError:\n    VALUE = 0\n"
    )
    with installation.dev() as server:
        ready(server, installation)
        installation.install("heavy_more", "VALUE = 5")
        assert saved(server, installation, "two") == "5 two heavy,heavy_more"


def test_an_import_that_is_gone(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        assert saved(server, installation, "two", "", "0") == "0 two "
        assert saved(server, installation, "six", "import heavy", "heavy.VALUE") == "1 six heavy"


def test_an_import_more(installation: Installation) -> None:
    installation.install("heavy_too", PACKAGE.format(7))
    with installation.dev() as server:
        ready(server, installation)
        imports = "import heavy\nimport heavy_too"
        assert saved(server, installation, "two", imports, "heavy_too.VALUE") == "7 two heavy,heavy_too"
        server.wait_for("has imported ahead", count=2)
        wait_until(
            lambda: not imports_again(server, installation, "heavy_too", imports), "reload without imports"
        )


def test_code_before_an_import(installation: Installation) -> None:
    installation.install("heavy", "import os\nVALUE = os.environ.get('MODE')")
    imports = "import os\nos.environ['MODE'] = 'late'\nimport heavy"
    installation.save("one", imports)
    with installation.dev() as server:
        ready(server, installation, warm=False)
        assert saved(server, installation, "two", imports) == "late two heavy"
        other = imports.replace("late", "later")
        assert saved(server, installation, "six", other) == "later six heavy"


def test_a_module_of_the_project_takes_the_name(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        (installation.project / "heavy.py").write_text("VALUE = 'own'")
        assert saved(server, installation, "two") == "own two heavy"


def test_a_module_of_the_project_is_never_stale(installation: Installation) -> None:
    (installation.project / "part.py").write_text("import heavy\nVALUE = 1")
    imports = "from part import VALUE"
    installation.save("one", imports, "VALUE")
    with installation.dev() as server:
        ready(server, installation)
        (installation.project / "part.py").write_text("import heavy\nVALUE = 2")
        assert saved(server, installation, "two", imports, "VALUE") == "2 two heavy"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"),
        ("import tempfile\nFILE = tempfile.TemporaryFile()", "opens files"),
        ("import os\nos.environ['HEAVY'] = '1'", "changes the environment"),
        ("import sys\nsys.path.append('/nowhere')", "changes the environment"),
        ("import part", "imports part of the project"),
        (
            "import os\nif os.getppid() == int(os.environ.get('NOBODY', '0')): pass\nraise SystemExit",
            "SystemExit",
        ),
    ],
)
def test_what_cannot_be_forked(installation: Installation, text: str, why: str) -> None:
    installation.install("heavy", PACKAGE.format(1) + text)
    (installation.project / "part.py").write_text("VALUE = 1")
    imports = "import heavy"
    if "SystemExit" in text:
        text = text.replace("raise SystemExit", "import sys\nif 'app' not in sys.modules: raise SystemExit")
        installation.install("heavy", PACKAGE.format(1) + text)
    installation.save("one", imports)
    with installation.dev() as server:
        ready(server, installation, warm=False)
        server.wait_for(f"debug: every reload imports installed packages anew: .*{why}")
        before = installation.count()
        assert saved(server, installation, "two").startswith("1 two ")
        assert installation.count() > before
        assert " error: " not in server.log


def test_a_warm_process_that_is_killed(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        warm = int(server.wait_for(r"warm process (\d+) has imported ahead")[1])
        os.kill(warm, signal.SIGKILL)
        assert saved(server, installation, "two") == "1 two heavy"
        assert server.stop() == 0


def test_nothing_stays_behind(installation: Installation) -> None:
    with installation.dev() as server:
        ready(server, installation)
        assert saved(server, installation, "two") == "1 two heavy"
        children = server.workers()
        assert server.stop() == 0
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "end of all processes")
