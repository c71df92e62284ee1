"""Every numbered equation: what it is, the file whose code bears its number, the chapter that derives it.

(1) and (2) are the numbers of the paper's supplement; from (3) on they are this course's own. `# Eq. (2)` stands by the
line that computes it, and the chapter displays the formula with its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicmor_lib.errors import ConfigError

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Equation:
    """A numbered equation.

    Attributes:
        number: as printed, (1), (2), ...
        name: what it is.
        file: that computes it, from the root of the repository.
        chapter: that derives it, a notebook's name.
    """

    number: int
    name: str
    file: str
    chapter: str


EQUATIONS: tuple[Equation, ...] = tuple(
    Equation(number, name, f"dicmor_lib/{file}", chapter)
    for number, name, file, chapter in (
        (1, "affine coupling layer", "blocks/coupling.py", "02_coupling_layers"),
        (2, "inverse of the coupling layer", "blocks/coupling.py", "02_coupling_layers"),
        (3, "log-determinant of the coupling layer", "blocks/coupling.py", "02_coupling_layers"),
        (4, "bounded scale", "blocks/coupling.py", "02_coupling_layers"),
        (5, "flow as a chain of layers", "blocks/flow.py", "03_flows_and_priors"),
        (6, "class-conditional prior", "blocks/prior.py", "03_flows_and_priors"),
        (7, "change of variables", "blocks/flow.py", "03_flows_and_priors"),
        (8, "log-determinant of a 1x1 convolution", "blocks/mixing.py", "03_flows_and_priors"),
        (9, "depth collapse without mixing", "blocks/flow.py", "03_flows_and_priors"),
        (10, "shallow features", "blocks/shallow.py", "01_missing_modalities"),
        (11, "transfer from one source", "blocks/transfer.py", "04_distribution_transfer"),
        (12, "transfer from two sources", "blocks/transfer.py", "04_distribution_transfer"),
        (13, "channel attention", "blocks/recovery.py", "05_rcab_reconstruction"),
        (14, "residual channel attention block", "blocks/recovery.py", "05_rcab_reconstruction"),
        (15, "recovery network", "blocks/recovery.py", "05_rcab_reconstruction"),
        (16, "position code", "blocks/attention.py", "06_multimodal_fusion"),
        (17, "cross-modal attention", "blocks/attention.py", "06_multimodal_fusion"),
        (18, "which source steps may be read", "blocks/attention.py", "06_multimodal_fusion"),
        (19, "encoder layer", "blocks/attention.py", "06_multimodal_fusion"),
        (20, "negative log-likelihood in bits per dimension", "objective.py", "03_flows_and_priors"),
        (21, "recovery loss", "objective.py", "05_rcab_reconstruction"),
        (22, "training objective", "objective.py", "07_train_dicmor"),
        (23, "maximum mean discrepancy", "evaluation/two_sample.py", "04_distribution_transfer"),
        (24, "mixture identity", "evaluation/protocols.py", "08_evaluating_missing_modalities"),
        (25, "joint prior of the modalities", "blocks/joint_prior.py", "12_beyond_the_paper"),
        (26, "conditioning a Gaussian", "blocks/joint_prior.py", "12_beyond_the_paper"),
        (27, "independent steps of a path", "blocks/joint_prior.py", "12_beyond_the_paper"),
        (28, "responsibilities of the classes", "blocks/joint_prior.py", "12_beyond_the_paper"),
        (29, "prediction interval from draws", "evaluation/intervals.py", "12_beyond_the_paper"),
    )
)


def where(number: int) -> str:
    """Return where an equation is computed, as "dicmor_lib/blocks/coupling.py:78".

    Raises:
        ConfigError: if no equation has that number.
    """
    for equation in EQUATIONS:
        if equation.number == number:
            lines = (PACKAGE.parent / equation.file).read_text(encoding="utf-8").splitlines()
            # a comment by the computing line if there is one, else the docstring that states it
            marked = [i for i, line in enumerate(lines, 1) if f"Eq. ({number})" in line]
            if not marked:
                raise ConfigError(
                    f"{equation.file} does not say where it computes Eq. ({number}); restore the comment"
                )
            commented = [i for i in marked if f"# Eq. ({number})" in lines[i - 1]]
            return f"{equation.file}:{(commented or marked)[0]}"
    raise ConfigError(f"there is no equation ({number}); they are numbered (1) to ({len(EQUATIONS)})")
