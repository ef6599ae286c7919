"""Verify a cache: its bytes on disk, the pixels that its views render to, and the values that its teacher emits.

These three checks are separate, so that a drift of the image decoder is not confused with a drift of the teacher. A finding names
the part and the rows. Nothing is changed here: see repair.py.
"""

from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.check.sampling import VerifyOptions, VerifyReport, sample, views_that_drift
from kdcache.images import open_source
from kdcache.store import Place, Store
from kdcache.store.plan import PartId


def verify(where: Path | Place, ask: VerifyOptions, progress: Progress) -> VerifyReport:
    """Check every byte of a cache, then the requested samples of views."""
    store = Store.open(where)
    if ask.untrusted and (found := store.verify_unopened()):
        return VerifyReport(store.place, parts=len(store.with_receipt()), findings=found)
    frame = store.verify_frame()
    report = VerifyReport(
        store.place,
        findings=[found for found in frame if found.kind != "stray"],
        warnings=[found for found in frame if found.kind == "stray"],
    )
    sound = _check_parts(store, report, progress)
    if ask.untrusted:
        report.findings += [found for part in sound for found in store.verify_blocks(part)]
    if (ask.replay or ask.teacher) and sound:
        source = open_source(ask.data or store.plan.dataset.source, like=store.plan.dataset.source)
        if ask.data:
            store.expect_images(source, source.scan(), given=ask.data)
        if ask.replay:
            rows = sample(store, sound, ask.replay, ask.seed)
            report.replayed = sum(len(wanted) for _, wanted in rows)
            progress.start("replay", report.replayed)
            report.findings += views_that_drift(store, source, rows, ask, progress)
        if ask.teacher:
            from kdcache.check.teacher_again import check_teacher

            check_teacher(store, source, sample(store, sound, ask.teacher, ask.seed), ask, report, progress)
    progress.finish()
    return report


def _check_parts(store: Store, report: VerifyReport, progress: Progress) -> list[PartId]:
    """Check structure and checksums of all parts; returns the parts that exist and are intact."""
    sound = []
    parts = store.with_receipt()
    progress.start("bytes", sum(len(store.plan.rows_of(part)) for part in parts))
    for part in parts:
        findings = store.verify_part(part)
        report.findings += findings
        report.parts += 1
        if not findings:
            sound.append(part)
        progress.advance(len(store.plan.rows_of(part)))
    report.missing = len(store.plan.parts()) - len(parts)
    return sound
