"""What a person reads about drift."""

from __future__ import annotations

from infrastructure.postgres.schema import Difference, DifferenceKind, EnsureReport, MigrationReport, Refusal

MISSING = Difference(DifferenceKind.INDEX, "app.jobs.ix", "missing", additive=True)
EXTRA = Difference(DifferenceKind.COLUMN, "app.jobs.note", "not declared", additive=False)


def test_a_report_without_differences_says_so() -> None:
    assert "as the models declare it" in MigrationReport(()).summary()


def test_a_report_tells_apart_what_ensure_mends_and_what_it_leaves() -> None:
    report = MigrationReport((MISSING, EXTRA))
    assert report.additive == (MISSING,)
    assert report.destructive == (EXTRA,)
    lines = report.summary().splitlines()
    assert "  index app.jobs.ix: missing" in lines
    assert "  column app.jobs.note: not declared" in lines
    assert lines.index("  index app.jobs.ix: missing") < lines.index("  column app.jobs.note: not declared")


def test_an_ensure_report_tells_what_was_done_and_what_was_refused() -> None:
    report = EnsureReport((MISSING,), (Refusal("check app.jobs.ck", "rows break it"),), (EXTRA,))
    assert report.changed
    for part in ("app.jobs.ix", "rows break it", "app.jobs.note"):
        assert part in report.summary()


def test_an_ensure_that_did_nothing_says_so() -> None:
    report = EnsureReport((), (), ())
    assert not report.changed
    assert "nothing was changed" in report.summary()
