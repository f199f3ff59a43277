"""Answers of JavaScript, awaited without the event loop: values, errors of every kind, many at once, a cancellation."""

from __future__ import annotations

from tests.browser.support.python import BrowserPython

SET_UP = """
import asyncio
from js import TypeError, setTimeout
from pyodide.ffi import JsException, create_once_callable, jsnull
from roomkey.host.browser_answers import Answers

answers = Answers()
def later(number, deliver, milliseconds, *outcome):
    setTimeout(create_once_callable(lambda: deliver(number, *outcome)), milliseconds)
"""


def test_many_questions_are_answered_each_by_its_own(python: BrowserPython) -> None:
    code = """
got = await asyncio.gather(*(answers.ask(later, 30 - 10 * index, index) for index in range(3)))
json.dumps(got)
"""
    assert python.run(SET_UP + code) == [0, 1, 2]


def test_an_answer_within_the_call_is_taken(python: BrowserPython) -> None:
    code = """
json.dumps(await answers.ask(lambda number, deliver: deliver(number, "now")))
"""
    assert python.run(SET_UP + code) == "now"


def test_whatever_javascript_throws_is_raised(python: BrowserPython) -> None:
    code = """
got = []
for what in (TypeError.new("typed"), "a text", jsnull):
    try:
        await answers.ask(later, 0, None, what)
    except JsException as error:
        got.append([str(error.name), str(error.message)])
json.dumps(got)
"""
    assert python.run(SET_UP + code) == [["TypeError", "typed"], ["Error", "a text"], ["Error", "jsnull"]]


def test_a_cancelled_task_ends_when_its_answer_comes(python: BrowserPython) -> None:
    code = """
task = asyncio.ensure_future(answers.ask(later, 20, "late"))
await asyncio.sleep(0)
task.cancel()
try:
    await task
    outcome = "answered"
except asyncio.CancelledError:
    outcome = "cancelled"
json.dumps([outcome, len(answers._waiting), await answers.ask(later, 0, "goes on")])
"""
    assert python.run(SET_UP + code) == ["cancelled", 0, "goes on"]
