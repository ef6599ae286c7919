"""Attributes stored with each array of a part, so that the file explains itself."""

from kdcache.store.plan import Plan


def describe(plan: Plan) -> dict[str, dict[str, str]]:
    """The attributes to store with each array: field name -> attributes."""
    by_field = {field.name: dict(field.attributes) for field in plan.layout.added_fields()}
    for stored, codec in zip(plan.signals, plan.codecs().values(), strict=True):
        for field in codec.fields():
            by_field[field.name] = {"signal": stored.signal.name, "codec": stored.codec, **dict(field.attributes)}
            if plan.layout.self_describing and not field.per_part:
                by_field[field.name]["valid"] = "rows for which the array `valid` is false are zeros and mean nothing"
    return by_field
