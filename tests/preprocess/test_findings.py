"""The report beside a dataset."""

from darts.preprocess.findings import Finding, Kind, from_csv, to_csv

LOST = Finding(Kind.LABEL_WITHOUT_IMAGE, "a,b", "labels.gpkg", "3", 'it says "no", twice')
FAILED = Finding(Kind.FAILED_SCENE, "scene", "", "", "it is damaged")


def test_a_report_is_sorted_without_repetition_and_can_be_read_again():
    text = to_csv([LOST, FAILED, LOST])
    assert text.splitlines()[0] == "kind,name,file,feature,reason"
    assert from_csv(text) == [FAILED, LOST]


def test_nothing_to_report():
    assert from_csv(to_csv([])) == []
