"""Reads a page the way a browser does, and says what is in it."""

from html.parser import HTMLParser

VOID = {"img", "meta"}


class Reader(HTMLParser):
    """Checks that elements close in order; collects elements, addresses and text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.addresses, self.text = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.seen.append((name, dict(attributes)))
        self.addresses += [value for key, value in attributes if key in ("src", "href", "xlink:href", "data")]
        assert not [key for key, _ in attributes if key.startswith("on")]
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def names(self):
        return {name for name, _ in self.seen}

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())
