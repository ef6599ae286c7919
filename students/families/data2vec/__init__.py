"""Students of data2vec 2.0 image teachers, which share the teacher's modality encoder."""

from students.families.data2vec.family import FAMILY

__all__ = ["FAMILY"]
