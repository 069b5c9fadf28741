"""Prompts of many threads, which only one of them puts: the one that Ctrl-C interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

Ask = Callable[[str], str]
"""Puts a prompt to who sits there. EOFError: there is no answer."""
_LOOK_S = 0.2


@dataclass(frozen=True)
class Prompt:
    """A question, for the thread that may show it."""

    text: str
    _answer: Future[str] = field(default_factory=Future)

    def put(self, ask: Ask) -> None:
        """Show it, and tell who waits what came of it."""
        try:
            self._answer.set_result(ask(self.text))
        except EOFError as exc:  # Ctrl-D
            self._answer.set_exception(exc)

    def answer(self, is_over: threading.Event) -> str:
        """What it was answered by. EOFError: by nothing, or all is over."""
        while not is_over.is_set():
            with suppress(TimeoutError):
                return self._answer.result(_LOOK_S)
        raise EOFError


@dataclass(frozen=True)
class Prompts:
    """Asks for any thread, by handing what it asks to `tell`, until `is_over`."""

    tell: Callable[[Prompt], None]
    is_over: threading.Event

    def __call__(self, text: str) -> str:
        """The answer; EOFError where there is none."""
        prompt = Prompt(text)
        self.tell(prompt)
        return prompt.answer(self.is_over)
