"""Truths made of text: all text in reading order, a description, questions and answers, and the parse (nested values)."""

from math import isfinite
from typing import Annotated, Any

from pydantic import Field, JsonValue, model_validator

from kdcache.base.strict import Strict
from kdcache.images.truths.bounds import MOST_ANSWERS, MOST_ITEMS, MOST_LETTERS, MOST_LEVELS, Text


class TextTruth(Strict):
    """All text of the image, in reading order."""

    text: Text


class DescriptionTruth(Strict):
    """A description of the image in a sentence or more."""

    description: Text


class Question(Strict):
    """A question about the image, and its accepted answers."""

    question: Text
    answers: Annotated[tuple[Text, ...], Field(max_length=MOST_ANSWERS)] = ()
    """All answers that count as correct; empty if they are not published or there is none."""


class QuestionsTruth(Strict):
    """Questions about the image; each can be an example of its own."""

    questions: Annotated[tuple[Question, ...], Field(max_length=MOST_ITEMS)]


class ParseTruth(Strict):
    """The content of the image as nested plain values: objects, lists, texts, numbers."""

    parse: dict[str, JsonValue] | list[JsonValue]

    @model_validator(mode="after")
    def _bounded(self) -> "ParseTruth":
        level: list[Any] = [self.parse]
        for _ in range(MOST_LEVELS + 1):
            inner = [each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer)]
            if any(isinstance(each, str) and len(each) > MOST_LETTERS for each in inner):
                raise ValueError(f"holds a text of more than {MOST_LETTERS:,} letters")
            if any(isinstance(each, float) and not isfinite(each) for each in inner):
                raise ValueError("holds a number that is not finite")
            if not (level := [each for each in inner if isinstance(each, list | dict)]):
                return self
        raise ValueError(f"has objects and lists more than {MOST_LEVELS} deep inside one another")
