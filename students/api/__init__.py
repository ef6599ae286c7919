"""What `kd train`, `kd eval`, `kd compare` and their like do, as functions.

An option that is a word of Python gets an underscore (`from_`); one of several words has underscores (`new_head`). What is wrong
raises a `kdcache.errors.KDError`, whose `hint` is a way out. What is being done, and remarks and warnings, go to `progress`; left
out, nowhere. `run` is a run's folder, its name in ./kd/runs, or LATEST.
"""

from students.api.judging import (
    Compared,
    compare_streams,
    compared,
    evaluate_student,
    evaluate_teacher,
    export_student,
    list_runs,
    predict,
)
from students.api.training import (
    MachineKeywords,
    TrainKeywords,
    finetune_student,
    resume_student,
    train_student,
)

__all__ = [
    "Compared",
    "MachineKeywords",
    "TrainKeywords",
    "compare_streams",
    "compared",
    "evaluate_student",
    "evaluate_teacher",
    "export_student",
    "finetune_student",
    "list_runs",
    "predict",
    "resume_student",
    "train_student",
]
