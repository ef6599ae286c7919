"""With no items, orders, batches and bytes are those that the program gave before there were any."""

import json

from tests.stream.order_golden import RECORDED, order_digests, stream_digests


def test_orders_are_those_recorded_before_there_were_items() -> None:
    assert order_digests() == json.loads(RECORDED.read_text())["orders"]


def test_streams_are_those_recorded_before_there_were_items() -> None:
    assert stream_digests() == json.loads(RECORDED.read_text())["streams"]
