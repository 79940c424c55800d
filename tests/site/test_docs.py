"""The documents say what the code has: settings, commands, entity types, addresses, records."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver

from amb247.context.vocabulary import REGISTRY
from amb247.site import urls
from amb247.site.cli import build_parser

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.en.md")
# Set by the system or for Django, not by whoever runs the platform.
NOT_OURS = frozenset(
    {
        "PATH",
        "LD_LIBRARY_PATH",
        "DJANGO_SETTINGS_MODULE",
        "DEBIAN_FRONTEND",
        "XDG_DATA_HOME",
        "AMB_TEST_URLS",  # between `amb test` and its workers
    }
)
READS = re.compile(
    r"""environ(?:\.get|\.pop|\.setdefault)?[(\[]\s*["']([A-Z][A-Z0-9_]+)["']|["'](AMB_[A-Z0-9_]+)["']"""
)
# A path of somebody's machine, or a package registry that a lock or document should not name.
MACHINE = re.compile(
    r"(?<![\w.~$}/-])/(?:root|Users|home/(?!\w+\b:)[a-z]+|work)/[\w.-]+|https?://[\w.:-]*(?:pypi|npmjs|proxy|mirror|nexus|artifactory)[\w.:-]*/"
)
# This file plants such names below.
ALLOWED_MACHINE = frozenset({"tests/site/test_docs.py"})


def environment_names() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        found |= {one or other for one, other in READS.findall(path.read_text(encoding="utf-8"))}
    return found - NOT_OURS


def documents(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def subcommands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                inner = list(subcommands(sub, f"{before} {name}"))
                yield from inner or [f"{before} {name}".strip()]


def is_named(word: str, text: str) -> bool:
    return re.search(rf"(?<![A-Z0-9_]){re.escape(word)}(?![A-Z0-9_])", text) is not None


def test_source_reads_the_environment_at_all():
    assert {"AMB_DATA", "AMB_DATABASE_URL", "AMB_PUBLIC_URL", "AMB_MQTT_URL"} <= environment_names()


@pytest.mark.parametrize("readme", READMES)
def test_every_environment_variable_is_in_each_readme(readme):
    text = documents(readme)

    missing = sorted(name for name in environment_names() if not is_named(name, text))

    assert missing == []


def test_documents_name_no_variable_that_nothing_reads():
    text = documents(*READMES, "docs/production.md")
    starters = (ROOT / "amb").read_text() + (ROOT / "tools" / "bootstrap.py").read_text()

    named = set(re.findall(r"\bAMB_[A-Z_]+\b", text))

    assert sorted(name for name in named - environment_names() if name not in starters) == []


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_in_each_readme(readme, monkeypatch):
    monkeypatch.setenv("AMB_CHECKOUT", str(ROOT))  # the commands of developers too
    text = documents(readme)

    names = list(subcommands(build_parser()))

    assert len(names) > 10
    assert [name for name in names if not re.search(rf"amb {re.escape(name)}\b", text)] == []


def test_every_entity_type_is_in_the_glossary_of_the_context_with_its_days():
    text = documents("src/amb247/context/README.md")
    rows = {
        name: int(days)
        for name, days in re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", text, flags=re.MULTILINE)
    }
    ours = {name: kind for name, kind in REGISTRY.items() if kind.__module__.startswith("amb247.")}

    assert rows == {name: kind.history_days for name, kind in ours.items()}


@pytest.mark.parametrize("readme", READMES)
def test_every_address_prefix_is_in_each_readme(readme):
    text = documents(readme)
    prefixes = {
        "/" + str(entry.pattern).split("/")[0]
        for entry in urls.urlpatterns
        if isinstance(entry, URLPattern | URLResolver)
    }

    missing = sorted(
        prefix for prefix in prefixes if f"`{prefix if prefix == '/' else prefix + '/'}`" not in text
    )

    assert missing == []


def test_every_room_has_its_readme():
    rooms = [path.parent for path in (ROOT / "src" / "amb247").glob("*/__init__.py")]

    assert [room.name for room in rooms if not (room / "README.md").exists()] == []


def test_decision_records_are_numbered_once_and_complete():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    numbers = [path.name[:4] for path in records]

    assert numbers == [f"{number:04d}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} "), path.name
        for heading in ("## Context", "## Decision", "## What we gave up", "## Rejected"):
            assert heading in text, f"{path.name} lacks {heading}"


def test_code_names_only_decision_records_that_exist():
    known = {path.name for path in (ROOT / "docs" / "decisions").glob("*.md")}
    named = set()
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.sql"), ROOT / ".importlinter"]:
        named |= set(re.findall(r"docs/decisions/(\d{4}-[\w-]+\.md)", path.read_text(encoding="utf-8")))

    assert sorted(named - known) == []


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_links_between_documents_lead_somewhere():
    broken = []
    for name in tracked():
        if not name.endswith(".md"):
            continue
        folder = (ROOT / name).parent
        text = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            is_picture_to_come = target.endswith(".png")
            if "://" not in target and not is_picture_to_come and not (folder / target).exists():
                broken.append(f"{name}: {target}")

    assert broken == []


def test_tracked_files_name_no_machine_path_and_no_registry():
    found = []
    for name in tracked():
        if name in ALLOWED_MACHINE:
            continue
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # no text
        found += [f"{name}: {match.group(0)}" for match in MACHINE.finditer(text)]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    ["see /root/x", "at /home/ana/project", "under /work/main", "https://pypi.internal.example/simple/"],
)
def test_machine_paths_would_be_found(planted):
    assert MACHINE.search(planted)
