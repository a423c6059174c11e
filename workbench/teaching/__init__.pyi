from .exercises.checking import check as check
from .exercises.checking import hint as hint
from .exercises.checking import progress as progress
from .exercises.student_report import student_report as student_report
from .lessons import lesson_run as lesson_run
from .lessons import reveal as reveal
