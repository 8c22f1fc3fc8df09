"""MkDocs hooks: the documentation site's pages that are not in docs/.

The README and its neighbours become pages, the navigation has the runbooks by the file of their
alerts, and a link to a file that is not a page leads to the repository.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "RELEASE.md": "release.md",
    "SECURITY.md": "security.md",
}
"""Pages that are not in docs/: path in the repository, path in the site."""
RUNBOOKS = "runbooks/README.md"

_LINK = re.compile(r"(\]\()([^()\s]+)(\))")
_RUNBOOK = re.compile(r"/docs/(runbooks/\w+\.md)$", re.MULTILINE)
_log = logging.getLogger("mkdocs.hooks.site")  # `--strict` counts the warnings of "mkdocs…"


def runbooks() -> dict[str, list[str]]:
    """Return the pages of the runbooks by the alert file that names them."""
    files = sorted((ROOT / "alerts").glob("*.yaml"))
    return {file.stem: list(dict.fromkeys(_RUNBOOK.findall(file.read_text()))) for file in files}


def link(target: str, source: str, repository: str) -> str:
    """Return the target of a link in the site.

    ``target``: as written; ``source``: the page's path in the repository. A file that is not
    part of the site is linked in ``repository`` (its URL). A missing file is logged as a
    warning.
    """
    if target.startswith("#") or re.match(r"[a-z]+:", target):
        return target
    path, hash_, anchor = target.partition("#")
    named = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if not (ROOT / named).exists():
        _log.warning("%s links to %s, which does not exist.", source, target)
        return target
    if named == "docs/runbooks":
        place = RUNBOOKS
    elif named.startswith("docs/") and (ROOT / named).is_file():
        place = named.removeprefix("docs/")
    elif named in PAGES:
        place = PAGES[named]
    else:
        kind = "tree" if (ROOT / named).is_dir() else "blob"
        return f"{repository}/{kind}/main/{named}{hash_}{anchor}"
    here = posixpath.dirname(PAGES.get(source, source.removeprefix("docs/")))
    return posixpath.relpath(place, here or ".") + hash_ + anchor


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the runbooks to the navigation."""
    groups = [{name: pages} for name, pages in runbooks().items()]
    config.nav = [*(config.nav or []), {"Runbooks": [RUNBOOKS, *groups]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for path, place in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names the arguments
    """Rewrite the links that a site resolves in another way than a repository does."""
    source = page.file.src_uri
    path = {place: path for path, place in PAGES.items()}.get(source, f"docs/{source}")
    repository = (config.repo_url or "").rstrip("/")
    return _LINK.sub(lambda found: found[1] + link(found[2], path, repository) + found[3], markdown)
