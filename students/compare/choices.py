"""Defaults of a comparison: the teacher, the signals and the recipe that fit the student.

Input: options. Output: the completed options, and the recipe. Arms that cannot be compared are refused before any work.
"""

from dataclasses import replace

from kdcache.build.options import BuildOptions
from kdcache.config.presets import load_preset
from kdcache.errors import Mismatch, UsageError
from kdcache.images import open_source
from students.base.contracts import Needs
from students.compare.arms import Arm
from students.compare.options import CompareOptions
from students.families.registry import family_of, shown_student
from students.plan.recipe import recipe_name
from students.recipe import Recipe
from students.runs.find_teacher import RUN, run_name
from students.runs.run import teacher_run


def settle(options: CompareOptions) -> tuple[CompareOptions, Recipe]:
    """Fill in teacher, signals and recipe."""
    name = recipe_name(options.recipe, options.student, open_source(options.build.data or "shapes").spec())
    recipe = load_preset("recipes", name, Recipe, options.settings)
    student = shown_student(options.student)
    family = family_of(student)
    teacher = options.build.teacher or family.defaults.teacher
    build = _keeping(pinned(replace(options.build, teacher=teacher)), recipe, name, family.needs(student))
    return replace(options, recipe=name, build=build), recipe


def pinned(build: BuildOptions) -> BuildOptions:
    """The build options with a run teacher fixed to name and path: each process opens it, and LATEST could change."""
    family, _, name = build.teacher.partition(":")
    if family != RUN or not name:
        return build
    run = teacher_run(name, build.weights)
    called = run_name(name, build.weights, run)
    return replace(build, teacher=f"{RUN}:{called}", weights=str(run.path.resolve()))


def _keeping(build: BuildOptions, recipe: Recipe, name: str, needs: Needs) -> BuildOptions:
    """The build options with the signals that the recipe needs, and the default ones that the student's family can use."""
    if not (missing := [signal for signal in recipe.needs.signals if signal not in build.kept]):
        return build
    if build.signals is not None:
        raise Mismatch(
            f"--signal {','.join(build.signals)} leaves out {' and '.join(missing)}, which the recipe {name} needs",
            hint=f"--signal {','.join((*build.signals, *missing))}",
        )
    used = tuple(other for other in (*needs.signals, *needs.optional) if other in build.kept)
    return replace(build, signals=tuple(dict.fromkeys((*used, *recipe.needs.signals))))


def check_arms(arms: tuple[Arm, ...], student: str, recipe: Recipe, kept: tuple[str, ...]) -> None:
    """Refuse an arm that cannot train this student from the signals that the cache keeps."""
    signals, bare = recipe.needs.signals, recipe.without_teacher()
    for arm in arms:
        absent = [name for name in arm.only or () if name not in kept]
        left = [signal for signal in signals if arm.only is not None and signal not in arm.only]
        if absent or left:
            why = f"not {absent[0]}" if absent else f"the recipe needs {left[0]}"
            raise UsageError(f"{arm.name}: the cache will keep {' and '.join(kept)}, but {why}")
        if arm.teacher == "none" and bare is None:
            raise UsageError(
                f"{arm.name}: {student} cannot be trained without a teacher's {' and '.join(signals)}",
                hint="kd compare on-stream off-stream off-stream:only=targets",
            )
        if arm.teacher == "none" and recipe.objectives:
            raise UsageError(
                f"{arm.name}: the recipe has several objectives ({', '.join(recipe.losses)}), "
                "and this arm would drop all but the true classes",
                hint="compare on-stream with off-stream, or name a recipe with one objective",
            )
        if arm.codec is not None and arm.codec.startswith("topk:") and not recipe.needs.classes:
            raise UsageError(
                f"{arm.name}: top-k codecs are for class distributions, and the recipe learns from {' and '.join(signals)}",
                hint="off-stream:codec=int8",
            )
