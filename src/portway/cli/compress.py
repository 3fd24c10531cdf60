"""`portway compress`: the compressed forms of static files, made ahead of time."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import click
from msgspec import Struct

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import load_settings, setting_parameters
from portway.cli.routes import site_of
from portway.cli.session import Session
from portway.errors import StartupFailed, UsageError, plain
from portway.site.compress import Done, Work, compress, encoders, find_work, orphans
from portway.site.site import PRECOMPRESSED, StaticTarget

_HELP = """Make the compressed forms of static files: x.css.br, x.css.zst and x.css.gz beside x.css.

Without a FOLDER, of every static folder of the site. A form whose file has not changed stays, one that
would save less than a twentieth is not kept. A file that is compressed already, such as an image, is left
alone."""

_WORDS = {
    "written": "{} written",
    "kept": "{} up to date",
    "larger": "{} would not be smaller",
    "changed": "{} changed meanwhile",
}


class Task(Struct, frozen=True):
    """A folder and what to make in it."""

    folder: Path
    codings: tuple[str, ...]
    hidden: bool = False


def compress_command() -> click.Command:
    """Return the command."""
    return TopicCommand(
        "compress",
        callback=_compress,
        params=[
            click.Argument(["folders"], nargs=-1, metavar="[FOLDER]..."),
            click.Option(
                ["--coding", "codings"],
                type=click.Choice(PRECOMPRESSED),
                multiple=True,
                help="Only this one; repeatable.",
            ),
            click.Option(["--force"], is_flag=True, help="Make those again that are up to date."),
            click.Option(["--prune"], is_flag=True, help="Remove forms whose file is no more."),
            click.Option(
                ["--jobs"], type=click.IntRange(1, 256), help="Files at once; default: the processors."
            ),
            click.Option(["--quiet", "-q"], is_flag=True, help="Say nothing but errors."),
            *setting_parameters(("stage", "chdir")),
        ],
        help=_HELP,
        short_help="Compress static files ahead of time.",
        context_settings=SETTINGS,
    )


def _compress(
    folders: tuple[str, ...],
    codings: tuple[str, ...],
    force: bool,
    prune: bool,
    jobs: int | None,
    quiet: bool,
    **_: object,
) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    if folders:
        tasks = [Task(_folder(session.cwd / folder, folder), codings or PRECOMPRESSED) for folder in folders]
    else:
        targets = [route.target for route in site_of(loaded).routes if isinstance(route.target, StaticTarget)]
        tasks = _merged(targets, codings)
    try:
        for task in tasks:
            _run(task, force=force, prune=prune, jobs=jobs or os.cpu_count() or 1, quiet=quiet)
    except OSError as error:
        where = f" {plain(os.fsdecode(error.filename))}" if error.filename else ""
        problem = (error.strerror or str(error)).lower()
        raise StartupFailed(f"cannot compress{where}: {problem}") from None
    return 0


def _folder(path: Path, name: str) -> Path:
    if not path.is_dir():
        raise UsageError(f"there is no directory {plain(name)}", "name folders of static files.")
    return path


def _merged(targets: Iterable[StaticTarget], codings: tuple[str, ...]) -> list[Task]:
    """Return a task for each folder, whose codings are those of any of its routes."""
    found: dict[str, Task] = {}
    for target in targets:
        known = found.get(target.folder, Task(Path(target.folder), ()))
        wanted = {*known.codings, *target.precompressed}
        kept = tuple(one for one in PRECOMPRESSED if one in wanted and (not codings or one in codings))
        found[target.folder] = Task(known.folder, kept, known.hidden or target.hidden)
    if not found:
        raise UsageError("no route has a static folder", "name a FOLDER, or give a route `static`.")
    return [
        Task(_folder(task.folder, str(task.folder)), task.codings, task.hidden) for task in found.values()
    ]


def _run(task: Task, *, force: bool, prune: bool, jobs: int, quiet: bool) -> None:
    encode = encoders(task.codings)
    work = list(find_work(task.folder, task.codings, hidden=task.hidden))
    outcomes: Counter[str] = Counter()
    best: dict[Path, tuple[int, int]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(compress, one, encode[one.coding], force=force) for one in work]
        try:
            for done in _shown(_finished(futures), work, quiet):
                outcomes[done.outcome] += 1
                _, least = best.get(done.work.source, (0, done.before))
                best[done.work.source] = (done.before, min(least, done.after))
        finally:
            pool.shutdown(cancel_futures=True)
    removed = list(orphans(task.folder, hidden=task.hidden)) if prune else []
    for path in removed:
        path.unlink()
    if not quiet:
        click.echo(_summary(task, outcomes, list(best.values()), len(removed)))


def _finished(futures: list[Future[Done]]) -> Iterator[Done]:
    waiting = set(futures)
    while waiting:
        ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ready:
            yield future.result()


def _shown(finished: Iterator[Done], work: list[Work], quiet: bool) -> Iterator[Done]:
    """Pass on what is finished, with a bar on stderr where that is a terminal and `rich` is there."""
    if quiet or not sys.stderr.isatty():
        yield from finished
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield from finished
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(work))
        for done in finished:
            progress.update(bar, advance=1, description=plain(done.work.target.name))
            yield done


def _summary(task: Task, outcomes: Counter[str], sizes: list[tuple[int, int]], removed: int) -> str:
    words = [text.format(outcomes[outcome]) for outcome, text in _WORDS.items() if outcomes[outcome]]
    words += [f"{removed} removed"] if removed else []
    before, after = sum(size for size, _ in sizes), sum(size for _, size in sizes)
    ratio = f"; {_bytes(before)} become {_bytes(after)} at best" if before else ""
    return f"{plain(str(task.folder))}: {', '.join(words) or 'nothing to compress'}{ratio}"


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1_000_000 else f"{number / 1e3:.1f} kB"
