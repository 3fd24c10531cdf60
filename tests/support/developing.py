"""A project that is edited while `portway dev` serves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.client import Address, Answer, get
from tests.support.processes import COMMAND, Portway
from tests.support.waiting import wait_until

PAGE = {"Host": "localhost", "Accept": "text/html,*/*"}
"""What a browser on this machine sends."""

WSGI = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("</script><script>document.title = 'stolen'</script>")
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<title>{0}</title>{0}"]
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/raise":
        raise ValueError("</script><script>document.title = 'stolen'</script>")
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}})
    await send({{"type": "http.response.body", "body": b"<title>{0}</title>{0}"}})
"""


class Project:
    """A folder with an application that answers a word on every path.

    Args:
        folder: Where.
        source: The application, with {0} for the word.
        name: The file.
    """

    def __init__(self, folder: Path, source: str = WSGI, name: str = "app.py") -> None:
        self.folder = folder
        self.source = source
        self.name = name
        self.save("one")

    def save(self, word: str) -> None:
        """Save the application with another word."""
        self.write(self.name, self.source.format(word))

    def break_it(self) -> None:
        """Save the application with a mistake."""
        self.write(self.name, f"{self.source.format('never')}\nraise RuntimeError('<b>broken</b>')\n")

    def write(self, name: str, text: str) -> None:
        """Save a file as editors do: a new one in the place of the old one."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.swp")
        temporary.write_text(text)
        temporary.rename(path)

    def dev(self, *args: str, env: Mapping[str, str] | None = None) -> Portway:
        """Run `portway dev` in it, on a free port."""
        where = () if "--bind" in args else ("--bind", "127.0.0.1:0")
        return Portway("", command=[*COMMAND, "dev", *where, *args], cwd=self.folder, env=env)


def page(address: Address, path: str = "/", fields: Mapping[str, str] | None = None) -> Answer:
    """Ask as a browser on this machine would."""
    return get(address, path, {**PAGE, **(fields or {})})


def wait_for_word(address: Address, word: str, path: str = "/") -> None:
    """Wait until a version answers that says the word."""

    def says() -> bool:
        answer = page(address, path)
        return answer.status == 200 and word.encode() in answer.body

    wait_until(says, f"answer with {word}")


def wait_for_watcher(server: Portway, project: Project) -> None:
    """Wait until saves are noticed."""

    def noticed() -> bool:
        project.write("touched.py", "")
        return "touched.py changed" in server.log

    wait_until(noticed, "watcher")
