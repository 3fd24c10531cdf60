"""The parts of the benchmark that turn output into figures, verdicts and tables; no server is started."""

from functools import partial

import pytest

from bench import catalogue, markdown, throughput, wrk
from bench.process import BenchError
from bench.result import Result, Row, Verdict
from bench.rounds import Series, best, in_turns, ratio, saving
from bench.servers import SERVERS, Launch
from bench.workers import counts
from bench.workload import Options, Workload

REPORT = """\
Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   141.52us   37.11us   1.42ms   92.31%
    Req/Sec   220.00k     3.10k  224.00k    90.00%
  Latency Distribution
     50%  137.00us
     75%  150.00us
     90%  171.00us
     99%  286.00us
  459999 requests in 2.10s, 70.19MB read
Requests/sec: 219047.14
Transfer/sec:     33.42MB
"""


def sample(rate: float, server_cpu: float = 0.0, load_cpu: float = 0.0) -> wrk.Sample:
    """Return a sample with this rate."""
    return wrk.Sample(rate, int(rate), 1.0, 0, 0, load_cpu=load_cpu, server_cpu=server_cpu)


def series(name: str, *rates: float) -> Series:
    """Return a series with these rates."""
    return Series(name, samples=[sample(rate) for rate in rates])


class TestWrk:
    def test_report_is_read(self) -> None:
        found = wrk.parse(REPORT)
        assert (found.rate, found.requests) == (219047.14, 459999)
        assert found.p99_ms == pytest.approx(0.286)
        assert (found.errors, found.refused) == (0, 0)
        wrk.check(found)

    def test_socket_errors_and_refusals_spoil_a_sample(self) -> None:
        text = REPORT.replace(
            "Requests/sec",
            "  Socket errors: connect 1, read 2, write 0, timeout 4\n"
            "  Non-2xx or 3xx responses: 9\n"
            "Requests/sec",
        )
        found = wrk.parse(text)
        assert (found.errors, found.refused) == (7, 9)
        with pytest.raises(BenchError, match="7 socket errors, 9 refusals"):
            wrk.check(found)

    @pytest.mark.parametrize(("text", "ms"), [("1.50s", 1500.0), ("12.00ms", 12.0), ("99.00us", 0.099)])
    def test_units_of_latency(self, text: str, ms: float) -> None:
        assert wrk.parse(REPORT.replace("286.00us", text)).p99_ms == pytest.approx(ms)

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(BenchError, match="not a report"):
            wrk.parse("unable to connect to 127.0.0.1:1 Connection refused")

    def test_a_free_core_tells_that_something_else_ran(self) -> None:
        assert sample(1.0, server_cpu=0.5, load_cpu=0.4).disturbed
        assert not sample(1.0, server_cpu=0.98, load_cpu=0.4).disturbed
        assert not sample(1.0).disturbed

    def test_workers_are_counted_by_pid(self) -> None:
        assert counts("worker 12 300\nworker 13 100\nworker 12 1\n") == {12: 301, 13: 100}


class TestRounds:
    def test_ratio_is_taken_within_rounds(self) -> None:
        # The machine halves its speed after each round: medians alone would mislead.
        assert ratio(series("a", 200, 100, 50), series("b", 100, 50, 25)) == 2.0

    def test_rounds_without_a_partner_are_left_out(self) -> None:
        assert ratio(series("a", 200, 1, 1), series("b", 100)) == 2.0
        assert ratio(series("a", 200), series("b")) == 0.0

    def test_processor_time_is_compared_the_other_way_round(self) -> None:
        cheap = Series("a", samples=[wrk.Sample(1, 1, 1.0, 0, 0, server_us=2.0)])
        dear = Series("b", samples=[wrk.Sample(1, 1, 1.0, 0, 0, server_us=5.0)])
        assert saving(cheap, dear) == 2.5
        assert saving(cheap, series("none")) == 0.0

    def test_best_ignores_servers_without_figures(self) -> None:
        assert best([series("dead")]) is None
        assert best([series("dead"), series("one", 5), series("two", 9)]).name == "two"  # type: ignore[union-attr]

    def test_turns_change_direction_and_slow_servers_leave(self) -> None:
        order: list[str] = []
        rates = {"a": 100.0, "b": 90.0, "slow": 10.0, "kept": 1.0}

        def measured(name: str) -> wrk.Sample:
            order.append(name)
            return sample(rates[name])

        calls = {name: partial(measured, name) for name in rates}
        found = in_turns(calls, 3, keep=frozenset({"kept"}))
        assert order == ["a", "b", "slow", "kept", "kept", "b", "a", "a", "b", "kept"]
        assert {name: len(samples) for name, samples in found.items()} == {
            "a": 3,
            "b": 3,
            "slow": 1,
            "kept": 3,
        }


