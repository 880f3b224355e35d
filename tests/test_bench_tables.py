#!/usr/bin/env python3
"""bench/: tables have no ratio of what varied too much, and warn where others use the machine; one set of limits for C++ and
Python."""
import contextlib
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench")
sys.dont_write_bytecode = True  # the source stays as it is
sys.path.insert(0, BENCH)
import peer_report  # noqa: E402
import readme  # noqa: E402
import table  # noqa: E402
import trust  # noqa: E402

STEADY, UNSTEADY = 0.19, 0.21
CONTEXT = {"num_cpus": 2, "device": "CPU, avx2, 2 threads", "pixloss": "0.1.0", "date": "2026-01-02T03:04:05",
           "host_name": "secret", "load_avg": [0.5, 0.4, 0.3], "others_at_start": "0.010"}


def case(name, number=0, group="", between=0.0, copy_between=0.0, **counters):
    """The aggregates of one case, steady within a repetition and between repetitions unless the arguments say otherwise."""
    run = {"run_name": f"{name}/real_time", "family_index": number, "repetitions": 7, "time_unit": "us", "label": group}
    median = {"real_time": 5000, "median": 2e-3, "min": 1e-3, "spread": 0.01, "px/s": 3e9, "B/s": 36e9, "copy_median": 1e-3, "copy_spread": 0.01,
              "of_copy": 0.5, **counters}
    kinds = {"median": {key: value for key, value in median.items() if value is not None},
             "min": {"min": 9e-4}, "spread": {"median": between, "copy_median": copy_between}}
    return [{**run, "aggregate_name": kind, **values} for kind, values in kinds.items()]


def printed(runs, context=CONTEXT, end=None):
    """table.py's output for these runs, and the JSON that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        raw, clean = pathlib.Path(folder, "raw.json"), pathlib.Path(folder, "clean.json")
        raw.write_text(json.dumps({"context": context, "benchmarks": runs, **({"end": end} if end else {})}), encoding="utf-8")
        arguments, sys.argv = sys.argv, ["table.py", str(raw), "--commit", "abc", "--json", str(clean)]
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                table.main()
        finally:
            sys.argv = arguments
        return output.getvalue(), json.loads(clean.read_text(encoding="utf-8"))


def cells(text, name):
    """{title: cell} of the row with this name."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    titles = next(row for row in reversed(rows[:next(i for i, row in enumerate(rows) if name in row[0])]) if row[0] == "loss")
    return dict(zip(titles, next(row for row in rows if name in row[0])))


class Spread(unittest.TestCase):
    def test_is_between_percentiles_over_the_median(self):
        self.assertAlmostEqual(trust.spread(range(1, 12)), (10 - 2) / 6)
        self.assertAlmostEqual(trust.spread([3.0]), 0)
        self.assertAlmostEqual(trust.spread([2.0, 1.0]), 0.8 / 1.5)

    def test_one_outlier_in_twenty_does_not_count(self):
        self.assertAlmostEqual(trust.spread([1.0] * 20 + [100.0]), 0)

    def test_unknown_is_not_steady(self):
        self.assertFalse(trust.is_steady(0.1, None))

    def test_limits_are_those_of_the_programs(self):
        for header, name, limit in (("spread.h", "spread_limit", trust.SPREAD_LIMIT), ("load.h", "load_limit", trust.LOAD_LIMIT)):
            source = pathlib.Path(BENCH, "measure", header).read_text(encoding="utf-8")
            self.assertEqual(float(re.search(rf"{name} = ([0-9.]+);", source)[1]), limit)


