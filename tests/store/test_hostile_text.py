"""Plans, receipts and lists of rejected images of strangers: JSON beyond the bounds is Damage that names the file."""

import pytest

from kdcache.errors import Damage
from kdcache.images.rejected import parse_rejected
from kdcache.store.self_checked import unseal
from tests.test_plain_json import HOSTILE

TEXTS = {name: raw for name, raw in HOSTILE.items() if b"\n" not in raw and len(raw) < 10_000_000}


@pytest.mark.parametrize("raw", TEXTS.values(), ids=TEXTS)
def test_a_sealed_record_beyond_the_bounds_is_damage(raw, tmp_path):
    for whole in (raw, b'{"digest": "%b", "rows": %b}' % (b"0" * 32, raw)):
        with pytest.raises(Damage, match=r"plan\.json is damaged: ") as refused:
            unseal(whole, tmp_path / "plan.json", hint="copy it again")
        assert "\n" not in refused.value.message


@pytest.mark.parametrize("raw", [text for text in TEXTS.values() if text])
def test_a_line_of_rejected_images_beyond_the_bounds_is_damage(raw):
    with pytest.raises(Damage, match=r"rejected\.jsonl"):
        parse_rejected(raw + b"\n", "rejected.jsonl")
