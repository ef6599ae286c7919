"""The declaration of the teacher family Florence-2; tower.py loads it."""

from pathlib import Path

from kdcache.teachers.family import Packaged, TeacherFamily

PACKAGE = Path(__file__).parents[2] / "nano"

FAMILY = TeacherFamily(
    name="florence",
    about="Florence-2's DaViT towers",
    opener="kdcache.teachers.families.florence.tower:open_florence",
    sizes="florence",
    headless=True,
    published=True,
    packaged=(
        Packaged(
            folder=PACKAGE,
            file="florence.safetensors",
            preprocess="kdcache.teachers.nano:IMAGENET_PIXELS",
            trainer="kdcache.teachers.nano_training.florence:NANO_TRAINER",
        ),
        Packaged(
            size="mini",
            folder=PACKAGE,
            file="florence-mini.safetensors",
            preprocess="kdcache.teachers.nano:MINI_PIXELS",
            trainer="kdcache.teachers.nano_training.florence:MINI_TRAINER",
        ),
    ),
)