class Table(unittest.TestCase):
    def test_ratio_where_both_sides_are_steady(self):
        steady = {"between": STEADY, "copy_between": STEADY, "copy_spread": STEADY, "spread": STEADY}
        text, _ = printed(case("cpu/l1/f32/1x1x2x2/value", **steady))
        self.assertEqual(cells(text, "l1")["of copy"], "50 %")
        self.assertNotIn(trust.FOOTNOTE, text)

    def test_no_ratio_where_either_side_varied(self):
        for varied in ({"between": UNSTEADY}, {"spread": UNSTEADY}, {"copy_between": UNSTEADY}, {"copy_spread": UNSTEADY},
                       {"of_copy": None}):
            with self.subTest(varied):
                text, _ = printed(case("cpu/l1/f32/1x1x2x2/value", **varied))
                self.assertEqual(cells(text, "l1")["of copy"], "-")
                self.assertIn(trust.FOOTNOTE, text)

    def test_each_ratio_by_its_own_yardstick(self):
        text, _ = printed(case("cpu/ssim/f32/1x1x2x2/value", copy_spread=UNSTEADY, of_fma=0.4, fma_spread=0.1))
        self.assertEqual(cells(text, "ssim")["of copy"], "-")
        self.assertEqual(cells(text, "ssim")["of FMA"], "40 %")
        text, _ = printed(case("cpu/ssim/f32/1x1x2x2/value", of_fma=0.4, fma_spread=UNSTEADY))
        self.assertEqual(cells(text, "ssim")["of copy"], "50 %")
        self.assertEqual(cells(text, "ssim")["of FMA"], "-")

    def test_spread_is_the_larger_one(self):
        text, _ = printed(case("cpu/l1/f32/1x1x2x2/value", between=0.04, spread=0.12, copy_between=0.08, copy_spread=0.02))
        row = cells(text, "l1")
        self.assertEqual((row["spread"], row["copy's spread"], row["fastest"]), ("12 %", "8 %", "900 µs"))

    def test_groups_have_headings_and_only_the_columns_in_use(self):
        blur = case("cpu/blur/f32/1x1x2x2/value", 1, "Blur", **{"px*taps/s": 33e9})
        text, _ = printed(blur + case("cpu/l1/f32/1x1x2x2/value", 0, "Pixels"))
        self.assertLess(text.index("### Pixels"), text.index("### Blur"))
        self.assertEqual(cells(text, "blur")["Mpx/s x taps"], "33000")
        self.assertNotIn("Mpx/s x taps", cells(text, "l1"))

    def test_warns_of_others_and_of_spreads(self):
        quiet, loud = {"load_avg": 0.2, "others_meanwhile": 0.05}, {"load_avg": 3.2, "others_meanwhile": 0.4}
        text, written = printed(case("cpu/l1/f32/1x1x2x2/value"), end=quiet)
        self.assertNotIn("Warning", text)
        self.assertIn("Load average 0.5 at the start, 0.2 at the end; others took 1 % of the processors' time before, 5 % meanwhile",
                      text)
        self.assertEqual(written["end"], quiet)
        self.assertNotIn("host_name", written["context"])
        self.assertIn("**Warning:** others took 40 %", printed(case("cpu/l1/f32/1x1x2x2/value"), end=loud)[0])
        self.assertIn("others took 30 % of the processors' time before",
                      printed(case("cpu/l1/f32/1x1x2x2/value"), {**CONTEXT, "others_at_start": "0.3"})[0])
        self.assertIn("**Warning:** 1 of 1 cases varied", printed(case("cpu/l1/f32/1x1x2x2/value", spread=UNSTEADY))[0])

    def test_yardsticks_without_a_size(self):
        text, _ = printed(case("cpu/fma", **{"px/s": None, "B/s": None, "FMA/s": 86e9, "copy_spread": None, "of_copy": None}))
        self.assertEqual(cells(text, "fma")["GFMA/s"], "86.0")


class Peers(unittest.TestCase):
    def rows(self, **peer):
        row = {"peer": "torch", "loss": "l1", "size": "1x1x2x2", "what": "value", "version": "torch 2", "threads": 2,
               **peer_report.timing([0.01] * 9, (1, 1, 2, 2)), **peer}
        return [row]

    def ratio(self, row, runs):
        with tempfile.TemporaryDirectory() as folder:
            raw = pathlib.Path(folder, "raw.json")
            raw.write_text(json.dumps({"context": CONTEXT, "benchmarks": runs}), encoding="utf-8")
            self.assertEqual(peer_report.add_ratios(row, raw), CONTEXT["device"])
        return [cell.strip() for cell in peer_report.table(row).splitlines()[-1].strip("|").split("|")][-1]

    def test_no_ratio_where_either_side_varied(self):
        name = "cpu/l1/f32/1x1x2x2/value"
        self.assertEqual(self.ratio(self.rows(), case(name)), "5.00")
        self.assertEqual(self.ratio(self.rows(spread=UNSTEADY), case(name)), "-")
        self.assertEqual(self.ratio(self.rows(), case(name, between=UNSTEADY)), "-")

    def test_single_runs(self):
        run = {"run_name": "cpu/l1/f32/1x1x2x2/value/real_time", "real_time": 5000, "time_unit": "us", "median": 2e-3,
               "family_index": 0}
        self.assertEqual(self.ratio(self.rows(), [{**run, "spread": STEADY}]), "5.00")
        self.assertEqual(self.ratio(self.rows(), [{**run, "spread": UNSTEADY}]), "-")
        self.assertEqual(self.ratio(self.rows(), [run]), "-")  # unknown

    def test_text_has_machine_threads_and_warnings(self):
        class Load:
            average_at_start, at_start = 0.5, 0.3

            @staticmethod
            def meanwhile():
                return None
        text = peer_report.text(peer_report.context("A CPU, 2 cores", Load, False), self.rows())
        for part in ("A CPU, 2 cores", "| torch | torch 2 | 2 |", "**Warning:** others took 30 %", "unknown meanwhile"):
            self.assertIn(part, text)


class Readme(unittest.TestCase):
    def test_beside_a_peer(self):
        result = next(iter(table.results_of(case("cpu/l1/f32/1x1x2x2/value")).values()))
        peer = {"peer": "torch", "seconds": 0.01, "spread": STEADY}
        self.assertEqual(readme.beside_peer(result, peer), ["torch, 10.0 ms", "5.00 x"])
        self.assertEqual(readme.beside_peer(result, {**peer, "spread": UNSTEADY})[1], "-")
        self.assertEqual(readme.beside_peer(result, None), ["", ""])


if __name__ == "__main__":
    unittest.main()
