"""The messages of a rule test: named or inline events, raw text, or the lines of a file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from exporter.ruletests.events import parse_path, remove_path, set_path
from exporter.yamlfile.documents import Item
from exporter.yamlfile.json_values import JsonValue, json_value
from exporter.yamlfile.problems import Findings, did_you_mean

ORIGINS = ("event", "message", "file")
KEYS = (*ORIGINS, "with", "without")
"""Keys of a test that say what its messages are."""


class Messages:
    """Makes messages; knows a file's named events."""

    def __init__(self, document: Item, folder: Path, findings: Findings) -> None:
        self._folder = folder
        self._findings = findings
        self._events: dict[str, JsonValue] = {}
        self._unused: dict[str, Item] = {}
        data = document.data if isinstance(document.data, dict) else {}
        events = data.get("events")
        if events is not None and not isinstance(events, dict):
            findings.error(
                document.value_of("events"), "`events` must be a mapping of names to events"
            )
            return
        for name in events or ():
            item = document.child("events", name)
            value = json_value(item)
            if isinstance(value, dict | str):
                self._events[name] = value
                self._unused[name] = item
            else:
                findings.error(
                    item.location,
                    f"the event `{name}` must be a mapping (a JSON message) or a text (a raw one)",
                )

    def report_unused(self, document: Item) -> None:
        """Warn of named events that no test has used."""
        for name in self._unused:
            self._findings.warning(
                document.key_of("events", name), f"no test uses the event `{name}`"
            )

    def of(self, test: Item) -> tuple[str, ...]:
        """A test's messages; empty where they are in error."""
        data = test.data if isinstance(test.data, dict) else {}
        given = [key for key in ORIGINS if key in data]
        if not given:
            self._findings.error(test.location, f"a test needs one of {', '.join(ORIGINS)}")
            return ()
        if len(given) > 1:
            self._findings.error(
                test.key_of(given[1]), f"a test has `{given[0]}` or `{given[1]}`, not both"
            )
            return ()
        if given[0] == "event":
            return self._event(test)
        for key in ("with", "without"):
            if key in data:
                self._findings.error(
                    test.key_of(key), f"`{key}` changes an `event`; the test has a `{given[0]}`"
                )
        return self._raw(test) if given[0] == "message" else self._lines(test)

    def _event(self, test: Item) -> tuple[str, ...]:
        item = test.child("event")
        event = json_value(item)
        if isinstance(item.data, str):
            if item.data not in self._events:
                hint = did_you_mean(item.data, self._events)
                self._findings.error(
                    item.location, f"there is no event `{item.data}` under `events`{hint}"
                )
                return ()
            self._unused.pop(item.data, None)
            event = copy.deepcopy(self._events[item.data])
        if not isinstance(event, dict | str):
            self._findings.error(
                item.location, "`event` must be the name of an event, or a mapping"
            )
            return ()
        return self._changed(test, event)

    def _changed(self, test: Item, event: dict[str, JsonValue] | str) -> tuple[str, ...]:
        before = len(self._findings.errors)
        data = test.data if isinstance(test.data, dict) else {}
        changes, removals = data.get("with", {}), data.get("without", [])
        if isinstance(event, str):
            if changes or removals:
                self._findings.error(
                    test.location, "`with` and `without` change JSON messages; this one is a text"
                )
            return (event,)
        if not isinstance(changes, dict):
            self._findings.error(
                test.value_of("with"), "`with` must be a mapping of paths to values"
            )
            return ()
        if not isinstance(removals, list):
            self._findings.error(test.value_of("without"), "`without` must be a list of paths")
            return ()
        for text in changes:
            try:
                set_path(event, parse_path(text), json_value(test.child("with", text)))
            except ValueError as error:
                self._findings.error(test.key_of("with", text), f"`with`: {error}")
        for index, path in enumerate(removals):
            try:
                remove_path(event, parse_path(str(path)))
            except ValueError as error:
                self._findings.error(test.value_of("without", index), f"`without`: {error}")
        if len(self._findings.errors) > before:
            return ()
        return (json.dumps(event, ensure_ascii=False),)

    def _raw(self, test: Item) -> tuple[str, ...]:
        message = test.child("message")
        if isinstance(message.data, str):
            return (message.data,)
        self._findings.error(message.location, "`message` must be a text; JSON goes under `event`")
        return ()

    def _lines(self, test: Item) -> tuple[str, ...]:
        item = test.child("file")
        if not isinstance(item.data, str):
            self._findings.error(item.location, "`file` must be a path")
            return ()
        try:
            text = (self._folder / item.data).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self._findings.error(
                item.location, f"the file {item.data} cannot be read: {error.strerror}"
            )
            return ()
        messages = tuple(line for line in text.split("\n") if line.strip())
        if not messages:
            self._findings.error(item.location, f"the file {item.data} holds no messages")
        return messages
