"""A page that is written a second time takes over the drawings that have not changed."""

from reports.documents.kept_drawings import KeptDrawings
from reports.documents.page import write_report
from tests.make_study import make_study


def test_the_page_with_kept_drawings_is_the_page_without(tmp_path):
    """The second page draws nothing of the first one's again, and has the bytes of one that was drawn whole."""
    study, kept = make_study(tmp_path / "study"), KeptDrawings()
    first = write_report(study, pdf=False, kept=kept).read_bytes()
    drawn = dict(kept._kept)
    assert drawn
    assert write_report(study, pdf=False, kept=kept).read_bytes() == first
    assert all(kept._kept[key] is drawing for key, drawing in drawn.items())
    assert kept._kept.keys() == drawn.keys()
    assert write_report(study, pdf=False).read_bytes() == first


def test_other_records_are_drawn_again():
    """A record that differs is never shown with the drawing of another, nor one function's with another's."""
    kept = KeptDrawings()
    assert kept.of(max, (1.0, 2.0)) == 2.0
    assert kept.of(max, (1.0, 2.0 + 2**-50)) == 2.0 + 2**-50
    assert kept.of(min, (1.0, 2.0)) == 1.0