class TestVerdicts:
    @pytest.mark.parametrize(
        ("reached", "smaller", "word"),
        [(1.3, False, "aim"), (1.2, False, "floor"), (1.0, False, "MISSED")],
    )
    def test_larger_is_better(self, reached: float, smaller: bool, word: str) -> None:
        assert Verdict("x", reached, 1.1, 1.3, smaller).word == word

    @pytest.mark.parametrize(("reached", "word"), [(0.4, "aim"), (0.9, "floor"), (1.1, "MISSED")])
    def test_smaller_is_better(self, reached: float, word: str) -> None:
        assert Verdict("x", reached, 1.0, 0.5, smaller=True).word == word

    def test_targets_are_compared_with_the_best_peer_and_with_nginx(self) -> None:
        measured = [
            series("nginx", 220),
            series("portway", 230),
            series("fastpysgi", 180),
            series("granian", 100),
        ]
        found = throughput.verdicts(catalogue.WORKLOADS["wsgi-hello"], measured)
        assert [(one.what, one.word) for one in found] == [
            ("× fastpysgi (by processor time 0.00)", "floor"),
            ("× nginx (by processor time 0.00)", "aim"),
        ]

    def test_another_python_keeps_its_name(self) -> None:
        measured = [series("nginx", 200), series("portway-3.14", 190), series("uvicorn-3.14", 50)]
        found = throughput.verdicts(catalogue.WORKLOADS["asgi-314"], measured)
        assert [(one.what, one.reached) for one in found] == [("× nginx (by processor time 0.00)", 0.95)]

    def test_a_missing_server_gives_no_verdict(self) -> None:
        failed = Series("portway", failure="it ended with 1:\ntraceback")
        workload = catalogue.WORKLOADS["wsgi-hello"]
        assert throughput.verdicts(workload, [failed, series("nginx", 1)]) == []
        text = markdown.section(throughput.result(workload, [failed, series("nginx", 1)], Options()))
        assert "failed: it ended with 1:" in text


class TestCatalogue:
    @pytest.mark.parametrize("workload", catalogue.WORKLOADS.values(), ids=str)
    def test_every_server_is_known_and_speaks_the_interface(self, workload: Workload) -> None:
        for name in workload.servers:
            assert name == "nginx" or workload.interface in SERVERS[name].interfaces

    @pytest.mark.parametrize(
        "name", [name for name in SERVERS if SERVERS[name].interfaces & {"wsgi", "asgi"}]
    )
    def test_commands_name_the_application_and_the_port(self, name: str) -> None:
        server = SERVERS[name]
        for interface in server.interfaces & {"wsgi", "asgi"}:
            line = " ".join(server.command(Launch("package.module:app", interface, 8765)))
            # a project of Chalice is a folder with an app.py
            assert ("package" if name == "chalice-local" else "package.module:app") in line
            assert "8765" in line

    def test_a_browser_sends_thirteen_fields(self) -> None:
        assert len(catalogue.BROWSER) == 13


def test_tables_escape_what_would_break_a_row() -> None:
    result = Result(
        "n",
        "Title",
        ("server", "figure"),
        [Row(("a|b", "1\n2"), ("run a",))],
        options="1 round",
        verdicts=[Verdict("x", 2.0, 1.0, 1.5)],
        notes=["A note."],
        when="today",
    )
    text = markdown.document([result], {"cores": "2"})
    assert "| a\\|b | 1 2 |" in text
    assert "| Title | x | 2 | 1 | 1.5 | aim |" in text
    assert "# a|b\nrun a" in text
