"""Linear algebra on batches of small matrices, elementwise.

``a @ b`` and LAPACK on a batch may differ in the last bits with the batch's size, since
the library picks another kernel. Here each entry is spelled out over the batch: a
Python loop runs over the (few) rows and columns, numpy over the environments.
"""

import numpy as np


def matvec(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``a x``: (..., m, n) times (..., n) is (..., m)."""
    total = a[..., :, 0] * x[..., None, 0]
    for k in range(1, x.shape[-1]):
        total = total + a[..., :, k] * x[..., None, k]
    return total


def rmatvec(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``a^T x``: (..., m, n) transposed times (..., m) is (..., n)."""
    return matvec(np.swapaxes(a, -1, -2), x)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a b``: (..., m, k) times (..., k, n) is (..., m, n)."""
    total = a[..., :, 0, None] * b[..., None, 0, :]
    for k in range(1, a.shape[-1]):
        total = total + a[..., :, k, None] * b[..., None, k, :]
    return total


def cholesky(a: np.ndarray) -> np.ndarray:
    """Lower factor L of a symmetric positive definite ``a = L L^T``, (..., n, n)."""
    n = a.shape[-1]
    lower = np.zeros(a.shape)
    for j in range(n):
        pivot = a[..., j, j]
        for k in range(j):
            pivot = pivot - lower[..., j, k] ** 2
        lower[..., j, j] = np.sqrt(pivot)
        for i in range(j + 1, n):
            entry = a[..., i, j]
            for k in range(j):
                entry = entry - lower[..., i, k] * lower[..., j, k]
            lower[..., i, j] = entry / lower[..., j, j]
    return lower


def solve_lower(lower: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``L^-1 b`` for lower triangular (..., n, n) and b (..., n, m)."""
    x = np.zeros(np.broadcast_shapes(lower.shape[:-2], b.shape[:-2]) + b.shape[-2:])
    for i in range(lower.shape[-1]):
        entry = b[..., i, :]
        for k in range(i):
            entry = entry - lower[..., i, k, None] * x[..., k, :]
        x[..., i, :] = entry / lower[..., i, i, None]
    return x


def solve_upper(lower: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``L^-T b`` for lower triangular (..., n, n) and b (..., n, m)."""
    n = lower.shape[-1]
    x = np.zeros(np.broadcast_shapes(lower.shape[:-2], b.shape[:-2]) + b.shape[-2:])
    for i in reversed(range(n)):
        entry = b[..., i, :]
        for k in range(i + 1, n):
            entry = entry - lower[..., k, i, None] * x[..., k, :]
        x[..., i, :] = entry / lower[..., i, i, None]
    return x


def solve_spd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a^-1 b`` for symmetric positive definite (..., n, n) and b (..., n, m)."""
    lower = cholesky(a)
    return solve_upper(lower, solve_lower(lower, b))


def sqrt_spd(a: np.ndarray, sweeps: int = 12) -> np.ndarray:
    """Symmetric square root of symmetric positive definite (..., n, n).

    Closed form for n = 1 and 2 (Cayley-Hamilton); else cyclic Jacobi rotations
    (Golub and Van Loan, section 8.5), whose number is fixed, so that no environment's
    result depends on how fast another converges.
    """
    n = a.shape[-1]
    if n == 1:
        return np.sqrt(a)
    if n == 2:
        root = np.sqrt(a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0])
        scale = np.sqrt(a[..., 0, 0] + a[..., 1, 1] + 2.0 * root)
        return (a + root[..., None, None] * np.eye(2)) / scale[..., None, None]
    values, vectors = _jacobi(a, sweeps)
    scaled = vectors * np.sqrt(values)[..., None, :]
    return matmul(scaled, np.swapaxes(vectors, -1, -2))


def _jacobi(a: np.ndarray, sweeps: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (..., n) and eigenvectors (..., n, n), columns, of symmetric a."""
    n = a.shape[-1]
    a = a.copy()
    vectors = np.broadcast_to(np.eye(n), a.shape).copy()
    for _ in range(sweeps):
        for p in range(n - 1):
            for q in range(p + 1, n):
                angle = 0.5 * np.arctan2(
                    2.0 * a[..., p, q], a[..., q, q] - a[..., p, p]
                )
                c, s = np.cos(angle)[..., None], np.sin(angle)[..., None]
                for columns in (a, vectors):
                    left, right = columns[..., :, p].copy(), columns[..., :, q].copy()
                    columns[..., :, p] = c * left - s * right
                    columns[..., :, q] = s * left + c * right
                left, right = a[..., p, :].copy(), a[..., q, :].copy()
                a[..., p, :] = c * left - s * right
                a[..., q, :] = s * left + c * right
    return np.einsum("...ii->...i", a).copy(), vectors
