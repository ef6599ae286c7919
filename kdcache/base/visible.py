"""Text of any origin as a reader may see it: letters, and no commands to a terminal or a page.

Names of images, classes, folders and files come from others. Sequences that move the cursor, set a title, turn the direction of
writing or cannot be seen would let them forge or hide what `kd` says; here they are written out (`\\x1b`, `\\u202e`).
"""

import re

# Letters that Python calls printable and that show nothing: a name that has one looks like another name.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def on_a_line(text: str) -> str:
    """Text of any origin as it may stand within a line."""
    return (
        text if is_visible(text) else "".join(letter if is_visible(letter) else ascii(letter)[1:-1] for letter in text)
    )


def is_visible(text: str) -> bool:
    """Nothing but letters that show something."""
    return text.isprintable() and _UNSEEN.search(text) is None
