"""The declaration of the teacher family Florence-2; tower.py loads it."""

from pathlib import Path

from kdcache.teachers.family import Packaged, TeacherFamily

NANO_SIZE = Packaged(
    folder=Path(__file__).parents[2] / "nano",
    file="florence.safetensors",
    preprocess="kdcache.teachers.nano:IMAGENET_PIXELS",
    trainer="kdcache.teachers.nano_training.florence:TRAINER",
)

FAMILY = TeacherFamily(
    name="florence",
    about="Florence-2's DaViT towers",
    opener="kdcache.teachers.families.florence.tower:open_florence",
    sizes="florence",
    headless=True,
    published=True,
    packaged=(NANO_SIZE,),
)
