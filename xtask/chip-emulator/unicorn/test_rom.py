"""`python3 -m unittest discover xtask/chip-emulator/unicorn`: the ROM's arithmetic against exact fractions."""

import math
import random
import unittest
from fractions import Fraction

from rom import ARITHMETIC, Rom, compute, signed, to_float

# Zeros, subnormal numbers, the least normal one, one, the largest, infinities, and a NaN.
SPECIAL = [0, 1, 0x007FFFFF, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]
SPECIAL += [word | 1 << 31 for word in SPECIAL]


def call(name, *words):
    return compute(*ARITHMETIC[name], words)


def nearest(exact):
    """The word of the f32 that is nearest to a positive fraction, of two the even one."""
    low, high = 0, 0x7F800000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(to_float(middle, "f")) <= exact else (low, middle)
    # Infinity is as far as the next number would be.
    above = Fraction(1 << 128) if high == 0x7F800000 else Fraction(to_float(high, "f"))
    below = Fraction(to_float(low, "f"))
    return high if (above - exact, low % 2 == 0) < (exact - below, low % 2 == 1) else low


class Arithmetic(unittest.TestCase):
    def test_f32_results_are_rounded_once(self):
        random.seed(1)
        operations = {
            "__addsf3": lambda a, b: a + b,
            "__subsf3": lambda a, b: a - b,
            "__mulsf3": lambda a, b: a * b,
            "__divsf3": lambda a, b: a / b,
        }
        checked = 0
        for _ in range(2000):
            words = [random.choice(SPECIAL) if random.random() < 0.2 else random.getrandbits(32) for _ in range(2)]
            if random.random() < 0.5:
                # Of similar size, so that sums cancel.
                words[1] = words[0] & 0x7F800000 | words[1] & 0x807FFFFF
            a, b = (to_float(word, "f") for word in words)
            if not (math.isfinite(a) and math.isfinite(b)) or b == 0:
                continue
            for name, operation in operations.items():
                exact = operation(Fraction(a), Fraction(b))
                (found,) = call(name, *words)
                if exact:
                    self.assertEqual(found, nearest(abs(exact)) | (exact < 0) << 31, (name, words))
                    checked += 1
        self.assertGreater(checked, 4000)

    def test_what_is_not_finite_is_as_ieee_754_has_it(self):
        one, infinity, nan, zero = 0x3F800000, 0x7F800000, 0x7FC00000, 0
        for name, words, expected in [
            ("__divsf3", (one, zero), infinity),
            ("__divsf3", (one | 1 << 31, zero), infinity | 1 << 31),
            ("__divsf3", (zero, zero), nan),
            ("__subsf3", (infinity, infinity), nan),
            ("__mulsf3", (0x7F7FFFFF, 0x7F7FFFFF), infinity),
            ("__addsf3", (1 << 31, 1 << 31), 1 << 31),
            ("__eqsf2", (zero, 1 << 31), 0),
            ("__ltsf2", (nan, one), 1),
            ("__gesf2", (nan, one), 0xFFFFFFFF),
            ("__unordsf2", (one, nan), 1),
            ("__fixsfsi", (0xFF800000,), 1 << 31),
            ("__fixunssfsi", (nan,), 0),
        ]:
            self.assertEqual(call(name, *words), (expected,), (name, words))

    def test_integers_become_the_nearest_f32(self):
        random.seed(2)
        for _ in range(2000):
            value = random.getrandbits(random.randint(1, 64))
            (found,) = call("__floatundisf", value & 0xFFFFFFFF, value >> 32)
            self.assertEqual(found, nearest(Fraction(value)) if value else 0, value)

    def test_integer_division_is_towards_zero(self):
        for a, b, expected, rest in [(-7, 2, -3, -1), (7, -2, -3, 1), (-8, -4, 2, 0), (5, 0, -1, 5)]:
            words = [word for value in (a, b) for word in (value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)]
            for name, value in (("__divdi3", expected), ("__moddi3", rest)):
                low, high = call(name, *words)
                self.assertEqual(signed(low | high << 32, 64), value, (name, a, b))


class Core:
    """Registers, by their names."""

    def __init__(self, **registers):
        self.registers = registers

    def reg_read(self, register):
        return self.registers[register]

    def reg_write(self, register, word):
        self.registers[register] = word


class Functions(unittest.TestCase):
    def test_a_function_is_found_by_its_symbol_and_one_that_is_not_emulated_is_an_error(self):
        rom = Rom({"__mulsi3": 0x40, "sha_init": 0x44, "main": 0x900}, range(0x40, 0x80), ["a0", "a1"])
        core = Core(a0=6, a1=7)
        self.assertIsNone(rom.call(core, 0x40))
        self.assertEqual(core.registers, {"a0": 42, "a1": 7})
        self.assertIn("sha_init", rom.call(core, 0x44))
        self.assertIn("a function of the chip's ROM, at 0x00000048", rom.call(core, 0x48))


if __name__ == "__main__":
    unittest.main()
