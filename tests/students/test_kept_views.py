"""Views are rendered once, and a training that keeps them takes the same steps."""

import numpy as np
import pytest

from kdcache.render import RenderPool
from kdcache.views.recipe import Plain
from students.train.kept_views import KeptViews, memory_for_views, rendered, rendered_once
from tests.students.conftest import learn, losses_of, same

SIZE = (8, 8)
EACH = 8 * 8 * 3


class Listed:
    """Pictures whose every pixel is the number of the picture, of which one cannot be read."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken, self.read_ids = broken, []

    def read(self, image_id: str) -> np.ndarray:
        from kdcache.errors import BadImage

        self.read_ids.append(int(image_id))
        if int(image_id) == self.broken:
            raise BadImage("broken")
        return np.full((16, 16, 3), int(image_id), np.uint8)


def pool(source: Listed, count: int = 20) -> RenderPool:
    ids = [str(number) for number in range(count)]
    return RenderPool(source, Plain(fit="squash"), seed=0, size=SIZE, ids=ids, workers=0, batch=8)


def pieces(*rows: list[int], view: int = 0) -> list[tuple[int, np.ndarray]]:
    return [(view, np.array(some)) for some in rows]


def numbers(seen) -> list[list[int]]:
    return [each.pixels[:, 0, 0, 0].tolist() for each in seen]


def test_each_view_is_rendered_once_in_any_order():
    source, kept = Listed(), KeptViews(20, (0,), SIZE, 20 * EACH)
    first, second = pieces([3, 1, 2], [9, 8]), pieces([1, 9], [8, 3, 5], [2, 5, 9])
    assert numbers(rendered_once(pool(source), first, kept)) == [[3, 1, 2], [9, 8]]
    assert numbers(rendered_once(pool(source), second, kept)) == [[1, 9], [8, 3, 5], [2, 5, 9]]
    assert sorted(source.read_ids) == [1, 2, 3, 5, 8, 9]


def test_rows_beyond_the_memory_are_rendered_every_time():
    source, kept = Listed(), KeptViews(20, (0,), SIZE, 5 * EACH)
    assert kept.count == 5
    for _ in range(2):
        assert numbers(rendered_once(pool(source), pieces([4, 5, 7, 0]), kept)) == [[4, 5, 7, 0]]
    assert sorted(source.read_ids) == [0, 4, 5, 5, 7, 7]


def test_without_memory_everything_is_rendered():
    source, kept = Listed(), KeptViews(20, (0,), SIZE, EACH - 1)
    for _ in range(2):
        assert numbers(rendered_once(pool(source), pieces([4, 5]), kept)) == [[4, 5]]
    assert source.read_ids == [4, 5, 4, 5]


def test_an_unreadable_image_is_reported_every_time():
    source, kept = Listed(broken=2), KeptViews(20, (0,), SIZE, 20 * EACH)
    for _ in range(2):
        (seen,) = rendered_once(pool(source), pieces([1, 2, 3]), kept)
        assert seen.bad == {2: "broken"}
        assert seen.pixels[:, 0, 0, 0].tolist() == [1, 0, 3]
    assert source.read_ids == [1, 2, 3, 2]


def test_views_are_kept_apart_and_a_row_may_come_twice():
    source, kept = Listed(), KeptViews(20, (0, 4), SIZE, 40 * EACH)
    asked = pieces([1, 1, 2]) + pieces([1, 2], view=4) + pieces([2, 1]) + pieces([1], view=4)
    assert numbers(rendered_once(pool(source), asked, kept)) == [[1, 1, 2], [1, 2], [2, 1], [1]]
    assert source.read_ids == [1, 2, 1, 2]


def test_pieces_that_hold_no_new_row_wait_for_their_turn():
    source, kept = Listed(), KeptViews(20, (0,), SIZE, 20 * EACH)
    asked = [[1, 2], [2, 1], [1], [3], [3, 1], [4]]
    assert numbers(rendered_once(pool(source), pieces(*asked), kept)) == asked
    assert numbers(rendered(pool(Listed()), pieces(*asked))) == asked


def test_the_limit_is_the_users_else_a_part_of_the_free_memory():
    assert memory_for_views(0) == 0
    assert memory_for_views(123) == 123
    assert memory_for_views(None) > 0


@pytest.mark.parametrize("memory", [0, 20 * 32 * 32 * 3, None])
def test_a_training_that_keeps_views_takes_the_same_steps(cache, tmp_path, memory):
    """Three epochs over the second view, in which one in three images is seen in each: 8 steps an epoch."""
    plain, _ = learn(tmp_path / "plain", cache, steps=24, views=(1,), where={"keep_views": 0})
    kept, _ = learn(tmp_path / "kept", cache, steps=24, views=(1,), where={"keep_views": memory})
    assert losses_of(plain) == losses_of(kept)
    assert same(plain, kept)


def test_a_training_renders_no_view_twice(cache, tmp_path, monkeypatch):
    from kdcache.images.shapes import Shapes

    read, seen = Shapes.read, []
    monkeypatch.setattr(Shapes, "read", lambda self, image_id: seen.append(image_id) or read(self, image_id))

    def pictures(memory: int | None) -> int:
        seen.clear()
        learn(tmp_path / f"run-{memory}", cache, steps=24, views=(0,), where={"keep_views": memory})
        return len(seen)

    assert pictures(0) - pictures(None) == 2 * 64, "of three epochs, one is rendered"


def test_a_connected_teacher_sees_the_same_views(cache, tmp_path):
    kept, _ = learn(tmp_path / "kept", cache, steps=20, stream="on", views=(0,))
    plain, _ = learn(tmp_path / "plain", cache, steps=20, stream="on", views=(0,), where={"keep_views": 0})
    assert losses_of(kept) == losses_of(plain)
