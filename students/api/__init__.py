"""`kd train`, `kd eval`, `kd compare` and similar commands as Python functions.

Keyword arguments are named like the options, with underscores instead of dashes (`new_head`); an option that is a reserved word
of Python ends in an underscore (`from_`). A mistake raises a `kdcache.errors.KDError`, whose `hint` says how to go on. `progress`
receives progress, notes and warnings; without it they are dropped. `run` is a run's folder, its name in ./kd/runs, or LATEST.
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
from students.api.planning import PlannedJob, place_job
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
    "PlannedJob",
    "TrainKeywords",
    "compare_streams",
    "compared",
    "evaluate_student",
    "evaluate_teacher",
    "export_student",
    "finetune_student",
    "list_runs",
    "place_job",
    "predict",
    "resume_student",
    "train_student",
]
