import json
from datetime import UTC, datetime

from holdfast.findings import junit, sarif
from holdfast.findings.finding import Severity
from holdfast.lab.attack import Attack, AttackClass
from holdfast.lab.evidence import Evidence
from holdfast.lab.judgment import Moment, Outcome, Result
from holdfast.lab.scorecard import HEADERS, Scorecard
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage


def _never(stage: Stage) -> LabServer:
    raise AssertionError("a scorecard runs nothing")


def _result(attack_id: str, attack_class: AttackClass, outcome: Outcome) -> Result:
    attack = Attack(
        id=attack_id,
        title=f"About {attack_id}",
        description="",
        attack_class=attack_class,
        fools_plain=True,
        rogue=_never,
        honest=_never,
        host=lambda stage: stage.host,
        stands_for=("CVE-2016-2402",),
    )
    moment = Moment.BEFORE_DATA if outcome is Outcome.CAUGHT else None
    return Result(attack=attack, outcome=outcome, detail=f"it was {outcome}", moment=moment)


CAUGHT = _result("key", AttackClass.KEY, Outcome.CAUGHT)
MISSED = _result("rogue", AttackClass.CHAIN, Outcome.MISSED)
SKIPPED = _result("mail", AttackClass.TRANSPORT, Outcome.NOT_APPLICABLE)


def _card(*results: Result) -> Scorecard:
    return Scorecard(("client", "{url}"), results)


def test_exit_code() -> None:
    """One failure is a finding; nothing that applies is nothing determined."""
    failures = [outcome for outcome in Outcome if outcome.failed]
    results = [_result("some", AttackClass.NAME, outcome) for outcome in failures]

    assert {1} == {_card(CAUGHT, result, SKIPPED).exit_code for result in results}
    assert len(failures) == 4
    assert _card(CAUGHT, SKIPPED).exit_code == 0
    assert _card(SKIPPED).exit_code == 3


def test_rows_are_by_class() -> None:
    """The table goes by class, in the order in which classes are declared."""
    rows = _card(SKIPPED, CAUGHT, MISSED).rows()

    assert ["chain", "key", "transport"] == [row[1] for row in rows]
    assert ("missed", "chain", "rogue", "it was missed") == rows[0]
    assert {len(HEADERS)} == {len(row) for row in rows}


def test_summary_counts() -> None:
    """The summary names the outcomes that there are."""
    assert _card(CAUGHT, MISSED, CAUGHT).summary == "2 caught, 1 missed"


def test_json_has_everything() -> None:
    """The JSON object survives a round trip and says what each result is about."""
    data = json.loads(json.dumps(_card(CAUGHT, MISSED).as_json()))

    assert data["command"] == ["client", "{url}"]
    assert data["evidence"] is None
    assert {"caught": 1, "missed": 1, "hung": 0}.items() <= data["summary"].items()
    assert data["results"][1] == {
        "attack": "key",
        "title": "About key",
        "class": "key",
        "transport": "https",
        "outcome": "caught",
        "moment": "before application bytes",
        "detail": "it was caught",
        "stands_for": ["CVE-2016-2402"],
        "masvs": ["MASVS-NETWORK-1", "MASVS-NETWORK-2"],
    }
    assert data["results"][0]["moment"] is None


def test_evidence_is_in_the_json() -> None:
    """Who files the object has the circumstances with it."""
    evidence = Evidence.gather(["true"], [], {}, datetime(2026, 11, 2, tzinfo=UTC))
    data = json.loads(json.dumps(Scorecard(("true",), (CAUGHT,), evidence).as_json()))

    assert data["evidence"]["date"] == "2026-11-02T00:00:00+00:00"


def test_classes_without_results_are_left_out() -> None:
    """Results are grouped by class, in the order of the classes."""
    groups = _card(SKIPPED, CAUGHT, MISSED, CAUGHT).by_class()

    assert {
        AttackClass.CHAIN: (MISSED,),
        AttackClass.KEY: (CAUGHT, CAUGHT),
        AttackClass.TRANSPORT: (SKIPPED,),
    } == groups


def test_findings() -> None:
    """A failure is an error, what does not apply a note; both render, and a catch passes."""
    card = _card(CAUGHT, MISSED, SKIPPED)
    findings = card.findings()

    assert [("rogue", Severity.ERROR), ("mail", Severity.NOTE)] == [
        (finding.rule, finding.severity) for finding in findings
    ]
    assert findings[0].source == "CVE-2016-2402"
    assert ["key"] == card.caught()
    assert 'tests="3" failures="1"' in junit.render(findings, card.caught())
    log = json.loads(sarif.render(findings, card.titles()))
    assert ["error", "note"] == [result["level"] for result in log["runs"][0]["results"]]


def test_each_failure_says_what_to_do() -> None:
    """No outcome that becomes a finding is without an action."""
    others = [outcome for outcome in Outcome if outcome is not Outcome.CAUGHT]
    card = _card(*(_result("some", AttackClass.TIME, outcome) for outcome in others))

    assert all(finding.action for finding in card.findings())
    assert len(others) == len(card.findings())
