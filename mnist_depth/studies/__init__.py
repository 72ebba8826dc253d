"""Every experiment of the lectures as a named study."""

from mnist_depth.studies import depth9
from mnist_depth.studies.study import Study

STUDIES: dict[str, Study] = {
    "depth9": depth9.STUDY,
}
