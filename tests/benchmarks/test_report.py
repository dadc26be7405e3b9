"""The benchmark's ratios, verdicts, tables and files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import report
from hotspots import Frame, parse_raw
from instructions import self_costs, shown
from load import LoadError, parse_wrk
from report import BUDGETS, Budget, Verdict, aligned, document, figures_table, judge, number, ratio, reasons, save
from rounds import Figures
from subjects import BARE, FULL, LITELLM, PROXY, all_subjects

WRK = """Running 2s test @ http://127.0.0.1:19104/v1/chat/completions
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.36ms    2.45ms  29.47ms   93.40%
    Req/Sec     2.59k   353.49     3.13k    60.00%
  5161 requests in 2.00s, 3.89MB read
Requests/sec:   2578.84
"""

CALLGRIND = """events: Ir
ob=(1) /usr/lib/libpython3.11.so.1.0
fl=(1) ceval.c
fn=(1) _PyEval_EvalFrameDefault
100 40
+2 5
cob=(2) /venv/uvloop/loop.cpython-311-x86_64-linux-gnu.so
cfn=(2) uv_write
calls=3 10
+1 1000
* 7
ob=(2)
fn=(2)
10 900
-3 100
"""


def found() -> dict[str, Figures]:
    """What was measured, with one subject that could not be."""
    return {
        BARE: Figures({"whole": [100e-6, 120e-6, 90e-6], "stream": [2e-3, 2e-3, 2e-3], "memory idle": [70e6]}),
        FULL: Figures({"whole": [150e-6, 180e-6, 135e-6]}),
        PROXY: Figures({"whole": [20e-6, 20e-6, 20e-6]}),
        LITELLM: Figures(missing={"whole": "not installed", "stream": "not installed"}),
    }


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    assert ratio([2.0, 9.0, 6.0], [1.0, 3.0, 3.0]) == 2.0
    assert ratio([1.0], [0.0]) is None
    assert ratio([], [1.0]) is None


def test_verdicts_say_by_how_much() -> None:
    below, above = Budget("b", BARE, "whole", 2.0), Budget("w", BARE, "workers", 1.8, least=True)
    assert Verdict(below, 2.0).words == "met"
    assert Verdict(below, 3.0).words == "missed: 1.50 times the budget"
    assert Verdict(above, 1.9).words == "met"
    assert Verdict(above, 0.9).words == "missed: 0.50 times the budget"
    assert Verdict(below, None, "not installed").words == "not measured: not installed"
    assert not Verdict(below, None).met


def test_budgets_compare_within_rounds_and_name_what_is_missing() -> None:
    verdicts = {(one.budget.name, one.budget.subject): one for one in judge(found())}
    assert len(verdicts) == len(BUDGETS)
    assert verdicts["CPU of a whole answer, to nginx", BARE].value == pytest.approx(5.0)
    assert verdicts["CPU of a whole answer, to nginx", FULL].value == pytest.approx(7.5)
    assert verdicts["memory of an idle worker", BARE].words == "missed: 1.17 times the budget"
    assert verdicts["CPU of a whole answer, to LiteLLM", BARE].words == "not measured: LiteLLM not installed"


def test_tables_have_a_line_for_each_subject_and_a_dash_for_what_is_missing() -> None:
    lines = figures_table(list(found()), found())
    assert lines[0] == ["", "whole µs", "to nginx", "stream µs", "idle MB"]
    assert lines[1] == [BARE, "100", "5.0", "2,000", "70"]
    assert lines[4] == [LITELLM, "-", "-", "-", "-"]


def test_columns_stand_under_each_other() -> None:
    assert aligned([["", "a", "b"], ["longer", "1", "2"]]) == "        a  b\nlonger  1  2"


def test_reasons_are_told_once_for_each_subject() -> None:
    subjects = [subject for subject in all_subjects() if subject.name in found()]
    assert reasons(subjects, found()) == ["LiteLLM: whole, stream: not installed"]


def test_numbers_have_the_digits_that_matter() -> None:
    assert [number(value) for value in (1234.5, 7.666, 0.4567, 0.0125)] == ["1234", "7.67", "0.457", "1/80"]


def test_what_is_saved_names_versions_and_the_kind_of_machine_and_no_place(tmp_path: Path) -> None:
    subjects = [subject for subject in all_subjects() if subject.name in found()]
    save(tmp_path / "deep" / "latest.json", document(subjects, found()))
    text = (tmp_path / "deep" / "latest.json").read_text(encoding="utf-8")
    saved = json.loads(text)
    assert saved["versions"]["python"]
    assert saved["machine"]["cores"] >= 1
    assert saved["subjects"][BARE]["figures"]["whole"] == pytest.approx(100e-6)
    assert report.found_in(saved)[BARE].values == found()[BARE].values
    assert not re.search(r'"[^"]*/(?:home|root|work|tmp)/', text)


def test_wrk_is_read_and_failed_answers_are_not_counted() -> None:
    assert parse_wrk(WRK) == (5161, 2.0)
    assert parse_wrk(WRK.replace("2.00s", "500.00ms")).seconds == 0.5
    with pytest.raises(LoadError, match="Non-2xx or 3xx responses: 5"):
        parse_wrk(f"{WRK}  Non-2xx or 3xx responses: 5\n")
    with pytest.raises(LoadError, match="no answers"):
        parse_wrk("unable to connect")


def test_the_page_has_the_tables_of_the_results() -> None:
    before = "# P\n<!-- figures: by x -->\nold\n<!-- /figures -->\ntext\n<!-- budgets: by x -->\n<!-- /budgets -->\n"
    subjects = [subject for subject in all_subjects() if subject.name in found()]
    after = report.page_with(before, json.loads(json.dumps(document(subjects, found()))))
    assert "old" not in after
    assert "| gateway | 100 | 5.0 | 2,000 | 70 |" in after
    assert after.index("text") < after.index("memory of an idle worker")
    with pytest.raises(ValueError, match="0 places"):
        report.page_with("# P\n", document(subjects, found()))


@pytest.mark.skipif(not report.LATEST.exists(), reason="nothing has been measured yet")
def test_the_page_is_in_step_with_the_latest_results() -> None:
    text = report.PAGE.read_text(encoding="utf-8")
    assert text == report.page_with(text, json.loads(report.LATEST.read_text(encoding="utf-8"))), (
        "python benchmarks/report.py"
    )


def test_samples_belong_to_the_innermost_line() -> None:
    raw = "a (/x/gateway/app.py:10);b (/x/gateway/serving/http1.py:5) 7\nb (/x/gateway/serving/http1.py:5) 3\nidle 2\n"
    counts = parse_raw(raw)
    assert counts == {Frame("b", "/x/gateway/serving/http1.py", 5): 10}
    assert next(iter(counts)).part == "the client's side"


def test_instructions_belong_to_the_function_that_ran_them_and_not_to_its_caller() -> None:
    costs = self_costs(iter(CALLGRIND.splitlines()))
    assert {(shown(library), function): cost for (library, function), cost in costs.items()} == {
        ("libpython3.11", "_PyEval_EvalFrameDefault"): 52,
        ("loop", "uv_write"): 1000,
    }
