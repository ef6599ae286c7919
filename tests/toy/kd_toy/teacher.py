"""What the teacher declares of itself. It is read by every command that lists teachers, so nothing heavy is imported here."""

from kdcache.teachers.family import TeacherFamily

FAMILY = TeacherFamily(
    name="toy",
    about="reads how light an image is",
    opener="kd_toy.tower:open_it",
    usual_signals=("words", "shades", "odds"),
)
