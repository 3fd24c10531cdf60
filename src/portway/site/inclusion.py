"""Which patterns can never match, because no path looks like that or earlier ones take everything.

Exact, by automata: a pattern is a row of states, one before each of its characters; a path is let run
through the pattern in question and through all earlier ones at once, and a path that the first takes and no
other does is looked for. Only what occurs in a pattern tells characters apart, so the alphabet is those and
one that stands for the rest. Paths are normalised: no empty segment, no `.` and no `..` among them.

The states of the earlier patterns are followed as sets. From the state at a star everything is taken that is
from a state before it, so what lies before the last star is dropped: that keeps the sets small for all but
patterns made to be hard, and for those there is a limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from string import ascii_letters, digits
from typing import NamedTuple

from portway.site.patterns import matches, normalise, with_slash

MOST_STEPS = 20_000
"""Combinations of states looked at; beyond that a pattern counts as one that matches."""

_OTHER = "\0"
"""Stands for every character that no pattern names; none of them is a NUL byte."""

_START, _SLASH, _DOT, _DOTS, _NAME, _NONE = range(6)
"""Where a normalised path stands: before its first slash, behind one, behind `/.`, `/..`, in a name."""

_Patterns = tuple[str, ...]
_States = tuple[frozenset[int], ...]


class _State(NamedTuple):
    at: int
    where: int
    states: _States


class TooHard(Exception):
    """There are more combinations of states than are looked at."""


def can_match(pattern: str, earlier: Sequence[str] = ()) -> bool:
    """Whether some path is taken by a pattern and by none of those before it.

    Args:
        pattern: The pattern in question.
        earlier: The patterns that are asked first.
    """
    own = with_slash(pattern)
    rivals = [one for one in map(with_slash, earlier) if _may_meet(own, one)]
    if any(_is_example(path, own, rivals) for path in _guesses(own, rivals)):
        return True
    try:
        # One that takes all is the usual case, and found much sooner than by looking at all at once.
        return all(example(own, [one]) for one in rivals) and example(own, rivals) is not None
    except TooHard:
        return True


def _may_meet(one: str, other: str) -> bool:
    """Whether two patterns can take the same path, as far as how they begin and end tells."""
    first, last = _literals(one)
    other_first, other_last = _literals(other)
    size, end = min(len(first), len(other_first)), min(len(last), len(other_last))
    return (
        first[:size] == other_first[:size] and last[len(last) - end :] == other_last[len(other_last) - end :]
    )


def _literals(pattern: str) -> tuple[str, str]:
    """Return what stands before the first wildcard of a pattern, and behind the last."""
    parts = pattern.replace("?", "*").split("*")
    return parts[0], parts[-1]


def _guesses(own: str, rivals: Sequence[str]) -> Iterator[str]:
    """Yield paths that a pattern takes and, mostly, no other: quicker than to look for one."""
    other = _unused("".join((own, *rivals)))
    for star in (other, "", f"{other}/{other}"):
        yield own.replace("*", star).replace("?", other)


def _is_example(path: str, own: str, rivals: Sequence[str]) -> bool:
    raw = path.encode()
    return normalise(raw).path == raw and matches(own, raw) and not any(matches(one, raw) for one in rivals)


def example(pattern: str, earlier: Sequence[str] = ()) -> str | None:
    """Return the shortest path that a pattern takes and none before it does, or None where there is none.

    Raises:
        TooHard: The answer would take too long.
    """
    own = with_slash(pattern)
    others = tuple(with_slash(one) for one in earlier)
    alphabet = sorted(
        {letter for text in (own, *others) for letter in text} - {"*", "?"} | {"/", ".", _OTHER}
    )
    begin = _State(0, _START, tuple(_closed(other, {0}) for other in others))
    waiting, found = deque([begin]), {begin: ""}
    while waiting:
        state = waiting.popleft()
        if _is_ended(own, state.at) and state.where in (_SLASH, _NAME) and not _taken(others, state.states):
            return found[state].replace(_OTHER, _unused(alphabet))
        for letter in alphabet:
            for follower in _followers(own, others, state, letter):
                if follower not in found:
                    found[follower] = found[state] + letter
                    waiting.append(follower)
        if len(found) > MOST_STEPS:
            raise TooHard
    return None


def includes(pattern: str, other: str) -> bool:
    """Whether a pattern takes every path that another one takes."""
    if "*" not in other and "?" not in other:
        path = normalise(with_slash(other).encode()).path
        return path != with_slash(other).encode() or matches(pattern, path)
    return not can_match(other, [pattern])


def _followers(own: str, others: _Patterns, state: _State, letter: str) -> Iterator[_State]:
    """Yield where one more character leads."""
    where = _walk(state.where, letter)
    ahead = tuple(_steps(own, state.at, letter)) if where != _NONE else ()
    if ahead:
        pairs = zip(others, state.states, strict=True)
        states = tuple(_step(other, some, letter) for other, some in pairs)
        yield from (_State(at, where, states) for at in ahead)


def _walk(where: int, letter: str) -> int:
    """Return where a normalised path stands after one more character."""
    if letter == "/":
        return _SLASH if where in (_START, _NAME) else _NONE
    if where == _START:
        return _NONE
    if letter == ".":
        return {_SLASH: _DOT, _DOT: _DOTS}.get(where, _NAME)
    return _NAME


def _steps(pattern: str, at: int, letter: str) -> Iterable[int]:
    """Yield the states that one character leads to from one state."""
    while at < len(pattern) and pattern[at] == "*":
        yield at
        at += 1
    if at < len(pattern) and pattern[at] in (letter, "?"):
        yield at + 1


def _step(pattern: str, states: frozenset[int], letter: str) -> frozenset[int]:
    return _closed(pattern, {follower for at in states for follower in _steps(pattern, at, letter)})


def _closed(pattern: str, states: set[int]) -> frozenset[int]:
    """Return the states without those before the last star among them, and that one at its last spelling."""
    moved = set()
    for at in states:
        while pattern[at : at + 2] == "**":
            at += 1
        moved.add(at)
    last = max((at for at in moved if pattern[at : at + 1] == "*"), default=0)
    return frozenset(at for at in moved if at >= last)


def _is_ended(pattern: str, at: int) -> bool:
    return not pattern[at:].strip("*")


def _taken(others: _Patterns, states: _States) -> bool:
    """Whether one of the earlier patterns takes what led to these states."""
    return any(_is_ended(other, at) for other, some in zip(others, states, strict=True) for at in some)


def _unused(alphabet: Sequence[str]) -> str:
    """Return a character that does not stand in an alphabet; where all do, any: a guess may be wrong."""
    return next((letter for letter in "xyz" + ascii_letters + digits + "_-~" if letter not in alphabet), "x")
