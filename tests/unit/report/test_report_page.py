"""The page stands alone, escapes what users wrote, and has something to say of every search."""

import re
from html.parser import HTMLParser

import pytest

from pfpnas_operator.report import build_report, render_html, summary_lines
from support.report_builders import (
    make_experiment,
    make_failed_trial,
    make_supernet,
    make_trial,
    simulated_trials,
    with_result,
)

SUPERNET = make_supernet()
SPACE = SUPERNET.space()
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Collects elements and text; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.elements)


def simulated(count: int = 32, failed: tuple[int, ...] = (5,), limit: str = '"2.0"') -> dict:
    experiment = make_experiment(limit=limit)
    trials = simulated_trials(experiment, SPACE, count=count, failed=failed)
    return build_report(SUPERNET, with_result(experiment, trials), trials)


def all_failed() -> dict:
    experiment = make_experiment()
    trials = [make_failed_trial(index, SPACE.minimum(), experiment=experiment) for index in range(3)]
    return build_report(SUPERNET, with_result(experiment, trials), trials)


def only_skipped() -> dict:
    experiment = make_experiment()
    trials = [make_trial(0, SPACE.minimum(), experiment=experiment, space=SPACE, accuracy=None, p50=9.0)]
    return build_report(SUPERNET, with_result(experiment, trials, evaluated=False), trials)


def no_baselines() -> dict:
    experiment = make_experiment()
    trials = simulated_trials(experiment, SPACE, count=8)
    return build_report(SUPERNET, with_result(experiment, trials, evaluated=False), trials)


REPORTS = {
    "usual": simulated,
    "one-trial": lambda: simulated(count=1, failed=()),
    "hundreds": lambda: simulated(count=300),
    "no-feasible": lambda: simulated(limit='"1.01"'),
    "absolute-limit": lambda: simulated(limit="1ms"),
    "none": lambda: build_report(make_supernet(trained=False), make_experiment(limit=None), []),
    "all-failed": all_failed,
    "only-skipped": only_skipped,
    "no-baselines": no_baselines,
}


@pytest.mark.parametrize("name", REPORTS)
def test_every_search_has_a_well_formed_page_without_network(name: str) -> None:
    text = render_html(REPORTS[name]())
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "noscript"}
        assert not {"src", "href", "onclick", "style"} & attributes.keys()
    assert not re.search(r"https?://|url\(|@import|\bnan\b|\binf\b", text.lower())
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert (policy or "").startswith("default-src 'none'")


@pytest.mark.parametrize("name", REPORTS)
def test_every_search_has_a_summary(name: str) -> None:
    lines = summary_lines(REPORTS[name]())
    assert lines[0].startswith("digits: ")
    assert all("\n" not in line and "None" not in line for line in lines)


def test_figures_have_titles_descriptions_and_tables() -> None:
    page = Page(render_html(simulated()))
    drawings = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("role") == "img"]
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert len(drawings) == 4
    for drawing in drawings:
        assert set((drawing["aria-labelledby"] or "").split()) <= ids
    captions = ["Measured Pareto front", "scored once at the end", "were the best", "Parts of the best architecture"]
    text = " ".join(page.text)
    assert [caption for caption in captions if caption not in text] == []


def test_every_trial_is_marked_and_listed() -> None:
    report = simulated(count=32, failed=(5, 17))
    text = render_html(report)
    for point in report["points"]:
        assert f"{point['trial']}</th>" in text
    assert text.count('class="failed"') >= 2


def test_what_users_wrote_is_escaped() -> None:
    report = simulated(count=4, failed=(2,))
    evil = "</script><script>alert(1)</script>\"'&<b>"
    for field in ("experiment", "dataset", "pool"):
        report["setup"][field] = evil
    report["supernet"]["name"] = evil
    report["points"][0]["reason"] = report["points"][0]["trial"] = evil
    report["best"]["architecture"] = report["best"]["trial"] = evil
    report["failures"][0]["reason"] = evil
    report["notes"] = [evil]
    report |= {"state": "Failed", "message": evil}
    text = render_html(report)
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert Page(text).count("script") == 1


def test_closest_is_named_where_nothing_is_feasible() -> None:
    report = simulated(limit='"1.01"')
    text = " ".join(Page(render_html(report)).text)
    assert "no feasible architecture" in text
    assert "Closest trial (no trial meets every limit)" in text
    assert any(line.startswith("closest (no trial meets every limit)") for line in summary_lines(report))


def test_summary_gives_the_result_in_a_few_lines() -> None:
    lines = summary_lines(simulated(failed=(5, 17)))
    assert len(lines) <= 12
    assert lines[0] == "digits: 32 of 32 trials finished, 17 feasible, 2 failed, searched for 3 min 22 s"
    assert re.fullmatch(r"accuracy: \d\d\.\d ± \d\.\d % on validation, \d\d\.\d ± \d\.\d % on test", lines[2])
    assert lines[-1] == "failed trials: OutOfMemory 2"
    assert any(line.startswith("Ridge on raw pixels: ") and "SE)" in line for line in lines)


def test_the_deepest_net_is_drawn_with_short_names() -> None:
    supernet = make_supernet()
    deep = supernet.spec.search_space.model_copy(update={"depths": (2, 4), "kernel_sizes": (3, 5, 7)})
    supernet = supernet.model_copy(update={"spec": supernet.spec.model_copy(update={"search_space": deep})})
    space, experiment = supernet.space(), make_experiment()
    trials = [make_trial(0, space.maximum(), experiment=experiment, space=space, accuracy=0.9, p50=0.5)]
    text = Page(render_html(build_report(supernet, with_result(experiment, trials), trials))).text
    assert [name for name in ("s0", "stage1", "s6", "feat") if name not in text] == []
