"""The errors the course raises on purpose: each carries one line that says what is wrong and what to do."""


class CourseError(Exception):
    """Something the reader can mend: the message is one clear line."""


class DataError(CourseError):
    """The data set is missing, half downloaded or damaged."""


class ResultError(CourseError):
    """A file of the results store is torn, edited or inconsistent."""


class CheckpointError(CourseError):
    """A checkpoint cannot be read or belongs to another run."""


class TrainingError(CourseError):
    """Training cannot go on, for example because the loss is no longer finite."""
