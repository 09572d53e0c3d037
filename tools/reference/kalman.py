"""Writes crates/emoxide/tests/fixtures/kalman.safetensors: the box filter of DeepSORT and ByteTrack, with whole matrices.

State: middle x and y, aspect (width over height), height, and the velocity of each. Written from the equations of the
Kalman filter and the noise that Wojke et al. (2017) name; each case is checked against filterpy before it is written.
Written with Python 3.11, numpy 2.4.6, filterpy 2.0.0, safetensors 0.8.0.
"""

from pathlib import Path

import numpy as np
from filterpy.kalman import KalmanFilter
from hashed import uniform
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[2] / "crates/emoxide/tests/fixtures/kalman.safetensors"
POSITION, VELOCITY = 1 / 20, 1 / 160
H = np.eye(4, 8)


def noise(height, position, velocity, aspect):
    values = [position * POSITION * height] * 4 + [velocity * VELOCITY * height] * 4
    values[2], values[6] = aspect
    return np.diag(np.square(values))


def transition(steps):
    matrix = np.eye(8)
    matrix[:4, 4:] = steps * np.eye(4)
    return matrix


def measured(box):
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2, width / height, height])


def run(boxes, steps):
    """Mean and variances after each update; a negative x is a frame in which nothing is seen."""
    mean = np.concatenate([measured(boxes[0]), np.zeros(4)])
    covariance = noise(mean[3], 2, 10, (1e-2, 1e-5))
    peer = KalmanFilter(8, 4)
    peer.H, peer.x, peer.P = H, mean[:, None].copy(), covariance.copy()
    rows = [(mean, np.diag(covariance))]
    for box, step in zip(boxes[1:], steps):
        process = step * noise(mean[3], 1, 1, (1e-2, 1e-5))
        matrix = transition(step)
        mean, covariance = matrix @ mean, matrix @ covariance @ matrix.T + process
        peer.F, peer.Q = matrix, process
        peer.predict()
        if box[0] >= 0:
            own = noise(mean[3], 1, 1, (1e-1, 0))[:4, :4]
            gain = covariance @ H.T @ np.linalg.inv(H @ covariance @ H.T + own)
            mean = mean + gain @ (measured(box) - H @ mean)
            covariance = (np.eye(8) - gain @ H) @ covariance
            peer.R = own
            peer.update(measured(box)[:, None])
        np.testing.assert_allclose(peer.x[:, 0], mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(peer.P, covariance, rtol=1e-9, atol=1e-9)
        rows.append((mean, np.diag(covariance)))
    return np.array([mean for mean, _ in rows]), np.array([variance for _, variance in rows])


def main():
    tensors = {}
    for name, steps in {"even": np.ones(29), "uneven": 1 + 2 * np.abs(uniform("steps", 29))}.items():
        time = np.concatenate([[0], np.cumsum(steps)])
        shake = uniform(name, 120).reshape(30, 4)
        boxes = np.stack([100 + 6 * time, 80 + 2 * time, 60 + 0.4 * time, 90 + 0.3 * time], 1) + 2 * shake
        boxes[[7, 15, 16, 17]] = [-1, 0, 1, 1]
        boxes, steps = boxes.astype(np.float32), steps.astype(np.float32)
        mean, variances = run(boxes.astype(np.float64), steps.astype(np.float64))
        tensors |= {f"{name}.boxes": boxes, f"{name}.steps": steps}
        tensors |= {f"{name}.mean": mean.astype(np.float32), f"{name}.variances": variances.astype(np.float32)}
    save_file(tensors, OUT)


if __name__ == "__main__":
    main()
