"""The declaration of the teacher family CLIP; tower.py loads it."""

from pathlib import Path

from kdcache.teachers.family import Packaged, TeacherFamily

NANO_SIZE = Packaged(
    folder=Path(__file__).parents[2] / "nano",
    file="clip/model.safetensors",
    preprocess="kdcache.teachers.nano:CLIP_PIXELS",
    trainer="kdcache.teachers.nano_training.clip:TRAINER",
)

FAMILY = TeacherFamily(
    name="clip",
    about="CLIP image towers, with zero-shot logits",
    opener="kdcache.teachers.families.clip.tower:open_clip",
    sizes="clip",
    published=True,
    packaged=(NANO_SIZE,),
)
