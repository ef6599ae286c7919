"""Make untrusted text safe to show: no control sequences for a terminal or a page.

Names of images, classes, folders and files come from others. Characters that move the cursor, set a title, reverse the writing
direction or are invisible could forge or hide output of `kd`; here they are escaped (`\\x1b`, `\\u202e`).
"""

import re

# Characters that Python calls printable although they show nothing: a name with one looks like another name.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def on_a_line(text: str) -> str:
    """Untrusted text, escaped so that it can stand within a line."""
    return (
        text if is_visible(text) else "".join(letter if is_visible(letter) else ascii(letter)[1:-1] for letter in text)
    )


def is_visible(text: str) -> bool:
    """Whether every character of a text shows something."""
    return text.isprintable() and _UNSEEN.search(text) is None
