"""The declaration of the teacher family `timm`, image models of timm; tower.py loads them."""

from kdcache.teachers.family import TeacherFamily

FAMILY = TeacherFamily(
    name="timm",
    about="any image model of timm, as timm:NAME",
    opener="kdcache.teachers.families.timm.tower:open_timm",
    by_model=True,
    published=True,
)
