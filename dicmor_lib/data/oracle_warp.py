"""The fixed non-linear map that turns a Gaussian latent step into a feature step.

    x = R2 f(R1 w),   f_i(y) = y_i + a_i sin(k_i y_i + p_i) + b_i cos(v_i . y_{<i} + q_i)

R1 and R2 are rotations; f is triangular (f_i reads y_1..y_i) and rises strictly in y_i because |a_i k_i| < 1.
So the map is invertible and its Jacobian's log-determinant is a sum over channels. It is not a coupling
layer: a flow has to learn it. Sines were chosen for one more reason: for a Gaussian u,
E sin(u) = exp(-Var u / 2) sin(E u), which makes the mean of x exact, and with it the Bayes-optimal recovery.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONTRACTIONS, NEWTON_STEPS = 6, 3
"""Steps of the scalar inversion: the first come close from anywhere, the second reach rounding error."""


@dataclass(frozen=True)
class Warp:
    """One modality's map g: R^d -> R^d, applied to every time step alone. All arrays are float64.

    Attributes:
        rotate_in, rotate_out: R1 and R2, (d, d).
        sine, sine_rate, sine_phase: a, k and p, (d,); |a k| < 1.
        cosine, cosine_rate, cosine_phase: b (d,), v (d, d) strictly lower triangular, q (d,).
    """

    rotate_in: np.ndarray
    rotate_out: np.ndarray
    sine: np.ndarray
    sine_rate: np.ndarray
    sine_phase: np.ndarray
    cosine: np.ndarray
    cosine_rate: np.ndarray
    cosine_phase: np.ndarray

    @classmethod
    def draw(cls, dim: int, nonlinearity: float, rng: np.random.Generator) -> Warp:
        """A random map of `dim` channels; `nonlinearity` in [0, 1] scales both waves (0: a rotation)."""
        direction = np.tril(rng.normal(size=(dim, dim)), k=-1)
        norm = np.linalg.norm(direction, axis=1, keepdims=True)
        sine_rate = rng.uniform(1.2, 1.8, dim)
        return cls(
            rotate_in=rotation(dim, rng),
            rotate_out=rotation(dim, rng),
            sine=nonlinearity * rng.uniform(0.4, 0.6, dim) * rng.choice([-1.0, 1.0], dim) / sine_rate,
            sine_rate=sine_rate,
            sine_phase=rng.uniform(-np.pi, np.pi, dim),
            cosine=nonlinearity * rng.uniform(0.8, 1.2, dim) * (norm[:, 0] > 0),
            cosine_rate=1.2 * direction / np.where(norm > 0, norm, 1.0),
            cosine_phase=rng.uniform(-np.pi, np.pi, dim),
        )

    def forward(self, w: np.ndarray) -> np.ndarray:
        """Latent steps (..., d) to feature steps (..., d)."""
        y = w @ self.rotate_in.T
        waves = self.sine * np.sin(self.sine_rate * y + self.sine_phase)
        waves += self.cosine * np.cos(y @ self.cosine_rate.T + self.cosine_phase)
        return (y + waves) @ self.rotate_out.T

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """Feature steps (..., d) to latent steps (..., d); exact to about 1e-14."""
        rest = x @ self.rotate_out
        y = np.empty_like(rest)
        for i in range(rest.shape[-1]):  # y_{<i} is known when channel i is solved
            angle = y[..., :i] @ self.cosine_rate[i, :i] + self.cosine_phase[i]
            y[..., i] = self._solve(rest[..., i] - self.cosine[i] * np.cos(angle), i)
        return y @ self.rotate_in

    def _solve(self, target: np.ndarray, i: int) -> np.ndarray:
        """The root y of y + a_i sin(k_i y + p_i) = target."""
        a, k, p = self.sine[i], self.sine_rate[i], self.sine_phase[i]
        y = target
        for _ in range(CONTRACTIONS):  # y <- target - a sin(k y + p) shrinks errors by |a k| <= 0.6
            y = target - a * np.sin(k * y + p)
        for _ in range(NEWTON_STEPS):
            angle = k * y + p
            y = y - (y + a * np.sin(angle) - target) / (1 + a * k * np.cos(angle))
        return y

    def log_det(self, w: np.ndarray) -> np.ndarray:
        """log |det dx/dw| at latent steps (..., d), per step (...,); f is triangular, rotations add 0."""
        y = w @ self.rotate_in.T
        slope = 1 + self.sine * self.sine_rate * np.cos(self.sine_rate * y + self.sine_phase)
        return np.log(slope).sum(-1)

    def mean(self, centre: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """E g(w) for w ~ N(centre, covariance), exactly: centre (..., d), covariance (d, d) -> (..., d)."""
        y, spread = centre @ self.rotate_in.T, self.rotate_in @ covariance @ self.rotate_in.T
        # E sin(u) = exp(-Var u / 2) sin(E u), and the same for cos
        sine_damping = np.exp(-0.5 * self.sine_rate**2 * np.diag(spread))
        cosine_damping = np.exp(-0.5 * np.einsum("ij,jk,ik->i", self.cosine_rate, spread, self.cosine_rate))
        waves = self.sine * sine_damping * np.sin(self.sine_rate * y + self.sine_phase)
        waves += self.cosine * cosine_damping * np.cos(y @ self.cosine_rate.T + self.cosine_phase)
        return (y + waves) @ self.rotate_out.T


def rotation(dim: int, rng: np.random.Generator) -> np.ndarray:
    """A uniformly random orthogonal matrix (d, d): QR of a normal matrix, R's signs removed."""
    q, r = np.linalg.qr(rng.normal(size=(dim, dim)))
    return q * np.sign(np.diag(r))
