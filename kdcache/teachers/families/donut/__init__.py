"""The declaration of the teacher family Donut; tower.py loads it."""

from kdcache.teachers.family import TeacherFamily

FAMILY = TeacherFamily(
    name="donut",
    about="Donut's Swin encoder, for documents",
    opener="kdcache.teachers.families.donut.tower:open_donut",
    sizes="donut",
    headless=True,
    published=True,
)
