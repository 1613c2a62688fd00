"""Train many heads on features together, as TransferClassifier does, but in NumPy.

Heads that differ only in learning rate and L2 penalty use the same batches and the same
dropout, so that twenty of them take little more time than one.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

BETAS, EPSILON = (0.9, 0.999), 1e-7  # as in Keras' Adam


@dataclass(frozen=True)
class Shape:
    """Settings that are the same for heads that are trained together."""

    hidden_units: tuple = ()
    dropout: float = 0.0
    batch_size: int = 32


class Heads:
    """Heads of one shape on the same features, in float32.

    Parameters
    ----------
    shape : Shape
        Hidden layers, dropout and batch size.

    rates, penalties : array-like of shape (n_heads,)
        Learning rate and L2 penalty of each head.

    seed : int
        Seed of initial weights, order and dropout.
    """

    def __init__(self, shape, rates, penalties, seed):
        self.shape = shape
        self.rates = np.float32(rates)[:, None, None]
        self.penalties = np.float32(penalties)[:, None, None]
        self.seed = seed

    def epochs(self, X, y, n_epochs):
        """Train, and yield the number of each epoch after it."""
        targets = np.eye(y.max() + 1, dtype=np.float32)[y]
        shares = targets.mean(axis=0)
        if len(shares) == 2:
            targets = targets[:, 1:]
            bias = np.log(shares[1:] / shares[:1])
        else:
            bias = np.log(shares)
        self._start(X.shape[1], bias)
        for epoch in range(n_epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(len(X))
            for start in range(0, len(X), self.shape.batch_size):
                chosen = order[start : start + self.shape.batch_size]
                self._step(X[chosen], targets[chosen])
            yield epoch + 1

    def predict_proba(self, X):
        """Return probabilities of shape (n_heads, n_images, n_classes)."""
        for layer in range(0, len(self.weights) - 2, 2):
            X = np.maximum(X @ self.weights[layer] + self.weights[layer + 1], 0)
        probabilities = activate(X @ self.weights[-2] + self.weights[-1])
        if probabilities.shape[-1] == 1:
            return np.concatenate([1 - probabilities, probabilities], axis=-1)
        return probabilities

    def _start(self, n_features, bias):
        self._rng = np.random.default_rng(self.seed)
        self.weights = []
        for units in (*self.shape.hidden_units, len(bias)):
            limit = np.sqrt(6 / (n_features + units))
            kernel = self._rng.uniform(-limit, limit, (n_features, units))
            for array in (kernel, np.zeros((1, units))):
                stack = np.repeat(array[None], len(self.rates), axis=0)
                self.weights.append(stack.astype(np.float32))
            n_features = units
        self.weights[-1][:] = bias
        self._moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self._n_steps = 0

    def _step(self, X, targets):
        """Do a step of Adam for the mean cross entropy and the penalty."""
        inputs, masks, gradients = [], [], []
        n_layers = len(self.weights) // 2
        for layer in range(n_layers):
            is_output = layer == n_layers - 1
            if is_output and n_layers == 1:
                X = self._drop(X)
            inputs.append(X)
            X = X @ self.weights[2 * layer] + self.weights[2 * layer + 1]
            if not is_output:
                masks.append(self._drop((X > 0).astype(np.float32)))
                X = X * masks[-1]
        delta = (activate(X) - targets) / np.float32(len(targets))
        for layer in reversed(range(n_layers)):
            kernel = self.weights[2 * layer]
            gradients.append(delta.sum(axis=1, keepdims=True))
            gradient = np.swapaxes(inputs[layer], -1, -2) @ delta
            gradients.append(gradient + 2 * self.penalties * kernel)
            if layer:
                delta = (delta @ np.swapaxes(kernel, -1, -2)) * masks[layer - 1]
        self._descend(reversed(gradients))

    def _drop(self, values):
        rate = self.shape.dropout
        if not rate:
            return values
        shape = values.shape[-2:]  # the same for all heads
        kept = self._rng.random(shape, dtype=np.float32) >= rate
        return values * (kept / np.float32(1 - rate))

    def _descend(self, gradients):
        self._n_steps += 1
        first, second = (1 - beta**self._n_steps for beta in BETAS)
        rates = self.rates * np.float32(np.sqrt(second) / first)
        for weight, moments, gradient in zip(
            self.weights, self._moments, gradients, strict=True
        ):
            mean, square = moments
            mean += (gradient - mean) * np.float32(1 - BETAS[0])
            square += (gradient * gradient - square) * np.float32(1 - BETAS[1])
            weight -= rates * mean / (np.sqrt(square) + np.float32(EPSILON))


def activate(logits):
    """Return the sigmoid of one logit, or the softmax of more."""
    if logits.shape[-1] == 1:
        return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
