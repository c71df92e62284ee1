"""What the chapters need beside the model: checked exercises, equality proofs, equation anchors, a trained model."""

from dicmor_lib.course.equations import EQUATIONS, Equation, where
from dicmor_lib.course.exercises import Exercise, WrongAnswer, check, exercise, exercises
from dicmor_lib.course.pairing import assert_same_gradients, copy_weights
from dicmor_lib.course.trained import CourseModel, course_model

__all__ = [
    "EQUATIONS",
    "CourseModel",
    "Equation",
    "Exercise",
    "WrongAnswer",
    "assert_same_gradients",
    "check",
    "copy_weights",
    "course_model",
    "exercise",
    "exercises",
    "where",
]
