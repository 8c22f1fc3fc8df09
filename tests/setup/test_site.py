"""The documentation site: whole, and as GitHub shows the same pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from scripts.site import PAGES, runbooks
from tests.support.tools import ROOT

DOCS = ROOT / "docs"
SOURCES = {
    **PAGES,
    **{str(path.relative_to(ROOT)): str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")},
    "docs/runbooks/README.md": "runbooks/index.md",
}
"""Where each page comes from, and its place in the site."""
TAGS = ("h2", "h3", "p", "ol", "ul", "li", "table", "td", "pre", "strong", "em")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; strict: a page outside the navigation or a link into nowhere fails here."""
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stderr
    return folder


def build(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict"]
    return subprocess.run(
        [*command, f"--site-dir={folder}", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def page(site: Path, place: str) -> str:
    """The HTML of a page's text."""
    path = site / place
    path = (
        path.with_name("index.html")
        if path.stem == "index"
        else path.with_suffix("") / "index.html"
    )
    article = re.search(r"<article[^>]*>(.*)</article>", path.read_text(), re.DOTALL)
    assert article is not None
    return article[1]


def count(html: str) -> dict[str, int]:
    return {tag: len(re.findall(f"<{tag}[ >]", html)) for tag in TAGS}


def test_every_page_has_the_structure_that_github_shows(site: Path) -> None:
    """MkDocs reads another Markdown: nested lists, for instance, need four spaces."""
    github = MarkdownIt("commonmark").enable("table")
    different = {}
    for source, place in SOURCES.items():
        expected = count(github.render((ROOT / source).read_text()))
        if (found := count(page(site, place))) != expected:
            different[source] = {tag: (expected[tag], found[tag]) for tag in TAGS}
    assert len(SOURCES) > 100
    assert different == {}


def test_links_that_leave_docs_lead_to_the_repository_and_others_stay(site: Path) -> None:
    repository = "https://github.com/metric-filter-exporter/metric-filter-exporter"
    links = re.findall(r'href="([^"]+)"', page(site, "operations.md"))
    assert f"{repository}/blob/main/bench/sizing.py" in links
    assert "../changelog/" in links
    assert f"{repository}/tree/main/alerts" in page(site, "dashboards.md")
    assert 'src="docs/' not in (home := page(site, "index.md"))
    assert 'href="runbooks/"' in home
    assert 'href="architecture/"' in home


def test_every_runbook_is_listed_by_its_alert_file(site: Path) -> None:
    listed = [name for names in runbooks().values() for name in names]
    pages = {str(path.relative_to(DOCS)) for path in (DOCS / "runbooks").glob("*.md")}
    assert sorted(listed) == sorted(pages - {"runbooks/README.md"})
    index = page(site, "runbooks/index.md")
    assert [name for name in listed if f'href="{Path(name).stem}/"' not in index] == []


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    html = (site / "index.html").read_text()
    loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', html)
    loaded += re.findall(
        r'<link[^>]* rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]+)"', html
    )
    loaded += re.findall(
        r'<link[^>]* href="([^"]+)"[^>]*rel="(?:stylesheet|preconnect|icon)"', html
    )
    assert len(loaded) > 3
    assert [url for url in loaded if "//" in url] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[gone](../gone.md)", "docs/patterns.md links to ../gone.md, which does not exist"),
        ("[part](alerts.md#no-such-part)", "no-such-part"),
    ],
)
def test_a_link_into_nowhere_fails_the_build(tmp_path: Path, text: str, reason: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("patterns.md", "alerts.md"):
        (docs / name).write_text(f"# Page\n\n{text}\n")
    settings = tmp_path / "mkdocs.yml"
    settings.write_text(
        f"site_name: test\nrepo_url: https://example.com\ndocs_dir: {docs}\n"
        "theme: {name: mkdocs}\n"
        f"hooks: [{ROOT}/scripts/site.py]\nvalidation: {{links: {{anchors: warn}}}}\n"
        "plugins: []\n"
    )
    built = build(tmp_path / "site", f"--config-file={settings}")
    assert built.returncode != 0
    assert reason in built.stderr
