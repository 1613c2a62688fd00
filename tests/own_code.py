"""Descriptors as users write them, which depend on a number in many ways.

Each is the body of a module with `describe`. In the module, ``{power}`` is the number.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

MODULE = """
import functools, os, types
import numpy as np

def rows(image, power):
    return (image.reshape(-1, 3)[::64] / 255.0) ** power

"""
OWN_CODE = {
    "a number in its code": "def describe(image):\n    return rows(image, {power})",
    "a number of its module": (
        "NUMBER = {power}\ndef describe(image):\n    return rows(image, NUMBER)"
    ),
    "a dict": (
        "TABLE = {'power': {power}}\n"
        "def describe(image):\n    return rows(image, TABLE['power'])"
    ),
    "a list": (
        "POWERS = [{power}]\ndef describe(image):\n    return rows(image, POWERS[0])"
    ),
    "an array": (
        "POWERS = np.array([{power}])\n"
        "def describe(image):\n    return rows(image, POWERS[0])"
    ),
    "an object": (
        "SETTINGS = types.SimpleNamespace(power={power})\n"
        "def describe(image):\n    return rows(image, SETTINGS.power)"
    ),
    "a helper": (
        "def helper():\n    return {power}\n"
        "def describe(image):\n    return rows(image, helper())"
    ),
    "a helper in a comprehension": (
        "def helper():\n    return {power}\n"
        "def describe(image):\n    return rows(image, [helper() for _ in 'a'][0])"
    ),
    "a helper in a lambda": (
        "def helper():\n    return {power}\n"
        "def describe(image):\n    return (lambda: rows(image, helper()))()"
    ),
    "a helper in a nested function": (
        "def helper():\n    return {power}\n"
        "def describe(image):\n"
        "    def inner():\n        return helper()\n"
        "    return rows(image, inner())"
    ),
    "a helper of a helper": (
        "def deeper():\n    return {power}\n"
        "def helper():\n    return deeper()\n"
        "def describe(image):\n    return rows(image, helper())"
    ),
    "a class of its module": (
        "class Settings:\n    def power(self):\n        return {power}\n"
        "def describe(image):\n    return rows(image, Settings().power())"
    ),
    "a cached function": (
        "@functools.lru_cache\ndef helper():\n    return {power}\n"
        "def describe(image):\n    return rows(image, helper())"
    ),
    "a partial function": (
        "helper = functools.partial(rows, power={power})\n"
        "def describe(image):\n    return helper(image)"
    ),
    "an attribute of the function": (
        "def describe(image):\n    return rows(image, describe.power)\n"
        "describe.power = {power}"
    ),
    "a default argument": (
        "def describe(image, power={power}):\n    return rows(image, power)"
    ),
    "a decorator": (
        "def with_power(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(image):\n        return function(image, {power})\n"
        "    return wrapper\n"
        "@with_power\ndef describe(image, power):\n    return rows(image, power)"
    ),
    "a name looked up by text": (
        "NUMBER = {power}\n"
        "def describe(image):\n    return rows(image, globals()['NUMBER'])"
    ),
    "an attribute of the class": (
        "class Describe:\n    power = {power}\n"
        "    def __call__(self, image):\n        return rows(image, self.power)\n"
        "describe = Describe()"
    ),
    "a method of a parent": (
        "class Parent:\n    def power(self):\n        return {power}\n"
        "class Describe(Parent):\n"
        "    def __call__(self, image):\n        return rows(image, self.power())\n"
        "describe = Describe()"
    ),
    "a property": (
        "class Describe:\n"
        "    power = property(lambda self: {power})\n"
        "    def __call__(self, image):\n        return rows(image, self.power)\n"
        "describe = Describe()"
    ),
    "a cached property": (
        "class Describe:\n"
        "    @functools.cached_property\n"
        "    def power(self):\n        return {power}\n"
        "    def __call__(self, image):\n        return rows(image, self.power)\n"
        "describe = Describe()"
    ),
    "a property of a cached function": (
        "class Describe:\n"
        "    @property\n    @functools.cache\n"
        "    def power(self):\n        return {power}\n"
        "    def __call__(self, image):\n        return rows(image, self.power)\n"
        "describe = Describe()"
    ),
    "a cached static method": (
        "class Describe:\n"
        "    @staticmethod\n    @functools.lru_cache\n"
        "    def power():\n        return {power}\n"
        "    def __call__(self, image):\n        return rows(image, self.power())\n"
        "describe = Describe()"
    ),
    "a partial method": (
        "class Describe:\n"
        "    def describe_by(self, power, image):\n"
        "        return rows(image, power)\n"
        "    __call__ = functools.partialmethod(describe_by, {power})\n"
        "describe = Describe()"
    ),
    "a class made by type": (
        "Describe = type('Describe', (), {\n"
        "    '__module__': __name__,\n"
        "    '__call__': lambda self, image: rows(image, {power})})\n"
        "describe = Describe()"
    ),
    "its method describe": (
        "class Describe:\n    def describe(self, image):\n"
        "        values = rows(image, {power})\n"
        "        return values, np.full((len(values), 2), 0.5)\n"
        "describe = Describe()"
    ),
    "its method finish": (
        "class Describe:\n"
        "    def __call__(self, image):\n        return rows(image, 1)\n"
        "    def finish(self, values):\n        return values ** {power}\n"
        "describe = Describe()"
    ),
    "its parameter": (
        "class Describe:\n    def __init__(self, power):\n        self.power = power\n"
        "    def __call__(self, image):\n        return rows(image, self.power)\n"
        "describe = Describe({power})"
    ),
    "the object of a method": (
        "class Settings:\n    def describe(self, image):\n"
        "        return rows(image, {power})\n"
        "describe = Settings().describe\n"
        "VERSIONED = describe.__self__"
    ),
    "the function of a partial": (
        "def function(image, factor):\n    return factor * rows(image, {power})\n"
        "describe = functools.partial(function, factor=2)"
    ),
    "a subclass of ours": (
        "from skinest import ColorPatchDescriptor\n"
        "class Describe(ColorPatchDescriptor):\n"
        "    def describe(self, image):\n"
        "        values = rows(image, {power})\n"
        "        return values, np.full((len(values), 2), 0.5)\n"
        "describe = Describe()\n"
        "VERSIONED = Describe"
    ),
}
# One of each kind of callable.
KINDS = (
    *("a number in its code", "a helper", "an attribute of the class"),
    *("its method describe", "its method finish", "its parameter"),
    *("the object of a method", "the function of a partial", "a subclass of ours"),
)
# What is noticed although the version is the same.
NOTICED = (
    *("a number in its code", "its parameter", "a cached property"),
    *("a property of a cached function", "a cached static method"),
    "a partial method",
)
