"""Asset checks, all from one helper: a table's rules grouped by the check that they are reported under."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from hedgegrid_assets.model import Rule, Severity, Table
from hedgegrid_assets.stages.verdict import RuleAnswer, Verdict

_THRESHOLDS: Final = ("threshold", "threshold_s", "allowed_s", "expected_s")
_ANSWERS: Final[Mapping[bool | None, str]] = {True: "passed", False: "failed", None: "off"}
_HEAD: Final = "| rule | severity | answer | rows failed | numbers |\n|---|---|---|---:|---|"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one asset: its spec, and the results that answer to it.

    Attributes:
        name: As the rules name it.
        asset_key: The asset that it is shown at.
        severity: The worst of its rules.
        blocking: A failure fails the step, so that nothing downstream of it runs.
        description: In plain words.
        rules: What it stands for; none where a stage itself checks.
    """

    name: str
    asset_key: dg.AssetKey
    severity: Severity
    blocking: bool
    description: str
    rules: tuple[Rule, ...] = ()

    @property
    def key(self) -> dg.AssetCheckKey:
        """Dagster's key."""
        return dg.AssetCheckKey(self.asset_key, self.name)

    def spec(self, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
        """With partitions (a preview in Dagster): without them a bad partition passes as soon as another one is good."""
        return dg.AssetCheckSpec(
            self.name,
            asset=self.asset_key,
            description=self.description,
            blocking=self.blocking,
            partitions_def=partitions,
        )

    def result(
        self,
        *,
        passed: bool,
        rows: int,
        failed_rows: int = 0,
        first_bad: str | None = None,
        found: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> dg.AssetCheckResult:
        """An answer; ``found`` says in words what was found, ``first_bad`` is a Markdown table.

        Of how many rows is said where some failed: else the day itself says it, and an evaluation is stored up to three times.
        """
        # as text: Dagster draws numbers over the time of evaluation, which says nothing of days
        counted = {} if passed else {"rows": f"{rows:,}"}
        counted |= {"failed_rows": f"{failed_rows:,}"} if failed_rows else {}
        metadata: dict[str, Any] = {**counted, **(more or {})}
        if first_bad is not None:
            metadata["first_bad"] = dg.MetadataValue.md(first_bad)
        return dg.AssetCheckResult(
            passed=passed,
            asset_key=self.asset_key,
            check_name=self.name,
            severity=dg.AssetCheckSeverity[self.severity],
            description=found,
            metadata=metadata,
        )

    def judged(self, verdict: Verdict, first_bad: str | None) -> dg.AssetCheckResult:
        """The answer that a verdict gives.

        Dagster knows no third answer: a rule that is off does not fail the check, and is named in its description.
        """
        answers = {answer.name: answer for answer in verdict.rules}
        mine = [(rule, answers[rule.name]) for rule in self.rules]
        failed = [answer for _, answer in mine if answer.failed]
        off = [rule.name for rule, answer in mine if answer.answer is None]
        known = dict.fromkeys(told for _, answer in mine for told in answer.numbers.get("known_outages", []))
        more: dict[str, Any] = {}
        if failed:  # of checks that pass the day itself tells the numbers
            more["numbers"] = dg.MetadataValue.md(_as_table(mine))
            thresholds = [f"{answer.name}: {_threshold(answer)}" for _, answer in mine if _threshold(answer)]
            more |= {"threshold": "; ".join(thresholds)} if thresholds else {}
        if off:
            more["off"] = ", ".join(off)
        return self.result(
            passed=not failed,
            rows=verdict.rows.rows_out,
            failed_rows=sum(answer.rows_failed for answer in failed),
            first_bad=first_bad,
            found="; ".join(
                [
                    *(f"{answer.name}: {_told(answer)}" for answer in failed),
                    *([f"known outage: {', '.join(known)}"] if known else []),
                    *([f"off, and so not looked at: {', '.join(off)}"] if off else []),
                ]
            )
            or None,
            more=more,
        )


def checks_of(asset_key: dg.AssetKey, table: Table) -> tuple[Check, ...]:
    """The checks of a table's frames, in the order of its rules."""
    groups: dict[str, list[Rule]] = {}
    for rule in table.rules:
        groups.setdefault(rule.check, []).append(rule)
    return tuple(_check(asset_key, name, tuple(rules)) for name, rules in groups.items())


def raw_intact(asset_key: dg.AssetKey) -> Check:
    """The check of a raw day.

    Not blocking: it would fail the one raw step of the feed, and with it the channels that are fine. Normalizing
    reads the same bytes and refuses them, so a damaged day goes no further.
    """
    told = "The raw file decodes to its end, and its sha256 is the one in its manifest."
    return Check("raw_intact", asset_key, Severity.ERROR, blocking=False, description=told)


def reads_back_equal(asset_key: dg.AssetKey) -> Check:
    """The check of a catalog file."""
    told = "The Nautilus file, read back as a stranger would, equals the frame value by value."
    return Check("reads_back_equal", asset_key, Severity.ERROR, blocking=True, description=told)


def _check(asset_key: dg.AssetKey, name: str, rules: tuple[Rule, ...]) -> Check:
    severity = Severity.ERROR if any(rule.severity is Severity.ERROR for rule in rules) else Severity.WARN
    told = "; ".join(rule.description for rule in rules)
    description = f"{told[0].upper()}{told[1:]}."
    return Check(name, asset_key, severity, severity is Severity.ERROR, description, rules)


def answers_of(table: Table, verdict: Verdict) -> str:
    """All rules of a day with their numbers, as a Markdown table; those that have passed without numbers are left out."""
    rules = {rule.name: rule for rule in table.rules}
    return _as_table((rules[answer.name], answer) for answer in verdict.rules if answer.name in rules)


def _as_table(answered: Iterable[tuple[Rule, RuleAnswer]]) -> str:
    rows = [_row(rule, answer) for rule, answer in answered if _saying(answer) or answer.answer is not True]
    return "\n".join([_HEAD, *rows])


def _row(rule: Rule, answer: RuleAnswer) -> str:
    told = (rule.name, rule.severity, _ANSWERS[answer.answer], answer.rows_failed, _numbers(_saying(answer)))
    return f"| {' | '.join(str(cell).replace('|', '\\|') for cell in told)} |"


def _saying(answer: RuleAnswer) -> Mapping[str, Any]:
    """The numbers of a rule; where it has passed, without what is zero or empty."""
    return {name: number for name, number in answer.numbers.items() if number} if answer.answer else answer.numbers


def _threshold(answer: RuleAnswer) -> str:
    return _numbers({name: number for name, number in answer.numbers.items() if name in _THRESHOLDS})


def _numbers(numbers: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in numbers.items()
    )


def _told(answer: RuleAnswer) -> str:
    rows = f"{answer.rows_failed:,} rows" if answer.rows_failed else ""
    return ", ".join(part for part in (rows, _numbers(answer.numbers)) if part) or "failed"
