"""The declaration of the teacher family data2vec 2.0; tower.py loads it."""

from pathlib import Path

from kdcache.teachers.family import Packaged, TeacherFamily

NANO_SIZE = Packaged(
    folder=Path(__file__).parents[2] / "nano",
    file="data2vec.safetensors",
    preprocess="kdcache.teachers.nano:IMAGENET_PIXELS",
    has_classes=False,
    trainer="kdcache.teachers.nano_training.data2vec:TRAINER",
)

FAMILY = TeacherFamily(
    name="data2vec",
    about="data2vec 2.0 image models",
    opener="kdcache.teachers.families.data2vec.tower:open_data2vec",
    sizes="data2vec",
    headless=True,
    published=True,
    packaged=(NANO_SIZE,),
)
