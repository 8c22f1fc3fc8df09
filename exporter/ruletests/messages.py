"""The messages of a rule test: named or inline events, raw text, or the lines of a file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from exporter.ruletests.events import parse_path, remove_path, set_path
from exporter.ruletests.models import TestEntry
from exporter.yamlfile.contents import TooLargeError, read_contents
from exporter.yamlfile.documents import Item
from exporter.yamlfile.json_values import JsonValue, json_value
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Filled

_ORIGINS = ("event", "message", "file")


class Messages:
    """Makes the messages of a file's tests; knows its named events."""

    def __init__(self, document: Item, folder: Path, findings: Findings) -> None:
        self._folder = folder
        self._findings = findings
        self._events: dict[str, JsonValue] = {}
        events = document.child("events")
        if events.data is not None and not isinstance(events.data, dict):
            findings.error(events.location, "`events` must be a mapping of names to events")
        for name in events.mapping:
            item = events.child(name)
            value = json_value(item)
            if isinstance(value, dict | str):
                self._events[name] = value
            else:
                findings.error(
                    item.location,
                    f"the event `{name}` must be a mapping (a JSON message) or a text (a raw one)",
                )
        self._unused = set(self._events)

    def report_unused(self, document: Item) -> None:
        """Warn of named events that no test has used."""
        for name in self._events:
            if name in self._unused:
                self._findings.warning(
                    document.key_of("events", name), f"no test uses the event `{name}`"
                )

    def of(self, test: Filled[TestEntry]) -> tuple[str, ...]:
        """A test's messages; empty if they are in error."""
        fields = test.fields
        given = [key for key in _ORIGINS if key in fields.values]
        if not given:
            self._findings.error(fields.item.location, f"a test needs one of {', '.join(_ORIGINS)}")
            return ()
        origin, *others = given
        if others:
            self._findings.error(
                fields.key_of(others[0]), f"a test has `{origin}` or `{others[0]}`, not both"
            )
            return ()
        if not test.is_right(origin, "with", "without"):
            return ()
        if origin == "event":
            return self._event(test)
        for key in ("with", "without"):
            if key in fields.values:
                self._findings.error(
                    fields.key_of(key), f"`{key}` changes an `event`; the test has a `{origin}`"
                )
        return (test.model.message,) if origin == "message" else self._lines(test)

    def _event(self, test: Filled[TestEntry]) -> tuple[str, ...]:
        item = test.fields.item.child("event")
        event = json_value(item)
        if isinstance(item.data, str):
            if item.data not in self._events:
                hint = did_you_mean(item.data, self._events)
                self._findings.error(
                    item.location, f"there is no event `{item.data}` under `events`{hint}"
                )
                return ()
            self._unused.discard(item.data)
            event = copy.deepcopy(self._events[item.data])
        if isinstance(event, dict):
            return self._changed(test, event)
        if not isinstance(event, str):
            message = "`event` must be the name of an event, or a mapping"
            self._findings.error(item.location, message)
        elif test.model.changes or test.model.without:
            message = "`with` and `without` change JSON messages; this one is a text"
            self._findings.error(test.fields.item.location, message)
        else:
            return (event,)
        return ()

    def _changed(self, test: Filled[TestEntry], event: dict[str, JsonValue]) -> tuple[str, ...]:
        before = len(self._findings.errors)
        item = test.fields.item
        for text in test.model.changes:
            try:
                set_path(event, parse_path(text), json_value(item.child("with", text)))
            except ValueError as error:
                self._findings.error(item.key_of("with", text), f"`with`: {error}")
        for index, text in enumerate(test.model.without):
            try:
                remove_path(event, parse_path(text))
            except ValueError as error:
                self._findings.error(item.value_of("without", index), f"`without`: {error}")
        if len(self._findings.errors) > before:
            return ()
        return (json.dumps(event, ensure_ascii=False),)

    def _lines(self, test: Filled[TestEntry]) -> tuple[str, ...]:
        name, place = test.model.file, test.fields.value_of("file")
        try:
            text = read_contents(self._folder / name).decode(errors="replace")
        except (OSError, TooLargeError) as error:
            why = str(error) if isinstance(error, TooLargeError) else error.strerror
            self._findings.error(place, f"the file {name} cannot be read: {why}")
            return ()
        messages = tuple(line for line in text.split("\n") if line.strip())
        if not messages:
            self._findings.error(place, f"the file {name} has no messages")
        return messages
