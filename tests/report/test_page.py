"""The page is one file that needs nothing else, and reads no text of the user's as HTML."""

import html.parser
import json
import re

import numpy as np
import pytest
from report_helpers import CLASSES, GROUPS, SCRIPT, make_audit, make_shadows

import mia_tf
from mia_tf.report.numbers import Source, report_numbers
from mia_tf.report.page import page, picture

IMAGES = np.random.default_rng(0).integers(0, 256, (200, 5, 4, 3), np.uint8)


class Parsed(html.parser.HTMLParser):
    """Tags with their attributes, and the text of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data):
        if "style" not in self.open[-1:]:
            self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "mine.html"
    assert make_audit().report(path, images=IMAGES) == path
    return path


@pytest.fixture(scope="module")
def parsed(written):
    return Parsed(written.read_text())


def test_the_sections_stand_in_their_order(parsed):
    sections = [attributes["id"] for tag, attributes in parsed.tags if tag == "section"]
    assert sections == ["answer", "counts", "records", "groups", "figures", "wrong", "method"]


def test_nothing_comes_from_outside(written, parsed):
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {tag for tag, _ in parsed.tags}
    for _, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    text = written.read_text()
    assert "default-src 'none'" in text and "@import" not in text and not re.search(r"url\((?!#)", text)


def test_hatches_stand_out_from_the_face(written):
    """A hatch was as pale as its face, on which it could not be seen: SVG gives both one opacity."""
    hatched = re.findall(r'style="fill: url\(#[^"]*"', written.read_text())
    assert hatched and not any("opacity" in style for style in hatched)


def test_an_attack_that_ran_alone_was_not_chosen_by_results():
    numbers = report_numbers(make_audit(attacks=("yeom",)), Source())
    text = page(make_audit(attacks=("yeom",)), numbers)
    assert "chosen by results" not in text and "another one, Yeom, the only one that was run; this one" in text
    assert "another one, Yeom, which was chosen by results; this one was fixed before." in page(
        make_audit(), {**numbers, "answer": {**numbers["answer"], "chosen": "halves"}}
    )


def test_texts_of_the_user_are_no_html(parsed):
    tags = {tag for tag, _ in parsed.tags}
    assert not {"b", "i"} & tags
    for text in (SCRIPT, *CLASSES, *GROUPS):
        assert text in parsed.text


def test_ids_are_unique_and_what_refers_to_them_finds_them(written, parsed):
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?:href="|url\()#([^")]+)', written.read_text()))
    assert references and references <= set(ids)


def test_figures_are_drawn_in_the_pages_colours(written):
    drawn = re.findall(r'<figure class="drawn">(.*?)</figure>', written.read_text(), flags=re.DOTALL)
    assert len(drawn) == 5  # a ROC for all and for each group, memorization, exposure
    for figure in drawn:
        assert "var(--fig-" in figure and "<text" in figure and "<metadata" not in figure
        assert not re.search(r"#[0-9a-fA-F]{6}\b", figure)


def test_the_numbers_lie_beside_the_page(written, parsed):
    numbers = json.loads(written.with_suffix(".json").read_text())
    for sentence in numbers["answer"]["sentences"]:
        assert sentence in parsed.text
    for row in numbers["records"]["shown"]:
        assert row["id"] in parsed.text
    assert "not a legal verdict" in parsed.text


def test_pictures_of_the_records_are_inside(parsed):
    pictures = [attributes for tag, attributes in parsed.tags if tag == "img"]
    assert len(pictures) == 10
    assert picture(np.zeros((3, 3, 1), np.uint8)).startswith("data:image/png;base64,")


def test_equal_audits_have_equal_pages(written, tmp_path):
    again = make_audit().report(tmp_path / "mine.html", images=IMAGES)
    for name in ("mine.html", "mine.json"):
        assert (tmp_path / name).read_text() == written.with_name(name).read_text()
    assert again.stat().st_size < 500_000


def test_the_command_has_all_arguments_of_the_audit(tmp_path):
    """`target`, `num_targets`, `num_shadow`, `delta` and `fpr` were missing once."""

    def command(**arguments):
        audit = mia_tf.audit(make_shadows(num_examples=60), **arguments)
        again = mia_tf.load_audit(audit.save(tmp_path / "saved"))
        again.report(tmp_path / "mine.html")
        assert again == audit
        (line,) = json.loads((tmp_path / "mine.json").read_text())["method"]["commands"]
        return line

    shadows = make_shadows(num_examples=60)
    some = {"attacks": ["lira_online"], "fpr": (0.2,), "num_targets": 6, "num_shadow": (2,), "delta": 1e-5, "seed": 3}
    assert command(**some) == (
        "mia_tf.audit(shadows, attacks=['lira_online'], fpr=[0.2], num_targets=6, num_shadow=[2], delta=1e-05, seed=3)"
        ".report('mine.html')"
    )
    answers = shadows.read_logits(0)
    assert command(target=answers, attacks=["yeom"]).startswith(
        "mia_tf.audit(shadows, target=answers, attacks=['yeom'])"
    )
    members = np.random.default_rng(5).random(60) < 0.5
    line = command(target=answers, target_members=members, attacks=["yeom"])
    assert line.startswith("mia_tf.audit(shadows, target=answers, target_members=members, attacks=['yeom'])")


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("mia_tf.report.page.drawings", lambda audit: ())
    (tmp_path / "file").write_text("")
    with pytest.raises(mia_tf.InputError, match="`path` must be a file that can be written"):
        make_audit().report(tmp_path / "file" / "report.html")
    with pytest.raises(mia_tf.InputError, match=r"`path` must not end with \.json"):
        make_audit().report(tmp_path / "report.json")
