"""Measure several servers in turns, A B A B, and compare them only inside the same run.

The machine is noisy over minutes, so a figure by itself says little. A ratio is taken within each
round, between neighbours in time, and the median of those ratios is what gets reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.wrk import Sample

SLOW = 2.0  # a server this many times slower than the fastest is not measured after its first round


@dataclass
class Series:
    """All samples of one server, in the order of the rounds.

    Args:
        name: the server.
        command: how it was started.
        load: the command that made each sample.
        samples: one a round.
        failure: why it has no figures, empty when it has.
        omits: what it leaves out that the others do; it is then no peer to compare with.
    """

    name: str
    command: str = ""
    load: str = ""
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""
    omits: str = ""

    @property
    def rate(self) -> float:
        """Return the median of answers per second, 0.0 without samples."""
        return median(sample.rate for sample in self.samples) if self.samples else 0.0

    def middle(self, name: str) -> float:
        """Return the median of one field of the samples, 0.0 without samples."""
        return median(getattr(sample, name) for sample in self.samples) if self.samples else 0.0


def ratio(left: Series, right: Series) -> float:
    """Return the median over the rounds of left's rate divided by right's rate.

    Rounds that only one of them took part in are left out; 0.0 when no round is common.
    """
    pairs = [a.rate / b.rate for a, b in zip(left.samples, right.samples, strict=False) if b.rate]
    return median(pairs) if pairs else 0.0


def saving(left: Series, right: Series) -> float:
    """Return how many times less processor time an answer of left costs than one of right.

    Unlike a ratio of rates it hardly moves when something else takes the cores for a while; 0.0 when no
    round is common.
    """
    pairs = zip(left.samples, right.samples, strict=False)
    found = [b.server_us / a.server_us for a, b in pairs if a.server_us and b.server_us]
    return median(found) if found else 0.0


def best(series: Sequence[Series], *, without: frozenset[str] = frozenset()) -> Series | None:
    """Return the fastest of them by median rate, or None when none has samples."""
    running = [one for one in series if one.samples and one.name not in without]
    return max(running, key=lambda one: one.rate, default=None)


def in_turns(
    measures: Mapping[str, Callable[[], Sample]],
    rounds: int,
    *,
    keep: frozenset[str] = frozenset(),
    told: Callable[[str, Sample], None] = lambda name, sample: None,
) -> dict[str, list[Sample]]:
    """Call each measure once a round, in the given order and in the reverse order by turns.

    A server `SLOW` times slower than the fastest of the first round is measured only in that one,
    unless its name is in `keep`.

    Args:
        measures: by server name, a call that makes one sample.
        rounds: how many.
        keep: names that are measured in every round however slow.
        told: called after each sample, for progress.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            sample = measures[name]()
            samples[name].append(sample)
            told(name, sample)
        if number == 0 and names:
            limit = max(samples[name][0].rate for name in names) / SLOW
            names = [name for name in names if name in keep or samples[name][0].rate >= limit]
    return samples
