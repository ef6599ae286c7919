"""The declaration of the teacher family `hf`, image models of transformers; tower.py loads them."""

from kdcache.teachers.family import TeacherFamily

FAMILY = TeacherFamily(
    name="hf",
    about="any image model of transformers, as hf:NAME",
    opener="kdcache.teachers.families.hf.tower:open_hf",
    by_model=True,
    published=True,
)
